//! The holder's own page.

use super::Allowed;
use super::Context;
use super::html;
use super::language::Language;
use crate::admin::names::EnrollerName;
use crate::http::answer::Answer;
use crate::operations::own_page::DeviceRemoval;
use crate::operations::own_page::OwnPageView;
use crate::operations::own_page::OwnSignatures;
use crate::wire::MethodName;
use askama::Template;
use attest::authenticator::AuthenticatorKind;
use http::StatusCode;

#[derive(Template)]
#[template(path = "me_sign_in.html")]
struct SignInPage<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
}

/// The way to the page.
pub(crate) fn sign_in(context: &Context<'_>) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let path = path.unwrap_or_default();
    let page = SignInPage { language, request_id, path };
    html(StatusCode::OK, &page, language, Allowed::NOTHING)
}

#[derive(Template)]
#[template(path = "me.html")]
struct OwnPage<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    view: &'a OwnPageView,
}

/// Who is signed in where, and by what.
pub(crate) fn page(context: &Context<'_>, view: &OwnPageView) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let path = path.unwrap_or_default();
    let page = OwnPage { language, request_id, path, view };
    html(StatusCode::OK, &page, language, Allowed::NOTHING)
}

#[derive(Template)]
#[template(path = "me_device.html")]
struct DevicePage<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    removal: &'a DeviceRemoval,
}

/// What would remain to sign in with.
pub(crate) fn device(context: &Context<'_>, removal: &DeviceRemoval) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let path = path.unwrap_or_default();
    let page = DevicePage { language, request_id, path, removal };
    html(StatusCode::OK, &page, language, Allowed::NOTHING)
}

#[derive(Template)]
#[template(path = "me_signatures.html")]
struct SignaturesPage<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    found: &'a OwnSignatures,
    is_newest: bool,
}

/// What was signed in the holder's name.
pub(crate) fn signatures(
    context: &Context<'_>,
    found: &OwnSignatures,
    before: Option<u64>,
) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let path = path.unwrap_or_default();
    let is_newest = before.is_none();
    let page = SignaturesPage { language, request_id, path, found, is_newest };
    html(StatusCode::OK, &page, language, Allowed::NOTHING)
}

impl Language {
    /// How presence was proved, in people's words.
    pub(super) fn method(self, method: MethodName) -> &'static str {
        match method {
            MethodName::Hpki => self.pick("HPKI カード", "HPKI card"),
            MethodName::Jpki => self.pick("マイナンバーカード", "My Number card"),
            MethodName::Fido2 => {
                self.pick("スマートフォンまたはセキュリティキー", "phone or security key")
            }
        }
    }

    /// What registered a phone, in people's words.
    fn enroller(self, enroller: EnrollerName) -> &'static str {
        match enroller {
            EnrollerName::Hpki => self.method(MethodName::Hpki),
            EnrollerName::Jpki => self.method(MethodName::Jpki),
            EnrollerName::Fido2 => self.kind(AuthenticatorKind::Phone),
            EnrollerName::NotificationCard => self.pick("通知カード", "notification card"),
        }
    }
}
