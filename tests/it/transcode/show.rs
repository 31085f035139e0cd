//! What a client of an older version is to see of what a 7.4 client sees, by
//! sections 5.12, 6 and 7 of the facts about TDS.

use super::answer::{Column, Compute, Done, Env, Message, Returned, Tok};
use super::bytes::utf16;
use super::types::{Collation, MAX, Ty, id, scaled_length, time_length};
use super::version::Version;

/// What a client sees: its version, and the collation of its database, which texts
/// in the place of other types have.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) version: Version,
    pub(super) collation: Collation,
}

impl View {
    /// The tokens that such a client gets of these.
    pub(super) fn of(self, tokens: &[Tok]) -> Vec<Tok> {
        if !Version::OLD.contains(&self.version) {
            return tokens.to_vec();
        }
        let mut shown = Vec::new();
        let mut columns = Vec::new();
        let mut computed = Vec::new();
        for token in tokens {
            match token {
                Tok::Columns(new) => columns = types(new.iter()),
                Tok::Computed { id, columns, .. } => {
                    computed.retain(|(other, _)| other != id);
                    computed.push((*id, types(columns.iter().map(|c| &c.column))));
                }
                _ => {}
            }
            let computed = |id: u16| &computed.iter().find(|(other, _)| *other == id).unwrap().1;
            shown.extend(match token {
                Tok::Row(values) => Some(Tok::Row(self.row(&columns, values))),
                Tok::ComputedRow { id, values } => Some(Tok::ComputedRow {
                    id: *id,
                    values: self.row(computed(*id), values),
                }),
                other => self.token(other),
            });
        }
        shown
    }

    fn token(self, token: &Tok) -> Option<Tok> {
        let old = !self.version.has_max();
        Some(match token {
            Tok::Columns(columns) => {
                Tok::Columns(columns.iter().map(|column| self.column(column)).collect())
            }
            Tok::Computed { id, by, columns } => Tok::Computed {
                id: *id,
                by: by.clone(),
                columns: columns
                    .iter()
                    .map(|compute| self.compute(compute))
                    .collect(),
            },
            Tok::Tables(tables) if self.version == Version::V71 => {
                Tok::Tables(tables.iter().map(|parts| vec![parts.join(".")]).collect())
            }
            Tok::Returned(returned) => Tok::Returned(Box::new(self.returned(returned))),
            Tok::Message(message) => Tok::Message(Message {
                line: if old {
                    message.line.min(0xFFFF)
                } else {
                    message.line
                },
                ..message.clone()
            }),
            Tok::Env(changes) => {
                let known = |change: &&Env| match change.kind {
                    8..=12 | 15..=19 => !old,
                    4 | 13 | 20 | 21 => false,
                    _ => true,
                };
                let changes: Vec<_> = changes.iter().filter(known).cloned().collect();
                return (!changes.is_empty()).then_some(Tok::Env(changes));
            }
            Tok::Done(done) => Tok::Done(Done {
                count: if old {
                    done.count.min(0x7FFF_FFFF)
                } else {
                    done.count
                },
                ..*done
            }),
            Tok::Opaque(..) => return None,
            other => other.clone(),
        })
    }

    fn column(self, column: &Column) -> Column {
        let ty = self.ty(&column.ty);
        let is_other = ty != column.ty;
        let one_part = !self.version.has_max();
        let table = match (&ty, &column.table[..]) {
            (Ty::Long { .. }, parts) if one_part => vec![parts.join(".")],
            (_, parts) => parts.to_vec(),
        };
        Column {
            user_type: self.user_type(column.user_type, is_other),
            flags: self.flags(column.flags, &column.ty, &ty),
            ty,
            table,
            name: column.name.clone(),
        }
    }

    fn compute(self, compute: &Compute) -> Compute {
        Compute {
            column: self.column(&compute.column),
            ..compute.clone()
        }
    }

    /// The flags of what is shown as `ty`.
    fn flags(self, flags: u16, from: &Ty, ty: &Ty) -> u16 {
        const CASE_SENSITIVE: u16 = 0x0002;
        const FIXED_LENGTH_CLR: u16 = 0x0100;
        let mut flags = flags
            & match self.version {
                Version::V71 | Version::V71r1 => 0x001F,
                Version::V72 | Version::V73a => !0x0C00,
                Version::V73b | Version::V74 => 0xFFFF,
            };
        if ty == from {
            return flags;
        }
        flags &= !FIXED_LENGTH_CLR;
        // A text in the place of what is none has the sensitivity of its collation.
        if !matches!(from, Ty::Short { .. }) {
            flags &= !CASE_SENSITIVE;
            let collated = matches!(
                ty,
                Ty::Short {
                    id: id::NVARCHAR,
                    ..
                } | Ty::Long { id: id::NTEXT, .. }
            );
            if collated && self.collation[2] & 0x10 == 0 {
                flags |= CASE_SENSITIVE;
            }
        }
        flags
    }

    fn user_type(self, user_type: u32, is_other: bool) -> u32 {
        if is_other || !self.version.has_max() && user_type > 0xFFFF {
            return 0;
        }
        user_type
    }

    fn returned(self, returned: &Returned) -> Returned {
        let ty = self.ty(&returned.ty);
        let is_other = ty != returned.ty;
        Returned {
            ordinal: returned.ordinal.filter(|_| self.version.has_max()),
            user_type: self.user_type(returned.user_type, is_other),
            flags: self.flags(returned.flags, &returned.ty, &ty),
            value: self.value(&returned.ty, returned.value.as_deref()),
            ty,
            name: returned.name.clone(),
            status: returned.status,
        }
    }

    /// The type that stands for a type.
    pub(super) fn ty(self, ty: &Ty) -> Ty {
        let old = !self.version.has_max();
        let nvarchar = |chars: u16| Ty::Short {
            id: id::NVARCHAR,
            max: chars * 2,
            collation: Some(self.collation),
        };
        match ty {
            Ty::Date if !self.version.has_dates() => nvarchar(10),
            Ty::Scaled { id, scale } if !self.version.has_dates() => nvarchar(chars(*id, *scale)),
            Ty::Short {
                id,
                max: MAX,
                collation,
            } if old => long(*id, *collation),
            Ty::Xml(_) if old => long(id::NVARCHAR, Some(self.collation)),
            Ty::Udt { max: MAX, .. } if old => long(id::VARBINARY, None),
            Ty::Udt { max, .. } if old || *max == MAX && !self.version.has_dates() => Ty::Short {
                id: id::VARBINARY,
                max: *max,
                collation: None,
            },
            other => other.clone(),
        }
    }

    fn row(self, types: &[Ty], values: &[Option<Vec<u8>>]) -> Vec<Option<Vec<u8>>> {
        let pairs = types.iter().zip(values);
        pairs
            .map(|(ty, value)| self.value(ty, value.as_deref()))
            .collect()
    }

    /// The value in that type.
    pub(super) fn value(self, ty: &Ty, value: Option<&[u8]>) -> Option<Vec<u8>> {
        let value = value?;
        let dates = self.version.has_dates();
        Some(match ty {
            Ty::Date if !dates => utf16(&date(value)),
            Ty::Scaled { id, scale } if !dates => utf16(&scaled(*id, *scale, value)),
            Ty::Variant { .. } if !dates => self.variant(value),
            Ty::Xml(_) if !self.version.has_max() => {
                value.strip_prefix(&[0xFF, 0xFE]).unwrap_or(value).to_vec()
            }
            _ => value.to_vec(),
        })
    }

    fn variant(self, value: &[u8]) -> Vec<u8> {
        let (inner, text) = match value[0] {
            id::DATE => (10, date(&value[2..])),
            id @ (id::TIME | id::DATETIME2 | id::DATETIMEOFFSET) => {
                let scale = value[2];
                (chars(id, scale), scaled(id, scale, &value[3..]))
            }
            _ => return value.to_vec(),
        };
        let mut shown = vec![id::NVARCHAR, 7];
        shown.extend(self.collation);
        shown.extend((inner * 2_u16).to_le_bytes());
        shown.extend(utf16(&text));
        shown
    }
}

fn types<'a>(columns: impl Iterator<Item = &'a Column>) -> Vec<Ty> {
    columns.map(|column| column.ty.clone()).collect()
}

/// The old type in the place of a `max` type.
fn long(ty: u8, collation: Option<Collation>) -> Ty {
    let (id, max) = match ty {
        id::NVARCHAR => (id::NTEXT, 0x7FFF_FFFE),
        id::VARCHAR => (id::TEXT, 0x7FFF_FFFF),
        _ => (id::IMAGE, 0x7FFF_FFFF),
    };
    Ty::Long { id, max, collation }
}

/// The characters of the longest text of a type.
fn chars(id: u8, scale: u8) -> u16 {
    let fraction = if scale == 0 { 0 } else { u16::from(scale) + 1 };
    fraction
        + match id {
            id::TIME => 8,
            id::DATETIME2 => 19,
            _ => 26,
        }
}

fn number(bytes: &[u8]) -> i64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | i64::from(*byte))
}

fn date(bytes: &[u8]) -> String {
    day(number(bytes))
}

/// The day so many days after 0001-01-01: counts years, then months.
fn day(days: i64) -> String {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    // Whole groups of 400 years first, each of the same length.
    let (mut year, mut left) = (1 + days / 146_097 * 400, days % 146_097);
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= months[month] {
        left -= months[month];
        month += 1;
    }
    format!("{year:04}-{:02}-{:02}", month + 1, left + 1)
}

/// A time of day in units of `10^-scale` s.
fn clock(units: i64, scale: u8) -> String {
    let unit = 10_i64.pow(scale.into());
    let (seconds, fraction) = (units / unit, units % unit);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let text = format!("{hours:02}:{minutes:02}:{:02}", seconds % 60);
    match usize::from(scale) {
        0 => text,
        digits => format!("{text}.{fraction:0digits$}"),
    }
}

fn scaled(id: u8, scale: u8, value: &[u8]) -> String {
    assert_eq!(value.len(), scaled_length(id, scale));
    let (time, rest) = value.split_at(time_length(scale));
    let time = number(time);
    match id {
        id::TIME => clock(time, scale),
        id::DATETIME2 => format!("{} {}", date(rest), clock(time, scale)),
        _ => {
            let (days, offset) = rest.split_at(3);
            let offset = i64::from(i16::from_le_bytes([offset[0], offset[1]]));
            let per_day = 86_400 * 10_i64.pow(scale.into());
            let utc = number(days) * per_day + time;
            let local = utc + offset * 60 * 10_i64.pow(scale.into());
            let (day_part, time) = (local.div_euclid(per_day), local.rem_euclid(per_day));
            let sign = if offset < 0 { '-' } else { '+' };
            let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
            let clock = clock(time, scale);
            format!("{} {clock} {sign}{hours:02}:{minutes:02}", day(day_part))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_told_as_sql_server_tells_them() {
        // Days from SQL Server: DATEDIFF(day, '0001-01-01', ...).
        for (days, text) in [
            (0, "0001-01-01"),
            (693_595, "1900-01-01"),
            (730_178, "2000-02-29"),
            (730_179, "2000-03-01"),
            (3_652_058, "9999-12-31"),
        ] {
            assert_eq!(day(days), text);
        }
        assert_eq!(clock(863_999_999_999, 7), "23:59:59.9999999");
        assert_eq!(clock(0, 0), "00:00:00");
        let value = [0, 0, 0, 0xAC, 0x46, 0x0B, 0xD6, 0xFD];
        assert_eq!(day(730_178 + 8_622), day(738_800));
        let shown = scaled(id::DATETIMEOFFSET, 0, &value);
        assert!(shown.ends_with("14:46:00 -09:14"), "{shown}");
        assert_eq!(chars(id::DATETIMEOFFSET, 7), 34);
        assert_eq!(chars(id::TIME, 1), 10);
    }
}
