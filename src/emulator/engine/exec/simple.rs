//! Statements that are neither control flow nor about rows: variables, settings, messages.

use sqlparser::ast::Expr;

use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Declaration, Kind, SetOption, TranName};
use super::super::planner::{Output, Scope, Variable};
use super::super::session::state::Isolation;
use super::super::types::{SqlType, Value, allow, convert};
use super::super::wire::out::command;
use super::Run;
use crate::tds::EnvChange;

impl Run<'_, '_> {
    pub(super) fn simple(&mut self, kind: &Kind) -> SqlResult<()> {
        if self.state.settings.noexec && !matches!(kind, Kind::Set(_)) {
            return Ok(());
        }
        match kind {
            Kind::Declare(items) => items.iter().try_for_each(|item| self.declare(item)),
            Kind::DeclareTable(create) => self.declare_table(create),
            Kind::SetVariable(name, value) => self.set_variable(name, value),
            Kind::Set(option) => self.set(option),
            Kind::Print(value) => self.print(value),
            Kind::RaiseError(args, options) => self.raise_error(args, *options),
            Kind::WaitFor(delay) => self.wait_for(delay),
            Kind::Reseed(table, value) => self.reseed(table, *value),
            Kind::Throw(args) => self.throw(args.as_ref()),
            Kind::Exec(exec) => self.exec(exec),
            Kind::Use(name) => self.use_database(&name.value),
            Kind::UserOptions => self.user_options(),
            Kind::Begin(_) | Kind::Commit | Kind::Rollback(_) | Kind::Save(_) => {
                self.transaction(kind)
            }
            Kind::InsertBulk(bulk) => self.insert_bulk(bulk),
            Kind::Query(..)
            | Kind::Insert(_)
            | Kind::Update(_)
            | Kind::Delete(_)
            | Kind::Truncate(_) => self.rows(kind),
            Kind::Security(security) => self.security(security),
            other => self.define(other),
        }
    }

    /// The value of an expression, in a type if one is given.
    pub(super) fn value(
        &mut self,
        expr: &Expr,
        ty: Option<SqlType>,
    ) -> SqlResult<(SqlType, Value)> {
        let mut planner = self.planner();
        let mut typed = planner.expr(expr, &Scope::inside(None))?;
        if let Some(ty) = ty {
            typed = planner.coerce(typed, ty)?;
        }
        if let Some(value) = typed.constant {
            return Ok((typed.ty, value));
        }
        let binds = std::mem::take(&mut planner.binds);
        let sql = format!("SELECT {}", typed.sql);
        let mut statement = self.state.conn.prepare(&sql)?;
        let binds = super::rows::used(&statement, binds);
        let mut rows = statement.query(binds)?;
        let row = rows
            .next()?
            .ok_or_else(|| SqlError::internal("an expression has no value"))?;
        let value = Value::from_stored(row.get_ref(0)?, typed.ty).ok_or_else(|| {
            SqlError::internal(format!(
                "a value that should be {} is something else",
                typed.ty
            ))
        })?;
        Ok((typed.ty, value))
    }

    fn declare(&mut self, item: &Declaration) -> SqlResult<()> {
        let key = item.name.to_lowercase();
        if item.ty.is_old_lob() {
            return Err(SqlError::new(
                2739,
                "The text, ntext, and image data types are invalid for local variables.",
            ));
        }
        if self.variables.contains_key(&key) && item.value.is_none() {
            // DECLARE in a loop runs again; the variable keeps its value, as in T-SQL.
            return Ok(());
        }
        let value = match &item.value {
            None => Value::Null,
            Some(value) => self.assigned(value, item.ty)?,
        };
        self.variables.insert(key, Variable { ty: item.ty, value });
        Ok(())
    }

    fn set_variable(&mut self, name: &str, value: &Expr) -> SqlResult<()> {
        let key = name.to_lowercase();
        let ty = self
            .variables
            .get(&key)
            .map(|v| v.ty)
            .ok_or_else(|| SqlError::undeclared(name))?;
        let value = self.assigned(value, ty)?;
        self.variables.insert(key, Variable { ty, value });
        self.state.rowcount = 1;
        Ok(())
    }

    /// A value on its way into a variable, which is cut to length in silence.
    fn assigned(&mut self, expr: &Expr, ty: SqlType) -> SqlResult<Value> {
        let (from, value) = self.value(expr, None)?;
        if value.is_null() {
            return Ok(Value::Null);
        }
        allow::allowed(from, ty, false)?;
        convert::cast(value, from, ty, None)
    }

    fn set(&mut self, option: &SetOption) -> SqlResult<()> {
        let settings = &mut self.state.settings;
        match option {
            SetOption::NoCount(on) => settings.nocount = *on,
            SetOption::XactAbort(on) => settings.xact_abort = *on,
            SetOption::ImplicitTransactions(on) => settings.implicit_transactions = *on,
            SetOption::NoExec(on) => settings.noexec = *on,
            SetOption::FmtOnly(on) => settings.fmtonly = *on,
            SetOption::TextSize(size) => {
                settings.textsize = *size;
                self.out.limit_texts(*size);
            }
            SetOption::RowCount(value) => {
                let count = self.integer(value)?;
                self.state.settings.rowcount = count.max(0);
            }
            SetOption::LockTimeout(value) => {
                let timeout = self.integer(value)?;
                self.state.settings.lock_timeout = timeout.max(-1);
            }
            SetOption::DateFirst(value) => {
                let day = self.integer(value)?;
                if !(1..=7).contains(&day) {
                    return Err(SqlError::new(
                        2744,
                        "The DATEFIRST value is out of range: 1 to 7.",
                    ));
                }
                self.state.settings.datefirst = day;
            }
            SetOption::IdentityInsert(table, on) => return self.identity_insert(table, *on),
            SetOption::Isolation(level) => self.state.isolation = *level,
            SetOption::Accepted => {}
        }
        self.state.rowcount = 0;
        Ok(())
    }

    fn print(&mut self, expr: &Expr) -> SqlResult<()> {
        let (ty, value) = self.value(expr, None)?;
        let text = match convert::cast(value, ty, SqlType::NVarChar(4000), None)? {
            Value::Text(text) => text,
            _ => String::new(),
        };
        self.out.info(&SqlError::new(0, text).class(0));
        self.state.rowcount = 0;
        Ok(())
    }

    fn throw(&mut self, args: Option<&[Box<Expr>; 3]>) -> SqlResult<()> {
        let Some([number, message, state]) = args else {
            let mut error = self.caught.last().cloned().ok_or_else(|| {
                SqlError::new(
                    10704,
                    "To rethrow an error, a THROW statement must be used inside a CATCH block. Insert the THROW \
                     statement inside a CATCH block, or add error parameters to the THROW statement.",
                )
                .class(15)
            })?;
            // Its line is that of the first error, not of the THROW.
            error.state = error.state.max(1);
            return Err(error);
        };
        let number = self.integer(number)?;
        if !(50_000..=2_147_483_647).contains(&number) {
            return Err(SqlError::new(
                35100,
                format!(
                    "Error number {number} in the THROW statement is outside the valid range. Specify an error number in the valid range of 50000 to 2147483647."
                ),
            ));
        }
        let text = match self.value(message, Some(SqlType::NVarChar(2048)))?.1 {
            // A percent sign is written as two.
            Value::Text(text) => text.replace("%%", "%"),
            _ => String::new(),
        };
        let state = u8::try_from(self.integer(state)?.clamp(0, 255)).unwrap_or(1);
        Err(SqlError::new(u32::try_from(number).unwrap_or(50_000), text).state(state))
    }

    pub(super) fn use_database(&mut self, name: &str) -> SqlResult<()> {
        let old = self.state.database.name.clone();
        if !name.eq_ignore_ascii_case(&old) {
            return Err(SqlError::new(
                40508,
                "USE statement is not supported to switch between databases. Use a new connection to connect to a different database.",
            ));
        }
        self.state.use_database(name)?;
        let new = self.state.database.name.clone();
        self.out.env_change(EnvChange::Database {
            new: new.clone(),
            old,
        });
        self.out.info(
            &SqlError::new(5701, format!("Changed database context to '{new}'."))
                .class(0)
                .state(1),
        );
        Ok(())
    }

    fn user_options(&mut self) -> SqlResult<()> {
        let level = match self.state.isolation {
            Isolation::ReadUncommitted => "read uncommitted",
            Isolation::ReadCommitted => "read committed",
            Isolation::RepeatableRead => "repeatable read",
            Isolation::Serializable => "serializable",
            Isolation::Snapshot => "snapshot",
        };
        let rows = [
            ("textsize", self.state.settings.textsize.to_string()),
            ("language", "us_english".to_owned()),
            ("dateformat", "mdy".to_owned()),
            ("datefirst", self.state.settings.datefirst.to_string()),
            ("lock_timeout", self.state.settings.lock_timeout.to_string()),
            ("quoted_identifier", "SET".to_owned()),
            ("ansi_nulls", "SET".to_owned()),
            ("isolation level", level.to_owned()),
        ];
        let column = |name: &str| Output {
            name: name.into(),
            ty: SqlType::NVarChar(128),
            nullable: true,
            identity: false,
            all_null: false,
        };
        self.out.columns(&[column("Set Option"), column("Value")])?;
        for (name, value) in &rows {
            self.out.row(|index| {
                let text = if index == 0 { name } else { value.as_str() };
                Ok(rusqlite::types::ValueRef::Text(text.as_bytes()))
            })?;
        }
        self.out.done(command::SELECT, Some(8), false);
        Ok(())
    }

    pub(super) fn name_of(&mut self, name: &TranName) -> SqlResult<String> {
        match name {
            TranName::None => Ok(String::new()),
            TranName::Name(name) => Ok(name.clone()),
            TranName::Variable(name) => match self.variables.get(&name.to_lowercase()) {
                Some(Variable {
                    value: Value::Text(text),
                    ..
                }) => Ok(text.clone()),
                Some(_) => Ok(String::new()),
                None => Err(SqlError::undeclared(name)),
            },
        }
    }
}
