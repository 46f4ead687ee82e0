//! A holder who leaves for good: what proved them goes with them, so that nothing of it is used, counted, or kept from whoever
//! registers the same card under another id.

use crate::admin::desk::AdminDesk;
use crate::admin::holders::subject;
use crate::admin::holders::yes;
use crate::admin::plan::Effect;
use crate::admin::plan::Plan;
use crate::admin::plan::Subject;
use crate::admin::refusal;
use crate::keeper::my_number_links;
use crate::keeper::notification_cards;
use api::problem::Problem;
use attest::authenticator::Authenticators;
use attest::clock::UnixSeconds;
use attest::records::CardLink;
use attest::records::Holder;
use attest::records::TrustRecord;
use attest::session::EndReason;
use attest::store::Guard;
use attest::store::MAX_TXN_OPS;
use attest::store::Txn;
use attest::store::Write;
use attest::withdrawn::Stop;
use attest::withdrawn::Taken;

/// Guards and writes of the holder's own record and of what the audit log is owed.
const OTHERS: usize = 3;

impl AdminDesk {
    /// Certificates stay for what they signed, and the id is never given to anybody else; the ways to prove presence go, each
    /// with a record of its own. There is no way back, so two decide it; one stops everything at once by disabling them first.
    pub(super) async fn plan_holder_retire(
        &self,
        holder_id: &str,
        reason: &Option<String>,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let (holder, rev) = self.holder_who_stays(holder_id).await?;
        let summary = format!("end holder {holder_id} for good");
        let mut plan = Plan::new(summary, subject(holder_id, "removed"), false)
            .about("name", &holder.display_name)
            .turns("may sign", yes(holder.enabled), "no")
            .because(reason)
            .about("WARNING", "there is no way back, and the id is never given to anybody else");
        let mut retired = Holder { enabled: false, ..holder };
        retired.withdrawn.stop = Some(Stop { at: now, reason: reason.clone(), is_for_good: true });
        for Gone { what, removal } in self.factors_of(holder_id).await? {
            plan.guards.extend(removal.guards);
            plan.writes.extend(removal.writes);
            if let Some((what, id, effect)) = what {
                let (at, reason) = (now, reason.clone());
                let taken = Taken { what: what.to_owned(), id: id.clone(), at, reason };
                retired.withdrawn.note(taken);
                plan.with.push(Subject { what, id: id.clone(), ..subject(holder_id, "removed") });
                plan = plan.drops(what, id).then(effect);
            }
        }
        if plan.guards.len() + plan.writes.len() > MAX_TXN_OPS - OTHERS {
            let detail = format!(
                "holder {holder_id} has too many cards to go at once: inkan card unlink some first"
            );
            return Err(refusal::conflict(detail));
        }
        // The holder first: theirs is the record that the audit log names.
        let sealed = self.parts().trust.sealed(&retired).map_err(refusal::trust)?;
        plan.guards.push(Guard::Rev(retired.key(), rev));
        plan.writes.insert(0, sealed);
        plan.effects.insert(0, Effect::PutHolder(retired));
        Ok(plan.signing_out(EndReason::HolderDisabled, holder_id))
    }

    /// Everything that proves `holder_id` to be present, and what takes it away.
    async fn factors_of(&self, holder_id: &str) -> Result<Vec<Gone>, Problem> {
        let parts = self.parts();
        let mut gone = Vec::new();
        for link in parts.registry.cards_of(holder_id) {
            let stored = parts.trust.load::<CardLink>(&link.card.0).await;
            if let Some((link, rev)) = stored.map_err(refusal::trust)? {
                let removal = Txn {
                    guards: vec![Guard::Rev(link.key(), rev)],
                    writes: vec![Write::Delete(link.key())],
                };
                let id = link.card.0.clone();
                gone.push(Gone::new("card", id, removal, Effect::RemoveCard(link.card)));
            }
        }
        let phone = Authenticators::new(parts.trust.clone()).removal_of_phone(holder_id).await;
        let (phone, removal) = phone.map_err(refusal::session)?;
        gone.push(match phone.map(|phone| phone.authenticator_id) {
            Some(id) => Gone::new("device", id.0.clone(), removal, Effect::RemoveDevice(id)),
            None => Gone::nothing(removal),
        });
        let keys = Authenticators::new(parts.trust.clone()).removal_of_keys(holder_id).await;
        let (keys, removal) = keys.map_err(refusal::session)?;
        gone.push(Gone::nothing(removal));
        for id in keys.into_iter().map(|key| key.authenticator_id) {
            let effect = Effect::RemoveDevice(id.clone());
            gone.push(Gone::new("device", id.0, Txn::default(), effect));
        }
        let my_number = my_number_links(parts).removal_of_holder(holder_id).await;
        let (my_number, removal) = my_number.map_err(refusal::session)?;
        gone.push(match my_number.map(|link| link.card) {
            Some(card) => {
                Gone::new("my_number_card", card.0.clone(), removal, Effect::RemoveJpki(card))
            }
            None => Gone::nothing(removal),
        });
        let letter = notification_cards(parts).live_withdrawal(holder_id).await;
        if let Some((letter, removal)) = letter.map_err(refusal::session)? {
            let id = letter.card_id;
            gone.push(Gone::new(
                "notification_card",
                id.clone(),
                removal,
                Effect::ForgetSheets(id),
            ));
        }
        Ok(gone)
    }
}

/// Something that goes with its holder, or the certainty that there is none.
struct Gone {
    what: Option<(&'static str, String, Effect)>,
    removal: Txn,
}

impl Gone {
    fn new(what: &'static str, id: String, removal: Txn, effect: Effect) -> Self {
        Self { what: Some((what, id, effect)), removal }
    }

    fn nothing(removal: Txn) -> Self {
        Self { what: None, removal }
    }
}
