//! Catalogue procedures that drivers call: T-SQL over the catalogue views.

mod texts;

use super::super::error::{SqlError, SqlResult};
use super::super::parser;
use super::super::parser::ast::Arg;
use super::super::planner::{Scope, Variable, Variables};
use super::super::types::{SqlType, Value, allow, convert};
use super::Run;

/// A procedure written in T-SQL.
struct Catalogued {
    names: &'static [&'static str],
    /// `@name type` or `@name type=default`, with commas between them.
    parameters: &'static str,
    body: &'static str,
}

/// An argument of a call.
pub(super) struct Given {
    pub(super) name: Option<String>,
    pub(super) ty: SqlType,
    pub(super) value: Value,
}

/// Procedures of Azure SQL that the engine has not.
const MISSING: &[&str] = &[
    "sp_addextendedproperty",
    "sp_configure",
    "sp_databases",
    "sp_depends",
    "sp_describe_parameter_encryption",
    "sp_dropextendedproperty",
    "sp_estimate_data_compression_savings",
    "sp_help",
    "sp_helpconstraint",
    "sp_helpdb",
    "sp_helpindex",
    "sp_helprole",
    "sp_helprolemember",
    "sp_helprotect",
    "sp_helptext",
    "sp_helpuser",
    "sp_invoke_external_rest_endpoint",
    "sp_lock",
    "sp_recompile",
    "sp_refreshview",
    "sp_set_session_context",
    "sp_spaceused",
    "sp_updateextendedproperty",
    "sp_updatestats",
    "sp_who",
    "sp_who2",
];

impl Run<'_, '_> {
    /// The arguments of EXEC as values.
    pub(super) fn given(&mut self, args: &[Arg]) -> SqlResult<Vec<Given>> {
        args.iter()
            .map(|arg| {
                let (ty, value) = self.value(&arg.value, None)?;
                Ok(Given {
                    name: arg.name.clone(),
                    ty,
                    value,
                })
            })
            .collect()
    }

    /// Calls a system procedure that is no part of the language itself.
    pub(super) fn system_procedure(&mut self, name: &str, given: Vec<Given>) -> SqlResult<i32> {
        if let Some(procedure) = texts::ALL.iter().find(|p| p.names.contains(&name)) {
            let variables = self.bind(name, procedure.parameters, given)?;
            self.check_qualifiers(&variables)?;
            let mut body = procedure.body.to_owned();
            if name.ends_with("_100") {
                body = body.replace("/*100*/", "").replace("{100}", "1");
            }
            // What only the newer form shows stands behind a mark.
            let body: Vec<&str> = body
                .lines()
                .filter(|line| !line.contains("/*100*/"))
                .collect();
            let body = body.join("\n").replace("{100}", "0");
            let (_, status) = self.nested(&body, variables)?;
            return Ok(status);
        }
        match name {
            "sp_getapplock" => return self.take_app_lock(given),
            "sp_rename" => return self.sp_rename(given),
            "sp_releaseapplock" => return self.release_app_lock(given),
            _ => {}
        }
        if name == "sp_describe_undeclared_parameters" {
            let variables = self.bind(
                name,
                "@tsql nvarchar(max),@params nvarchar(max)=NULL",
                given,
            )?;
            let text = |name: &str| match variables.get(name).map(|v| &v.value) {
                Some(Value::Text(text)) => text.clone(),
                _ => String::new(),
            };
            return self.describe_undeclared(&text("@tsql"), &text("@params"));
        }
        if name == "sp_describe_first_result_set" {
            let variables = self.bind(
                name,
                "@tsql nvarchar(max),@params nvarchar(max)=NULL,@browse_information_mode tinyint=0",
                given,
            )?;
            let value = |name: &str| variables.get(name).map(|v| v.value.clone());
            let text = |name: &str| match value(name) {
                Some(Value::Text(text)) => text,
                _ => String::new(),
            };
            let browse = match value("@browse_information_mode") {
                Some(Value::Int(mode)) => mode,
                _ => 0,
            };
            return self.describe_first(&text("@tsql"), &text("@params"), browse);
        }
        if MISSING.contains(&name) || name.starts_with("sp_cursor") || name.starts_with("xp_") {
            return Err(SqlError::unsupported(name));
        }
        Err(SqlError::new(2812, format!("Could not find stored procedure '{name}'.")).state(62))
    }

    /// Values for a procedure's parameters, by name and by position.
    pub(super) fn bind(
        &mut self,
        procedure: &str,
        parameters: &str,
        given: Vec<Given>,
    ) -> SqlResult<Variables> {
        let mut declared = Vec::new();
        for parameter in parameters.split(',') {
            let (declaration, default) = match parameter.split_once('=') {
                Some((declaration, default)) => (declaration, Some(default)),
                None => (parameter, None),
            };
            let declared_here = parser::parameters(declaration)?;
            declared.extend(declared_here.into_iter().map(|d| (d, default)));
        }
        let mut variables = Variables::new();
        for (index, argument) in given.into_iter().enumerate() {
            let found = match &argument.name {
                Some(name) => declared
                    .iter()
                    .find(|(d, _)| d.name.eq_ignore_ascii_case(name)),
                None => declared.get(index),
            };
            let (parameter, _) = found.ok_or_else(|| match &argument.name {
                Some(name) => SqlError::new(
                    8145,
                    format!("{name} is not a parameter for procedure {procedure}."),
                ),
                None => SqlError::new(
                    8144,
                    format!("Procedure or function {procedure} has too many arguments specified."),
                )
                .state(2),
            })?;
            if !argument.value.is_null() {
                allow::allowed(argument.ty, parameter.ty, false)?;
            }
            let value = convert::cast(argument.value, argument.ty, parameter.ty, None)?;
            let ty = parameter.ty;
            variables.insert(parameter.name.to_lowercase(), Variable { ty, value });
        }
        for (parameter, default) in &declared {
            let key = parameter.name.to_lowercase();
            if variables.contains_key(&key) {
                continue;
            }
            let default = default.ok_or_else(|| {
                SqlError::new(
                    201,
                    format!(
                        "Procedure or function '{procedure}' expects parameter '{}', which was not supplied.",
                        parameter.name
                    ),
                )
                .state(4)
            })?;
            let expr = parser::expression(default)?;
            let typed = self.planner().expr(&expr, &Scope::inside(None))?;
            let value = typed.constant.unwrap_or(Value::Null);
            let value = convert::cast(value, typed.ty, parameter.ty, None)?;
            let ty = parameter.ty;
            variables.insert(key, Variable { ty, value });
        }
        Ok(variables)
    }

    /// An error of the procedure's own, after which it goes on to return its status.
    pub(super) fn call_error(&mut self, error: SqlError, status: i32) -> SqlResult<i32> {
        if error.is_unsupported() || self.tries > 0 || self.state.settings.xact_abort {
            return Err(error);
        }
        self.out.error(&error);
        Ok(status)
    }

    /// 15250: a qualifier must be the current database, or a pattern that asks for all.
    fn check_qualifiers(&self, variables: &Variables) -> SqlResult<()> {
        for (name, variable) in variables {
            let Value::Text(text) = &variable.value else {
                continue;
            };
            let own = &self.state.database.name;
            let known = text.is_empty() || text == "%" || text.eq_ignore_ascii_case(own);
            if name.ends_with("_qualifier") && !known {
                return Err(SqlError::new(
                    15250,
                    "The database name component of the object qualifier must be the name of the current database.",
                ));
            }
        }
        Ok(())
    }
}
