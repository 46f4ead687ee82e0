//! "This was added": what sign-ins show of a holder's new factors.

use super::language::Language;
use super::language::in_japan;
use crate::operations::added::AddedFactor;
use crate::operations::added::FactorKind;
use crate::operations::added::RecentlyAdded;
use attest::authenticator::AuthenticatorKind;

/// One line each, then what to do about one that is not one's own; nothing where nothing was added.
pub(crate) fn lines(language: Language, added: &RecentlyAdded) -> Vec<String> {
    if added.factors.is_empty() {
        return Vec::new();
    }
    let mut lines: Vec<_> = added.factors.iter().map(|factor| line(language, factor)).collect();
    let call = match (language, &added.contact) {
        (Language::Japanese, Some(contact)) => {
            format!("心当たりのないものがあれば、すぐに認証局（{contact}）に連絡してください。")
        }
        (Language::Japanese, None) => {
            "心当たりのないものがあれば、すぐに施設の登録担当者に連絡してください。".to_owned()
        }
        (Language::English, Some(contact)) => {
            format!("Not you? Call your certification authority at once: {contact}.")
        }
        (Language::English, None) => "Not you? Tell your registration officer at once.".to_owned(),
    };
    lines.push(call);
    lines
}

fn line(language: Language, factor: &AddedFactor) -> String {
    let kind = match factor.kind {
        FactorKind::Phone => language.kind(AuthenticatorKind::Phone),
        FactorKind::SecurityKey => language.kind(AuthenticatorKind::SecurityKey),
        FactorKind::MyNumberCard => language.pick("マイナンバーカード", "My Number card"),
        FactorKind::RenewedMyNumberCard => {
            language.pick("更新後のマイナンバーカード", "renewed My Number card")
        }
    };
    let what = match &factor.label {
        Some(label) => format!("{kind} {label}"),
        None => kind.to_owned(),
    };
    let (when, terminal) = (minute(factor.added_at), &factor.terminal);
    match language {
        Language::Japanese => {
            format!("最近登録されたもの: {what}（{when}、{terminal} から）")
        }
        Language::English => format!("Added of late: {what}, {when} (Japan), from {terminal}"),
    }
}

/// Day and minute on the clock in Japan.
fn minute(unix_seconds: u64) -> String {
    match in_japan(unix_seconds) {
        Some(at) => format!("{} {:02}:{:02}", at.date(), at.hour(), at.minute()),
        None => unix_seconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_factor_is_a_line_and_the_call_is_the_last() {
        let factor = |kind, label: Option<&str>| AddedFactor {
            kind,
            label: label.map(str::to_owned),
            added_at: 1_796_000_000,
            terminal: "Chrome, Windows (192.0.2.7)".into(),
        };
        let added = RecentlyAdded {
            factors: vec![
                factor(FactorKind::Phone, Some("90D8-3E98")),
                factor(FactorKind::SecurityKey, Some("1F00-AA01")),
                factor(FactorKind::MyNumberCard, None),
                factor(FactorKind::RenewedMyNumberCard, None),
            ],
            contact: Some("03-0000-0000".into()),
        };
        let japanese = lines(Language::Japanese, &added);
        assert_eq!(
            japanese[0],
            "最近登録されたもの: スマートフォン 90D8-3E98（2026-11-30 09:53、Chrome, Windows (192.0.2.7) から）"
        );
        assert!(japanese[1].contains("セキュリティキー 1F00-AA01（2026"), "{japanese:?}");
        assert!(japanese[2].contains("マイナンバーカード（2026"), "{japanese:?}");
        assert!(japanese.len() == 5 && japanese[4].contains("（03-0000-0000）"));
        let english = lines(Language::English, &RecentlyAdded { contact: None, ..added });
        assert!(english[0].contains("phone 90D8-3E98, 2026-11-30 09:53 (Japan)"), "{english:?}");
        assert!(english[3].contains("renewed My Number card, 2026"), "{english:?}");
        assert!(english[4].contains("registration officer"));
        assert!(lines(Language::Japanese, &RecentlyAdded::default()).is_empty());
    }
}
