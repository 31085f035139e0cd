//! Definitions of tables, indexes, views, schemas and databases.

use sqlparser::ast::{Ident, ObjectName};
use sqlparser::tokenizer::Token;

use super::super::error::{SqlError, SqlResult};
use super::Reader;
use super::ast::{Column, Constraint, ConstraintKind, CreateIndex, CreateTable, Kind, ViewChange};

impl Reader {
    pub(super) fn definition(&mut self) -> SqlResult<Kind> {
        if self.eat(&["TRUNCATE", "TABLE"]) {
            return self.object_name().map(Kind::Truncate);
        }
        if self.eat(&["CREATE", "TABLE"]) {
            return self.create_table();
        }
        if self.eat(&["CREATE", "SCHEMA"]) {
            return self.create_schema();
        }
        if self.eat(&["CREATE", "VIEW"]) {
            return self.create_view(ViewChange::Create);
        }
        if self.eat(&["CREATE", "OR", "ALTER", "VIEW"]) {
            return self.create_view(ViewChange::CreateOrAlter);
        }
        if self.eat(&["ALTER", "VIEW"]) {
            return self.create_view(ViewChange::Alter);
        }
        if self.eat(&["CREATE", "DATABASE"]) {
            let name = self.ident()?;
            return Ok(Kind::CreateDatabase(name));
        }
        if self.eat(&["ALTER", "TABLE"]) {
            return self.alter_table();
        }
        if self.peek(&["CREATE"]) && self.index_follows() {
            return self.create_index();
        }
        if self.eat(&["DROP"]) {
            return self.drop_object();
        }
        self.security()
    }

    fn drop_object(&mut self) -> SqlResult<Kind> {
        let what = self.word_at(0).unwrap_or_default();
        if matches!(what.as_str(), "USER" | "ROLE" | "LOGIN") {
            return self.drop_principal(&what);
        }
        self.parser().advance_token();
        let if_exists = self.eat(&["IF", "EXISTS"]);
        Ok(match what.as_str() {
            "TABLE" => Kind::DropTable {
                names: self.list(Self::object_name)?,
                if_exists,
            },
            "VIEW" => Kind::DropView {
                names: self.list(Self::object_name)?,
                if_exists,
            },
            "SCHEMA" => Kind::DropSchema {
                name: self.ident()?,
                if_exists,
            },
            "DATABASE" => Kind::DropDatabase {
                name: self.ident()?,
                if_exists,
            },
            "INDEX" => {
                let name = self.ident()?;
                self.expect(&["ON"])?;
                Kind::DropIndex {
                    name,
                    table: self.object_name()?,
                    if_exists,
                }
            }
            "PROCEDURE" | "PROC" | "FUNCTION" | "TRIGGER" | "SEQUENCE" | "SYNONYM" | "TYPE" => {
                Kind::DropNothing {
                    what: what
                        .to_lowercase()
                        .replace("procedure", "proc")
                        .replace("proc", "procedure"),
                    names: self.list(Self::object_name)?,
                    if_exists,
                }
            }
            other => return Err(SqlError::unsupported(format!("DROP {other}"))),
        })
    }

    fn create_schema(&mut self) -> SqlResult<Kind> {
        if self.peek(&["AUTHORIZATION"]) {
            return Err(SqlError::unsupported("CREATE SCHEMA without a name"));
        }
        let name = self.ident()?;
        let owner = if self.eat(&["AUTHORIZATION"]) {
            Some(self.ident()?)
        } else {
            None
        };
        if ["CREATE", "GRANT", "REVOKE", "DENY"]
            .iter()
            .any(|word| self.peek(&[word]))
        {
            return Err(SqlError::unsupported("CREATE SCHEMA with elements"));
        }
        Ok(Kind::CreateSchema { name, owner })
    }

    fn create_view(&mut self, how: ViewChange) -> SqlResult<Kind> {
        let start = self.place();
        let name = self.object_name()?;
        let columns = if self.peek_token(&Token::LParen) {
            self.in_parens(|r| r.list(Self::ident))?
        } else {
            Vec::new()
        };
        if self.peek(&["WITH"]) {
            return Err(SqlError::unsupported("CREATE VIEW WITH …"));
        }
        self.expect(&["AS"])?;
        let query = self.query()?;
        if self.peek(&["WITH", "CHECK"]) {
            return Err(SqlError::unsupported("CREATE VIEW … WITH CHECK OPTION"));
        }
        Ok(Kind::CreateView {
            name,
            columns,
            query,
            how,
            source: format!("CREATE VIEW {}", self.since(start)),
        })
    }

    fn create_table(&mut self) -> SqlResult<Kind> {
        let name = self.object_name()?;
        let create = self.table_body(name)?;
        for word in ["ON", "TEXTIMAGE_ON"] {
            if self.eat(&[word]) {
                // A filegroup: there is only one place here.
                self.parser().advance_token();
            }
        }
        if self.peek(&["WITH"]) {
            return Err(SqlError::unsupported("CREATE TABLE WITH …"));
        }
        Ok(Kind::CreateTable(Box::new(create)))
    }

    /// `DECLARE @t TABLE (…)`, from the variable on.
    pub(super) fn declare_table(&mut self) -> SqlResult<Kind> {
        let name = self.ident()?;
        let _ = self.eat(&["AS"]);
        self.expect(&["TABLE"])?;
        let create = self.table_body(ObjectName::from(vec![name]))?;
        let own = create.columns.iter().flat_map(|c| &c.constraints);
        for constraint in own.chain(&create.constraints) {
            if constraint.name.is_some() {
                return Err(SqlError::keyword_near("CONSTRAINT"));
            }
            if matches!(constraint.kind, ConstraintKind::ForeignKey { .. }) {
                return Err(SqlError::keyword_near("FOREIGN"));
            }
        }
        Ok(Kind::DeclareTable(Box::new(create)))
    }

    /// Columns and constraints of a table, in parentheses.
    fn table_body(&mut self, name: ObjectName) -> SqlResult<CreateTable> {
        let (mut columns, mut constraints) = (Vec::new(), Vec::new());
        self.expect_token(&Token::LParen)?;
        loop {
            if self.eat_token(&Token::RParen) {
                break;
            }
            match self.table_constraint()? {
                Some(constraint) => constraints.push(constraint),
                None => columns.push(self.column()?),
            }
            if !self.eat_token(&Token::Comma) {
                self.expect_token(&Token::RParen)?;
                break;
            }
        }
        Ok(CreateTable {
            name,
            columns,
            constraints,
        })
    }

    pub(super) fn column(&mut self) -> SqlResult<Column> {
        let name = self.ident()?;
        if self.peek(&["AS"]) {
            return Err(SqlError::unsupported("computed columns"));
        }
        let mut column = Column {
            name,
            ty: self.data_type()?,
            nullable: None,
            identity: None,
            default: None,
            constraints: Vec::new(),
        };
        while self.column_option(&mut column)? {}
        Ok(column)
    }

    fn column_option(&mut self, column: &mut Column) -> SqlResult<bool> {
        let constraint = if self.eat(&["CONSTRAINT"]) {
            Some(self.ident()?)
        } else {
            None
        };
        if self.eat(&["NOT", "NULL"]) {
            column.nullable = Some(false);
        } else if self.eat(&["NULL"]) {
            column.nullable = Some(true);
        } else if self.eat(&["IDENTITY"]) {
            column.identity = Some(self.seed()?);
            if self.peek(&["NOT", "FOR"]) {
                return Err(SqlError::unsupported("IDENTITY NOT FOR REPLICATION"));
            }
        } else if self.eat(&["DEFAULT"]) {
            column.default = Some((constraint, self.operand()?));
        } else if self.eat(&["COLLATE"]) {
            let collation = self.ident()?.value;
            if !collation.eq_ignore_ascii_case("SQL_Latin1_General_CP1_CI_AS")
                && !collation.eq_ignore_ascii_case("DATABASE_DEFAULT")
            {
                return Err(SqlError::unsupported(format!("COLLATE {collation}")));
            }
        } else if self.peek(&["PRIMARY", "KEY"])
            || self.peek(&["UNIQUE"])
            || self.peek(&["CHECK"])
            || self.peek(&["REFERENCES"])
            || self.peek(&["FOREIGN", "KEY"])
        {
            let kind = self.constraint_kind(Some(&column.name))?;
            column.constraints.push(Constraint {
                name: constraint,
                kind,
            });
        } else if constraint.is_some() {
            return Err(self.unexpected());
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn seed(&mut self) -> SqlResult<(i64, i64)> {
        if !self.peek_token(&Token::LParen) {
            return Ok((1, 1));
        }
        self.in_parens(|r| {
            let seed = r.integer()?;
            r.expect_token(&Token::Comma)?;
            Ok((seed, r.integer()?))
        })
    }

    pub(super) fn table_constraint(&mut self) -> SqlResult<Option<Constraint>> {
        let named = self.peek(&["CONSTRAINT"]);
        let name = if self.eat(&["CONSTRAINT"]) {
            Some(self.ident()?)
        } else {
            None
        };
        let begins = ["PRIMARY", "UNIQUE", "CHECK", "FOREIGN"]
            .iter()
            .any(|word| self.peek(&[word]));
        if begins {
            let kind = self.constraint_kind(None)?;
            return Ok(Some(Constraint { name, kind }));
        }
        if self.peek(&["DEFAULT"]) {
            return Err(SqlError::unsupported("ALTER TABLE ADD DEFAULT"));
        }
        if self.peek(&["INDEX"]) {
            return Err(SqlError::unsupported("INDEX inside CREATE TABLE"));
        }
        if named {
            Err(self.unexpected())
        } else {
            Ok(None)
        }
    }

    fn constraint_kind(&mut self, column: Option<&Ident>) -> SqlResult<ConstraintKind> {
        if self.eat(&["PRIMARY", "KEY"]) {
            return self.key_columns(column).map(ConstraintKind::PrimaryKey);
        }
        if self.eat(&["UNIQUE"]) {
            return self.key_columns(column).map(ConstraintKind::Unique);
        }
        if self.eat(&["CHECK"]) {
            return self.in_parens(Self::expr).map(ConstraintKind::Check);
        }
        let columns = match column {
            Some(column) => {
                let _ = self.eat(&["FOREIGN", "KEY"]);
                vec![column.clone()]
            }
            None => {
                self.expect(&["FOREIGN", "KEY"])?;
                self.in_parens(|r| r.list(Self::ident))?
            }
        };
        self.expect(&["REFERENCES"])?;
        let table: ObjectName = self.object_name()?;
        let parent = if self.peek_token(&Token::LParen) {
            self.in_parens(|r| r.list(Self::ident))?
        } else {
            Vec::new()
        };
        Ok(ConstraintKind::ForeignKey {
            columns,
            table,
            parent,
            actions: self.foreign_key_actions()?,
        })
    }

    fn foreign_key_actions(&mut self) -> SqlResult<String> {
        let mut text = String::new();
        while self.eat(&["ON"]) {
            let event = self.word_at(0).unwrap_or_default();
            if !matches!(event.as_str(), "DELETE" | "UPDATE") {
                return Err(self.unexpected());
            }
            self.parser().advance_token();
            let action = [
                (&["NO", "ACTION"][..], "NO ACTION"),
                (&["CASCADE"], "CASCADE"),
                (&["SET", "NULL"], "SET NULL"),
                (&["SET", "DEFAULT"], "SET DEFAULT"),
            ]
            .into_iter()
            .find(|(words, _)| self.eat(words))
            .map(|(_, action)| action)
            .ok_or_else(|| self.unexpected())?;
            if action == "SET DEFAULT" {
                return Err(SqlError::unsupported("ON DELETE SET DEFAULT"));
            }
            text.push_str(&format!(" ON {event} {action}"));
        }
        Ok(text)
    }

    fn key_columns(&mut self, column: Option<&Ident>) -> SqlResult<Vec<(Ident, bool)>> {
        let _ = self.eat(&["CLUSTERED"]) || self.eat(&["NONCLUSTERED"]);
        if let Some(column) = column
            && !self.peek_token(&Token::LParen)
        {
            self.index_options()?;
            return Ok(vec![(column.clone(), true)]);
        }
        let columns = self.index_columns()?;
        self.index_options()?;
        Ok(columns)
    }

    /// `WITH (…) ON [PRIMARY]` of an index: how it is stored, which is the engine's own affair.
    fn index_options(&mut self) -> SqlResult<()> {
        const STORAGE: &[&str] = &[
            "ALLOW_PAGE_LOCKS",
            "ALLOW_ROW_LOCKS",
            "DATA_COMPRESSION",
            "FILLFACTOR",
            "MAXDOP",
            "ONLINE",
            "OPTIMIZE_FOR_SEQUENTIAL_KEY",
            "PAD_INDEX",
            "SORT_IN_TEMPDB",
            "STATISTICS_NORECOMPUTE",
        ];
        let listed = self.peek(&["WITH"])
            && matches!(self.parser().peek_nth_token_ref(1).token, Token::LParen);
        if listed {
            self.parser().advance_token();
            self.in_parens(|r| {
                r.list(|r| {
                    let name = r.ident()?.value.to_uppercase();
                    r.expect_token(&Token::Eq)?;
                    let value = r.parser().peek_token_ref().token.to_string().to_uppercase();
                    r.parser().advance_token();
                    let harmless = STORAGE.contains(&name.as_str())
                        || matches!(name.as_str(), "IGNORE_DUP_KEY" | "DROP_EXISTING")
                            && value == "OFF";
                    if harmless {
                        Ok(())
                    } else {
                        Err(SqlError::unsupported(format!(
                            "index option {name} = {value}"
                        )))
                    }
                })
            })?;
        }
        let filegroup = self.peek(&["ON"])
            && matches!(&self.parser().peek_nth_token_ref(1).token, Token::Word(w) if w.value.eq_ignore_ascii_case("PRIMARY"));
        if filegroup {
            self.parser().advance_token();
            self.parser().advance_token();
        }
        Ok(())
    }

    /// Columns with true for ascending.
    fn index_columns(&mut self) -> SqlResult<Vec<(Ident, bool)>> {
        self.in_parens(|r| {
            r.list(|r| {
                let name = r.ident()?;
                let descending = r.eat(&["DESC"]);
                if !descending {
                    let _ = r.eat(&["ASC"]);
                }
                Ok((name, !descending))
            })
        })
    }

    fn index_follows(&self) -> bool {
        (1..5)
            .map_while(|n| self.word_at(n))
            .take_while(|w| {
                matches!(
                    w.as_str(),
                    "UNIQUE" | "CLUSTERED" | "NONCLUSTERED" | "INDEX"
                )
            })
            .any(|w| w == "INDEX")
    }

    fn create_index(&mut self) -> SqlResult<Kind> {
        self.expect(&["CREATE"])?;
        let unique = self.eat(&["UNIQUE"]);
        let _ = self.eat(&["CLUSTERED"]) || self.eat(&["NONCLUSTERED"]);
        self.expect(&["INDEX"])?;
        let name = self.ident()?;
        self.expect(&["ON"])?;
        let table = self.object_name()?;
        let columns = self.index_columns()?;
        if self.eat(&["INCLUDE"]) {
            self.in_parens(|r| r.list(Self::ident))?;
        }
        let filter = if self.eat(&["WHERE"]) {
            Some(self.expr()?)
        } else {
            None
        };
        self.index_options()?;
        Ok(Kind::CreateIndex(CreateIndex {
            filter,
            name,
            table,
            unique,
            columns,
        }))
    }
}
