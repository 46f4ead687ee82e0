//! Who registers a phone or a security key: a holder before a PC with a good card.

use super::Keeper;
use super::card::CardFault;
use super::card::ProvedCard;
use super::card::Step;
use super::sign_in::refusal_name;
use api::operations::CardHandshake;
use api::operations::SignInRefusal;
use api::operations::WhyNot;
use attest::authenticator::Authenticator;
use attest::authenticator::AuthenticatorKind;
use attest::authenticator::MAX_SECURITY_KEYS;
use attest::clock::UnixSeconds;
use attest::records::Fingerprint;
use attest::records::Holder;
use attest::records::Method;
use std::sync::Arc;

/// A card that may register something.
pub(super) struct Met {
    pub proved: ProvedCard,
    pub holder: Arc<Holder>,
    pub kind: AuthenticatorKind,
    /// The phone that goes when the new one is proved.
    pub replaces: Option<Arc<Authenticator>>,
}

impl Met {
    /// What the form is about: nobody gives up another phone than the one they were shown, nor registers another kind.
    pub fn subject(&self) -> Fingerprint {
        let replaces = self.replaces.as_ref().map(|phone| phone.authenticator_id.0.as_str());
        let (kind, replaces) = (self.kind.name(), replaces.unwrap_or("-"));
        let subject = format!("enrol/{}/{kind}/{replaces}", self.holder.holder_id);
        Fingerprint::of(subject.as_bytes())
    }
}

/// Why a card registers nothing.
pub(super) enum NotMet {
    Refused(WhyNot),
    /// It was registered too short a time ago.
    TooNew {
        seconds: u64,
    },
}

impl Keeper {
    /// The holder whose good card is before the reader, where it may register something of this kind.
    pub(super) async fn meet_enroller(
        &self,
        request_id: &str,
        kind: AuthenticatorKind,
        handshake: CardHandshake,
        step: Step,
    ) -> Result<Met, NotMet> {
        let proved = self.proved_enroller(request_id, handshake, step).await;
        let (proved, holder) = proved.map_err(NotMet::Refused)?;
        let (registry, holder_id) = (&self.parts.registry, &holder.holder_id);
        let refusal = match (kind, &self.phones) {
            (_, None) => Some(SignInRefusal::NotAllowedHere),
            (AuthenticatorKind::SecurityKey, Some(_))
                if registry.security_keys_of(holder_id) >= MAX_SECURITY_KEYS =>
            {
                Some(SignInRefusal::KeysFull)
            }
            (AuthenticatorKind::Phone | AuthenticatorKind::SecurityKey, Some(_)) => None,
        };
        if let Some(refusal) = refusal {
            self.note_enrolment(request_id, refusal_name(refusal), "").await;
            return Err(NotMet::Refused(refusal.into()));
        }
        if let Some(seconds) = self.seconds_too_new(&proved) {
            let detail = format!("card {}", proved.factor.0);
            self.note_enrolment(request_id, "factor_too_new", &detail).await;
            return Err(NotMet::TooNew { seconds });
        }
        let replaces = match kind {
            AuthenticatorKind::Phone => registry.phone_of(holder_id),
            AuthenticatorKind::SecurityKey => None,
        };
        Ok(Met { proved, holder, kind, replaces })
    }

    /// How long this card may still register nothing. The ticket asks again, in its last transaction.
    fn seconds_too_new(&self, proved: &ProvedCard) -> Option<u64> {
        let linked_at = match proved.method {
            Method::Jpki => self.parts.registry.jpki(&proved.factor)?.linked_at,
            // Two operators linked it; a phone is no card.
            Method::Hpki | Method::Fido2 => return None,
        };
        let from = self.parts.settings.factor_rules.may_add_from(linked_at);
        let now = self.parts.clock.now().unwrap_or(linked_at);
        (now < from).then(|| now.seconds_until(from))
    }

    /// The holder whose good card is before the reader, and who may sign at all.
    pub(super) async fn proved_enroller(
        &self,
        request_id: &str,
        handshake: CardHandshake,
        step: Step,
    ) -> Result<(ProvedCard, Arc<Holder>), WhyNot> {
        let now = self.parts.clock.now().map_err(|_| SignInRefusal::Unavailable)?;
        // There is no link that a handshake could be too old for; how old it may be at all is checked with it.
        let proved = match self.prove_card(handshake, UnixSeconds(0), now).await {
            Ok(proved) => proved,
            Err(CardFault { refusal, code, detail, .. }) => {
                if step.is_noted(code) {
                    self.note_enrolment(request_id, code, &detail).await;
                }
                return Err(refusal);
            }
        };
        let holder = self.holder_of_card(&proved).and_then(|holder| {
            // Who may not sign by any method registers nothing.
            self.entitlement(&holder, &proved.roles, now).map(|_| holder)
        });
        match holder {
            Ok(holder) => Ok((proved, holder)),
            Err(refusal) => {
                let detail = format!("card {}", proved.factor.0);
                self.note_enrolment(request_id, refusal_name(refusal), &detail).await;
                Err(self.refused_with(&proved, refusal))
            }
        }
    }
}
