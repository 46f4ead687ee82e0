//! The signing time: `UTCTime` until 2049, `GeneralizedTime` from 2050 on, whole seconds.

use crate::error::CmsError;
use crate::write::GENERALIZED_TIME;
use crate::write::UTC_TIME;
use attest::clock::UnixSeconds;
use der::DateTime;
use der::Decode;
use der::Encode;
use der::asn1::GeneralizedTime;
use der::asn1::UtcTime;
use std::time::Duration;

/// `Time`, DER.
///
/// # Errors
/// [`CmsError::SigningTime`] after the year 9999.
/// # Source
/// RFC 5652 §11.3: dates from 1950 to 2049 MUST be `UTCTime`, others `GeneralizedTime`; both with seconds, ending in Z,
/// without fractions.
pub fn write(time: UnixSeconds) -> Result<Vec<u8>, CmsError> {
    let unrepresentable = |_| CmsError::SigningTime(time.0);
    let date_time =
        DateTime::from_unix_duration(Duration::from_secs(time.0)).map_err(unrepresentable)?;
    match date_time.year() {
        ..=2049 => UtcTime::from_date_time(date_time).and_then(|time| time.to_der()),
        2050.. => GeneralizedTime::from_date_time(date_time).to_der(),
    }
    .map_err(unrepresentable)
}

/// The time that exactly these octets say, if [`write()`] would have written them.
pub fn read(der: &[u8]) -> Option<UnixSeconds> {
    let since_epoch = match *der.first()? {
        UTC_TIME => UtcTime::from_der(der).ok()?.to_unix_duration(),
        GENERALIZED_TIME => GeneralizedTime::from_der(der).ok()?.to_unix_duration(),
        _ => return None,
    };
    let time = UnixSeconds(since_epoch.as_secs());
    (write(time).ok()? == der).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `date -u -d @2524607999` and so on.
    #[test]
    fn form_changes_with_the_year_2050() {
        let cases: [(u64, &[u8]); 5] = [
            (0, b"\x17\x0d700101000000Z"),
            (951_782_400, b"\x17\x0d000229000000Z"),
            (2_524_607_999, b"\x17\x0d491231235959Z"),
            (2_524_608_000, b"\x18\x0f20500101000000Z"),
            (253_402_300_799, b"\x18\x0f99991231235959Z"),
        ];
        for (time, der) in cases {
            assert_eq!(write(UnixSeconds(time)).unwrap(), der);
            assert_eq!(read(der), Some(UnixSeconds(time)));
        }
        assert_eq!(
            write(UnixSeconds(253_402_300_800)),
            Err(CmsError::SigningTime(253_402_300_800))
        );
        assert!(write(UnixSeconds(u64::MAX)).is_err());
    }

    #[test]
    fn other_forms_of_the_same_time_are_refused() {
        let cases: [&[u8]; 7] = [
            b"\x18\x0f20260101000000Z",
            b"\x18\x1120500101000000.5Z",
            b"\x17\x0b2601010000Z",
            b"\x17\x112601010000+0900",
            b"\x17\x0d261301000000Z",
            b"\x17\x0d500101000000Z",
            b"\x17\x0d261231235960Z",
        ];
        for der in cases {
            assert_eq!(read(der), None, "{}", String::from_utf8_lossy(der));
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(time in 0u64..253_402_300_800) {
            prop_assert_eq!(read(&write(UnixSeconds(time)).unwrap()), Some(UnixSeconds(time)));
        }
    }
}
