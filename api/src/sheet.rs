//! The two sheets of a notification card, as files that print: one has the link, the other the password.

use crate::admin::letter::SheetHalf;
use crate::admin::letter::SheetView;
use crate::pages::language::JAPAN;
use crate::pages::qr;
use askama::Template;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[derive(Template)]
#[template(path = "sheet.html")]
struct Sheet<'a> {
    sheet: &'a SheetView,
    until: Until,
    qr: Option<String>,
}

/// When a card is over, as people in Japan read it.
struct Until {
    japanese: String,
    english: String,
}

/// The sheet as one HTML file: nothing in it is fetched from anywhere.
pub fn html(sheet: &SheetView) -> Option<String> {
    let qr = match &sheet.half {
        SheetHalf::Link { url } => Some(qr::svg(url, "QR コード / QR code")?),
        SheetHalf::Password { .. } => None,
    };
    Sheet { sheet, until: until(&sheet.expires_at)?, qr }.render().ok()
}

fn until(rfc3339: &str) -> Option<Until> {
    let at = OffsetDateTime::parse(rfc3339, &Rfc3339).ok()?.checked_to_offset(JAPAN)?;
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute) = (at.hour(), at.minute());
    Some(Until {
        japanese: format!("{year}年{month}月{day}日 {hour:02}:{minute:02}"),
        english: format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} (Japan time)"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(half: SheetHalf) -> SheetView {
        SheetView {
            letter_id: "c".repeat(32),
            holder_id: "u-17".into(),
            display_name: "山田 <花子>".into(),
            ca_contact: Some("日本医師会 電子認証センター 03-0000-0000".into()),
            expires_at: "2026-12-29T18:30:00Z".into(),
            half,
        }
    }

    #[test]
    fn sheet_has_its_own_half_and_asks_for_nothing_from_elsewhere() {
        let url = "https://portal.example/letter/x.y";
        let link = html(&sheet(SheetHalf::Link { url: url.into() })).unwrap();
        let password =
            html(&sheet(SheetHalf::Password { password: "7K2MD-9QX4T".into() })).unwrap();
        assert!(link.contains("<svg") && link.contains(url) && !link.contains("7K2MD"));
        assert!(password.contains("7K2MD-9QX4T") && !password.contains("portal.example"));
        for page in [&link, &password] {
            assert!(page.contains("山田 &#60;花子&#62;"), "{page}");
            assert!(page.contains("2026年12月30日 03:30") && page.contains("03-0000-0000"));
            for fetched in ["<script", "src=", "<link", "url(", "@import"] {
                assert!(!page.contains(fetched), "{fetched}");
            }
        }
    }

    #[test]
    fn sheet_without_a_contact_names_the_registration_officer() {
        let half = SheetHalf::Password { password: "7K2MD-9QX4T".into() };
        let page = html(&SheetView { ca_contact: None, ..sheet(half) }).unwrap();
        assert!(page.contains("登録担当者"));
    }
}
