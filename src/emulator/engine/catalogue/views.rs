//! Catalogue views: `sys.tables` and its kin, as queries on the engine's own tables.

mod columns;
mod information_schema;
mod keys;
mod objects;
mod principals;
mod server;

use super::super::error::SqlResult;
use super::super::planner::scope::SourceColumn;
use super::super::session::State;
use super::super::types::datetime::round_datetime;
use super::super::types::{MAX, SqlType};
use super::tables::same_name;
use super::visible;

use SqlType as T;

/// A view that every database has.
pub(crate) struct SystemView {
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    /// `name type`, with a `?` after the types of columns that may be NULL.
    columns: &'static str,
    /// A SELECT with the columns in order; `{d}` is the database, `{…}` the session's values.
    query: &'static str,
}

/// A column of a system view.
pub(super) struct ViewColumn {
    pub(super) name: &'static str,
    pub(super) ty: SqlType,
    pub(super) nullable: bool,
    pub(super) is_sysname: bool,
}

impl SystemView {
    const fn sys(name: &'static str, columns: &'static str, query: &'static str) -> Self {
        Self {
            schema: "sys",
            name,
            columns,
            query,
        }
    }

    const fn information(name: &'static str, columns: &'static str, query: &'static str) -> Self {
        Self {
            schema: "INFORMATION_SCHEMA",
            name,
            columns,
            query,
        }
    }

    pub(super) fn described(&self) -> impl Iterator<Item = ViewColumn> {
        self.columns.split(',').filter_map(column)
    }

    pub(crate) fn columns(&self) -> Vec<SourceColumn> {
        (1..)
            .zip(self.described())
            .map(|(index, column)| SourceColumn {
                name: column.name.to_owned(),
                sql: format!("c{index}"),
                ty: column.ty,
                nullable: column.nullable,
                identity: false,
            })
            .collect()
    }

    /// The query with the session's values filled in, its columns called c1, c2 and so on. `alias`
    /// is the database whose objects are shown, `temp` for tempdb.
    pub(crate) fn sql(&self, state: &State, now: i64, alias: &str) -> SqlResult<String> {
        let mut text = self.query.to_owned();
        while let Some((name, start, end)) = placeholder(&text) {
            let value = fill(&name, state, now, alias)?;
            text.replace_range(start..end, &value);
        }
        let names: Vec<String> = (1..=self.described().count())
            .map(|n| format!("c{n}"))
            .collect();
        let view = format!("v{}", state.spid);
        Ok(format!(
            "WITH {view}({0}) AS ({text}) SELECT {0} FROM {view}",
            names.join(",")
        ))
    }
}

/// Finds a catalogue view; without a schema there is none.
pub(crate) fn find(schema: Option<&str>, name: &str) -> Option<&'static SystemView> {
    let schema = schema?;
    all().find(|v| same_name(v.schema, schema) && same_name(v.name, name))
}

/// All views, in an order that stays.
pub(super) fn all() -> impl Iterator<Item = &'static SystemView> {
    [
        objects::VIEWS,
        columns::VIEWS,
        keys::VIEWS,
        principals::VIEWS,
        server::VIEWS,
        information_schema::VIEWS,
    ]
    .into_iter()
    .flatten()
}

/// The object id of a system view.
pub(crate) fn object_id(schema: &str, name: &str) -> Option<i64> {
    ids()
        .find(|(_, v)| same_name(v.schema, schema) && same_name(v.name, name))
        .map(|(id, _)| id)
}

/// System views with their object ids, which are negative.
pub(super) fn ids() -> impl Iterator<Item = (i64, &'static SystemView)> {
    (101i64..).map(std::ops::Neg::neg).zip(all())
}

/// Whether the schema belongs to the system.
pub(crate) fn is_system_schema(name: &str) -> bool {
    same_name(name, "sys") || same_name(name, "INFORMATION_SCHEMA")
}

fn column(text: &'static str) -> Option<ViewColumn> {
    let (name, ty) = text.trim().split_once(' ')?;
    let nullable = ty.ends_with('?');
    let ty = ty.trim_end_matches('?');
    Some(ViewColumn {
        name,
        ty: type_of(ty)?,
        nullable,
        is_sysname: ty == "sysname",
    })
}

fn type_of(text: &str) -> Option<SqlType> {
    if let Some((name, length)) = text.trim_end_matches(')').split_once('(') {
        let length = if length == "max" {
            MAX
        } else {
            length.parse().ok()?
        };
        return Some(match name {
            "char" => T::Char(length),
            "nchar" => T::NChar(length),
            "nvarchar" => T::NVarChar(length),
            "varbinary" => T::VarBinary(length),
            "varchar" => T::VarChar(length),
            _ => return None,
        });
    }
    Some(match text {
        "bigint" => T::BigInt,
        "bit" => T::Bit,
        "datetime" => T::DateTime,
        "int" => T::Int,
        "smallint" => T::SmallInt,
        "sql_variant" => T::Variant,
        "sysname" => T::NVarChar(128),
        "tinyint" => T::TinyInt,
        "uniqueidentifier" => T::UniqueIdentifier,
        _ => return None,
    })
}

/// The first `{name}` of a query and where it stands.
fn placeholder(text: &str) -> Option<(String, usize, usize)> {
    let start = text.find('{')?;
    let length = text.get(start..)?.find('}')?;
    let end = start + length + 1;
    Some((text.get(start + 1..end - 1)?.to_owned(), start, end))
}

fn fill(name: &str, state: &State, now: i64, alias: &str) -> SqlResult<String> {
    let acting = state.acting();
    Ok(match name {
        "d" => alias.to_owned(),
        "db" if alias == "temp" => "'tempdb'".to_owned(),
        "db" => quoted(&state.database.name),
        "db_id" => state.database.id.to_string(),
        "databases" => {
            let rows: Vec<String> = state
                .shared
                .store
                .all()
                .iter()
                .map(|d| format!("({},{})", d.id, quoted(&d.name)))
                .collect();
            rows.join(",")
        }
        "objects" => visible::objects(state, alias)?,
        "schemas" => visible::schemas(state, alias)?,
        "principals" => visible::principals(state, alias)?,
        "members" => visible::members(state, alias)?,
        "permissions" => visible::permissions(state, alias)?,
        "closure" => visible::closure(state, alias)?,
        "system_views" => system_views(),
        "system_columns" => system_columns(),
        "actions" => keys::ACTIONS.to_owned(),
        "bigint" => T::BigInt.code().to_string(),
        "variant" => T::Variant.code().to_string(),
        "spid" => state.spid.to_string(),
        "login" => quoted(&state.login_name),
        "user" => quoted(&acting.name),
        "host" => quoted(&state.client.host_name),
        "program" => quoted(&state.client.program_name),
        "interface" => quoted(&state.client.interface_name),
        "process" => state.client.process_id.to_string(),
        "encrypted" => quoted(if state.client.encrypted {
            "TRUE"
        } else {
            "FALSE"
        }),
        "isolation" => (state.isolation as i64).to_string(),
        "tran" => state.tran.count.to_string(),
        "error" => state.error.to_string(),
        "rowcount" => state.rowcount.to_string(),
        "lock_timeout" => state.settings.lock_timeout.to_string(),
        "textsize" => state.settings.textsize.to_string(),
        "datefirst" => state.settings.datefirst.to_string(),
        "login_time" => round_datetime(state.login_time).to_string(),
        _ => round_datetime(now).to_string(),
    })
}

fn quoted(text: &str) -> String {
    // A brace would be read as the next placeholder.
    if text.contains(['{', '}', '\0']) {
        let bytes: String = text.bytes().map(|b| format!("{b:02X}")).collect();
        return format!("CAST(X'{bytes}' AS TEXT)");
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// Rows of schema id, name and object id.
fn system_views() -> String {
    let rows: Vec<String> = ids()
        .map(|(id, view)| {
            let schema = if view.schema == "sys" { 4 } else { 3 };
            format!("({schema},{},{id})", quoted(view.name))
        })
        .collect();
    rows.join(",")
}

/// Rows of object id, name, position, type, nullability and whether it is a sysname.
fn system_columns() -> String {
    let mut rows = Vec::new();
    for (id, view) in ids() {
        for (position, column) in (1..).zip(view.described()) {
            rows.push(format!(
                "({id},{},{position},{},{},{})",
                quoted(column.name),
                column.ty.code(),
                i32::from(column.nullable),
                i32::from(column.is_sysname)
            ));
        }
    }
    rows.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_a_type_that_is_known() {
        for view in all() {
            let words = view.columns.split(',').count();
            assert_eq!(view.described().count(), words, "{}", view.name);
        }
    }

    #[test]
    fn no_view_is_there_twice() {
        let mut names: Vec<_> = all().map(|v| (v.schema, v.name)).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
