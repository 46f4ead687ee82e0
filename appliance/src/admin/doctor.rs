//! Everything inside the appliance that a new operator gets wrong or an old one forgets, checked, with what to type next.
//!
//! What can only be seen beside the appliance (files, modes, listeners) is checked by the command-line tool.

use crate::admin::desk::AdminDesk;
use crate::admin::house::LEAST_SECURITY_OFFICERS;
use crate::admin::proposal::Proposal;
use api::admin::answer::DoctorCheck;
use api::admin::answer::DoctorView;
use api::admin::answer::Verdict;
use attest::authenticator::Authenticator;
use attest::clock::UnixSeconds;
use attest::judge::HcRoleSource;
use attest::records::Anchor;
use attest::records::AnchorPurpose;
use attest::records::CredentialStatus;
use attest::records::Method;
use attest::records::Role;
use attest::registry::LiveCredential;
use attest::registry::Standing;
use attest::trust::TrustError;
use hsm::HsmState;
use std::sync::Arc;

/// Days before the end of a second certificate at which a new one should be under way: the authority takes weeks.
pub(super) const CERTIFICATE_WARNING_DAYS: u64 = 60;
/// Certificates named one by one; the rest is counted.
const NAMED: usize = 10;

impl AdminDesk {
    pub(super) async fn doctor(&self) -> DoctorView {
        let now = self.parts().clock.now().unwrap_or_else(|error| UnixSeconds(error.now));
        DoctorView { checks: self.checks(now).await }
    }

    /// Every check at `now`. What cannot be read is a finding, and no reason to say nothing of the rest.
    pub(super) async fn checks(&self, now: UnixSeconds) -> Vec<DoctorCheck> {
        let mut checks = vec![self.token(), self.audit_log(), self.storage(), self.clock()];
        checks.extend(self.revocation_lists(now));
        checks.extend(self.anchor_of_each_purpose().await);
        checks.extend(self.jpki_provider(now).await);
        checks.push(self.test_mode());
        checks.push(self.security_officers());
        checks.extend(self.keys_and_certificates(now));
        checks.extend(self.doomed_keys().await);
        checks.push(self.holders_without_card());
        checks.push(self.signing_systems());
        checks.push(self.portal());
        checks.push(self.my_number_cards());
        checks.extend(self.copied_phones());
        checks.push(self.open_proposals(now).await);
        checks
    }

    fn token(&self) -> DoctorCheck {
        let status = self.parts().hsm.status();
        let found = format!(
            "{} ({}), {} sessions live, {} hung, {} keys in service",
            status.token.label,
            status.token.serial,
            status.sessions_live,
            status.sessions_hung,
            status.keys_in_service
        );
        match status.state {
            HsmState::Serving if status.sessions_hung == 0 => good("token", found),
            HsmState::Serving => {
                warning("token", found, "look at the HSM; systemctl restart inkan")
            }
            HsmState::Down { reason } => bad(
                "token",
                format!("not reachable: {reason}"),
                "is the HSM on, and its client daemon?",
            ),
            HsmState::PinRefused => bad(
                "token",
                "the token refused the PIN; it is not tried again",
                "put the right PIN into the credential hsm-pin, then systemctl restart inkan",
            ),
            HsmState::ShutDown => bad("token", "shut down", "systemctl restart inkan"),
        }
    }

    fn audit_log(&self) -> DoctorCheck {
        let audit = &self.parts().audit;
        let records = audit.records();
        match (audit.ready(), audit.checkpoint()) {
            (Err(error), _) => {
                let next = "df -h; make room or mend the disk, then systemctl restart inkan";
                bad("audit log", format!("nothing is signed: {error}"), next)
            }
            (Ok(()), None) if records > 0 => warning(
                "audit log",
                format!("{records} records, no checkpoint yet"),
                "inkan status",
            ),
            (Ok(()), checkpoint) => {
                let under = checkpoint.map_or(0, |signed| signed.checkpoint.size);
                good("audit log", format!("{records} records, {under} under the newest checkpoint"))
            }
        }
    }

    fn storage(&self) -> DoctorCheck {
        match self.parts().store.stopped() {
            None => good("store", "works"),
            Some(reason) => bad(
                "store",
                format!("stopped, nobody signs in: {reason}"),
                "df -h; look at the disk, then systemctl restart inkan",
            ),
        }
    }

    fn clock(&self) -> DoctorCheck {
        match self.parts().clock.now() {
            Ok(now) => good("clock", crate::x509::rfc3339(now.0)),
            Err(error) => bad("clock", error.to_string(), "timedatectl; set the clock right"),
        }
    }

    fn revocation_lists(&self, now: UnixSeconds) -> Vec<DoctorCheck> {
        let lists = self.parts().judge.crl_status(now);
        if lists.is_empty() {
            let found = "no revocation list is loaded; every certificate is refused";
            let next =
                "look at [hpki.crls] and [second_certificates.crls]; inkan check-config FILE";
            return vec![bad("revocation lists", found, next)];
        }
        let check = |list: &attest::revocation::CrlStatus| {
            let subject = format!("list of {}", list.issuer);
            let hours = list.remaining_seconds / 3_600;
            let found = format!("number {}, good for {hours} h", list.number);
            let next = "bring a newer list to where the configuration says it comes from";
            match (list.is_stale, list.is_alarm) {
                (true, _) => bad(subject, "ended: every certificate under it is refused", next),
                (false, true) => warning(subject, found, next),
                (false, false) => good(subject, found),
            }
        };
        lists.iter().map(check).collect()
    }

    async fn anchor_of_each_purpose(&self) -> Vec<DoctorCheck> {
        let anchors = match self.parts().trust.load_all::<Anchor>().await {
            Ok(anchors) => anchors,
            Err(error) => return vec![unread("anchors", &error)],
        };
        let check = |(purpose, name): (AnchorPurpose, &str)| {
            let subject = format!("anchors for {name}");
            match anchors.iter().filter(|anchor| anchor.purpose == purpose).count() {
                0 => bad(
                    subject,
                    "none: every certificate is refused",
                    format!("inkan anchor add {name} FILE"),
                ),
                count => good(subject, count.to_string()),
            }
        };
        let mut purposes = vec![
            (AnchorPurpose::HpkiCard, "hpki_card"),
            (AnchorPurpose::SecondCertificate, "second_certificate"),
        ];
        if self.parts().settings.jpki.is_some() {
            purposes.push((AnchorPurpose::JpkiCard, "jpki_card"));
        }
        purposes.into_iter().map(check).collect()
    }

    fn test_mode(&self) -> DoctorCheck {
        match self.parts().judge.is_test_mode() {
            false => good("test mode", "off"),
            true => bad(
                "test mode",
                "ON: anybody with a published test card may sign in",
                "inkan test-mode off",
            ),
        }
    }

    fn security_officers(&self) -> DoctorCheck {
        let operators = self.parts().registry.operators();
        let officers =
            operators.iter().filter(|operator| operator.role == Role::SecurityOfficer).count();
        let found = format!("{officers} security officers, {} operators", operators.len());
        match officers {
            0..LEAST_SECURITY_OFFICERS => bad(
                "operators",
                found,
                "inkan operator add ID --role security_officer --certificate FILE",
            ),
            LEAST_SECURITY_OFFICERS => warning(
                "operators",
                format!("{found}: when one of them is away nothing can be granted"),
                "inkan operator add ID --role security_officer --certificate FILE",
            ),
            _ => good("operators", found),
        }
    }

    fn keys_and_certificates(&self, now: UnixSeconds) -> Vec<DoctorCheck> {
        let credentials = self.parts().registry.credentials();
        let mut checks: Vec<_> =
            credentials.iter().filter_map(|live| key_check(live, now)).collect();
        let more = checks.len().saturating_sub(NAMED);
        checks.truncate(NAMED);
        if more > 0 {
            checks.push(warning("keys", format!("{more} more like these"), "inkan key list"));
        }
        let active = credentials.iter().filter(|live| live.may_sign()).count();
        checks.push(match (active, credentials.len()) {
            (0, _) => warning(
                "keys",
                "none may sign yet",
                "inkan key create ID --holder HOLDER --type rsa-3072",
            ),
            (active, _) => good("keys", format!("{active} may sign")),
        });
        checks
    }

    /// Pairs that two operators have ended and the token still holds.
    async fn doomed_keys(&self) -> Option<DoctorCheck> {
        match self.dooms().await {
            Ok(0) => None,
            Ok(count) => Some(bad(
                "keys",
                format!(
                    "{count} pairs are to be destroyed and still in the token; tried every minute"
                ),
                "see the token above; journalctl -u inkan",
            )),
            Err(error) => Some(unread("keys to destroy", &error)),
        }
    }

    fn holders_without_card(&self) -> DoctorCheck {
        let registry = &self.parts().registry;
        let (holders, cards) = (registry.holders(), registry.cards());
        let has_card = |holder_id: &str| cards.iter().any(|link| link.holder_id == holder_id);
        let mut without =
            holders.iter().filter(|holder| holder.enabled && !has_card(&holder.holder_id));
        let (first, more) = (without.next(), without.count());
        match first {
            _ if holders.is_empty() => {
                warning("holders", "none yet", "inkan holder add ID --name NAME")
            }
            None => good("holders", format!("{} holders, every one with a card", holders.len())),
            Some(holder) => warning(
                "holders",
                format!(
                    "{} and {more} others have no card linked and cannot sign in",
                    holder.holder_id
                ),
                format!("inkan card link {} --certificate FILE", holder.holder_id),
            ),
        }
    }

    fn signing_systems(&self) -> DoctorCheck {
        match self.parts().registry.systems().len() {
            0 => warning(
                "signing systems",
                "none yet",
                "inkan system add ID --name NAME --certificate FILE --all-holders --return-url URL",
            ),
            count => good("signing systems", count.to_string()),
        }
    }

    /// Whether phones can be used where signing systems take them. The files say the rest: see `inkan check-config`.
    fn portal(&self) -> DoctorCheck {
        let parts = self.parts();
        let systems = parts.registry.systems();
        let mut taking = systems.iter().filter(|system| system.methods.contains(&Method::Fido2));
        match (&parts.settings.portal_origin, taking.next()) {
            (None, None) => good("portal", "none; cards only"),
            (None, Some(system)) => warning(
                "portal",
                format!("{} takes phones, but there is no portal", system.system_id),
                "write [listeners.portal]: inkan check-config --example; then systemctl restart inkan",
            ),
            (Some(_), Some(_)) if parts.judge.hc_role_rule().source == HcRoleSource::Card => bad(
                "portal",
                "the qualification must be in the card, which no phone shows: every phone is refused",
                "write hpki.profile.hc_role.source = \"either\"; then systemctl restart inkan",
            ),
            (Some(origin), Some(_)) => good(
                "portal",
                format!("{origin}, {} phones", parts.registry.authenticators().len()),
            ),
            (Some(origin), None) => warning(
                "portal",
                format!("{origin}, but no signing system takes phones"),
                "inkan system update ID --method hpki --method fido2",
            ),
        }
    }

    fn my_number_cards(&self) -> DoctorCheck {
        let parts = self.parts();
        let systems = parts.registry.systems();
        let takes_cards = systems.iter().find(|system| system.methods.contains(&Method::Jpki));
        let linked = parts.registry.jpki_links().len();
        let subject = "My Number cards";
        match (&parts.settings.jpki, takes_cards) {
            (None, None) => good(subject, "no listener is configured, none is asked for"),
            (None, Some(system)) => warning(
                subject,
                format!("no listener is configured, but {} takes such cards", system.system_id),
                "write a table [listeners.jpki]; inkan check-config --example has one",
            ),
            (Some(listener), _) if !listener.has_provider => bad(
                subject,
                "every one is refused: nobody is asked whether they are valid",
                "write a table [jpki.validity]; inkan check-config --example has one",
            ),
            (Some(_), _) if parts.judge.hc_role_rule().source == HcRoleSource::Card => bad(
                subject,
                "the qualification must be in the card, which no My Number card shows: every one is refused",
                "write hpki.profile.hc_role.source = \"either\"; then systemctl restart inkan",
            ),
            (Some(listener), None) => warning(
                subject,
                format!("{}, but no signing system takes such cards", listener.origin),
                "inkan system update ID --method hpki --method jpki",
            ),
            (Some(listener), Some(_)) => {
                good(subject, format!("{}, {linked} registered", listener.origin))
            }
        }
    }

    fn copied_phones(&self) -> Vec<DoctorCheck> {
        let phones = self.parts().registry.authenticators();
        phones.iter().filter_map(copied_phone).take(NAMED).collect()
    }

    async fn open_proposals(&self, now: UnixSeconds) -> DoctorCheck {
        let proposals = match self.parts().trust.load_all::<Proposal>().await {
            Ok(proposals) => proposals,
            Err(error) => return unread("proposals", &error),
        };
        let mut open = proposals.iter().filter(|proposal| proposal.is_open(now));
        let (first, more) = (open.next(), open.count());
        match first {
            None => good("proposals", "none waits"),
            Some(proposal) => warning(
                "proposals",
                format!("{} wait for a second operator", more + 1),
                format!("inkan proposals show {}", proposal.proposal_id),
            ),
        }
    }
}

/// What is wrong with a key, or will be soon.
pub(super) fn key_check(live: &Arc<LiveCredential>, now: UnixSeconds) -> Option<DoctorCheck> {
    let (record, id) = (&live.record, &live.record.credential_id);
    let days = now.seconds_until(record.not_after) / 86_400;
    let subject = format!("key {id}");
    let install = format!(
        "inkan key install {id} --chain FILE   (the request again: inkan key request {id})"
    );
    match (record.status, live.standing()) {
        (CredentialStatus::Quarantined, _) => Some(bad(
            subject,
            "in quarantine: a signature of it did not verify",
            format!("find out why, then inkan key release {id}, or inkan key revoke {id}"),
        )),
        (CredentialStatus::Active, Standing::Revoked) => {
            Some(bad(subject, "its certificate is revoked", format!("inkan key revoke {id}")))
        }
        (CredentialStatus::Active, Standing::Refused | Standing::Unknown) => Some(bad(
            subject,
            "its certificate does not pass: it signs nothing",
            "inkan doctor: see revocation lists and anchors",
        )),
        (CredentialStatus::Active, Standing::Good) if days < CERTIFICATE_WARNING_DAYS => {
            let next = match record.life.next {
                None => format!("inkan key renew {id} --out REQUEST.pem"),
                Some(_) => install,
            };
            Some(warning(subject, format!("its certificate ends in {days} days"), next))
        }
        (CredentialStatus::Generated, _) => {
            Some(warning(subject, "has no certificate yet", install))
        }
        (CredentialStatus::Active, Standing::Good) => None,
        (CredentialStatus::Revoked | CredentialStatus::Destroyed, _) => None,
    }
}

/// A phone or security key of which there may be a copy.
pub(super) fn copied_phone(phone: &Arc<Authenticator>) -> Option<DoctorCheck> {
    phone.counter_went_back_at?;
    let (id, holder) = (&phone.authenticator_id.0, &phone.holder_id);
    let found = format!("its counter went back: somebody may have a copy; of {holder}");
    Some(bad(
        format!("{} {}", phone.kind.name(), phone.label),
        found,
        format!("inkan device remove {id}"),
    ))
}

pub(super) fn unread(subject: &str, error: &TrustError) -> DoctorCheck {
    bad(subject, format!("cannot be read: {error}"), "see the store above; journalctl -u inkan")
}

pub(super) fn good(subject: impl Into<String>, found: impl Into<String>) -> DoctorCheck {
    DoctorCheck { subject: subject.into(), verdict: Verdict::Good, found: found.into(), next: None }
}

pub(super) fn warning(
    subject: impl Into<String>,
    found: impl Into<String>,
    next: impl Into<String>,
) -> DoctorCheck {
    let next = Some(next.into());
    DoctorCheck { subject: subject.into(), verdict: Verdict::Warning, found: found.into(), next }
}

pub(super) fn bad(
    subject: impl Into<String>,
    found: impl Into<String>,
    next: impl Into<String>,
) -> DoctorCheck {
    DoctorCheck { verdict: Verdict::Bad, ..warning(subject, found, next) }
}
