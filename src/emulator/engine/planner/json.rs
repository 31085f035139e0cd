//! JSON functions.

use sqlparser::ast::Expr;

use super::super::error::{SqlError, SqlResult};
use super::super::types::{MAX, SqlType};
use super::{Planner, Scope, Typed, refuse};

use SqlType as T;

impl Planner<'_> {
    pub(super) fn json_call(
        &mut self,
        name: &str,
        args: &[&Expr],
        scope: &Scope<'_>,
    ) -> SqlResult<Option<Typed>> {
        Ok(Some(match (name, args) {
            ("ISJSON", [text, kind @ ..]) if kind.len() < 2 => {
                let text = self.json_text(name, text, scope)?;
                let kind = match kind.first() {
                    None => "NULL".to_owned(),
                    Some(Expr::Identifier(word)) => {
                        let word = word.value.to_uppercase();
                        if !matches!(word.as_str(), "VALUE" | "ARRAY" | "OBJECT" | "SCALAR") {
                            return Err(SqlError::syntax_near(word));
                        }
                        format!("'{word}'")
                    }
                    Some(other) => return Err(SqlError::syntax_near(other)),
                };
                Typed::new(format!("t_isjson({},{kind})", text.sql), T::Int)
            }
            ("JSON_VALUE", [text, path]) => {
                let (text, path) = (
                    self.json_text(name, text, scope)?,
                    self.json_text(name, path, scope)?,
                );
                let sql = format!("t_jvalue({},{},1)", text.sql, path.sql);
                Typed::new(sql, T::NVarChar(4000))
            }
            ("JSON_QUERY", [text, path @ ..]) if path.len() < 2 => {
                let text = self.json_text(name, text, scope)?;
                let path = match path.first() {
                    Some(path) => self.json_text(name, path, scope)?.sql,
                    None => "'$'".into(),
                };
                Typed::new(format!("t_jquery({},{path})", text.sql), T::NVarChar(MAX))
            }
            ("JSON_MODIFY", [text, path, new]) => self.modified(text, path, new, scope)?,
            _ => return Ok(None),
        }))
    }

    pub(super) fn json_text(
        &mut self,
        name: &str,
        expr: &Expr,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let value = self.expr(expr, scope)?;
        if !value.is_null() && (!value.ty.is_text() || value.ty.is_old_lob()) {
            return Err(refuse::argument(value.ty, 1, name));
        }
        self.coerce(value, T::NVarChar(MAX))
    }

    fn modified(
        &mut self,
        text: &Expr,
        path: &Expr,
        new: &Expr,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let name = "JSON_MODIFY";
        let (text, path) = (
            self.json_text(name, text, scope)?,
            self.json_text(name, path, scope)?,
        );
        let value = self.expr(new, scope)?;
        // What another JSON function made is JSON, all else is a value.
        let ty = if makes_json(new) {
            "NULL".to_owned()
        } else {
            value.ty.code().to_string()
        };
        Ok(Typed::new(
            format!("t_jmodify({},{},{},{ty})", text.sql, path.sql, value.sql),
            T::NVarChar(MAX),
        ))
    }
}

fn makes_json(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => makes_json(inner),
        Expr::Function(call) => matches!(
            call.name.to_string().to_uppercase().as_str(),
            "JSON_QUERY" | "JSON_MODIFY"
        ),
        _ => false,
    }
}
