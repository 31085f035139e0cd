//! What the session and the server say of themselves: `@@` values and system functions.

use sqlparser::ast::Expr;

use super::super::catalogue::tables::QualifiedName;
use super::super::error::{SqlError, SqlResult};
use super::super::types::variant::Variant;
use super::super::types::{Decimal, SqlType, Value};
use super::{Planner, Scope, Typed};

use SqlType as T;

/// `@@VERSION`: what Azure SQL Database says, and that this is none.
const VERSION: &str = "Microsoft SQL Azure (RTM) - 12.0.2000.8 \n\tentrada emulator\n";

impl Planner<'_> {
    /// A value whose name begins with `@@`.
    pub(super) fn global(&mut self, name: &str) -> SqlResult<Typed> {
        let state = self.state;
        let int = |v: i64| Typed::constant(Value::Int(v), T::Int);
        let text = |v: &str| Typed::constant(Value::Text(v.to_owned()), T::NVarChar(128));
        Ok(match name.to_uppercase().as_str() {
            "@@ROWCOUNT" => int(state.rowcount),
            "@@ERROR" => int(state.error),
            "@@TRANCOUNT" => int(state.tran.count),
            "@@IDENTITY" => identity(state.identity),
            "@@SPID" => Typed::constant(Value::Int(state.spid.into()), T::SmallInt),
            "@@VERSION" => Typed::constant(Value::Text(VERSION.into()), T::NVarChar(300)),
            "@@SERVERNAME" => text(&state.shared.options.server_name),
            "@@LANGUAGE" => text("us_english"),
            "@@LANGID" => Typed::constant(Value::Int(0), T::SmallInt),
            "@@LOCK_TIMEOUT" => int(state.settings.lock_timeout),
            "@@TEXTSIZE" => int(state.settings.textsize),
            "@@DATEFIRST" => Typed::constant(Value::Int(state.settings.datefirst), T::TinyInt),
            "@@MAX_PRECISION" => Typed::constant(Value::Int(38), T::TinyInt),
            "@@NESTLEVEL" | "@@PROCID" | "@@FETCH_STATUS" | "@@CURSOR_ROWS" => int(0),
            "@@MICROSOFTVERSION" => int(0x0C00_07D0),
            "@@OPTIONS" => int(5496 | if state.settings.nocount { 512 } else { 0 }),
            _ => return Err(SqlError::undeclared(name)),
        })
    }

    /// Functions that are written without parentheses.
    pub(super) fn niladic(&mut self, name: &str) -> SqlResult<Option<Typed>> {
        let name = name.to_uppercase();
        Ok(match name.as_str() {
            "CURRENT_USER" | "SESSION_USER" | "USER" => Some(self.user_name()),
            "SYSTEM_USER" => Some(self.login_name()),
            "CURRENT_TIMESTAMP" => self.current_timestamp(),
            _ => None,
        })
    }

    fn user_name(&self) -> Typed {
        Typed::constant(
            Value::Text(self.state.acting().name.clone()),
            T::NVarChar(128),
        )
    }

    fn login_name(&self) -> Typed {
        let name = self.state.acting_login().to_owned();
        Typed::constant(Value::Text(name), T::NVarChar(128))
    }

    pub(super) fn system_call(
        &mut self,
        name: &str,
        args: &[&Expr],
        scope: &Scope<'_>,
    ) -> SqlResult<Option<Typed>> {
        let state = self.state;
        let text = |v: String| Typed::constant(Value::Text(v), T::NVarChar(128));
        let int = |v: i64| Typed::constant(Value::Int(v), T::Int);
        let found = match (name, args) {
            ("DB_NAME", []) => text(state.database.name.clone()),
            ("DB_ID", []) => int(state.database.id),
            ("DB_NAME" | "DB_ID", [arg]) => {
                return self.database_lookup(name, arg, scope).map(Some);
            }
            ("SUSER_SNAME" | "SUSER_NAME", []) => self.login_name(),
            ("ORIGINAL_LOGIN", []) => text(state.login_name.clone()),
            ("USER_NAME" | "CURRENT_USER" | "SESSION_USER" | "USER", []) => self.user_name(),
            ("SYSTEM_USER", []) => self.login_name(),
            ("SCHEMA_NAME", []) => text(state.acting().default_schema.clone()),
            ("USER_ID" | "DATABASE_PRINCIPAL_ID", []) => int(state.acting().id),
            ("SCOPE_IDENTITY", []) => identity(state.scope_identity),
            ("XACT_STATE", []) => Typed::constant(Value::Int(xact_state(state)), T::SmallInt),
            ("HOST_NAME", []) => text(state.client.host_name.clone()),
            ("APP_NAME" | "PROGRAM_NAME", []) => text(state.client.program_name.clone()),
            ("HOST_ID", []) => {
                Typed::constant(Value::Text(host_id(state.client.process_id)), T::Char(10))
            }
            (
                "ERROR_NUMBER" | "ERROR_MESSAGE" | "ERROR_SEVERITY" | "ERROR_STATE" | "ERROR_LINE"
                | "ERROR_PROCEDURE",
                [],
            ) => self.caught_value(name),
            _ => return self.catalogue_call(name, args, scope),
        };
        Ok(Some(found))
    }

    /// Functions that look into the catalogue or take a property's name.
    fn catalogue_call(
        &mut self,
        name: &str,
        args: &[&Expr],
        scope: &Scope<'_>,
    ) -> SqlResult<Option<Typed>> {
        let state = self.state;
        let int = |v: i64| Typed::constant(Value::Int(v), T::Int);
        let found = match (name, args) {
            ("SERVERPROPERTY", [arg]) => {
                let key = self.constant_text(arg, scope, name)?.unwrap_or_default();
                self.server_property(&key)
            }
            ("DATABASEPROPERTYEX", [_, arg]) => {
                let key = self.constant_text(arg, scope, name)?.unwrap_or_default();
                database_property(&key)
            }
            ("HAS_DBACCESS", [arg]) => {
                let name = self.constant_text(arg, scope, name)?.unwrap_or_default();
                let found = state.shared.store.find(&name);
                found.map_or(Typed::constant(Value::Null, T::Int), |d| {
                    int(i64::from(d.id == state.database.id))
                })
            }
            ("IDENT_CURRENT", [arg]) => return self.ident_current(arg, scope).map(Some),
            ("CONNECTIONPROPERTY", [arg]) => {
                let key = self.constant_text(arg, scope, name)?.unwrap_or_default();
                match key.to_lowercase().as_str() {
                    "net_transport" | "physical_net_transport" => variant_text("TCP"),
                    "auth_scheme" => variant_text("SQL"),
                    _ => variant(Value::Null, T::Variant),
                }
            }
            _ => return self.metadata_call(name, args, scope),
        };
        Ok(Some(found))
    }

    fn caught_value(&self, name: &str) -> Typed {
        let ty = if matches!(name, "ERROR_MESSAGE" | "ERROR_PROCEDURE") {
            T::NVarChar(4000)
        } else {
            T::Int
        };
        let Some(error) = self.caught else {
            return Typed::constant(Value::Null, ty);
        };
        let value = match name {
            "ERROR_NUMBER" => Value::Int(error.number.into()),
            "ERROR_MESSAGE" => Value::Text(error.message.clone()),
            "ERROR_SEVERITY" => Value::Int(error.class.into()),
            "ERROR_STATE" => Value::Int(error.state.into()),
            "ERROR_LINE" => Value::Int(error.line.into()),
            _ => Value::Null,
        };
        Typed::constant(value, ty)
    }

    fn server_property(&self, key: &str) -> Typed {
        let name = self.state.shared.options.server_name.clone();
        let int = |v: i64| variant(Value::Int(v), T::Int);
        match key.to_lowercase().as_str() {
            "edition" => variant_text("SQL Azure"),
            "engineedition" => int(5),
            "productversion" => variant_text("12.0.2000.8"),
            "productlevel" => variant_text("RTM"),
            "productmajorversion" => variant_text("12"),
            "productminorversion" => variant_text("0"),
            "servername" => variant_text(&name),
            "collation" => variant_text("SQL_Latin1_General_CP1_CI_AS"),
            "isclustered"
            | "isintegratedsecurityonly"
            | "issingleuser"
            | "ishadrenabled"
            | "isfulltextinstalled" => int(0),
            _ => variant(Value::Null, T::Variant),
        }
    }

    fn database_lookup(&mut self, name: &str, arg: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        let value = self.expr(arg, scope)?;
        let to_name = name == "DB_NAME";
        let value = if to_name {
            self.coerce(value, T::Int)?
        } else {
            self.coerce(value, T::NVarChar(128))?
        };
        let mut sql = format!(
            "(CASE {}",
            if to_name { value.sql } else { value.collated() }
        );
        for database in self.state.shared.store.all() {
            let (id, text) = (
                database.id.to_string(),
                super::literal(&Value::Text(database.name)),
            );
            let (when, then) = if to_name { (id, text) } else { (text, id) };
            sql.push_str(&format!(" WHEN {when} THEN {then}"));
        }
        Ok(Typed::new(
            sql + " END)",
            if to_name { T::NVarChar(128) } else { T::Int },
        ))
    }

    fn ident_current(&mut self, arg: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        let name = self.constant_text(arg, scope, "IDENT_CURRENT")?;
        let table = name
            .as_deref()
            .and_then(QualifiedName::parse)
            .and_then(|n| self.find_table(&n).ok());
        let Some((table, (seed, increment))) = table.and_then(|t| {
            t.identity_column()
                .and_then(|c| c.identity)
                .map(|i| (t.clone(), i))
        }) else {
            return Ok(identity(None));
        };
        Ok(Typed::new(
            format!(
                "t_cv((SELECT ifnull(identity_next-({increment}),{seed}) FROM {}.\"~objects\" WHERE id={}),{},{},NULL)",
                table.alias,
                table.id,
                T::BigInt.code(),
                IDENTITY.code()
            ),
            IDENTITY,
        ))
    }
}

/// The type of the functions that give identity values.
const IDENTITY: SqlType = T::Decimal {
    precision: 38,
    scale: 0,
    numeric: true,
};

fn identity(value: Option<i64>) -> Typed {
    let ty = IDENTITY;
    Typed::constant(
        value.map_or(Value::Null, |v| Value::Decimal(Decimal::from_int(v))),
        ty,
    )
}

fn xact_state(state: &super::super::session::State) -> i64 {
    match (state.tran.count, state.tran.doomed) {
        (0, _) => 0,
        (_, true) => -1,
        _ => 1,
    }
}

fn database_property(key: &str) -> Typed {
    match key.to_lowercase().as_str() {
        "collation" => variant_text("SQL_Latin1_General_CP1_CI_AS"),
        "status" => variant_text("ONLINE"),
        "updateability" => variant_text("READ_WRITE"),
        "edition" => variant_text("GeneralPurpose"),
        "serviceobjective" => variant_text("GP_S_Gen5_1"),
        _ => variant(Value::Null, T::Variant),
    }
}

/// HOST_ID: the client's process id in ten characters.
fn host_id(process_id: u32) -> String {
    format!("{process_id:<10}")
}

/// A value of a `sql_variant`.
fn variant(value: Value, base: SqlType) -> Typed {
    Typed::constant(Variant::wrap(value, base), T::Variant)
}

fn variant_text(text: &str) -> Typed {
    variant(Value::Text(text.to_owned()), T::NVarChar(128))
}
