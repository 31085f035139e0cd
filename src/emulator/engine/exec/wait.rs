//! WAITFOR DELAY.

use std::time::Duration;

use sqlparser::ast::Expr;

use super::super::error::{SqlError, SqlResult};
use super::super::types::{SqlType, Value, convert};
use super::Run;

impl Run<'_, '_> {
    /// Waits for real time to pass, whatever the emulator's clock says.
    pub(super) fn wait_for(&mut self, delay: &Expr) -> SqlResult<()> {
        let (ty, value) = self.value(delay, None)?;
        let delay = match &value {
            Value::Null => return Ok(()),
            Value::Text(text) => time_of_day(text).ok_or_else(|| {
                SqlError::new(
                    148,
                    format!("Incorrect time syntax in time string '{text}' used with WAITFOR."),
                )
                .class(15)
            })?,
            _ if matches!(ty, SqlType::DateTime | SqlType::SmallDateTime) => {
                match convert::cast(value, ty, SqlType::Time(7), None)? {
                    // In units of 100 nanoseconds.
                    Value::Time(time) => {
                        Duration::from_nanos(u64::try_from(time).unwrap_or(0) * 100)
                    }
                    _ => Duration::ZERO,
                }
            }
            _ => {
                return Err(SqlError::new(
                    9815,
                    format!("Waitfor delay and waitfor time cannot be of type {ty}."),
                ));
            }
        };
        self.state.pause(delay)
    }
}

/// `hh:mm`, `hh:mm:ss` or `hh:mm:ss.fff`.
fn time_of_day(text: &str) -> Option<Duration> {
    let mut parts = text.trim().split(':');
    let (hours, minutes) = (parts.next()?, parts.next()?);
    let (seconds, fraction) = match parts.next() {
        None => ("0", ""),
        Some(seconds) => seconds.split_once('.').unwrap_or((seconds, "")),
    };
    if parts.next().is_some() || fraction.len() > 3 {
        return None;
    }
    let below = |digits: &str, limit: u64| {
        let plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let number: u64 = digits.parse().ok().filter(|_| plain)?;
        (number < limit).then_some(number)
    };
    let seconds = below(hours, 24)? * 3600 + below(minutes, 60)? * 60 + below(seconds, 60)?;
    let millis = match fraction {
        "" => 0,
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{digits:0<3}").parse().ok()?
        }
        _ => return None,
    };
    Some(Duration::from_secs(seconds) + Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_times_of_day() {
        let ms = |text| time_of_day(text).map(|delay| delay.as_millis());
        assert_eq!(ms("00:00:01"), Some(1000));
        assert_eq!(ms("0:1"), Some(60_000));
        assert_eq!(ms(" 23:59:59.5 "), Some(86_399_500));
        assert_eq!(ms("00:00:00.025"), Some(25));
        for wrong in [
            "", "1", "24:00", "00:60", "00:00:60", "-1:00", "0:0:0:0", "00:00:0x", "x",
        ] {
            assert_eq!(ms(wrong), None, "{wrong}");
        }
    }
}
