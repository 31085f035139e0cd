//! What text, ntext, image, xml and `sql_variant` may not be used for.

use sqlparser::ast::BinaryOperator as Op;

use super::super::error::{SqlError, SqlResult};
use super::super::types::SqlType;
use super::super::types::allow::shown;
use super::Typed;

use SqlType as T;

/// A comparison of the two.
pub(super) fn compare(a: &Typed, op: &Op, b: &Typed) -> SqlResult<()> {
    if a.ty == T::Xml && b.ty == T::Xml || is_xml_and_null(a, b) || is_xml_and_null(b, a) {
        return Err(uncomparable_xml());
    }
    let bad = |ty: SqlType| ty.is_old_lob() || ty == T::Xml;
    if !bad(a.ty) && !bad(b.ty) {
        return Ok(());
    }
    let name = match op {
        Op::Eq => "equal to",
        Op::NotEq => "not equal to",
        Op::Lt => "less than",
        Op::Gt => "greater than",
        Op::LtEq => "less than or equal to",
        _ => "greater than or equal to",
    };
    Err(SqlError::new(
        402,
        format!(
            "The data types {} and {} are incompatible in the {name} operator.",
            shown(a.ty),
            shown(b.ty)
        ),
    ))
}

fn is_xml_and_null(a: &Typed, b: &Typed) -> bool {
    a.ty == T::Xml && b.is_null()
}

/// Error 305.
fn uncomparable_xml() -> SqlError {
    SqlError::new(
        305,
        "The XML data type cannot be compared or sorted, except when using the IS NULL operator.",
    )
}

/// ORDER BY, GROUP BY and PARTITION BY.
pub(super) fn sort(ty: SqlType) -> SqlResult<()> {
    if ty == T::Xml {
        return Err(uncomparable_xml());
    }
    if ty.is_old_lob() {
        return Err(SqlError::new(
            306,
            "The text, ntext, and image data types cannot be compared or sorted, except when using IS \
             NULL or LIKE operator.",
        )
        .state(2));
    }
    Ok(())
}

/// SELECT DISTINCT.
pub(super) fn distinct(ty: SqlType) -> SqlResult<()> {
    if ty.is_old_lob() || ty == T::Xml {
        return Err(SqlError::new(
            421,
            format!(
                "The {} data type cannot be selected as DISTINCT because it is not comparable.",
                ty.base_name()
            ),
        ));
    }
    Ok(())
}

/// UNION, INTERSECT and EXCEPT.
pub(super) fn set_operand(ty: SqlType) -> SqlResult<()> {
    if ty.is_old_lob() || ty == T::Xml {
        return Err(SqlError::new(
            5335,
            format!(
                "The data type {} cannot be used as an operand to the UNION, INTERSECT or EXCEPT \
                 operators because it is not comparable.",
                ty.base_name()
            ),
        ));
    }
    Ok(())
}

/// Arithmetic and concatenation.
pub(super) fn operand(a: &Typed, name: &str, b: &Typed) -> SqlResult<()> {
    if a.ty == T::Variant || b.ty == T::Variant {
        return Err(SqlError::new(
            403,
            format!(
                "Invalid operator for data type. Operator equals {name}, type equals sql_variant."
            ),
        ));
    }
    let bad = |ty: SqlType| ty.is_old_lob() || ty == T::Xml;
    if bad(a.ty) || bad(b.ty) {
        return Err(SqlError::new(
            402,
            format!(
                "The data types {} and {} are incompatible in the {name} operator.",
                shown(a.ty),
                shown(b.ty)
            ),
        ));
    }
    Ok(())
}

/// An aggregate function's operand.
pub(super) fn aggregated(name: &str, ty: SqlType) -> SqlResult<()> {
    let bad = ty.is_old_lob()
        || ty == T::Variant && !matches!(name, "MIN" | "MAX" | "COUNT" | "COUNT_BIG")
        || ty == T::Xml && !matches!(name, "COUNT" | "COUNT_BIG");
    if bad {
        return Err(SqlError::new(
            8117,
            format!(
                "Operand data type {} is invalid for {} operator.",
                ty.base_name(),
                name.to_lowercase()
            ),
        ));
    }
    Ok(())
}

/// The arguments of a scalar function.
pub(super) fn arguments(name: &str, args: &[Typed]) -> SqlResult<()> {
    for (index, arg) in args.iter().enumerate() {
        let fine = match arg.ty {
            T::Variant => matches!(
                name,
                "DATALENGTH" | "SQL_VARIANT_PROPERTY" | "ISNUMERIC" | "ISDATE"
            ),
            T::Text | T::NText => matches!(name, "DATALENGTH" | "SUBSTRING" | "PATINDEX"),
            T::Xml => matches!(
                name,
                "DATALENGTH" | "ISNULL" | "COALESCE" | "IIF" | "CHOOSE"
            ),
            T::Image => matches!(name, "DATALENGTH" | "SUBSTRING"),
            _ => true,
        };
        if !fine {
            return Err(argument(arg.ty, index + 1, name));
        }
    }
    Ok(())
}

/// Error 8116.
pub(super) fn argument(ty: SqlType, position: usize, name: &str) -> SqlError {
    SqlError::new(
        8116,
        format!(
            "Argument data type {} is invalid for argument {position} of {} function.",
            shown(ty),
            name.to_lowercase()
        ),
    )
}
