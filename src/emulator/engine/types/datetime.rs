//! Calendar arithmetic; no time zones but offsets.
//!
//! A day number counts from 0001-01-01 (day 0); ticks are 100 ns.

/// Ticks of 100 ns in a second.
pub(crate) const SECOND: i64 = 10_000_000;
/// Ticks in a minute.
pub(crate) const MINUTE: i64 = 60 * SECOND;
/// Ticks in an hour.
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// Ticks in a day.
pub(crate) const DAY: i64 = 24 * HOUR;
/// 9999-12-31.
pub(crate) const LAST_DAY: i64 = 3_652_058;
/// 1900-01-01, where `datetime` counts from.
pub(crate) const DAY_1900: i64 = 693_595;
/// 1753-01-01, the first `datetime`.
pub(crate) const DAY_1753: i64 = 639_905;
/// 1970-01-01.
pub(crate) const DAY_1970: i64 = 719_162;

/// A calendar date, month and day from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ymd {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
}

impl Ymd {
    pub(crate) fn from_days(days: i64) -> Self {
        // Days since 0000-03-01, in eras of 400 years.
        let z = days + 306;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        Self {
            year: yoe + era * 400 + i64::from(month <= 2),
            month,
            day: doy - (153 * mp + 2) / 5 + 1,
        }
    }

    /// The day number, if the date exists and lies in the years 1 to 9999.
    pub(crate) fn to_days(self) -> Option<i64> {
        let Self { year, month, day } = self;
        if !(1..=9999).contains(&year)
            || !(1..=12).contains(&month)
            || day < 1
            || day > days_in_month(year, month)
        {
            return None;
        }
        let y = if month <= 2 { year - 1 } else { year };
        let era = y.div_euclid(400);
        let yoe = y.rem_euclid(400);
        let mp = if month > 2 { month - 3 } else { month + 9 };
        let doy = (153 * mp + 2) / 5 + day - 1;
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        Some(era * 146_097 + doe - 306)
    }
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A `datetimeoffset`: the instant in UTC and the offset in minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offset {
    pub(crate) utc: i64,
    pub(crate) minutes: i16,
}

impl Offset {
    /// Ticks of the local clock.
    pub(crate) fn local(self) -> i64 {
        self.utc + i64::from(self.minutes) * MINUTE
    }

    /// The form in which SQLite keeps it.
    pub(crate) fn to_text(self) -> String {
        format!("{:019}{:+05}", self.utc.max(0), self.minutes)
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        Some(Self {
            utc: text.get(..19)?.parse().ok()?,
            minutes: text.get(19..)?.parse().ok()?,
        })
    }
}

/// Rounds ticks to a number of fractional digits, half up.
pub(crate) fn round_ticks(ticks: i64, scale: u8) -> i64 {
    let unit = 10i64.pow(7 - u32::from(scale.min(7)));
    (ticks + unit / 2).div_euclid(unit) * unit
}

/// Rounds ticks to what `datetime` can hold: 1/300 s, kept as 100 ns.
pub(crate) fn round_datetime(ticks: i64) -> i64 {
    let (day, time) = (ticks.div_euclid(DAY), ticks.rem_euclid(DAY));
    day * DAY + from_three_hundredths(to_three_hundredths(time))
}

/// 1/300 s units of a time of day, rounded.
pub(crate) fn to_three_hundredths(time: i64) -> i64 {
    (time * 3 + 50_000) / 100_000
}

/// The nearest 100 ns of so many 1/300 s.
pub(crate) fn from_three_hundredths(units: i64) -> i64 {
    (units * 100_000 + 1) / 3
}

/// Full English month names, in order.
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// English weekday names, Sunday first.
pub(crate) const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_from_year_one() {
        let ymd = |year, month, day| Ymd { year, month, day };
        assert_eq!(ymd(1, 1, 1).to_days(), Some(0));
        assert_eq!(ymd(1900, 1, 1).to_days(), Some(DAY_1900));
        assert_eq!(ymd(1753, 1, 1).to_days(), Some(DAY_1753));
        assert_eq!(ymd(1970, 1, 1).to_days(), Some(DAY_1970));
        assert_eq!(ymd(9999, 12, 31).to_days(), Some(LAST_DAY));
        assert_eq!(ymd(2023, 2, 29).to_days(), None);
        for day in (0..=LAST_DAY).step_by(97) {
            assert_eq!(Ymd::from_days(day).to_days(), Some(day));
        }
    }

    #[test]
    fn datetime_keeps_three_hundredths() {
        for units in 0..1000 {
            assert_eq!(to_three_hundredths(from_three_hundredths(units)), units);
        }
        assert_eq!(from_three_hundredths(1), 33_333);
    }
}
