//! The date types as texts: ISO 8601 with a space, and all digits of the
//! fraction.

use crate::tds::{DecodeError, Reader, TypeId, TypeInfo};

/// The last day that the types have, 9999-12-31, in days since 0001-01-01.
const LAST_DAY: u32 = 3_652_058;
/// The largest offset from UTC, in minutes.
const MAX_OFFSET: i64 = 14 * 60;
/// Units of 100 ns, which is scale 7.
const TICKS_OF_SECOND: u64 = 10_000_000;
const TICKS_OF_DAY: u64 = 86_400 * TICKS_OF_SECOND;
/// Units of 100 ns in a unit of each scale.
const TICKS_OF_UNIT: [u64; 8] = [10_000_000, 1_000_000, 100_000, 10_000, 1000, 100, 10, 1];
/// No text is longer, in bytes.
const MAX_TEXT: usize = 68;

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
    /// Since midnight, in units of 100 ns: dividing by what is known at compile
    /// time is cheap, by a power of the scale it is not.
    ticks: u64,
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
        out.reserve(MAX_TEXT);
        if self.kind != Kind::Time {
            put_date(parts.day, out);
        }
        if matches!(self.kind, Kind::DateTime2 | Kind::DateTimeOffset) {
            out.extend_from_slice(&[b' ', 0]);
        }
        if self.kind != Kind::Date {
            self.put_time(parts.ticks, out);
        }
        if self.kind == Kind::DateTimeOffset {
            put_offset(parts.offset, out);
        }
        Ok(())
    }

    fn parts(self, bytes: &[u8]) -> Result<Parts, DecodeError> {
        let mut reader = Reader::named("the date", bytes);
        let ticks = match self.kind {
            Kind::Date => 0,
            _ => self.ticks(&mut reader)?,
        };
        let day = match self.kind {
            Kind::Time => 0,
            _ => day(&mut reader)?,
        };
        let offset = match self.kind {
            Kind::DateTimeOffset => i16::from_le_bytes(reader.array()?),
            _ => 0,
        };
        if !reader.is_empty() {
            return Err(invalid("it is longer than its type allows"));
        }
        let utc = Parts {
            day,
            ticks,
            offset: offset.into(),
        };
        if offset == 0 { Ok(utc) } else { utc.local() }
    }

    /// Since midnight, in units of 100 ns.
    fn ticks(self, reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
        let units = match self.scale {
            0..=2 => {
                let [a, b, c] = reader.array()?;
                u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0])
            }
            3..=4 => u32::from_le_bytes(reader.array()?).into(),
            _ => {
                let [a, b, c, d, e] = reader.array()?;
                u64::from_le_bytes([a, b, c, d, e, 0, 0, 0])
            }
        };
        let of_unit = TICKS_OF_UNIT.get(usize::from(self.scale));
        // At most five bytes of 100 ns, or four of a thousand times as much.
        let ticks = units * of_unit.copied().unwrap_or(1);
        if ticks >= TICKS_OF_DAY {
            return Err(invalid("its time is beyond the day"));
        }
        Ok(ticks)
    }

    fn put_time(self, ticks: u64, out: &mut Vec<u8>) {
        const COLON: [u8; 2] = [b':', 0];
        let seconds = short(ticks / TICKS_OF_SECOND);
        out.extend_from_slice(&two_digits(seconds / 3600));
        out.extend_from_slice(&COLON);
        out.extend_from_slice(&two_digits(seconds / 60 % 60));
        out.extend_from_slice(&COLON);
        out.extend_from_slice(&two_digits(seconds % 60));
        if self.scale > 0 {
            // All seven digits are written, and those too many taken back.
            put_fraction(short(ticks % TICKS_OF_SECOND), out);
            let too_many = 7 - usize::from(self.scale);
            out.truncate(out.len() - 2 * too_many);
        }
    }
}

impl Parts {
    /// The wire has UTC, the text the time at the place that the offset is of.
    fn local(self) -> Result<Self, DecodeError> {
        const MINUTE: i64 = 60 * TICKS_OF_SECOND.cast_signed();
        const DAY: i64 = TICKS_OF_DAY.cast_signed();
        if self.offset.abs() > MAX_OFFSET {
            return Err(invalid("its offset is beyond 14 hours"));
        }
        let ticks = self.ticks.cast_signed() + self.offset * MINUTE;
        let day = i64::from(self.day) + ticks.div_euclid(DAY);
        let day = u32::try_from(day).ok().filter(|&day| day <= LAST_DAY);
        Ok(Self {
            day: day.ok_or(invalid("its local date is beyond the years 1 to 9999"))?,
            ticks: ticks.rem_euclid(DAY).cast_unsigned(),
            ..self
        })
    }
}

fn day(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let [a, b, c] = reader.array()?;
    let day = u32::from_le_bytes([a, b, c, 0]);
    if day > LAST_DAY {
        return Err(invalid("it is beyond the year 9999"));
    }
    Ok(day)
}

fn put_date(day: u32, out: &mut Vec<u8>) {
    const DASH: [u8; 2] = [b'-', 0];
    let (year, month, day) = calendar(day);
    out.extend_from_slice(&two_digits(year / 100));
    out.extend_from_slice(&two_digits(year % 100));
    out.extend_from_slice(&DASH);
    out.extend_from_slice(&two_digits(month));
    out.extend_from_slice(&DASH);
    out.extend_from_slice(&two_digits(day));
}

/// A point and seven digits, of units of 100 ns.
fn put_fraction(ticks: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'.', 0]);
    out.extend_from_slice(&two_digits(ticks / 100_000));
    out.extend_from_slice(&two_digits(ticks / 1000 % 100));
    out.extend_from_slice(&two_digits(ticks / 10 % 100));
    let [_, _, last @ ..] = two_digits(ticks % 10);
    out.extend_from_slice(&last);
}

/// Year, month and day of a day since 0001-01-01 in the Gregorian calendar.
///
/// Counted from March 1, leap days come last. The divisions by 1461/4 days in a
/// year and 153/5 in a month are multiplications by near fractions of 2^32 and
/// 2^16, exact in this range: C. Neri and L. Schneider, "Euclidean affine
/// functions and their application to calendar algorithms", 2022.
fn calendar(day: u32) -> (u32, u32, u32) {
    // 0000-03-01 is 306 days before 0001-01-01.
    let quarters = 4 * (day + 306) + 3;
    let (century, of_century) = (quarters / 146_097, quarters % 146_097 / 4);
    let years = u64::from(4 * of_century + 3) * 2_939_745;
    let (year, of_year) = (years >> 32, (years & 0xFFFF_FFFF) / 2_939_745 / 4);
    let months = short(of_year) * 2141 + 197_913;
    let (month, day) = (months >> 16, (months & 0xFFFF) / 2141 + 1);
    let year = century * 100 + short(year);
    if month > 12 {
        (year + 1, month - 12, day)
    } else {
        (year, month, day)
    }
}

fn put_offset(offset: i64, out: &mut Vec<u8>) {
    let minutes = short(offset.unsigned_abs());
    let sign = if offset < 0 { b'-' } else { b'+' };
    out.extend_from_slice(&[b' ', 0, sign, 0]);
    out.extend_from_slice(&two_digits(minutes / 60));
    out.extend_from_slice(&[b':', 0]);
    out.extend_from_slice(&two_digits(minutes % 60));
}

/// Of a number below 100, in UTF-16.
fn two_digits(number: u32) -> [u8; 4] {
    static ALL: [[u8; 4]; 100] = all_of_two_digits();
    ALL.get(number as usize).copied().unwrap_or_default()
}

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn all_of_two_digits() -> [[u8; 4]; 100] {
    let mut all = [[0; 4]; 100];
    let mut number: u8 = 0;
    while number < 100 {
        all[number as usize] = [b'0' + number / 10, 0, b'0' + number % 10, 0];
        number += 1;
    }
    all
}

/// A part of a value that is in bounds by then.
fn short(number: u64) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

fn invalid(problem: &'static str) -> DecodeError {
    DecodeError::Invalid {
        what: "the date",
        problem,
    }
}
