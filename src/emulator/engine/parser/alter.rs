//! ALTER TABLE.

use sqlparser::ast::{Ident, ObjectName};

use super::super::error::{SqlError, SqlResult};
use super::Reader;
use super::ast::{AlterTable, Constraint, ConstraintKind, Dropped, Kind};

impl Reader {
    pub(super) fn alter_table(&mut self) -> SqlResult<Kind> {
        let name = self.object_name()?;
        let checked = !self.eat(&["WITH", "NOCHECK"]);
        let _ = self.eat(&["WITH", "CHECK"]);
        let change = if self.eat(&["ADD"]) {
            self.additions(checked)?
        } else if self.eat(&["DROP"]) {
            AlterTable::Drop(self.dropped()?)
        } else if self.eat(&["ALTER", "COLUMN"]) {
            self.altered_column(&name)?
        } else {
            let what = [0, 1]
                .map(|n| self.word_at(n).unwrap_or_default())
                .join(" ");
            return Err(SqlError::unsupported(format!("ALTER TABLE … {what}")));
        };
        Ok(Kind::AlterTable(name, Box::new(change)))
    }

    fn additions(&mut self, checked: bool) -> SqlResult<AlterTable> {
        let (mut columns, mut constraints) = (Vec::new(), Vec::new());
        self.list(|r| {
            match r.added_default()? {
                Some(default) => constraints.push(default),
                None => match r.table_constraint()? {
                    Some(constraint) => constraints.push(constraint),
                    None => columns.push(r.column()?),
                },
            }
            Ok(())
        })?;
        Ok(AlterTable::Add {
            columns,
            constraints,
            checked,
        })
    }

    /// `[CONSTRAINT name] DEFAULT value FOR column`.
    fn added_default(&mut self) -> SqlResult<Option<Constraint>> {
        let named = self.peek(&["CONSTRAINT"]);
        if self.word_at(if named { 2 } else { 0 }).as_deref() != Some("DEFAULT") {
            return Ok(None);
        }
        let name = if self.eat(&["CONSTRAINT"]) {
            Some(self.ident()?)
        } else {
            None
        };
        self.expect(&["DEFAULT"])?;
        let value = self.operand()?;
        self.expect(&["FOR"])?;
        let column = self.ident()?;
        if self.peek(&["WITH", "VALUES"]) {
            return Err(SqlError::unsupported("ADD DEFAULT … WITH VALUES"));
        }
        Ok(Some(Constraint {
            name,
            kind: ConstraintKind::Default(column, value),
        }))
    }

    fn dropped(&mut self) -> SqlResult<Vec<Dropped>> {
        let mut column = false;
        let mut if_exists = false;
        self.list(|r| {
            if r.eat(&["COLUMN"]) {
                (column, if_exists) = (true, r.eat(&["IF", "EXISTS"]));
            } else if r.eat(&["CONSTRAINT"]) {
                (column, if_exists) = (false, r.eat(&["IF", "EXISTS"]));
            } else if r.peek(&["PERIOD"]) {
                return Err(SqlError::unsupported("ALTER TABLE … DROP PERIOD"));
            }
            let name: Ident = r.ident()?;
            Ok(Dropped {
                column,
                name,
                if_exists,
            })
        })
    }

    fn altered_column(&mut self, _table: &ObjectName) -> SqlResult<AlterTable> {
        let name = self.ident()?;
        if self.peek(&["ADD"]) || self.peek(&["DROP"]) {
            return Err(SqlError::unsupported("ALTER COLUMN … ADD and DROP"));
        }
        let ty = self.data_type()?;
        let mut nullable = true;
        if self.eat(&["COLLATE"]) {
            let collation = self.ident()?.value;
            if !collation.eq_ignore_ascii_case("SQL_Latin1_General_CP1_CI_AS")
                && !collation.eq_ignore_ascii_case("DATABASE_DEFAULT")
            {
                return Err(SqlError::unsupported(format!("COLLATE {collation}")));
            }
        }
        if self.eat(&["NOT", "NULL"]) {
            nullable = false;
        } else {
            let _ = self.eat(&["NULL"]);
        }
        Ok(AlterTable::Column { name, ty, nullable })
    }
}
