//! Signing systems: what widens their rights takes two, what narrows them holds at once.

use crate::admin::certificate;
use crate::admin::certificate::client_certificate;
use crate::admin::certificate::new_id;
use crate::admin::desk::AdminDesk;
use crate::admin::plan::Effect;
use crate::admin::plan::Plan;
use crate::admin::plan::Subject;
use crate::admin::refusal;
use api::admin::check::MAX_SYSTEM_CERTIFICATES;
use api::admin::command::NewLimits;
use api::admin::command::NewSystem;
use api::admin::command::SystemChange;
use api::problem::Code;
use api::problem::Problem;
use attest::clock::UnixSeconds;
use attest::own_page::PORTAL;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::records::SessionLimits;
use attest::records::SigningSystem;
use attest::session::EndReason;
use attest::session::LiveSession;
use attest::store::Rev;

/// Requests a second where nobody says otherwise: a hospital's busiest hour, ten times over.
const DEFAULT_REQUESTS_PER_SECOND: u32 = 200;

impl AdminDesk {
    pub(super) fn plan_system_add(
        &self,
        new: &NewSystem,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let registry = &self.parts().registry;
        let systems = registry.systems();
        // The portal asks for sign-ins under a name of its own.
        let taken = systems.iter().map(|system| system.system_id.as_str()).chain([PORTAL]);
        new_id("system", &new.system_id, taken)?;
        let mut certificates = Vec::new();
        let mut shown = Vec::new();
        for pem in &new.certificates_pem {
            let certificate = client_certificate("certificates_pem", pem, registry, now)?;
            if certificates.contains(&certificate.fingerprint) {
                return Err(refusal::malformed("certificates_pem: the same certificate twice"));
            }
            certificates.push(certificate.fingerprint);
            shown.push(certificate.shown);
        }
        let holders = if new.all_holders { None } else { Some(new.holders.clone()) };
        self.holders_are_known(holders.as_deref())?;
        let system = SigningSystem {
            system_id: new.system_id.clone(),
            display_name: new.display_name.clone(),
            certificates,
            return_urls: new.return_urls.clone(),
            holders,
            methods: new.methods.iter().map(|method| Method::from(*method)).collect(),
            raw_allowed: new.raw_allowed,
            bare_digests_allowed: new.bare_digests_allowed,
            limits: self.limits(self.default_limits(), new.limits)?,
            requests_per_second: new.requests_per_second.unwrap_or(DEFAULT_REQUESTS_PER_SECOND),
            created_at: now,
        };
        let summary = format!("register signing system {}", system.system_id);
        let mut plan = Plan::new(summary, subject(&system.system_id, "granted"), true);
        for (what, value) in described(&system, &shown) {
            plan = plan.adds(what, value);
        }
        let plan = plan.creating(&self.parts().trust, &system).map_err(refusal::trust)?;
        Ok(plan.then(Effect::PutSystem(system)))
    }

    pub(super) async fn plan_system_update(
        &self,
        system_id: &str,
        change: &SystemChange,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let (old, rev) = self.stored_system(system_id).await?;
        let new = self.changed(&old, change, now)?;
        if new == old {
            return Err(refusal::conflict("it is like this already"));
        }
        let widens = is_wider(&old, &new);
        let summary =
            format!("{} signing system {system_id}", if widens { "widen" } else { "narrow" });
        let mut plan =
            Plan::new(summary, subject(system_id, "changed"), widens).about("system", system_id);
        if let Some(pem) = &change.add_certificate_pem {
            let added = certificate::read("add_certificate_pem", pem, now)?;
            plan = plan.adds("new certificate", added.shown);
        }
        let shown = |system: &SigningSystem| {
            system.certificates.iter().map(|certificate| certificate.0.clone()).collect::<Vec<_>>()
        };
        let (before, after) = (described(&old, &shown(&old)), described(&new, &shown(&new)));
        for ((what, now), (_, then)) in before.into_iter().zip(after) {
            plan = plan.turns(what, now, then);
        }
        let plan = plan.replacing(&self.parts().trust, &new, rev).map_err(refusal::trust)?;
        let still = new.clone();
        Ok(plan.then(Effect::PutSystem(new)).ending(EndReason::SystemRemoved, move |session| {
            session.system_id == still.system_id && !still_fits(&still, session)
        }))
    }

    pub(super) async fn plan_system_remove(&self, system_id: &str) -> Result<Plan, Problem> {
        let (system, rev) = self.stored_system(system_id).await?;
        let of = system_id.to_owned();
        Ok(Plan::new(
            format!("remove signing system {system_id}"),
            subject(system_id, "removed"),
            false,
        )
        .drops("system", system_id)
        .drops("name", &system.display_name)
        .removing(&system, rev)
        .then(Effect::RemoveSystem(of.clone()))
        .ending(EndReason::SystemRemoved, move |session| session.system_id == of))
    }

    fn changed(
        &self,
        old: &SigningSystem,
        change: &SystemChange,
        now: UnixSeconds,
    ) -> Result<SigningSystem, Problem> {
        let mut new = old.clone();
        if let Some(gone) = &change.remove_certificate {
            let before = new.certificates.len();
            new.certificates.retain(|certificate| certificate != gone);
            if new.certificates.len() == before {
                return Err(refusal::conflict("remove_certificate: it has no such certificate"));
            }
        }
        if let Some(pem) = &change.add_certificate_pem {
            new.certificates.push(self.added_certificate(pem, now)?);
        }
        if new.certificates.is_empty() || new.certificates.len() > MAX_SYSTEM_CERTIFICATES {
            let detail = "a system has one certificate, or two while one replaces the other";
            return Err(refusal::conflict(detail));
        }
        new.display_name = change.display_name.clone().unwrap_or(new.display_name);
        new.return_urls = change.return_urls.clone().unwrap_or(new.return_urls);
        new.holders = match (change.all_holders, &change.holders) {
            (Some(true), _) => None,
            (_, Some(holders)) => Some(holders.clone()),
            (_, None) => new.holders,
        };
        self.holders_are_known(new.holders.as_deref())?;
        if let Some(methods) = &change.methods {
            new.methods = methods.iter().map(|method| Method::from(*method)).collect();
        }
        new.raw_allowed = change.raw_allowed.unwrap_or(new.raw_allowed);
        new.bare_digests_allowed = change.bare_digests_allowed.unwrap_or(new.bare_digests_allowed);
        new.limits = self.limits(new.limits, change.limits)?;
        new.requests_per_second = change.requests_per_second.unwrap_or(new.requests_per_second);
        Ok(new)
    }

    fn added_certificate(&self, pem: &str, now: UnixSeconds) -> Result<Fingerprint, Problem> {
        const FIELD: &str = "add_certificate_pem";
        certificate::client_certificate(FIELD, pem, &self.parts().registry, now)
            .map(|certificate| certificate.fingerprint)
    }

    fn holders_are_known(&self, holders: Option<&[String]>) -> Result<(), Problem> {
        let registry = &self.parts().registry;
        let mut named = holders.unwrap_or_default().iter();
        match named.find(|holder_id| registry.holder(holder_id).is_none()) {
            None => Ok(()),
            Some(unknown) => Err(Problem::with_detail(
                Code::HolderUnknown,
                format!("there is no holder {unknown}"),
            )),
        }
    }

    fn default_limits(&self) -> SessionLimits {
        let (limits, ceilings) = (SessionLimits::default(), &self.ceilings);
        SessionLimits {
            seconds: limits.seconds.min(ceilings.max_seconds),
            idle_seconds: limits.idle_seconds.min(ceilings.max_seconds),
            signatures: limits.signatures.min(ceilings.max_signatures),
        }
    }

    /// `limits` with what `change` names, below the ceilings of the configuration.
    fn limits(&self, limits: SessionLimits, change: NewLimits) -> Result<SessionLimits, Problem> {
        let ceilings = &self.ceilings;
        let seconds = change.seconds.unwrap_or(limits.seconds);
        let new = SessionLimits {
            seconds,
            // A session that is shorter than its idle limit simply has none.
            idle_seconds: change.idle_seconds.unwrap_or(limits.idle_seconds).min(seconds),
            signatures: change.signatures.unwrap_or(limits.signatures),
        };
        let beyond = [
            ("limits.seconds", new.seconds, ceilings.max_seconds, "sessions.max_seconds"),
            (
                "limits.signatures",
                new.signatures,
                ceilings.max_signatures,
                "sessions.max_signatures",
            ),
        ];
        match beyond.iter().find(|(_, value, most, _)| value > most) {
            None => Ok(new),
            Some((field, _, most, key)) => {
                let detail =
                    format!("{field}: at most {most}, the ceiling {key} of the configuration");
                Err(refusal::malformed(detail))
            }
        }
    }

    async fn stored_system(&self, system_id: &str) -> Result<(SigningSystem, Rev), Problem> {
        let found =
            self.parts().trust.load::<SigningSystem>(system_id).await.map_err(refusal::trust)?;
        let unknown =
            || Problem::with_detail(Code::NotFound, format!("there is no system {system_id}"));
        found.ok_or_else(unknown)
    }
}

/// Whether `new` may do anything that `old` may not. A new name counts: holders decide by it.
fn is_wider(old: &SigningSystem, new: &SigningSystem) -> bool {
    let adds_holders = match (&old.holders, &new.holders) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(old), Some(new)) => has_more(old, new),
    };
    old.display_name != new.display_name
        || has_more(&old.certificates, &new.certificates)
        || has_more(&old.return_urls, &new.return_urls)
        || adds_holders
        || has_more(&old.methods, &new.methods)
        || (new.raw_allowed && !old.raw_allowed)
        || (new.bare_digests_allowed && !old.bare_digests_allowed)
        || new.limits.seconds > old.limits.seconds
        || new.limits.idle_seconds > old.limits.idle_seconds
        || new.limits.signatures > old.limits.signatures
        || new.requests_per_second > old.requests_per_second
}

fn has_more<T: PartialEq>(old: &[T], new: &[T]) -> bool {
    new.iter().any(|one| !old.contains(one))
}

/// Whether a session that lives could be made under `system` as it is now.
fn still_fits(system: &SigningSystem, session: &LiveSession) -> bool {
    let may_name = system.holders.as_ref().is_none_or(|list| list.contains(&session.holder_id));
    may_name
        && system.methods.contains(&session.method)
        && session.limits.seconds <= system.limits.seconds
        && session.limits.idle_seconds <= system.limits.idle_seconds
        && session.limits.signatures <= system.limits.signatures
}

/// Everything about a system, in the words that operators read.
fn described(system: &SigningSystem, certificates: &[String]) -> Vec<(&'static str, String)> {
    let methods: Vec<_> = system.methods.iter().map(|method| method.name()).collect();
    let holders = match &system.holders {
        None => "every holder, also later ones".to_owned(),
        Some(holders) => holders.join(" "),
    };
    let door = |is_open| if is_open { "open" } else { "closed" }.to_owned();
    vec![
        ("name", system.display_name.clone()),
        ("certificates", certificates.join(", ")),
        ("return URLs", system.return_urls.join(" ")),
        ("holders", holders),
        ("methods", methods.join(" ")),
        ("raw signatures", door(system.raw_allowed)),
        ("bare digests", door(system.bare_digests_allowed)),
        ("seconds of a session", system.limits.seconds.to_string()),
        ("seconds without a signature", system.limits.idle_seconds.to_string()),
        ("signatures of a session", system.limits.signatures.to_string()),
        ("requests a second", system.requests_per_second.to_string()),
    ]
}

fn subject(system_id: &str, change: &'static str) -> Subject {
    Subject { what: "system", id: system_id.to_owned(), change, holder_id: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system() -> SigningSystem {
        SigningSystem {
            system_id: "ehr".into(),
            display_name: "EHR".into(),
            certificates: vec![Fingerprint::of(b"1"), Fingerprint::of(b"2")],
            return_urls: vec!["https://a.example/".into(), "https://b.example/".into()],
            holders: Some(vec!["u-1".into(), "u-2".into()]),
            methods: vec![Method::Hpki, Method::Fido2],
            raw_allowed: true,
            bare_digests_allowed: true,
            limits: SessionLimits { seconds: 100, idle_seconds: 100, signatures: 100 },
            requests_per_second: 100,
            created_at: UnixSeconds(0),
        }
    }

    type Change = fn(&mut SigningSystem);

    #[test]
    fn each_right_more_widens_and_each_right_less_does_not() {
        let wider: [(&str, Change); 11] = [
            ("name", |s| s.display_name = "Other".into()),
            ("certificate", |s| s.certificates[1] = Fingerprint::of(b"3")),
            ("return URL", |s| s.return_urls.push("https://c.example/".into())),
            ("holder", |s| s.holders = Some(vec!["u-1".into(), "u-3".into()])),
            ("every holder", |s| s.holders = None),
            ("method", |s| s.methods.push(Method::Jpki)),
            ("seconds", |s| s.limits.seconds = 101),
            ("idle", |s| s.limits.idle_seconds = 101),
            ("signatures", |s| s.limits.signatures = 101),
            ("rate", |s| s.requests_per_second = 101),
            ("more and less", |s| {
                s.limits.seconds = 1;
                s.limits.signatures = 101;
            }),
        ];
        for (name, change) in wider {
            let mut new = system();
            change(&mut new);
            assert!(is_wider(&system(), &new), "{name}");
        }
        let narrower: [(&str, Change); 9] = [
            ("certificate", |s| s.certificates.truncate(1)),
            ("return URL", |s| s.return_urls.clear()),
            ("holder", |s| s.holders = Some(vec!["u-2".into()])),
            ("method", |s| s.methods.truncate(1)),
            ("raw", |s| s.raw_allowed = false),
            ("bare digests", |s| s.bare_digests_allowed = false),
            ("seconds", |s| s.limits.seconds = 99),
            ("signatures", |s| s.limits.signatures = 99),
            ("rate", |s| s.requests_per_second = 99),
        ];
        for (name, change) in narrower {
            let mut new = system();
            change(&mut new);
            assert!(!is_wider(&system(), &new), "{name}");
            assert!(is_wider(&new, &system()), "{name}, back");
        }
    }

    #[test]
    fn naming_holders_after_every_holder_narrows() {
        let every = SigningSystem { holders: None, ..system() };
        assert!(!is_wider(&every, &system()));
    }
}
