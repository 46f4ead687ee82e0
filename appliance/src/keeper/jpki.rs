//! A My Number card that was shown in a handshake: whether it proves anything, what its link is called, what it renews.
//!
//! Its certificate lies nowhere in clear: the link is named by a MAC of the HSM, the evidence is sealed before it is recorded.

use super::Keeper;
use super::ListenerCertificate;
use super::Parts;
use super::card::CardFault;
use super::card::ProvedCard;
use super::entries;
use super::standing;
use super::standing::standing;
use api::operations::SignInRefusal;
use attest::clock::UnixSeconds;
use attest::evidence::CardEvidence;
use attest::evidence::VerifiedCard;
use attest::jpki::JpkiLink;
use attest::jpki::JpkiLinks;
use attest::jpki::NewCard;
use attest::jpki::Renewed;
use attest::jpki::certificate_purpose;
use attest::jpki::index_input;
use attest::judge::CertificateRefusal;
use attest::judge::JpkiIdentity;
use attest::path::PathError;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::registry::Standing;
use attest::validity::CertificateId;
use attest::validity::Validity;
use attest::validity::ValidityError;
use attest::vault::Sealed;
use attest::vault::Vault;
use attest::vault::VaultError;
use hsm::Hsm;
use hsm::HsmError;
use serde::Deserialize;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// What the HSM's MAC over this is: the key of the vault.
const VAULT_CONTEXT: &[u8] = b"jpki vault v1\0";

/// The listener for My Number cards.
#[derive(Clone, Debug)]
pub struct JpkiListener {
    /// `https://host:port`, as browsers write it.
    pub origin: String,
    /// Host name, as cards sign it.
    pub host: String,
    /// Its certificate file.
    pub certificate: PathBuf,
    /// Whether there is anybody to ask whether certificates are valid.
    pub has_provider: bool,
}

/// What the keeper needs for My Number cards.
pub(super) struct MyNumbers {
    pub listener: JpkiListener,
    pub certificate: ListenerCertificate,
    pub links: JpkiLinks,
}

impl MyNumbers {
    pub fn new(listener: JpkiListener, links: JpkiLinks) -> Self {
        let certificate = ListenerCertificate::new(listener.certificate.clone());
        Self { listener, certificate, links }
    }
}

/// Every My Number card's link, under the configured rules.
pub fn my_number_links(parts: &Parts) -> JpkiLinks {
    let rules = parts.settings.factor_rules.clone();
    JpkiLinks::new(parts.trust.clone(), parts.clock.clone(), rules)
}

/// The vault whose key only this token gives.
///
/// # Errors
/// [`HsmError`].
pub async fn vault(hsm: &Hsm) -> Result<Vault, HsmError> {
    let key = hsm.index_hmac(VAULT_CONTEXT).await?;
    Vault::new(&key).map_err(|_| HsmError::Unreachable("a vault under a key of 32 octets"))
}

/// What a proved My Number card brings besides the proof.
pub(super) struct MyNumber {
    /// The link that it renews, as the provider vouches.
    pub renews: Option<Fingerprint>,
    /// Its certificate, as a link keeps it.
    pub certificate: Sealed,
}

/// Evidence as the audit log keeps it: which it is can be seen, what it says only with the HSM.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedEvidence {
    /// [`Method::name`] of a My Number card.
    kind: String,
    /// [`CardEvidence::digest`].
    digest: Fingerprint,
    /// The evidence, JSON, sealed for [`evidence_purpose`].
    sealed: Sealed,
}

/// What evidence of this digest is sealed for.
fn evidence_purpose(digest: &Fingerprint) -> String {
    format!("inkan jpki evidence v1/{}", digest.0)
}

impl Keeper {
    /// Judges a My Number card whose possession is proved.
    pub(super) async fn prove_my_number(
        &self,
        evidence: &CardEvidence,
        verified: &VerifiedCard,
        now: UnixSeconds,
    ) -> Result<ProvedCard, CardFault> {
        let identity = self.parts.judge.judge_jpki(verified, now).map_err(|refused| CardFault {
            refusal: for_person(&refused).into(),
            code: refused.code(),
            detail: refused.to_string(),
            is_proved: true,
        })?;
        self.rate_of_my_number(&evidence.leaf_der)?;
        let unavailable = |code: &'static str| {
            move |error: &dyn std::fmt::Display| CardFault {
                refusal: SignInRefusal::Unavailable.into(),
                code,
                detail: error.to_string(),
                is_proved: true,
            }
        };
        let not_named = unavailable("hsm_unavailable");
        let factor = self.link_name(&CertificateId::of(&identity.leaf, &identity.issuer)).await;
        let factor = factor.map_err(|error| not_named(&error))?;
        let predecessor = self.check_validity(&identity, &factor, now).await?;
        let JpkiIdentity { leaf, not_after, .. } = identity;
        let renews = match predecessor {
            Some(old) if self.parts.registry.jpki(&factor).is_none() => {
                let old = self.link_name(&old).await.map_err(|error| not_named(&error))?;
                self.parts.registry.jpki(&old).map(|link| link.card.clone())
            }
            _ => None,
        };
        let not_sealed = unavailable("not_sealed");
        let vault = &self.parts.vault;
        let certificate = vault.seal(&certificate_purpose(&factor), leaf.as_der());
        let certificate = certificate.map_err(|error| not_sealed(&error))?;
        let evidence_json = serde_json::to_string(evidence).map_err(|error| not_sealed(&error))?;
        let digest = verified.digest();
        let sealed = vault.seal(&evidence_purpose(digest), evidence_json.as_bytes());
        let sealed = sealed.map_err(|error| not_sealed(&error))?;
        let kind = Method::Jpki.name().to_owned();
        let sealed = SealedEvidence { kind, digest: digest.clone(), sealed };
        Ok(ProvedCard {
            method: Method::Jpki,
            factor,
            roles: Vec::new(),
            not_after,
            certificate_b64: None,
            replay_key: verified.replay_key().clone(),
            proved_at: verified.handshake_at(),
            evidence_json: serde_json::to_string(&sealed).map_err(|error| not_sealed(&error))?,
            my_number: Some(MyNumber { renews, certificate }),
        })
    }

    /// Whether one more page may be opened over this card: each asks the provider, and the HSM for a name.
    fn rate_of_my_number(&self, leaf_der: &[u8]) -> Result<(), CardFault> {
        let a_minute = f64::from(self.parts.settings.sign_ins_per_minute);
        let name = format!("my-number/{}", Fingerprint::of(leaf_der).0);
        let taken = self.rates.take(&name, a_minute / 60.0, a_minute, Instant::now());
        taken.map_err(|_| CardFault {
            refusal: SignInRefusal::TooOften.into(),
            code: "too_often",
            detail: format!("at most {a_minute} pages a minute over one My Number card"),
            is_proved: true,
        })
    }

    /// Evidence as the audit log keeps it, opened; `None` where it lies open there. For whom two operators let read it, and
    /// for no log line.
    ///
    /// # Errors
    /// [`VaultError`] when it was not sealed here.
    pub fn open_evidence(&self, evidence_json: &str) -> Result<Option<String>, VaultError> {
        let Ok(recorded) = serde_json::from_str::<SealedEvidence>(evidence_json) else {
            return Ok(None);
        };
        let purpose = evidence_purpose(&recorded.digest);
        let clear = self.parts.vault.open(&purpose, &recorded.sealed)?;
        String::from_utf8(clear).map(Some).map_err(|_| VaultError::NotSealedHere)
    }

    /// Asks the provider about the card called `factor`; which certificate it renews, if it says so.
    async fn check_validity(
        &self,
        identity: &JpkiIdentity,
        factor: &Fingerprint,
        now: UnixSeconds,
    ) -> Result<Option<CertificateId>, CardFault> {
        let JpkiIdentity { leaf, issuer, .. } = identity;
        let fault = |refusal, code, detail| CardFault {
            refusal: self.refused_card(factor, refusal),
            code,
            detail,
            is_proved: true,
        };
        match self.parts.jpki_validity.check(leaf, issuer, now).await {
            Ok(Validity::Good { until, predecessor }) if now <= until => Ok(predecessor),
            Ok(Validity::Good { until, .. }) => {
                let detail = format!("the provider's answer ended at {until}");
                Err(fault(SignInRefusal::RevocationUnknown, "validity_stale", detail))
            }
            Ok(Validity::Revoked { at, reason }) => {
                let detail = format!("revoked at {at}: {reason:?}");
                Err(fault(SignInRefusal::CardRevoked, "certificate_revoked", detail))
            }
            Err(error) => {
                let refusal = match &error {
                    ValidityError::Unknown => SignInRefusal::CardNotKnown,
                    ValidityError::NoProvider => SignInRefusal::NoValidityProvider,
                    ValidityError::Unavailable { .. } | ValidityError::Unusable { .. } => {
                        SignInRefusal::RevocationUnknown
                    }
                };
                Err(fault(refusal, error.code(), error.to_string()))
            }
        }
    }

    /// What the link of a certificate is called.
    async fn link_name(&self, certificate: &CertificateId) -> Result<Fingerprint, HsmError> {
        let mac = self.parts.hsm.index_hmac(&index_input(certificate)).await?;
        Ok(Fingerprint(hex::encode(mac)))
    }

    /// A renewed card takes the place of the one it renews, before anything rests on it.
    pub(super) async fn renew(
        &self,
        request_id: &str,
        proved: &ProvedCard,
        terminal: &str,
    ) -> Result<(), SignInRefusal> {
        let (Some(my_numbers), Some(MyNumber { renews: Some(old), certificate })) =
            (&self.my_numbers, &proved.my_number)
        else {
            return Ok(());
        };
        let Some(before) = self.parts.registry.jpki(old) else {
            return Err(SignInRefusal::CardNotRegistered);
        };
        // The records of it are durable before the new one serves. That nothing came of it is recorded, too.
        let holder_id = &before.holder_id;
        for (card, change, detail) in [
            (
                &proved.factor,
                "granted",
                format!("renewed: takes the place of {}, as the provider vouches", old.0),
            ),
            (old, "removed", "renewed by its holder's next sign-in".to_owned()),
        ] {
            let entry = entries::my_number_changed(request_id, holder_id, card, change, detail);
            if let Err(error) = self.parts.audit.append(entry).await {
                tracing::error!(request_id, %error, "a renewal could not be recorded");
                return Err(SignInRefusal::Unavailable);
            }
        }
        let new = NewCard {
            card: proved.factor.clone(),
            certificate: certificate.clone(),
            once_key: proved.replay_key.clone(),
        };
        let (code, refused) = match my_numbers.links.renew(old, &new, terminal).await {
            Ok(Renewed::Done { link, replaced }) => {
                self.take_up_my_number(*link).await;
                self.let_go_my_number(request_id, &replaced).await;
                return Ok(());
            }
            // Another sign-in with the same card was first.
            Ok(Renewed::Known) => return Ok(()),
            Ok(Renewed::Gone) => ("not_linked", SignInRefusal::CardNotRegistered),
            Ok(Renewed::EvidenceUsed) => ("evidence_used", SignInRefusal::ProofNotFresh),
            Err(error) => {
                tracing::error!(request_id, %error, "a renewal could not be stored");
                ("not_stored", SignInRefusal::Unavailable)
            }
        };
        let detail = "nothing came of the renewal that is recorded under this request";
        let entry = entries::link_denied(request_id, code, detail);
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(request_id, %error, "a lost renewal could not be recorded");
        }
        Err(refused)
    }

    /// Puts a durable link into memory. One that was removed in between stays removed.
    pub(super) async fn take_up_my_number(&self, link: JpkiLink) {
        let (registry, card) = (&self.parts.registry, link.card.clone());
        registry.put_jpki(link);
        match self.parts.trust.load::<JpkiLink>(&card.0).await {
            Ok(Some(_)) => {}
            Ok(None) => registry.remove_jpki(&card),
            Err(error) => {
                tracing::error!(%error, "a My Number card's link could not be read; it serves no more until a restart");
                registry.remove_jpki(&card);
            }
        }
    }

    /// A link whose record is gone, as the audit log says: every session that rests on it ends.
    pub(super) async fn let_go_my_number(&self, request_id: &str, gone: &JpkiLink) {
        self.parts.registry.remove_jpki(&gone.card);
        self.end_what_rests_on(request_id, &gone.holder_id, &gone.card).await;
    }

    /// The certificate behind the link `card`, if nothing that is known here speaks against it.
    pub(super) fn my_number_identity(
        &self,
        card: &Fingerprint,
        now: UnixSeconds,
    ) -> Result<JpkiIdentity, Standing> {
        let link = self.parts.registry.jpki(card).ok_or(Standing::Refused)?;
        let leaf = self.parts.vault.open(&certificate_purpose(card), &link.certificate);
        let leaf = leaf.map_err(|error| {
            tracing::error!(%error, "ALARM: a My Number card's certificate cannot be opened");
            Standing::Unknown
        })?;
        let judged = self.parts.judge.judge_jpki_leaf(&leaf, now);
        let standing = standing(&judged);
        judged.map_err(|_| standing)
    }

    /// Judges the certificate behind the link `card` again, as far as everybody can say now.
    pub(super) async fn judge_my_number(&self, card: &Fingerprint, now: UnixSeconds) -> Standing {
        let identity = match self.my_number_identity(card, now) {
            Ok(identity) => identity,
            Err(standing) => return standing,
        };
        match self.parts.jpki_validity.check(&identity.leaf, &identity.issuer, now).await {
            Ok(Validity::Good { until, .. }) if now <= until => Standing::Good,
            Ok(Validity::Revoked { .. }) => Standing::Revoked,
            Ok(Validity::Good { .. }) | Err(_) => Standing::Unknown,
        }
    }
}

/// What the person is told whose card was refused. A card of another authority is another card.
fn for_person(refusal: &CertificateRefusal) -> SignInRefusal {
    match refusal {
        CertificateRefusal::Path(PathError::UnknownIssuer { .. }) => SignInRefusal::OtherKindOfCard,
        other => standing::for_person(other),
    }
}
