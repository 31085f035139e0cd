//! Control flow, variables, settings, transactions, EXEC.

use sqlparser::ast::{BinaryOperator, Expr, Ident};
use sqlparser::tokenizer::Token;

use super::super::error::{SqlError, SqlResult};
use super::super::session::state::Isolation;
use super::Reader;
use super::ast::{Declaration, Kind, RaiseOptions, SetOption, Stmt, TranName};

/// Statements that are T-SQL but not this engine's.
const REFUSED: &[&[&str]] = &[
    &["MERGE"],
    &["ALTER", "DATABASE"],
    &["ALTER", "FUNCTION"],
    &["ALTER", "INDEX"],
    &["ALTER", "PROC"],
    &["ALTER", "PROCEDURE"],
    &["ALTER", "SEQUENCE"],
    &["ALTER", "TRIGGER"],
    &["CREATE", "OR", "ALTER", "FUNCTION"],
    &["CREATE", "OR", "ALTER", "PROC"],
    &["CREATE", "OR", "ALTER", "PROCEDURE"],
    &["CREATE", "OR", "ALTER", "TRIGGER"],
    &["CREATE", "COLUMNSTORE"],
    &["CREATE", "CLUSTERED", "COLUMNSTORE"],
    &["CREATE", "NONCLUSTERED", "COLUMNSTORE"],
    &["CREATE", "EXTERNAL"],
    &["CREATE", "FULLTEXT"],
    &["CREATE", "SPATIAL"],
    &["CREATE", "XML"],
    &["DISABLE", "TRIGGER"],
    &["ENABLE", "TRIGGER"],
    &["UPDATE", "STATISTICS"],
    &["READTEXT"],
    &["UPDATETEXT"],
    &["WRITETEXT"],
    &["CREATE", "FUNCTION"],
    &["CREATE", "TRIGGER"],
    &["CREATE", "TYPE"],
    &["CREATE", "SEQUENCE"],
    &["CREATE", "SYNONYM"],
    &["CREATE", "STATISTICS"],
    &["BULK", "INSERT"],
    &["OPEN"],
    &["FETCH"],
    &["CLOSE"],
    &["DEALLOCATE"],
    &["GOTO"],
    &["BACKUP"],
    &["RESTORE"],
    &["KILL"],
    &["CHECKPOINT"],
    &["RECONFIGURE"],
    &["SHUTDOWN"],
];

impl Reader {
    /// One statement. `first` allows a procedure call without EXEC.
    pub(super) fn statement(&mut self, first: bool) -> SqlResult<Stmt> {
        let line = self.line();
        if let Some(words) = REFUSED.iter().find(|words| self.peek(words)) {
            return Err(SqlError::unsupported(words.join(" ")).at_line(line));
        }
        let kind = self
            .deeper(|r| r.statement_kind(first))
            .map_err(|e| e.at_line(line))?;
        Ok(Stmt { line, kind })
    }

    fn statement_kind(&mut self, first: bool) -> SqlResult<Kind> {
        let word = self.word_at(0).unwrap_or_default();
        match word.as_str() {
            "SELECT" => self.select(),
            "WITH" => self.with(),
            "INSERT" if self.peek(&["INSERT", "BULK"]) => self.insert_bulk(),
            "INSERT" => self.insert(Vec::new()),
            "UPDATE" => self.update(Vec::new()),
            "DELETE" => self.delete(Vec::new()),
            "CREATE" if self.peek(&["CREATE", "PROC"]) || self.peek(&["CREATE", "PROCEDURE"]) => {
                self.create_procedure(first)
            }
            "TRUNCATE" | "CREATE" | "ALTER" | "DROP" => self.definition(),
            "GRANT" | "DENY" | "REVOKE" | "REVERT" => self.security(),
            "DECLARE" => self.declare(),
            "SET" => self.set(),
            "IF" => self.if_else(),
            "WHILE" => self.while_loop(),
            "BEGIN" => self.begin(),
            "EXEC" | "EXECUTE" => self.exec(),
            "DBCC" => self.dbcc(),
            "WAITFOR" => self.wait_for(),
            "COMMIT" | "ROLLBACK" | "SAVE" => self.end_transaction(),
            "BREAK" | "CONTINUE" | "RETURN" | "PRINT" | "RAISERROR" | "THROW" | "USE" => {
                self.small(&word)
            }
            _ if self.peek_token(&Token::LParen) => self.select(),
            _ if first && self.is_call() => self.call(None).map(Kind::Exec),
            _ => Err(self.unexpected()),
        }
    }

    fn small(&mut self, word: &str) -> SqlResult<Kind> {
        self.parser().advance_token();
        Ok(match word {
            "BREAK" => Kind::Break,
            "CONTINUE" => Kind::Continue,
            "RETURN" => Kind::Return(self.return_value()?),
            "PRINT" => Kind::Print(Box::new(self.expr()?)),
            "USE" => Kind::Use(self.ident()?),
            "RAISERROR" => {
                let args = self.in_parens(|r| r.list(Self::expr))?;
                let mut options = RaiseOptions::default();
                if self.eat(&["WITH"]) {
                    for option in self.list(Self::ident)? {
                        match option.value.to_uppercase().as_str() {
                            "NOWAIT" => options.now = true,
                            "SETERROR" => options.set_error = true,
                            "LOG" => options.log = true,
                            _ => return Err(SqlError::syntax_near(option)),
                        }
                    }
                }
                Kind::RaiseError(args, options)
            }
            _ => Kind::Throw(self.throw_arguments()?),
        })
    }

    fn return_value(&mut self) -> SqlResult<Option<Box<Expr>>> {
        let ends = match &self.parser().peek_token_ref().token {
            Token::Number(..) | Token::Minus | Token::LParen => false,
            Token::Word(word) => !word.value.starts_with('@'),
            _ => true,
        };
        if ends {
            Ok(None)
        } else {
            Ok(Some(Box::new(self.expr()?)))
        }
    }

    fn throw_arguments(&mut self) -> SqlResult<Option<[Box<Expr>; 3]>> {
        let has = matches!(self.parser().peek_token_ref().token, Token::Number(..))
            || self.peek_variable().is_some();
        if !has {
            return Ok(None);
        }
        let next = |r: &mut Self, comma: bool| -> SqlResult<Box<Expr>> {
            if comma {
                r.expect_token(&Token::Comma)?;
            }
            r.operand().map(Box::new)
        };
        Ok(Some([
            next(self, false)?,
            next(self, true)?,
            next(self, true)?,
        ]))
    }

    fn declare(&mut self) -> SqlResult<Kind> {
        self.expect(&["DECLARE"])?;
        if self.peek_variable().is_none() {
            return Err(SqlError::unsupported("DECLARE CURSOR"));
        }
        let after = if self.word_at(1).as_deref() == Some("AS") {
            2
        } else {
            1
        };
        if self.word_at(after).as_deref() == Some("TABLE") {
            return self.declare_table();
        }
        if self.word_at(after).as_deref() == Some("CURSOR") {
            return Err(SqlError::unsupported("CURSOR"));
        }
        let items = self.list(|r| {
            let name = r.variable()?;
            let _ = r.eat(&["AS"]);
            let ty = r.data_type()?;
            let value = if r.eat_token(&Token::Eq) {
                Some(r.expr()?)
            } else {
                None
            };
            Ok(Declaration { name, ty, value })
        })?;
        Ok(Kind::Declare(items))
    }

    fn set(&mut self) -> SqlResult<Kind> {
        self.expect(&["SET"])?;
        if let Some(name) = self.peek_variable() {
            self.parser().advance_token();
            let op = self.assignment_operator()?;
            let value = self.expr()?;
            return Ok(Kind::SetVariable(
                name.clone(),
                Box::new(combined(Ident::new(name), op, value)),
            ));
        }
        let mut names = vec![self.option_word()?];
        while self.eat_token(&Token::Comma) {
            names.push(self.option_word()?);
        }
        if let [name] = names.as_slice() {
            return self.set_option(name).map(Kind::Set);
        }
        let on = self.on_off()?;
        let mut options: Vec<Stmt> = Vec::new();
        for name in names {
            options.push(Stmt {
                line: self.line(),
                kind: Kind::Set(switch(&name, on)?),
            });
        }
        Ok(Kind::Block(options))
    }

    /// `=` or a compound such as `+=`.
    pub(super) fn assignment_operator(&mut self) -> SqlResult<Option<BinaryOperator>> {
        let op = match &self.parser().peek_token_ref().token {
            Token::Eq => {
                self.parser().advance_token();
                return Ok(None);
            }
            Token::Plus => BinaryOperator::Plus,
            Token::Minus => BinaryOperator::Minus,
            Token::Mul => BinaryOperator::Multiply,
            Token::Div => BinaryOperator::Divide,
            Token::Mod => BinaryOperator::Modulo,
            Token::Ampersand => BinaryOperator::BitwiseAnd,
            Token::Pipe => BinaryOperator::BitwiseOr,
            Token::Caret => BinaryOperator::BitwiseXor,
            _ => return Err(self.unexpected()),
        };
        self.parser().advance_token();
        self.expect_token(&Token::Eq)?;
        Ok(Some(op))
    }

    fn option_word(&mut self) -> SqlResult<String> {
        let word = self.word_at(0).ok_or_else(|| self.unexpected())?;
        self.parser().advance_token();
        Ok(word)
    }

    /// -1 is no limit, 0 the default of 4 KB.
    fn text_size(&mut self) -> SqlResult<i64> {
        let size = self.integer()?;
        match i32::try_from(size) {
            Ok(0) => Ok(4096),
            Ok(-1..) => Ok(size),
            _ => Err(SqlError::unsupported(format!("SET TEXTSIZE {size}"))),
        }
    }

    fn on_off(&mut self) -> SqlResult<bool> {
        if self.eat(&["ON"]) {
            return Ok(true);
        }
        self.expect(&["OFF"]).map(|()| false)
    }

    fn set_option(&mut self, name: &str) -> SqlResult<SetOption> {
        Ok(match name {
            "TRANSACTION" => {
                self.expect(&["ISOLATION", "LEVEL"])?;
                SetOption::Isolation(self.isolation_level()?)
            }
            "ROWCOUNT" => SetOption::RowCount(Box::new(self.operand()?)),
            "LOCK_TIMEOUT" => SetOption::LockTimeout(Box::new(self.operand()?)),
            "TEXTSIZE" => SetOption::TextSize(self.text_size()?),
            "DATEFIRST" => SetOption::DateFirst(Box::new(self.operand()?)),
            "IDENTITY_INSERT" => {
                let table = self.object_name()?;
                SetOption::IdentityInsert(table, self.on_off()?)
            }
            "LANGUAGE" => {
                let language = match self.string() {
                    Ok(text) => text,
                    Err(_) => self.ident()?.value,
                };
                if !matches!(
                    language.to_lowercase().as_str(),
                    "us_english" | "english" | ""
                ) {
                    return Err(SqlError::unsupported(format!("SET LANGUAGE {language}")));
                }
                SetOption::Accepted
            }
            "DATEFORMAT" => {
                let format = self.ident()?.value;
                if !format.eq_ignore_ascii_case("mdy") {
                    return Err(SqlError::unsupported(format!("SET DATEFORMAT {format}")));
                }
                SetOption::Accepted
            }
            "STATISTICS" => {
                let which = self.option_word()?;
                if self.on_off()? {
                    return Err(SqlError::unsupported(format!("SET STATISTICS {which} ON")));
                }
                SetOption::Accepted
            }
            "DEADLOCK_PRIORITY" | "QUERY_GOVERNOR_COST_LIMIT" | "CONTEXT_INFO" => {
                let _ = self.eat_token(&Token::Minus);
                self.parser().advance_token();
                SetOption::Accepted
            }
            other => {
                let on = self.on_off()?;
                switch(other, on)?
            }
        })
    }

    fn isolation_level(&mut self) -> SqlResult<Isolation> {
        for (words, level) in [
            (&["READ", "UNCOMMITTED"][..], Isolation::ReadUncommitted),
            (&["READ", "COMMITTED"][..], Isolation::ReadCommitted),
            (&["REPEATABLE", "READ"][..], Isolation::RepeatableRead),
            (&["SERIALIZABLE"][..], Isolation::Serializable),
            (&["SNAPSHOT"][..], Isolation::Snapshot),
        ] {
            if self.eat(words) {
                return Ok(level);
            }
        }
        Err(self.unexpected())
    }

    fn if_else(&mut self) -> SqlResult<Kind> {
        self.expect(&["IF"])?;
        let condition = self.expr()?;
        let then = self.statement(false)?;
        self.skip_semicolons();
        let otherwise = if self.eat(&["ELSE"]) {
            Some(Box::new(self.statement(false)?))
        } else {
            None
        };
        Ok(Kind::If(Box::new(condition), Box::new(then), otherwise))
    }

    fn while_loop(&mut self) -> SqlResult<Kind> {
        self.expect(&["WHILE"])?;
        let condition = self.expr()?;
        let body = self.statement(false)?;
        Ok(Kind::While(Box::new(condition), Box::new(body)))
    }

    fn begin(&mut self) -> SqlResult<Kind> {
        self.expect(&["BEGIN"])?;
        if self.eat(&["TRANSACTION"]) || self.eat(&["TRAN"]) {
            let name = self.transaction_name()?;
            if self.peek(&["WITH", "MARK"]) {
                return Err(SqlError::unsupported("BEGIN TRANSACTION WITH MARK"));
            }
            return Ok(Kind::Begin(name));
        }
        if self.peek(&["DISTRIBUTED"]) {
            return Err(SqlError::unsupported("BEGIN DISTRIBUTED TRANSACTION"));
        }
        if self.eat(&["TRY"]) {
            let body = self.statements_until(&["END", "TRY"])?;
            self.skip_semicolons();
            self.expect(&["BEGIN", "CATCH"])?;
            let handler = self.statements_until(&["END", "CATCH"])?;
            return Ok(Kind::TryCatch(body, handler));
        }
        let body = self.statements_until(&["END"])?;
        if body.is_empty() {
            return Err(SqlError::keyword_near("END"));
        }
        Ok(Kind::Block(body))
    }

    fn statements_until(&mut self, end: &[&str]) -> SqlResult<Vec<Stmt>> {
        let mut statements = Vec::new();
        loop {
            self.skip_semicolons();
            if self.eat(end) {
                return Ok(statements);
            }
            if self.at_end() {
                return Err(self.unexpected());
            }
            statements.push(self.statement(false)?);
        }
    }

    fn end_transaction(&mut self) -> SqlResult<Kind> {
        let word = self.option_word()?;
        let marked = self.eat(&["TRANSACTION"]) || self.eat(&["TRAN"]);
        if word == "SAVE" {
            return match self.transaction_name()? {
                TranName::None => Err(self.unexpected()),
                name => Ok(Kind::Save(name)),
            };
        }
        if !marked {
            let _ = self.eat(&["WORK"]);
        }
        let name = if marked {
            self.transaction_name()?
        } else {
            TranName::None
        };
        if self.eat(&["WITH"]) {
            self.in_parens(|r| {
                r.expect(&["DELAYED_DURABILITY"]).and_then(|()| {
                    r.expect_token(&Token::Eq)?;
                    r.on_off().map(|_| ())
                })
            })?;
        }
        Ok(if word == "COMMIT" {
            Kind::Commit
        } else {
            Kind::Rollback(name)
        })
    }

    fn transaction_name(&mut self) -> SqlResult<TranName> {
        if let Some(name) = self.peek_variable() {
            self.parser().advance_token();
            return Ok(TranName::Variable(name));
        }
        let begins = self.word_at(0).is_some_and(|w| {
            matches!(w.as_str(), "TRY" | "THROW" | "GO") || super::KEYWORDS.contains(&w.as_str())
        });
        match &self.parser().peek_token_ref().token {
            Token::Word(word) if word.quote_style.is_some() || !begins => {
                Ok(TranName::Name(self.ident()?.value))
            }
            _ => Ok(TranName::None),
        }
    }
}

/// `name op= value` as `name op (value)`.
pub(super) fn combined(name: Ident, op: Option<BinaryOperator>, value: Expr) -> Expr {
    match op {
        None => value,
        Some(op) => Expr::BinaryOp {
            left: Box::new(Expr::Identifier(name)),
            op,
            right: Box::new(Expr::Nested(Box::new(value))),
        },
    }
}

fn switch(name: &str, on: bool) -> SqlResult<SetOption> {
    match name {
        "NOCOUNT" => return Ok(SetOption::NoCount(on)),
        "XACT_ABORT" => return Ok(SetOption::XactAbort(on)),
        "IMPLICIT_TRANSACTIONS" => return Ok(SetOption::ImplicitTransactions(on)),
        "FMTONLY" => return Ok(SetOption::FmtOnly(on)),
        "NOEXEC" | "PARSEONLY" => return Ok(SetOption::NoExec(on)),
        _ => {}
    }
    let (always_on, always_off) = (ALWAYS_ON.contains(&name), ALWAYS_OFF.contains(&name));
    if !always_on && !always_off {
        return Err(
            SqlError::new(195, format!("'{name}' is not a recognized SET option."))
                .class(15)
                .state(5),
        );
    }
    if EITHER.contains(&name) || on == always_on {
        return Ok(SetOption::Accepted);
    }
    let value = if on { "ON" } else { "OFF" };
    Err(SqlError::unsupported(format!("SET {name} {value}")))
}

/// Options that are on here, and that every driver of today turns on.
const ALWAYS_ON: &[&str] = &[
    "ANSI_NULLS",
    "ANSI_PADDING",
    "ANSI_WARNINGS",
    "ARITHABORT",
    "CONCAT_NULL_YIELDS_NULL",
    "QUOTED_IDENTIFIER",
    "ANSI_NULL_DFLT_ON",
    "ANSI_DEFAULTS",
];

/// Options that are off here.
const ALWAYS_OFF: &[&str] = &[
    "NUMERIC_ROUNDABORT",
    "CURSOR_CLOSE_ON_COMMIT",
    "ANSI_NULL_DFLT_OFF",
    "NO_BROWSETABLE",
    "FORCEPLAN",
    "ARITHIGNORE",
    "SHOWPLAN_TEXT",
    "SHOWPLAN_ALL",
    "SHOWPLAN_XML",
    "REMOTE_PROC_TRANSACTIONS",
];

/// Options whose value changes nothing here: ANSI_WARNINGS implies ARITHABORT, and there are no
/// cursors.
const EITHER: &[&str] = &["ARITHABORT", "CURSOR_CLOSE_ON_COMMIT", "NO_BROWSETABLE"];
