//! Sign-ins that browsers keep, in the keeper of paper.

use super::keeper::PaperKeeper;
use api::operations::portal::Terminal;
use api::operations::saved::SavedOffer;
use api::operations::saved::SavedSignIns;
use api::operations::saved::WentOn;
use api::wire::MethodName;
use async_trait::async_trait;
use std::sync::Mutex;

/// The cookie with which something is kept.
pub const KEPT: &str = "browser-1.secret";

/// Answers that tests put in the place of the usual ones.
#[derive(Default)]
pub struct PaperSaved {
    pub went_on: Mutex<Option<WentOn>>,
    pub is_stuck: Mutex<bool>,
    pub cookies: Mutex<Vec<Option<String>>>,
}

#[async_trait]
impl SavedSignIns for PaperKeeper {
    async fn saved_offer(
        &self,
        _request_id: &str,
        link: &str,
        cookie: &str,
        terminal: Terminal,
    ) -> Option<SavedOffer> {
        self.note(format!("offer {link} {cookie} {}", terminal.address));
        (cookie == KEPT).then(|| SavedOffer {
            system: "<b>電子カルテ</b>".into(),
            method: MethodName::Fido2,
            since: 1_798_729_199,
            until: 1_798_772_399,
            signatures: 1_249,
            form_token: "one-time".into(),
            return_origin: Some("https://ehr.example:8443".into()),
            remaining_seconds: 170,
            danger_test_mode: true,
        })
    }

    async fn go_on(
        &self,
        _request_id: &str,
        link: &str,
        cookie: &str,
        form_token: &str,
        _terminal: Terminal,
    ) -> WentOn {
        self.note(format!("go on {link} {cookie} {form_token}"));
        self.saved.went_on.lock().unwrap().clone().unwrap_or(WentOn::SavedOver)
    }

    async fn forget_saved(&self, _request_id: &str, cookie: &str) -> bool {
        self.note(format!("forget {cookie}"));
        !*self.saved.is_stuck.lock().unwrap()
    }
}
