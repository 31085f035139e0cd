//! What is refused before a batch runs.
//!
//! T-SQL compiles a batch as a whole: a column that a table does not have, or a variable that was not
//! declared, stops it before its first statement. What refers to objects that do not exist yet
//! waits until its turn.

use sqlparser::ast::Expr;

use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Declaration, Kind, Source, Stmt};
use super::super::planner::{Planner, Scope, Variable, Variables};
use super::super::types::Value;
use super::Run;
use super::rows::into_target;

/// Errors of names and of what stands where. Others wait: an object may exist by then.
const COMPILED: &[u32] = &[
    107, 108, 109, 110, 116, 120, 121, 130, 137, 145, 147, 157, 164, 205, 207, 209, 213, 264, 1033,
    4104, 8120, 8155, 8156, 8158, 8159,
];

impl Run<'_, '_> {
    /// Looks at all statements, and declares their variables, which exist from the start.
    /// `returns` is whether RETURN may have a value, as in procedures.
    pub(super) fn compiled(&mut self, statements: &[Stmt], returns: bool) -> SqlResult<()> {
        let mut look = Look {
            run: self,
            known: self.variables.clone(),
            tables: Vec::new(),
            loops: 0,
            returns,
            // A statement alone is planned when it runs.
            alone: statements.len() == 1,
        };
        look.statements(statements)?;
        let known = look.known;
        for (name, variable) in known {
            self.variables.entry(name).or_insert(variable);
        }
        Ok(())
    }
}

struct Look<'r, 'a, 's> {
    run: &'r Run<'a, 's>,
    known: Variables,
    /// Table variables, in lower case.
    tables: Vec<String>,
    /// WHILE statements around.
    loops: usize,
    returns: bool,
    alone: bool,
}

impl Look<'_, '_, '_> {
    fn statements(&mut self, statements: &[Stmt]) -> SqlResult<()> {
        statements.iter().try_for_each(|s| self.statement(s))
    }

    fn statement(&mut self, statement: &Stmt) -> SqlResult<()> {
        self.kind(&statement.kind)
            .map_err(|error| error.at_line(statement.line))
    }

    fn kind(&mut self, kind: &Kind) -> SqlResult<()> {
        match kind {
            Kind::Block(body) => return self.statements(body),
            Kind::If(condition, then, otherwise) => {
                self.alone = false;
                self.condition(condition)?;
                self.statement(then)?;
                if let Some(otherwise) = otherwise {
                    self.statement(otherwise)?;
                }
            }
            Kind::While(condition, body) => {
                self.alone = false;
                self.condition(condition)?;
                self.loops += 1;
                let result = self.statement(body);
                self.loops -= 1;
                result?;
            }
            Kind::TryCatch(body, handler) => {
                self.alone = false;
                self.statements(body)?;
                self.statements(handler)?;
            }
            Kind::Break if self.loops == 0 => return Err(outside_loop(135, "BREAK")),
            Kind::Continue if self.loops == 0 => return Err(outside_loop(136, "CONTINUE")),
            Kind::Return(Some(_)) if !self.returns => {
                return Err(SqlError::new(
                    178,
                    "A RETURN statement with a return value cannot be used in this context.",
                )
                .class(15));
            }
            Kind::Declare(items) => return items.iter().try_for_each(|i| self.declare(i)),
            Kind::DeclareTable(create) => {
                let name = create.name.to_string();
                if self.tables.contains(&name.to_lowercase()) {
                    return Err(declared_twice(&name));
                }
                self.tables.push(name.to_lowercase());
            }
            Kind::SetVariable(name, value) => {
                if !self.known.contains_key(&name.to_lowercase()) {
                    return Err(SqlError::undeclared(name));
                }
                self.expression(value)?;
            }
            Kind::Print(value) => self.expression(value)?,
            _ if self.alone => {}
            other => self.rows(other)?,
        }
        Ok(())
    }

    fn rows(&mut self, kind: &Kind) -> SqlResult<()> {
        match kind {
            Kind::Query(query, _) => match into_target(query) {
                Ok(Some((query, _))) => self.plan(|p| p.top_query(&query).map(drop)),
                Ok(None) => self.plan(|p| p.top_query(query).map(drop)),
                Err(_) => Ok(()),
            },
            Kind::Insert(insert) if !matches!(insert.source, Source::Exec(_)) => {
                self.plan(|p| p.insert(insert, None).map(drop))
            }
            Kind::Update(update) => self.plan(|p| p.update(update).map(drop)),
            Kind::Delete(delete) => self.plan(|p| p.delete(delete).map(drop)),
            _ => Ok(()),
        }
    }

    fn declare(&mut self, item: &Declaration) -> SqlResult<()> {
        let key = item.name.to_lowercase();
        if self.known.contains_key(&key) {
            return Err(declared_twice(&item.name));
        }
        if let Some(value) = &item.value {
            self.expression(value)?;
        }
        let variable = Variable {
            ty: item.ty,
            value: Value::Null,
        };
        self.known.insert(key, variable);
        Ok(())
    }

    fn condition(&self, condition: &Expr) -> SqlResult<()> {
        self.plan(|p| p.predicate(condition, &Scope::inside(None)).map(drop))
    }

    fn expression(&self, value: &Expr) -> SqlResult<()> {
        self.plan(|p| p.expr(value, &Scope::inside(None)).map(drop))
    }

    fn plan(&self, plan: impl FnOnce(&mut Planner<'_>) -> SqlResult<()>) -> SqlResult<()> {
        let mut planner = Planner::new(self.run.state, &self.known, self.run.caught.last());
        planner.unfolded = true;
        match plan(&mut planner) {
            Err(error) if COMPILED.contains(&error.number) => Err(error),
            _ => Ok(()),
        }
    }
}

fn declared_twice(name: &str) -> SqlError {
    SqlError::new(
        134,
        format!(
            "The variable name '{name}' has already been declared. Variable names must be unique within a query batch or stored procedure."
        ),
    )
    .class(15)
}

fn outside_loop(number: u32, word: &str) -> SqlError {
    let text = format!("Cannot use a {word} statement outside the scope of a WHILE statement.");
    SqlError::new(number, text).class(15)
}
