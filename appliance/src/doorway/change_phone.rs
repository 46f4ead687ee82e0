//! Changing a phone, in each state.

use super::Doorway;
use api::operations::change_phone::ChangeGoesOn;
use api::operations::change_phone::ChangePhone;
use api::operations::portal::Handed;
use api::operations::portal::Terminal;
use async_trait::async_trait;

#[async_trait]
impl ChangePhone for Doorway {
    async fn start_change(&self, request_id: &str, holder_id: &str, terminal: Terminal) -> Handed {
        match self.inside() {
            Ok(inside) => inside.keeper.start_change(request_id, holder_id, terminal).await,
            Err(_) => Handed::Unavailable,
        }
    }

    async fn answer_change(
        &self,
        request_id: &str,
        id: &str,
        page_secret: &str,
        agree: bool,
    ) -> ChangeGoesOn {
        match self.inside() {
            Ok(inside) => inside.keeper.answer_change(request_id, id, page_secret, agree).await,
            Err(_) => ChangeGoesOn::Unavailable,
        }
    }
}
