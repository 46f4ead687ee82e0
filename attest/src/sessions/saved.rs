//! Sign-ins that browsers keep: kept by fresh evidence, gone on with by a click, removed by every logout.

use super::SessionError;
use super::Sessions;
use super::activate::expiry;
use crate::handoff::Entitlement;
use crate::records::Fingerprint;
use crate::records::SessionLimits;
use crate::records::TrustRecord;
use crate::saved::Cookie;
use crate::saved::MAX_OF_HOLDER;
use crate::saved::SavedSignIn;
use crate::saved::saved_id;
use crate::session::LiveSession;
use crate::sign_in::Approval;
use crate::sign_in::Continued;
use crate::sign_in::DenyReason;
use crate::sign_in::Phase;
use crate::sign_in::SessionRecord;
use crate::sign_in::random_id;
use crate::sign_in::random_secret;
use crate::sign_in::same;
use crate::store::Guard;
use crate::store::Outcome;
use crate::store::Rev;
use crate::store::Txn;
use crate::store::Write;
use crate::trust::MAX_RETRIES;

/// What a browser keeps from now on.
pub struct Kept {
    /// For its cookie; it exists nowhere else.
    pub cookie: String,
    /// Seconds until the last of what the browser keeps is over.
    pub seconds: u64,
}

/// What became of a click.
pub enum WentOn {
    /// Approved: the code for the return URL.
    Code(String),
    /// The login link was used, over or denied in between.
    LinkOver,
    /// The saved sign-in was used, changed or removed in between.
    SavedOver,
}

impl Sessions {
    /// The sign-in that this code stands for, while it waits to be exchanged. Reading it uses nothing up.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be read.
    pub async fn approved_by_code(
        &self,
        session_id: &str,
        code: &str,
    ) -> Result<Option<(SessionRecord, Rev)>, SessionError> {
        let now = self.clock.now()?;
        let found = self.record(session_id).await?;
        Ok(found.filter(|(record, _)| match &record.phase {
            Phase::Approved { code: expected, code_expires_at, .. } => {
                record.number.is_none()
                    && now < *code_expires_at
                    && same(expected, &Fingerprint::of(code.as_bytes()))
            }
            Phase::Pending { .. }
            | Phase::Active { .. }
            | Phase::Ended { .. }
            | Phase::Denied { .. } => false,
        }))
    }

    /// Keeps what fresh evidence has just approved for the browser that began it, within the signing system's `present`
    /// limits. `cookie` is what the browser had before: it stays for what the same holder signed in to, and what another
    /// holder left in this browser goes. Nothing where it may not be kept or somebody was first: the sign-in goes on without.
    /// One approval is kept once, and moves its own record, so that a logout beside it finds what is kept.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn keep(
        &self,
        (record, rev): (SessionRecord, Rev),
        cookie: Option<&str>,
        present: SessionLimits,
    ) -> Result<Option<Kept>, SessionError> {
        let now = self.clock.now()?;
        let mut record = record;
        let may_be_kept = record.may_be_kept();
        let approval = match &mut record.phase {
            Phase::Approved { approval, kept, .. } if may_be_kept && !*kept => {
                *kept = true;
                approval.clone()
            }
            Phase::Pending { .. }
            | Phase::Approved { .. }
            | Phase::Active { .. }
            | Phase::Ended { .. }
            | Phase::Denied { .. } => return Ok(None),
        };
        let expires_at = expiry(&approval, approval.limits.at_most(present));
        if approval.continued.is_some() || now >= expires_at {
            return Ok(None);
        }
        let holder = self.saved_of(&approval.holder_id);
        let mut theirs = self.trust.load_under::<SavedSignIn>(&holder, 2 * MAX_OF_HOLDER).await?;
        let had = cookie.and_then(Cookie::parse);
        let same_browser = had.filter(|had| theirs.iter().any(|(saved, _)| had.opens(saved)));
        let (browser, cookie) = match (same_browser, cookie) {
            (Some(had), Some(cookie)) => (had.browser.to_owned(), cookie.to_owned()),
            _ => {
                let browser = format!("{holder}{}", random_id()?);
                let cookie = format!("{browser}.{}", random_secret()?);
                (browser, cookie)
            }
        };
        let secret = cookie.split_once('.').map(|(_, secret)| secret).unwrap_or_default();
        let saved = SavedSignIn {
            browser,
            secret: Fingerprint::of(secret.as_bytes()),
            system_id: record.system_id.clone(),
            session_id: record.session_id.clone(),
            left: approval.limits.signatures,
            expires_at,
            approval,
        };
        let before = theirs.iter().position(|(other, _)| other.id() == saved.id());
        let before = before.map(|at| theirs.swap_remove(at).1);
        let before = before.map_or(Guard::Absent(saved.key()), |rev| Guard::Rev(saved.key(), rev));
        let mut txn = self.trust.replacement(&record, rev)?;
        txn.guards.push(before);
        txn.writes.push(self.trust.sealed(&saved)?);
        theirs.sort_by_key(|(other, _)| std::cmp::Reverse(other.approval.authenticated_at));
        let too_many = theirs.split_off(theirs.len().min(MAX_OF_HOLDER - 1));
        txn.writes.extend(too_many.iter().map(|(oldest, _)| Write::Delete(oldest.key())));
        if let Some(other) = had.filter(|had| !had.browser.starts_with(&holder)) {
            txn.writes.extend(self.kept_by(&other).await?);
        }
        let in_browser = theirs.iter().filter(|(other, _)| other.browser == saved.browser);
        let last = in_browser.map(|(other, _)| other.expires_at).fold(expires_at, Ord::max);
        let kept = Kept { cookie, seconds: now.seconds_until(last) };
        Ok((self.trust.commit(txn).await? == Outcome::Committed).then_some(kept))
    }

    /// What this browser keeps for a signing system.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be read.
    pub async fn saved(
        &self,
        cookie: &str,
        system_id: &str,
    ) -> Result<Option<SavedSignIn>, SessionError> {
        let now = self.clock.now()?;
        let Some(cookie) = Cookie::parse(cookie) else {
            return Ok(None);
        };
        let id = saved_id(cookie.browser, system_id);
        let found = self.trust.find::<SavedSignIn>(&id).await?;
        Ok(found.filter(|saved| cookie.opens(saved) && now < saved.expires_at))
    }

    /// Signatures that the evidence is still good for, all its sessions counted. Of one that lives it is what it has left.
    ///
    /// # Errors
    /// [`SessionError`] when a record could not be read.
    pub async fn left_of(&self, saved: &SavedSignIn) -> Result<u64, SessionError> {
        if let Some(live) = self.by_id(&saved.session_id) {
            return Ok(saved.left.saturating_sub(live.used()));
        }
        let found = self.record(&saved.session_id).await?;
        Ok(found.map_or(0, |(record, _)| left_behind(saved, &record)))
    }

    /// One click in the place of fresh evidence: the login link and the saved sign-in move together or not at all, so that of
    /// two clicks one wins. The session before must have ended by now, so that what it used is known. What the click stands
    /// for, as it was judged, is in the audit log.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn go_on(
        &self,
        session_id: &str,
        saved: &SavedSignIn,
        entitlement: &Entitlement,
        terminal: &str,
    ) -> Result<WentOn, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.record(session_id).await?;
            let found = found.filter(|(found, _)| !found.link_is_over(now) && saved.is_for(found));
            let Some((mut record, rev)) = found else {
                return Ok(WentOn::LinkOver);
            };
            let found = self.trust.load::<SavedSignIn>(&saved.id()).await?;
            let found = found.filter(|(found, _)| found == saved && now < found.expires_at);
            let (Some((mut next, saved_rev)), Some((mut before, before_rev))) =
                (found, self.record(&saved.session_id).await?)
            else {
                return Ok(WentOn::SavedOver);
            };
            let left = left_behind(saved, &before);
            if left == 0 {
                return Ok(WentOn::SavedOver);
            }
            let code = random_secret()?;
            let approval = Approval {
                limits: SessionLimits { signatures: left, ..saved.approval.limits },
                second_certificates: entitlement.certificates.clone(),
                second_certificates_not_after: saved
                    .approval
                    .second_certificates_not_after
                    .into_iter()
                    .chain([entitlement.not_after])
                    .min(),
                terminal: Some(terminal.to_owned()),
                continued: Some(Continued { saved_id: saved.id(), clicked_at: now }),
                ..saved.approval.clone()
            };
            record.phase = Phase::approved(approval, Fingerprint::of(code.as_bytes()), now);
            (next.left, next.session_id) = (left, record.session_id.clone());
            let mut txn = self.trust.replacement(&record, rev)?;
            txn.guards.push(Guard::Rev(next.key(), saved_rev));
            txn.guards.push(Guard::Rev(before.key(), before_rev));
            txn.writes.push(self.trust.sealed(&next)?);
            if matches!(before.phase, Phase::Approved { .. }) {
                // Its code would open a second session with the same signatures.
                before.close(Phase::Denied { reason: DenyReason::Withdrawn });
                txn.writes.push(self.trust.sealed(&before)?);
            }
            if self.commit(session_id, txn).await? == Outcome::Committed {
                self.notify(&before.session_id);
                return Ok(WentOn::Code(code));
            }
        }
        Err(SessionError::Contended)
    }

    /// Removes everything that this browser keeps.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn forget_browser(&self, cookie: &str) -> Result<(), SessionError> {
        let Some(cookie) = Cookie::parse(cookie) else {
            return Ok(());
        };
        self.remove_saved(self.kept_by(&cookie).await?).await
    }

    /// Removes what browsers keep of a holder's sign-ins for one signing system: no session need live.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn forget_saved(&self, holder_id: &str, system_id: &str) -> Result<(), SessionError> {
        self.remove_saved(self.ends_of_saved(holder_id, system_id).await?).await
    }

    /// Removes every saved sign-in that `which` picks, as the session that a click would open; one that fails keeps no other.
    pub(super) async fn withdraw_saved(
        &self,
        which: &(dyn Fn(&LiveSession) -> bool + Send + Sync),
    ) -> Result<(), SessionError> {
        let now = self.clock.now()?;
        let mut all = Ok(());
        for saved in self.trust.load_all::<SavedSignIn>().await? {
            if which(&saved.as_session(now)) {
                all = all.and(self.remove_saved(vec![Write::Delete(saved.key())]).await);
            }
        }
        all
    }

    /// What removes the holder's saved sign-ins for this signing system, for the transaction of a logout.
    pub(super) async fn ends_of_saved(
        &self,
        holder_id: &str,
        system_id: &str,
    ) -> Result<Vec<Write>, SessionError> {
        let holder = self.saved_of(holder_id);
        let theirs = self.trust.load_under::<SavedSignIn>(&holder, 2 * MAX_OF_HOLDER).await?;
        let ended = theirs.iter().filter(|(saved, _)| saved.system_id == system_id);
        Ok(ended.map(|(saved, _)| Write::Delete(saved.key())).collect())
    }

    /// What a code must still find: of one that a click brought, the saved sign-in. `None`: a logout has removed that.
    pub(super) async fn saved_guards(
        &self,
        session_id: &str,
        approval: &Approval,
    ) -> Result<Option<Vec<Guard>>, SessionError> {
        let Some(Continued { saved_id, .. }) = &approval.continued else {
            return Ok(Some(Vec::new()));
        };
        let found = self.trust.load::<SavedSignIn>(saved_id).await?;
        // One of the same name that newer evidence brought is another.
        let found = found.filter(|(saved, _)| {
            saved.session_id == session_id && saved.approval.evidence == approval.evidence
        });
        Ok(found.map(|(saved, rev)| vec![Guard::Rev(saved.key(), rev)]))
    }

    /// What the names of a holder's saved sign-ins begin with: a cookie names nobody.
    fn saved_of(&self, holder_id: &str) -> String {
        self.trust.blind(&format!("saved/{holder_id}"))
    }

    async fn kept_by(&self, cookie: &Cookie<'_>) -> Result<Vec<Write>, SessionError> {
        let start = saved_id(cookie.browser, "");
        let kept = self.trust.load_under::<SavedSignIn>(&start, 2 * MAX_OF_HOLDER).await?;
        let kept = kept.iter().filter(|(saved, _)| cookie.opens(saved));
        Ok(kept.map(|(saved, _)| Write::Delete(saved.key())).collect())
    }

    async fn remove_saved(&self, writes: Vec<Write>) -> Result<(), SessionError> {
        if !writes.is_empty() {
            self.trust.commit(Txn { guards: Vec::new(), writes }).await?;
        }
        Ok(())
    }
}

/// What the session before has left of what it was given. Of one that lives, or of which nothing is known, nothing.
fn left_behind(saved: &SavedSignIn, before: &SessionRecord) -> u64 {
    match &before.phase {
        // Nobody signed: it never began.
        Phase::Approved { .. } | Phase::Denied { .. } => saved.left,
        Phase::Ended { used, .. } => saved.left.saturating_sub(used.unwrap_or(u64::MAX)),
        Phase::Pending { .. } | Phase::Active { .. } => 0,
    }
}
