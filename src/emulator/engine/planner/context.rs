//! SESSION_CONTEXT, FORMAT and other functions that ask for the session or the culture.

use sqlparser::ast::Expr;

use super::super::error::{SqlError, SqlResult};
use super::super::types::{SqlType, Value};
use super::{Planner, Scope, Typed, refuse};

use SqlType as T;

impl Planner<'_> {
    pub(super) fn context_call(
        &mut self,
        name: &str,
        args: &[&Expr],
        scope: &Scope<'_>,
    ) -> SqlResult<Option<Typed>> {
        Ok(Some(match (name, args) {
            ("SESSION_CONTEXT", [key]) => {
                let key = self.expr(key, scope)?;
                if !key.ty.is_unicode() {
                    return Err(refuse::argument(key.ty, 1, name));
                }
                let Some(Value::Text(key)) = &key.constant else {
                    return Err(SqlError::unsupported(
                        "SESSION_CONTEXT of a key that is no constant",
                    ));
                };
                let found = self.state.context.get(key.trim_end_matches(' '));
                let value = found.map_or(Value::Null, |entry| entry.value.clone());
                Typed {
                    nullable: true,
                    ..Typed::constant(value, T::Variant)
                }
            }
            ("FORMAT", [value, pattern, culture @ ..]) if culture.len() < 2 => {
                self.formatted(value, pattern, culture.first().copied(), scope)?
            }
            ("NEWSEQUENTIALID", []) => {
                return Err(SqlError::new(
                    302,
                    "The newsequentialid() built-in function can only be used in a DEFAULT expression for \
                     a column of type 'uniqueidentifier' in a CREATE TABLE or ALTER TABLE statement. It \
                     cannot be combined with other operators to form a complex scalar expression.",
                ));
            }
            _ => return Ok(None),
        }))
    }

    fn formatted(
        &mut self,
        value: &Expr,
        pattern: &Expr,
        culture: Option<&Expr>,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        if let Some(culture) = culture {
            let culture = self.constant_text(culture, scope, "FORMAT's culture")?;
            let culture = culture.unwrap_or_default();
            if !culture.eq_ignore_ascii_case("en-US") {
                return Err(SqlError::unsupported(format!(
                    "FORMAT with culture '{culture}'"
                )));
            }
        }
        let value = self.expr(value, scope)?;
        if !value.is_null() && !value.ty.is_numeric() && !value.ty.is_temporal() {
            return Err(refuse::argument(value.ty, 1, "format"));
        }
        let pattern = self.expr(pattern, scope)?;
        let pattern = self.coerce(pattern, T::NVarChar(4000))?;
        Ok(Typed::new(
            format!(
                "t_format({},{},{})",
                value.sql,
                value.ty.code(),
                pattern.sql
            ),
            T::NVarChar(4000),
        ))
    }

    /// The default of a column, where NEWSEQUENTIALID() may stand, but alone.
    pub(crate) fn default_value(&mut self, expr: &Expr) -> SqlResult<Typed> {
        let mut inner = expr;
        while let Expr::Nested(nested) = inner {
            inner = nested;
        }
        if inner.to_string().eq_ignore_ascii_case("newsequentialid()") {
            return Ok(Typed::new("t_sequentialid()", T::UniqueIdentifier).not_null());
        }
        self.expr(expr, &Scope::inside(None))
    }
}
