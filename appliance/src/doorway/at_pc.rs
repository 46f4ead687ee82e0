//! Signing in before the asking PC's own screen, in each state.

use super::Doorway;
use api::operations::at_pc::AtPc;
use api::operations::portal::PhoneAsked;
use api::operations::portal::PhoneDone;
use api::operations::portal::PhonePage;
use async_trait::async_trait;

#[async_trait]
impl AtPc for Doorway {
    async fn pc_page(&self, request_id: &str, id: &str, page_secret: &str) -> PhonePage {
        match self.inside() {
            Ok(inside) => inside.keeper.pc_page(request_id, id, page_secret).await,
            Err(_) => PhonePage::Unavailable,
        }
    }

    async fn pc_options(
        &self,
        request_id: &str,
        id: &str,
        page_secret: &str,
        number: Option<String>,
        address: &str,
    ) -> PhoneAsked {
        match self.inside() {
            Ok(inside) => {
                inside.keeper.pc_options(request_id, id, page_secret, number, address).await
            }
            Err(_) => PhoneAsked::Unavailable,
        }
    }

    async fn pc_finish(
        &self,
        request_id: &str,
        id: &str,
        page_secret: &str,
        ceremony_id: &str,
        credential: serde_json::Value,
    ) -> PhoneDone {
        match self.inside() {
            Ok(inside) => {
                let keeper = &inside.keeper;
                keeper.pc_finish(request_id, id, page_secret, ceremony_id, credential).await
            }
            Err(_) => PhoneDone::Unavailable,
        }
    }

    async fn pc_deny(&self, request_id: &str, id: &str, page_secret: &str) -> PhoneDone {
        match self.inside() {
            Ok(inside) => inside.keeper.pc_deny(request_id, id, page_secret).await,
            Err(_) => PhoneDone::Unavailable,
        }
    }
}
