//! A My Number card is registered by its holder's HPKI card: the ticket, the exchange of the cards, the proof, the link.
//!
//! The proved card waits for the HPKI card to be shown once more: [`super::confirm_enrol`].

use super::Keeper;
use super::card::CardFault;
use super::card::ProvedCard;
use super::card::Step;
use super::entries;
use super::jpki::MyNumber;
use super::jpki::MyNumbers;
use super::phones::terminal_line;
use super::sign_in::refusal_name;
use crate::audit::record::Enrolment;
use crate::audit::record::session_hash;
use api::operations::CardHandshake;
use api::operations::SignInRefusal;
use api::operations::WhyNot;
use api::operations::confirm_enrol::EnrolEnded;
use api::operations::my_number::LinkDone;
use api::operations::my_number::LinkForm;
use api::operations::my_number::LinkMet;
use api::operations::my_number::LinkPage;
use api::operations::my_number::LinkStarted;
use api::operations::my_number::MyNumber as Pages;
use api::operations::portal::Terminal;
use async_trait::async_trait;
use attest::authenticator::Enroller;
use attest::clock::UnixSeconds;
use attest::jpki::JpkiLink;
use attest::jpki::LinkTicket;
use attest::jpki::Linked;
use attest::jpki::NewCard;
use attest::records::Fingerprint;
use attest::records::Holder;
use attest::records::Method;
use attest::sessions::SessionError;
use std::sync::Arc;

/// An HPKI card that may register a My Number card.
struct Begun {
    proved: ProvedCard,
    holder: Arc<Holder>,
    /// The link that goes when the new one is made.
    replaces: Option<Arc<JpkiLink>>,
}

/// A My Number card before a ticket that is open.
struct Met {
    ticket: LinkTicket,
    proved: ProvedCard,
    holder: Arc<Holder>,
    /// The link that the holder agreed to give up.
    replaces: Option<Arc<JpkiLink>>,
}

/// Why there is no card before an open ticket.
enum NotMet {
    Swap,
    /// A card was proved under it.
    AskCard {
        url: String,
        remaining_seconds: u64,
    },
    Over,
    Refused(WhyNot),
}

/// What a card proved under a ticket.
pub(super) fn proof(ticket: &LinkTicket, proved: &ProvedCard) -> Enrolment {
    Enrolment {
        ticket: session_hash(&ticket.ticket_id),
        holder_id: ticket.holder_id.clone(),
        method: proved.method,
        factor: proved.factor.clone(),
        replaces: ticket.replaces.clone(),
        terminal: ticket.terminal.clone(),
        evidence: Fingerprint::of(proved.evidence_json.as_bytes()),
        evidence_json: proved.evidence_json.clone(),
    }
}

/// What a form is about: nobody gives up another card than the one they were shown.
fn subject(what: &str, replaces: Option<&Arc<JpkiLink>>) -> Fingerprint {
    let replaces = replaces.map(|link| link.card.0.as_str());
    Fingerprint::of(format!("link/{what}/{}", replaces.unwrap_or("-")).as_bytes())
}

#[async_trait]
impl Pages for Keeper {
    async fn open_link(&self, request_id: &str, card: Option<CardHandshake>) -> LinkPage {
        let Some(card) = card else {
            return LinkPage::PresentCard;
        };
        match self.begin_link(request_id, card, Step::Look).await {
            Ok((_, begun)) => {
                let subject = subject(&begun.holder.holder_id, begun.replaces.as_ref());
                let form_token = self.forms.issue(&subject, &begun.proved.factor);
                LinkPage::Confirm(self.form(&begun.holder, begun.replaces.as_ref(), form_token))
            }
            Err(refusal) => LinkPage::Refused(refusal),
        }
    }

    async fn start_link(
        &self,
        request_id: &str,
        card: Option<CardHandshake>,
        form_token: &str,
        terminal: Terminal,
    ) -> LinkStarted {
        let Some(card) = card else {
            return LinkStarted::Refused(SignInRefusal::ProofNotFresh.into());
        };
        let (my_numbers, begun) = match self.begin_link(request_id, card, Step::Decide).await {
            Ok(begun) => begun,
            Err(refusal) => return LinkStarted::Refused(refusal),
        };
        let subject = subject(&begun.holder.holder_id, begun.replaces.as_ref());
        if !self.forms.check(&subject, &begun.proved.factor, form_token) {
            return LinkStarted::Refused(SignInRefusal::FormOver.into());
        }
        let terminal = terminal_line(&terminal);
        match self.issue_link_ticket(request_id, my_numbers, &begun, &terminal).await {
            Ok(Some((id, secret))) => {
                let jpki_origin = my_numbers.listener.origin.clone();
                LinkStarted::Swap { jpki_origin, id, secret: secret.into() }
            }
            Ok(None) => {
                let detail = format!("card {}", begun.proved.factor.0);
                self.note_link(request_id, "evidence_used", &detail).await;
                LinkStarted::Refused(SignInRefusal::ProofNotFresh.into())
            }
            Err(error) => {
                tracing::error!(request_id, error, "no My Number card can be registered");
                LinkStarted::Refused(SignInRefusal::Unavailable.into())
            }
        }
    }

    async fn started_link(&self, request_id: &str, id: &str, secret: &str) -> LinkStarted {
        let jpki = self.my_numbers.as_ref().map(|jpki| jpki.listener.origin.clone());
        match (self.open_ticket(request_id, id, secret).await, jpki) {
            (Ok(_) | Err(NotMet::AskCard { .. }), Some(jpki_origin)) => {
                LinkStarted::Swap { jpki_origin, id: id.to_owned(), secret: secret.into() }
            }
            (Err(NotMet::Refused(why)), _) => LinkStarted::Refused(why),
            (Ok(_) | Err(NotMet::Swap | NotMet::AskCard { .. } | NotMet::Over), _) => {
                LinkStarted::Refused(SignInRefusal::LinkOver.into())
            }
        }
    }

    async fn meet_link(
        &self,
        request_id: &str,
        id: &str,
        secret: &str,
        card: Option<CardHandshake>,
    ) -> LinkMet {
        match self.meet_link_card(request_id, (id, secret), card, Step::Look).await {
            Ok((_, met)) => {
                let subject = subject(&met.ticket.ticket_id, met.replaces.as_ref());
                let form_token = self.forms.issue(&subject, &met.proved.factor);
                LinkMet::Confirm(self.form(&met.holder, met.replaces.as_ref(), form_token))
            }
            Err(NotMet::Swap) => LinkMet::Swap,
            Err(NotMet::AskCard { url, remaining_seconds }) => {
                LinkMet::AskCard { url, remaining_seconds }
            }
            Err(NotMet::Over) => LinkMet::Over,
            Err(NotMet::Refused(refusal)) => LinkMet::Refused(refusal),
        }
    }

    async fn confirm_link(
        &self,
        request_id: &str,
        id: &str,
        secret: &str,
        card: Option<CardHandshake>,
        form_token: &str,
    ) -> LinkDone {
        let met = self.meet_link_card(request_id, (id, secret), card, Step::Decide).await;
        let (my_numbers, met) = match met {
            Ok(met) => met,
            Err(NotMet::Swap) => return LinkDone::Swap,
            Err(NotMet::AskCard { .. }) => return LinkDone::AskCard,
            Err(NotMet::Over) => return LinkDone::Over,
            Err(NotMet::Refused(refusal)) => return LinkDone::Refused(refusal),
        };
        let subject = subject(&met.ticket.ticket_id, met.replaces.as_ref());
        if !self.forms.check(&subject, &met.proved.factor, form_token) {
            return LinkDone::Refused(SignInRefusal::FormOver.into());
        }
        self.propose_card(request_id, my_numbers, met).await
    }
}

impl Keeper {
    fn form(
        &self,
        holder: &Holder,
        replaces: Option<&Arc<JpkiLink>>,
        form_token: String,
    ) -> LinkForm {
        LinkForm {
            holder: holder.display_name.clone(),
            holder_id: holder.holder_id.clone(),
            replaces_since: replaces.map(|link| link.linked_at.0),
            form_token: form_token.into(),
            danger_test_mode: self.danger_test_mode(),
        }
    }

    /// The HPKI card on its own listener, and the card that its holder has registered now.
    async fn begin_link(
        &self,
        request_id: &str,
        handshake: CardHandshake,
        step: Step,
    ) -> Result<(&MyNumbers, Begun), WhyNot> {
        let (proved, holder) = self.proved_enroller(request_id, handshake, step).await?;
        let refused = match (&self.my_numbers, proved.method) {
            (Some(my_numbers), Method::Hpki) if my_numbers.listener.has_provider => {
                let replaces = self.parts.registry.jpki_of(&holder.holder_id);
                return Ok((my_numbers, Begun { proved, holder, replaces }));
            }
            // A My Number card registers no other one: a lost card's finder has its certificate, too.
            (Some(_), Method::Jpki | Method::Fido2) => SignInRefusal::WrongCertificate,
            (Some(_), Method::Hpki) | (None, Method::Hpki | Method::Jpki | Method::Fido2) => {
                SignInRefusal::NoValidityProvider
            }
        };
        self.note_link(request_id, refusal_name(refused), "").await;
        Err(refused.into())
    }

    async fn issue_link_ticket(
        &self,
        request_id: &str,
        my_numbers: &MyNumbers,
        begun: &Begun,
        terminal: &str,
    ) -> Result<Option<(String, String)>, String> {
        let enrolled_by =
            Enroller { method: begun.proved.method, factor: begun.proved.factor.clone() };
        let replaces = begun.replaces.as_ref().map(|link| link.card.clone());
        let (holder_id, once_key) = (&begun.holder.holder_id, &begun.proved.replay_key);
        let issued =
            my_numbers.links.issue(holder_id, enrolled_by, replaces, terminal, once_key).await;
        let Some((ticket, secret)) = issued.map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        let entry = entries::enrolment_started(request_id, proof(&ticket, &begun.proved));
        // Nobody has the ticket's secret before this record is durable.
        self.parts.audit.append(entry).await.map_err(|error| error.to_string())?;
        Ok(Some((ticket.ticket_id, secret)))
    }

    /// The ticket whose secret this browser has, while a card can be linked with it.
    async fn open_ticket(
        &self,
        request_id: &str,
        id: &str,
        secret: &str,
    ) -> Result<(&MyNumbers, LinkTicket, UnixSeconds), NotMet> {
        let unavailable = || NotMet::Refused(SignInRefusal::Unavailable.into());
        let Some(my_numbers) = &self.my_numbers else {
            return Err(NotMet::Refused(SignInRefusal::NoValidityProvider.into()));
        };
        let now = self.parts.clock.now().map_err(|_| unavailable())?;
        let ticket = my_numbers.links.ticket(id, secret).await.map_err(|error| {
            tracing::error!(request_id, %error, "a ticket could not be read");
            unavailable()
        })?;
        let ticket = ticket.ok_or(NotMet::Over)?;
        if let Some((_, until)) = ticket.proved(now) {
            let origin = self.card_origin(ticket.enrolled_by.method);
            return Err(NotMet::AskCard {
                url: format!("{origin}/enrol/{id}"),
                remaining_seconds: now.seconds_until(until),
            });
        }
        match ticket.is_open(now) {
            true => Ok((my_numbers, ticket, now)),
            false => Err(NotMet::Over),
        }
    }

    /// Everything that must hold before the form is shown, and again before it is believed.
    async fn meet_link_card(
        &self,
        request_id: &str,
        (id, secret): (&str, &str),
        card: Option<CardHandshake>,
        step: Step,
    ) -> Result<(&MyNumbers, Met), NotMet> {
        // Step 1: the ticket; its secret is what the HPKI card's page gave to this browser.
        let (my_numbers, ticket, now) = self.open_ticket(request_id, id, secret).await?;
        // Step 2: the card, in a handshake that is younger than the ticket.
        let handshake = card.ok_or(NotMet::Swap)?;
        let between = (ticket.created_at, now);
        let proved = self.proved_my_number(request_id, handshake, between, step).await?;
        // Step 3: whose ticket it is.
        let holder = self.parts.registry.holder(&ticket.holder_id);
        let holder = holder.filter(|holder| holder.enabled);
        let holder = holder.ok_or_else(|| {
            let disabled = SignInRefusal::HolderDisabled;
            NotMet::Refused(self.refused(&ticket.holder_id, disabled))
        })?;
        let replaces = ticket.replaces.as_ref().and_then(|card| self.parts.registry.jpki(card));
        Ok((my_numbers, Met { ticket, proved, holder, replaces }))
    }

    async fn proved_my_number(
        &self,
        request_id: &str,
        handshake: CardHandshake,
        (not_before, now): (UnixSeconds, UnixSeconds),
        step: Step,
    ) -> Result<ProvedCard, NotMet> {
        match self.prove_card(handshake, not_before, now).await {
            Ok(proved) if proved.method == Method::Jpki => Ok(proved),
            Ok(_) => Err(NotMet::Swap),
            Err(CardFault { refusal, code, detail, .. }) => {
                if step.is_noted(code) {
                    self.note_link(request_id, code, &detail).await;
                }
                Err(if refusal.refusal == SignInRefusal::OtherKindOfCard {
                    NotMet::Swap
                } else {
                    NotMet::Refused(refusal)
                })
            }
        }
    }

    /// The card is proved and confirmed on its own page: now the HPKI card is asked for once more.
    async fn propose_card(&self, request_id: &str, my_numbers: &MyNumbers, met: Met) -> LinkDone {
        let Met { ticket, proved, .. } = met;
        let proof = proof(&ticket, &proved);
        let Some(MyNumber { certificate, .. }) = proved.my_number else {
            return LinkDone::Swap;
        };
        // Both are durable before anything waits: what the card proved, and what it is for.
        let (holder_id, card) = (&ticket.holder_id, &proved.factor);
        let detail = link_detail(&ticket);
        let proposed = entries::my_number_proposed(request_id, holder_id, card, detail);
        for entry in [entries::enrolment_started(request_id, proof), proposed] {
            if let Err(error) = self.parts.audit.append(entry).await {
                tracing::error!(request_id, %error, "a My Number card could not be recorded");
                return LinkDone::Refused(SignInRefusal::Unavailable.into());
            }
        }
        let id = &ticket.ticket_id;
        let new = NewCard { card: card.clone(), certificate, once_key: proved.replay_key.clone() };
        let linked = my_numbers.links.prove(id, &new).await;
        if let Ok(Linked::AsksCard { .. }) = linked {
            return LinkDone::AskCard;
        }
        match self.record_lost_link(request_id, linked).await {
            Some(Linked::Known) => LinkDone::Known,
            Some(Linked::OthersCard) => LinkDone::OthersCard,
            Some(Linked::EvidenceUsed) => LinkDone::Refused(SignInRefusal::ProofNotFresh.into()),
            Some(
                Linked::AsksCard { .. }
                | Linked::Done { .. }
                | Linked::Over
                | Linked::OtherCard
                | Linked::NotEntitled,
            ) => LinkDone::Over,
            None => LinkDone::Refused(SignInRefusal::Unavailable.into()),
        }
    }

    /// The HPKI card was shown again for the card that was proved.
    pub(super) async fn link_confirmed(
        &self,
        request_id: &str,
        ticket: &LinkTicket,
        link: &JpkiLink,
        once_key: &Fingerprint,
    ) -> EnrolEnded {
        let Some(my_numbers) = &self.my_numbers else {
            return EnrolEnded::Refused(SignInRefusal::NoValidityProvider.into());
        };
        // What the card is for is durable before it serves. That nothing came of it is recorded, too.
        let (holder_id, card) = (&link.holder_id, &link.card);
        let changed = |card: &Fingerprint, change: &'static str, detail: String| {
            entries::my_number_changed(request_id, holder_id, card, change, detail)
        };
        let granted = changed(card, "granted", link_detail(ticket));
        let given_up = ticket.replaces.as_ref();
        let given_up = given_up.filter(|old| self.parts.registry.jpki(old).is_some());
        let removed =
            given_up.map(|old| changed(old, "removed", format!("given up for {}", card.0)));
        for entry in [Some(granted), removed].into_iter().flatten() {
            if let Err(error) = self.parts.audit.append(entry).await {
                tracing::error!(request_id, %error, "a My Number card could not be recorded");
                return EnrolEnded::Refused(SignInRefusal::Unavailable.into());
            }
        }
        let (id, by) = (&ticket.ticket_id, &ticket.enrolled_by);
        let linked = my_numbers.links.confirm(id, by, once_key).await;
        if let Ok(Linked::Done { link, replaced }) = linked {
            self.take_up_my_number(*link).await;
            if let Some(gone) = replaced {
                self.let_go_my_number(request_id, &gone).await;
            }
            return EnrolEnded::Linked;
        }
        EnrolEnded::Refused(match self.record_lost_link(request_id, linked).await {
            Some(Linked::NotEntitled) => self.refused(holder_id, SignInRefusal::HolderDisabled),
            Some(Linked::EvidenceUsed) => SignInRefusal::ProofNotFresh.into(),
            Some(
                Linked::AsksCard { .. }
                | Linked::Done { .. }
                | Linked::Over
                | Linked::Known
                | Linked::OthersCard
                | Linked::OtherCard,
            ) => SignInRefusal::LinkOver.into(),
            None => SignInRefusal::Unavailable.into(),
        })
    }

    /// Nothing came of a registration whose record is in the log; `None` when it could not be stored.
    async fn record_lost_link(
        &self,
        request_id: &str,
        lost: Result<Linked, SessionError>,
    ) -> Option<Linked> {
        let lost = lost.inspect_err(|error| {
            tracing::error!(request_id, %error, "a My Number card could not be stored");
        });
        let code = lost.as_ref().map_or("not_stored", lost_name);
        let detail = "nothing came of the registration that is recorded under this request";
        let entry = entries::link_denied(request_id, code, detail);
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(request_id, %error, "a lost registration could not be recorded");
        }
        lost.ok()
    }

    async fn note_link(&self, request_id: &str, code: &str, detail: &str) {
        let entry = entries::link_denied(request_id, code, detail);
        self.note("enrolment", request_id, &format!("{code}: {detail}"), entry).await;
    }
}

/// By what a card is registered, for the log.
fn link_detail(ticket: &LinkTicket) -> String {
    let by = format!("{} {}", ticket.enrolled_by.method.name(), ticket.enrolled_by.factor.0);
    let replaces = ticket.replaces.as_ref().map(|old| format!(" in place of {}", old.0));
    format!(
        "a My Number card registered by {by}{}; ticket {}",
        replaces.unwrap_or_default(),
        session_hash(&ticket.ticket_id).0,
    )
}

/// Stable word for the log.
fn lost_name(lost: &Linked) -> &'static str {
    match lost {
        Linked::AsksCard { .. } | Linked::Done { .. } => "linked",
        Linked::Over => "ticket_over",
        Linked::Known => "already_linked",
        Linked::OthersCard => "others_card",
        Linked::OtherCard => "other_card",
        Linked::NotEntitled => "not_entitled",
        Linked::EvidenceUsed => "evidence_used",
    }
}
