//! Pages of a notification card: the password, the phone to be registered, and what is said when it is done or is not.

use super::Allowed;
use super::Context;
use super::html;
use super::html_of;
use super::language::Language;
use super::messages;
use super::messages::Message;
use super::portal::Said;
use super::portal::clock;
use super::portal::on_phone;
use super::portal::said;
use super::portal::script_version;
use super::told::message;
use super::told::registered_as;
use crate::http::answer::Answer;
use crate::operations::WhyNot;
use crate::problem::Code;
use crate::routes::Listener;
use askama::Template;
use attest::authenticator::AuthenticatorKind;
use http::StatusCode;

#[derive(Template)]
#[template(path = "letter.html")]
struct PasswordPage<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    slip: Option<Message>,
}

/// Why the password is asked for again.
pub(crate) enum Slip {
    /// It is another one.
    Wrong {
        /// How many more may be tried.
        left: u8,
    },
    /// What was typed can be no password.
    NoPassword,
}

/// One field.
pub(crate) fn ask_password(context: &Context<'_>, slip: Option<Slip>) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let slip = slip.map(|slip| why_again(language, &slip));
    let path = path.unwrap_or_default();
    let page = PasswordPage { language, request_id, path, slip };
    html_of(None, &page, language)
}

fn why_again(language: Language, slip: &Slip) -> Message {
    match slip {
        Slip::Wrong { left } => {
            let [ja, en] = [
                format!("あと {left} 回間違えると、この通知カードは使えなくなります。"),
                format!("After {left} more wrong ones this notification card is locked."),
            ];
            let check = [
                "2枚目の紙に印刷されたパスワードを確かめて、もう一度入力してください。",
                "Check the password on sheet 2 and type it again.",
            ];
            message(
                language,
                ["パスワードが違います", "The password is wrong"],
                &[check, [&ja, &en]],
            )
        }
        Slip::NoPassword => {
            let title = ["パスワードの形が違います", "This cannot be the password"];
            let form = [
                "パスワードは英数字10文字です。2枚目の紙を確かめて、もう一度入力してください。この入力は回数に数えません。",
                "It has ten letters and digits. Check sheet 2 and type it again. This did not count as a try.",
            ];
            message(language, title, &[form])
        }
    }
}

#[derive(Template)]
#[template(path = "letter_register.html")]
struct RegisterPage<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    script: &'static str,
    holder: &'a str,
    holder_id: &'a str,
    seconds: u64,
    left: String,
    said: [Said; 4],
}

/// Whose phone it will be.
pub(crate) fn register(
    context: &Context<'_>,
    holder: &str,
    holder_id: &str,
    seconds: u64,
) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let [failed, _, known, not_reached] = on_phone(language);
    let page = RegisterPage {
        language,
        request_id,
        path: path.unwrap_or_default(),
        script: script_version(),
        holder,
        holder_id,
        seconds,
        left: clock(seconds),
        said: said([failed, unusable(language), known, not_reached]),
    };
    html(StatusCode::OK, &page, language, Allowed::OWN_SCRIPT)
}

/// The phone is registered.
pub(crate) fn registered(language: Language, label: &str) -> Message {
    let title = ["スマートフォンの登録が完了しました", "This phone is registered"];
    let called = registered_as(language, AuthenticatorKind::Phone, label);
    let next = [
        "通知カードの紙は2枚とも破棄してください。この画面は閉じて構いません。",
        "Destroy both sheets of the notification card. You may close this page.",
    ];
    message(language, title, &[[&called, &called], next])
}

/// Unknown, used, withdrawn or over.
pub(crate) fn over(language: Language) -> Message {
    let title = ["この通知カードは使えません", "This notification card cannot be used"];
    let why = [
        "有効期限を過ぎたか、すでに使われたか、新しいものに替えられています。",
        "Its time is over, it was used, or another one has taken its place.",
    ];
    let next = [
        "認証局または施設の登録担当者に連絡し、新しい通知カードの発行を依頼してください。",
        "Ask your certification authority or your registration officer for another one.",
    ];
    message(language, title, &[why, next])
}

/// Too late, or the password was typed in another browser.
pub(crate) fn registration_over(language: Language) -> Message {
    let title = ["もう一度パスワードを入力してください", "Type the password again"];
    let why = [
        "時間が過ぎたか、別の画面でパスワードが入力されました。登録は行われていません。",
        "Time is over, or the password was typed on another page. Nothing was registered.",
    ];
    let next = [
        "通知カードの QR コードを読み取るところからやり直してください。",
        "Start again by scanning the code of the notification card.",
    ];
    message(language, title, &[why, next])
}

/// The password was wrong too often.
pub(crate) fn locked(language: Language, contact: Option<&str>) -> Message {
    let title = ["登録がロックされました", "The registration is locked"];
    let why = [
        "パスワードの間違いが一定回数に達したため、この通知カードは使えなくなりました。",
        "The password was wrong too often. This notification card can no longer be used.",
    ];
    let next = [
        "下記に連絡し、新しい通知カードの発行を依頼してください。",
        "Call the contact below and ask for another one.",
    ];
    with_contact(language, message(language, title, &[why, next]), contact)
}

/// The holder has a phone, which this way never replaces.
pub(crate) fn already_registered(language: Language, contact: Option<&str>) -> Message {
    let title = ["すでにスマートフォンが登録されています", "A phone is registered already"];
    let stop = [
        "操作を中止してください。この通知カードでは、登録済みのスマートフォンを変更できません。",
        "Stop here. A notification card never replaces a phone that is registered.",
    ];
    let call = [
        "ご自身で登録した覚えがないときは、すぐに下記に連絡してください。",
        "If you did not register one yourself, call the contact below at once.",
    ];
    with_contact(language, message(language, title, &[stop, call]), contact)
}

/// The password was right, but the holder may not sign.
pub(crate) fn refused(language: Language, why: &WhyNot) -> (Message, Code) {
    let (message, code) = messages::refusal(language, Listener::Portal, why);
    (Message { may_open_again: false, ..message }, code)
}

fn unusable(language: Language) -> Message {
    let set_up = [
        "スマートフォンの設定で画面ロックと、指紋または顔の認証を設定してから、通知カードの QR コードを読み取るところからやり直してください。",
        "Set up a screen lock and your fingerprint or face in the phone's settings, then scan the code of the notification card again.",
    ];
    message(language, ["Security Key Error", "Security Key Error"], &[set_up])
}

fn with_contact(language: Language, message: Message, contact: Option<&str>) -> Message {
    let nobody =
        language.pick("施設の登録担当者に連絡してください。", "Call your registration officer.");
    let line = match (contact, language) {
        (None, _) => nobody.to_owned(),
        (Some(contact), Language::Japanese) => format!("お問い合わせ: {contact}"),
        (Some(contact), Language::English) => format!("Contact: {contact}"),
    };
    Message { lines: message.lines.into_iter().chain([line]).collect(), ..message }
}
