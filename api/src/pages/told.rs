//! What the portal says when something is done or is not, in both languages.

use super::language::Language;
use super::messages::Message;
use attest::authenticator::AuthenticatorKind;

pub(super) fn message(language: Language, title: [&str; 2], lines: &[[&str; 2]]) -> Message {
    let pick = |[japanese, english]: &[&str; 2]| language.pick(japanese, english).to_owned();
    Message {
        title: pick(&title),
        lines: lines.iter().map(pick).collect(),
        steps: Vec::new(),
        may_open_again: false,
    }
}

/// PC: a phone or a security key is registered.
pub(crate) fn enrolled(language: Language, kind: AuthenticatorKind, label: &str) -> Message {
    let title = match kind {
        AuthenticatorKind::Phone => {
            ["スマートフォンの登録が完了しました", "The phone is registered"]
        }
        AuthenticatorKind::SecurityKey => {
            ["セキュリティキーの登録が完了しました", "The security key is registered"]
        }
    };
    let called = registered_as(language, kind, label);
    let close = ["ブラウザを終了してください。", "Close every window of the browser."];
    message(language, title, &[[&called, &called], close])
}

/// Phone: the old one is proved, and the PC asks whether it is to be given up.
pub(crate) fn may_change(language: Language) -> Message {
    let back = [
        "パソコンの画面に戻り、変更を続けてください。このスマートフォンは、新しいスマートフォンの登録が終わるまで使えます。",
        "Go back to the computer and go on there. This phone works until the new one is registered.",
    ];
    message(language, ["処理が完了しました", "This phone is confirmed"], &[back])
}

/// PC: the old phone stays.
pub(crate) fn not_changed(language: Language) -> Message {
    let stays = [
        "今のスマートフォンがそのまま使えます。この画面は閉じて構いません。",
        "The phone you have now stays as it is. You may close this page.",
    ];
    message(language, ["変更しませんでした", "Nothing was changed"], &[stays])
}

/// Phone: it is proved, and the PC asks for the card again.
pub(crate) fn proved(language: Language, label: &str) -> Message {
    let title = ["スマートフォンを確認しました", "This phone is confirmed"];
    let called = registered_as(language, AuthenticatorKind::Phone, label);
    let back = [
        "パソコンの画面に同じ登録名が出ていることを確かめ、カードでもう一度確認してください。それで登録が完了します。この画面は閉じて構いません。",
        "See that the computer shows the same name, and show your card there once more. Then it is registered. You may close this page.",
    ];
    message(language, title, &[[&called, &called], back])
}

/// Phone: it is proved, and the PC asks for the old phone again.
pub(crate) fn proved_for_old_phone(language: Language, label: &str) -> Message {
    let title = ["スマートフォンを確認しました", "This phone is confirmed"];
    let called = registered_as(language, AuthenticatorKind::Phone, label);
    let back = [
        "パソコンの画面に同じ登録名が出ていることを確かめ、今までのスマートフォンでもう一度確認してください。それで登録が完了します。この画面は閉じて構いません。",
        "See that the computer shows the same name, and confirm once more with the phone you had so far. Then it is registered. You may close this page.",
    ];
    message(language, title, &[[&called, &called], back])
}

/// Old phone: the new one took its place.
pub(crate) fn replaced(language: Language, label: &str) -> Message {
    let title = ["スマートフォンの変更が完了しました", "Your phone is changed"];
    let called = registered_as(language, AuthenticatorKind::Phone, label);
    let gone = [
        "次から新しいスマートフォンで認証してください。このスマートフォンでは、もう認証できません。この画面は閉じて構いません。",
        "From now on sign in with the new phone. This one no longer signs you in. You may close this page.",
    ];
    message(language, title, &[[&called, &called], gone])
}

/// PC: the holder said no when the card came back.
pub(crate) fn not_registered(language: Language) -> Message {
    let nothing = [
        "何も登録されていません。この画面は閉じて構いません。",
        "Nothing was registered. You may close this page.",
    ];
    let not_yours = [
        "お手元のものではない登録名やカードが表示されたときは、システム管理者に知らせてください。",
        "If something was shown that is not yours, tell your system administrator.",
    ];
    message(language, ["登録しませんでした", "Not registered"], &[nothing, not_yours])
}

pub(super) fn registered_as(language: Language, kind: AuthenticatorKind, label: &str) -> String {
    format!("{}: {}", language.pick("登録名", "Registered as"), language.device(kind, label))
}

/// Phone: the holder is signed in.
pub(crate) fn signed_in(language: Language, system: &str) -> Message {
    let [ja, en] = [
        format!("「{system}」の操作はパソコンの画面で続けてください。この画面は閉じて構いません。"),
        format!("Go on with “{system}” on the computer. You may close this page."),
    ];
    message(language, ["認証しました", "You are signed in"], &[[&ja, &en]])
}

/// PC: signed in before this very screen, and there is something to be read first.
pub(crate) fn signed_in_here(language: Language, system: &str) -> Message {
    let [ja, en] = [
        format!("下の内容を確認してから「続ける」を押すと、「{system}」の操作に進みます。"),
        format!("Read what follows, then press “Continue” to go on with “{system}”."),
    ];
    message(language, ["認証しました", "You are signed in"], &[[&ja, &en]])
}

/// PC: the holder said no, or the number was wrong too often.
pub(crate) fn ended(language: Language) -> Message {
    let title = ["確認できませんでした", "This was not confirmed"];
    let why = [
        "断られた、そのスマートフォンでは行えない、または番号の間違いが上限に達したため、終了しました。認証も登録も行われていません。",
        "It was refused, that phone may not do this, or the number was wrong too often. Nobody was signed in and nothing was registered.",
    ];
    let next = [
        "ご自身の操作であれば、最初からやり直してください。",
        "If you did start this yourself, start again from the beginning.",
    ];
    message(language, title, &[why, next])
}

/// Phone: the holder said no.
pub(crate) fn denied(language: Language) -> Message {
    let nothing = [
        "この依頼を断りました。認証も登録も行われていません。この画面は閉じて構いません。",
        "This request was refused. Nobody was signed in and nothing was registered. You may close this page.",
    ];
    let keeps_coming = [
        "心当たりのない依頼が続くときは、システム管理者に知らせてください。",
        "If requests you did not make keep coming, tell your system administrator.",
    ];
    message(language, ["断りました", "Refused"], &[nothing, keeps_coming])
}

/// Phone: one more try.
pub(crate) fn wrong_number(language: Language) -> Message {
    let check = [
        "画面に出ている番号を確かめて、もう一度入力してください。番号に心当たりがなければ中止してください。",
        "Check the number on the screen and type it again. If you know of no number, stop here.",
    ];
    message(language, ["番号が違います", "The number is wrong"], &[check])
}

/// Too much was asked for.
pub(crate) fn too_often(language: Language, seconds: u64) -> Message {
    let left = language.duration(seconds);
    let [ja, en] = [
        format!("{left}ほど待ってから、もう一度お試しください。"),
        format!("Wait {left} and try again."),
    ];
    let title = ["操作の回数が多すぎます", "Too many tries in a row"];
    Message { may_open_again: true, ..message(language, title, &[[&ja, &en]]) }
}

/// Phone: too many questions; the number was not looked at.
pub(crate) fn number_too_often(language: Language, seconds: u64) -> Message {
    let mut told = too_often(language, seconds);
    let number = language.pick(
        "入力した番号はまだ確認されていません。",
        "The number you typed was not looked at yet.",
    );
    told.lines.push(number.to_owned());
    told
}

/// Phone: no more tries.
pub(crate) fn wrong_too_often(language: Language) -> Message {
    let again = [
        "この QR コードは使えなくなりました。パソコンの画面からやり直してください。",
        "This QR code can no longer be used. Start again on the computer.",
    ];
    let title = ["番号の間違いが上限に達しました", "The number was wrong too often"];
    message(language, title, &[again])
}

/// Phone: cancelled, or not proved.
pub(crate) fn authenticator_failed(language: Language) -> Message {
    let title = [
        "セキュリティーキーによる認証に失敗しました。",
        "The phone did not confirm that it is you.",
    ];
    let again = [
        "指紋や顔による確認が終わっていません。取り消したときや、別のスマートフォンのときも、この表示になります。",
        "Your fingerprint or face was not confirmed. This is also shown when you cancelled, or when it is another phone.",
    ];
    message(language, title, &[again])
}

/// Phone: it cannot do this as it is set up.
pub(crate) fn authenticator_unusable(language: Language) -> Message {
    let set_up = [
        "スマートフォンの設定で画面ロックと、指紋または顔の認証を設定してから、パソコンの画面の最初からやり直してください。",
        "Set up a screen lock and your fingerprint or face in the phone's settings, then start again on the computer.",
    ];
    message(language, ["Security Key Error", "Security Key Error"], &[set_up])
}

/// PC: what its browser reached did not do what it should.
pub(crate) fn key_failed(language: Language) -> Message {
    let title =
        ["セキュリティーキーによる認証に失敗しました。", "Nothing confirmed that it is you."];
    let again = [
        "指紋や顔、PIN による確認が終わっていません。取り消したとき、登録していないものを使ったとき、このパソコン自体の指紋や PIN を使ったときも、この表示になります。",
        "Your fingerprint, face or PIN was not confirmed. This is also shown when you cancelled, when it is not registered, or when it was this computer's own fingerprint reader or PIN.",
    ];
    message(language, title, &[again])
}

/// PC: as [`key_failed`], where a security key is registered.
pub(crate) fn key_not_registered(language: Language) -> Message {
    let title = ["セキュリティキーを登録できませんでした", "The security key was not registered"];
    let again = [
        "セキュリティキーの PIN または指紋による確認が終わっていません。取り消したときも、この表示になります。",
        "The PIN or fingerprint of the security key was not confirmed. This is also shown when you cancelled.",
    ];
    message(language, title, &[again])
}

/// PC: its browser cannot do this.
pub(crate) fn key_unusable(language: Language) -> Message {
    let other = [
        "このパソコンのブラウザでは利用できません。セキュリティキーには、PIN または指紋が設定されている必要があります。認証のときは、前の画面に戻り、別の方法を選んでください。",
        "This computer's browser cannot do this. A security key must have a PIN or a fingerprint set up. To sign in, go back and choose another way.",
    ];
    message(language, ["Security Key Error", "Security Key Error"], &[other])
}

/// PC: what its browser reached is no security key that can be registered.
pub(crate) fn key_not_accepted(language: Language) -> Message {
    let title = ["これは登録できません", "This cannot be registered"];
    let why = [
        "登録できるのは、パソコンに差し込むか、かざして使うセキュリティキーです。スマートフォンや、このパソコン自体の指紋や PIN は、ここでは登録できません。機種によっては、施設の設定で登録できないことがあります。",
        "Only a security key can be registered here, one that you plug in or hold to a reader: no phone, and not this computer's own fingerprint reader or PIN. Your institution may not take every model.",
    ];
    let next = [
        "セキュリティキーを用意し、最初からやり直してください。スマートフォンは、ポータルの「HPKI カードを使ってスマートフォンを登録する」から登録できます。",
        "Start again with a security key. A phone is registered on the portal by “Register a phone with your HPKI card”.",
    ];
    message(language, title, &[why, next])
}

/// PC: nothing to register.
pub(crate) fn key_known(language: Language) -> Message {
    let title = ["これは登録済みです", "This is registered already"];
    let use_it = [
        "登録し直す必要はありません。そのまま認証に使えます。",
        "There is nothing to do: it can be used to sign in.",
    ];
    message(language, title, &[use_it])
}

/// PC: the portal was not reached.
pub(crate) fn key_not_reached(language: Language) -> Message {
    let again = [
        "このパソコンのネットワークの接続を確かめてください。",
        "Check this computer's network connection.",
    ];
    message(language, ["通信できませんでした", "The server was not reached"], &[again])
}

/// Phone: its kind is not taken.
pub(crate) fn not_accepted(language: Language) -> Message {
    let why = [
        "この施設では、この種類のスマートフォンやパスキーは登録できません。",
        "This institution does not take phones or passkeys of this kind.",
    ];
    let next = [
        "使える機種をシステム管理者に確かめ、別のスマートフォンでやり直してください。",
        "Ask your system administrator which are taken, and start again with another phone.",
    ];
    let title = ["このスマートフォンは登録できません", "This phone cannot be registered"];
    message(language, title, &[why, next])
}

/// Phone, or PC with a card: what enrols it is too new.
pub(crate) fn too_new(language: Language, seconds: u64) -> Message {
    let left = language.duration(seconds);
    let [ja, en] = [
        format!(
            "登録されたばかりのスマートフォンやカードでは、しばらくの間、別の登録や変更はできません。あと{left}でできるようになります。"
        ),
        format!(
            "What was registered only just now cannot register or replace anything else for a while. It can in {left}."
        ),
    ];
    let next = [
        "お急ぎのときは、HPKI カードで登録してください。",
        "If you cannot wait, use your HPKI card.",
    ];
    message(language, ["まだ変更できません", "Not yet"], &[[&ja, &en], next])
}

/// Phone: nothing to register.
pub(crate) fn already_registered(language: Language) -> Message {
    let title = ["このスマートフォンは登録済みです", "This phone is registered already"];
    let use_it = [
        "登録し直す必要はありません。このスマートフォンでそのまま認証できます。",
        "There is nothing to do: it can be used to sign in.",
    ];
    message(language, title, &[use_it])
}

/// Phone: the portal was not reached.
pub(crate) fn not_reached(language: Language) -> Message {
    let title = ["通信できませんでした", "The server was not reached"];
    let again = [
        "スマートフォンの電波や Wi-Fi を確かめてください。",
        "Check the phone's network or Wi-Fi.",
    ];
    message(language, title, &[again])
}

/// The holder's page is closed.
pub(crate) fn left(language: Language) -> Message {
    let close = [
        "署名を行うシステムでの認証は続いています。この画面は閉じて構いません。",
        "What you are signed in to elsewhere goes on. You may close this page.",
    ];
    message(language, ["サインアウトしました", "You have left your page"], &[close])
}

/// Nothing of the holder's is signed in any more.
pub(crate) fn signed_out_everywhere(language: Language, ended: u64) -> Message {
    let [ja, en] = [
        format!("終了した認証: {ended} 件。このページからもサインアウトしました。"),
        format!("Sign-ins ended: {ended}. This page is closed, too."),
    ];
    let next = [
        "次に署名するときは、もう一度カードまたはスマートフォンで認証してください。",
        "To sign again, sign in with your card or phone.",
    ];
    let title = ["すべての認証を終了しました", "You are signed out everywhere"];
    message(language, title, &[[&ja, &en], next])
}

/// The browser keeps nothing that a click could go on with.
pub(crate) fn saved_over(language: Language) -> Message {
    let again = [
        "ログアウトなどで、前の認証は終わっています。この画面をもう一度開き、認証方法を選んでください。",
        "It ended, by a logout for example. Open this page again and choose how to sign in.",
    ];
    let title = ["前の認証のままでは続けられません", "You cannot go on as signed in before"];
    Message { may_open_again: true, ..message(language, title, &[again]) }
}

/// The holder's page: this form was sent before, or belongs to another page.
pub(crate) fn form_over(language: Language) -> Message {
    let again = [
        "この画面は、すでに送信されたか、古くなっています。まだ何も変わっていません。もう一度開いてやり直してください。",
        "This page was sent already, or is too old. Nothing was changed. Open it again and repeat what you did.",
    ];
    let title = ["画面が古くなっています", "This page is too old"];
    Message { may_open_again: true, ..message(language, title, &[again]) }
}
