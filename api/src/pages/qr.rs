//! QR codes as inline SVG: two paths, no style, nothing that a policy has to allow.

use qrcode::Color;
use qrcode::EcLevel;
use qrcode::QrCode;
use std::fmt::Write;

/// Light modules around the code (ISO/IEC 18004 §9.1).
const QUIET: usize = 4;

/// The SVG of `text`, named `label` for those who do not see it; `None` when `text` is too long for a QR code.
pub(crate) fn svg(text: &str, label: &str) -> Option<String> {
    // 15 % may be unreadable: enough for a screen.
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let (width, colors) = (code.width(), code.to_colors());
    let side = width + 2 * QUIET;
    let mut dark = String::new();
    for (y, row) in colors.chunks(width).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            if run.first() == Some(&Color::Dark) {
                let (x, y, length) = (x + QUIET, y + QUIET, run.len());
                write!(dark, "M{x} {y}h{length}v1h-{length}z").ok()?;
            }
            x += run.len();
        }
    }
    let label = label.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    Some(format!(
        "<svg class=\"qr\" role=\"img\" aria-label=\"{label}\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/>\
         <path d=\"{dark}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_has_its_finder_patterns_and_its_quiet_zone() {
        let svg = svg("https://portal.example/phone/abc", "a <b> & \"c\"").unwrap();
        assert!(svg.contains("aria-label=\"a &lt;b> &amp; &quot;c&quot;\""), "{svg}");
        // Version 3 (29 modules): the first row of both upper finder patterns, seven modules wide.
        assert!(svg.contains("viewBox=\"0 0 37 37\""), "{svg}");
        assert!(svg.contains("M4 4h7v1h-7z") && svg.contains("M26 4h7v1h-7z"), "{svg}");
        assert!(!svg.contains("style"));
    }

    #[test]
    fn text_beyond_the_largest_code_has_none() {
        assert!(svg(&"a".repeat(2_331), "").is_some());
        assert!(svg(&"a".repeat(2_332), "").is_none());
    }
}
