//! Notification cards, while the appliance is operational.

use super::Doorway;
use api::operations::letter::LetterAsked;
use api::operations::letter::LetterDone;
use api::operations::letter::LetterPage;
use api::operations::letter::LetterTried;
use api::operations::letter::Letters;
use api::operations::portal::Terminal;
use async_trait::async_trait;

#[async_trait]
impl Letters for Doorway {
    async fn letter_page(
        &self,
        request_id: &str,
        link: &str,
        registration: Option<&str>,
    ) -> LetterPage {
        match self.inside() {
            Ok(inside) => inside.keeper.letter_page(request_id, link, registration).await,
            Err(_) => LetterPage::Unavailable,
        }
    }

    async fn letter_password(
        &self,
        request_id: &str,
        link: &str,
        password: &str,
        terminal: Terminal,
    ) -> LetterTried {
        match self.inside() {
            Ok(inside) => inside.keeper.letter_password(request_id, link, password, terminal).await,
            Err(_) => LetterTried::Unavailable,
        }
    }

    async fn letter_options(
        &self,
        request_id: &str,
        link: &str,
        registration: &str,
    ) -> LetterAsked {
        match self.inside() {
            Ok(inside) => inside.keeper.letter_options(request_id, link, registration).await,
            Err(_) => LetterAsked::Unavailable,
        }
    }

    async fn letter_finish(
        &self,
        request_id: &str,
        link: &str,
        registration: &str,
        ceremony_id: &str,
        credential: serde_json::Value,
    ) -> LetterDone {
        match self.inside() {
            Ok(inside) => {
                let keeper = &inside.keeper;
                keeper.letter_finish(request_id, link, registration, ceremony_id, credential).await
            }
            Err(_) => LetterDone::Unavailable,
        }
    }
}
