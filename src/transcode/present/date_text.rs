//! The date types as texts: ISO 8601 with a space, and all digits of the
//! fraction.

use crate::tds::{DecodeError, Put, Reader, TypeId, TypeInfo};

/// The last day that the types have, 9999-12-31, in days since 0001-01-01.
const LAST_DAY: i64 = 3_652_058;
/// The largest offset from UTC, in minutes.
const MAX_OFFSET: i64 = 14 * 60;
const SECONDS_OF_DAY: u64 = 86_400;

/// How the values of a date type are said as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transcode) struct DateText {
    kind: Kind,
    /// Digits of the second's fraction, at most 7.
    scale: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `YYYY-MM-DD`
    Date,
    /// `hh:mm:ss[.f…]`
    Time,
    /// `YYYY-MM-DD hh:mm:ss[.f…]`
    DateTime2,
    /// `YYYY-MM-DD hh:mm:ss[.f…] ±hh:mm`
    DateTimeOffset,
}

/// A value taken apart, as it is said: in local time.
#[derive(Clone, Copy, Debug)]
struct Parts {
    /// Since 0001-01-01.
    day: u32,
    /// Since midnight, in units of the scale.
    time: u64,
    /// In minutes.
    offset: i64,
}

impl DateText {
    /// For a date type; `None` for others and for a scale above 7.
    pub(super) fn of(info: &TypeInfo) -> Option<Self> {
        let (kind, scale) = match *info {
            TypeInfo::Date => (Kind::Date, 0),
            TypeInfo::Time { id, scale } if scale <= 7 => match id {
                TypeId::TIMEN => (Kind::Time, scale),
                TypeId::DATETIME2N => (Kind::DateTime2, scale),
                TypeId::DATETIMEOFFSETN => (Kind::DateTimeOffset, scale),
                _ => return None,
            },
            _ => return None,
        };
        Some(Self { kind, scale })
    }

    /// Length of every text, in bytes; at most 68.
    pub(in crate::transcode) fn len(self) -> u16 {
        let fraction = match self.scale {
            0 => 0,
            scale => u16::from(scale) + 1,
        };
        2 * match self.kind {
            Kind::Date => 10,
            Kind::Time => 8 + fraction,
            Kind::DateTime2 => 19 + fraction,
            Kind::DateTimeOffset => 26 + fraction,
        }
    }

    /// Appends the text of a value's bytes (MS-TDS 2.2.5.5.1.8) in UTF-16:
    /// exactly [`len`](Self::len) bytes.
    ///
    /// # Errors
    /// When it is no value of the type, or one that SQL Server does not have;
    /// nothing is appended then.
    pub(in crate::transcode) fn write(
        self,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        let parts = self.parts(bytes)?;
        if self.kind != Kind::Time {
            put_date(parts.day, out);
        }
        if matches!(self.kind, Kind::DateTime2 | Kind::DateTimeOffset) {
            out.put_slice(&[b' ', 0]);
        }
        if self.kind != Kind::Date {
            self.put_time(parts.time, out);
        }
        if self.kind == Kind::DateTimeOffset {
            put_offset(parts.offset, out);
        }
        Ok(())
    }

    fn parts(self, bytes: &[u8]) -> Result<Parts, DecodeError> {
        let mut reader = Reader::named("the date", bytes);
        let time = match self.kind {
            Kind::Date => 0,
            _ => self.time(&mut reader)?,
        };
        let day = match self.kind {
            Kind::Time => 0,
            _ => day(&mut reader)?,
        };
        let offset = match self.kind {
            Kind::DateTimeOffset => i64::from(i16::from_le_bytes(reader.array()?)),
            _ => 0,
        };
        if !reader.is_empty() {
            return Err(invalid("it is longer than its type allows"));
        }
        if offset.abs() > MAX_OFFSET {
            return Err(invalid("its offset is beyond 14 hours"));
        }
        self.local(day, time, offset)
    }

    /// Units of the scale since midnight.
    fn time(self, reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
        let mut bytes = [0; 8];
        let len = match self.scale {
            0..=2 => 3,
            3..=4 => 4,
            _ => 5,
        };
        let taken = reader.take(len)?;
        bytes
            .iter_mut()
            .zip(taken)
            .for_each(|(to, from)| *to = *from);
        let time = u64::from_le_bytes(bytes);
        if time >= SECONDS_OF_DAY * self.per_second() {
            return Err(invalid("its time is beyond the day"));
        }
        Ok(time)
    }

    fn per_second(self) -> u64 {
        10_u64.pow(self.scale.into())
    }

    /// The wire has UTC, the text the time at the place that the offset is of.
    fn local(self, day: i64, time: u64, offset: i64) -> Result<Parts, DecodeError> {
        let of_day = (SECONDS_OF_DAY * self.per_second()).cast_signed();
        let moved = time.cast_signed() + offset * 60 * self.per_second().cast_signed();
        let day = day + moved.div_euclid(of_day);
        let day = u32::try_from(day)
            .ok()
            .filter(|&day| i64::from(day) <= LAST_DAY)
            .ok_or(invalid("its local date is beyond the years 1 to 9999"))?;
        Ok(Parts {
            day,
            time: moved.rem_euclid(of_day).cast_unsigned(),
            offset,
        })
    }

    fn put_time(self, time: u64, out: &mut Vec<u8>) {
        let per_second = self.per_second();
        let seconds = short(time / per_second);
        let [h, our] = two_digits(seconds / 3600);
        let [m, inute] = two_digits(seconds / 60 % 60);
        let [s, econd] = two_digits(seconds % 60);
        let colon = b':';
        out.put_slice(wide([h, our, colon, m, inute, colon, s, econd]).as_flattened());
        if self.scale > 0 {
            self.put_fraction(short(time % per_second), out);
        }
    }

    fn put_fraction(self, mut fraction: u32, out: &mut Vec<u8>) {
        let mut text = wide([b'.'; 8]);
        let (_, digits) = text.split_at_mut(1);
        for unit in digits.iter_mut().take(self.scale.into()).rev() {
            let [_, digit] = two_digits(fraction % 10);
            *unit = [digit, 0];
            fraction /= 10;
        }
        let said = text.get(..1 + usize::from(self.scale));
        out.put_slice(said.unwrap_or_default().as_flattened());
    }
}

fn day(reader: &mut Reader<'_>) -> Result<i64, DecodeError> {
    let [a, b, c] = reader.array()?;
    let day = i64::from(u32::from_le_bytes([a, b, c, 0]));
    if day > LAST_DAY {
        return Err(invalid("it is beyond the year 9999"));
    }
    Ok(day)
}

fn put_date(day: u32, out: &mut Vec<u8>) {
    let (year, month, day) = calendar(day);
    let [y, e] = two_digits(year / 100);
    let [a, r] = two_digits(year % 100);
    let [m, onth] = two_digits(month);
    let [d, ay] = two_digits(day);
    out.put_slice(wide([y, e, a, r, b'-', m, onth, b'-', d, ay]).as_flattened());
}

/// Year, month and day of a day since 0001-01-01 in the Gregorian calendar. It
/// repeats every 400 years; counted from March 1, leap days come last.
fn calendar(day: u32) -> (u32, u32, u32) {
    // 0000-03-01 is 306 days before 0001-01-01.
    let since_march = day + 306;
    let (era, of_era) = (since_march / 146_097, since_march % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on have 31, 30, 31, 30, 31 days, again and again.
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5;
    let year = era * 400 + year_of_era + u32::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year, month, of_month + 1)
}

fn put_offset(offset: i64, out: &mut Vec<u8>) {
    let minutes = short(offset.unsigned_abs());
    let sign = if offset < 0 { b'-' } else { b'+' };
    let [h, our] = two_digits(minutes / 60);
    let [m, inute] = two_digits(minutes % 60);
    out.put_slice(wide([b' ', sign, h, our, b':', m, inute]).as_flattened());
}

/// Of a number below 100.
fn two_digits(number: u32) -> [u8; 2] {
    [number / 10, number % 10].map(|digit| b'0' + u8::try_from(digit).unwrap_or_default())
}

/// A part of a value that is in bounds by then.
fn short(number: u64) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

/// ASCII in UTF-16.
fn wide<const N: usize>(ascii: [u8; N]) -> [[u8; 2]; N] {
    ascii.map(|unit| [unit, 0])
}

fn invalid(problem: &'static str) -> DecodeError {
    DecodeError::Invalid {
        what: "the date",
        problem,
    }
}
