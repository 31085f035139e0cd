//! Which conversions exist, and which of them happen by themselves.

use super::super::error::{SqlError, SqlResult};
use super::{MAX, SqlType, Storage};

use SqlType as T;

/// How a type gets into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Implicit,
    /// Only by CAST or CONVERT.
    Explicit,
    Never,
}

/// Refuses a conversion that does not exist, or that must be asked for.
pub(crate) fn allowed(from: SqlType, to: SqlType, explicit: bool) -> SqlResult<()> {
    match (way(from, to), explicit) {
        (Way::Implicit, _) | (Way::Explicit, true) => Ok(()),
        (Way::Explicit, false) => Err(SqlError::no_implicit_conversion(
            from.base_name(),
            to.base_name(),
        )),
        (Way::Never, true) => Err(SqlError::no_conversion(shown(from), shown(to))),
        (Way::Never, false) => Err(clash(from, to)),
    }
}

/// Error 206.
pub(crate) fn clash(from: SqlType, to: SqlType) -> SqlError {
    SqlError::new(
        206,
        format!(
            "Operand type clash: {} is incompatible with {}",
            shown(from),
            shown(to)
        ),
    )
    .state(2)
}

/// A type's name as errors about types have it.
pub(crate) fn shown(ty: SqlType) -> String {
    match ty {
        T::VarChar(MAX) | T::NVarChar(MAX) | T::VarBinary(MAX) => {
            format!("{}(max)", ty.base_name())
        }
        _ => ty.base_name().to_owned(),
    }
}

/// The documented table of conversions.
pub(crate) fn way(from: SqlType, to: SqlType) -> Way {
    if from == to {
        return Way::Implicit;
    }
    if from == T::Variant || to == T::Variant {
        return variant(from, to);
    }
    if from == T::Xml || to == T::Xml {
        return xml(from, to);
    }
    if from.is_old_lob() || to.is_old_lob() {
        return old_lob(from, to);
    }
    if from == T::RowVersion || to == T::RowVersion {
        return row_version(from, to);
    }
    match from.storage() {
        Storage::Text => match to.storage() {
            Storage::Bytes => Way::Explicit,
            _ => Way::Implicit,
        },
        Storage::Bytes => from_binary(to),
        Storage::Guid => match to.storage() {
            Storage::Text | Storage::Bytes | Storage::Guid => Way::Implicit,
            _ => Way::Never,
        },
        Storage::Int | Storage::Float | Storage::Decimal => from_number(from, to),
        _ => from_temporal(from, to),
    }
}

fn variant(from: SqlType, to: SqlType) -> Way {
    let other = if from == T::Variant { to } else { from };
    let large = other.length() == Some(MAX) || other == T::RowVersion;
    match (large, from == T::Variant) {
        (false, true) => Way::Explicit,
        (false, false) => Way::Implicit,
        // A variant is cut to no (max) type, but it may become one.
        (true, true) if !other.is_old_lob() && other != T::RowVersion => Way::Explicit,
        (true, _) => Way::Never,
    }
}

fn xml(from: SqlType, to: SqlType) -> Way {
    let other = if from == T::Xml { to } else { from };
    let plain = other.is_text() || matches!(other, T::Binary(_) | T::VarBinary(_));
    match (plain, from == T::Xml) {
        (true, false) => Way::Implicit,
        (true, true) if !other.is_old_lob() => Way::Explicit,
        _ => Way::Never,
    }
}

fn old_lob(from: SqlType, to: SqlType) -> Way {
    let plain_text = |t: SqlType| t.is_text() && !t.is_old_lob();
    let plain_bytes = |t: SqlType| t.is_binary() && !t.is_old_lob();
    match (from, to) {
        (T::Text | T::NText, other) if plain_text(other) => Way::Implicit,
        (other, T::Text | T::NText) if plain_text(other) => Way::Implicit,
        (T::Image, other) if plain_bytes(other) => Way::Implicit,
        (other, T::Image) if plain_bytes(other) => Way::Implicit,
        (T::Char(_) | T::VarChar(_), T::Image) => Way::Implicit,
        _ => Way::Never,
    }
}

fn row_version(from: SqlType, to: SqlType) -> Way {
    let other = if from == T::RowVersion { to } else { from };
    match other.storage() {
        Storage::Bytes | Storage::Int | Storage::Decimal => Way::Implicit,
        Storage::Text if other.is_unicode() => Way::Never,
        Storage::Text => Way::Implicit,
        Storage::DateTime if matches!(other, T::DateTime | T::SmallDateTime) => Way::Implicit,
        _ => Way::Never,
    }
}

fn from_binary(to: SqlType) -> Way {
    match to {
        T::Real | T::Float => Way::Never,
        T::Date | T::Time(_) | T::DateTime2(_) | T::DateTimeOffset(_) => Way::Explicit,
        _ => Way::Implicit,
    }
}

fn from_number(from: SqlType, to: SqlType) -> Way {
    match to.storage() {
        Storage::Text if from.is_money() => Way::Explicit,
        Storage::Text | Storage::Bytes => Way::Implicit,
        _ if to.is_numeric() => Way::Implicit,
        _ if matches!(to, T::DateTime | T::SmallDateTime) => Way::Implicit,
        _ => Way::Never,
    }
}

fn from_temporal(from: SqlType, to: SqlType) -> Way {
    let old = matches!(from, T::DateTime | T::SmallDateTime);
    match to.storage() {
        Storage::Text => Way::Implicit,
        Storage::Bytes => Way::Explicit,
        _ if to.is_numeric() && old => Way::Explicit,
        Storage::Date if matches!(from, T::Time(_)) => Way::Never,
        Storage::Time if from == T::Date => Way::Never,
        _ if to.is_temporal() => Way::Implicit,
        _ => Way::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_table() {
        for (from, to, expected) in [
            (T::Int, T::Date, Way::Never),
            (T::Int, T::DateTime, Way::Implicit),
            (T::DateTime, T::Int, Way::Explicit),
            (T::DateTime2(7), T::Int, Way::Never),
            (T::Date, T::Time(7), Way::Never),
            (T::VarChar(5), T::VarBinary(5), Way::Explicit),
            (T::VarBinary(5), T::VarChar(5), Way::Implicit),
            (T::VarBinary(5), T::Float, Way::Never),
            (T::Money, T::VarChar(5), Way::Explicit),
            (T::Int, T::Variant, Way::Implicit),
            (T::Variant, T::Int, Way::Explicit),
            (T::NVarChar(MAX), T::Variant, Way::Never),
            (T::Text, T::Int, Way::Never),
            (T::Text, T::VarChar(5), Way::Implicit),
            (T::UniqueIdentifier, T::Int, Way::Never),
            (T::Int, T::UniqueIdentifier, Way::Never),
            (T::VarChar(5), T::Xml, Way::Implicit),
            (T::VarBinary(5), T::Xml, Way::Implicit),
            (T::NText, T::Xml, Way::Implicit),
            (T::Xml, T::NVarChar(MAX), Way::Explicit),
            (T::Xml, T::NText, Way::Never),
            (T::Xml, T::Variant, Way::Never),
            (T::Int, T::Xml, Way::Never),
        ] {
            assert_eq!(way(from, to), expected, "{from} to {to}");
        }
    }
}
