//! Function calls: scalar functions, aggregates and window functions.

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
};

use super::super::error::{SqlError, SqlResult};
use super::super::types::{MAX, SqlType, Storage, Value, limit_text};
use super::aggregates::AGGREGATES;
use super::words::count_type;
use super::{Planner, Scope, Typed, refuse, unknown};

use SqlType as T;

/// The arguments of a call.
pub(super) struct Args<'e> {
    pub(super) exprs: Vec<&'e Expr>,
    pub(super) star: bool,
    pub(super) distinct: bool,
}

impl Planner<'_> {
    pub(crate) fn function(&mut self, call: &Function, scope: &Scope<'_>) -> SqlResult<Typed> {
        let name = call.name.to_string().to_uppercase();
        super::audit::check_function(call, &name)?;
        let args = arguments(call, &name)?;
        if matches!(name.as_str(), "GROUPING" | "GROUPING_ID") && call.over.is_none() {
            return self.grouping(&name, &args.exprs, scope);
        }
        if AGGREGATES.contains(&name.as_str()) || call.over.is_some() {
            return self.aggregate(&name, call, &args, scope);
        }
        if !call.within_group.is_empty() || args.distinct || args.star {
            return Err(SqlError::syntax_near(&name));
        }
        self.named_call(&name, &args.exprs, scope)
    }

    /// A scalar function by its name in capitals.
    pub(crate) fn named_call(
        &mut self,
        name: &str,
        args: &[&Expr],
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        if let Some(found) = self.conditional(name, args, scope)? {
            return Ok(found);
        }
        if let Some(found) = self.date_call(name, args, scope)? {
            return Ok(found);
        }
        if let Some(found) = self.context_call(name, args, scope)? {
            return Ok(found);
        }
        if let Some(found) = self.json_call(name, args, scope)? {
            return Ok(found);
        }
        if let Some(found) = self.app_lock_call(name, args, scope)? {
            return Ok(found);
        }
        if let Some(found) = self.system_call(name, args, scope)? {
            return Ok(found);
        }
        let mut values = Vec::new();
        for arg in args {
            values.push(self.expr(arg, scope)?);
        }
        refuse::arguments(name, &values)?;
        if let Some(found) = self.variant_call(name, &values)? {
            return Ok(found);
        }
        if let Some(found) = self.text_call(name, &values)? {
            return Ok(found);
        }
        if let Some(found) = self.word_call(name, &values)? {
            return Ok(found);
        }
        if let Some(found) = self.more_number_call(name, &values)? {
            return Ok(found);
        }
        if let Some(found) = self.number_call(name, &values)? {
            return Ok(found);
        }
        Err(unknown::function(name))
    }

    fn null_if(&mut self, a: &Expr, b: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        let equal = self.compare(a, &sqlparser::ast::BinaryOperator::Eq, b, scope)?;
        let value = self.expr(a, scope)?;
        if value.is_null() {
            return Err(SqlError::new(
                4151,
                "The type of the first argument to NULLIF cannot be the NULL constant because the \
                 type of the first argument has to be known.",
            ));
        }
        let sql = format!("(CASE WHEN {equal} THEN NULL ELSE {} END)", value.sql);
        Ok(Typed::new(sql, value.ty))
    }

    fn conditional(
        &mut self,
        name: &str,
        args: &[&Expr],
        scope: &Scope<'_>,
    ) -> SqlResult<Option<Typed>> {
        Ok(Some(match (name, args) {
            ("IIF", [condition, yes, no]) => {
                let condition = self.predicate(condition, scope)?;
                let results = vec![self.expr(yes, scope)?, self.expr(no, scope)?];
                self.choose(vec![condition], results)?
            }
            ("ISNULL", [value, other]) => {
                let (value, other) = (self.expr(value, scope)?, self.expr(other, scope)?);
                // Unlike COALESCE the first argument alone gives the type.
                let ty = if value.is_null() { other.ty } else { value.ty };
                let nullable = value.nullable && other.nullable;
                let (a, b) = (self.coerce(value, ty)?, self.coerce(other, ty)?);
                Typed {
                    nullable,
                    ..Typed::new(format!("ifnull({},{})", a.sql, b.sql), ty)
                }
            }
            ("COALESCE", [_, _, ..]) => {
                let values = args
                    .iter()
                    .map(|a| self.expr(a, scope))
                    .collect::<SqlResult<Vec<_>>>()?;
                if values.iter().all(Typed::is_null) {
                    return Err(SqlError::new(
                        4127,
                        "At least one of the arguments to COALESCE must be an expression that is not the \
                         NULL constant.",
                    ));
                }
                let ty = self.common_type(&values);
                let nullable = values.iter().all(|v| v.nullable);
                let parts = values
                    .into_iter()
                    .map(|v| self.coerce(v, ty).map(|v| v.sql))
                    .collect::<SqlResult<Vec<_>>>()?;
                Typed {
                    nullable,
                    ..Typed::new(format!("coalesce({})", parts.join(",")), ty)
                }
            }
            ("NULLIF", [a, b]) => self.null_if(a, b, scope)?,
            ("CHOOSE", [index, rest @ ..]) if !rest.is_empty() => {
                let index = self.expr(index, scope)?;
                let index = self.coerce(index, T::Int)?.sql;
                let conditions = (1..=rest.len()).map(|n| format!("{index}={n}")).collect();
                let mut results = rest
                    .iter()
                    .map(|a| self.expr(a, scope))
                    .collect::<SqlResult<Vec<_>>>()?;
                results.push(Typed::null());
                self.choose(conditions, results)?
            }
            _ => return Ok(None),
        }))
    }

    pub(super) fn characters(&mut self, value: &Typed) -> SqlResult<Typed> {
        if value.ty.is_text() && !value.is_null() {
            return Ok(value.clone());
        }
        self.cast(value.clone(), T::VarChar(8000), None, true, false)
    }

    fn text_call(&mut self, name: &str, args: &[Typed]) -> SqlResult<Option<Typed>> {
        let typed = |sql: String, ty| computed(args, sql, ty);
        match (name, args) {
            ("DATALENGTH", [value]) => {
                let ty = if value.ty.length() == Some(MAX) {
                    T::BigInt
                } else {
                    T::Int
                };
                typed(
                    format!("t_datalength({},{})", value.sql, value.ty.code()),
                    ty,
                )
            }
            ("LEN", [value]) => {
                let text = self.characters(value)?;
                let ty = if text.ty.length() == Some(MAX) {
                    T::BigInt
                } else {
                    T::Int
                };
                typed(format!("t_len({})", text.sql), ty)
            }
            ("UPPER" | "LOWER" | "LTRIM" | "RTRIM" | "TRIM" | "REVERSE", [value]) => {
                let text = self.characters(value)?;
                let ty = varying(text.ty);
                typed(format!("t_text('{name}',{})", text.sql), ty)
            }
            ("LEFT" | "RIGHT", [value, count]) => {
                let (text, count) = (self.characters(value)?, self.coerce(count.clone(), T::Int)?);
                let ty = cut(varying(text.ty), &count);
                typed(
                    format!("t_{}({},{})", name.to_lowercase(), text.sql, count.sql),
                    ty,
                )
            }
            _ => self.text_search(name, args),
        }
    }

    /// Parts of texts, and where they are.
    fn text_search(&mut self, name: &str, args: &[Typed]) -> SqlResult<Option<Typed>> {
        let typed = |sql: String, ty| computed(args, sql, ty);
        match (name, args) {
            ("SUBSTRING", [value, start, length]) => {
                let (start, length) = (
                    self.coerce(start.clone(), T::BigInt)?,
                    self.coerce(length.clone(), T::BigInt)?,
                );
                let value = if value.ty.is_binary() {
                    value.clone()
                } else {
                    self.characters(value)?
                };
                let ty = cut(varying(plain(value.ty)), &length);
                typed(
                    format!("t_substring({},{},{})", value.sql, start.sql, length.sql),
                    ty,
                )
            }
            ("REPLACE", [text, from, to]) => {
                let [a, b, c] = [
                    self.characters(text)?,
                    self.characters(from)?,
                    self.characters(to)?,
                ];
                let unicode = [&a, &b, &c].iter().any(|p| p.ty.is_unicode());
                let ty = longest(unicode, a.ty.length() == Some(MAX));
                // A plain type is cut to its length, however much the text grew.
                let full = longest(unicode, true);
                let sql = format!("t_replace({},{},{})", a.sql, b.sql, c.sql);
                typed(
                    format!("t_cv({sql},{},{},NULL)", full.code(), ty.code()),
                    ty,
                )
            }
            ("CHARINDEX", [find, text, rest @ ..]) if rest.len() < 2 => {
                let (find, text) = (self.characters(find)?, self.characters(text)?);
                let start = match rest.first() {
                    Some(start) => self.coerce(start.clone(), T::BigInt)?.sql,
                    None => "1".into(),
                };
                typed(
                    format!("t_charindex({},{},{start})", find.sql, text.sql),
                    count_type(&text),
                )
            }
            _ => self.text_building(name, args),
        }
    }

    /// Texts longer than their arguments.
    fn text_building(&mut self, name: &str, args: &[Typed]) -> SqlResult<Option<Typed>> {
        let typed = |sql: String, ty| computed(args, sql, ty);
        match (name, args) {
            ("REPLICATE", [text, count]) => {
                let (text, count) = (
                    self.characters(text)?,
                    self.coerce(count.clone(), T::BigInt)?,
                );
                let n = if text.ty.length() == Some(MAX) {
                    MAX
                } else if text.ty.is_unicode() {
                    4000
                } else {
                    8000
                };
                let ty = if text.ty.is_unicode() {
                    T::NVarChar(n)
                } else {
                    T::VarChar(n)
                };
                typed(format!("t_replicate({},{},{n})", text.sql, count.sql), ty)
            }
            ("SPACE", [count]) => {
                let count = self.coerce(count.clone(), T::BigInt)?;
                typed(
                    format!("t_replicate(' ',{},8000)", count.sql),
                    T::VarChar(8000),
                )
            }
            ("STUFF", [text, start, length, with]) => {
                let (text, with) = (self.characters(text)?, self.characters(with)?);
                let (start, length) = (
                    self.coerce(start.clone(), T::BigInt)?,
                    self.coerce(length.clone(), T::BigInt)?,
                );
                let unicode = text.ty.is_unicode() || with.ty.is_unicode();
                let total = text
                    .ty
                    .length()
                    .unwrap_or(MAX)
                    .saturating_add(with.ty.length().unwrap_or(MAX));
                let max = [&text, &with].iter().any(|t| t.ty.length() == Some(MAX));
                let n = if max {
                    MAX
                } else {
                    limit_text(total, unicode).min(if unicode { 4000 } else { 8000 })
                };
                let ty = if unicode {
                    T::NVarChar(n)
                } else {
                    T::VarChar(n)
                };
                let sql = format!(
                    "t_stuff({},{},{},ifnull({},''))",
                    text.sql, start.sql, length.sql, with.sql
                );
                Ok(Some(Typed::new(sql, ty)))
            }
            _ => self.text_making(name, args),
        }
    }

    /// Texts of other things, and codes of characters.
    fn text_making(&mut self, name: &str, args: &[Typed]) -> SqlResult<Option<Typed>> {
        match (name, args) {
            ("CONCAT", [_, _, ..]) => self.concat(args, None).map(Some),
            ("CONCAT_WS", [separator, rest @ ..]) if rest.len() > 1 => {
                let separator = self.characters(separator)?;
                self.concat(rest, Some(separator)).map(Some)
            }
            ("ASCII" | "UNICODE", [value]) => {
                let text = self.characters(value)?;
                Ok(Some(Typed::new(
                    format!("t_code('{name}',{})", text.sql),
                    T::Int,
                )))
            }
            ("CHAR" | "NCHAR", [value]) => {
                let code = self.coerce(value.clone(), T::Int)?;
                let ty = if name == "CHAR" {
                    T::Char(1)
                } else {
                    T::NChar(1)
                };
                Ok(Some(Typed::new(
                    format!("t_char('{name}',{})", code.sql),
                    ty,
                )))
            }
            ("NEWID", []) => Ok(Some(
                Typed::new("t_newid()", T::UniqueIdentifier).not_null(),
            )),
            _ => Ok(None),
        }
    }

    fn number_call(&mut self, name: &str, args: &[Typed]) -> SqlResult<Option<Typed>> {
        let typed = |sql: String, ty| computed(args, sql, ty);
        match (name, args) {
            ("ABS" | "SIGN" | "CEILING" | "FLOOR", [value]) => {
                let value = if value.ty.is_text() {
                    self.coerce(value.clone(), T::Float)?
                } else {
                    value.clone()
                };
                if !value.ty.is_numeric() {
                    return Err(SqlError::new(
                        8116,
                        format!(
                            "Argument data type {} is invalid for argument 1 of {} function.",
                            value.ty.base_name(),
                            name.to_lowercase()
                        ),
                    ));
                }
                let ty = if matches!(value.ty, T::TinyInt | T::SmallInt | T::Bit) {
                    T::Int
                } else {
                    value.ty
                };
                let ty = match (name, ty) {
                    (
                        "CEILING" | "FLOOR",
                        T::Decimal {
                            precision, numeric, ..
                        },
                    ) => T::Decimal {
                        precision,
                        scale: 0,
                        numeric,
                    },
                    (_, T::Real) => T::Float,
                    (_, other) => other,
                };
                // CEILING keeps the fraction until the function has rounded it.
                let value = if ty.storage() == Storage::Decimal {
                    value
                } else {
                    self.coerce(value, ty)?
                };
                typed(format!("t_num('{name}',{},{})", value.sql, ty.code()), ty)
            }
            _ => self.math_call(name, args),
        }
    }

    /// Rounding, roots, powers and angles.
    fn math_call(&mut self, name: &str, args: &[Typed]) -> SqlResult<Option<Typed>> {
        let typed = |sql: String, ty| computed(args, sql, ty);
        match (name, args) {
            ("ROUND", [value, digits, rest @ ..]) if rest.len() < 2 => {
                let value = if value.ty.is_numeric() {
                    value.clone()
                } else {
                    self.coerce(value.clone(), T::Float)?
                };
                let digits = self.coerce(digits.clone(), T::Int)?;
                let truncate = match rest.first() {
                    Some(flag) => self.coerce(flag.clone(), T::Int)?.sql,
                    None => "0".into(),
                };
                let ty = if matches!(value.ty, T::TinyInt | T::SmallInt | T::Bit) {
                    T::Int
                } else if value.ty == T::Real {
                    T::Float
                } else {
                    value.ty
                };
                typed(
                    format!(
                        "t_round({},{},{truncate},{})",
                        value.sql,
                        digits.sql,
                        ty.code()
                    ),
                    ty,
                )
            }
            (
                "SQRT" | "EXP" | "LOG10" | "SIN" | "COS" | "TAN" | "SQUARE" | "LOG" | "RADIANS"
                | "DEGREES",
                [value],
            ) => {
                let value = self.coerce(value.clone(), T::Float)?;
                typed(format!("t_math('{name}',{},NULL)", value.sql), T::Float)
            }
            ("PI", []) => Ok(Some(Typed::new("3.141592653589793", T::Float).not_null())),
            _ => Ok(None),
        }
    }
}

/// What a function makes of its arguments: NULL where one of them is.
pub(super) fn computed(args: &[Typed], sql: String, ty: SqlType) -> SqlResult<Option<Typed>> {
    Ok(Some(Typed {
        nullable: args.iter().any(|arg| arg.nullable),
        ..Typed::new(sql, ty)
    }))
}

/// A type that is no longer than a count that is known.
fn cut(ty: SqlType, count: &Typed) -> SqlType {
    let Some(Value::Int(count)) = count.constant else {
        return ty;
    };
    let Some(n) = u16::try_from(count).ok().filter(|n| *n > 0) else {
        return ty;
    };
    match ty {
        T::VarChar(have) if have != MAX => T::VarChar(have.min(n)),
        T::NVarChar(have) if have != MAX => T::NVarChar(have.min(n)),
        T::VarBinary(have) if have != MAX => T::VarBinary(have.min(n)),
        other => other,
    }
}

/// What SUBSTRING makes of the old large types.
fn plain(ty: SqlType) -> SqlType {
    match ty {
        T::Text => T::VarChar(8000),
        T::NText => T::NVarChar(4000),
        T::Image => T::VarBinary(8000),
        other => other,
    }
}

/// The variable-length type of a text or binary type.
pub(super) fn varying(ty: SqlType) -> SqlType {
    match ty {
        T::Char(n) => T::VarChar(n),
        T::NChar(n) => T::NVarChar(n),
        T::Binary(n) => T::VarBinary(n),
        other => other,
    }
}

fn arguments<'e>(call: &'e Function, name: &str) -> SqlResult<Args<'e>> {
    let mut args = Args {
        exprs: Vec::new(),
        star: false,
        distinct: false,
    };
    let list = match &call.args {
        FunctionArguments::None => return Ok(args),
        FunctionArguments::Subquery(_) => return Err(SqlError::syntax_near(name)),
        FunctionArguments::List(list) => list,
    };
    if !list.clauses.is_empty() {
        return Err(SqlError::unsupported(format!("this form of {name}")));
    }
    args.distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    for arg in &list.args {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => args.exprs.push(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => args.star = true,
            _ => return Err(SqlError::syntax_near(arg)),
        }
    }
    Ok(args)
}

/// The longest plain type of text, or the `(max)` one.
fn longest(unicode: bool, max: bool) -> SqlType {
    match (unicode, max) {
        (true, true) => T::NVarChar(MAX),
        (true, false) => T::NVarChar(4000),
        (false, true) => T::VarChar(MAX),
        (false, false) => T::VarChar(8000),
    }
}
