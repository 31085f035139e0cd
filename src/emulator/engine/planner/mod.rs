//! From T-SQL's trees to SQLite's SQL, with the T-SQL type of every expression.
//!
//! Nothing is passed through unread: what the planner does not know is an error.

pub(crate) mod aggregates;
mod applock;
mod apply;
pub(crate) mod arithmetic;
pub(crate) mod audit;
pub(crate) mod calls;
pub(crate) mod change;
mod collate;
mod concat;
mod context;
pub(crate) mod convert;
mod date_making;
pub(crate) mod dates;
pub(crate) mod dml;
pub(crate) mod expr;
pub(crate) mod from;
mod grouping;
mod guard;
mod hints;
mod in_turn;
mod json;
pub(crate) mod load;
mod metadata;
mod metadata_tables;
mod numbers;
mod order;
mod place;
pub(crate) mod predicate;
pub(crate) mod query;
mod refuse;
pub(crate) mod rel;
pub(crate) mod scope;
pub(crate) mod select;
pub(crate) mod system;
mod table_functions;
mod unknown;
mod update;
mod variants;
mod windows;
mod words;

use std::collections::HashMap;

use rusqlite::types::Value as Stored;

use super::catalogue::security::Securable;
use super::catalogue::tables::{self, QualifiedName, Table};
use super::error::{SqlError, SqlResult};
use super::session::State;
use super::types::{SqlType, Value};

pub(crate) use scope::{Output, Scope, Source};

/// An expression in SQLite's SQL, and what it is in T-SQL.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    pub(crate) sql: String,
    pub(crate) ty: SqlType,
    pub(crate) nullable: bool,
    /// The value, if it is known now.
    pub(crate) constant: Option<Value>,
    /// Digits of an integer literal: such a literal is a decimal of just so many digits.
    pub(crate) digits: Option<u8>,
    /// A string literal or parameter whose collation may yield; unused by other types.
    pub(crate) name: Option<String>,
}

/// The SQL of the word NULL, and that of a NULL that has a type.
const NULL: &str = "NULL";
const TYPED_NULL: &str = "(NULL)";

impl Typed {
    pub(crate) fn new(sql: impl Into<String>, ty: SqlType) -> Self {
        Self {
            sql: sql.into(),
            ty,
            nullable: true,
            constant: None,
            digits: None,
            name: None,
        }
    }

    pub(crate) fn constant(value: Value, ty: SqlType) -> Self {
        Self {
            sql: match &value {
                Value::Null => TYPED_NULL.to_owned(),
                value => literal(value),
            },
            ty,
            nullable: value.is_null(),
            constant: Some(value),
            digits: None,
            name: None,
        }
    }

    pub(crate) fn not_null(mut self) -> Self {
        self.nullable = false;
        self
    }

    /// The word NULL, which has no type of its own yet.
    pub(crate) fn null() -> Self {
        Self {
            sql: NULL.to_owned(),
            ..Self::constant(Value::Null, SqlType::NULL)
        }
    }

    /// Whether this is the word NULL. A NULL of a type (from CAST or a variable) is none.
    pub(crate) fn is_null(&self) -> bool {
        self.sql == NULL
    }

    /// With the collation that its comparison needs.
    pub(crate) fn collated(&self) -> String {
        match self.ty.collation() {
            Some(name) => format!("({} COLLATE {name})", self.sql),
            None => self.sql.clone(),
        }
    }
}

/// A variable or parameter.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub(crate) ty: SqlType,
    pub(crate) value: Value,
}

/// Variables by their lower-case name with the `@`.
pub(crate) type Variables = HashMap<String, Variable>;

/// Plans one statement.
pub(crate) struct Planner<'a> {
    pub(crate) state: &'a State,
    pub(crate) variables: &'a Variables,
    pub(crate) binds: Vec<Stored>,
    pub(crate) now: i64,
    pub(crate) max_recursion: i64,
    /// Only types count: variables are not known yet.
    pub(crate) unfolded: bool,
    /// Variables that the running SELECT reads and assigns row by row, with their places.
    pub(crate) slots: HashMap<String, usize>,
    /// A hint asks that the rows read stay as they are until the transaction ends.
    pub(crate) locks: bool,
    ctes: Vec<scope::Cte>,
    aliases: usize,
    /// Inside a view the caller's rights on what it reads do not count.
    /// Owners of the views around, innermost last.
    chain: Vec<i64>,
    depth: usize,
    /// The error that a CATCH block is about.
    pub(crate) caught: Option<&'a SqlError>,
}

/// Views in views, or views that would contain themselves.
const MAX_VIEW_DEPTH: usize = 32;

impl<'a> Planner<'a> {
    pub(crate) fn new(
        state: &'a State,
        variables: &'a Variables,
        caught: Option<&'a SqlError>,
    ) -> Self {
        Self {
            state,
            variables,
            binds: Vec::new(),
            now: super::catalogue::now_ticks(),
            max_recursion: 100,
            unfolded: false,
            slots: HashMap::new(),
            locks: false,
            ctes: Vec::new(),
            aliases: 0,
            chain: Vec::new(),
            depth: 0,
            caught,
        }
    }

    /// A parameter of SQLite with the value.
    pub(crate) fn bind(&mut self, value: Stored) -> String {
        self.binds.push(value);
        format!("?{}", self.binds.len())
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.aliases += 1;
        format!("{prefix}{}", self.aliases)
    }

    pub(crate) fn variable(&mut self, name: &str) -> SqlResult<Typed> {
        if let Some(slot) = self.slot(name) {
            return Ok(slot);
        }
        let variable = self
            .variables
            .get(&name.to_lowercase())
            .ok_or_else(|| SqlError::undeclared(name))?;
        let stored = variable.value.clone().into_stored();
        let (ty, value) = (variable.ty, variable.value.clone());
        let sql = self.bind(stored);
        Ok(Typed {
            sql,
            ty,
            nullable: true,
            // Folding would be right, but the type must stay the declared one.
            constant: (!self.unfolded).then_some(value),
            digits: None,
            name: None,
        })
    }

    /// Finds a table or view and checks a permission on it.
    pub(crate) fn table(&mut self, name: &QualifiedName, permission: &str) -> SqlResult<Table> {
        let table = self.find_table(name)?;
        self.require(&table, permission)?;
        Ok(table)
    }

    /// Finds a table or view by name, as the session resolves names.
    pub(crate) fn find_table(&self, name: &QualifiedName) -> SqlResult<Table> {
        let state = self.state;
        let missing = || SqlError::invalid_object(name.shown());
        if name.name.starts_with('@') && name.schema.is_none() {
            return self.table_variable(&name.name);
        }
        if name.is_temp() {
            if !state.has_temp {
                return Err(missing());
            }
            return tables::find(&state.conn, "temp", "dbo", &name.name)?.ok_or_else(missing);
        }
        if let Some(database) = &name.database
            && !tables::same_name(database, &state.database.name)
        {
            return Err(SqlError::other_database(name.shown()));
        }
        let alias = state.database.alias();
        if let Some(schema) = &name.schema {
            return tables::find(&state.conn, &alias, schema, &name.name)?.ok_or_else(missing);
        }
        let own = tables::find(
            &state.conn,
            &alias,
            &state.acting().default_schema,
            &name.name,
        )?;
        match own {
            Some(table) => Ok(table),
            None => tables::find(&state.conn, &alias, "dbo", &name.name)?.ok_or_else(missing),
        }
    }

    fn table_variable(&self, name: &str) -> SqlResult<Table> {
        let found = match self.state.table_scopes.last() {
            Some(Some(scope)) => tables::find(&self.state.conn, "temp", scope, name)?,
            _ => None,
        };
        found.ok_or_else(|| {
            SqlError::new(1087, format!("Must declare the table variable \"{name}\"."))
                .class(15)
                .state(2)
        })
    }

    /// Checks a permission on a table. Somebody with no right at all on it gets the same 229.
    pub(crate) fn require(&self, table: &Table, permission: &str) -> SqlResult<()> {
        if self.is_unchecked(table)? {
            return Ok(());
        }
        let state = self.state;
        let alias = state.database.alias();
        if state
            .acting()
            .may(&state.conn, &alias, permission, table.securable())?
        {
            return Ok(());
        }
        Err(denied(
            permission,
            &table.name,
            &state.database.name,
            &table.schema,
        ))
    }

    /// Checks a permission on the database, or fails with 262.
    pub(crate) fn require_on_database(&self, permission: &str) -> SqlResult<()> {
        let state = self.state;
        let alias = state.database.alias();
        if state
            .acting()
            .may(&state.conn, &alias, permission, Securable::Database)?
        {
            return Ok(());
        }
        Err(SqlError::new(
            262,
            format!(
                "{permission} permission denied in database '{}'.",
                state.database.name
            ),
        )
        .class(14))
    }

    /// Plans the inside of a view.
    fn inside_view<T>(
        &mut self,
        view: &Table,
        plan: impl FnOnce(&mut Self) -> SqlResult<T>,
    ) -> SqlResult<T> {
        if self.depth >= MAX_VIEW_DEPTH {
            return Err(SqlError::new(
                217,
                "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).",
            ));
        }
        let owner = self.owner_of(view)?;
        self.depth += 1;
        self.chain.push(owner);
        let outer = std::mem::take(&mut self.ctes);
        let result = plan(self);
        self.ctes = outer;
        self.chain.pop();
        self.depth -= 1;
        result
    }
}

/// Error 229.
pub(crate) fn denied(permission: &str, object: &str, database: &str, schema: &str) -> SqlError {
    SqlError::new(
        229,
        format!(
            "The {permission} permission was denied on the object '{object}', database '{database}', \
             schema '{schema}'."
        ),
    )
    .class(14)
    .state(5)
}

/// A value as a literal of SQLite.
pub(crate) fn literal(value: &Value) -> String {
    match value.clone().into_stored() {
        Stored::Null => "NULL".into(),
        // The sign is an operator to SQLite, which would overflow on the smallest number.
        Stored::Integer(i64::MIN) => "(-9223372036854775807-1)".into(),
        Stored::Integer(v) if v < 0 => format!("({v})"),
        Stored::Integer(v) => v.to_string(),
        Stored::Real(v) => format!("({v:e})"),
        Stored::Text(v) if v.contains('\0') => {
            let bytes: String = v.bytes().map(|b| format!("{b:02X}")).collect();
            format!("CAST(X'{bytes}' AS TEXT)")
        }
        Stored::Text(v) => format!("'{}'", v.replace('\'', "''")),
        Stored::Blob(v) => {
            let bytes: String = v.iter().map(|b| format!("{b:02X}")).collect();
            format!("X'{bytes}'")
        }
    }
}
