//! The language of a page: Japanese, or English by choice.

use attest::authenticator::AuthenticatorKind;
use http::HeaderMap;
use http::header;
use time::Date;
use time::OffsetDateTime;
use time::UtcOffset;
use time::macros::offset;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Japanese,
    English,
}

impl Language {
    /// What was chosen (`?lang=`), else what the browser prefers, else Japanese.
    pub(crate) fn choose(chosen: Option<&str>, headers: &HeaderMap) -> Self {
        match chosen {
            Some("en") => Self::English,
            Some("ja") => Self::Japanese,
            _ => preferred(headers).unwrap_or(Self::Japanese),
        }
    }

    pub(crate) fn tag(self) -> &'static str {
        self.pick("ja", "en")
    }

    pub(crate) fn is_english(self) -> bool {
        self == Self::English
    }

    pub(crate) fn pick<'a>(self, japanese: &'a str, english: &'a str) -> &'a str {
        match self {
            Self::Japanese => japanese,
            Self::English => english,
        }
    }

    /// What people call an authenticator.
    pub(crate) fn device(self, kind: AuthenticatorKind, label: &str) -> String {
        format!("{} {label}", self.kind_alone(kind))
    }

    /// What it is, at the beginning of a line.
    pub(crate) fn kind_alone(self, kind: AuthenticatorKind) -> &'static str {
        match kind {
            AuthenticatorKind::Phone => self.pick("スマートフォン", "Phone"),
            AuthenticatorKind::SecurityKey => self.pick("セキュリティキー", "Security key"),
        }
    }

    /// What it is, within a sentence.
    pub(crate) fn kind(self, kind: AuthenticatorKind) -> &'static str {
        match kind {
            AuthenticatorKind::Phone => self.pick("スマートフォン", "phone"),
            AuthenticatorKind::SecurityKey => self.pick("セキュリティキー", "security key"),
        }
    }

    /// How long and how much is being allowed.
    pub(crate) fn scope(self, seconds: u64, signatures: u64) -> String {
        match self {
            Self::Japanese => {
                format!("{}、最大 {} 件の署名", self.duration(seconds), grouped(signatures))
            }
            Self::English => {
                format!("up to {} signatures in {}", grouped(signatures), self.duration(seconds))
            }
        }
    }

    /// That what is listed is being allowed, and how long for.
    pub(crate) fn scope_of_entries(self, seconds: u64, entries: usize) -> String {
        let duration = self.duration(seconds);
        match (self, entries) {
            (Self::Japanese, _) => {
                format!("下の {entries} 件の署名だけ、各 1 回（{duration}以内）")
            }
            (Self::English, 1) => format!("only the signature below, once, within {duration}"),
            (Self::English, _) => {
                format!("only the {entries} signatures below, each once, within {duration}")
            }
        }
    }

    /// A number of signatures.
    pub(crate) fn count(self, signatures: u64) -> String {
        match self {
            Self::Japanese => format!("{} 件", grouped(signatures)),
            Self::English => grouped(signatures),
        }
    }

    /// A time of the clock on the wall in Japan.
    pub(crate) fn time(self, unix_seconds: u64) -> String {
        let Some(at) = in_japan(unix_seconds) else {
            return unix_seconds.to_string();
        };
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, _) = at.to_hms();
        match self {
            Self::Japanese => {
                format!("{year}年{}月{day}日 {hour}時{minute:02}分", u8::from(month))
            }
            Self::English => format!("{day} {month} {year}, {hour:02}:{minute:02} (Japan)"),
        }
    }

    /// Hour and minute of the clock on the wall in Japan.
    pub(crate) fn time_of_day(self, unix_seconds: u64) -> String {
        let Some(at) = in_japan(unix_seconds) else {
            return unix_seconds.to_string();
        };
        let (hour, minute, _) = at.to_hms();
        match self {
            Self::Japanese => format!("{hour}時{minute:02}分"),
            Self::English => format!("{hour:02}:{minute:02}"),
        }
    }

    /// The time of day of `end`, with its day where that is not the day of `start`.
    pub(crate) fn until(self, start: u64, end: u64) -> String {
        let day = |unix_seconds| in_japan(unix_seconds).map(OffsetDateTime::date);
        let (first, last) = (day(start), day(end));
        let time_of_day = self.time_of_day(end);
        if first == last {
            time_of_day
        } else if first.and_then(Date::next_day) == last {
            match self {
                Self::Japanese => format!("翌日{time_of_day}"),
                Self::English => format!("{time_of_day} the next day"),
            }
        } else {
            self.time(end)
        }
    }

    /// How long the page is good.
    pub(crate) fn time_left(self, seconds: u64) -> String {
        match self {
            Self::Japanese => format!("この画面の有効時間は残り{}です。", self.duration(seconds)),
            Self::English => format!("This page is good for {}.", self.duration(seconds)),
        }
    }

    pub(crate) fn duration(self, seconds: u64) -> String {
        let (count, japanese, english) = match seconds {
            0..=119 => (seconds, "秒", "second"),
            120..=7_199 => (seconds / 60, "分", "minute"),
            _ => (seconds / 3_600, "時間", "hour"),
        };
        match self {
            Self::Japanese => format!("{count}{japanese}"),
            Self::English => format!("{count} {english}{}", if count == 1 { "" } else { "s" }),
        }
    }
}

/// Japan has one clock, nine hours ahead, all the year.
pub(crate) const JAPAN: UtcOffset = offset!(+9);

/// What the clock in Japan shows; `None` for a year of more than four digits.
pub(super) fn in_japan(unix_seconds: u64) -> Option<OffsetDateTime> {
    let at = OffsetDateTime::from_unix_timestamp(i64::try_from(unix_seconds).ok()?).ok()?;
    at.checked_to_offset(JAPAN)
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The one of our languages that `Accept-Language` (RFC 9110 §12.5.4) weighs most; the first named at a tie.
fn preferred(headers: &HeaderMap) -> Option<Language> {
    let value = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
    let mut best: Option<(f32, Language)> = None;
    for range in value.split(',') {
        let (tag, weight) = range.trim().split_once(";q=").unwrap_or((range.trim(), "1"));
        let language = match tag.split('-').next().unwrap_or_default().to_ascii_lowercase().as_str()
        {
            "ja" => Language::Japanese,
            "en" => Language::English,
            _ => continue,
        };
        let weight = weight.trim().parse::<f32>().unwrap_or(0.0);
        if weight > 0.0 && best.is_none_or(|(known, _)| weight > known) {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(chosen: Option<&str>, accepted: &str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, accepted.parse().unwrap());
        Language::choose(chosen, &headers)
    }

    #[test]
    fn choice_goes_before_the_browser_and_japanese_before_nothing() {
        assert_eq!(of(None, "en-US,en;q=0.9,ja;q=0.8"), Language::English);
        assert_eq!(of(None, "ja,en-US;q=0.9"), Language::Japanese);
        assert_eq!(of(None, "en;q=0.2, ja;q=0.7"), Language::Japanese);
        assert_eq!(of(None, "fr, de;q=0.9"), Language::Japanese);
        assert_eq!(of(None, "en;q=0"), Language::Japanese);
        assert_eq!(of(None, "en;q=x, ;;,"), Language::Japanese);
        assert_eq!(of(Some("ja"), "en"), Language::Japanese);
        assert_eq!(of(Some("en"), "ja"), Language::English);
        assert_eq!(Language::choose(None, &HeaderMap::new()), Language::Japanese);
    }

    #[test]
    fn large_counts_are_said_in_groups() {
        assert_eq!(Language::Japanese.scope(43_200, 1_000_000), "12時間、最大 1,000,000 件の署名");
        assert_eq!(Language::English.scope(43_200, 250), "up to 250 signatures in 12 hours");
        assert_eq!(
            Language::Japanese.scope_of_entries(300, 2),
            "下の 2 件の署名だけ、各 1 回（5分以内）"
        );
        let english = |entries| Language::English.scope_of_entries(300, entries);
        assert_eq!(english(1), "only the signature below, once, within 5 minutes");
        assert_eq!(english(3), "only the 3 signatures below, each once, within 5 minutes");
        assert_eq!([1, 999, 1_000].map(grouped), ["1", "999", "1,000"]);
    }

    #[test]
    fn times_are_those_of_the_clock_in_japan() {
        let new_year = 1_798_729_199;
        assert_eq!(Language::Japanese.time(new_year), "2026年12月31日 23時59分");
        assert_eq!(Language::Japanese.time(new_year + 1), "2027年1月1日 0時00分");
        assert_eq!(Language::English.time(new_year), "31 December 2026, 23:59 (Japan)");
        assert_eq!(Language::English.time(u64::MAX), u64::MAX.to_string());
        assert_eq!(Language::Japanese.time_of_day(new_year + 1), "0時00分");
        assert_eq!(Language::English.time_of_day(new_year), "23:59");
        assert_eq!(Language::English.time_of_day(u64::MAX), u64::MAX.to_string());
        let last_second_of_9999 = 253_402_300_799;
        assert_eq!(Language::English.time(last_second_of_9999), last_second_of_9999.to_string());
    }

    #[test]
    fn end_is_said_with_its_day_where_that_is_another() {
        let midnight = 1_798_729_200;
        let until = |end| Language::Japanese.until(midnight - 60, end);
        assert_eq!(until(midnight - 1), "23時59分");
        assert_eq!(until(midnight), "翌日0時00分");
        assert_eq!(until(midnight + 86_399), "翌日23時59分");
        assert_eq!(until(midnight + 86_400), "2027年1月2日 0時00分");
        assert_eq!(Language::English.until(midnight - 1, midnight), "00:00 the next day");
        assert_eq!(until(u64::MAX), u64::MAX.to_string());
    }

    #[test]
    fn durations_are_said_in_one_unit() {
        assert_eq!(Language::Japanese.duration(43_200), "12時間");
        assert_eq!(Language::English.duration(43_200), "12 hours");
        assert_eq!(Language::English.duration(150), "2 minutes");
        assert_eq!(Language::English.duration(1), "1 second");
    }
}
