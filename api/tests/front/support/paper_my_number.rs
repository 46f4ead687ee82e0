//! The keeper of paper registers My Number cards: the ticket is `ticket-1`.

use super::keeper::PaperKeeper;
use api::operations::CardHandshake;
use api::operations::SignInRefusal;
use api::operations::my_number::LinkDone;
use api::operations::my_number::LinkForm;
use api::operations::my_number::LinkMet;
use api::operations::my_number::LinkPage;
use api::operations::my_number::LinkStarted;
use api::operations::my_number::MyNumber;
use api::operations::portal::Terminal;
use async_trait::async_trait;

/// Secret of the ticket that is known.
pub const TICKET_SECRET: &str = "ticket-secret";

fn form() -> LinkForm {
    LinkForm {
        holder: "医師 太郎".into(),
        holder_id: "u-17".into(),
        replaces_since: Some(1_798_729_199),
        form_token: "one-time".into(),
        danger_test_mode: true,
    }
}

#[async_trait]
impl MyNumber for PaperKeeper {
    async fn open_link(&self, _request_id: &str, card: Option<CardHandshake>) -> LinkPage {
        self.note("open link");
        match (card, *self.refusal.lock().unwrap()) {
            (None, _) => LinkPage::PresentCard,
            (Some(_), Some(refusal)) => LinkPage::Refused(refusal.into()),
            (Some(_), None) => LinkPage::Confirm(form()),
        }
    }

    async fn start_link(
        &self,
        _request_id: &str,
        card: Option<CardHandshake>,
        form_token: &str,
        _terminal: Terminal,
    ) -> LinkStarted {
        self.note(format!("start link {form_token}"));
        match card {
            None => LinkStarted::Refused(SignInRefusal::ProofNotFresh.into()),
            Some(_) => LinkStarted::Swap {
                jpki_origin: "https://localhost:8447".into(),
                id: "ticket-1".into(),
                secret: TICKET_SECRET.into(),
            },
        }
    }

    async fn started_link(&self, _request_id: &str, id: &str, secret: &str) -> LinkStarted {
        match (id, secret) {
            ("ticket-1", TICKET_SECRET) => LinkStarted::Swap {
                jpki_origin: "https://localhost:8447".into(),
                id: "ticket-1".into(),
                secret: TICKET_SECRET.into(),
            },
            _ => LinkStarted::Refused(SignInRefusal::LinkOver.into()),
        }
    }

    async fn meet_link(
        &self,
        _request_id: &str,
        id: &str,
        secret: &str,
        card: Option<CardHandshake>,
    ) -> LinkMet {
        self.note(format!("meet link {id}"));
        self.cards.lock().unwrap().push(card.clone());
        match (secret == TICKET_SECRET, card, *self.refusal.lock().unwrap()) {
            (false, ..) => LinkMet::Over,
            (true, None, _) => LinkMet::Swap,
            (true, Some(_), Some(refusal)) => LinkMet::Refused(refusal.into()),
            (true, Some(_), None) if self.was_asked("confirm link ticket-1 one-time") => {
                LinkMet::AskCard {
                    url: "https://localhost:8444/enrol/ticket-1".into(),
                    remaining_seconds: 170,
                }
            }
            (true, Some(_), None) => LinkMet::Confirm(form()),
        }
    }

    async fn confirm_link(
        &self,
        _request_id: &str,
        id: &str,
        secret: &str,
        card: Option<CardHandshake>,
        form_token: &str,
    ) -> LinkDone {
        self.note(format!("confirm link {id} {form_token}"));
        match (secret == TICKET_SECRET, card, *self.refusal.lock().unwrap()) {
            (false, ..) => LinkDone::Over,
            (true, None, _) => LinkDone::Swap,
            (true, Some(_), Some(refusal)) => LinkDone::Refused(refusal.into()),
            (true, Some(_), None) => LinkDone::AskCard,
        }
    }
}
