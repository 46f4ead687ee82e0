//! WebAuthn ceremonies under way: asked, not answered yet.
//!
//! What an answer is compared with stays in memory, in a bounded table, and is gone at a restart: the person starts again. An
//! answer takes its ceremony out before anything of it is read, so that of eight answers to one challenge one is judged.

use super::brought;
use super::decoy::Decoys;
use super::fido2::Binding;
use super::fido2::Fido2Error;
use super::fido2::Fido2Evidence;
use super::fido2::Surface;
use super::fido2::spki_der;
use super::under_way::Assertion;
use super::under_way::Ceremonies;
use super::under_way::Registration;
use super::under_way::Step;
use crate::authenticator::Authenticator;
use crate::authenticator::AuthenticatorKind;
use crate::authenticator::MAX_SECURITY_KEYS;
use crate::clock::Clock;
use crate::clock::UnixSeconds;
use crate::factor_rules::FactorRules;
use crate::records::Fingerprint;
use crate::records::Holder;
use crate::sign_in::random_id;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde_cbor_2::Value as Cbor;
use serde_json::Value as Json;
use serde_json::json;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use webauthn_rs::prelude::AuthenticationResult;
use webauthn_rs::prelude::Passkey;
use webauthn_rs::prelude::PublicKeyCredential;
use webauthn_rs::prelude::RegisterPublicKeyCredential;
use webauthn_rs::prelude::Url;
use webauthn_rs::prelude::Uuid;
use webauthn_rs::prelude::Webauthn;
use webauthn_rs::prelude::WebauthnBuilder;

/// Seconds for which a challenge can be answered: a look at the phone, a finger on it.
pub const CEREMONY_SECONDS: u64 = 120;
/// Longest answer of a browser, in octets: attested enrolments have some 4 kB.
pub const MAX_CREDENTIAL_BYTES: usize = 16 * 1024;
/// COSE algorithm of RSA with SHA-256: webauthn-rs would offer it, we do not take it.
const RS256: i64 = -257;
/// Octets before the AAGUID in authenticator data.
const AAGUID_AT: usize = 37;
/// Backup eligible (WebAuthn §6.1, bit 3 of flags).
const FLAG_BE: u8 = 0x08;

/// Who asks: the portal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    origin: Url,
    rp_id: String,
    name: String,
}

impl RelyingParty {
    /// The portal at `origin` (`https://host` or `https://host:port`). Its host name is the RP ID, to the letter: no parent
    /// domain, no other port, no address.
    ///
    /// # Errors
    /// [`Fido2Error::RelyingParty`].
    pub fn new(origin: &str, name: &str) -> Result<Self, Fido2Error> {
        let refused = || Fido2Error::RelyingParty(origin.to_owned());
        let origin = Url::parse(origin).map_err(|_| refused())?;
        let rp_id = origin.domain().ok_or_else(refused)?.to_owned();
        match origin.scheme() == "https" && origin.path() == "/" {
            true => Ok(Self { origin, rp_id, name: name.to_owned() }),
            false => Err(refused()),
        }
    }

    /// As browsers write it.
    pub fn origin(&self) -> String {
        self.origin.origin().ascii_serialization()
    }

    /// Host name of the portal.
    pub fn rp_id(&self) -> &str {
        &self.rp_id
    }
}

/// A ceremony just begun.
#[derive(Clone, Debug)]
pub struct Started {
    /// Its name, to come back with the answer.
    pub ceremony_id: String,
    /// The challenge, base64url.
    pub challenge: String,
    /// `{"publicKey": ...}` as JSON: for `PublicKeyCredential.parseCreationOptionsFromJSON` or `...RequestOptionsFromJSON`.
    pub options_json: String,
}

/// An authenticator that was proved in an enrolment. Only [`Fido2::finish_registration`] makes one.
#[derive(Clone, Debug)]
pub struct NewPasskey {
    pub(crate) kind: AuthenticatorKind,
    pub(crate) authenticator_id: Fingerprint,
    pub(crate) passkey: Passkey,
    pub(crate) counter: u32,
    pub(crate) user_handle: Vec<u8>,
    pub(crate) aaguid: [u8; 16],
    pub(crate) is_backup_eligible: bool,
}

impl NewPasskey {
    /// SHA-256 of the credential id.
    pub fn authenticator_id(&self) -> &Fingerprint {
        &self.authenticator_id
    }

    /// Model as it says itself.
    pub fn aaguid(&self) -> [u8; 16] {
        self.aaguid
    }

    /// Whether its key may be copied to other devices by its maker.
    pub fn is_backup_eligible(&self) -> bool {
        self.is_backup_eligible
    }
}

/// Presence that was proved: somebody with the authenticator passed its user verification. Only [`Fido2::finish_assertion`]
/// makes one.
#[derive(Clone, Debug)]
pub struct VerifiedFido2 {
    evidence: Fido2Evidence,
    evidence_json: String,
    result: AuthenticationResult,
}

impl VerifiedFido2 {
    /// The evidence, as the audit log keeps it.
    pub fn evidence_json(&self) -> &str {
        &self.evidence_json
    }

    /// SHA-256 of that text: what sessions name.
    pub fn digest(&self) -> Fingerprint {
        Fingerprint::of(self.evidence_json.as_bytes())
    }

    /// SHA-256 of the challenge: evidence is used once, and this is what is remembered.
    pub fn replay_key(&self) -> Fingerprint {
        Fingerprint::of(&self.evidence.challenge)
    }

    /// What was approved.
    pub fn binding(&self) -> &Binding {
        &self.evidence.approved
    }

    /// By which authenticator.
    pub fn authenticator_id(&self) -> &Fingerprint {
        &self.evidence.authenticator
    }

    /// Its signature counter.
    pub fn counter(&self) -> u32 {
        self.result.counter()
    }

    /// When presence was proved.
    pub fn proved_at(&self) -> UnixSeconds {
        self.evidence.proved_at
    }

    /// Notes this use in the authenticator's record.
    pub(crate) fn note_use(&self, authenticator: &mut Authenticator) {
        authenticator.passkey.update_credential(&self.result);
        authenticator.counter = self.counter();
        authenticator.last_used_at = Some(self.proved_at());
    }
}

/// See the module.
pub struct Fido2 {
    webauthn: Webauthn,
    relying_party: RelyingParty,
    clock: Arc<dyn Clock>,
    rules: FactorRules,
    ceremonies: Mutex<Ceremonies>,
    decoys: Decoys,
}

impl Fido2 {
    /// Ceremonies of `relying_party`; `rules` say which passkeys are taken. People without one are asked for decoys made from
    /// `decoy_key`, which only the appliance has and which is the same at every start.
    ///
    /// # Errors
    /// [`Fido2Error::RelyingParty`], [`Fido2Error::Random`].
    pub fn new(
        relying_party: RelyingParty,
        rules: FactorRules,
        clock: Arc<dyn Clock>,
        decoy_key: &[u8; 32],
    ) -> Result<Self, Fido2Error> {
        let webauthn = WebauthnBuilder::new(&relying_party.rp_id, &relying_party.origin)
            .and_then(|builder| {
                let builder = builder.rp_name(&relying_party.name);
                builder.timeout(Duration::from_secs(CEREMONY_SECONDS)).build()
            })
            .map_err(Fido2Error::Rejected)?;
        let (ceremonies, decoys) = (Mutex::default(), Decoys::new(decoy_key)?);
        Ok(Self { webauthn, relying_party, rules, clock, ceremonies, decoys })
    }

    /// Who asks.
    pub fn relying_party(&self) -> &RelyingParty {
        &self.relying_party
    }

    /// Asks a new authenticator of this `kind` to register for `holder`, under the ticket `ticket_id`. The holder's `known`
    /// authenticators are left out: one that is registered says so itself.
    ///
    /// # Errors
    /// [`Fido2Error::Busy`], and our own faults.
    pub fn start_registration(
        &self,
        ticket_id: &str,
        kind: AuthenticatorKind,
        holder: &Holder,
        known: &[Arc<Authenticator>],
    ) -> Result<Started, Fido2Error> {
        let user = Uuid::new_v4();
        // webauthn-rs is not told who is left out: it would refuse them by a name that says something else.
        let shown = match holder.display_name.is_empty() {
            true => &holder.holder_id,
            false => &holder.display_name,
        };
        let (options, state) = self
            .webauthn
            .start_passkey_registration(user, &holder.holder_id, shown, None)
            .map_err(Fido2Error::Rejected)?;
        let challenge = URL_SAFE_NO_PAD.encode(&options.public_key.challenge);
        let mut options = serde_json::to_value(&options).map_err(Fido2Error::Unreadable)?;
        let offered = options.pointer_mut("/publicKey/pubKeyCredParams");
        if let Some(offered) = offered.and_then(Json::as_array_mut) {
            offered.retain(|offer| offer.get("alg") != Some(&json!(RS256)));
        }
        if let Some(options) = options.pointer_mut("/publicKey").and_then(Json::as_object_mut) {
            let ids = known.iter().map(|known| URL_SAFE_NO_PAD.encode(known.passkey.cred_id()));
            let excluded: Vec<Json> =
                ids.map(|id| json!({ "type": "public-key", "id": id })).collect();
            options.insert("excludeCredentials".to_owned(), Json::Array(excluded));
        }
        match kind {
            AuthenticatorKind::Phone => {}
            AuthenticatorKind::SecurityKey => brought::ask_to_create(&mut options),
        }
        let user_handle = user.as_bytes().to_vec();
        let known = known.iter().map(|known| known.authenticator_id.clone()).collect();
        let registration = Registration { state, user_handle, known, kind };
        self.begin(ticket_id, Step::Registration(Box::new(registration)), challenge, &options)
    }

    /// Judges the new authenticator's answer. Whether anybody else has this authenticator is decided when it is stored.
    ///
    /// # Errors
    /// [`Fido2Error`]; the ceremony is over in any case.
    /// # Source
    /// WebAuthn Level 2 §7.1, by webauthn-rs.
    pub fn finish_registration(
        &self,
        ceremony_id: &str,
        ticket_id: &str,
        credential_json: &str,
    ) -> Result<NewPasskey, Fido2Error> {
        let Step::Registration(registration) = self.take(ceremony_id, ticket_id)? else {
            return Err(Fido2Error::CeremonyOver);
        };
        let Registration { state, user_handle, known, kind } = *registration;
        let credential: RegisterPublicKeyCredential = read(credential_json)?;
        if kind == AuthenticatorKind::SecurityKey {
            brought::check_security_key(&read(credential_json)?)?;
        }
        let id = Fingerprint::of(&credential.raw_id);
        let judged = self.webauthn.finish_passkey_registration(&credential, &state);
        let passkey = judged.map_err(|error| Fido2Error::of(error, &id))?;
        let authenticator_id = Fingerprint::of(passkey.cred_id());
        if known.contains(&authenticator_id) {
            return Err(Fido2Error::Known);
        }
        spki_der(passkey.get_public_key())?;
        let said = authenticator_data(&credential.response.attestation_object)?;
        let (flags, counter) = flags_and_counter(&said).ok_or(Fido2Error::Malformed)?;
        let aaguid = said.get(AAGUID_AT..).and_then(|rest| rest.first_chunk().copied());
        let new = NewPasskey {
            kind,
            authenticator_id,
            counter,
            user_handle,
            aaguid: aaguid.ok_or(Fido2Error::Malformed)?,
            is_backup_eligible: flags & FLAG_BE != 0,
            passkey,
        };
        // Nobody copies the key of a security key: what is copied is a phone's or a browser's.
        if kind == AuthenticatorKind::SecurityKey && new.is_backup_eligible {
            return Err(Fido2Error::NotSecurityKey);
        }
        match self.rules.accepts(&new) {
            true => Ok(new),
            false => Err(Fido2Error::NotAccepted),
        }
    }

    /// Asks one of `authenticators`, all of them the holder's, to approve `binding`: on a phone the phone, at a PC security keys,
    /// too. Places that nothing has are filled, so that the question always looks the same: nobody learns who has what.
    ///
    /// The number was typed right before, and the binding is recorded under the challenge before the options leave.
    ///
    /// # Errors
    /// [`Fido2Error::Busy`], and our own faults.
    pub fn start_assertion(
        &self,
        binding: Binding,
        authenticators: &[Arc<Authenticator>],
    ) -> Result<Started, Fido2Error> {
        let asked = authenticators.iter();
        let mut asked: Vec<_> =
            asked.filter(|asked| asked.holder_id == binding.holder_id).cloned().collect();
        if binding.surface == Surface::Phone {
            asked.retain(|asked| asked.kind == AuthenticatorKind::Phone);
        }
        let passkeys = self.one_for_each_place(&binding, &asked)?;
        let (options, state) =
            self.webauthn.start_passkey_authentication(&passkeys).map_err(Fido2Error::Rejected)?;
        let challenge = options.public_key.challenge.clone();
        let mut options = serde_json::to_value(&options).map_err(Fido2Error::Unreadable)?;
        match binding.surface {
            Surface::Phone => forget_transports(&mut options),
            Surface::Pc => brought::ask_to_use(&mut options),
        }
        let (owner, text) = (binding.handoff_id.clone(), URL_SAFE_NO_PAD.encode(&challenge));
        let assertion = Assertion { state, challenge, binding, asked };
        self.begin(&owner, Step::Assertion(Box::new(assertion)), text, &options)
    }

    /// Judges the phone's answer.
    ///
    /// # Errors
    /// [`Fido2Error`]; the ceremony is over in any case. [`Fido2Error::CounterBack`] is to be noted with
    /// [`Authenticators::note_counter_back`](crate::authenticator::Authenticators::note_counter_back).
    /// # Source
    /// WebAuthn Level 2 §7.2, by webauthn-rs and again by [`Fido2Evidence::check`].
    pub fn finish_assertion(
        &self,
        ceremony_id: &str,
        handoff_id: &str,
        credential_json: &str,
    ) -> Result<VerifiedFido2, Fido2Error> {
        let Step::Assertion(assertion) = self.take(ceremony_id, handoff_id)? else {
            return Err(Fido2Error::CeremonyOver);
        };
        let proved_at = self.clock.now()?;
        let credential: PublicKeyCredential = read(credential_json)?;
        if assertion.binding.surface == Surface::Pc {
            brought::check_attachment(&read(credential_json)?)?;
        }
        let id = Fingerprint::of(&credential.raw_id);
        let result = self
            .webauthn
            .finish_passkey_authentication(&credential, &assertion.state)
            .map_err(|error| Fido2Error::of(error, &id))?;
        let mut asked = assertion.asked.iter();
        // A decoy's key is nobody's, and its answer would stop here.
        let authenticator =
            asked.find(|asked| asked.authenticator_id == id).ok_or(Fido2Error::NotAsked)?;
        let given = credential.response.user_handle.as_ref();
        if given.is_some_and(|given| *given != authenticator.user_handle) {
            return Err(Fido2Error::UserHandle);
        }
        let evidence = Fido2Evidence {
            public_key_der: spki_der(authenticator.passkey.get_public_key())?,
            authenticator: id,
            challenge: assertion.challenge,
            authenticator_data: credential.response.authenticator_data,
            client_data_json: credential.response.client_data_json,
            signature: credential.response.signature,
            approved: assertion.binding,
            proved_at,
        };
        evidence.check(&self.relying_party)?;
        let evidence_json = serde_json::to_string(&evidence).map_err(Fido2Error::Unreadable)?;
        Ok(VerifiedFido2 { evidence, evidence_json, result })
    }

    /// A place for the phone, and at a PC for each security key that one may have; the order says nothing of who used what.
    fn one_for_each_place(
        &self,
        binding: &Binding,
        asked: &[Arc<Authenticator>],
    ) -> Result<Vec<Passkey>, Fido2Error> {
        let mut asked: Vec<_> = asked.iter().collect();
        asked.sort_by_key(|asked| (asked.enrolled_at, &asked.authenticator_id));
        let of = |kind| asked.iter().filter(move |asked| asked.kind == kind);
        let keys = match binding.surface {
            Surface::Phone => 0,
            Surface::Pc => MAX_SECURITY_KEYS,
        };
        let held = std::iter::once(of(AuthenticatorKind::Phone).next());
        let mut on_ring = of(AuthenticatorKind::SecurityKey);
        let held = held.chain(std::iter::repeat_with(|| on_ring.next()).take(keys));
        let filled = held.enumerate().map(|(place, held)| match held {
            Some(held) => Ok(held.passkey.clone()),
            None => self.decoys.passkey(&binding.holder_id, place),
        });
        filled.collect()
    }

    fn begin(
        &self,
        owner: &str,
        step: Step,
        challenge: String,
        options: &Json,
    ) -> Result<Started, Fido2Error> {
        let now = self.clock.now()?;
        let ceremony_id = random_id()?;
        let options_json = serde_json::to_string(options).map_err(Fido2Error::Unreadable)?;
        self.ceremonies().begin(ceremony_id.clone(), owner, step, now)?;
        Ok(Started { ceremony_id, challenge, options_json })
    }

    /// Takes the ceremony out, whatever comes of it.
    fn take(&self, ceremony_id: &str, owner: &str) -> Result<Step, Fido2Error> {
        let taken = self.ceremonies().take(ceremony_id);
        let now = self.clock.now()?;
        match taken {
            Some(taken) if taken.owner == owner && now < taken.expires_at => Ok(taken.step),
            _ => Err(Fido2Error::CeremonyOver),
        }
    }

    fn ceremonies(&self) -> MutexGuard<'_, Ceremonies> {
        self.ceremonies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read<T: DeserializeOwned>(json: &str) -> Result<T, Fido2Error> {
    match json.len() <= MAX_CREDENTIAL_BYTES {
        true => serde_json::from_str(json).map_err(Fido2Error::Unreadable),
        false => Err(Fido2Error::TooLarge),
    }
}

/// Hints about the way to an authenticator tell models apart, and a decoy has none.
fn forget_transports(options: &mut Json) {
    let allowed = options.pointer_mut("/publicKey/allowCredentials");
    for allowed in allowed.and_then(Json::as_array_mut).into_iter().flatten() {
        if let Some(allowed) = allowed.as_object_mut() {
            allowed.remove("transports");
        }
    }
}

/// `authData` of an attestation object (WebAuthn §6.5.4), which webauthn-rs has judged by now.
fn authenticator_data(attestation_object: &[u8]) -> Result<Vec<u8>, Fido2Error> {
    let Ok(Cbor::Map(mut parts)) = serde_cbor_2::from_slice(attestation_object) else {
        return Err(Fido2Error::Malformed);
    };
    match parts.remove(&Cbor::Text("authData".to_owned())) {
        Some(Cbor::Bytes(octets)) => Ok(octets),
        _ => Err(Fido2Error::Malformed),
    }
}

fn flags_and_counter(authenticator_data: &[u8]) -> Option<(u8, u32)> {
    let (flags, rest) = authenticator_data.get(32..)?.split_first()?;
    Some((*flags, u32::from_be_bytes(*rest.first_chunk()?)))
}
