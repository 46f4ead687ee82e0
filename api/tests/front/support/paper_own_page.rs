//! The holder's own page in the keeper of paper.

use super::keeper::PaperKeeper;
use api::admin::names::EnrollerName;
use api::operations::own_page::Arrival;
use api::operations::own_page::Arrived;
use api::operations::own_page::Begun;
use api::operations::own_page::DeviceRemoval;
use api::operations::own_page::Own;
use api::operations::own_page::OwnAction;
use api::operations::own_page::OwnCard;
use api::operations::own_page::OwnDone;
use api::operations::own_page::OwnPage;
use api::operations::own_page::OwnPageView;
use api::operations::own_page::OwnPhone;
use api::operations::own_page::OwnSignIn;
use api::operations::own_page::OwnSignature;
use api::operations::own_page::OwnSignatures;
use api::operations::portal::Terminal;
use api::wire::MethodName;
use async_trait::async_trait;
use attest::authenticator::AuthenticatorKind;
use std::sync::Mutex;

/// Secret of the page that is open.
pub const OPEN: &str = "open-page";
/// A login link as the keeper makes them.
pub const LINK: &str =
    "0123456789abcdef0123456789abcdef.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// Answers that tests put in the place of the usual ones.
#[derive(Default)]
pub struct PaperOwnPage {
    pub arrived: Mutex<Option<Arrived>>,
    pub done: Mutex<Option<OwnDone>>,
    pub begun: Mutex<Vec<Option<String>>>,
    pub actions: Mutex<Vec<OwnAction>>,
    pub has_cards: Mutex<Option<bool>>,
}

pub fn phone() -> OwnPhone {
    OwnPhone {
        kind: AuthenticatorKind::Phone,
        device: "device-1".into(),
        label: "<1>".into(),
        since: 1_798_729_199,
        enrolled_by: EnrollerName::Hpki,
        last_used: None,
    }
}

fn cards() -> Vec<OwnCard> {
    let since = 1_798_729_199;
    let subject = Some("CN=医師 <太郎>".into());
    vec![
        OwnCard { kind: MethodName::Hpki, subject, since },
        OwnCard { kind: MethodName::Jpki, subject: None, since },
    ]
}

fn shown<T>(secret: &str, view: impl FnOnce() -> T) -> Own<T> {
    if secret == OPEN { Own::Open(view()) } else { Own::SignIn }
}

#[async_trait]
impl OwnPage for PaperKeeper {
    async fn begin_own_page(&self, _request_id: &str, terminal: Terminal) -> Begun {
        self.note(format!("begin {}", terminal.address));
        Begun::Link(LINK.into())
    }

    async fn arrive(&self, _request_id: &str, arrival: Arrival) -> Arrived {
        let Arrival { code, session_id, keep, begun, saved } = arrival;
        self.note(format!("arrive {code} {session_id} {}", keep.unwrap_or_default()));
        self.saved.cookies.lock().unwrap().push(saved);
        self.own_page.begun.lock().unwrap().push(begun);
        self.own_page.arrived.lock().unwrap().clone().unwrap_or(Arrived::Over)
    }

    async fn own_page(&self, _request_id: &str, secret: &str) -> Own<OwnPageView> {
        shown(secret, || OwnPageView {
            holder: "医師 <太郎>".into(),
            holder_id: "u-17".into(),
            form_token: "one-time".into(),
            sign_ins: vec![OwnSignIn {
                session_id: "s-1".into(),
                system: "<b>電子カルテ</b>".into(),
                method: MethodName::Fido2,
                since: 1_798_729_199,
                until: 1_798_772_399,
                remaining_signatures: 1_249,
                terminal: Some("Chrome, <Windows> (192.0.2.7)".into()),
            }],
            phones: vec![phone()],
            cards: cards(),
            ca_contact: Some("認証局 <03-0000-0000>".into()),
            danger_test_mode: true,
        })
    }

    async fn own_device(
        &self,
        _request_id: &str,
        secret: &str,
        device: &str,
    ) -> Own<DeviceRemoval> {
        if device != "device-1" {
            return Own::NotFound;
        }
        let has_cards = self.own_page.has_cards.lock().unwrap().unwrap_or(true);
        shown(secret, || DeviceRemoval {
            phone: phone(),
            form_token: "one-time".into(),
            remaining_devices: Vec::new(),
            remaining_cards: if has_cards { cards() } else { Vec::new() },
            ca_contact: Some("認証局 <03-0000-0000>".into()),
        })
    }

    async fn own_action(
        &self,
        _request_id: &str,
        secret: &str,
        form_token: &str,
        action: OwnAction,
    ) -> OwnDone {
        self.note(format!("act {secret} {form_token}"));
        self.own_page.actions.lock().unwrap().push(action);
        self.own_page.done.lock().unwrap().clone().unwrap_or(OwnDone::Done)
    }

    async fn own_signatures(
        &self,
        _request_id: &str,
        secret: &str,
        before: Option<u64>,
    ) -> Own<OwnSignatures> {
        self.note(format!("signatures {before:?}"));
        shown(secret, || OwnSignatures {
            signatures: vec![OwnSignature {
                at: 1_798_729_199,
                label: Some("処方箋 <1>".into()),
                system: "<b>電子カルテ</b>".into(),
                method: MethodName::Hpki,
                receipt: "41".into(),
            }],
            older: before.is_none().then_some(41),
        })
    }
}
