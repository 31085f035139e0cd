//! Expressions as the catalogue shows them: SQL Server keeps the decoded form, not the text.

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator, Value,
};

/// The definition of a default: `((0))`, `(getdate())`, `(N'new')`.
pub(crate) fn definition(expr: &Expr) -> String {
    match expr {
        Expr::Nested(inner) => definition(inner),
        other => format!("({})", text(other)),
    }
}

/// The definition of a check: `([price]>(0) AND [price]<(10))`.
pub(crate) fn condition(expr: &Expr) -> String {
    definition(expr)
}

fn text(expr: &Expr) -> String {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(..) => format!("({})", value.value),
            Value::Null => "NULL".into(),
            other => other.to_string(),
        },
        Expr::Nested(inner) => match inner.as_ref() {
            plain @ (Expr::Value(_) | Expr::Nested(_) | Expr::Function(_)) => text(plain),
            other => format!("({})", text(other)),
        },
        Expr::Identifier(name) => bracketed(&name.value),
        Expr::CompoundIdentifier(parts) => {
            let parts: Vec<String> = parts.iter().map(|p| bracketed(&p.value)).collect();
            parts.join(".")
        }
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => match expr.as_ref() {
            Expr::Value(value) => format!("(-{})", value.value),
            other => format!("-{}", text(other)),
        },
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => format!("NOT {}", text(expr)),
        Expr::BinaryOp { left, op, right } => binary(left, op, right),
        Expr::IsNull(inner) => format!("{} IS NULL", text(inner)),
        Expr::IsNotNull(inner) => format!("{} IS NOT NULL", text(inner)),
        Expr::InList {
            expr,
            list,
            negated: false,
        } => {
            let subject = text(expr);
            let parts: Vec<String> = list
                .iter()
                .rev()
                .map(|item| format!("{subject}={}", text(item)))
                .collect();
            parts.join(" OR ")
        }
        Expr::Between {
            expr,
            negated: false,
            low,
            high,
        } => {
            let subject = text(expr);
            format!("{subject}>={} AND {subject}<={}", text(low), text(high))
        }
        Expr::Function(call) => function(call).unwrap_or_else(|| expr.to_string()),
        other => other.to_string(),
    }
}

fn binary(left: &Expr, op: &BinaryOperator, right: &Expr) -> String {
    let gap = matches!(op, BinaryOperator::And | BinaryOperator::Or);
    let gap = if gap { " " } else { "" };
    format!("{}{gap}{op}{gap}{}", text(left), text(right))
}

/// Names of built-in functions are in small letters.
fn function(call: &sqlparser::ast::Function) -> Option<String> {
    let name = call.name.to_string().to_lowercase();
    let FunctionArguments::List(list) = &call.args else {
        return Some(if name == "current_timestamp" {
            "getdate()".into()
        } else {
            name
        });
    };
    let mut args = Vec::new();
    for arg in &list.args {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => args.push(text(expr)),
            _ => return None,
        }
    }
    Some(format!("{name}({})", args.join(",")))
}

fn bracketed(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::engine::parser;

    #[test]
    fn expressions_are_shown_decoded() {
        for (given, shown) in [
            ("0", "((0))"),
            ("(0)", "((0))"),
            ("-1", "((-1))"),
            ("N'new'", "(N'new')"),
            ("GETDATE()", "(getdate())"),
            ("price > 0 AND price < 5", "([price]>(0) AND [price]<(5))"),
            ("a IN ('x','y')", "([a]='y' OR [a]='x')"),
            (
                "LEN(a) BETWEEN 1 AND 3",
                "(len([a])>=(1) AND len([a])<=(3))",
            ),
        ] {
            let expr = parser::expression(given).unwrap();
            assert_eq!(definition(&expr), shown, "{given}");
        }
    }
}
