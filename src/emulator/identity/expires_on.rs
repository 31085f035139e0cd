//! The forms in which platforms tell when a token ends.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::emulator::Platform;

/// How an endpoint writes `expires_on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExpiresOn {
    /// Not at all; only the token itself tells.
    Absent,
    /// As `2026-01-16T05:24:12Z`.
    Iso8601,
    /// As `01/16/2026 05:24:12 +00:00`, which App Service 2017-09-01 wrote on Linux.
    LinuxDate,
    /// As a JSON number of seconds since 1970.
    Number,
    /// As `2026-01-16 05:24:12Z`, which Automation's hybrid workers wrote.
    SpacedDate,
    /// As a JSON text of seconds since 1970.
    Text,
    /// As `1/16/2026 5:24:12 AM +00:00`, which App Service 2017-09-01 wrote on Windows.
    WindowsDate,
}

impl ExpiresOn {
    /// What the platform is known to write.
    pub(super) fn of(platform: Platform) -> Self {
        match platform {
            Platform::AppService2017 => Self::WindowsDate,
            Platform::MachineLearning | Platform::ServiceFabric => Self::Number,
            _ => Self::Text,
        }
    }

    /// This time in this form; `None` if it is to be absent.
    pub(super) fn write(self, seconds: i64) -> Option<Value> {
        let format = match self {
            Self::Absent => return None,
            Self::Number => return Some(json!(seconds)),
            Self::Text => return Some(json!(seconds.to_string())),
            Self::Iso8601 => "%Y-%m-%dT%H:%M:%SZ",
            Self::LinuxDate => "%m/%d/%Y %H:%M:%S +00:00",
            Self::SpacedDate => "%Y-%m-%d %H:%M:%SZ",
            Self::WindowsDate => "%-m/%-d/%Y %-I:%M:%S %p +00:00",
        };
        // A clock that was set beyond what a date can be is written as a number.
        let Ok(time) = Timestamp::from_second(seconds) else {
            return Some(json!(seconds.to_string()));
        };
        let time = time.to_zoned(TimeZone::UTC);
        Some(json!(time.strftime(format).to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_the_one_that_its_platform_writes() {
        let written = |form: ExpiresOn| form.write(1_579_152_252);
        for (form, wanted) in [
            (ExpiresOn::Iso8601, json!("2020-01-16T05:24:12Z")),
            (ExpiresOn::LinuxDate, json!("01/16/2020 05:24:12 +00:00")),
            (ExpiresOn::Number, json!(1_579_152_252)),
            (ExpiresOn::SpacedDate, json!("2020-01-16 05:24:12Z")),
            (ExpiresOn::Text, json!("1579152252")),
            (ExpiresOn::WindowsDate, json!("1/16/2020 5:24:12 AM +00:00")),
        ] {
            assert_eq!(written(form), Some(wanted), "{form:?}");
        }
        assert_eq!(written(ExpiresOn::Absent), None);
        let evening = ExpiresOn::WindowsDate.write(1_579_152_252 + 12 * 3600);
        assert_eq!(evening, Some(json!("1/16/2020 5:24:12 PM +00:00")));
        assert_eq!(
            ExpiresOn::Iso8601.write(i64::MAX),
            Some(json!(i64::MAX.to_string()))
        );
    }
}
