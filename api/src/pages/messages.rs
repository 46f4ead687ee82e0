//! What pages say besides the confirming form: the reason, then the next step, in both languages.

use super::language::Language;
use super::my_number;
use crate::operations::SignInRefusal;
use crate::operations::WhyNot;
use crate::problem::Code;
use crate::routes::Listener;

/// A page's words in one language.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    pub(crate) steps: Vec<String>,
    /// Whether opening the same link again can help.
    pub(crate) may_open_again: bool,
}

/// The words for a refusal: title, reason, next step; each Japanese, English.
pub(super) struct Words {
    pub(super) code: Code,
    pub(super) title: [&'static str; 2],
    pub(super) reason: [&'static str; 2],
    pub(super) next: [&'static str; 2],
    pub(super) may_open_again: bool,
}

/// No card, or a link that leads nowhere: one page for all, since nothing is proved.
pub(crate) fn present_card(language: Language, listener: Listener) -> (Message, Code) {
    if listener == Listener::Jpki {
        return (my_number::present_card(language), Code::LoginDenied);
    }
    let message = Message {
        title: language
            .pick("HPKIカードを確認できませんでした", "No HPKI card was presented")
            .into(),
        lines: vec![
            language
                .pick(
                    "カードが選ばれなかったか、この画面のリンクが使えなくなっています。",
                    "No card was chosen, or the link to this page can no longer be used.",
                )
                .into(),
        ],
        steps: [
            ["HPKIカードをカードリーダーに差し込む", "Put your HPKI card into the reader"],
            ["ブラウザの画面をすべて閉じる", "Close every window of the browser"],
            [
                "操作を始めた画面からやり直し、証明書の選択画面でカードの証明書を選ぶ",
                "Start again where you began, and choose the card's certificate",
            ],
        ]
        .map(|[japanese, english]| language.pick(japanese, english).to_owned())
        .into(),
        may_open_again: false,
    };
    (message, Code::LoginDenied)
}

/// Why a sign-in was refused, what to do and whom to call, in words about the card that `listener` asks for.
pub(crate) fn refusal(language: Language, listener: Listener, why: &WhyNot) -> (Message, Code) {
    let refusal = why.refusal;
    let of_my_number = || my_number::words(refusal).filter(|_| listener == Listener::Jpki);
    let words = of_my_number().unwrap_or_else(|| words(refusal));
    let pick = |[japanese, english]: [&str; 2]| language.pick(japanese, english).to_owned();
    let call = why.contact.as_ref().map(|contact| match language {
        Language::Japanese => format!("認証局の連絡先: {contact}"),
        Language::English => format!("Your certification authority: {contact}"),
    });
    let message = Message {
        title: pick(words.title),
        lines: [pick(words.reason), pick(words.next)].into_iter().chain(call).collect(),
        steps: Vec::new(),
        may_open_again: words.may_open_again,
    };
    (message, words.code)
}

/// Confirmed; there is no address to go back to.
pub(crate) fn done(language: Language, system: &str) -> Message {
    Message {
        title: language.pick("許可しました", "Allowed").into(),
        lines: vec![match language {
            Language::Japanese => {
                format!("「{system}」の画面に戻ってください。この画面は閉じて構いません。")
            }
            Language::English => format!("Go back to “{system}”. You may close this page."),
        }],
        steps: Vec::new(),
        may_open_again: false,
    }
}

/// The holder said no.
pub(crate) fn denied(language: Language, system: &str) -> Message {
    Message {
        title: language.pick("断りました", "Refused").into(),
        lines: vec![
            match language {
                Language::Japanese => {
                    format!(
                        "「{system}」からの依頼を断りました。署名は行われません。この画面は閉じて構いません。"
                    )
                }
                Language::English => {
                    format!(
                        "The request of “{system}” was refused. Nothing will be signed. You may close this page."
                    )
                }
            },
            language
                .pick(
                    "心当たりのない依頼が続くときは、システム管理者に知らせてください。",
                    "If requests you did not make keep coming, tell your system administrator.",
                )
                .into(),
        ],
        steps: Vec::new(),
        may_open_again: false,
    }
}

/// A request that no page answers: what happened, then what to do. A detail is for programmers, in English.
pub(crate) fn problem(language: Language, code: Code, detail: Option<&str>) -> Message {
    let next = match code.is_retryable() {
        true => language.pick(
            "しばらく待ってからもう一度開いてください。続くときは、下のお問い合わせ番号をシステム管理者に知らせてください。",
            "Wait a while and open the page again. If it goes on, tell your system administrator the reference below.",
        ),
        false => language.pick(
            "依頼元のシステムで操作をやり直してください。続くときは、下のお問い合わせ番号をシステム管理者に知らせてください。",
            "Start again on the system that asks. If it goes on, tell your system administrator the reference below.",
        ),
    };
    let detail = detail.filter(|_| language.is_english());
    Message {
        title: language.pick(code.title_ja(), code.title_en()).into(),
        lines: detail.into_iter().chain([next]).map(str::to_owned).collect(),
        steps: Vec::new(),
        may_open_again: false,
    }
}

fn words(refusal: SignInRefusal) -> Words {
    let words =
        |code, title, reason, next| Words { code, title, reason, next, may_open_again: false };
    let again =
        |code, title, reason, next| Words { code, title, reason, next, may_open_again: true };
    match refusal {
        SignInRefusal::CardExpired => words(
            Code::FactorRefused,
            ["カードの有効期限が切れています", "Your card has expired"],
            [
                "このカードの証明書は有効期間を過ぎています。",
                "The certificate on this card is past its validity.",
            ],
            [
                "カードを発行した認証局で更新してください。",
                "Renew it at the certification authority that issued it.",
            ],
        ),
        SignInRefusal::CardNotYetValid => words(
            Code::FactorRefused,
            ["カードはまだ有効ではありません", "Your card is not valid yet"],
            [
                "このカードの証明書の有効期間はまだ始まっていません。",
                "The validity of its certificate has not begun.",
            ],
            [
                "有効期間の開始日を確かめてください。",
                "Check the date from which the card is valid.",
            ],
        ),
        SignInRefusal::CardRevoked => words(
            Code::FactorRefused,
            ["カードは失効しています", "Your card is revoked"],
            [
                "認証局がこのカードの証明書を失効させました。このカードでは署名できません。",
                "Its certification authority has revoked the certificate. It cannot be used to sign.",
            ],
            [
                "カードを発行した認証局に問い合わせてください。",
                "Ask the certification authority that issued it.",
            ],
        ),
        SignInRefusal::RevocationUnknown => again(
            Code::RevocationUnavailable,
            ["カードの失効状態を確認できません", "The card cannot be checked for revocation"],
            [
                "認証局の失効リストが取得できないか、古くなっています。",
                "The revocation list cannot be had or is out of date.",
            ],
            [
                "しばらく待ってからもう一度開いてください。続くときはシステム管理者に知らせてください。",
                "Wait a while and open the page again. If it goes on, tell your system administrator.",
            ],
        ),
        SignInRefusal::CardNotKnown => words(
            Code::FactorRefused,
            ["カードの有効性を確認できません", "The card cannot be checked"],
            [
                "電子証明書の有効性を確認するサービスに、このカードの情報がありません。",
                "The service that says whether certificates are valid does not know this card.",
            ],
            [
                "HPKI カードまたはスマートフォンで認証してください。カードについては市区町村の窓口に問い合わせてください。",
                "Sign in with your HPKI card or your phone. About the card, ask your municipality.",
            ],
        ),
        SignInRefusal::NoValidityProvider => words(
            Code::FactorRefused,
            ["マイナンバーカードは利用できません", "My Number cards cannot be used here"],
            [
                "この施設では、マイナンバーカードの有効性を確認するサービスが設定されていません。",
                "No service that says whether My Number cards are valid has been set up at this institution.",
            ],
            [
                "HPKI カードまたはスマートフォンで認証してください。マイナンバーカードを使いたいときはシステム管理者に問い合わせてください。",
                "Sign in with your HPKI card or your phone. To use My Number cards, ask your system administrator.",
            ],
        ),
        SignInRefusal::OtherKindOfCard => again(
            Code::FactorRefused,
            ["別のカードがセットされています", "Another card is in the reader"],
            [
                "個人番号カードをカードリーダーにセットし、OK ボタンをクリックしてください。",
                "Put your My Number card into the reader and press OK.",
            ],
            [
                "同じ画面になるときは、ブラウザの画面をすべて閉じ、はじめからやり直してください。",
                "If this page comes back, close every window of the browser and start again.",
            ],
        ),
        SignInRefusal::WrongCertificate => words(
            Code::FactorRefused,
            ["この証明書では認証できません", "This certificate cannot be used here"],
            [
                "HPKIの認証用証明書ではない証明書が選ばれました。",
                "It is not the authentication certificate of an HPKI card.",
            ],
            [
                "ブラウザの画面をすべて閉じ、操作を始めた画面からやり直して、HPKIカードの認証用証明書を選んでください。",
                "Close every window of the browser, start again, and choose the authentication certificate of your HPKI card.",
            ],
        ),
        SignInRefusal::TestCard => words(
            Code::FactorRefused,
            ["試験用のカードは使えません", "Test cards are not accepted"],
            [
                "これは試験用のカードです。この装置は本番で稼働しています。",
                "This is a test card, and this appliance is in real use.",
            ],
            ["ご自身のHPKIカードを使ってください。", "Use your own HPKI card."],
        ),
        SignInRefusal::RoleMissing => words(
            Code::FactorRefused,
            ["資格を確認できません", "Your qualification cannot be confirmed"],
            [
                "証明書に、必要な医療従事者の資格が記載されていません。",
                "The certificate does not carry the qualification that is needed.",
            ],
            [
                "カードを発行した認証局に問い合わせてください。",
                "Ask the certification authority that issued the card.",
            ],
        ),
        SignInRefusal::CardNotRegistered => words(
            Code::FactorRefused,
            ["このカードは登録されていません", "This card is not registered here"],
            [
                "カードは有効ですが、この施設の利用者と結び付けられていません。",
                "The card is good, but it is not linked to anybody at this institution.",
            ],
            [
                "施設の登録担当者に、カードの登録を依頼してください。更新したカードも登録が必要です。",
                "Ask your registration officer to link it. A renewed card has to be linked, too.",
            ],
        ),
        SignInRefusal::OtherHolder => words(
            Code::LoginDenied,
            ["別の方への依頼です", "This request is for somebody else"],
            [
                "この署名の依頼は、あなた以外の方に宛てたものです。",
                "These signatures were asked of another person.",
            ],
            [
                "依頼元のシステムに別の方がログインしたままになっていないか確かめ、ご自身でログインしてからやり直してください。リンクを受け取った覚えがなければ、システム管理者に知らせてください。",
                "See whether somebody else is still logged in on the system that asks; log in yourself and start again. If you did not expect this link, tell your system administrator.",
            ],
        ),
        SignInRefusal::OtherCard => again(
            Code::FactorRefused,
            ["別のカードです", "This is another card"],
            [
                "登録を始めたときのカードと違います。何も登録されていません。",
                "It is not the card with which you began. Nothing was registered.",
            ],
            [
                "登録を始めたときのカードをカードリーダーに差し込み、もう一度開いてください。別のカードの証明書が選ばれ続けるときは、ブラウザの画面をすべて閉じ、最初からやり直してください。",
                "Put the card with which you began into the reader and open the page again. If the other card is chosen every time, close every window of the browser and start again.",
            ],
        ),
        SignInRefusal::HolderDisabled => words(
            Code::HolderDisabled,
            ["利用が停止されています", "Your account is disabled"],
            ["あなたの署名の利用は停止されています。", "You may not sign at present."],
            ["施設の登録担当者に問い合わせてください。", "Ask your registration officer."],
        ),
        SignInRefusal::NotAllowedHere => words(
            Code::NotPermitted,
            ["このシステムでは利用できません", "Not allowed for this system"],
            [
                "依頼元のシステムでは、この方またはこの認証方法は許可されていません。",
                "The system that asks may not use this person or this way to sign in.",
            ],
            ["システム管理者に問い合わせてください。", "Ask your system administrator."],
        ),
        SignInRefusal::NetworkNotAllowed => words(
            Code::NotPermitted,
            ["この場所ではスマートフォンを利用できません", "Phones cannot be used from here"],
            [
                "このパソコンは、スマートフォンでの認証が許可されたネットワークに接続されていません。",
                "This computer is not on a network from which a phone may be used.",
            ],
            [
                "院内のパソコンでやり直すか、カードで認証してください。院内のパソコンでこの画面になるときは、システム管理者に知らせてください。",
                "Start again on a computer of the hospital, or use your card. If this is one, tell your system administrator.",
            ],
        ),
        SignInRefusal::KeysFull => words(
            Code::Conflict,
            ["セキュリティキーはこれ以上登録できません", "No more security keys can be registered"],
            [
                "登録できる数のセキュリティキーが、すでに登録されています。",
                "You have as many security keys registered as you may.",
            ],
            [
                "使っていないものをご本人のページで削除してから、やり直してください。",
                "Remove one that you do not use on your own page, and start again.",
            ],
        ),
        SignInRefusal::EntitlementOver => words(
            Code::CredentialExpired,
            ["署名用の証明書が使えません", "You have no certificate to sign with"],
            [
                "あなたの署名用の証明書（セカンド証明書）は、発行されていないか、有効期限が切れているか、失効しています。または、HPKIカードの有効期限が切れています。どの認証方法でも利用できません。",
                "Your second certificate has not been issued, has expired or is revoked, or your HPKI card has expired. No way to sign in works without them.",
            ],
            [
                "HPKIカードの有効期限を確かめ、カードを発行した認証局または施設の登録担当者に問い合わせてください。",
                "Check until when your HPKI card is valid, and ask its certification authority or your registration officer.",
            ],
        ),
        SignInRefusal::WrongNumber => again(
            Code::LoginDenied,
            ["番号が違います", "The number is wrong"],
            [
                "入力された番号は、依頼元の画面の番号と一致しません。",
                "It is not the number on the screen of the system that asks.",
            ],
            [
                "画面の番号を確かめて、もう一度開いてください。番号に心当たりがなければ中止してください。",
                "Check the number and open the page again. If you know of no number, stop here.",
            ],
        ),
        SignInRefusal::LinkOver => words(
            Code::LoginDenied,
            ["このリンクは使えなくなりました", "This link can no longer be used"],
            [
                "すでに使われたか、取り消されたか、有効時間を過ぎています。",
                "It was used, ended, or its time is over.",
            ],
            [
                "操作を始めたパソコンの画面またはシステムからやり直してください。",
                "Start again on the computer or the system where you began.",
            ],
        ),
        SignInRefusal::FormOver => again(
            Code::LoginDenied,
            ["この画面は古くなりました", "This page is out of date"],
            [
                "同じ画面が二度送信されたか、別の画面で手続きが進んでいます。",
                "It was sent twice, or another page was opened after it.",
            ],
            ["もう一度開いてください。", "Open the page again."],
        ),
        SignInRefusal::ProofNotFresh => again(
            Code::FactorRefused,
            ["カードをもう一度確認します", "Your card has to be checked again"],
            [
                "画面を開いてから時間が経ったか、途中でカードが入れ替わりました。",
                "Too much time has passed since the page was opened, or the card was exchanged.",
            ],
            [
                "カードを入れたまま「もう一度開く」を押してください。同じ画面になるときは、ブラウザの画面をすべて閉じ、操作を始めた画面からやり直してください。",
                "Leave the card in its reader and press “Open the page again”. If this page comes back, close every window of the browser and start again where you began.",
            ],
        ),
        SignInRefusal::TooOften => again(
            Code::RateLimited,
            ["操作の回数が多すぎます", "Too many tries in a row"],
            [
                "短い時間に、このカードで何度も画面が開かれました。",
                "Pages were opened with this card too often in a short time.",
            ],
            [
                "1 分ほど待ってから、もう一度開いてください。",
                "Wait a minute and open the page again.",
            ],
        ),
        SignInRefusal::Unavailable => again(
            Code::NotOperational,
            ["ただいま利用できません", "Not available at the moment"],
            ["装置が一時的に利用できない状態です。", "The appliance cannot do this just now."],
            ["しばらく待ってからもう一度開いてください。", "Wait a while and open the page again."],
        ),
    }
}
