//! Table functions about metadata: extended properties, one's own permissions.

use sqlparser::ast::{FunctionArg, FunctionArgExpr};

use super::super::catalogue::permissions;
use super::super::error::{SqlError, SqlResult};
use super::super::types::{SqlType, Value};
use super::scope::SourceColumn;
use super::{Planner, Scope, literal};

use SqlType as T;

impl Planner<'_> {
    /// The SQL and the columns of such a function, if it is one.
    pub(super) fn metadata_table(
        &mut self,
        function: &str,
        args: &[FunctionArg],
        scope: &Scope<'_>,
    ) -> SqlResult<Option<(String, Vec<SourceColumn>)>> {
        match function.trim_start_matches("SYS.") {
            "FN_LISTEXTENDEDPROPERTY" if args.len() == 7 => Ok(Some(no_properties())),
            "FN_MY_PERMISSIONS" if args.len() == 2 => self.my_permissions(args, scope).map(Some),
            "FN_LISTEXTENDEDPROPERTY" | "FN_MY_PERMISSIONS" => Err(SqlError::new(
                313,
                format!("An insufficient number of arguments were supplied for the procedure or function {}.", function.to_lowercase()),
            )
            .state(3)),
            _ => Ok(None),
        }
    }

    /// `sys.fn_my_permissions(securable, class)`.
    fn my_permissions(
        &mut self,
        args: &[FunctionArg],
        scope: &Scope<'_>,
    ) -> SqlResult<(String, Vec<SourceColumn>)> {
        let mut texts = Vec::new();
        for arg in args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else {
                return Err(SqlError::syntax_near(arg));
            };
            texts.push(self.constant_text(expr, scope, "fn_my_permissions")?);
        }
        let class = texts.pop().flatten().unwrap_or_default().to_uppercase();
        let securable = texts.pop().flatten();
        let shown = match class.as_str() {
            "DATABASE" => "database".to_owned(),
            _ => securable.clone().unwrap_or_default(),
        };
        let mut rows = Vec::new();
        if let Some(on) = self.securable(securable.as_deref(), &class)? {
            let state = self.state;
            let alias = state.database.alias();
            for permission in permissions::ALL {
                let given = permission.is_for(on.class_and_id().0);
                if given
                    && state
                        .acting()
                        .may(&state.conn, &alias, permission.name, on)?
                {
                    rows.push(format!("({},'',{})", text(&shown), text(permission.name)));
                }
            }
        }
        let sql = if rows.is_empty() {
            "(SELECT NULL AS c1,NULL AS c2,NULL AS c3 WHERE 0)".to_owned()
        } else {
            format!(
                "(SELECT column1 AS c1,column2 AS c2,column3 AS c3 FROM (VALUES {}))",
                rows.join(",")
            )
        };
        Ok((
            sql,
            columns(&[
                ("entity_name", T::NVarChar(128)),
                ("subentity_name", T::NVarChar(128)),
                ("permission_name", T::NVarChar(60)),
            ]),
        ))
    }
}

fn text(value: &str) -> String {
    literal(&Value::Text(value.to_owned()))
}

/// `fn_listextendedproperty`: there are none here.
fn no_properties() -> (String, Vec<SourceColumn>) {
    (
        "(SELECT NULL AS c1,NULL AS c2,NULL AS c3,NULL AS c4 WHERE 0)".into(),
        columns(&[
            ("objtype", T::NVarChar(128)),
            ("objname", T::NVarChar(128)),
            ("name", T::NVarChar(128)),
            ("value", T::Variant),
        ]),
    )
}

fn columns(list: &[(&str, SqlType)]) -> Vec<SourceColumn> {
    (1..)
        .zip(list)
        .map(|(index, (name, ty))| SourceColumn {
            name: (*name).to_owned(),
            sql: format!("c{index}"),
            ty: *ty,
            nullable: true,
            identity: false,
        })
        .collect()
}
