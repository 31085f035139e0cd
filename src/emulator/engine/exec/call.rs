//! EXEC: dynamic SQL and the procedures that the engine has.

use super::super::deep::with_stack;
use super::super::error::{SqlError, SqlResult};
use super::super::parser;
use super::super::parser::ast::{Arg, Exec, Security};
use super::super::planner::{Variable, Variables};
use super::super::session::state::Declared;
use super::super::types::{MAX, SqlType, Value, convert};
use super::super::wire::out::Captured;
use super::arguments::declarations;
use super::{MAX_NESTING, Run, flow, table_variables};

impl Run<'_, '_> {
    pub(super) fn exec(&mut self, exec: &Exec) -> SqlResult<()> {
        match exec {
            Exec::Text(text) => {
                let sql = self.text(text)?;
                self.nested(&sql, Variables::new())?;
                self.ended_call(None);
                Ok(())
            }
            Exec::Procedure { result, name, args } => {
                let procedure = name.0.last().map(|p| p.to_string()).unwrap_or_default();
                let procedure = procedure.trim_matches(['[', ']', '"']).to_lowercase();
                let status = self.procedure(&procedure, args)?;
                self.ended_call(Some(status));
                if let Some(result) = result {
                    let key = result.to_lowercase();
                    let variable = self
                        .variables
                        .get_mut(&key)
                        .ok_or_else(|| SqlError::undeclared(result))?;
                    variable.value =
                        convert::cast(Value::Int(status.into()), SqlType::Int, variable.ty, None)?;
                }
                Ok(())
            }
        }
    }

    /// Runs EXEC for the rows of its results.
    pub(super) fn captured(&mut self, exec: &Exec) -> SqlResult<Vec<Captured>> {
        if self.out.captured.is_some() {
            return Err(SqlError::new(
                8164,
                "An INSERT EXEC statement cannot be nested.",
            ));
        }
        self.out.captured = Some(Vec::new());
        self.out.in_procedure += 1;
        let result = self.exec(exec);
        self.out.in_procedure -= 1;
        let rows = self.out.captured.take().unwrap_or_default();
        result.map(|()| rows)
    }

    /// Only the outermost call ends with DONEPROC.
    fn ended_call(&mut self, status: Option<i32>) {
        if self.out.in_procedure > 0 {
            return;
        }
        if let Some(status) = status {
            self.out.return_status(status);
        }
        self.out.done_proc(false);
    }

    fn procedure(&mut self, name: &str, args: &[Arg]) -> SqlResult<i32> {
        match name {
            "sp_executesql" => self.execute_sql(args),
            "sp_addextendedproperty" => self.add_extended_property(args),
            "sp_reset_connection" => {
                Err(self.state.refuse_reset().err().unwrap_or_else(|| {
                    SqlError::unsupported("sp_reset_connection called by a batch")
                }))
            }
            "sp_set_session_context" => self.set_session_context(args),
            "sp_addrolemember" | "sp_droprolemember" => {
                let [role, member] = args else {
                    return Err(SqlError::new(201, format!("Procedure or function '{name}' expects parameter '@membername', which was not supplied.")).state(4));
                };
                let (role, member) = (self.text(&role.value)?, self.text(&member.value)?);
                let ident = |text: String| sqlparser::ast::Ident::new(text);
                self.security(&Security::AlterRole {
                    role: ident(role),
                    member: ident(member),
                    add: name == "sp_addrolemember",
                })?;
                Ok(0)
            }
            _ if name.starts_with('#') => self.own_procedure(name, args),
            _ => {
                let given = self.given(args)?;
                self.system_procedure(name, given)
            }
        }
    }

    pub(super) fn text(&mut self, expr: &sqlparser::ast::Expr) -> SqlResult<String> {
        let (ty, value) = self.value(expr, None)?;
        match convert::cast(value, ty, SqlType::NVarChar(MAX), None)? {
            Value::Text(text) => Ok(text),
            _ => Ok(String::new()),
        }
    }

    /// `EXEC sp_executesql N'…', N'@p int', @p = 1`.
    fn execute_sql(&mut self, args: &[Arg]) -> SqlResult<i32> {
        let Some((statement, rest)) = args.split_first() else {
            return Err(SqlError::new(201, "Procedure or function 'sp_executesql' expects parameter '@statement', which was not supplied.").state(4));
        };
        let (ty, _) = self.value(&statement.value, None)?;
        if ty.is_text() && !ty.is_unicode() {
            return Err(SqlError::new(
                214,
                "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'.",
            )
            .state(2));
        }
        let sql = self.text(&statement.value)?;
        let declared = match rest.first() {
            None => Vec::new(),
            Some(list) => declarations(&self.text(&list.value)?)?,
        };
        let mut variables = Variables::new();
        let mut back: Vec<(String, String)> = Vec::new();
        for (index, arg) in rest.iter().skip(1).enumerate() {
            let parameter = match &arg.name {
                Some(name) => declared.iter().find(|d| d.name.eq_ignore_ascii_case(name)),
                None => declared.get(index),
            };
            let parameter = parameter.ok_or_else(|| {
                SqlError::new(
                    8144,
                    "Procedure or function sp_executesql has too many arguments specified.",
                )
                .state(2)
            })?;
            let (ty, value) = self.value(&arg.value, None)?;
            let value = convert::cast(value, ty, parameter.ty, None)?;
            variables.insert(
                parameter.name.to_lowercase(),
                Variable {
                    ty: parameter.ty,
                    value,
                },
            );
            if let (true, sqlparser::ast::Expr::Identifier(name)) = (arg.output, &arg.value) {
                back.push((parameter.name.to_lowercase(), name.value.to_lowercase()));
            }
        }
        missing(&declared, &variables, &sql)?;
        let (after, status) = self.nested(&sql, variables)?;
        for (inner, outer) in back {
            if let (Some(from), Some(to)) = (after.get(&inner), self.variables.get_mut(&outer)) {
                to.value = convert::cast(from.value.clone(), from.ty, to.ty, None)?;
            }
        }
        Ok(status)
    }

    /// Runs a text as a batch of its own inside this one.
    pub(super) fn nested(
        &mut self,
        sql: &str,
        variables: Variables,
    ) -> SqlResult<(Variables, i32)> {
        self.module(sql, variables, false)
    }

    /// As [`nested`](Self::nested); in a procedure RETURN may have a value.
    pub(super) fn module(
        &mut self,
        sql: &str,
        variables: Variables,
        is_procedure: bool,
    ) -> SqlResult<(Variables, i32)> {
        if self.depth >= MAX_NESTING {
            return Err(SqlError::new(
                217,
                "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).",
            ));
        }
        with_stack(|| self.nested_deep(sql, variables, is_procedure))
    }

    fn nested_deep(
        &mut self,
        sql: &str,
        variables: Variables,
        is_procedure: bool,
    ) -> SqlResult<(Variables, i32)> {
        let statements =
            parser::batch(sql).inspect_err(|error| self.state.surfaced = Some(error.number))?;
        let outer = table_variables::enter(self.state, true);
        let (settings, isolation) = (self.state.settings.clone(), self.state.isolation);
        let identity = self.state.scope_identity.take();
        let mut inner = Run {
            state: self.state,
            out: self.out,
            variables,
            caught: self.caught.clone(),
            tries: self.tries,
            depth: self.depth + 1,
        };
        inner.out.in_procedure += 1;
        let context = inner.state.enter_module();
        let result = inner
            .compiled(&statements, is_procedure)
            .and_then(|()| inner.statements(&statements));
        inner.state.leave_module(context);
        inner.out.in_procedure -= 1;
        let variables = std::mem::take(&mut inner.variables);
        table_variables::leave(self.state, outer);
        // What SET changed, and the last identity value, end with the procedure.
        self.state.settings = settings;
        self.state.isolation = isolation;
        self.state.scope_identity = identity;
        if let Err(error) = &result {
            self.state.surfaced = Some(error.number);
        }
        match result? {
            flow::Flow::Return(status) => Ok((variables, status)),
            _ => Ok((variables, 0)),
        }
    }
}

/// 8178: all declared parameters must have a value.
pub(super) fn missing(declared: &[Declared], given: &Variables, sql: &str) -> SqlResult<()> {
    match declared
        .iter()
        .find(|d| !given.contains_key(&d.name.to_lowercase()))
    {
        None => Ok(()),
        Some(parameter) => {
            let start: String = sql.chars().take(60).collect();
            Err(SqlError::new(
                8178,
                format!(
                    "The parameterized query '{start}' expects the parameter '{}', which was not supplied.",
                    parameter.name
                ),
            ))
        }
    }
}
