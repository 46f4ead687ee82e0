//! The portal's part of the keeper of paper.

use super::keeper::PaperKeeper;
use api::operations::CardHandshake;
use api::operations::SignInRefusal;
use api::operations::at_pc::AtPc;
use api::operations::change_phone::ChangeGoesOn;
use api::operations::change_phone::ChangePhone;
use api::operations::confirm_enrol::ConfirmEnrol;
use api::operations::confirm_enrol::ConfirmEnrolPage;
use api::operations::confirm_enrol::ConfirmEnrolment;
use api::operations::confirm_enrol::EnrolEnded;
use api::operations::confirm_enrol::Proposed;
use api::operations::portal::ChoicePage;
use api::operations::portal::EnrolPage;
use api::operations::portal::EnrolStarted;
use api::operations::portal::Handed;
use api::operations::portal::MyNumberUrls;
use api::operations::portal::PhoneAsked;
use api::operations::portal::PhoneDone;
use api::operations::portal::PhonePage;
use api::operations::portal::Portal;
use api::operations::portal::PortalIndex;
use api::operations::portal::Purpose;
use api::operations::portal::Terminal;
use api::operations::portal::WaitPage;
use api::operations::portal::Waiting;
use async_trait::async_trait;
use attest::authenticator::AuthenticatorKind;
use serde_json::Value;
use std::sync::Mutex;
use std::time::Duration;

/// Secret of the page that is known: `page-1`.
pub const PAGE_SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// Answers that tests put in the place of the usual ones.
#[derive(Default)]
pub struct PaperPortal {
    pub choice: Mutex<Option<ChoicePage>>,
    pub handed: Mutex<Option<Handed>>,
    pub wait: Mutex<Option<WaitPage>>,
    pub phone: Mutex<Option<PhonePage>>,
    pub asked: Mutex<Option<PhoneAsked>>,
    pub done: Mutex<Option<PhoneDone>>,
    pub enrol: Mutex<Option<EnrolPage>>,
    pub started: Mutex<Option<EnrolStarted>>,
    pub goes_on: Mutex<Option<ChangeGoesOn>>,
    pub confirm: Mutex<Option<ConfirmEnrolPage>>,
    pub ended: Mutex<Option<EnrolEnded>>,
    pub terminals: Mutex<Vec<Terminal>>,
    pub holders: Mutex<Vec<Option<String>>>,
    pub credentials: Mutex<Vec<Value>>,
}

pub fn sign_in() -> Purpose {
    Purpose::SignIn { system: "<b>電子カルテ</b>".into(), holder_id: "u-17".into() }
}

pub fn waiting(purpose: Purpose, number: Option<&str>) -> WaitPage {
    WaitPage::Waiting(Waiting {
        purpose,
        url: "https://localhost:8446/phone/link-1".into(),
        number: number.map(str::to_owned),
        remaining_seconds: 179,
    })
}

pub fn ask(purpose: Purpose) -> PhonePage {
    PhonePage::Ask {
        purpose,
        terminal: "192.0.2.7 (Chrome, Windows)".into(),
        number_of_asking_screen: false,
        session_seconds: 43_200,
        signatures: 250,
        entries: Vec::new(),
        remaining_seconds: 100,
    }
}

fn of_kind(what: &str, kind: AuthenticatorKind) -> String {
    match kind {
        AuthenticatorKind::Phone => what.to_owned(),
        AuthenticatorKind::SecurityKey => format!("{what} key"),
    }
}

fn or<T: Clone>(instead: &Mutex<Option<T>>, usual: impl FnOnce() -> T) -> T {
    instead.lock().unwrap().clone().unwrap_or_else(usual)
}

fn started() -> EnrolStarted {
    EnrolStarted::Page {
        kind: AuthenticatorKind::Phone,
        portal_origin: "https://localhost:8446".into(),
        id: "page-1".into(),
        page_secret: PAGE_SECRET.into(),
    }
}

#[async_trait]
impl Portal for PaperKeeper {
    async fn portal_index(&self) -> PortalIndex {
        PortalIndex {
            enrol_url: "https://localhost:8444/enrol".into(),
            enrol_key_url: "https://localhost:8444/enrol-key".into(),
            my_number: Some(MyNumberUrls {
                enrol: "https://localhost:8447/enrol".into(),
                enrol_key: "https://localhost:8447/enrol-key".into(),
                link: "https://localhost:8444/link".into(),
            }),
            changes_by_phone: true,
            danger_test_mode: true,
        }
    }

    async fn choose(&self, _request_id: &str, link: &str) -> ChoicePage {
        self.note(format!("choose {link}"));
        or(&self.portal.choice, || ChoicePage::Over)
    }

    async fn hand_off(
        &self,
        _request_id: &str,
        link: &str,
        holder_id: Option<String>,
        terminal: Terminal,
    ) -> Handed {
        self.note(format!("hand off {link}"));
        self.portal.holders.lock().unwrap().push(holder_id);
        self.portal.terminals.lock().unwrap().push(terminal);
        or(&self.portal.handed, || Handed::Page {
            id: "page-1".into(),
            page_secret: PAGE_SECRET.into(),
        })
    }

    async fn wait_page(
        &self,
        _request_id: &str,
        id: &str,
        page_secret: &str,
        wait: Duration,
    ) -> WaitPage {
        self.note(format!("wait {id} {}", wait.as_secs()));
        if id != "page-1" || page_secret != PAGE_SECRET {
            return WaitPage::Over;
        }
        or(&self.portal.wait, || waiting(sign_in(), Some("42")))
    }

    async fn phone_page(&self, _request_id: &str, link: &str) -> PhonePage {
        self.note(format!("phone {link}"));
        or(&self.portal.phone, || if link == "link-1" { ask(sign_in()) } else { PhonePage::Over })
    }

    async fn phone_options(
        &self,
        _request_id: &str,
        link: &str,
        number: &str,
        _address: &str,
    ) -> PhoneAsked {
        self.note(format!("options {link} {number}"));
        or(&self.portal.asked, || PhoneAsked::Options {
            ceremony_id: "c-1".into(),
            options: serde_json::json!({"publicKey": {"challenge": "AAEC"}}),
        })
    }

    async fn phone_finish(
        &self,
        _request_id: &str,
        link: &str,
        ceremony_id: &str,
        credential: Value,
    ) -> PhoneDone {
        self.note(format!("finish {link} {ceremony_id}"));
        self.portal.credentials.lock().unwrap().push(credential);
        or(&self.portal.done, || PhoneDone::SignedIn {
            system: "電子カルテ".into(),
            added: Default::default(),
        })
    }

    async fn phone_deny(&self, _request_id: &str, link: &str) -> PhoneDone {
        self.note(format!("deny {link}"));
        or(&self.portal.done, || PhoneDone::Denied)
    }

    async fn open_enrol(
        &self,
        _request_id: &str,
        kind: AuthenticatorKind,
        card: Option<CardHandshake>,
    ) -> EnrolPage {
        self.note(of_kind("open enrol", kind));
        match card {
            None => EnrolPage::PresentCard,
            Some(_) => or(&self.portal.enrol, || EnrolPage::Confirm {
                holder: "医師 <太郎>".into(),
                holder_id: "u-17".into(),
                replaces: None,
                form_token: "one-time".into(),
                danger_test_mode: true,
            }),
        }
    }

    async fn start_enrol(
        &self,
        _request_id: &str,
        kind: AuthenticatorKind,
        card: Option<CardHandshake>,
        form_token: &str,
        terminal: Terminal,
    ) -> EnrolStarted {
        self.note(format!("{} {} {form_token}", of_kind("start enrol", kind), card.is_some()));
        self.portal.terminals.lock().unwrap().push(terminal);
        or(&self.portal.started, started)
    }

    async fn started_enrol(&self, _request_id: &str, id: &str, page_secret: &str) -> EnrolStarted {
        match (id, page_secret) {
            ("page-1", PAGE_SECRET) => or(&self.portal.started, started),
            _ => EnrolStarted::Refused(SignInRefusal::LinkOver.into()),
        }
    }
}

#[async_trait]
impl ConfirmEnrolment for PaperKeeper {
    async fn open_confirm_enrol(
        &self,
        _request_id: &str,
        id: &str,
        card: Option<CardHandshake>,
    ) -> ConfirmEnrolPage {
        self.note(format!("open confirm {id}"));
        match card {
            None => ConfirmEnrolPage::PresentCard,
            Some(_) => or(&self.portal.confirm, || {
                ConfirmEnrolPage::Confirm(ConfirmEnrol {
                    holder: "医師 <太郎>".into(),
                    holder_id: "u-17".into(),
                    proposed: Proposed::Phone { label: "90D8-3E98".into(), replaces: true },
                    form_token: "one-time".into(),
                    remaining_seconds: 170,
                    danger_test_mode: true,
                })
            }),
        }
    }

    async fn confirm_enrol(
        &self,
        _request_id: &str,
        id: &str,
        card: Option<CardHandshake>,
        form_token: &str,
        approve: bool,
    ) -> EnrolEnded {
        self.note(format!("confirm {id} {} {form_token} {approve}", card.is_some()));
        or(&self.portal.ended, || EnrolEnded::Enrolled {
            kind: AuthenticatorKind::Phone,
            label: "90D8-3E98".into(),
        })
    }
}

#[async_trait]
impl ChangePhone for PaperKeeper {
    async fn start_change(&self, _request_id: &str, holder_id: &str, terminal: Terminal) -> Handed {
        self.note(format!("start change {holder_id}"));
        self.portal.terminals.lock().unwrap().push(terminal);
        or(&self.portal.handed, || Handed::Page {
            id: "page-1".into(),
            page_secret: PAGE_SECRET.into(),
        })
    }

    async fn answer_change(
        &self,
        _request_id: &str,
        id: &str,
        page_secret: &str,
        agree: bool,
    ) -> ChangeGoesOn {
        self.note(format!("answer change {id} {} {agree}", page_secret == PAGE_SECRET));
        or(&self.portal.goes_on, || ChangeGoesOn::Page {
            id: "page-2".into(),
            page_secret: PAGE_SECRET.into(),
        })
    }
}

#[async_trait]
impl AtPc for PaperKeeper {
    async fn pc_page(&self, request_id: &str, id: &str, page_secret: &str) -> PhonePage {
        self.note(format!("pc page {id} {}", page_secret == PAGE_SECRET));
        self.phone_page(request_id, id).await
    }

    async fn pc_options(
        &self,
        request_id: &str,
        id: &str,
        page_secret: &str,
        number: Option<String>,
        address: &str,
    ) -> PhoneAsked {
        self.note(format!("pc options {id} {} {number:?}", page_secret == PAGE_SECRET));
        self.phone_options(request_id, id, "", address).await
    }

    async fn pc_finish(
        &self,
        request_id: &str,
        id: &str,
        page_secret: &str,
        ceremony_id: &str,
        credential: Value,
    ) -> PhoneDone {
        self.note(format!("pc finish {id} {}", page_secret == PAGE_SECRET));
        self.phone_finish(request_id, id, ceremony_id, credential).await
    }

    async fn pc_deny(&self, request_id: &str, id: &str, page_secret: &str) -> PhoneDone {
        self.note(format!("pc deny {id} {}", page_secret == PAGE_SECRET));
        self.phone_deny(request_id, id).await
    }
}
