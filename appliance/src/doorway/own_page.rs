//! The holder's own page, in each state.

use super::Doorway;
use api::operations::own_page::Arrival;
use api::operations::own_page::Arrived;
use api::operations::own_page::Begun;
use api::operations::own_page::DeviceRemoval;
use api::operations::own_page::Own;
use api::operations::own_page::OwnAction;
use api::operations::own_page::OwnDone;
use api::operations::own_page::OwnPage;
use api::operations::own_page::OwnPageView;
use api::operations::own_page::OwnSignatures;
use api::operations::portal::Terminal;
use async_trait::async_trait;

#[async_trait]
impl OwnPage for Doorway {
    async fn begin_own_page(&self, request_id: &str, terminal: Terminal) -> Begun {
        match self.inside() {
            Ok(inside) => inside.keeper.begin_own_page(request_id, terminal).await,
            Err(_) => Begun::Unavailable,
        }
    }

    async fn arrive(&self, request_id: &str, arrival: Arrival) -> Arrived {
        match self.inside() {
            Ok(inside) => inside.keeper.arrive(request_id, arrival).await,
            Err(_) => Arrived::Unavailable,
        }
    }

    async fn own_page(&self, request_id: &str, secret: &str) -> Own<OwnPageView> {
        match self.inside() {
            Ok(inside) => inside.keeper.own_page(request_id, secret).await,
            Err(_) => Own::Unavailable,
        }
    }

    async fn own_device(&self, request_id: &str, secret: &str, device: &str) -> Own<DeviceRemoval> {
        match self.inside() {
            Ok(inside) => inside.keeper.own_device(request_id, secret, device).await,
            Err(_) => Own::Unavailable,
        }
    }

    async fn own_action(
        &self,
        request_id: &str,
        secret: &str,
        form_token: &str,
        action: OwnAction,
    ) -> OwnDone {
        match self.inside() {
            Ok(inside) => inside.keeper.own_action(request_id, secret, form_token, action).await,
            Err(_) => OwnDone::Unavailable,
        }
    }

    async fn own_signatures(
        &self,
        request_id: &str,
        secret: &str,
        before: Option<u64>,
    ) -> Own<OwnSignatures> {
        match self.inside() {
            Ok(inside) => inside.keeper.own_signatures(request_id, secret, before).await,
            Err(_) => Own::Unavailable,
        }
    }
}
