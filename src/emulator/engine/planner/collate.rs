//! COLLATE where two texts are compared, matched or sorted. Elsewhere a collation other than the
//! database's is refused, since it would have to follow the value.

use sqlparser::ast::{BinaryOperator as Op, Expr};

use super::super::error::{SqlError, SqlResult};
use super::super::types::collate::Rules;
use super::{Planner, Scope, Typed};

/// A collation that is not the database's.
struct Named<'e> {
    expr: &'e Expr,
    rules: Rules,
    name: String,
}

/// The rules of a collation; `None` if it is not known.
fn rules(name: &str) -> Option<Rules> {
    let name = name.trim_matches(['[', ']']).to_ascii_lowercase();
    let rest = [
        "sql_latin1_general_cp1_",
        "latin1_general_100_",
        "latin1_general_",
    ]
    .iter()
    .find_map(|prefix| name.strip_prefix(prefix))?;
    Some(match rest {
        "ci_as" => Rules::Ci,
        "cs_as" => Rules::Cs,
        "ci_ai" => Rules::Ai,
        "bin2" if !name.starts_with("sql_") => Rules::Bin,
        _ => return None,
    })
}

/// The COLLATE around an expression, unless it names the database's collation.
fn explicit(expr: &Expr) -> SqlResult<Option<Named<'_>>> {
    match expr {
        Expr::Nested(inner) => explicit(inner),
        Expr::Collate { expr, collation } => {
            let name = collation.to_string();
            if super::expr::is_default_collation(&name) {
                return Ok(None);
            }
            let rules =
                rules(&name).ok_or_else(|| SqlError::unsupported(format!("COLLATE {name}")))?;
            Ok(Some(Named { expr, rules, name }))
        }
        _ => Ok(None),
    }
}

impl Planner<'_> {
    /// A comparison of which a side says COLLATE.
    pub(super) fn collated_compare(
        &mut self,
        left: &Expr,
        symbol: &str,
        right: &Expr,
        scope: &Scope<'_>,
    ) -> SqlResult<Option<String>> {
        let (a, b) = (explicit(left)?, explicit(right)?);
        let Some(rules) = agreed(a.as_ref(), b.as_ref())? else {
            return Ok(None);
        };
        let left = self.collatable(a.as_ref().map_or(left, |n| n.expr), scope)?;
        let right = self.collatable(b.as_ref().map_or(right, |n| n.expr), scope)?;
        Ok(Some(format!(
            "(({} COLLATE {}){symbol}{})",
            left.sql,
            rules.name(),
            right.sql
        )))
    }

    /// IN with a list, of which something says COLLATE.
    pub(super) fn collated_in(
        &mut self,
        expr: &Expr,
        list: &[Expr],
        scope: &Scope<'_>,
    ) -> SqlResult<Option<String>> {
        let mut any = explicit(expr)?.is_some();
        for item in list {
            any |= explicit(item)?.is_some();
        }
        if !any {
            return Ok(None);
        }
        let mut tests = Vec::new();
        for item in list {
            tests.push(self.compare(expr, &Op::Eq, item, scope)?);
        }
        Ok(Some(format!("({})", tests.join(" OR "))))
    }

    /// The sides of LIKE without their COLLATE, and the rules.
    pub(super) fn like_sides<'e>(
        &mut self,
        expr: &'e Expr,
        pattern: &'e Expr,
    ) -> SqlResult<(&'e Expr, &'e Expr, Rules)> {
        let (a, b) = (explicit(expr)?, explicit(pattern)?);
        let rules = agreed(a.as_ref(), b.as_ref())?.unwrap_or(Rules::Ci);
        Ok((
            a.map_or(expr, |n| n.expr),
            b.map_or(pattern, |n| n.expr),
            rules,
        ))
    }

    /// An ORDER BY key that says COLLATE.
    pub(super) fn collated_key(
        &mut self,
        expr: &Expr,
        scope: &Scope<'_>,
    ) -> SqlResult<Option<String>> {
        let Some(named) = explicit(expr)? else {
            return Ok(None);
        };
        let value = self.collatable(named.expr, scope)?;
        Ok(Some(format!(
            "({} COLLATE {})",
            value.sql,
            named.rules.name()
        )))
    }

    fn collatable(&mut self, expr: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        let value = self.expr(expr, scope)?;
        if value.ty.is_text() && !value.ty.is_old_lob() || value.is_null() {
            return Ok(value);
        }
        Err(SqlError::new(
            447,
            format!(
                "Expression type {} is invalid for COLLATE clause.",
                value.ty.base_name()
            ),
        ))
    }
}

fn agreed(a: Option<&Named<'_>>, b: Option<&Named<'_>>) -> SqlResult<Option<Rules>> {
    match (a, b) {
        (Some(a), Some(b)) if !a.name.eq_ignore_ascii_case(&b.name) => Err(SqlError::new(
            468,
            format!(
                "Cannot resolve the collation conflict between \"{}\" and \"{}\" in the equal to operation.",
                b.name, a.name
            ),
        )
        .state(9)),
        (Some(named), _) | (_, Some(named)) => Ok(Some(named.rules)),
        _ => Ok(None),
    }
}
