//! One person on one screen: what they have, what is wrong with it, and what to type next.

use crate::admin::desk::AdminDesk;
use crate::admin::doctor::CERTIFICATE_WARNING_DAYS;
use crate::admin::doctor::bad;
use crate::admin::doctor::copied_phone;
use crate::admin::doctor::key_check;
use crate::admin::doctor::warning;
use crate::x509::date;
use crate::x509::rfc3339;
use api::admin::answer::DoctorCheck;
use api::admin::holder::HolderSheet;
use api::admin::holder::StopView;
use api::admin::holder::TakenView;
use api::admin::letter::LetterView;
use api::problem::Problem;
use attest::clock::UnixSeconds;
use attest::records::CardLink;
use attest::records::CredentialStatus;
use attest::records::Holder;
use attest::registry::LiveCredential;
use std::sync::Arc;

impl AdminDesk {
    pub(super) async fn holder_sheet(&self, holder_id: &str) -> Result<HolderSheet, Problem> {
        let now = self.now()?;
        let holder = self.holder(holder_id)?;
        let stop = holder.withdrawn.stop.as_ref().map(|stop| StopView {
            at: rfc3339(stop.at.0),
            reason: stop.reason.clone(),
            is_for_good: stop.is_for_good,
        });
        let taken = holder.withdrawn.taken.iter().map(|taken| TakenView {
            what: taken.what.clone(),
            id: taken.id.clone(),
            at: rfc3339(taken.at.0),
            reason: taken.reason.clone(),
        });
        let mut letters = self.letters().await?;
        letters.retain(|letter| letter.holder_id == holder_id && is_alive(letter));
        Ok(HolderSheet {
            holder: self.holder_view(&holder, &self.parts().registry.cards_of(holder_id)),
            stop,
            cards: self.cards(Some(holder_id)),
            keys: self.key_views(Some(holder_id))?,
            devices: self.devices(Some(holder_id)),
            my_number_cards: self.jpki_cards(Some(holder_id)),
            letters,
            sessions: self.live_sessions(Some(holder_id), None)?,
            taken: taken.collect(),
            findings: self.findings(&holder, now),
        })
    }

    /// What keeps this person from signing, or will soon; the worst first.
    fn findings(&self, holder: &Holder, now: UnixSeconds) -> Vec<DoctorCheck> {
        let (registry, id) = (&self.parts().registry, &holder.holder_id);
        let credentials = registry.credentials_of(id);
        let mut findings: Vec<_> = stopped(holder).into_iter().collect();
        if holder.withdrawn.is_for_good() {
            return findings;
        }
        findings.extend(certificates(id, &credentials, now));
        findings.extend(credentials.iter().filter_map(|live| key_check(live, now)));
        findings.extend(card_findings(id, &registry.cards_of(id), now));
        findings.extend(registry.authenticators_of(id).iter().filter_map(copied_phone));
        findings.extend(credentials.iter().filter_map(|live| self.spent_pair(live, now)));
        if holder.ca_contact.is_none() {
            let next = format!("inkan holder update {id} --ca-contact \"NAME, PHONE\"");
            findings.push(warning(
                "CA contact",
                "nobody is named: pages cannot say whom to call",
                next,
            ));
        }
        findings.sort_by_key(|check| std::cmp::Reverse(check.verdict));
        findings
    }

    /// An old pair that two may destroy by now.
    fn spent_pair(&self, live: &LiveCredential, now: UnixSeconds) -> Option<DoctorCheck> {
        let (record, grace) = (&live.record, self.grace());
        let earlier = record.life.earlier.iter();
        let pair = earlier
            .filter(|pair| pair.destroyed_at.is_none() && now >= pair.superseded_at.plus(grace))
            .map(|pair| &pair.spki_der)
            .next()?;
        let public_key = attest::records::Fingerprint::of(pair).0;
        let id = &record.credential_id;
        Some(warning(
            format!("key {id}"),
            "its pair from before the renewal may be destroyed",
            format!("inkan key destroy {id} {public_key}"),
        ))
    }
}

/// Whether a notification card still waits for its holder, or for an officer who looks at it.
fn is_alive(letter: &LetterView) -> bool {
    ["issued", "opened", "registering", "locked"].contains(&letter.state.as_str())
}

fn stopped(holder: &Holder) -> Option<DoctorCheck> {
    let id = &holder.holder_id;
    match &holder.withdrawn.stop {
        _ if holder.enabled => None,
        Some(stop) if stop.is_for_good => Some(bad(
            "holder",
            "left for good: signs nothing",
            "register another id: inkan holder add",
        )),
        Some(_) | None => {
            Some(bad("holder", "disabled: signs nothing", format!("inkan holder enable {id}")))
        }
    }
}

/// Without a second certificate that can be used nobody signs in, whatever they hold (F32).
fn certificates(
    holder_id: &str,
    credentials: &[Arc<LiveCredential>],
    now: UnixSeconds,
) -> Option<DoctorCheck> {
    let usable = credentials.iter().any(|live| {
        live.may_sign() && live.record.not_before <= now && now <= live.record.not_after
    });
    let waiting = credentials.iter().find(|live| live.record.status == CredentialStatus::Generated);
    let next = match waiting {
        Some(live) => format!("inkan key install {} --chain FILE", live.record.credential_id),
        None => format!("inkan key create ID --holder {holder_id} --type rsa-3072"),
    };
    let found = "no second certificate can be used: every sign-in is refused (entitlement_over)";
    (!usable).then(|| bad("second certificates", found, next))
}

fn card_findings(
    holder_id: &str,
    cards: &[Arc<CardLink>],
    now: UnixSeconds,
) -> Option<DoctorCheck> {
    let next = format!("inkan card link {holder_id} --certificate FILE");
    if cards.is_empty() {
        return Some(warning("cards", "no HPKI card is linked", next));
    }
    // A link that does not say when its card ends is old; the card is judged at each sign-in.
    let last = CardLink::last_end(cards)?;
    let days = now.seconds_until(last) / 86_400;
    match now > last {
        true => {
            let end = date(last.0);
            let found = format!("ended on {end}: every sign-in is refused (entitlement_over)");
            Some(bad("cards", found, next))
        }
        false if days < CERTIFICATE_WARNING_DAYS => {
            Some(warning("cards", format!("the last one ends in {days} days"), next))
        }
        false => None,
    }
}
