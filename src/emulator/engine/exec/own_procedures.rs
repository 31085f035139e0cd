//! Procedures of the session's own: `CREATE PROCEDURE #name`.

use sqlparser::ast::Expr;

use super::super::catalogue::tables::QualifiedName;
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Arg, Procedure};
use super::super::planner::{Scope, Variable, Variables};
use super::super::session::state::Declared;
use super::super::types::{Value, allow, convert};
use super::Run;

impl Run<'_, '_> {
    pub(super) fn create_procedure(&mut self, procedure: &Procedure) -> SqlResult<()> {
        let name = QualifiedName::of(&procedure.name)?.name;
        if !name.starts_with('#') || name.starts_with("##") {
            return Err(SqlError::unsupported(
                "CREATE PROCEDURE without a # before its name",
            ));
        }
        let key = name.to_lowercase();
        if self.state.procedures.contains_key(&key) {
            let text = format!("There is already an object named '{name}' in the database.");
            return Err(SqlError::new(2714, text).state(3));
        }
        self.state.procedures.insert(key, procedure.clone().into());
        Ok(())
    }

    /// `DROP PROCEDURE`; tells whether there was one.
    pub(super) fn drop_procedure(&mut self, name: &str) -> bool {
        self.state.procedures.remove(&name.to_lowercase()).is_some()
    }

    /// Calls it, and gives output parameters back to the variables that they were given by.
    pub(super) fn own_procedure(&mut self, name: &str, args: &[Arg]) -> SqlResult<i32> {
        let Some(procedure) = self.state.procedures.get(name).cloned() else {
            let text = format!("Could not find stored procedure '{name}'.");
            return Err(SqlError::new(2812, text).state(62));
        };
        let mut variables = Variables::new();
        let mut back = Vec::new();
        for (index, arg) in args.iter().enumerate() {
            let parameter = formal(&procedure, name, index, arg)?;
            let (ty, value) = self.value(&arg.value, None)?;
            if !value.is_null() {
                allow::allowed(ty, parameter.ty, false)?;
            }
            let value = convert::cast(value, ty, parameter.ty, None)?;
            let (key, ty) = (parameter.name.to_lowercase(), parameter.ty);
            variables.insert(key.clone(), Variable { ty, value });
            if let (true, Expr::Identifier(variable)) = (arg.output, &arg.value) {
                if !parameter.output {
                    return Err(not_for_output(&parameter.name));
                }
                back.push((key, variable.value.to_lowercase()));
            }
        }
        self.defaults(&procedure, name, &mut variables)?;
        let (after, status) = self.module(&procedure.body, variables, true)?;
        for (inner, outer) in back {
            if let (Some(from), Some(to)) = (after.get(&inner), self.variables.get_mut(&outer)) {
                to.value = convert::cast(from.value.clone(), from.ty, to.ty, None)?;
            }
        }
        Ok(status)
    }

    fn defaults(
        &mut self,
        procedure: &Procedure,
        name: &str,
        variables: &mut Variables,
    ) -> SqlResult<()> {
        for (parameter, default) in &procedure.parameters {
            let key = parameter.name.to_lowercase();
            if variables.contains_key(&key) {
                continue;
            }
            let default = default.as_ref().ok_or_else(|| {
                let text = format!(
                    "Procedure or function '{name}' expects parameter '{}', which was not supplied.",
                    parameter.name
                );
                SqlError::new(201, text).state(4)
            })?;
            let typed = self.planner().expr(default, &Scope::inside(None))?;
            let value = typed.constant.unwrap_or(Value::Null);
            let value = convert::cast(value, typed.ty, parameter.ty, None)?;
            let ty = parameter.ty;
            variables.insert(key, Variable { ty, value });
        }
        Ok(())
    }
}

/// The parameter that an argument is for.
fn formal<'p>(
    procedure: &'p Procedure,
    name: &str,
    index: usize,
    arg: &Arg,
) -> SqlResult<&'p Declared> {
    let mut all = procedure.parameters.iter().map(|(declared, _)| declared);
    match &arg.name {
        None => all.nth(index).ok_or_else(|| {
            let text = format!("Procedure or function {name} has too many arguments specified.");
            SqlError::new(8144, text).state(2)
        }),
        Some(own) => all
            .find(|declared| declared.name.eq_ignore_ascii_case(own))
            .ok_or_else(|| {
                let text = format!("{own} is not a parameter for procedure {name}.");
                SqlError::new(8145, text)
            }),
    }
}

fn not_for_output(name: &str) -> SqlError {
    let text = format!(
        "The formal parameter \"{name}\" was not declared as an OUTPUT parameter, but the actual \
         parameter passed in requested output."
    );
    SqlError::new(8162, text).state(2)
}
