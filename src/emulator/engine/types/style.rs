//! Dates and times as text: the styles of CONVERT.

use super::datetime::{DAY, HOUR, MINUTE, MONTHS, Offset, SECOND, Ymd};

/// What of a value there is to show.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    /// Day number; `None` for a time.
    pub(crate) days: Option<i64>,
    /// Ticks since midnight; `None` for a date.
    pub(crate) time: Option<i64>,
    /// Fractional digits to show.
    pub(crate) scale: u8,
    /// Offset in minutes.
    pub(crate) offset: Option<i16>,
}

impl Moment {
    pub(crate) fn from_ticks(ticks: i64, scale: u8) -> Self {
        Self {
            days: Some(ticks.div_euclid(DAY)),
            time: Some(ticks.rem_euclid(DAY)),
            scale,
            offset: None,
        }
    }

    pub(crate) fn from_offset(value: Offset, scale: u8) -> Self {
        Self {
            offset: Some(value.minutes),
            ..Self::from_ticks(value.local(), scale)
        }
    }

    /// The text of a style; `None` for a style that is not known here.
    pub(crate) fn format(self, style: i64) -> Option<String> {
        let date = |form: &str| self.days.map(|d| date_text(d, form));
        // How the new types show their fraction here is not documented.
        if matches!(style, 9 | 13 | 14 | 109 | 113 | 114) && self.scale != 3 && self.scale != 0 {
            return None;
        }
        let short_clock = || self.time.map(|t| self.twelve_hours(t, false));
        let parts: Vec<Option<String>> = match style {
            0 | 100 => vec![date("mon dd yyyy"), short_clock()],
            9 | 109 => vec![
                date("mon dd yyyy"),
                self.time.map(|t| self.twelve_hours(t, true)),
            ],
            13 | 113 => vec![date("dd mon yyyy"), self.clock(':')],
            20 | 120 => vec![date("yyyy-mm-dd"), self.whole_seconds()],
            21 | 25 | 121 => vec![date("yyyy-mm-dd"), self.clock('.')],
            126 | 127 => return self.iso(style == 127),
            _ => return self.one_part(style),
        };
        let mut text = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        if let (Some(minutes), 0 | 100 | 9 | 109 | 13 | 113 | 20 | 120 | 21 | 25 | 121) =
            (self.offset, style)
        {
            text = format!("{text} {}", offset_text(minutes));
        }
        Some(text)
    }

    fn one_part(self, style: i64) -> Option<String> {
        let form = match style {
            1 => "mm/dd/yy",
            101 => "mm/dd/yyyy",
            2 => "yy.mm.dd",
            102 => "yyyy.mm.dd",
            3 => "dd/mm/yy",
            103 => "dd/mm/yyyy",
            4 => "dd.mm.yy",
            104 => "dd.mm.yyyy",
            5 => "dd-mm-yy",
            105 => "dd-mm-yyyy",
            6 => "0d mon yy",
            106 => "0d mon yyyy",
            7 => "mon 0d, yy",
            107 => "mon 0d, yyyy",
            8 | 24 | 108 => return self.whole_seconds(),
            10 => "mm-dd-yy",
            110 => "mm-dd-yyyy",
            11 => "yy/mm/dd",
            111 => "yyyy/mm/dd",
            12 => "yymmdd",
            112 => "yyyymmdd",
            14 | 114 => return self.clock(':'),
            22 => {
                let (date, time) = (self.days?, self.time?);
                let clock = self.twelve_hours(time - time % SECOND, false);
                let (clock, half) = clock.split_at_checked(clock.len() - 2)?;
                let seconds = time % MINUTE / SECOND;
                return Some(format!(
                    "{} {clock}:{seconds:02} {half}",
                    date_text(date, "mm/dd/yy")
                ));
            }
            23 => "yyyy-mm-dd",
            _ => return None,
        };
        self.days.map(|d| date_text(d, form))
    }

    fn iso(self, zulu: bool) -> Option<String> {
        let mut text = self
            .days
            .map(|d| date_text(d, "yyyy-mm-dd"))
            .unwrap_or_default();
        if let Some(time) = self.time {
            if self.days.is_some() {
                text.push('T');
            }
            text.push_str(&seconds_text(time));
            // ISO forms leave the fraction out when it is zero.
            if time % SECOND != 0 {
                text.push_str(&self.fraction('.'));
            }
        }
        match self.offset {
            Some(_) if zulu => None,
            Some(minutes) => Some(text + &offset_text(minutes)),
            None => Some(text),
        }
    }

    fn whole_seconds(self) -> Option<String> {
        self.time.map(seconds_text)
    }

    fn clock(self, separator: char) -> Option<String> {
        self.time
            .map(|t| format!("{}{}", seconds_text(t), self.fraction(separator)))
    }

    fn fraction(self, separator: char) -> String {
        if self.scale == 0 {
            return String::new();
        }
        let ticks = self.time.unwrap_or(0) % SECOND;
        let unit = 10i64.pow(7 - u32::from(self.scale.min(7)));
        // `datetime` shows milliseconds of a value kept in 1/300 s; others divide evenly.
        let shown = (ticks + unit / 2) / unit;
        format!(
            "{separator}{shown:0width$}",
            width = usize::from(self.scale)
        )
    }

    fn twelve_hours(self, time: i64, fraction: bool) -> String {
        let (hours, minutes) = (time / HOUR, time % HOUR / MINUTE);
        let half = if hours < 12 { "AM" } else { "PM" };
        let hours = (hours + 11) % 12 + 1;
        if fraction {
            let seconds = time % MINUTE / SECOND;
            return format!(
                "{hours:>2}:{minutes:02}:{seconds:02}{}{half}",
                self.fraction(':')
            );
        }
        format!("{hours:>2}:{minutes:02}{half}")
    }
}

fn seconds_text(time: i64) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        time / HOUR,
        time % HOUR / MINUTE,
        time % MINUTE / SECOND
    )
}

fn offset_text(minutes: i16) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.abs();
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

fn date_text(days: i64, form: &str) -> String {
    let Ymd { year, month, day } = Ymd::from_days(days);
    let index = usize::try_from(month - 1).unwrap_or(0);
    let name = MONTHS.get(index).and_then(|m| m.get(..3)).unwrap_or("");
    form.replace("yyyy", &format!("{year:04}"))
        .replace("yy", &format!("{:02}", year % 100))
        .replace("mm", &format!("{month:02}"))
        .replace("0d", &format!("{day:02}#"))
        // Style 100 pads the day with a blank, all others with a zero.
        .replace("mon dd", &format!("mon {day:>2}"))
        .replace("dd", &format!("{day:02}"))
        .replace('#', "")
        .replace("mon", name)
}

#[cfg(test)]
mod tests {
    use super::super::date_text::parse;
    use super::*;

    #[test]
    fn styles_print_as_documented() {
        let parsed = parse("2026-01-02 13:04:05.1234567", None).unwrap();
        let moment = Moment {
            days: parsed.days,
            time: Some(parsed.time),
            scale: 7,
            offset: None,
        };
        for (style, text) in [
            (0, "Jan  2 2026  1:04PM"),
            (101, "01/02/2026"),
            (103, "02/01/2026"),
            (106, "02 Jan 2026"),
            (107, "Jan 02, 2026"),
            (108, "13:04:05"),
            (112, "20260102"),
            (120, "2026-01-02 13:04:05"),
            (121, "2026-01-02 13:04:05.1234567"),
            (126, "2026-01-02T13:04:05.1234567"),
            (12, "260102"),
        ] {
            assert_eq!(moment.format(style).as_deref(), Some(text), "style {style}");
        }
        assert_eq!(moment.format(999), None);
    }
}
