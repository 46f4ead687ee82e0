//! Sign-ins that browsers keep, in each state.

use super::Doorway;
use api::operations::portal::Terminal;
use api::operations::saved::SavedOffer;
use api::operations::saved::SavedSignIns;
use api::operations::saved::WentOn;
use async_trait::async_trait;

#[async_trait]
impl SavedSignIns for Doorway {
    async fn saved_offer(
        &self,
        request_id: &str,
        link: &str,
        cookie: &str,
        terminal: Terminal,
    ) -> Option<SavedOffer> {
        let inside = self.inside().ok()?;
        inside.keeper.saved_offer(request_id, link, cookie, terminal).await
    }

    async fn go_on(
        &self,
        request_id: &str,
        link: &str,
        cookie: &str,
        form_token: &str,
        terminal: Terminal,
    ) -> WentOn {
        match self.inside() {
            Ok(inside) => inside.keeper.go_on(request_id, link, cookie, form_token, terminal).await,
            Err(_) => WentOn::Unavailable,
        }
    }

    async fn forget_saved(&self, request_id: &str, cookie: &str) -> bool {
        match self.inside() {
            Ok(inside) => inside.keeper.forget_saved(request_id, cookie).await,
            Err(_) => false,
        }
    }
}
