//! What every method rests on besides its proof: a holder who may sign, and a certificate to sign with.

use super::Keeper;
use api::operations::SignInRefusal;
use attest::clock::UnixSeconds;
use attest::gate::may_name;
use attest::handoff::Entitlement;
use attest::hc_role::HcRole;
use attest::records::CardLink;
use attest::records::Holder;
use attest::records::Method;
use attest::records::SigningSystem;
use attest::registry::LiveCredential;
use attest::sign_in::SessionRecord;
use std::sync::Arc;

impl Keeper {
    /// Whether `holder` may sign in at `now`, by whatever method: enabled, with a second certificate that can be used, with a
    /// card that has not ended where one is linked, and with the qualification in certificate or card, as the profile wants
    /// it. Without a card `card_roles` is empty.
    pub(super) fn entitlement(
        &self,
        holder: &Holder,
        card_roles: &[HcRole],
        now: UnixSeconds,
    ) -> Result<Entitlement, SignInRefusal> {
        if !holder.enabled {
            return Err(SignInRefusal::HolderDisabled);
        }
        let credentials = self.parts.registry.credentials_of(&holder.holder_id);
        let good = || credentials.iter().filter(|credential| may_sign(credential, now));
        let not_after = good().map(|live| live.record.not_after).min();
        let not_after = not_after.ok_or(SignInRefusal::EntitlementOver)?;
        // Whose last card has ended is no member of HPKI any more, by whatever method they come. A card that was unlinked
        // because it is lost ends nothing: its holder goes on by the other methods until there is a new one.
        let cards_end = CardLink::last_end(&self.parts.registry.cards_of(&holder.holder_id));
        let not_after = cards_end.map_or(not_after, |end| end.min(not_after));
        if now > not_after {
            return Err(SignInRefusal::EntitlementOver);
        }
        // Only texts of HPKI's own coding scheme are stored with a credential.
        let texts = good().flat_map(|credential| credential.record.hc_roles.iter());
        let second: Vec<HcRole> =
            texts.map(|text| HcRole { text: text.clone(), is_hpki: true }).collect();
        if !self.parts.judge.hc_role_rule().is_kept(card_roles, &second) {
            return Err(SignInRefusal::RoleMissing);
        }
        let certificates = good().map(|live| live.certificate.clone()).collect();
        Ok(Entitlement { certificates, not_after })
    }

    /// Who asks for a sign-in: a signing system, or the portal itself.
    pub(super) fn asking_system(&self, record: &SessionRecord) -> Option<Arc<SigningSystem>> {
        match record.is_for_portal() {
            true => self.phones.as_ref().map(|phones| Arc::clone(&phones.own)),
            false => self.parts.registry.system(&record.system_id),
        }
    }

    /// The signing system behind a sign-in, if it takes this holder by this method.
    pub(super) fn system_for(
        &self,
        record: &SessionRecord,
        holder_id: &str,
        method: Method,
    ) -> Result<Arc<SigningSystem>, SignInRefusal> {
        let system = self.asking_system(record);
        let system = system.ok_or(SignInRefusal::LinkOver)?;
        let allowed = may_name(&system, holder_id)
            && record.accepts(method)
            && system.methods.contains(&method);
        match allowed {
            true => Ok(system),
            false => Err(SignInRefusal::NotAllowedHere),
        }
    }
}

/// Whether a credential may sign now.
fn may_sign(credential: &LiveCredential, now: UnixSeconds) -> bool {
    let record = &credential.record;
    credential.may_sign() && record.not_before <= now && now <= record.not_after
}
