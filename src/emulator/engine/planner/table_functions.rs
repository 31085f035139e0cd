//! Functions that stand in FROM: GENERATE_SERIES, STRING_SPLIT and OPENJSON.
//!
//! The latter two are arrays that SQLite's `json_each` unfolds, since its arguments may name columns
//! of the tables before it, as APPLY needs.

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, ObjectName, OpenJsonTableColumn, TableAlias, Value as Lit,
};

use super::super::error::{SqlError, SqlResult};
use super::super::parser::types as type_names;
use super::super::types::json::Path;
use super::super::types::{MAX, SqlType, Value};
use super::from::rename;
use super::scope::{SELF, SourceColumn};
use super::{Planner, Scope, Typed, literal, unknown};

use SqlType as T;

/// What such a function is in FROM.
struct Unfolded {
    sql: String,
    columns: Vec<SourceColumn>,
    /// The name by which it is known without an alias.
    name: &'static str,
}

impl Planner<'_> {
    /// Plans a call in FROM. `outer` is what its arguments may name.
    pub(super) fn table_function(
        &mut self,
        name: &ObjectName,
        args: &[FunctionArg],
        alias: Option<&TableAlias>,
        outer: &Scope<'_>,
    ) -> SqlResult<(String, String, Vec<SourceColumn>)> {
        let function = name.to_string().to_uppercase();
        let mut exprs = Vec::new();
        for arg in args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else {
                return Err(SqlError::syntax_near(arg));
            };
            exprs.push(expr);
        }
        let found = match function.as_str() {
            "GENERATE_SERIES" => self.series(&exprs, outer)?,
            "STRING_SPLIT" => self.split(&exprs, outer)?,
            _ => {
                let missing = unknown::missing(&function);
                return Err(missing.unwrap_or_else(|| SqlError::invalid_object(name)));
            }
        };
        named(found, alias)
    }

    /// Plans OPENJSON.
    pub(super) fn open_json(
        &mut self,
        json: &Expr,
        path: Option<&Lit>,
        columns: &[OpenJsonTableColumn],
        alias: Option<&TableAlias>,
        outer: &Scope<'_>,
    ) -> SqlResult<(String, String, Vec<SourceColumn>)> {
        let json = self.json_text("OPENJSON", json, outer)?;
        let path = match path {
            None => "$".to_owned(),
            Some(Lit::SingleQuotedString(path) | Lit::NationalStringLiteral(path)) => path.clone(),
            Some(other) => return Err(SqlError::syntax_near(other)),
        };
        let with = i32::from(!columns.is_empty());
        let sql = format!(
            "json_each(t_openjson({},{},{with}))",
            json.sql,
            literal(&Value::Text(path))
        );
        let columns = if columns.is_empty() {
            let key = |n: u8| format!("t_jcol({SELF}.value,{n})");
            vec![
                column("key", key(0), T::NVarChar(4000), false),
                column("value", key(1), T::NVarChar(MAX), true),
                column("type", key(2), T::Int, false),
            ]
        } else {
            columns
                .iter()
                .map(|c| self.json_column(c))
                .collect::<SqlResult<_>>()?
        };
        named(
            Unfolded {
                sql,
                columns,
                name: "openjson",
            },
            alias,
        )
    }

    fn json_column(&mut self, column: &OpenJsonTableColumn) -> SqlResult<SourceColumn> {
        let ty = type_names::parse_for_column(&column.r#type.to_string())?;
        let name = column.name.value.clone();
        let path = column
            .path
            .clone()
            .unwrap_or_else(|| format!("$.\"{name}\""));
        Path::parse(&path)?;
        let raw = format!("t_jcol({SELF}.value,3)");
        let path = literal(&Value::Text(path));
        if column.as_json {
            if ty != T::NVarChar(MAX) {
                return Err(SqlError::new(
                    13618,
                    "AS JSON option can be specified only for column of nvarchar(max) type in WITH clause.",
                )
                .class(15));
            }
            return Ok(super::table_functions::column(
                &name,
                format!("t_jquery({raw},{path})"),
                ty,
                true,
            ));
        }
        let text = Typed::new(format!("t_jvalue({raw},{path},0)"), T::NVarChar(MAX));
        let sql = if ty.is_text() && ty.length() != Some(MAX) {
            // What happens to a text that is too long is not documented.
            format!("t_jfit({},{})", text.sql, ty.code())
        } else if ty.is_binary() {
            return Err(SqlError::unsupported("a binary column of OPENJSON"));
        } else {
            self.coerce(text, ty)?.sql
        };
        Ok(super::table_functions::column(&name, sql, ty, true))
    }

    fn split(&mut self, args: &[&Expr], scope: &Scope<'_>) -> SqlResult<Unfolded> {
        let [text, separator, ordinal @ ..] = args else {
            return Err(SqlError::new(313, "An insufficient number of arguments were supplied for the procedure or function STRING_SPLIT.").state(2));
        };
        let text = self.expr(text, scope)?;
        let text = self.characters(&text)?;
        let separator = self.expr(separator, scope)?;
        let separator = self.coerce(separator, T::NVarChar(MAX))?;
        let ordinal = match ordinal {
            [] => false,
            [flag] => match self.constant_int(flag, scope, "STRING_SPLIT's enable_ordinal")? {
                0 => false,
                1 => true,
                _ => {
                    return Err(SqlError::unsupported("STRING_SPLIT with this enable_ordinal"));
                }
            },
            _ => return Err(SqlError::new(8144, "Procedure or function STRING_SPLIT has too many arguments specified.").state(2)),
        };
        let ty = match text.ty {
            T::NChar(n) | T::NVarChar(n) => T::NVarChar(n),
            T::Char(n) | T::VarChar(n) => T::VarChar(n),
            other => return Err(super::refuse::argument(other, 1, "string_split")),
        };
        let mut columns = vec![column("value", format!("{SELF}.value"), ty, false)];
        if ordinal {
            columns.push(column("ordinal", format!("({SELF}.key+1)"), T::BigInt, false));
        }
        Ok(Unfolded {
            sql: format!("json_each(t_split({},{}))", text.sql, separator.sql),
            columns,
            name: "string_split",
        })
    }

    fn series(&mut self, args: &[&Expr], scope: &Scope<'_>) -> SqlResult<Unfolded> {
        let mut values = Vec::new();
        for arg in args {
            values.push(self.expr(arg, scope)?);
        }
        let ty = self.common_type(&values);
        if !ty.is_integer() || ty == T::Bit || !(2..=3).contains(&values.len()) {
            return Err(SqlError::unsupported(
                "GENERATE_SERIES of other than two or three integers",
            ));
        }
        if values.windows(2).any(|pair| matches!(pair, [a, b] if a.ty != b.ty && !a.is_null() && !b.is_null())) {
            return Err(SqlError::new(5373, "All the input parameters should be of the same type. Supported types are tinyint, smallint, int, bigint, decimal and numeric."));
        }
        let values = values
            .into_iter()
            .map(|v| self.coerce(v, ty))
            .collect::<SqlResult<Vec<_>>>()?;
        let (start, stop, step) = match values.as_slice() {
            [start, stop] => (&start.sql, &stop.sql, "NULL"),
            [start, stop, step] => (&start.sql, &stop.sql, step.sql.as_str()),
            _ => return Err(SqlError::syntax_near("GENERATE_SERIES")),
        };
        let steps = values.len() == 3;
        Ok(Unfolded {
            sql: format!("json_each(t_series({start},{stop},{step},{}))", i32::from(steps)),
            columns: vec![column("value", format!("{SELF}.value"), ty, false)],
            name: "generate_series",
        })
    }
}

fn column(name: &str, sql: String, ty: SqlType, nullable: bool) -> SourceColumn {
    SourceColumn {
        name: name.to_owned(),
        sql,
        ty,
        nullable,
        identity: false,
    }
}

fn named(
    found: Unfolded,
    alias: Option<&TableAlias>,
) -> SqlResult<(String, String, Vec<SourceColumn>)> {
    let mut columns = found.columns;
    let exposed = match alias {
        Some(alias) => {
            rename(&mut columns, alias)?;
            alias.name.value.clone()
        }
        None => found.name.to_owned(),
    };
    Ok((exposed, found.sql, columns))
}
