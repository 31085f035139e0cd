//! Aggregates and window functions.

use sqlparser::ast::Function;

use super::super::error::{SqlError, SqlResult};
use super::super::types::{SqlType, Storage, Value};
use super::calls::Args;
use super::{Planner, Scope, Typed, refuse};

use SqlType as T;

/// Functions that make one value of many rows.
pub(super) const AGGREGATES: &[&str] = &[
    "COUNT",
    "COUNT_BIG",
    "SUM",
    "AVG",
    "MIN",
    "MAX",
    "STRING_AGG",
    "STDEV",
    "STDEVP",
    "VAR",
    "VARP",
    "CHECKSUM_AGG",
    "APPROX_COUNT_DISTINCT",
];

impl Planner<'_> {
    pub(super) fn aggregate(
        &mut self,
        name: &str,
        call: &Function,
        args: &Args<'_>,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let windowed = call.over.is_some();
        if scope.no_aggregates.get() && !windowed {
            if scope.clause.get() == "the set list" {
                return Err(SqlError::new(
                    157,
                    "An aggregate may not appear in the set list of an UPDATE statement.",
                )
                .class(15));
            }
            return Err(SqlError::new(
                147,
                "An aggregate may not appear in the WHERE clause unless it is in a subquery contained in a \
                 HAVING clause or a select list, and the column being aggregated is an outer reference.",
            )
            .class(15));
        }
        if !windowed && scope.in_aggregate.get() {
            return Err(SqlError::new(
                130,
                "Cannot perform an aggregate function on an expression containing an aggregate or a subquery.",
            ));
        }
        let over = match &call.over {
            None => String::new(),
            Some(window) => self.over(name, window, scope)?,
        };
        let outer = if windowed {
            scope.in_window.set(true);
            scope.in_aggregate.get()
        } else {
            scope.in_aggregate.replace(true)
        };
        let mut values = Vec::new();
        for arg in &args.exprs {
            values.push(self.expr(arg, scope));
        }
        let within = self.within_group(call, scope);
        scope.in_aggregate.set(outer);
        if windowed {
            scope.in_window.set(false);
        }
        let values = values.into_iter().collect::<SqlResult<Vec<_>>>()?;
        let within = within?;
        if !within.is_empty() && name != "STRING_AGG" {
            return Err(SqlError::unsupported(format!("{name} WITHIN GROUP")));
        }
        if windowed && args.distinct {
            return Err(SqlError::new(
                10759,
                "Use of DISTINCT is not allowed with the OVER clause.",
            )
            .class(15));
        }
        if windowed && !AGGREGATES.contains(&name) {
            return self.window_function(name, &values, &over);
        }
        self.plain_aggregate(name, &values, args, &over, &within)
    }

    fn plain_aggregate(
        &mut self,
        name: &str,
        values: &[Typed],
        args: &Args<'_>,
        over: &str,
        within: &str,
    ) -> SqlResult<Typed> {
        let distinct = if args.distinct { "DISTINCT " } else { "" };
        if let Some(value) = values.first() {
            refuse::aggregated(name, value.ty)?;
        }
        let lower = name.to_lowercase();
        let invalid = |ty: T| {
            let ty = ty.base_name();
            SqlError::new(
                8117,
                format!("Operand data type {ty} is invalid for {lower} operator."),
            )
        };
        match (name, values) {
            ("COUNT" | "COUNT_BIG", []) if args.star => {
                let ty = if name == "COUNT" { T::Int } else { T::BigInt };
                Ok(Typed::new(format!("count(*){over}"), ty).not_null())
            }
            ("COUNT" | "COUNT_BIG", [value]) => {
                let ty = if name == "COUNT" { T::Int } else { T::BigInt };
                Ok(
                    Typed::new(format!("count({distinct}{}){over}", value.collated()), ty)
                        .not_null(),
                )
            }
            ("MIN" | "MAX", [value]) => {
                if value.ty == T::Bit {
                    return Err(invalid(value.ty));
                }
                let sql = format!("{lower}({}){over}", value.collated());
                Ok(Typed::new(sql, value.ty))
            }
            ("SUM" | "AVG", [value]) => self.sum(name, value.clone(), distinct, over),
            ("STRING_AGG", [value, separator]) => self.string_agg(value, separator, within, over),
            ("STDEV" | "STDEVP" | "VAR" | "VARP", [value]) => {
                if !value.ty.is_numeric() {
                    return Err(invalid(value.ty));
                }
                let value = self.coerce(value.clone(), T::Float)?;
                let sql = format!("t_fin(t_{lower}({distinct}{}){over})", value.sql);
                Ok(Typed::new(sql, T::Float))
            }
            // An exact count is a good approximation.
            ("APPROX_COUNT_DISTINCT", [value]) => {
                let sql = format!("count(DISTINCT {}){over}", value.collated());
                Ok(Typed::new(sql, T::BigInt).not_null())
            }
            _ => Err(SqlError::unsupported(format!("aggregate {name}"))),
        }
    }

    fn sum(&mut self, name: &str, value: Typed, distinct: &str, over: &str) -> SqlResult<Typed> {
        let avg = name == "AVG";
        let ty = match value.ty {
            T::TinyInt | T::SmallInt | T::Int => T::Int,
            T::BigInt => T::BigInt,
            T::Money | T::SmallMoney => T::Money,
            T::Real | T::Float => T::Float,
            T::Decimal { scale, numeric, .. } if avg => T::Decimal {
                precision: 38,
                scale: scale.max(6),
                numeric,
            },
            T::Decimal { scale, numeric, .. } => T::Decimal {
                precision: 38,
                scale,
                numeric,
            },
            other => {
                return Err(SqlError::new(
                    8117,
                    format!(
                        "Operand data type {} is invalid for {} operator.",
                        other.base_name(),
                        name.to_lowercase()
                    ),
                ));
            }
        };
        let arg = value.collated();
        let sql = match ty.storage() {
            // The sum alone may overflow, even where the average would fit.
            Storage::Int if avg => format!(
                "t_div(t_ck(t_isum({distinct}{arg}){over},{0}),nullif(count({distinct}{arg}){over},0),{0})",
                ty.code()
            ),
            Storage::Int => format!("t_ck(t_isum({distinct}{arg}){over},{})", ty.code()),
            Storage::Float => format!("t_fin({}({distinct}{arg}){over})", name.to_lowercase()),
            _ => {
                let scale = ty.digits().map_or(0, |d| d.1);
                let sum = format!("t_sum({distinct}{arg}){over}");
                let own = match value.ty {
                    T::Decimal { scale, .. } => T::Decimal {
                        precision: 38,
                        scale,
                        numeric: false,
                    },
                    _ => T::Money,
                };
                let sum = format!("t_fits({sum},{})", own.code());
                if avg {
                    format!("t_avg({sum},count({distinct}{arg}){over},{scale})")
                } else {
                    sum
                }
            }
        };
        Ok(Typed::new(sql, ty))
    }

    fn window_function(&mut self, name: &str, values: &[Typed], over: &str) -> SqlResult<Typed> {
        match (name, values) {
            ("ROW_NUMBER" | "RANK" | "DENSE_RANK", []) => {
                Ok(Typed::new(format!("{}(){over}", name.to_lowercase()), T::BigInt).not_null())
            }
            ("NTILE", [count]) if matches!(count.constant, Some(Value::Int(..=0))) => {
                Err(SqlError::new(
                    4116,
                    "The function 'ntile' takes only a positive int or bigint expression as its input.",
                ))
            }
            ("NTILE", [count]) => {
                Ok(Typed::new(format!("ntile({}){over}", count.sql), T::BigInt).not_null())
            }
            ("LAG" | "LEAD", [value, rest @ ..]) if rest.len() < 3 => {
                let mut parts = vec![value.sql.clone()];
                if let Some(offset) = rest.first() {
                    parts.push(self.row_offset(name, offset)?);
                }
                if let Some(default) = rest.get(1) {
                    parts.push(self.coerce(default.clone(), value.ty)?.sql);
                }
                Ok(Typed::new(
                    format!("{}({}){over}", name.to_lowercase(), parts.join(",")),
                    value.ty,
                ))
            }
            ("FIRST_VALUE" | "LAST_VALUE", [value]) => Ok(Typed::new(
                format!("{}({}){over}", name.to_lowercase(), value.sql),
                value.ty,
            )),
            _ => Err(SqlError::unsupported(format!("window function {name}"))),
        }
    }

    /// SQLite would look the other way for a negative number.
    fn row_offset(&mut self, name: &str, offset: &Typed) -> SqlResult<String> {
        let offset = self.coerce(offset.clone(), T::BigInt)?;
        match offset.constant {
            Some(Value::Int(0..)) => Ok(offset.sql),
            Some(Value::Int(_)) => Err(SqlError::new(
                8730,
                "Offset parameter for Lag and Lead functions cannot be a negative value.",
            )),
            _ => Err(SqlError::unsupported(format!(
                "{name} with an offset that is no constant"
            ))),
        }
    }

    fn within_group(&mut self, call: &Function, scope: &Scope<'_>) -> SqlResult<String> {
        if call.within_group.is_empty() {
            return Ok(String::new());
        }
        self.order_list(&call.within_group, scope)
    }
}
