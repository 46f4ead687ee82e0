//! Notification cards of the keeper of paper: `link-1` takes `7K2MD-9QX4T`.

use super::keeper::PaperKeeper;
use super::paper_portal::PAGE_SECRET;
use api::operations::letter::LetterAsked;
use api::operations::letter::LetterDone;
use api::operations::letter::LetterPage;
use api::operations::letter::LetterTried;
use api::operations::letter::Letters;
use api::operations::portal::Terminal;
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Mutex;

/// Answers that tests put in the place of the usual ones.
#[derive(Default)]
pub struct PaperLetter {
    pub page: Mutex<Option<LetterPage>>,
    pub tried: Mutex<Option<LetterTried>>,
    pub done: Mutex<Option<LetterDone>>,
}

#[async_trait]
impl Letters for PaperKeeper {
    async fn letter_page(
        &self,
        _request_id: &str,
        link: &str,
        registration: Option<&str>,
    ) -> LetterPage {
        self.note(format!("letter {link} {}", registration.unwrap_or("-")));
        let usual = || match (link, registration) {
            ("link-1", Some(PAGE_SECRET)) => LetterPage::Register {
                holder: "医師 <太郎>".into(),
                holder_id: "u-17".into(),
                remaining_seconds: 899,
            },
            ("link-1", _) => LetterPage::AskPassword,
            _ => LetterPage::Over,
        };
        self.letter.page.lock().unwrap().clone().unwrap_or_else(usual)
    }

    async fn letter_password(
        &self,
        _request_id: &str,
        link: &str,
        password: &str,
        terminal: Terminal,
    ) -> LetterTried {
        self.note(format!("password {link} {password}"));
        self.portal.terminals.lock().unwrap().push(terminal);
        let usual = || LetterTried::Right { registration: PAGE_SECRET.into() };
        self.letter.tried.lock().unwrap().clone().unwrap_or_else(usual)
    }

    async fn letter_options(
        &self,
        _request_id: &str,
        link: &str,
        registration: &str,
    ) -> LetterAsked {
        self.note(format!("letter options {link} {registration}"));
        match registration {
            PAGE_SECRET => LetterAsked::Options {
                ceremony_id: "c-1".into(),
                options: serde_json::json!({"publicKey": {"challenge": "AAEC"}}),
            },
            _ => LetterAsked::Over,
        }
    }

    async fn letter_finish(
        &self,
        _request_id: &str,
        link: &str,
        registration: &str,
        ceremony_id: &str,
        credential: Value,
    ) -> LetterDone {
        self.note(format!("letter finish {link} {registration} {ceremony_id}"));
        self.portal.credentials.lock().unwrap().push(credential);
        let usual = || LetterDone::Registered { label: "90D8-3E98".into() };
        self.letter.done.lock().unwrap().clone().unwrap_or_else(usual)
    }
}
