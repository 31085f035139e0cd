//! OVER: what is in a window, by T-SQL's rules.

use sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, OrderByExpr, Value as Lit, WindowFrame,
    WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

use super::super::error::{SqlError, SqlResult};
use super::query::order_term;
use super::{Planner, Scope, refuse};

/// Functions that need an order and take no frame.
const RANKING: &[&str] = &[
    "ROW_NUMBER",
    "RANK",
    "DENSE_RANK",
    "NTILE",
    "LAG",
    "LEAD",
    "PERCENT_RANK",
    "CUME_DIST",
];

/// Named windows may refer to each other so deep.
const MAX_WINDOWS: usize = 32;

impl Planner<'_> {
    /// OVER of a function in SQLite's SQL.
    pub(super) fn over(
        &mut self,
        name: &str,
        window: &WindowType,
        scope: &Scope<'_>,
    ) -> SqlResult<String> {
        allowed_here(scope)?;
        let WindowSpec {
            window_name: _,
            partition_by,
            order_by,
            window_frame,
        } = resolved(window, scope)?;
        check_order(name, &order_by, window_frame.as_ref())?;
        let mut sql = String::new();
        if !partition_by.is_empty() {
            let mut terms = Vec::new();
            for expr in &partition_by {
                let value = self.expr(expr, scope)?;
                refuse::sort(value.ty)?;
                terms.push(value.collated());
            }
            sql.push_str(&format!("PARTITION BY {}", terms.join(",")));
        }
        // ORDER BY (SELECT NULL) says that the order does not matter.
        let ordered: Vec<_> = order_by
            .iter()
            .filter(|t| !is_constant_query(&t.expr))
            .cloned()
            .collect();
        if !ordered.is_empty() {
            sql.push_str(&self.order_list(&ordered, scope)?);
        }
        if let Some(frame) = &window_frame {
            sql.push_str(&self.frame(frame, scope)?);
        }
        Ok(format!(" OVER ({sql})"))
    }

    pub(super) fn order_list(
        &mut self,
        list: &[OrderByExpr],
        scope: &Scope<'_>,
    ) -> SqlResult<String> {
        let mut terms = Vec::new();
        for term in list {
            let value = self.expr(&term.expr, scope)?;
            terms.push(order_term(&value.sql, Some(value.ty), term)?);
        }
        Ok(format!(" ORDER BY {}", terms.join(",")))
    }

    fn frame(&mut self, frame: &WindowFrame, scope: &Scope<'_>) -> SqlResult<String> {
        let WindowFrame {
            units,
            start_bound,
            end_bound,
        } = frame;
        let units = match units {
            WindowFrameUnits::Rows => "ROWS",
            WindowFrameUnits::Range => "RANGE",
            WindowFrameUnits::Groups => return Err(SqlError::syntax_near("GROUPS")),
        };
        let end_bound = end_bound.as_ref().unwrap_or(&WindowFrameBound::CurrentRow);
        let numbered = |bound: &WindowFrameBound| {
            matches!(
                bound,
                WindowFrameBound::Preceding(Some(_)) | WindowFrameBound::Following(Some(_))
            )
        };
        if units == "RANGE" && (numbered(start_bound) || numbered(end_bound)) {
            return Err(SqlError::new(
                4194,
                "RANGE is only supported with UNBOUNDED and CURRENT ROW window frame delimiters.",
            ));
        }
        if side(start_bound) > side(end_bound)
            || matches!(start_bound, WindowFrameBound::Following(None))
            || matches!(end_bound, WindowFrameBound::Preceding(None))
        {
            return Err(SqlError::new(
                4193,
                format!(
                    "'BETWEEN {start_bound} AND {end_bound}' is not a valid window frame and cannot be used with the OVER clause."
                ),
            ));
        }
        let (start, end) = (
            self.bound(start_bound, scope)?,
            self.bound(end_bound, scope)?,
        );
        Ok(format!(" {units} BETWEEN {start} AND {end}"))
    }

    fn bound(&mut self, bound: &WindowFrameBound, scope: &Scope<'_>) -> SqlResult<String> {
        let (n, word) = match bound {
            WindowFrameBound::CurrentRow => return Ok("CURRENT ROW".into()),
            WindowFrameBound::Preceding(None) => return Ok("UNBOUNDED PRECEDING".into()),
            WindowFrameBound::Following(None) => return Ok("UNBOUNDED FOLLOWING".into()),
            WindowFrameBound::Preceding(Some(n)) => (n, "PRECEDING"),
            WindowFrameBound::Following(Some(n)) => (n, "FOLLOWING"),
        };
        // T-SQL takes an unsigned literal here, and nothing else.
        if !matches!(n.as_ref(), Expr::Value(v) if matches!(v.value, Lit::Number(..))) {
            return Err(SqlError::syntax_near(n));
        }
        Ok(format!(
            "{} {word}",
            self.constant_int(n, scope, "window frame")?
        ))
    }
}

/// 4108 and 4109: windows are for the select list and ORDER BY, and do not stand in each other.
fn allowed_here(scope: &Scope<'_>) -> SqlResult<()> {
    if scope.in_aggregate.get() || scope.in_window.get() {
        return Err(SqlError::new(4109, "Windowed functions cannot be used in the context of another windowed function or aggregate.").class(15));
    }
    let clause = scope.clause.get();
    if scope.no_aggregates.get() || !matches!(clause, "the select list" | "the ORDER BY clause") {
        return Err(SqlError::new(
            4108,
            "Windowed functions can only appear in the SELECT or ORDER BY clauses.",
        )
        .class(15));
    }
    Ok(())
}

fn check_order(name: &str, order_by: &[OrderByExpr], frame: Option<&WindowFrame>) -> SqlResult<()> {
    let ranking = RANKING.contains(&name);
    if ranking && frame.is_some() {
        return Err(SqlError::new(
            10752,
            format!("The function '{name}' may not have a window frame."),
        ));
    }
    let needs = ranking || matches!(name, "FIRST_VALUE" | "LAST_VALUE");
    if needs && order_by.is_empty() {
        return Err(SqlError::new(
            4112,
            format!("The function '{name}' must have an OVER clause with ORDER BY."),
        )
        .class(15));
    }
    if frame.is_some() && order_by.is_empty() {
        return Err(SqlError::new(
            10756,
            "Window frame with ROWS or RANGE must have an ORDER BY clause.",
        ));
    }
    for term in order_by {
        match &term.expr {
            Expr::Value(v) if matches!(&v.value, Lit::Number(n, _) if !n.contains('.')) => {
                return Err(SqlError::new(
                    5308,
                    "Windowed functions, aggregates and NEXT VALUE FOR functions do not support integer indices as ORDER BY clause expressions.",
                ));
            }
            Expr::Value(_) => {
                return Err(SqlError::new(
                    5309,
                    "Windowed functions, aggregates and NEXT VALUE FOR functions do not support constants as ORDER BY clause expressions.",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A subquery without FROM has one value for all rows.
fn is_constant_query(expr: &Expr) -> bool {
    let Expr::Subquery(query) = expr else {
        return false;
    };
    query.with.is_none()
        && query.body.as_select().is_some_and(|select| {
            let [sqlparser::ast::SelectItem::UnnamedExpr(Expr::Value(_))] =
                select.projection.as_slice()
            else {
                return false;
            };
            select.from.is_empty()
        })
}

/// Where a bound lies: before the row, at it, or after it.
fn side(bound: &WindowFrameBound) -> i8 {
    match bound {
        WindowFrameBound::Preceding(_) => -1,
        WindowFrameBound::CurrentRow => 0,
        WindowFrameBound::Following(_) => 1,
    }
}

/// The window with the named ones put in that it is made of.
fn resolved(window: &WindowType, scope: &Scope<'_>) -> SqlResult<WindowSpec> {
    match window {
        WindowType::NamedWindow(name) => named(name, scope, 0),
        WindowType::WindowSpec(spec) => completed(spec, scope, 0),
    }
}

fn named(name: &Ident, scope: &Scope<'_>, depth: usize) -> SqlResult<WindowSpec> {
    if depth > MAX_WINDOWS {
        return Err(SqlError::unsupported(
            "windows that refer to each other in a ring",
        ));
    }
    let found = scope
        .windows
        .iter()
        .find(|NamedWindowDefinition(known, _)| {
            super::tables::same_name(&known.value, &name.value)
        });
    match found {
        Some(NamedWindowDefinition(_, NamedWindowExpr::WindowSpec(spec))) => {
            completed(spec, scope, depth)
        }
        Some(NamedWindowDefinition(_, NamedWindowExpr::NamedWindow(other))) => {
            named(other, scope, depth + 1)
        }
        None => Err(SqlError::syntax_near(name)),
    }
}

fn completed(spec: &WindowSpec, scope: &Scope<'_>, depth: usize) -> SqlResult<WindowSpec> {
    let Some(name) = &spec.window_name else {
        return Ok(spec.clone());
    };
    let base = named(name, scope, depth + 1)?;
    let twice = !base.partition_by.is_empty() && !spec.partition_by.is_empty()
        || !base.order_by.is_empty() && !spec.order_by.is_empty()
        || base.window_frame.is_some() && spec.window_frame.is_some();
    if twice {
        return Err(SqlError::unsupported(
            "a window element that the named window has, too",
        ));
    }
    let or = |a: &Vec<Expr>, b: Vec<Expr>| if a.is_empty() { b } else { a.clone() };
    Ok(WindowSpec {
        window_name: None,
        partition_by: or(&spec.partition_by, base.partition_by),
        order_by: if spec.order_by.is_empty() {
            base.order_by
        } else {
            spec.order_by.clone()
        },
        window_frame: spec.window_frame.clone().or(base.window_frame),
    })
}
