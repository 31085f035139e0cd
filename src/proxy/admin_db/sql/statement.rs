//! A batch's text to its statements.
//!
//! T-SQL needs no semicolon between statements, and much of what tools send is
//! no SELECT. So the text is cut into tokens once; SELECTs and expressions are
//! left to the parser of `sqlparser`, everything else is read here.

use sqlparser::ast::{Expr, Query};
use sqlparser::dialect::MsSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

use super::bind::kind_of;
use super::error::{SqlError, shortened};
use super::value::{Kind, same_name};

/// What a batch asks for, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::proxy) enum Statement {
    Select(Box<Query>),
    /// SHOW: all of a table.
    Show(String),
    Kill(Expr),
    /// PAUSE, of one target or of all.
    Pause(Option<String>),
    Resume(Option<String>),
    Reconnect(Option<String>),
    /// SET, which is accepted and has no effect.
    Set,
    Use(String),
    Begin,
    Commit,
    Rollback,
    /// SAVE TRANSACTION, which has no effect.
    Save,
    If {
        condition: Expr,
        then: Box<Self>,
        otherwise: Option<Box<Self>>,
    },
    Print(Expr),
    /// EXECUTE of a procedure; arguments may be named.
    Execute {
        procedure: String,
        arguments: Vec<(String, Expr)>,
    },
}

/// Longest text that is read, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// Most tokens. They bound how deep a tree can be that is built by a loop, as a
/// chain of AND is, and which a recursion must walk and drop.
const MAX_TOKENS: usize = 2000;
/// Deepest nesting that the parser follows.
const MAX_DEPTH: usize = 40;
/// Stack for the parser, in bytes; pages of it that are not used cost nothing.
const STACK: usize = 16 << 20;
/// IF in IF.
const MAX_IFS: usize = 20;

/// Reads a batch.
pub(in crate::proxy) fn parse(text: &str) -> Result<Vec<Statement>, SqlError> {
    // Not all that nests in the parser is counted by it, such as types.
    stacker::grow(STACK, || parse_all(text))
}

fn parse_all(text: &str) -> Result<Vec<Statement>, SqlError> {
    let mut reader = Reader::new(text)?;
    let mut statements = Vec::new();
    loop {
        while reader.parser.consume_token(&Token::SemiColon) {}
        if reader.is_at_end() {
            return Ok(statements);
        }
        statements.push(reader.statement(MAX_IFS)?);
    }
}

/// Reads what `sp_executesql` is told of its parameters: `@a int, @b nvarchar(9)`.
pub(in crate::proxy) fn parse_declarations(text: &str) -> Result<Vec<(String, Kind)>, SqlError> {
    stacker::grow(STACK, || declarations(text))
}

fn declarations(text: &str) -> Result<Vec<(String, Kind)>, SqlError> {
    let mut reader = Reader::new(text)?;
    let mut declared = Vec::new();
    while !reader.is_at_end() {
        let name = reader.parser.parse_identifier().map_err(wrong)?.value;
        reader.word_if("AS");
        let data_type = reader.parser.parse_data_type().map_err(wrong)?;
        // A value of a type that is not known here is refused where it is read.
        declared.push((name, kind_of(&data_type).unwrap_or(Kind::Text(4000))));
        reader.word_if("OUTPUT");
        reader.word_if("OUT");
        if !reader.parser.consume_token(&Token::Comma) {
            break;
        }
    }
    if reader.is_at_end() {
        Ok(declared)
    } else {
        Err(SqlError::syntax("the declaration of parameters"))
    }
}

struct Reader<'a> {
    parser: Parser<'a>,
}

impl Reader<'_> {
    fn new(text: &str) -> Result<Self, SqlError> {
        static DIALECT: MsSqlDialect = MsSqlDialect {};
        let too_long = |len, max, unit| SqlError::TooLong { len, max, unit };
        if text.len() > MAX_TEXT {
            return Err(too_long(text.len(), MAX_TEXT, "bytes"));
        }
        let tokens = Tokenizer::new(&DIALECT, text)
            .tokenize_with_location()
            .map_err(SqlError::syntax)?;
        let count = tokens
            .iter()
            .filter(|token| !matches!(token.token, Token::Whitespace(_)))
            .count();
        if count > MAX_TOKENS {
            return Err(too_long(count, MAX_TOKENS, "words and signs"));
        }
        let parser = Parser::new(&DIALECT)
            .with_recursion_limit(MAX_DEPTH)
            .with_tokens_with_locations(tokens);
        Ok(Self { parser })
    }

    fn statement(&mut self, ifs: usize) -> Result<Statement, SqlError> {
        let Some(word) = self.peek_word() else {
            let next = self.parser.peek_token().token.to_string();
            return if next.starts_with('(') {
                self.parser
                    .parse_query()
                    .map(Statement::Select)
                    .map_err(wrong)
            } else {
                Err(SqlError::syntax(format!(
                    "a statement begins with `{next}`"
                )))
            };
        };
        if word == "SELECT" {
            return self
                .parser
                .parse_query()
                .map(Statement::Select)
                .map_err(wrong);
        }
        self.parser.next_token();
        Ok(match word.as_str() {
            "BEGIN" if self.transaction() => self.named(Statement::Begin),
            "COMMIT" => {
                self.transaction();
                self.named(Statement::Commit)
            }
            "EXEC" | "EXECUTE" => self.execute()?,
            "HELP" => Statement::Show("help".to_owned()),
            "IF" => self.if_else(ifs)?,
            "KILL" => Statement::Kill(self.expression()?),
            "PAUSE" => Statement::Pause(self.target()?),
            "PRINT" => Statement::Print(self.expression()?),
            "RECONNECT" => Statement::Reconnect(self.target()?),
            "RESUME" => Statement::Resume(self.target()?),
            "ROLLBACK" => {
                self.transaction();
                self.named(Statement::Rollback)
            }
            "SAVE" if self.transaction() => self.named(Statement::Save),
            "SET" => self.set(),
            "SHOW" => Statement::Show(self.name()?),
            "USE" => Statement::Use(self.name()?),
            _ => return Err(SqlError::unknown(shortened(&word))),
        })
    }

    /// SET: everything up to the next statement.
    fn set(&mut self) -> Statement {
        while !self.is_at_end() && self.parser.peek_token_ref().token != Token::SemiColon {
            if self.peek_word().is_some_and(|word| begins_statement(&word)) {
                break;
            }
            self.parser.next_token();
        }
        Statement::Set
    }

    fn if_else(&mut self, ifs: usize) -> Result<Statement, SqlError> {
        let left = ifs
            .checked_sub(1)
            .ok_or(SqlError::TooDeep { max: MAX_IFS })?;
        let condition = self.expression()?;
        let then = Box::new(self.statement(left)?);
        let _ = self.parser.consume_token(&Token::SemiColon);
        let otherwise = if self.word_if("ELSE") {
            Some(Box::new(self.statement(left)?))
        } else {
            None
        };
        Ok(Statement::If {
            condition,
            then,
            otherwise,
        })
    }

    fn execute(&mut self) -> Result<Statement, SqlError> {
        let name = self.parser.parse_object_name(false).map_err(wrong)?;
        let procedure = name.0.last().and_then(|part| part.as_ident());
        let procedure = procedure.map_or_else(|| name.to_string(), |part| part.value.clone());
        let mut arguments = Vec::new();
        while !self.is_at_end() && !self.ends() {
            let named = matches!(
                (&self.parser.peek_nth_token(0).token, &self.parser.peek_nth_token(1).token),
                (Token::Word(word), Token::Eq) if word.value.starts_with('@')
            );
            let name = if named {
                let name = self.parser.next_token().token.to_string();
                self.parser.next_token();
                name
            } else {
                String::new()
            };
            arguments.push((name, self.expression()?));
            self.word_if("OUTPUT");
            if !self.parser.consume_token(&Token::Comma) {
                break;
            }
        }
        Ok(Statement::Execute {
            procedure,
            arguments,
        })
    }

    /// Whether a statement ends before the next token.
    fn ends(&self) -> bool {
        self.parser.peek_token_ref().token == Token::SemiColon
            || self.peek_word().is_some_and(|word| begins_statement(&word))
    }

    /// Skips a transaction's name, which nothing is done with.
    fn named(&mut self, statement: Statement) -> Statement {
        if !self.is_at_end() && !self.ends() && self.peek_word().is_some_and(|word| word != "ELSE")
        {
            self.parser.next_token();
        }
        statement
    }

    fn transaction(&mut self) -> bool {
        self.word_if("TRAN") || self.word_if("TRANSACTION") || self.word_if("WORK")
    }

    /// The target of a command: a name, or nothing for all.
    fn target(&mut self) -> Result<Option<String>, SqlError> {
        if self.is_at_end() || self.ends() || self.peek_word().is_some_and(|word| word == "ELSE") {
            return Ok(None);
        }
        self.name().map(Some)
    }

    fn name(&mut self) -> Result<String, SqlError> {
        match self.parser.next_token().token {
            Token::Word(word) => Ok(word.value),
            Token::SingleQuotedString(text) | Token::NationalStringLiteral(text) => Ok(text),
            other => Err(SqlError::syntax(format!(
                "`{other}` where a name is expected"
            ))),
        }
    }

    fn expression(&mut self) -> Result<Expr, SqlError> {
        self.parser.parse_expr().map_err(wrong)
    }

    /// The next word in capitals, if the next token is one without quotes.
    fn peek_word(&self) -> Option<String> {
        match &self.parser.peek_token_ref().token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
            _ => None,
        }
    }

    fn word_if(&mut self, wanted: &str) -> bool {
        let found = self
            .peek_word()
            .is_some_and(|word| same_name(&word, wanted));
        if found {
            self.parser.next_token();
        }
        found
    }

    fn is_at_end(&self) -> bool {
        self.parser.peek_token_ref().token == Token::EOF
    }
}

fn begins_statement(word: &str) -> bool {
    const WORDS: [&str; 17] = [
        "BEGIN",
        "COMMIT",
        "EXEC",
        "EXECUTE",
        "HELP",
        "IF",
        "KILL",
        "PAUSE",
        "PRINT",
        "RECONNECT",
        "RESUME",
        "ROLLBACK",
        "SAVE",
        "SELECT",
        "SET",
        "SHOW",
        "USE",
    ];
    WORDS.contains(&word)
}

fn wrong(error: ParserError) -> SqlError {
    match error {
        ParserError::RecursionLimitExceeded => SqlError::TooDeep { max: MAX_DEPTH },
        ParserError::TokenizerError(problem) | ParserError::ParserError(problem) => {
            SqlError::syntax(problem)
        }
    }
}
