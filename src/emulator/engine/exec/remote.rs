//! Procedures that are called by name in an RPC request, as EXEC would call them.

use sqlparser::ast::{Expr, Ident};

use super::super::error::{SqlError, SqlResult};
use super::super::parser;
use super::super::parser::ast::{Arg, Exec, Kind, Stmt};
use super::super::planner::{Variable, Variables};
use super::super::session::State;
use super::super::types::{SqlType, Value};
use super::super::wire::out::Out;
use super::super::wire::rpc::Param;
use super::arguments::{Wanted, give_back};
use super::run_statements;

/// The variable that gets the status; no client can name it.
const STATUS: &str = "@ status";

/// Calls it with variables for the arguments that begin at `first`, and gives their values back.
pub(super) fn call(
    state: &mut State,
    out: &mut Out<'_>,
    name: &str,
    params: Vec<Param>,
    first: usize,
) -> SqlResult<()> {
    let mut variables = Variables::new();
    let ty = SqlType::Int;
    let value = Value::Null;
    variables.insert(STATUS.to_owned(), Variable { ty, value });
    let (mut args, mut outputs) = (Vec::new(), Vec::new());
    for (index, param) in params.into_iter().enumerate().skip(first) {
        if param.default {
            if param.name.is_empty() {
                return Err(SqlError::unsupported(
                    "default values for unnamed parameters",
                ));
            }
            continue;
        }
        let key = format!("@ {index}");
        args.push(Arg {
            name: Some(param.name.clone()).filter(|name| !name.is_empty()),
            value: Expr::Identifier(Ident::new(&key)),
            output: param.output,
        });
        if param.output {
            outputs.push(Wanted {
                ordinal: u16::try_from(index).unwrap_or(u16::MAX),
                name: param.name,
                key: key.clone(),
                ty: param.ty,
            });
        }
        let (ty, value) = (param.ty, param.value);
        variables.insert(key, Variable { ty, value });
    }
    let exec = Exec::Procedure {
        result: Some(STATUS.to_owned()),
        name: parser::procedure_name(name)?,
        args,
    };
    let statement = Stmt {
        line: 1,
        kind: Kind::Exec(exec),
    };
    let outcome = run_statements(state, out, &[statement], variables);
    let status = match (&outcome.error, outcome.variables.get(STATUS)) {
        (Some(error), _) => i64::from(error.number),
        (
            None,
            Some(Variable {
                value: Value::Int(status),
                ..
            }),
        ) => *status,
        (None, _) => return Ok(()),
    };
    out.return_status(i32::try_from(status).unwrap_or(1));
    give_back(out, outputs, &outcome.variables)
}
