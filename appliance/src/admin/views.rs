//! What operators read.

use crate::admin::desk::AdminDesk;
use crate::admin::desk::Asking;
use crate::admin::desk::answer;
use crate::admin::proposal::Proposal;
use crate::admin::refusal;
use crate::x509;
use crate::x509::Facts;
use crate::x509::rfc3339;
use api::admin::AdminAnswer;
use api::admin::AdminCommand;
use api::admin::Outcome;
use api::admin::answer::AnchorView;
use api::admin::answer::AuditHeadView;
use api::admin::answer::CardView;
use api::admin::answer::HolderView;
use api::admin::answer::OperatorView;
use api::admin::answer::ProposalView;
use api::admin::answer::SessionEntry;
use api::admin::answer::SystemView;
use api::problem::Code;
use api::problem::Problem;
use attest::records::Anchor;
use attest::records::CardLink;
use attest::records::Holder;
use attest::records::SigningSystem;
use attest::session::LiveSession;
use serde::Serialize;
use std::sync::Arc;

impl AdminDesk {
    pub(super) async fn read(
        &self,
        asking: &Asking,
        command: &AdminCommand,
    ) -> Result<AdminAnswer, Problem> {
        use AdminCommand as C;
        match command {
            C::Status {} => done(&self.status(asking).await),
            C::Doctor {} => done(&self.doctor().await),
            C::HolderList {} => done(&self.holders()),
            C::HolderShow { holder_id } => done(&self.holder_sheet(holder_id).await?),
            C::CardList { holder_id } => done(&self.cards(holder_id.as_deref())),
            C::DeviceList { holder_id } => done(&self.devices(holder_id.as_deref())),
            C::JpkiList { holder_id } => done(&self.jpki_cards(holder_id.as_deref())),
            C::KeyList { holder_id } => done(&self.key_views(holder_id.as_deref())?),
            C::LetterList {} => done(&self.letters().await?),
            C::KeyRequest { credential_id } => done(&self.key_request(credential_id).await?),
            C::SystemList {} => done(
                &self.parts().registry.systems().iter().map(|one| system(one)).collect::<Vec<_>>(),
            ),
            C::OperatorList {} => done(&self.operators()),
            C::AnchorList {} => done(&self.anchors().await?),
            C::SessionList { holder_id, system_id } => {
                done(&self.live_sessions(holder_id.as_deref(), system_id.as_deref())?)
            }
            C::ProposalList {} => done(&self.proposal_list().await?),
            C::ProposalShow { proposal_id } => done(&self.proposal(proposal_id).await?),
            C::AuditHead {} => done(&self.audit_head()),
            C::AuditSearch(query) => done(&self.audit_search(asking, query).await?),
            C::AuditExport { from, limit } => {
                done(&self.audit_export(asking, *from, *limit).await?)
            }
            other => Err(refusal::internal(other.name(), &"this command reads nothing")),
        }
    }

    fn holders(&self) -> Vec<HolderView> {
        let registry = &self.parts().registry;
        let cards = registry.cards();
        registry.holders().iter().map(|holder| self.holder_view(holder, &cards)).collect()
    }

    pub(super) fn holder_view(&self, holder: &Holder, cards: &[Arc<CardLink>]) -> HolderView {
        let credentials = self.parts().registry.credentials_of(&holder.holder_id);
        HolderView {
            holder_id: holder.holder_id.clone(),
            display_name: holder.display_name.clone(),
            enabled: holder.enabled,
            ca_contact: holder.ca_contact.clone(),
            cards: cards.iter().filter(|link| link.holder_id == holder.holder_id).count() as u64,
            credentials: credentials.iter().map(|live| live.record.credential_id.clone()).collect(),
            created_at: rfc3339(holder.created_at.0),
        }
    }

    pub(super) fn cards(&self, holder_id: Option<&str>) -> Vec<CardView> {
        let cards = self.parts().registry.cards();
        let wanted = cards.iter().filter(|link| holder_id.is_none_or(|of| link.holder_id == of));
        let view = |link: &CardLink| CardView {
            card: link.card.0.clone(),
            holder_id: link.holder_id.clone(),
            subject: link.subject.clone(),
            not_after: link.not_after.map(|end| rfc3339(end.0)),
            linked_at: rfc3339(link.linked_at.0),
        };
        wanted.map(|link| view(link)).collect()
    }

    fn operators(&self) -> Vec<OperatorView> {
        let operators = self.parts().registry.operators();
        let view = |operator: &attest::records::Operator| OperatorView {
            operator_id: operator.operator_id.clone(),
            role: operator.role.into(),
            certificate: operator.certificate.0.clone(),
            created_at: rfc3339(operator.created_at.0),
        };
        operators.iter().map(|operator| view(operator)).collect()
    }

    async fn anchors(&self) -> Result<Vec<AnchorView>, Problem> {
        let anchors = self.parts().trust.load_all::<Anchor>().await.map_err(refusal::trust)?;
        let view = |anchor: &Anchor| {
            let facts = Facts::of(&anchor.certificate_der);
            AnchorView {
                purpose: anchor.purpose.into(),
                fingerprint: anchor.fingerprint.0.clone(),
                subject: facts.as_ref().map(|facts| facts.subject.clone()).unwrap_or_default(),
                not_after: facts.map(|facts| rfc3339(facts.not_after)).unwrap_or_default(),
                added_at: rfc3339(anchor.added_at.0),
            }
        };
        Ok(anchors.iter().map(view).collect())
    }

    pub(super) fn live_sessions(
        &self,
        holder_id: Option<&str>,
        system_id: Option<&str>,
    ) -> Result<Vec<SessionEntry>, Problem> {
        let now = self.now()?;
        let is_wanted = |session: &LiveSession| {
            session.over(now).is_none()
                && holder_id.is_none_or(|of| session.holder_id == of)
                && system_id.is_none_or(|of| session.system_id == of)
        };
        let mut sessions = self.parts().sessions.all();
        sessions.retain(|session| is_wanted(session));
        sessions.sort_by(|a, b| {
            (a.authenticated_at, &a.session_id).cmp(&(b.authenticated_at, &b.session_id))
        });
        Ok(sessions.iter().map(session).collect())
    }

    async fn proposal_list(&self) -> Result<Vec<ProposalView>, Problem> {
        let now = self.now()?;
        let mut proposals = self.proposals().await?;
        proposals.sort_by_key(|proposal| (!proposal.is_open(now), proposal.proposed_at));
        Ok(proposals.iter().map(|proposal| self.proposal_view(proposal, now)).collect())
    }

    async fn proposal(&self, proposal_id: &str) -> Result<ProposalView, Problem> {
        let now = self.now()?;
        let found =
            self.parts().trust.load::<Proposal>(proposal_id).await.map_err(refusal::trust)?;
        let (proposal, _) = found.ok_or(Code::ProposalUnknown)?;
        Ok(self.proposal_view(&proposal, now))
    }

    pub(super) fn audit_head(&self) -> AuditHeadView {
        let checkpoint = self.parts().audit.checkpoint();
        let key = self.parts().hsm.checkpoint_public_key().ok();
        AuditHeadView {
            size: self.parts().audit.records(),
            checkpoint: checkpoint.map(|signed| signed.text.clone()),
            public_key_pem: key.map(|spki| x509::pem("PUBLIC KEY", &spki)),
        }
    }
}

fn system(system: &SigningSystem) -> SystemView {
    SystemView {
        system_id: system.system_id.clone(),
        display_name: system.display_name.clone(),
        certificates: system.certificates.iter().map(|certificate| certificate.0.clone()).collect(),
        return_urls: system.return_urls.clone(),
        holders: system.holders.clone(),
        methods: system.methods.iter().map(|method| (*method).into()).collect(),
        raw_allowed: system.raw_allowed,
        bare_digests_allowed: system.bare_digests_allowed,
        session_seconds: system.limits.seconds,
        session_idle_seconds: system.limits.idle_seconds,
        session_signatures: system.limits.signatures,
        requests_per_second: system.requests_per_second,
        created_at: rfc3339(system.created_at.0),
    }
}

fn session(session: &Arc<LiveSession>) -> SessionEntry {
    SessionEntry {
        session_id: session.session_id.clone(),
        holder_id: session.holder_id.clone(),
        system_id: session.system_id.clone(),
        method: session.method.into(),
        authenticated_at: rfc3339(session.authenticated_at.0),
        expires_at: rfc3339(session.expires_at.0),
        last_used: rfc3339(session.last_used().0),
        used: session.used(),
        remaining: session.remaining(),
    }
}

fn done(body: &impl Serialize) -> Result<AdminAnswer, Problem> {
    answer(Outcome::Done, body)
}
