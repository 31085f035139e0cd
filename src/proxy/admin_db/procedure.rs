//! Stored procedures: those by which drivers send statements with parameters,
//! and those by which tools list tables.

use std::collections::HashMap;

use super::answer::Answer;
use super::console::Console;
use super::sql::{Kind, Param, SqlError, convert, parse, parse_declarations, same_name};
use crate::tds::{RpcCall, RpcParam, RpcProcedure, Scalar, TypeId, TypeInfo, proc_id};

/// The statements that a client has prepared.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    last: i64,
    statements: HashMap<i64, Template>,
    /// Procedures that run in one another.
    depth: usize,
}

/// A statement and what its parameters were declared as.
#[derive(Clone, Debug)]
struct Template {
    text: String,
    declared: Vec<(String, Kind)>,
}

/// Most statements kept for one client.
const MAX_PREPARED: usize = 200;
/// `sp_executesql` in `sp_executesql`.
const MAX_DEPTH: usize = 4;

impl Console<'_> {
    /// Carries out one call of an RPC request.
    pub(super) async fn call(&mut self, call: &RpcCall, answer: &mut Answer) {
        answer.begin_procedure();
        let mut returned = Vec::new();
        let done = match arguments(call) {
            Ok(given) => {
                self.procedure(&name(call), given, &mut returned, answer)
                    .await
            }
            Err(error) => Err(error),
        };
        let status = match done {
            Ok(()) => 0,
            Err(error) => {
                answer.error(&error);
                error.number()
            }
        };
        let returned: Vec<(u16, RpcParam)> = returned
            .into_iter()
            .map(|(ordinal, handle)| (ordinal, handle_param(call, ordinal, handle)))
            .collect();
        answer.end_procedure(status, &returned);
    }

    /// EXECUTE in a batch.
    pub(super) async fn execute(
        &mut self,
        procedure: &str,
        given: Vec<Param>,
        answer: &mut Answer,
    ) -> Result<(), SqlError> {
        answer.begin_procedure();
        let mut returned = Vec::new();
        let done = self
            .procedure(procedure, given, &mut returned, answer)
            .await;
        let status = done.as_ref().map_or_else(SqlError::number, |()| 0);
        answer.end_procedure(status, &[]);
        done
    }

    /// `returned` takes the handles that go back, by the parameter's place.
    async fn procedure(
        &mut self,
        name: &str,
        given: Vec<Param>,
        returned: &mut Vec<(u16, i64)>,
        answer: &mut Answer,
    ) -> Result<(), SqlError> {
        match name.to_ascii_lowercase().as_str() {
            "sp_executesql" => {
                let template = template(given.first(), given.get(1))?;
                self.run(&template, given.into_iter().skip(2), answer).await
            }
            "sp_prepare" => {
                let template = template(given.get(2), given.get(1))?;
                returned.push((0, self.handles.keep(template)?));
                Ok(())
            }
            "sp_prepexec" => {
                let template = template(given.get(2), given.get(1))?;
                returned.push((0, self.handles.keep(template.clone())?));
                self.run(&template, given.into_iter().skip(3), answer).await
            }
            "sp_execute" => {
                let handle = handle(given.first())?;
                let template = self.handles.statements.get(&handle).cloned();
                let template = template.ok_or(SqlError::NoHandle { handle })?;
                self.run(&template, given.into_iter().skip(1), answer).await
            }
            "sp_unprepare" => {
                let handle = handle(given.first())?;
                let kept = self.handles.statements.remove(&handle);
                kept.map(drop).ok_or(SqlError::NoHandle { handle })
            }
            "sp_reset_connection" => Ok(()),
            "sp_databases" => self.listing(DATABASES, Vec::new(), answer).await,
            "sp_tables" => {
                let given = renamed(given, &["@table_name", "@table_owner"]);
                self.listing(TABLES, given, answer).await
            }
            "sp_columns" => {
                let given = renamed(given, &["@table_name", "@table_owner"]);
                self.listing(COLUMNS, given, answer).await
            }
            _ => Err(SqlError::NoProcedure {
                name: name.chars().take(128).collect(),
            }),
        }
    }

    async fn listing(
        &mut self,
        text: &str,
        params: Vec<Param>,
        answer: &mut Answer,
    ) -> Result<(), SqlError> {
        Box::pin(self.batch(text, &params, answer)).await
    }

    async fn run(
        &mut self,
        template: &Template,
        values: impl Iterator<Item = Param>,
        answer: &mut Answer,
    ) -> Result<(), SqlError> {
        if self.handles.depth >= MAX_DEPTH {
            return Err(SqlError::TooDeep { max: MAX_DEPTH });
        }
        let params = template.bound(values)?;
        self.handles.depth += 1;
        let done = Box::pin(self.batch(&template.text, &params, answer)).await;
        self.handles.depth = self.handles.depth.saturating_sub(1);
        done
    }
}

impl Prepared {
    fn keep(&mut self, template: Template) -> Result<i64, SqlError> {
        if self.statements.len() >= MAX_PREPARED {
            return Err(SqlError::TooManyHandles { max: MAX_PREPARED });
        }
        // Also bounds what is kept.
        parse(&template.text)?;
        self.last += 1;
        self.statements.insert(self.last, template);
        Ok(self.last)
    }
}

impl Template {
    /// Gives the declared parameters their values, by name or in order.
    fn bound(&self, values: impl Iterator<Item = Param>) -> Result<Vec<Param>, SqlError> {
        let mut params = Vec::new();
        for (at, value) in values.enumerate() {
            let declared = if value.name.is_empty() {
                self.declared.get(at)
            } else {
                let named = |(name, _): &&(String, Kind)| same_name(name, &value.name);
                self.declared.iter().find(named)
            };
            let (name, kind) = declared.ok_or_else(|| SqlError::NoParameter {
                name: value.name.chars().take(128).collect(),
            })?;
            params.push(Param {
                name: name.clone(),
                kind: *kind,
                value: convert(&value.value, *kind)?,
            });
        }
        Ok(params)
    }
}

/// A listing of databases, as `sp_databases` gives it.
const DATABASES: &str = "SELECT name AS DATABASE_NAME, CAST(0 AS int) AS DATABASE_SIZE, \
     CAST(NULL AS varchar(254)) AS REMARKS FROM sys.databases";
/// A listing of tables, as `sp_tables` gives it.
const TABLES: &str = "SELECT TABLE_CATALOG AS TABLE_QUALIFIER, TABLE_SCHEMA AS TABLE_OWNER, \
     TABLE_NAME, 'TABLE' AS TABLE_TYPE, CAST(NULL AS varchar(254)) AS REMARKS \
     FROM INFORMATION_SCHEMA.TABLES \
     WHERE TABLE_NAME LIKE COALESCE(@table_name, '%') \
     AND TABLE_SCHEMA LIKE COALESCE(@table_owner, '%') ORDER BY 2, 3";
/// A listing of columns, the first of those that `sp_columns` gives.
const COLUMNS: &str = "SELECT TABLE_CATALOG AS TABLE_QUALIFIER, TABLE_SCHEMA AS TABLE_OWNER, \
     TABLE_NAME, COLUMN_NAME, ODBC_TYPE AS DATA_TYPE, DATA_TYPE AS TYPE_NAME, \
     COLUMN_SIZE AS [PRECISION], BYTES AS LENGTH, CAST(NULL AS int) AS SCALE, \
     CASE WHEN DATA_TYPE IN ('int', 'bigint') THEN 10 END AS RADIX, 1 AS NULLABLE, \
     CAST(NULL AS varchar(254)) AS REMARKS, CAST(NULL AS nvarchar(4000)) AS COLUMN_DEF, \
     ODBC_TYPE AS SQL_DATA_TYPE, CAST(NULL AS int) AS SQL_DATETIME_SUB, \
     BYTES AS CHAR_OCTET_LENGTH, ORDINAL_POSITION, IS_NULLABLE \
     FROM INFORMATION_SCHEMA.COLUMNS \
     WHERE TABLE_NAME LIKE COALESCE(@table_name, '%') \
     AND TABLE_SCHEMA LIKE COALESCE(@table_owner, '%') ORDER BY 2, 3, ORDINAL_POSITION";

/// Gives positional arguments these names, and adds those that are missing as
/// NULL; others do not count.
fn renamed(given: Vec<Param>, names: &[&str]) -> Vec<Param> {
    let named = names.iter().enumerate().map(|(at, name)| {
        let found = given.iter().enumerate().find(|(place, param)| {
            (param.name.is_empty() && *place == at) || same_name(&param.name, name)
        });
        Param {
            name: (*name).to_owned(),
            kind: Kind::Text(128),
            value: found.map_or(Scalar::Null, |(_, param)| param.value.clone()),
        }
    });
    named.collect()
}

/// The name without quotes and without what stands before it; the ODBC driver
/// asks for some by a name with a version at its end.
fn name(call: &RpcCall) -> String {
    let name = match &call.procedure {
        RpcProcedure::Name(name) => name.as_str(),
        RpcProcedure::Id(proc_id::EXECUTE_SQL) => "sp_executesql",
        RpcProcedure::Id(proc_id::PREPARE) => "sp_prepare",
        RpcProcedure::Id(proc_id::EXECUTE) => "sp_execute",
        RpcProcedure::Id(proc_id::PREP_EXEC) => "sp_prepexec",
        RpcProcedure::Id(proc_id::UNPREPARE) => "sp_unprepare",
        RpcProcedure::Id(other) => return format!("#{other}"),
    };
    let base = name.rsplit('.').next().unwrap_or_default();
    let base = base.trim_matches(['[', ']', '"']);
    let base = base.trim_end_matches("_100").trim_end_matches("_90");
    base.to_owned()
}

fn arguments(call: &RpcCall) -> Result<Vec<Param>, SqlError> {
    let argument = |param: &RpcParam| {
        let value = Scalar::decode(&param.type_info, param.value.as_deref())?;
        Ok(Param {
            name: param.name.clone(),
            kind: Kind::of(&value),
            value,
        })
    };
    call.params.iter().map(argument).collect()
}

fn template(text: Option<&Param>, declared: Option<&Param>) -> Result<Template, SqlError> {
    let text_of = |param: Option<&Param>| match param.map(|param| &param.value) {
        Some(Scalar::Text(text)) => text.clone(),
        _ => String::new(),
    };
    Ok(Template {
        text: text_of(text),
        declared: parse_declarations(&text_of(declared))?,
    })
}

fn handle(param: Option<&Param>) -> Result<i64, SqlError> {
    match param.map(|param| &param.value) {
        Some(Scalar::Int(handle)) => Ok(*handle),
        _ => Err(SqlError::NoHandle { handle: 0 }),
    }
}

/// A handle as the parameter that it goes back in.
fn handle_param(call: &RpcCall, ordinal: u16, handle: i64) -> RpcParam {
    let given = call.params.get(usize::from(ordinal));
    RpcParam {
        name: given.map_or_else(String::new, |param| param.name.clone()),
        by_ref: true,
        default: false,
        type_info: TypeInfo::ByteLen {
            id: TypeId::INTN,
            max: 4,
        },
        value: i32::try_from(handle)
            .ok()
            .map(|handle| handle.to_le_bytes().to_vec()),
    }
}
