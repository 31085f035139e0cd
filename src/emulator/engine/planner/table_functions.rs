//! Functions that stand in FROM: GENERATE_SERIES, STRING_SPLIT and OPENJSON.
//!
//! The latter two are arrays that SQLite's `json_each` unfolds, since its arguments may name columns
//! of the tables before it, as APPLY needs.

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Join, JoinOperator, ObjectName, OpenJsonTableColumn,
    TableAlias, TableFactor, Value as Lit,
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
    /// A function in FROM, if the factor is one. A lateral one may name the tables before it.
    pub(super) fn unfolded(
        &mut self,
        factor: &TableFactor,
        lateral: bool,
        scope: &mut Scope<'_>,
    ) -> SqlResult<Option<String>> {
        let (exposed, sql, columns) = match factor {
            TableFactor::Table {
                name,
                alias,
                args: Some(args),
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_hints,
            } if with_hints.is_empty()
                && partitions.is_empty()
                && index_hints.is_empty()
                && args.settings.is_none() =>
            {
                let function = name.to_string().to_uppercase();
                if let Some((sql, columns)) = self.metadata_table(&function, &args.args, scope)? {
                    let own = || function.rsplit('.').next().unwrap_or("").to_lowercase();
                    let exposed = alias.as_ref().map_or_else(own, |a| a.name.value.clone());
                    (exposed, sql, columns)
                } else {
                    let outside = Scope::inside(scope.parent);
                    let outer = if lateral { &*scope } else { &outside };
                    self.table_function(name, &args.args, alias.as_ref(), outer)?
                }
            }
            TableFactor::OpenJsonTable { .. } => {
                let outside = Scope::inside(scope.parent);
                let outer = if lateral { &*scope } else { &outside };
                self.open_json(factor, outer)?
            }
            _ => return Ok(None),
        };
        self.add(exposed, None, sql, columns, scope).map(Some)
    }

    /// APPLY of a function.
    pub(super) fn applied(
        &mut self,
        join: &Join,
        scope: &mut Scope<'_>,
    ) -> SqlResult<Option<String>> {
        let outer = match join.join_operator {
            JoinOperator::CrossApply => false,
            JoinOperator::OuterApply => true,
            _ => return Ok(None),
        };
        let before = scope.sources.len();
        let Some(sql) = self.unfolded(&join.relation, true, scope)? else {
            return Ok(None);
        };
        if !outer {
            return Ok(Some(format!(" CROSS JOIN {sql}")));
        }
        for source in scope.sources.iter_mut().skip(before) {
            for column in &mut source.columns {
                column.nullable = true;
            }
        }
        Ok(Some(format!(" LEFT JOIN {sql} ON true")))
    }

    /// Plans a call in FROM. `outer` is what its arguments may name.
    fn table_function(
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
    fn open_json(
        &mut self,
        factor: &TableFactor,
        outer: &Scope<'_>,
    ) -> SqlResult<(String, String, Vec<SourceColumn>)> {
        let TableFactor::OpenJsonTable {
            json_expr: json,
            json_path: path,
            columns,
            alias,
        } = factor
        else {
            return Err(SqlError::syntax_near("OPENJSON"));
        };
        let json = self.json_text("OPENJSON", json, outer)?;
        let path = match path.as_ref().map(|p| &p.value) {
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
            alias.as_ref(),
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
                    return Err(SqlError::unsupported(
                        "STRING_SPLIT with this enable_ordinal",
                    ));
                }
            },
            _ => {
                return Err(SqlError::new(
                    8144,
                    "Procedure or function STRING_SPLIT has too many arguments specified.",
                )
                .state(2));
            }
        };
        let ty = match text.ty {
            T::NChar(n) | T::NVarChar(n) => T::NVarChar(n),
            T::Char(n) | T::VarChar(n) => T::VarChar(n),
            other => return Err(super::refuse::argument(other, 1, "string_split")),
        };
        let mut columns = vec![column("value", format!("{SELF}.value"), ty, false)];
        if ordinal {
            columns.push(column(
                "ordinal",
                format!("({SELF}.key+1)"),
                T::BigInt,
                false,
            ));
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
        if values
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a.ty != b.ty && !a.is_null() && !b.is_null()))
        {
            return Err(SqlError::new(
                5373,
                "All the input parameters should be of the same type. Supported types are tinyint, smallint, int, bigint, decimal and numeric.",
            ));
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
        let known = |at: usize| match values.get(at).map(|v| &v.constant) {
            Some(Some(Value::Int(v))) => Some(*v),
            _ => None,
        };
        if let (Some(a), Some(b)) = (known(0), known(1))
            && let Some(by) = if steps {
                known(2)
            } else {
                Some(if a <= b { 1 } else { -1 })
            }
            && by != 0
        {
            // One row after the other, however many there are.
            let test = if by > 0 { "<=" } else { ">=" };
            let series = self.fresh("s");
            return Ok(Unfolded {
                sql: format!(
                    "(WITH RECURSIVE {series}(v) AS (SELECT {a} WHERE {a}{test}{b} UNION ALL SELECT v+({by}) FROM {series} WHERE v+({by}){test}{b}) SELECT v AS value FROM {series})"
                ),
                columns: vec![column("value", format!("{SELF}.value"), ty, false)],
                name: "generate_series",
            });
        }
        Ok(Unfolded {
            sql: format!(
                "json_each(t_series({start},{stop},{step},{}))",
                i32::from(steps)
            ),
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
