//! What an expression is worth.

use std::cmp::Ordering;

use super::Context;
use super::error::SqlError;
use super::expr::{Aggregate, Binary, Expr};
use super::like::Pattern;
use super::value::{self, Kind, MAX_TEXT, compare, convert};
use crate::tds::Scalar;

/// A row as it stands in its table.
pub(super) type Row = Vec<Scalar>;

impl Expr {
    /// The value over the rows of a group. Columns are those of the first; a
    /// row by itself is a group of one.
    pub(super) fn value(&self, rows: &[&Row], context: &Context) -> Result<Scalar, SqlError> {
        let value = |of: &Self| of.value(rows, context);
        Ok(match self {
            Self::Value(value) => value.clone(),
            Self::Column(at, _) => rows
                .first()
                .and_then(|row| row.get(*at))
                .cloned()
                .unwrap_or(Scalar::Null),
            Self::Negative(of) => arithmetic(Binary::Subtract, &Scalar::Int(0), &value(of)?)?,
            Self::Binary(operator, left, right) if operator.is_arithmetic() => {
                arithmetic(*operator, &value(left)?, &value(right)?)?
            }
            Self::Case {
                operand,
                whens,
                otherwise,
            } => {
                let operand = operand.as_deref().map(value).transpose()?;
                let mut chosen = otherwise.as_deref();
                for (when, then) in whens {
                    let fits = match &operand {
                        Some(operand) => compare(operand, &value(when)?)?.map(Ordering::is_eq),
                        None => when.truth(rows, context)?,
                    };
                    if fits == Some(true) {
                        chosen = Some(then);
                        break;
                    }
                }
                match chosen {
                    Some(chosen) => convert(&value(chosen)?, self.kind())?,
                    None => Scalar::Null,
                }
            }
            Self::Cast {
                value: of,
                kind,
                lenient,
            } => match convert(&value(of)?, *kind) {
                Err(_) if *lenient => Scalar::Null,
                other => other?,
            },
            Self::Call(function, arguments) => {
                let arguments: Result<Vec<_>, _> = arguments.iter().map(value).collect();
                function.call(&arguments?, context)?
            }
            Self::Aggregate {
                function,
                distinct,
                of,
            } => aggregate(*function, *distinct, of.as_deref(), rows, context)?,
            condition => match condition.truth(rows, context)? {
                Some(truth) => Scalar::Bit(truth),
                None => Scalar::Null,
            },
        })
    }

    /// The truth of a condition; `None` is neither true nor false.
    pub(super) fn truth(&self, rows: &[&Row], context: &Context) -> Result<Option<bool>, SqlError> {
        let truth = |of: &Self| of.truth(rows, context);
        let value = |of: &Self| of.value(rows, context);
        Ok(match self {
            Self::Not(of) => truth(of)?.map(|truth| !truth),
            Self::IsNull(of) => Some(value(of)? == Scalar::Null),
            Self::Binary(Binary::And, left, right) => match truth(left)? {
                Some(false) => Some(false),
                left => match (left, truth(right)?) {
                    (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                },
            },
            Self::Binary(Binary::Or, left, right) => match truth(left)? {
                Some(true) => Some(true),
                left => match (left, truth(right)?) {
                    (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                },
            },
            Self::Binary(operator, left, right) if !operator.is_arithmetic() => {
                compare(&value(left)?, &value(right)?)?.map(|order| holds(*operator, order))
            }
            Self::Between(of, low, high) => {
                let of = value(of)?;
                let above = compare(&of, &value(low)?)?.map(Ordering::is_ge);
                let below = compare(&of, &value(high)?)?.map(Ordering::is_le);
                match (above, below) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                }
            }
            Self::In(of, list) => is_in(&value(of)?, list, value)?,
            Self::Like(of, pattern) => value::text(&value(of)?).map(|text| pattern.matches(&text)),
            Self::LikeOf(of, pattern) => {
                match (value::text(&value(of)?), value::text(&value(pattern)?)) {
                    (Some(text), Some(pattern)) => {
                        Some(Pattern::new(&pattern, None).matches(&text))
                    }
                    _ => None,
                }
            }
            other => match convert(&value(other)?, Kind::Bit)? {
                Scalar::Bit(bit) => Some(bit),
                _ => None,
            },
        })
    }
}

fn holds(operator: Binary, order: Ordering) -> bool {
    match operator {
        Binary::Equal => order.is_eq(),
        Binary::Unequal => order.is_ne(),
        Binary::Less => order.is_lt(),
        Binary::LessOrEqual => order.is_le(),
        Binary::Greater => order.is_gt(),
        Binary::GreaterOrEqual => order.is_ge(),
        _ => false,
    }
}

fn is_in(
    wanted: &Scalar,
    list: &[Expr],
    value: impl Fn(&Expr) -> Result<Scalar, SqlError>,
) -> Result<Option<bool>, SqlError> {
    let mut found = Some(false);
    for candidate in list {
        match compare(wanted, &value(candidate)?)? {
            Some(Ordering::Equal) => return Ok(Some(true)),
            Some(_) => {}
            None => found = None,
        }
    }
    Ok(found)
}

fn arithmetic(operator: Binary, left: &Scalar, right: &Scalar) -> Result<Scalar, SqlError> {
    if matches!(left, Scalar::Null) || matches!(right, Scalar::Null) {
        return Ok(Scalar::Null);
    }
    if let (Binary::Add, Scalar::Text(left), Scalar::Text(right)) = (operator, left, right) {
        // As SQL Server does, and so that no text grows without bound.
        return Ok(Scalar::Text(value::cut(
            format!("{left}{right}"),
            MAX_TEXT.into(),
        )));
    }
    if matches!(left, Scalar::Float(_)) || matches!(right, Scalar::Float(_)) {
        return floats(operator, left, right);
    }
    let (Scalar::Int(left), Scalar::Int(right)) =
        (convert(left, Kind::BigInt)?, convert(right, Kind::BigInt)?)
    else {
        return Ok(Scalar::Null);
    };
    let result = match operator {
        Binary::Divide | Binary::Modulo if right == 0 => return Err(SqlError::DivideByZero),
        Binary::Add => left.checked_add(right),
        Binary::Subtract => left.checked_sub(right),
        Binary::Multiply => left.checked_mul(right),
        Binary::Divide => left.checked_div(right),
        _ => left.checked_rem(right),
    };
    result.map(Scalar::Int).ok_or(SqlError::Overflow)
}

fn floats(operator: Binary, left: &Scalar, right: &Scalar) -> Result<Scalar, SqlError> {
    let (Scalar::Float(left), Scalar::Float(right)) =
        (convert(left, Kind::Float)?, convert(right, Kind::Float)?)
    else {
        return Ok(Scalar::Null);
    };
    let result = match operator {
        Binary::Divide | Binary::Modulo if right == 0.0 => return Err(SqlError::DivideByZero),
        Binary::Add => left + right,
        Binary::Subtract => left - right,
        Binary::Multiply => left * right,
        Binary::Divide => left / right,
        _ => left % right,
    };
    if result.is_finite() {
        Ok(Scalar::Float(result))
    } else {
        Err(SqlError::Overflow)
    }
}

/// NULLs do not count, but for COUNT(*).
fn aggregate(
    function: Aggregate,
    distinct: bool,
    of: Option<&Expr>,
    rows: &[&Row],
    context: &Context,
) -> Result<Scalar, SqlError> {
    let count = |len: usize| Scalar::Int(i64::try_from(len).unwrap_or(i64::MAX));
    let Some(of) = of else {
        return Ok(count(rows.len()));
    };
    let mut values = Vec::new();
    for row in rows {
        match of.value(&[*row], context)? {
            Scalar::Null => {}
            value => values.push(value),
        }
    }
    if distinct {
        values.sort_by(value::sort_order);
        values.dedup_by(|a, b| value::sort_order(a, b).is_eq());
    }
    Ok(match function {
        Aggregate::Count => count(values.len()),
        Aggregate::Min => values
            .into_iter()
            .min_by(value::sort_order)
            .unwrap_or(Scalar::Null),
        Aggregate::Max => values
            .into_iter()
            .max_by(value::sort_order)
            .unwrap_or(Scalar::Null),
        Aggregate::Sum | Aggregate::Average => {
            let len = count(values.len());
            let sum = values
                .into_iter()
                .map(Ok)
                .reduce(|a, b| arithmetic(Binary::Add, &a?, &b?));
            match sum.transpose()? {
                None => Scalar::Null,
                Some(sum) if function == Aggregate::Average => {
                    arithmetic(Binary::Divide, &sum, &len)?
                }
                Some(sum) => sum,
            }
        }
    })
}
