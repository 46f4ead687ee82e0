//! What a link or a page stands for is finished or denied: the phone's link and the PC's own page lead to the same.

use super::Keeper;
use super::phones::Phones;
use super::phones::Shown;
use api::operations::portal::PhoneDone;
use attest::sessions::SessionError;
use attest::sign_in::DenyReason;

impl Keeper {
    /// The authenticator answered to what a link or a page stands for.
    pub(super) async fn finish_shown(
        &self,
        request_id: &str,
        phones: &Phones,
        shown: Result<Option<Shown>, SessionError>,
        ceremony_id: &str,
        credential_json: &str,
    ) -> PhoneDone {
        let Ok(now) = self.parts.clock.now() else {
            return PhoneDone::Unavailable;
        };
        let done = match shown {
            Ok(Some(Shown::SignIn(handoff))) if handoff.is_open(now) => {
                let handoff_id = &handoff.handoff_id;
                let proof = phones.fido2.finish_assertion(ceremony_id, handoff_id, credential_json);
                self.finish_sign_in(request_id, phones, *handoff, proof).await
            }
            Ok(Some(Shown::Enrolment(ticket))) if ticket.is_open(now) => {
                let ticket_id = &ticket.ticket_id;
                let new = phones.fido2.finish_registration(ceremony_id, ticket_id, credential_json);
                self.finish_enrolment(request_id, phones, *ticket, new).await
            }
            Ok(Some(Shown::Confirmation(ticket))) if ticket.proved(now).is_some() => {
                let proof =
                    phones.fido2.finish_assertion(ceremony_id, &ticket.ticket_id, credential_json);
                self.finish_confirmation(request_id, phones, *ticket, proof).await
            }
            Ok(Some(Shown::Change(change))) if change.is_open(now) => {
                let proof =
                    phones.fido2.finish_assertion(ceremony_id, &change.change_id, credential_json);
                self.finish_change(request_id, phones, *change, proof).await
            }
            Ok(_) => Ok(PhoneDone::Over),
            Err(error) => Err(error),
        };
        done.unwrap_or_else(|error| {
            tracing::error!(request_id, %error, "what a phone proved could not be stored");
            PhoneDone::Unavailable
        })
    }

    /// The holder said no to what a link or a page stands for.
    pub(super) async fn deny_shown(
        &self,
        request_id: &str,
        phones: &Phones,
        shown: Result<Option<Shown>, SessionError>,
    ) -> PhoneDone {
        let denied = match shown {
            Ok(Some(Shown::SignIn(handoff))) => {
                self.deny_sign_in(request_id, phones, &handoff, DenyReason::ByHolder).await
            }
            Ok(Some(Shown::Enrolment(ticket) | Shown::Confirmation(ticket))) => {
                self.deny_enrolment(request_id, phones, &ticket).await
            }
            Ok(Some(Shown::Change(change))) => self.deny_change(request_id, phones, &change).await,
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        };
        match denied {
            Ok(true) => PhoneDone::Denied,
            Ok(false) => PhoneDone::Over,
            Err(error) => {
                tracing::error!(request_id, %error, "a denial could not be stored");
                PhoneDone::Unavailable
            }
        }
    }
}
