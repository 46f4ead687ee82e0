//! A card that was shown in a handshake: whether it proves anything, and whose it is.

use super::Keeper;
use super::standing;
use api::operations::CardHandshake;
use api::operations::SignInRefusal;
use attest::clock::UnixSeconds;
use attest::evidence::CardEvidence;
use attest::evidence::CardKind;
use attest::evidence::Expectations;
use attest::judge::CardIdentity;
use attest::records::Holder;
use std::sync::Arc;
use std::time::Duration;

/// Possession of a good card.
pub(super) struct ProvedCard {
    pub card: CardIdentity,
    pub evidence: CardEvidence,
}

/// Why a handshake is no proof of a good card.
pub(super) struct CardFault {
    /// What the person may be told.
    pub refusal: SignInRefusal,
    /// Stable word for the log.
    pub code: &'static str,
    /// For the auditor.
    pub detail: String,
    /// Whether possession is proved, but the card does not do.
    pub is_proved: bool,
}

impl Keeper {
    /// Judges a handshake that must not be older than `not_before`.
    pub(super) fn prove_card(
        &self,
        handshake: CardHandshake,
        not_before: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<ProvedCard, CardFault> {
        let kind = CardKind::Hpki;
        let evidence = CardEvidence {
            kind,
            leaf_der: handshake.leaf_der,
            transcript: handshake.transcript,
            signature_scheme: handshake.signature_scheme,
            signature: handshake.signature,
            handshake_at: UnixSeconds(handshake.handshake_at),
        };
        let settings = &self.parts.settings;
        let expected = Expectations {
            kind,
            host: &settings.hpki_host,
            server_certificates: &self.parts.listener_certificate.fingerprints(),
            not_before,
            now,
            max_age: Duration::from_secs(settings.handshake_seconds),
        };
        let verified = evidence.verify(&expected).map_err(|error| CardFault {
            refusal: SignInRefusal::ProofNotFresh,
            code: error.code(),
            detail: error.to_string(),
            is_proved: false,
        })?;
        let card = self.parts.judge.judge_card(&verified, now).map_err(|refused| CardFault {
            refusal: standing::for_person(&refused),
            code: refused.code(),
            detail: refused.to_string(),
            is_proved: true,
        })?;
        Ok(ProvedCard { card, evidence })
    }

    /// Whose card it is.
    pub(super) fn holder_of_card(&self, card: &CardIdentity) -> Result<Arc<Holder>, SignInRefusal> {
        let registry = &self.parts.registry;
        let link = registry.card(&card.fingerprint).ok_or(SignInRefusal::CardNotRegistered)?;
        registry.holder(&link.holder_id).ok_or(SignInRefusal::CardNotRegistered)
    }
}
