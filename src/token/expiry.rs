//! The many ways in which endpoints write when a token ends.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use serde_json::Value;

/// Reads an `expires_on`: a number or a text, seconds or a date.
///
/// Numbers below 978307200 (the start of 2001) count from now, others from 1970.
/// The date forms are those of App Service's 2017 API, of Automation's hybrid
/// workers, and RFC 3339.
pub(super) fn expires_on(value: &Value, now: SystemTime) -> Option<SystemTime> {
    if let Some(seconds) = seconds(value) {
        let since = Duration::from_secs(seconds);
        let start = if seconds < YEAR_2001 {
            now
        } else {
            SystemTime::UNIX_EPOCH
        };
        return start.checked_add(since);
    }
    date(value.as_str()?.trim()).map(SystemTime::from)
}

/// Reads a whole number of seconds, written as a number or as a text.
pub(super) fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked first, and a fraction of a second may go"
)]
fn whole(seconds: f64) -> Option<u64> {
    (0.0..1e15).contains(&seconds).then_some(seconds as u64)
}

fn date(text: &str) -> Option<Timestamp> {
    if let Ok(timestamp) = text.parse() {
        return Some(timestamp);
    }
    for form in FORMS {
        if let Ok(parsed) = strtime::parse(form, text) {
            return parsed.to_timestamp().ok();
        }
    }
    // Without a zone it can only be meant as UTC: no endpoint says local time.
    let civil: DateTime = text.parse().ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// App Service 2017-09-01 on Windows, and on Linux.
const FORMS: [&str; 2] = ["%m/%d/%Y %I:%M:%S %p %:z", "%m/%d/%Y %H:%M:%S %:z"];

const YEAR_2001: u64 = 978_307_200;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn reads_every_form_that_endpoints_are_known_to_write() {
        let now = at(1_790_000_000);
        for (value, expected) in [
            (json!("1790003600"), 1_790_003_600),
            (json!(1_790_003_600), 1_790_003_600),
            (json!(1_790_003_600.75), 1_790_003_600),
            (json!("3600"), 1_790_003_600),
            (json!(86399), 1_790_086_399),
            (json!(" 3600 "), 1_790_003_600),
            (json!(978_307_199), 1_790_000_000 + 978_307_199),
            (json!(978_307_200), 978_307_200),
            (json!("1/16/2020 5:24:12 AM +00:00"), 1_579_152_252),
            (json!("1/16/2020 12:24:12 AM +00:00"), 1_579_134_252),
            (json!("11/6/2020 5:24:12 PM +00:00"), 1_604_683_452),
            (json!("06/20/2019 02:57:58 +00:00"), 1_560_999_478),
            (json!("06/20/2019 22:57:58 +00:00"), 1_561_071_478),
            (json!("2021-07-02 08:00:34Z"), 1_625_212_834),
            (json!("2021-07-02T08:00:34Z"), 1_625_212_834),
            (json!("2021-07-02T10:00:34+02:00"), 1_625_212_834),
            (json!("2021-07-02T08:00:34"), 1_625_212_834),
        ] {
            assert_eq!(expires_on(&value, now), Some(at(expected)), "{value}");
        }
        let fraction = expires_on(&json!("2021-07-02T08:00:34.1234567+00:00"), now).unwrap();
        assert_eq!(
            fraction
                .duration_since(at(1_625_212_834))
                .unwrap()
                .as_micros(),
            123_456
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for value in [
            json!(""),
            json!("soon"),
            json!(-1),
            json!("-1"),
            json!(null),
            json!(true),
            json!([1]),
            json!(1e300),
            json!("13/45/2020 99:99:99 +00:00"),
            json!("1/16/2020"),
            json!("99999999999999999999999"),
        ] {
            assert_eq!(expires_on(&value, at(1_790_000_000)), None, "{value}");
        }
        // In range for an integer, but not for the clock.
        assert_eq!(expires_on(&json!(u64::MAX), at(1_790_000_000)), None);
    }
}
