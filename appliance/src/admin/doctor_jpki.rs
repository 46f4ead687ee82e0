//! Whether the provider of validity for My Number cards answers: asked once for each generation of their CA.

use super::desk::AdminDesk;
use super::doctor::bad;
use super::doctor::good;
use super::doctor::unread;
use api::admin::answer::DoctorCheck;
use attest::clock::UnixSeconds;
use attest::path::Certificate;
use attest::records::Anchor;
use attest::records::AnchorPurpose;
use attest::validity::ValidityError;
use futures_util::future::join_all;

impl AdminDesk {
    pub(super) async fn jpki_provider(&self, now: UnixSeconds) -> Vec<DoctorCheck> {
        let anchors = match self.parts().trust.load_all::<Anchor>().await {
            Ok(anchors) => anchors,
            Err(error) => return vec![unread("provider of validity", &error)],
        };
        let issuers: Vec<_> = anchors
            .iter()
            .filter(|anchor| anchor.purpose == AnchorPurpose::JpkiCard)
            // What cannot be parsed was never taken for an anchor.
            .filter_map(|anchor| Certificate::from_der(&anchor.certificate_der).ok())
            .collect();
        join_all(issuers.iter().map(|issuer| self.provider_for(issuer, now))).await
    }

    async fn provider_for(&self, issuer: &Certificate, now: UnixSeconds) -> DoctorCheck {
        // Generations share a name; the number tells them apart.
        let generation = format!("{} no. {}", issuer.subject_text(), hex::encode(issuer.serial()));
        let subject = format!("validity of cards of {generation}");
        match self.parts().jpki_validity.probe(issuer, now).await {
            Ok(()) => good(subject, "the provider answers"),
            Err(error) => bad(subject, format!("{error}; such cards are refused"), next(&error)),
        }
    }
}

/// What to do about a provider that gives no answer.
fn next(error: &ValidityError) -> &'static str {
    match error {
        ValidityError::NoProvider => {
            "write a table [jpki.validity]: inkan check-config --example; then systemctl restart inkan"
        }
        ValidityError::Unavailable { .. } => {
            "is the provider up, and the way to it? Look at [jpki.validity]; inkan check-config FILE"
        }
        ValidityError::Unusable { .. } | ValidityError::Unknown => {
            "show this to whoever runs the provider; what it must answer is in JPKI-PROVIDER.md"
        }
    }
}
