//! What sqlparser reads and T-SQL does not have, or this engine not yet: refused, never ignored.
//!
//! The trees are taken apart without `..`, so that a field that a new version of sqlparser brings
//! must be looked at here.

use sqlparser::ast::{
    Cte, Distinct, ForClause, Function, FunctionArguments, GroupByExpr, GroupByWithModifier, Join,
    OrderBy, Query, Select, SelectFlavor, SelectInto, TableAlias, TableAliasColumnDef,
    WildcardAdditionalOptions,
};

use super::super::error::{SqlError, SqlResult};
use super::Planner;

impl Planner<'_> {
    /// The clauses of a query that stand around its body.
    pub(super) fn check_tail(&self, query: &Query) -> SqlResult<()> {
        let Query {
            with: _,
            body: _,
            order_by,
            limit_clause: _,
            fetch: _,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        match for_clause {
            None => {}
            Some(ForClause::Xml { .. }) => return Err(SqlError::unsupported("FOR XML")),
            Some(ForClause::Json { .. }) => return Err(SqlError::unsupported("FOR JSON")),
            Some(ForClause::Browse) => return Err(SqlError::unsupported("FOR BROWSE")),
        }
        if !locks.is_empty() {
            return Err(SqlError::keyword_near("FOR"));
        }
        if let Some(OrderBy {
            kind: _,
            interpolate: Some(_),
        }) = order_by
        {
            return Err(SqlError::syntax_near("INTERPOLATE"));
        }
        if settings.is_some() || format_clause.is_some() || !pipe_operators.is_empty() {
            return Err(foreign());
        }
        Ok(())
    }

    /// 1033: only the outermost query has an order of its own.
    pub(super) fn check_order(&self, query: &Query) -> SqlResult<()> {
        let top = query.body.as_select().is_some_and(|s| s.top.is_some());
        if query.order_by.is_some() && query.limit_clause.is_none() && query.fetch.is_none() && !top
        {
            return Err(SqlError::new(1033, "The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries, and common table expressions, unless TOP, OFFSET or FOR XML is also specified.").class(15));
        }
        Ok(())
    }
}

/// The clauses of a SELECT.
pub(super) fn check_select(select: &Select) -> SqlResult<()> {
    let Select {
        select_token: _,
        optimizer_hints,
        distinct,
        select_modifiers,
        top,
        top_before_distinct,
        projection: _,
        exclude,
        into,
        from: _,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by: _,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window: _,
        qualify,
        // Says where WINDOW stands, which means something beside QUALIFY only.
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    if top.is_some() && *top_before_distinct && distinct.is_some() {
        return Err(SqlError::keyword_near("DISTINCT"));
    }
    if into.is_some() {
        return Err(SqlError::keyword_near("INTO"));
    }
    let other = exclude.is_some()
        || !optimizer_hints.is_empty()
        || !lateral_views.is_empty()
        || prewhere.is_some()
        || !connect_by.is_empty()
        || !cluster_by.is_empty()
        || !distribute_by.is_empty()
        || !sort_by.is_empty()
        || qualify.is_some()
        || value_table_mode.is_some()
        || select_modifiers.is_some()
        || !matches!(flavor, SelectFlavor::Standard)
        || matches!(distinct, Some(Distinct::On(_)));
    if other { Err(foreign()) } else { Ok(()) }
}

/// SELECT … INTO's own options.
pub(crate) fn check_into(into: &SelectInto) -> SqlResult<()> {
    let SelectInto {
        temporary,
        unlogged,
        table,
        targets: _,
    } = into;
    if *temporary || *unlogged || *table {
        return Err(SqlError::keyword_near("INTO"));
    }
    Ok(())
}

/// The expressions of GROUP BY, and which modifier follows them.
pub(super) fn group_list(
    group_by: &GroupByExpr,
) -> SqlResult<(&[sqlparser::ast::Expr], Option<&GroupByWithModifier>)> {
    let GroupByExpr::Expressions(exprs, modifiers) = group_by else {
        return Err(SqlError::keyword_near("ALL"));
    };
    match modifiers.as_slice() {
        [] => Ok((exprs, None)),
        [one @ (GroupByWithModifier::Rollup | GroupByWithModifier::Cube)] => Ok((exprs, Some(one))),
        _ => Err(SqlError::keyword_near("WITH")),
    }
}

pub(super) fn check_cte(cte: &Cte) -> SqlResult<()> {
    let Cte {
        alias,
        query: _,
        from,
        materialized,
        closing_paren_token: _,
    } = cte;
    check_alias(alias)?;
    if from.is_some() || materialized.is_some() {
        return Err(foreign());
    }
    Ok(())
}

pub(super) fn check_alias(alias: &TableAlias) -> SqlResult<()> {
    let TableAlias {
        explicit: _,
        name: _,
        columns,
        at,
    } = alias;
    let typed = columns.iter().find(|column| {
        let TableAliasColumnDef { name: _, data_type } = column;
        data_type.is_some()
    });
    match (typed, at) {
        (None, None) => Ok(()),
        (Some(column), _) => Err(SqlError::syntax_near(&column.name.value)),
        (None, Some(at)) => Err(SqlError::syntax_near(at)),
    }
}

pub(super) fn check_join(join: &Join) -> SqlResult<()> {
    let Join {
        relation: _,
        global,
        join_operator: _,
    } = join;
    if *global { Err(foreign()) } else { Ok(()) }
}

pub(super) fn check_star(options: &WildcardAdditionalOptions) -> SqlResult<()> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    let plain = opt_ilike.is_none()
        && opt_exclude.is_none()
        && opt_except.is_none()
        && opt_replace.is_none()
        && opt_rename.is_none()
        && opt_alias.is_none();
    if plain {
        Ok(())
    } else {
        Err(SqlError::syntax_near("*"))
    }
}

pub(super) fn check_function(call: &Function, name: &str) -> SqlResult<()> {
    let Function {
        name: _,
        uses_odbc_syntax,
        parameters,
        args: _,
        within_group: _,
        filter,
        null_treatment,
        over: _,
    } = call;
    if *uses_odbc_syntax
        || filter.is_some()
        || null_treatment.is_some()
        || !matches!(parameters, FunctionArguments::None)
    {
        return Err(SqlError::unsupported(format!("this form of {name}")));
    }
    Ok(())
}

fn foreign() -> SqlError {
    SqlError::unsupported("a clause that is not T-SQL")
}
