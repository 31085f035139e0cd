//! Parsed expressions to ones whose names are resolved.

use sqlparser::ast::{
    self, BinaryOperator, CastKind, DataType, DuplicateTreatment, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, UnaryOperator,
};

use super::Context;
use super::error::{SqlError, shortened};
use super::expr::{Aggregate, Binary, Expr};
use super::functions::{Function, global};
use super::like::Pattern;
use super::value::{Kind, MAX_TEXT, same_name};
use crate::tds::Scalar;

/// A parameter: its name with the `@`, its kind and its value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::proxy) struct Param {
    pub(in crate::proxy) name: String,
    pub(in crate::proxy) kind: Kind,
    pub(in crate::proxy) value: Scalar,
}

/// The parameters of a statement.
pub(in crate::proxy) type Params = [Param];

/// The names that an expression may use.
pub(super) struct Scope<'a> {
    pub(super) columns: &'a [(&'static str, Kind)],
    /// What may stand before a column's name.
    pub(super) table: Option<String>,
    pub(super) params: &'a Params,
    pub(super) context: &'a Context,
}

/// Deepest nesting of an expression. A chain of AND is one, too.
const MAX_DEPTH: usize = 200;

impl Scope<'_> {
    /// A condition or value of a row.
    pub(super) fn plain(&self, expr: &ast::Expr) -> Result<Expr, SqlError> {
        let bound = self.any(expr)?;
        if bound.has_aggregate() {
            return Err(SqlError::unknown("an aggregate function there"));
        }
        Ok(bound)
    }

    /// A value that may hold aggregates.
    pub(super) fn any(&self, expr: &ast::Expr) -> Result<Expr, SqlError> {
        self.bind(expr, MAX_DEPTH)
    }

    /// The place of a column.
    pub(super) fn column(&self, name: &str) -> Option<(usize, Kind)> {
        self.columns
            .iter()
            .enumerate()
            .find(|(_, (known, _))| same_name(known, name))
            .map(|(at, (_, kind))| (at, *kind))
    }

    fn bind(&self, expr: &ast::Expr, depth: usize) -> Result<Expr, SqlError> {
        let depth = depth
            .checked_sub(1)
            .ok_or(SqlError::TooDeep { max: MAX_DEPTH })?;
        let boxed = |expr: &ast::Expr| self.bind(expr, depth).map(Box::new);
        Ok(match expr {
            ast::Expr::Nested(of) | ast::Expr::Collate { expr: of, .. } => self.bind(of, depth)?,
            ast::Expr::Value(value) => Expr::Value(literal(&value.value)?),
            ast::Expr::Identifier(name) => self.name(name)?,
            ast::Expr::CompoundIdentifier(parts) => self.qualified(parts)?,
            ast::Expr::UnaryOp { op, expr } => match op {
                UnaryOperator::Not => Expr::Not(boxed(expr)?),
                UnaryOperator::Plus => self.bind(expr, depth)?,
                UnaryOperator::Minus => match self.bind(expr, depth)? {
                    Expr::Value(Scalar::Int(int)) => Expr::Value(Scalar::Int(-int)),
                    Expr::Value(Scalar::Float(float)) => Expr::Value(Scalar::Float(-float)),
                    other => Expr::Negative(Box::new(other)),
                },
                other => return Err(SqlError::unknown(format!("the operator {other}"))),
            },
            ast::Expr::BinaryOp { left, op, right } => {
                Expr::Binary(operator(op)?, boxed(left)?, boxed(right)?)
            }
            ast::Expr::IsNull(of) => Expr::IsNull(boxed(of)?),
            ast::Expr::IsNotNull(of) => Expr::Not(Box::new(Expr::IsNull(boxed(of)?))),
            ast::Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => {
                let (operand, otherwise) = (operand.as_deref(), else_result.as_deref());
                self.case(operand, conditions, otherwise, depth)?
            }
            ast::Expr::Function(function) => self.function(function, depth)?,
            ast::Expr::InList { .. } | ast::Expr::Between { .. } | ast::Expr::Like { .. } => {
                self.condition(expr, depth)?
            }
            _ => self.conversion(expr, depth)?,
        })
    }

    /// IN, BETWEEN and LIKE.
    fn condition(&self, expr: &ast::Expr, depth: usize) -> Result<Expr, SqlError> {
        let boxed = |expr: &ast::Expr| self.bind(expr, depth).map(Box::new);
        let (negated, bound) = match expr {
            ast::Expr::InList {
                expr,
                list,
                negated,
            } => {
                let list: Result<_, _> = list.iter().map(|item| self.bind(item, depth)).collect();
                (negated, Expr::In(boxed(expr)?, list?))
            }
            ast::Expr::Between {
                expr,
                negated,
                low,
                high,
            } => {
                let between = Expr::Between(boxed(expr)?, boxed(low)?, boxed(high)?);
                (negated, between)
            }
            ast::Expr::Like {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => {
                let escape = escape_char.as_deref().map(|char| self.escape(char));
                let pattern = self.bind(pattern, depth)?;
                (negated, like(boxed(expr)?, pattern, escape.transpose()?)?)
            }
            _ => return Err(SqlError::unknown("such an expression")),
        };
        Ok(match negated {
            true => Expr::Not(Box::new(bound)),
            false => bound,
        })
    }

    /// CAST, CONVERT, and SUBSTRING, which the parser treats apart.
    fn conversion(&self, expr: &ast::Expr, depth: usize) -> Result<Expr, SqlError> {
        let boxed = |expr: &ast::Expr| self.bind(expr, depth).map(Box::new);
        Ok(match expr {
            ast::Expr::Cast {
                kind,
                expr,
                data_type,
                format: None,
            } => Expr::Cast {
                value: boxed(expr)?,
                kind: kind_of(data_type)?,
                lenient: *kind != CastKind::Cast,
            },
            ast::Expr::Convert {
                is_try,
                expr,
                data_type: Some(data_type),
                ..
            } => Expr::Cast {
                value: boxed(expr)?,
                kind: kind_of(data_type)?,
                lenient: *is_try,
            },
            ast::Expr::Substring {
                expr,
                substring_from: Some(from),
                substring_for: Some(take),
                ..
            } => {
                let arguments = [&**expr, &**from, &**take];
                let bound = arguments.map(|argument| self.bind(argument, depth));
                Expr::Call(
                    Function::Substring,
                    bound.into_iter().collect::<Result<_, _>>()?,
                )
            }
            _ => return Err(SqlError::unknown("such an expression")),
        })
    }

    /// A name that stands alone: a column, a parameter, or a variable.
    fn name(&self, name: &Ident) -> Result<Expr, SqlError> {
        let text = &name.value;
        if name.quote_style.is_none() && text.starts_with("@@") {
            return global(text, self.context)
                .map(Expr::Value)
                .ok_or_else(|| SqlError::unknown(format!("`{text}`")));
        }
        if name.quote_style.is_none() && text.starts_with('@') {
            return self.param(text);
        }
        if let Some((at, kind)) = self.column(text) {
            return Ok(Expr::Column(at, kind));
        }
        let bare = [
            "current_user",
            "session_user",
            "system_user",
            "user",
            "current_timestamp",
        ];
        if name.quote_style.is_none() && bare.iter().any(|bare| same_name(bare, text)) {
            return Ok(Expr::Call(Function::named(text, 0)?, Vec::new()));
        }
        Err(SqlError::NoColumn {
            name: shortened(text),
        })
    }

    fn param(&self, name: &str) -> Result<Expr, SqlError> {
        let param = self
            .params
            .iter()
            .find(|param| same_name(&param.name, name));
        let param = param.ok_or_else(|| SqlError::NoParameter {
            name: shortened(name),
        })?;
        // A value's own kind may be narrower than what the client declared.
        Ok(Expr::Cast {
            value: Box::new(Expr::Value(param.value.clone())),
            kind: param.kind,
            lenient: false,
        })
    }

    /// `table.column`, with or without a schema and a database before it.
    fn qualified(&self, parts: &[Ident]) -> Result<Expr, SqlError> {
        let no_column = || SqlError::NoColumn {
            name: shortened(
                &parts
                    .iter()
                    .map(|part| part.value.as_str())
                    .collect::<Vec<_>>()
                    .join("."),
            ),
        };
        let [.., table, column] = parts else {
            return Err(no_column());
        };
        let fits = |known: &String| same_name(known, &table.value);
        if !self.table.as_ref().is_some_and(fits) {
            return Err(no_column());
        }
        self.column(&column.value)
            .map(|(at, kind)| Expr::Column(at, kind))
            .ok_or_else(no_column)
    }

    fn case(
        &self,
        operand: Option<&ast::Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&ast::Expr>,
        depth: usize,
    ) -> Result<Expr, SqlError> {
        let operand = operand.map(|expr| self.bind(expr, depth)).transpose()?;
        let mut whens = Vec::new();
        for when in conditions {
            let condition = self.bind(&when.condition, depth)?;
            whens.push((condition, self.bind(&when.result, depth)?));
        }
        let otherwise = otherwise.map(|expr| self.bind(expr, depth)).transpose()?;
        Ok(Expr::Case {
            operand: operand.map(Box::new),
            whens,
            otherwise: otherwise.map(Box::new),
        })
    }

    fn function(&self, function: &ast::Function, depth: usize) -> Result<Expr, SqlError> {
        let name = function.name.to_string();
        if function.over.is_some()
            || function.filter.is_some()
            || !function.within_group.is_empty()
            || !matches!(function.parameters, FunctionArguments::None)
        {
            return Err(SqlError::unknown(format!("such a call of `{name}`")));
        }
        let (distinct, arguments) = match &function.args {
            FunctionArguments::None => (false, &[][..]),
            FunctionArguments::List(list) if list.clauses.is_empty() => (
                list.duplicate_treatment == Some(DuplicateTreatment::Distinct),
                &list.args[..],
            ),
            _ => return Err(SqlError::unknown(format!("such a call of `{name}`"))),
        };
        if let Some(aggregate) = aggregate(&name) {
            return self.aggregate(aggregate, distinct, arguments, depth);
        }
        let known = Function::named(&name, arguments.len())?;
        let mut bound = Vec::new();
        for argument in arguments {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument else {
                return Err(SqlError::unknown(format!("such an argument of `{name}`")));
            };
            bound.push(self.bind(argument, depth)?);
        }
        Ok(Expr::Call(known, bound))
    }

    fn aggregate(
        &self,
        function: Aggregate,
        distinct: bool,
        arguments: &[FunctionArg],
        depth: usize,
    ) -> Result<Expr, SqlError> {
        let of = match arguments {
            [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] if function == Aggregate::Count => {
                None
            }
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(of))] => {
                let of = self.bind(of, depth)?;
                if of.has_aggregate() {
                    return Err(SqlError::unknown("an aggregate of an aggregate"));
                }
                Some(Box::new(of))
            }
            _ => return Err(SqlError::unknown("such arguments of an aggregate function")),
        };
        Ok(Expr::Aggregate {
            function,
            distinct,
            of,
        })
    }

    /// The one character of ESCAPE.
    fn escape(&self, expr: &ast::Expr) -> Result<char, SqlError> {
        let text = match self.bind(expr, 2)? {
            Expr::Value(Scalar::Text(text)) => text,
            _ => String::new(),
        };
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(char), None) => Ok(char),
            _ => Err(SqlError::syntax("ESCAPE takes one character")),
        }
    }
}

fn like(of: Box<Expr>, pattern: Expr, escape: Option<char>) -> Result<Expr, SqlError> {
    let known = match &pattern {
        Expr::Value(Scalar::Text(text)) => Some(text),
        Expr::Cast { value, .. } => match &**value {
            Expr::Value(Scalar::Text(text)) => Some(text),
            _ => None,
        },
        _ => None,
    };
    match known {
        // Matching takes time proportional to the lengths of both.
        Some(text) if text.len() > usize::from(MAX_TEXT) * 2 => Err(SqlError::TooLong {
            len: text.len(),
            max: usize::from(MAX_TEXT) * 2,
            unit: "bytes of a pattern",
        }),
        Some(text) => Ok(Expr::Like(of, Pattern::new(text, escape))),
        None if escape.is_some() => Err(SqlError::unknown("ESCAPE with such a pattern")),
        None => Ok(Expr::LikeOf(of, Box::new(pattern))),
    }
}

fn literal(value: &ast::Value) -> Result<Scalar, SqlError> {
    Ok(match value {
        ast::Value::Null => Scalar::Null,
        ast::Value::Number(text, _) => match (text.parse(), text.parse::<f64>()) {
            (Ok(int), _) => Scalar::Int(int),
            (_, Ok(float)) if float.is_finite() => Scalar::Float(float),
            _ => return Err(SqlError::Overflow),
        },
        ast::Value::SingleQuotedString(text) | ast::Value::NationalStringLiteral(text) => {
            Scalar::Text(text.clone())
        }
        other => return Err(SqlError::unknown(format!("`{other}`"))),
    })
}

fn operator(operator: &BinaryOperator) -> Result<Binary, SqlError> {
    Ok(match operator {
        BinaryOperator::Plus => Binary::Add,
        BinaryOperator::Minus => Binary::Subtract,
        BinaryOperator::Multiply => Binary::Multiply,
        BinaryOperator::Divide => Binary::Divide,
        BinaryOperator::Modulo => Binary::Modulo,
        BinaryOperator::Eq => Binary::Equal,
        BinaryOperator::NotEq => Binary::Unequal,
        BinaryOperator::Lt => Binary::Less,
        BinaryOperator::LtEq => Binary::LessOrEqual,
        BinaryOperator::Gt => Binary::Greater,
        BinaryOperator::GtEq => Binary::GreaterOrEqual,
        BinaryOperator::And => Binary::And,
        BinaryOperator::Or => Binary::Or,
        other => return Err(SqlError::unknown(format!("the operator {other}"))),
    })
}

fn aggregate(name: &str) -> Option<Aggregate> {
    Some(match name.to_ascii_lowercase().as_str() {
        "avg" => Aggregate::Average,
        "count" | "count_big" => Aggregate::Count,
        "max" => Aggregate::Max,
        "min" => Aggregate::Min,
        "sum" => Aggregate::Sum,
        _ => return None,
    })
}

/// The kind that a type of T-SQL is shown as.
pub(super) fn kind_of(data_type: &DataType) -> Result<Kind, SqlError> {
    let text = data_type.to_string().to_ascii_lowercase();
    let (name, rest) = text.split_once('(').unwrap_or((&text, ""));
    let length = rest.trim_end_matches(')').trim();
    Ok(match name.trim() {
        "bit" => Kind::Bit,
        "tinyint" | "smallint" | "int" | "integer" => Kind::Int,
        "bigint" => Kind::BigInt,
        "float" | "real" | "decimal" | "numeric" | "money" | "smallmoney" | "double"
        | "double precision" => Kind::Float,
        "date" | "datetime" | "datetime2" | "smalldatetime" | "datetimeoffset" => Kind::Moment,
        // Without a length they have 30 characters in CAST.
        "char" | "varchar" | "nchar" | "nvarchar" | "sysname" => Kind::Text(match length {
            "" => 30,
            "max" => MAX_TEXT,
            length => length.parse().unwrap_or(MAX_TEXT).min(MAX_TEXT),
        }),
        _ => return Err(SqlError::unknown(format!("the type {}", shortened(&text)))),
    })
}
