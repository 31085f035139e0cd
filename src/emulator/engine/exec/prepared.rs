//! Procedure calls of the RPC request: parameterised and prepared statements.

use super::super::error::{SqlError, SqlResult};
use super::super::parser;
use super::super::planner::{Variable, Variables};
use super::super::session::State;
use super::super::session::state::{Declared, Prepared};
use super::super::types::{MAX, SqlType, Value, allow, convert};
use super::super::wire::out::Out;
use super::super::wire::rpc::{Call, Param, Procedure};
use super::batch;
use super::call::missing;

/// Most statements that a session keeps prepared.
const MAX_PREPARED: usize = 10_000;

/// Runs one call and ends it with its status, output parameters and DONEPROC.
pub(super) fn call(state: &mut State, out: &mut Out<'_>, call: Call) {
    out.in_procedure += 1;
    let before = out.first_error.take();
    let result = run(state, out, call);
    out.in_procedure -= 1;
    let failed = match result {
        Ok(()) => out.first_error.is_some(),
        Err(error) => {
            if !error.is_interrupt() {
                out.error(&error);
            }
            true
        }
    };
    out.first_error = before.or(out.first_error.take());
    out.done_proc(failed);
}

fn run(state: &mut State, out: &mut Out<'_>, call: Call) -> SqlResult<()> {
    let name = procedure_name(&call.procedure)?;
    let params = call.params;
    match name.as_str() {
        "sp_executesql" => {
            let sql = text(&params, 0)?;
            let declared = if params.len() > 1 {
                declarations(&text(&params, 1)?)?
            } else {
                Vec::new()
            };
            execute(state, out, &sql, &declared, &params, 2)
        }
        "sp_prepare" => {
            let handle = prepare(state, &text(&params, 1)?, text(&params, 2)?)?;
            out.return_status(0);
            give_handle(out, &params, handle)
        }
        "sp_prepexec" => {
            let handle = prepare(state, &text(&params, 1)?, text(&params, 2)?)?;
            let prepared = find(state, handle)?;
            execute(
                state,
                out,
                &prepared.sql,
                &prepared.declarations,
                &params,
                3,
            )?;
            give_handle(out, &params, handle)
        }
        "sp_execute" => {
            let prepared = find(state, handle(&params)?)?;
            execute(
                state,
                out,
                &prepared.sql,
                &prepared.declarations,
                &params,
                1,
            )
        }
        "sp_unprepare" => {
            let handle = handle(&params)?;
            state
                .prepared
                .remove(&handle)
                .ok_or_else(|| no_handle(handle))?;
            out.return_status(0);
            Ok(())
        }
        "sp_reset_connection" => {
            state.reset(true);
            out.return_status(0);
            Ok(())
        }
        _ if name.starts_with("sp_cursor") => Err(SqlError::unsupported(name)),
        _ => {
            Err(SqlError::new(2812, format!("Could not find stored procedure '{name}'.")).state(62))
        }
    }
}

/// The procedure's name in lower case, without its schema.
fn procedure_name(procedure: &Procedure) -> SqlResult<String> {
    Ok(match procedure {
        Procedure::Id(10) => "sp_executesql".to_owned(),
        Procedure::Id(11) => "sp_prepare".to_owned(),
        Procedure::Id(12) => "sp_execute".to_owned(),
        Procedure::Id(13) => "sp_prepexec".to_owned(),
        Procedure::Id(15) => "sp_unprepare".to_owned(),
        Procedure::Id(id) => {
            return Err(SqlError::unsupported(format!(
                "procedure number {id} (a cursor or RPC procedure)"
            )));
        }
        Procedure::Name(name) => name
            .rsplit('.')
            .next()
            .unwrap_or("")
            .trim_matches(['[', ']'])
            .to_lowercase(),
    })
}

/// Runs the text with the parameters that begin at `first`.
fn execute(
    state: &mut State,
    out: &mut Out<'_>,
    sql: &str,
    declared: &[Declared],
    params: &[Param],
    first: usize,
) -> SqlResult<()> {
    let mut variables = Variables::new();
    let mut outputs: Vec<(u16, String, String, SqlType)> = Vec::new();
    for (index, param) in params.iter().skip(first).enumerate() {
        let declaration = if param.name.is_empty() {
            declared.get(index)
        } else {
            declared
                .iter()
                .find(|d| d.name.eq_ignore_ascii_case(&param.name))
        };
        let declaration = declaration.ok_or_else(|| {
            SqlError::new(
                8144,
                "Procedure or function has too many arguments specified.",
            )
            .state(2)
        })?;
        if param.default {
            return Err(SqlError::unsupported("parameters that take their default"));
        }
        if !param.value.is_null() {
            allow::allowed(param.ty, declaration.ty, false)?;
        }
        let value = convert::cast(param.value.clone(), param.ty, declaration.ty, None)?;
        let key = declaration.name.to_lowercase();
        if param.output && declaration.output {
            let ordinal = u16::try_from(first + index).unwrap_or(u16::MAX);
            outputs.push((ordinal, param.name.clone(), key.clone(), declaration.ty));
        }
        variables.insert(
            key,
            Variable {
                ty: declaration.ty,
                value,
            },
        );
    }
    missing(declared, &variables, sql)?;
    let outcome = batch(state, out, sql, variables);
    let status = outcome
        .error
        .as_ref()
        .map_or(outcome.status, |e| i32::try_from(e.number).unwrap_or(1));
    out.return_status(status);
    for (ordinal, name, key, ty) in outputs {
        if let Some(variable) = outcome.variables.get(&key) {
            out.return_value(ordinal, &name, ty, &variable.value)?;
        }
    }
    Ok(())
}

fn text(params: &[Param], index: usize) -> SqlResult<String> {
    let Some(param) = params.get(index) else {
        return Err(SqlError::new(
            201,
            "Procedure or function expects a parameter, which was not supplied.",
        )
        .state(4));
    };
    match convert::cast(param.value.clone(), param.ty, SqlType::NVarChar(MAX), None)? {
        Value::Text(text) => Ok(text),
        _ => Ok(String::new()),
    }
}

fn handle(params: &[Param]) -> SqlResult<i32> {
    match params.first().map(|p| &p.value) {
        Some(Value::Int(v)) => i32::try_from(*v).map_err(|_| no_handle(0)),
        _ => Err(no_handle(0)),
    }
}

fn no_handle(handle: i32) -> SqlError {
    SqlError::new(
        8179,
        format!("Could not find prepared statement with handle {handle}."),
    )
}

fn find(state: &State, handle: i32) -> SqlResult<Prepared> {
    state
        .prepared
        .get(&handle)
        .cloned()
        .ok_or_else(|| no_handle(handle))
}

fn prepare(state: &mut State, list: &str, sql: String) -> SqlResult<i32> {
    if state.prepared.len() >= MAX_PREPARED {
        return Err(SqlError::new(
            701,
            "There is insufficient memory for more prepared statements; unprepare some.",
        )
        .class(17));
    }
    let declarations = declarations(list)?;
    // Bad syntax is found now, bad names when it runs.
    parser::batch(&sql)?;
    state.last_handle += 1;
    state
        .prepared
        .insert(state.last_handle, Prepared { sql, declarations });
    Ok(state.last_handle)
}

fn give_handle(out: &mut Out<'_>, params: &[Param], handle: i32) -> SqlResult<()> {
    let name = params.first().map_or("", |p| p.name.as_str());
    out.return_value(0, name, SqlType::Int, &Value::Int(handle.into()))
}

/// Reads `@a int, @b nvarchar(10) OUTPUT`.
pub(super) fn declarations(list: &str) -> SqlResult<Vec<Declared>> {
    if list.trim().is_empty() {
        return Ok(Vec::new());
    }
    parser::parameters(list)
}
