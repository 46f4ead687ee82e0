//! A card that was shown in a handshake: whether it proves anything, and whose it is.

use super::Keeper;
use super::jpki::MyNumber;
use super::standing;
use api::operations::CardHandshake;
use api::operations::SignInRefusal;
use api::operations::WhyNot;
use attest::clock::UnixSeconds;
use attest::evidence::CardEvidence;
use attest::evidence::CardKind;
use attest::evidence::EvidenceError;
use attest::evidence::Expectations;
use attest::evidence::VerifiedCard;
use attest::hc_role::HcRole;
use attest::judge::card_fingerprint;
use attest::path::Certificate;
use attest::records::Fingerprint;
use attest::records::Holder;
use attest::records::Method;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::time::Duration;

/// Possession of a good card.
pub(super) struct ProvedCard {
    pub method: Method,
    /// What the card's link is called.
    pub factor: Fingerprint,
    /// Roles in its certificate; a My Number card says nothing of its holder.
    pub roles: Vec<HcRole>,
    /// Last second of its certificate.
    pub not_after: UnixSeconds,
    /// Its certificate as a session keeps it, where it may.
    pub certificate_b64: Option<String>,
    /// What the handshake is remembered by as used.
    pub replay_key: Fingerprint,
    /// When presence was proved.
    pub proved_at: UnixSeconds,
    /// The evidence as the audit log keeps it.
    pub evidence_json: String,
    /// What a My Number card brings besides.
    pub my_number: Option<MyNumber>,
}

/// Why a handshake is no proof of a good card.
pub(super) struct CardFault {
    /// What the person may be told.
    pub refusal: WhyNot,
    /// Stable word for the log.
    pub code: &'static str,
    /// For the auditor.
    pub detail: String,
    /// Whether possession is proved, but the card does not do.
    pub is_proved: bool,
}

/// What the browser does with the card.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// It opens a page.
    Look,
    /// It sends a form that decides.
    Decide,
}

impl Step {
    /// Whether a handshake that fails as `code` says goes into the audit log. Browsers connect ahead: a page that meets a
    /// handshake which is merely too old sends them for another, and there is nothing to tell of it.
    pub(super) fn is_noted(self, code: &str) -> bool {
        match self {
            Self::Look => code != EvidenceError::NotFresh("").code(),
            Self::Decide => true,
        }
    }
}

impl Keeper {
    /// Judges a handshake that must not be older than `not_before`.
    pub(super) async fn prove_card(
        &self,
        handshake: CardHandshake,
        not_before: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<ProvedCard, CardFault> {
        let CardHandshake { kind, leaf_der, transcript, signature_scheme, signature, handshake_at } =
            handshake;
        let handshake_at = UnixSeconds(handshake_at);
        let evidence =
            CardEvidence { kind, leaf_der, transcript, signature_scheme, signature, handshake_at };
        let verified = self.verify(&evidence, not_before, now)?;
        match kind {
            CardKind::Hpki => self.prove_hpki(&evidence, &verified, now),
            CardKind::Jpki => self.prove_my_number(&evidence, &verified, now).await,
        }
    }

    /// Possession, for the listener of this kind of card. What the card signed says which listener it was.
    fn verify(
        &self,
        evidence: &CardEvidence,
        not_before: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<VerifiedCard, CardFault> {
        let settings = &self.parts.settings;
        let hpki = || (settings.hpki_host.as_str(), &self.parts.listener_certificate);
        let listener = match (evidence.kind, &self.my_numbers) {
            (CardKind::Hpki, _) => Some(hpki()),
            (CardKind::Jpki, Some(jpki)) => Some((jpki.listener.host.as_str(), &jpki.certificate)),
            (CardKind::Jpki, None) => None,
        };
        let (host, certificate) = listener.ok_or_else(|| CardFault {
            refusal: SignInRefusal::NoValidityProvider.into(),
            code: "no_listener",
            detail: "no listener for My Number cards is configured".to_owned(),
            is_proved: false,
        })?;
        let expected = Expectations {
            kind: evidence.kind,
            host,
            server_certificates: &certificate.fingerprints(),
            not_before,
            now,
            max_age: Duration::from_secs(settings.handshake_seconds),
        };
        evidence.verify(&expected).map_err(|error| CardFault {
            refusal: SignInRefusal::ProofNotFresh.into(),
            code: error.code(),
            detail: error.to_string(),
            is_proved: false,
        })
    }

    fn prove_hpki(
        &self,
        evidence: &CardEvidence,
        verified: &VerifiedCard,
        now: UnixSeconds,
    ) -> Result<ProvedCard, CardFault> {
        let card = self.parts.judge.judge_card(verified, now).map_err(|refused| {
            let why = standing::for_person(&refused);
            let leaf = Certificate::from_der(verified.leaf_der());
            let told = leaf.map(|leaf| self.refused_card(&card_fingerprint(&leaf), why));
            CardFault {
                refusal: told.unwrap_or_else(|_| why.into()),
                code: refused.code(),
                detail: refused.to_string(),
                is_proved: true,
            }
        })?;
        let evidence_json = serde_json::to_string(evidence).map_err(|error| CardFault {
            refusal: SignInRefusal::Unavailable.into(),
            code: "not_written",
            detail: error.to_string(),
            is_proved: true,
        })?;
        Ok(ProvedCard {
            method: Method::Hpki,
            factor: card.fingerprint,
            roles: card.roles,
            not_after: card.not_after,
            certificate_b64: Some(STANDARD.encode(&evidence.leaf_der)),
            replay_key: verified.replay_key().clone(),
            proved_at: verified.handshake_at(),
            evidence_json,
            my_number: None,
        })
    }

    /// Whose card it is.
    pub(super) fn holder_of_card(&self, card: &ProvedCard) -> Result<Arc<Holder>, SignInRefusal> {
        let registry = &self.parts.registry;
        let holder_id = match &card.my_number {
            None => registry.card(&card.factor).map(|link| link.holder_id.clone()),
            Some(MyNumber { renews, .. }) => {
                let linked = renews.as_ref().unwrap_or(&card.factor);
                registry.jpki(linked).map(|link| link.holder_id.clone())
            }
        };
        let holder = holder_id.and_then(|holder_id| registry.holder(&holder_id));
        holder.ok_or(SignInRefusal::CardNotRegistered)
    }
}
