//! Procedure calls of the RPC request: parameterised and prepared statements.

use super::super::error::{SqlError, SqlResult};
use super::super::parser;
use super::super::parser::ast::Kind;
use super::super::session::State;
use super::super::session::state::Prepared;
use super::super::types::{SqlType, Value};
use super::super::wire::out::{Out, command};
use super::super::wire::rpc::{Call, Param, Procedure};
use super::arguments::{self, arrange, declarations, text};
use super::{Run, batch, remote};

/// Most statements that a session keeps prepared.
const MAX_PREPARED: usize = 10_000;

/// Names of the parameters that the procedures have before those of the statement.
const EXECUTESQL: &[&str] = &["@stmt", "@params"];
const PREPARE: &[&str] = &["@handle", "@params", "@stmt", "@options"];
const PREPEXEC: &[&str] = &["@handle", "@params", "@stmt"];
const PREPEXECRPC: &[&str] = &["@handle", "@rpccall"];
const HANDLE: &[&str] = &["@handle"];

/// Runs one call and ends it with its status, output parameters and DONEPROC.
pub(super) fn call(state: &mut State, out: &mut Out<'_>, call: Call) {
    out.in_procedure += 1;
    let before = out.first_error.take();
    let outer = state.enter_module();
    let result = run(state, out, call);
    state.leave_module(outer);
    out.in_procedure -= 1;
    let failed = match result {
        Ok(()) => out.first_error.is_some(),
        Err(error) => {
            if error.is_interrupt() {
                out.interrupted = true;
            } else {
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
            let params = arrange(params, EXECUTESQL)?;
            let sql = text(&params, 0, "@statement")?;
            let declared = match params.len() {
                0 | 1 => Vec::new(),
                _ => declarations(&text(&params, 1, "@params")?)?,
            };
            execute(state, out, (&sql, &declared), &params, 2, None).map(drop)
        }
        "sp_prepare" => sp_prepare(state, out, arrange(params, PREPARE)?),
        "sp_prepexec" => sp_prepexec(state, out, arrange(params, PREPEXEC)?),
        "sp_execute" => {
            let params = arrange(params, HANDLE)?;
            let prepared = find(state, handle(&params)?)?;
            if prepared.is_procedure {
                return remote::call(state, out, &prepared.sql, params, 1);
            }
            let statement = (prepared.sql.as_str(), &prepared.declarations[..]);
            execute(state, out, statement, &params, 1, None).map(drop)
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
            state.refuse_reset()?;
            for change in state.reset(true) {
                out.env_change(change);
            }
            out.return_status(0);
            Ok(())
        }
        "sp_prepexecrpc" => sp_prepexecrpc(state, out, arrange(params, PREPEXECRPC)?),
        _ if name.starts_with("sp_cursor") => Err(SqlError::unsupported(name)),
        _ => match &call.procedure {
            Procedure::Name(name) => remote::call(state, out, name, params, 0),
            Procedure::Id(_) => Err(SqlError::unsupported(name)),
        },
    }
}

/// The procedure's name in lower case, without its schema.
fn procedure_name(procedure: &Procedure) -> SqlResult<String> {
    const BY_NUMBER: [&str; 15] = [
        "sp_cursor",
        "sp_cursoropen",
        "sp_cursorprepare",
        "sp_cursorexecute",
        "sp_cursorprepexec",
        "sp_cursorunprepare",
        "sp_cursorfetch",
        "sp_cursoroption",
        "sp_cursorclose",
        "sp_executesql",
        "sp_prepare",
        "sp_execute",
        "sp_prepexec",
        "sp_prepexecrpc",
        "sp_unprepare",
    ];
    match procedure {
        Procedure::Id(id) => usize::from(*id)
            .checked_sub(1)
            .and_then(|index| BY_NUMBER.get(index))
            .map(|name| (*name).to_owned())
            .ok_or_else(|| {
                let text = format!("Could not find stored procedure with ID {id}.");
                SqlError::new(2812, text).state(62)
            }),
        Procedure::Name(name) => Ok(name
            .rsplit('.')
            .next()
            .unwrap_or("")
            .trim_matches(['[', ']'])
            .to_lowercase()),
    }
}

/// Hands out a handle, and shows the statement's columns to those who ask.
fn sp_prepare(state: &mut State, out: &mut Out<'_>, params: Vec<Param>) -> SqlResult<()> {
    const SHOW_COLUMNS: i64 = 1;
    let (list, sql) = (text(&params, 1, "@params")?, text(&params, 2, "@stmt")?);
    let Some(handle) = prepare(state, out, &list, sql)? else {
        return Ok(());
    };
    if matches!(params.get(3).map(|p| &p.value), Some(Value::Int(v)) if v & SHOW_COLUMNS != 0) {
        let prepared = find(state, handle)?;
        if let Err(error) = show_columns(state, out, &prepared) {
            state.prepared.remove(&handle);
            unprepared(out, &error);
            return Ok(());
        }
    }
    out.return_status(0);
    give_handle(out, &params, handle)
}

fn sp_prepexec(state: &mut State, out: &mut Out<'_>, params: Vec<Param>) -> SqlResult<()> {
    let (list, sql) = (text(&params, 1, "@params")?, text(&params, 2, "@stmt")?);
    let Some(handle) = prepare(state, out, &list, sql)? else {
        return Ok(());
    };
    let prepared = find(state, handle)?;
    let statement = (prepared.sql.as_str(), &prepared.declarations[..]);
    match execute(state, out, statement, &params, 3, Some(handle))? {
        Some(error) if is_of_compilation(&error) => {
            state.prepared.remove(&handle);
            out.error(&not_prepared());
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A procedure call that a driver prepares.
fn sp_prepexecrpc(state: &mut State, out: &mut Out<'_>, params: Vec<Param>) -> SqlResult<()> {
    let name = called(&text(&params, 1, "@rpccall")?).to_owned();
    let handle = params.first().map(|p| p.name.clone()).unwrap_or_default();
    room(state)?;
    remote::call(state, out, &name, params, 2)?;
    state.last_handle += 1;
    let prepared = Prepared {
        sql: name,
        is_procedure: true,
        declarations: Vec::new(),
    };
    state.prepared.insert(state.last_handle, prepared);
    let value = Value::Int(state.last_handle.into());
    out.return_value(0, &handle, SqlType::Int, &value)
}

/// The name in `{?=call name(?, ?)}`, or in its bare form.
fn called(text: &str) -> &str {
    let text = text.trim().trim_start_matches('{').trim_end_matches('}');
    let text = match text
        .split_once("call ")
        .or_else(|| text.split_once("CALL "))
    {
        Some((_, name)) => name,
        None => text,
    };
    text.split('(').next().unwrap_or_default().trim()
}

/// Runs the text with the parameters that begin at `first`. Tells the error that ended it, if one
/// did, which the client knows already. A new handle goes before the statement's own parameters.
fn execute(
    state: &mut State,
    out: &mut Out<'_>,
    (sql, declared): (&str, &[super::super::session::state::Declared]),
    params: &[Param],
    first: usize,
    handle: Option<i32>,
) -> SqlResult<Option<SqlError>> {
    let given = arguments::given(declared, params, first, sql)?;
    let outcome = batch(state, out, sql, given.variables);
    let status = outcome
        .error
        .as_ref()
        .map_or(outcome.status, |e| i32::try_from(e.number).unwrap_or(1));
    out.return_status(status);
    let compiled = !outcome.error.as_ref().is_some_and(is_of_compilation);
    if let Some(handle) = handle.filter(|_| compiled) {
        give_handle(out, params, handle)?;
    }
    arguments::give_back(out, given.outputs, &outcome.variables)?;
    Ok(outcome.error)
}

/// `None` if the text cannot be compiled, which the client has been told.
fn prepare(
    state: &mut State,
    out: &mut Out<'_>,
    list: &str,
    sql: String,
) -> SqlResult<Option<i32>> {
    room(state)?;
    // Bad syntax is found now, bad names when it runs.
    let declarations = match declarations(list).and_then(|d| parser::batch(&sql).map(|_| d)) {
        Ok(declarations) => declarations,
        Err(error) => {
            unprepared(out, &error);
            return Ok(None);
        }
    };
    state.last_handle += 1;
    let prepared = Prepared {
        sql,
        is_procedure: false,
        declarations,
    };
    state.prepared.insert(state.last_handle, prepared);
    Ok(Some(state.last_handle))
}

fn room(state: &State) -> SqlResult<()> {
    if state.prepared.len() < MAX_PREPARED {
        return Ok(());
    }
    let text = "There is insufficient memory for more prepared statements; unprepare some.";
    Err(SqlError::new(701, text).class(17))
}

/// The columns of a statement that is a query by itself.
fn show_columns(state: &mut State, out: &mut Out<'_>, prepared: &Prepared) -> SqlResult<()> {
    let statements = parser::batch(&prepared.sql)?;
    let [statement] = &statements[..] else {
        return Ok(());
    };
    let Kind::Query(query, _) = &statement.kind else {
        return Ok(());
    };
    let run = Run {
        state,
        out,
        variables: arguments::unknown(&prepared.declarations),
        caught: Vec::new(),
        tries: 0,
        depth: 0,
    };
    let mut planner = run.planner();
    planner.unfolded = true;
    let rel = planner.top_query(query)?;
    if rel.assigns.is_empty() {
        run.out.columns(&rel.columns)?;
        run.out.done(command::SELECT, None, false);
    }
    Ok(())
}

fn unprepared(out: &mut Out<'_>, error: &SqlError) {
    out.error(error);
    out.error(&not_prepared());
}

fn not_prepared() -> SqlError {
    SqlError::new(8180, "Statement(s) could not be prepared.")
}

/// Errors about names and types, which SQL Server finds before it runs anything.
fn is_of_compilation(error: &SqlError) -> bool {
    matches!(
        error.number,
        102..=209 | 256 | 257 | 264 | 306 | 402 | 403 | 1013 | 4104 | 4121 | 8117..=8127 | 8155 | 8156
    )
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

fn give_handle(out: &mut Out<'_>, params: &[Param], handle: i32) -> SqlResult<()> {
    let name = params.first().map_or("", |p| p.name.as_str());
    out.return_value(0, name, SqlType::Int, &Value::Int(handle.into()))
}
