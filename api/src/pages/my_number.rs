//! Pages about My Number cards: registering one, and what is said where it does not do.

use super::Allowed;
use super::Context;
use super::html;
use super::language::Language;
use super::messages::Message;
use super::messages::Words;
use super::told::message;
use crate::http::answer::Answer;
use crate::operations::SignInRefusal;
use crate::operations::my_number::LinkForm;
use crate::problem::Code;
use askama::Template;
use http::StatusCode;

#[derive(Template)]
#[template(path = "link.html")]
struct LinkTemplate<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    /// Of the ticket; "" on the first page.
    id: &'a str,
    secret: &'a str,
    form: &'a LinkForm,
}

/// The HPKI card is good: one form begins.
pub(crate) fn begin(context: &Context<'_>, form: &LinkForm) -> Answer {
    link(context, "", "", form)
}

/// The My Number card is good: one form confirms.
pub(crate) fn confirm(context: &Context<'_>, id: &str, secret: &str, form: &LinkForm) -> Answer {
    link(context, id, secret, form)
}

fn link(context: &Context<'_>, id: &str, secret: &str, form: &LinkForm) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let path = path.unwrap_or_default();
    let page = LinkTemplate { language, request_id, path, id, secret, form };
    html(StatusCode::OK, &page, language, Allowed::NOTHING)
}

/// Where the form of the page "exchange the cards" leads.
pub(crate) struct Swap<'a> {
    /// `https://host:port` of the My Number card's listener; "": this one.
    pub(crate) origin: &'a str,
    pub(crate) id: &'a str,
    pub(crate) secret: &'a str,
    /// Whether another card, or none, was in the reader.
    pub(crate) is_again: bool,
}

#[derive(Template)]
#[template(path = "swap.html")]
struct SwapTemplate<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    swap: &'a Swap<'a>,
}

/// Exchange the cards; the page's policy lets its form lead to the other listener and nowhere else.
pub(crate) fn swap(context: &Context<'_>, swap: &Swap<'_>) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let page = SwapTemplate { language, request_id, path: path.unwrap_or_default(), swap };
    // An empty one is no origin, and is left out.
    let allowed = Allowed { form_origins: &[swap.origin], ..Allowed::NOTHING };
    html(StatusCode::OK, &page, language, allowed)
}

/// It is registered.
pub(crate) fn linked(language: Language) -> Message {
    let title = [
        "マイナンバーカードの登録が完了しました。ブラウザを終了してください。",
        "The My Number card is registered. Close the browser.",
    ];
    let line = [
        "カードを抜き、ブラウザの画面をすべて閉じてください。次からマイナンバーカードで認証できます。",
        "Take the card out and close every window. From now on you can sign in with it.",
    ];
    message(language, title, &[line])
}

/// It was registered before.
pub(crate) fn known(language: Language) -> Message {
    let title =
        ["このマイナンバーカードは登録済みです", "This My Number card is registered already"];
    let line = [
        "登録し直す必要はありません。このカードでそのまま認証できます。",
        "There is nothing to do: it can be used to sign in.",
    ];
    message(language, title, &[line])
}

/// It is somebody else's.
pub(crate) fn others_card(language: Language) -> Message {
    let title = [
        "このマイナンバーカードは別の方の登録に使われています",
        "This My Number card is registered for another person",
    ];
    let lines = [
        [
            "ご自身のカードであることを確かめてください。何も登録されていません。",
            "Make sure that it is your own card. Nothing was registered.",
        ],
        [
            "ご自身のカードなのにこの画面が出るときは、施設の登録担当者に知らせてください。",
            "If it is, tell your registration officer.",
        ],
    ];
    message(language, title, &lines)
}

/// No card was presented.
pub(crate) fn present_card(language: Language) -> Message {
    let title = ["マイナンバーカードを確認できませんでした", "No My Number card was presented"];
    let line = [
        "カードが選ばれなかったか、この画面のリンクが使えなくなっています。",
        "No card was chosen, or the link to this page can no longer be used.",
    ];
    let steps = [
        [
            "マイナンバーカードをカードリーダーにセットする",
            "Put your My Number card into the reader",
        ],
        ["ブラウザの画面をすべて閉じる", "Close every window of the browser"],
        [
            "はじめからやり直し、利用者証明用の証明書を選んで、数字 4 桁の暗証番号を入力する",
            "Start again, choose the certificate for user authentication, and type its PIN of 4 digits",
        ],
    ];
    let steps = steps.map(|[japanese, english]| language.pick(japanese, english).to_owned());
    Message { steps: steps.into(), ..message(language, title, &[line]) }
}

/// What is said of a My Number card where other words fit than for an HPKI card.
pub(super) fn words(refusal: SignInRefusal) -> Option<Words> {
    let words = |code, title, reason, next| {
        Some(Words { code, title, reason, next, may_open_again: false })
    };
    let again =
        |code, title, reason, next| Some(Words { code, title, reason, next, may_open_again: true });
    match refusal {
        SignInRefusal::CardExpired => words(
            Code::FactorRefused,
            ["カードの電子証明書の有効期限が切れています", "The card's certificate has expired"],
            [
                "利用者証明用の電子証明書は有効期間を過ぎています。",
                "Its certificate for user authentication is past its validity.",
            ],
            [
                "市区町村の窓口で電子証明書を更新してください。更新したあとは、そのまま認証できます。",
                "Renew it at your municipality. Afterwards you can sign in with it as before.",
            ],
        ),
        SignInRefusal::CardRevoked => words(
            Code::FactorRefused,
            ["カードの電子証明書は失効しています", "The card's certificate is revoked"],
            [
                "この電子証明書は、更新、カードの再交付、届出の変更などにより失効しています。",
                "It was revoked: because it was renewed, the card was issued again, or your details changed.",
            ],
            [
                "新しい電子証明書のカードを使ってください。心当たりがないときは市区町村の窓口に問い合わせてください。",
                "Use the card with the new certificate. If you know of none, ask your municipality.",
            ],
        ),
        SignInRefusal::RevocationUnknown => again(
            Code::RevocationUnavailable,
            ["カードの有効性を確認できません", "The card cannot be checked"],
            [
                "電子証明書の有効性を確認するサービスから、今は回答が得られません。",
                "The service that says whether certificates are valid does not answer at present.",
            ],
            [
                "しばらく待ってからもう一度開いてください。続くときはシステム管理者に知らせてください。",
                "Wait a while and open the page again. If it goes on, tell your system administrator.",
            ],
        ),
        SignInRefusal::WrongCertificate => words(
            Code::FactorRefused,
            ["この証明書では認証できません", "This certificate cannot be used here"],
            [
                "マイナンバーカードの利用者証明用ではない証明書が選ばれました。",
                "It is not the My Number card's certificate for user authentication.",
            ],
            [
                "ブラウザの画面をすべて閉じてやり直し、利用者証明用の証明書を選んで、数字 4 桁の暗証番号を入力してください。署名用のパスワードは使いません。",
                "Close every window, start again, choose the certificate for user authentication and type its PIN of 4 digits. The password for signatures is not used.",
            ],
        ),
        SignInRefusal::TestCard => words(
            Code::FactorRefused,
            ["試験用のカードは使えません", "Test cards are not accepted"],
            [
                "これは試験用のカードです。この装置は本番で稼働しています。",
                "This is a test card, and this appliance is in real use.",
            ],
            ["ご自身のマイナンバーカードを使ってください。", "Use your own My Number card."],
        ),
        SignInRefusal::CardNotRegistered => words(
            Code::FactorRefused,
            [
                "このマイナンバーカードは登録されていません",
                "This My Number card is not registered here",
            ],
            [
                "カードは有効ですが、登録がないか、更新前の電子証明書とのつながりを確認できませんでした。",
                "The card is good, but it is not registered, or it could not be seen which certificate it renews.",
            ],
            [
                "ポータルの「HPKI カードを使ってマイナンバーカードを登録する」から、HPKI カードでもう一度登録してください。",
                "Register it again with your HPKI card, on the portal.",
            ],
        ),
        SignInRefusal::ProofNotFresh => again(
            Code::FactorRefused,
            ["カードをもう一度確認します", "Your card has to be checked again"],
            [
                "画面を開いてから時間が経ったか、途中でカードが入れ替わりました。",
                "Too much time has passed since the page was opened, or the card was exchanged.",
            ],
            [
                "マイナンバーカードを入れたまま「もう一度開く」を押してください。同じ画面になるときは、ブラウザの画面をすべて閉じ、はじめからやり直してください。",
                "Leave the card in its reader and press “Open the page again”. If this page comes back, close every window of the browser and start again.",
            ],
        ),
        SignInRefusal::CardNotYetValid
        | SignInRefusal::CardNotKnown
        | SignInRefusal::NoValidityProvider
        | SignInRefusal::OtherCard
        | SignInRefusal::OtherKindOfCard
        | SignInRefusal::RoleMissing
        | SignInRefusal::OtherHolder
        | SignInRefusal::HolderDisabled
        | SignInRefusal::NotAllowedHere
        | SignInRefusal::NetworkNotAllowed
        | SignInRefusal::KeysFull
        | SignInRefusal::EntitlementOver
        | SignInRefusal::WrongNumber
        | SignInRefusal::LinkOver
        | SignInRefusal::FormOver
        | SignInRefusal::TooOften
        | SignInRefusal::Unavailable => None,
    }
}
