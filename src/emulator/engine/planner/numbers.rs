//! More functions of numbers: powers, angles, bits, and the greatest of several values.

use super::super::error::{SqlError, SqlResult};
use super::super::types::{SqlType, Value};
use super::calls::computed;
use super::{Planner, Typed, refuse};

use SqlType as T;

/// Most arguments of GREATEST and LEAST.
const MOST: usize = 254;

impl Planner<'_> {
    pub(super) fn more_number_call(
        &mut self,
        name: &str,
        args: &[Typed],
    ) -> SqlResult<Option<Typed>> {
        match (name, args) {
            ("POWER", [base, exponent]) => {
                let ty = match base.ty {
                    T::TinyInt | T::SmallInt | T::Int => T::Int,
                    T::BigInt => T::BigInt,
                    T::Money | T::SmallMoney => T::Money,
                    T::Decimal { scale, numeric, .. } => T::Decimal {
                        precision: 38,
                        scale,
                        numeric,
                    },
                    _ => T::Float,
                };
                let (base, exponent) = (
                    self.coerce(base.clone(), T::Float)?,
                    self.coerce(exponent.clone(), T::Float)?,
                );
                let sql = format!("t_power({},{},{})", base.sql, exponent.sql, ty.code());
                computed(args, sql, ty)
            }
            ("ASIN" | "ACOS" | "ATAN" | "COT", [value]) => {
                let value = self.coerce(value.clone(), T::Float)?;
                computed(
                    args,
                    format!("t_trig('{name}',{},NULL)", value.sql),
                    T::Float,
                )
            }
            ("ATN2" | "LOG", [a, b]) => {
                let (a, b) = (
                    self.coerce(a.clone(), T::Float)?,
                    self.coerce(b.clone(), T::Float)?,
                );
                computed(
                    args,
                    format!("t_trig('{name}',{},{})", a.sql, b.sql),
                    T::Float,
                )
            }
            ("RADIANS" | "DEGREES", [value]) if value.ty.is_exact_numeric() => Err(
                SqlError::unsupported(format!("{name} of an exact number; cast it to float")),
            ),
            ("RAND", []) => {
                // One value for all rows of the statement, as SQL Server has it.
                let value = Value::Float(fastrand::f64());
                Ok(Some(Typed::new(super::literal(&value), T::Float)))
            }
            ("RAND", [_]) => Err(SqlError::unsupported("RAND with a seed")),
            ("GREATEST" | "LEAST", [_, ..]) if args.len() <= MOST => {
                self.extreme(name, args).map(Some)
            }
            _ => self.bit_call(name, args),
        }
    }

    fn bit_call(&mut self, name: &str, args: &[Typed]) -> SqlResult<Option<Typed>> {
        match (name, args) {
            ("LEFT_SHIFT" | "RIGHT_SHIFT" | "GET_BIT", [value, n]) => {
                let n = self.coerce(n.clone(), T::BigInt)?;
                let ty = if name == "GET_BIT" { T::Bit } else { value.ty };
                bits(name, args, value, &n.sql, ty)
            }
            ("BIT_COUNT", [value]) => bits(name, args, value, "0", T::BigInt),
            ("SET_BIT", [value, n, to @ ..]) if to.len() < 2 => {
                let n = self.coerce(n.clone(), T::BigInt)?;
                let on = match to.first().map(|t| &t.constant) {
                    None | Some(Some(Value::Int(1))) => "SET_BIT",
                    Some(Some(Value::Int(0))) => "CLEAR_BIT",
                    _ => return Err(SqlError::unsupported("SET_BIT to what is no constant bit")),
                };
                bits(on, args, value, &n.sql, value.ty)
            }
            _ => Ok(None),
        }
    }

    /// NULLs do not count unless there is nothing else.
    fn extreme(&mut self, name: &str, args: &[Typed]) -> SqlResult<Typed> {
        for (index, arg) in args.iter().enumerate() {
            if arg.ty.is_old_lob() || arg.ty == T::Variant {
                return Err(refuse::argument(arg.ty, index + 1, name));
            }
        }
        let ty = self.common_type(args);
        let mut rows = Vec::new();
        for arg in args {
            let value = self.coerce(arg.clone(), ty)?;
            rows.push(format!("SELECT {} AS v", value.sql));
        }
        let function = if name == "GREATEST" { "max" } else { "min" };
        let value = Typed::new("v", ty).collated();
        Ok(Typed {
            nullable: args.iter().all(|a| a.nullable),
            ..Typed::new(
                format!(
                    "(SELECT {function}({value}) FROM ({}))",
                    rows.join(" UNION ALL ")
                ),
                ty,
            )
        })
    }
}

fn bits(
    name: &str,
    args: &[Typed],
    value: &Typed,
    n: &str,
    ty: SqlType,
) -> SqlResult<Option<Typed>> {
    if !value.ty.is_integer() {
        return Err(SqlError::unsupported(format!("{name} of {}", value.ty)));
    }
    let sql = format!("t_bits('{name}',{},{},{n})", value.sql, value.ty.code());
    computed(args, sql, ty)
}
