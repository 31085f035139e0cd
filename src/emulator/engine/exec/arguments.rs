//! Parameters of RPC requests: which is which, and what goes back.

use super::super::error::{SqlError, SqlResult};
use super::super::parser;
use super::super::planner::{Variable, Variables};
use super::super::session::state::Declared;
use super::super::types::{MAX, SqlType, Value, allow, convert};
use super::super::wire::out::Out;
use super::super::wire::rpc::Param;
use super::call::missing;

/// Values for the declared parameters of a statement.
pub(super) struct Given {
    pub(super) variables: Variables,
    pub(super) outputs: Vec<Wanted>,
}

/// An output parameter.
pub(super) struct Wanted {
    pub(super) ordinal: u16,
    /// As the client wrote it.
    pub(super) name: String,
    /// The variable that holds it.
    pub(super) key: String,
    /// The client's type.
    pub(super) ty: SqlType,
}

/// Puts a procedure's own parameters, which may come by name, into their order.
pub(super) fn arrange(params: Vec<Param>, names: &[&str]) -> SqlResult<Vec<Param>> {
    let own = |param: &Param| {
        let lower = param.name.to_lowercase();
        // tiberius leaves the @ away, which SQL Server takes.
        let name = match lower.trim_start_matches('@') {
            "statement" => "stmt",
            "parameters" => "params",
            other => other,
        };
        names.iter().position(|n| n.trim_start_matches('@') == name)
    };
    let mut rest = Vec::new();
    let mut first: Vec<Option<Param>> = vec![None; names.len()];
    for (index, param) in params.into_iter().enumerate() {
        let place = match own(&param) {
            // The statement may have a parameter of such a name, too.
            Some(place) if first.get(place).is_some_and(Option::is_none) => Some(place),
            _ if param.name.is_empty() && index < names.len() => Some(index),
            _ => None,
        };
        match place.and_then(|place| first.get_mut(place)) {
            Some(slot) => *slot = Some(param),
            None => rest.push(param),
        }
    }
    let given = first.iter().take_while(|slot| slot.is_some()).count();
    if given < names.len() && (!rest.is_empty() || first.iter().skip(given).any(Option::is_some)) {
        let name = names.get(given).copied().unwrap_or_default();
        return Err(not_supplied(name));
    }
    Ok(first.into_iter().flatten().chain(rest).collect())
}

fn not_supplied(name: &str) -> SqlError {
    SqlError::new(
        201,
        format!("Procedure or function expects parameter '{name}', which was not supplied."),
    )
    .state(4)
}

/// A text of the procedure's own, which must be Unicode.
pub(super) fn text(params: &[Param], index: usize, name: &str) -> SqlResult<String> {
    let Some(param) = params.get(index) else {
        return Err(not_supplied(name));
    };
    if !param.value.is_null() && !param.ty.is_unicode() {
        return Err(SqlError::new(
            214,
            format!("Procedure expects parameter '{name}' of type 'ntext/nchar/nvarchar'."),
        )
        .state(2));
    }
    match convert::cast(param.value.clone(), param.ty, SqlType::NVarChar(MAX), None)? {
        Value::Text(text) => Ok(text),
        _ => Ok(String::new()),
    }
}

/// Reads `@a int, @b nvarchar(10) OUTPUT`.
pub(super) fn declarations(list: &str) -> SqlResult<Vec<Declared>> {
    if list.trim().is_empty() {
        return Ok(Vec::new());
    }
    parser::parameters(list)
}

/// The declared parameters without values, for those who want to know types only.
pub(super) fn unknown(declared: &[Declared]) -> Variables {
    let variable = |d: &Declared| {
        let value = Value::Null;
        (d.name.to_lowercase(), Variable { ty: d.ty, value })
    };
    declared.iter().map(variable).collect()
}

/// Gives the parameters from `first` on to the declared ones.
pub(super) fn given(
    declared: &[Declared],
    params: &[Param],
    first: usize,
    sql: &str,
) -> SqlResult<Given> {
    let mut given = Given {
        variables: Variables::new(),
        outputs: Vec::new(),
    };
    for (index, param) in params.iter().enumerate().skip(first) {
        let declaration = declaration(declared, param, index - first)?;
        if param.default {
            // There are no defaults, so that it counts as not supplied.
            continue;
        }
        if param.output && !declaration.output {
            return Err(SqlError::new(
                8162,
                format!(
                    "The formal parameter \"{}\" was not declared as an OUTPUT parameter, but the actual \
                     parameter passed in requested output.",
                    declaration.name
                ),
            )
            .state(2));
        }
        if !param.value.is_null() {
            allow::allowed(param.ty, declaration.ty, false)?;
        }
        let value = convert::cast(param.value.clone(), param.ty, declaration.ty, None)?;
        let key = declaration.name.to_lowercase();
        if param.output {
            given.outputs.push(Wanted {
                ordinal: u16::try_from(index).unwrap_or(u16::MAX),
                name: param.name.clone(),
                key: key.clone(),
                ty: param.ty,
            });
        }
        let ty = declaration.ty;
        if given
            .variables
            .insert(key, Variable { ty, value })
            .is_some()
        {
            return Err(SqlError::new(
                8143,
                format!(
                    "Parameter '{}' was supplied multiple times.",
                    declaration.name
                ),
            ));
        }
    }
    missing(declared, &given.variables, sql)?;
    Ok(given)
}

fn declaration<'d>(
    declared: &'d [Declared],
    param: &Param,
    index: usize,
) -> SqlResult<&'d Declared> {
    if param.name.is_empty() {
        return declared.get(index).ok_or_else(|| {
            let text = "Procedure or function has too many arguments specified.";
            SqlError::new(8144, text).state(2)
        });
    }
    declared
        .iter()
        .find(|d| d.name.eq_ignore_ascii_case(&param.name))
        .ok_or_else(|| {
            let text = format!("{} is not a parameter for procedure .", param.name);
            SqlError::new(8145, text).state(2)
        })
}

/// Sends the output parameters, large ones after all others (MS-TDS 2.2.7.19).
pub(super) fn give_back(
    out: &mut Out<'_>,
    mut outputs: Vec<Wanted>,
    variables: &Variables,
) -> SqlResult<()> {
    outputs.sort_by_key(|wanted| wanted.ty.length() == Some(MAX));
    for wanted in outputs {
        if let Some(variable) = variables.get(&wanted.key) {
            let value = convert::cast(variable.value.clone(), variable.ty, wanted.ty, None)?;
            out.return_value(wanted.ordinal, &wanted.name, wanted.ty, &value)?;
        }
    }
    Ok(())
}
