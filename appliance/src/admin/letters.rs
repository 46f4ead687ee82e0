//! Notification cards: issued by two operators, of whom each sees one half, withdrawn by one.
//!
//! ```text
//! alice: issue HOLDER -> proposal      bob: approve -> the card is made, its verifiers stored
//! alice: sheet ID     -> the link      bob: sheet ID -> the password          once each, within a day, until a restart
//! ```
//! Neither secret is in the proposal, the store, the audit log or a log line. "Unlock" is another card.

use crate::admin::desk::AdminDesk;
use crate::admin::desk::Asking;
use crate::admin::plan::Effect;
use crate::admin::plan::Plan;
use crate::admin::plan::Subject;
use crate::admin::refusal;
use crate::admin::sheets::Half;
use crate::admin::sheets::MAX_WAITING;
use crate::admin::sheets::NewSheets;
use crate::audit::Entry;
use crate::audit::Event;
use crate::audit::Principal;
use crate::audit::record::TrustChange;
use crate::keeper::notification_cards;
use crate::x509::rfc3339;
use api::admin::letter::LetterView;
use api::admin::letter::SheetHalf;
use api::admin::letter::SheetView;
use api::problem::Code;
use api::problem::Problem;
use attest::authenticator::Authenticators;
use attest::clock::UnixSeconds;
use attest::notification_card::CardError;
use attest::notification_card::CardStanding;
use attest::notification_card::CardState;
use attest::notification_card::NotificationCard;
use attest::sign_in::MAX_TRIES;
use std::cmp::Reverse;
use std::time::Duration;
use zeroize::Zeroizing;

const DAY: Duration = Duration::from_secs(24 * 3600);

impl AdminDesk {
    pub(super) async fn letters(&self) -> Result<Vec<LetterView>, Problem> {
        let now = self.now()?;
        let mut cards = notification_cards(self.parts()).all().await.map_err(refusal::session)?;
        // Of each holder the one that can be used, then the newest.
        cards.sort_by_cached_key(|card| {
            let is_over = card.standing(now) == CardStanding::Over;
            (card.holder_id.clone(), is_over, Reverse(card.issued_at))
        });
        Ok(cards.iter().map(|card| self.letter(card, now)).collect())
    }

    fn letter(&self, card: &NotificationCard, now: UnixSeconds) -> LetterView {
        let sheets_wait_for = match card.standing(now) {
            CardStanding::Live => self.sheets.wait_for(&card.card_id, now),
            CardStanding::Locked | CardStanding::Expired | CardStanding::Over => Vec::new(),
        };
        LetterView {
            letter_id: card.card_id.clone(),
            holder_id: card.holder_id.clone(),
            state: state_name(card, now).to_owned(),
            tries_left: MAX_TRIES.saturating_sub(card.tries).into(),
            issued_by: card.issued_by.clone(),
            countersigned_by: card.countersigned_by.clone(),
            issued_at: rfc3339(card.issued_at.0),
            expires_at: rfc3339(card.expires_at.0),
            sheets_wait_for,
        }
    }

    /// What both operators read. The card itself is made when the second one approves: [`Self::make_letter`].
    pub(super) async fn plan_letter_issue(&self, holder_id: &str) -> Result<Plan, Problem> {
        let parts = self.parts();
        if parts.settings.portal_origin.is_none() {
            return Err(refusal::conflict("there is no portal listener on which it could be used"));
        }
        let holder = self.holder(holder_id)?;
        if !holder.enabled {
            return Err(Code::HolderDisabled.into());
        }
        let phone = Authenticators::new(parts.trust.clone()).phone_of(holder_id).await;
        if let Some(phone) = phone.map_err(refusal::session)? {
            return Err(refusal::conflict(format!(
                "holder {holder_id} has a phone, and a notification card never replaces one; if it is lost: \
                 inkan device remove {}",
                phone.authenticator_id.0
            )));
        }
        let contact = holder.ca_contact.as_deref().unwrap_or("none: the sheets name no number");
        let days = parts.settings.notification_card_days;
        let mut plan = Plan::new(
            format!("issue a notification card to holder {holder_id}"),
            subject(String::new(), "granted", holder_id),
            true,
        )
        .about("holder", holder_id)
        .about("name", &holder.display_name)
        .about("CA contact", contact)
        .adds("registers", "one phone, by a link and a password")
        .adds("good for", format!("{days} days from the approval"));
        let before = notification_cards(parts).live_of(holder_id).await;
        if let Some(before) = before.map_err(refusal::session)? {
            let state = state_name(&before, self.now()?);
            plan = plan.drops("notification card", format!("{} ({state})", before.card_id));
        }
        Ok(plan)
    }

    /// Makes the card that `plan` says, for `by` who proposed and who approved it.
    pub(super) async fn make_letter(
        &self,
        holder_id: &str,
        by: [&str; 2],
        plan: &mut Plan,
    ) -> Result<NewSheets, Problem> {
        let parts = self.parts();
        let origin = parts.settings.portal_origin.as_deref().ok_or(Code::NotOperational)?;
        if !self.sheets.have_room(self.now()?) {
            return Err(refusal::conflict(format!(
                "the sheets of {MAX_WAITING} cards wait for their operators; fetch them first: inkan letter list"
            )));
        }
        let days = u32::try_from(parts.settings.notification_card_days).unwrap_or(u32::MAX);
        let made = notification_cards(parts).make(holder_id, by, DAY.saturating_mul(days)).await;
        let new = made.map_err(card_error)?;
        let letter_id = new.card.card_id.clone();
        plan.subject.id.clone_from(&letter_id);
        plan.guards.extend(new.issuance.guards);
        plan.writes.extend(new.issuance.writes);
        let [issued_by, approved_by] = by;
        for (sheet, operator) in [("the link", issued_by), ("the password", approved_by)] {
            let next = format!("{operator}, within a day: inkan letter sheet {letter_id}");
            plan.changes.push(api::admin::answer::Change {
                what: format!("sheet with {sheet}"),
                now: None,
                then: Some(next),
            });
        }
        let link = Zeroizing::new(format!("{origin}/letter/{}", *new.link));
        let halves = [
            (issued_by.to_owned(), Half::Link(link)),
            (approved_by.to_owned(), Half::Password(new.password.grouped())),
        ];
        if let Some(before) = new.withdraws {
            plan.effects.push(Effect::ForgetSheets(before.card_id));
        }
        Ok(NewSheets { letter_id, halves })
    }

    /// The asking operator's sheet. That it was handed out is durable before it leaves; then it is forgotten.
    pub(super) async fn hand_sheet_out(
        &self,
        asking: &Asking,
        letter_id: &str,
    ) -> Result<SheetView, Problem> {
        let (now, me) = (self.now()?, asking.operator.operator_id.as_str());
        let card = self.stored_letter(letter_id).await?;
        if card.issued_by != me && card.countersigned_by != me {
            return Err(refusal::not_permitted(format!(
                "its sheets are for {} and {}",
                card.issued_by, card.countersigned_by
            )));
        }
        if card.standing(now) != CardStanding::Live {
            self.sheets.forget(letter_id);
            let state = state_name(&card, now);
            return Err(refusal::conflict(format!("the card is {state}; issue another one")));
        }
        let half = self.sheets.look(letter_id, me, now).ok_or_else(|| {
            refusal::conflict(
                "this sheet was handed out already, waited for more than a day, or the appliance was started \
                 again; issue another card",
            )
        })?;
        let holder = self.holder(&card.holder_id)?;
        if !holder.enabled {
            return Err(Code::HolderDisabled.into());
        }
        let entry = handed_out(asking, &card, &half);
        self.parts().audit.append(entry).await.map_err(refusal::audit)?;
        self.sheets.take(letter_id, me, now);
        Ok(SheetView {
            letter_id: letter_id.to_owned(),
            holder_id: card.holder_id,
            display_name: holder.display_name.clone(),
            ca_contact: holder.ca_contact.clone(),
            expires_at: rfc3339(card.expires_at.0),
            half,
        })
    }

    /// Also without a portal: a lost letter waits for no configuration.
    pub(super) async fn plan_letter_withdraw(&self, letter_id: &str) -> Result<Plan, Problem> {
        let card = self.stored_letter(letter_id).await?;
        let (now, holder_id) = (self.now()?, &card.holder_id);
        let state = state_name(&card, now);
        let withdrawal = notification_cards(self.parts()).withdrawal(letter_id).await;
        let Some((_, withdrawal)) = withdrawal.map_err(refusal::session)? else {
            return Err(refusal::conflict(format!("the card is {state} already")));
        };
        let summary = format!("withdraw a notification card of holder {holder_id}");
        let mut plan = Plan::new(summary, subject(letter_id, "removed", holder_id), false)
            .about("holder", holder_id)
            .turns("notification card", state, "withdrawn");
        plan.guards.extend(withdrawal.guards);
        plan.writes.extend(withdrawal.writes);
        Ok(plan.then(Effect::ForgetSheets(letter_id.to_owned())))
    }

    async fn stored_letter(&self, letter_id: &str) -> Result<NotificationCard, Problem> {
        let found = notification_cards(self.parts()).by_id(letter_id).await;
        let unknown = || Problem::with_detail(Code::NotFound, "there is no such notification card");
        found.map_err(refusal::session)?.ok_or_else(unknown)
    }
}

fn handed_out(asking: &Asking, card: &NotificationCard, half: &SheetHalf) -> Entry {
    let half = match half {
        SheetHalf::Link { .. } => "the link",
        SheetHalf::Password { .. } => "the password",
    };
    let operator_id = &asking.operator.operator_id;
    let event = Event::TrustChanged(TrustChange {
        what: "notification_card".to_owned(),
        id: card.card_id.clone(),
        change: "handed_out".to_owned(),
        holder_id: Some(card.holder_id.clone()),
        proposal_id: None,
        proposed_by: operator_id.clone(),
        approved_by: Vec::new(),
        record: None,
        detail: format!("the sheet with {half} was handed to {operator_id}"),
    });
    Entry::new(&asking.request_id, Principal::Operator(operator_id.clone()), event)
}

fn subject(letter_id: impl Into<String>, change: &'static str, holder_id: &str) -> Subject {
    let holder_id = Some(holder_id.to_owned());
    Subject { what: "notification_card", id: letter_id.into(), change, holder_id }
}

fn state_name(card: &NotificationCard, now: UnixSeconds) -> &'static str {
    match (&card.state, card.standing(now)) {
        (CardState::Done { .. }, _) => "done",
        (CardState::AlreadyRegistered, _) => "already_registered",
        (CardState::Withdrawn, _) => "withdrawn",
        (_, CardStanding::Locked) => "locked",
        (_, CardStanding::Expired) => "expired",
        (CardState::Registering { until, .. }, _) if now < *until => "registering",
        (CardState::Registering { .. } | CardState::Opened, _) => "opened",
        (CardState::Issued, _) => "issued",
    }
}

fn card_error(error: CardError) -> Problem {
    match error {
        CardError::Mac(error) => {
            tracing::error!(%error, "no notification card can be made");
            Problem::with_detail(Code::HsmUnavailable, error.to_string())
        }
        CardError::Record(error) => refusal::session(error),
    }
}
