//! What was added to a holder's factors of late, as their sign-ins show it.

use super::Keeper;
use api::operations::added::AddedFactor;
use api::operations::added::FactorKind;
use api::operations::added::RecentlyAdded;
use attest::authenticator::AuthenticatorKind;
use attest::clock::UnixSeconds;
use std::time::Duration;

impl Keeper {
    /// For a holder whose presence is proved: before that it would tell who has what.
    pub(super) fn recently_added(&self, holder_id: &str, now: UnixSeconds) -> RecentlyAdded {
        let registry = &self.parts.registry;
        let shown = Duration::from_secs(self.parts.settings.show_added_seconds);
        let authenticators = registry.authenticators_of(holder_id);
        let authenticators = authenticators.iter().map(|found| AddedFactor {
            kind: match found.kind {
                AuthenticatorKind::Phone => FactorKind::Phone,
                AuthenticatorKind::SecurityKey => FactorKind::SecurityKey,
            },
            label: Some(found.label.clone()),
            added_at: found.enrolled_at.0,
            terminal: found.terminal.clone(),
        });
        let link = registry.jpki_of(holder_id);
        let card = link.iter().map(|link| AddedFactor {
            kind: FactorKind::MyNumberCard,
            label: None,
            added_at: link.linked_at.0,
            terminal: link.terminal.clone(),
        });
        let renewed = link.iter().filter_map(|link| {
            Some(AddedFactor {
                kind: FactorKind::RenewedMyNumberCard,
                label: None,
                added_at: link.renewed_at?.0,
                terminal: link.renewed_from.clone().unwrap_or_default(),
            })
        });
        let is_shown = |factor: &AddedFactor| now < UnixSeconds(factor.added_at).plus(shown);
        let mut factors: Vec<_> =
            authenticators.chain(card).chain(renewed).filter(is_shown).collect();
        factors.sort_by_key(|factor| std::cmp::Reverse(factor.added_at));
        let holder = registry.holder(holder_id);
        RecentlyAdded { factors, contact: holder.and_then(|holder| holder.ca_contact.clone()) }
    }
}
