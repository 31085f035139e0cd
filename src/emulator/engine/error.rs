//! Errors as SQL Server reports them: number, class, state and its own words.

use std::fmt;

/// What a statement failed with; it goes to the client as an ERROR token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SqlError {
    /// SQL Server's error number, e.g. 208.
    pub(crate) number: u32,
    /// Severity: 11 to 16 for the statement, 20 and more end the connection.
    pub(crate) class: u8,
    /// SQL Server's state; 1 where nothing is known.
    pub(crate) state: u8,
    /// Text in SQL Server's words.
    pub(crate) message: String,
    /// Line of the batch, from 1; 0 while unknown.
    pub(crate) line: u32,
}

/// The result of everything below a statement.
pub(crate) type SqlResult<T> = Result<T, SqlError>;

/// Separates the fields of an error on its way through SQLite.
const MARK: char = '\u{1}';

impl SqlError {
    /// An error of class 16, state 1.
    pub(crate) fn new(number: u32, message: impl Into<String>) -> Self {
        Self {
            number,
            class: 16,
            state: 1,
            message: message.into(),
            line: 0,
        }
    }

    pub(crate) fn class(mut self, class: u8) -> Self {
        self.class = class;
        self
    }

    pub(crate) fn state(mut self, state: u8) -> Self {
        self.state = state;
        self
    }

    /// Sets the line, unless a deeper level already did.
    pub(crate) fn at_line(mut self, line: u32) -> Self {
        if self.line == 0 {
            self.line = line;
        }
        self
    }

    /// What this engine does not do. 40517 is Azure SQL's "keyword or statement option not supported".
    pub(crate) fn unsupported(construct: impl fmt::Display) -> Self {
        Self::new(
            40517,
            format!(
                "Keyword or statement option '{construct}' is not supported by the emulator's embedded \
                 engine; use the emulator's forwarding backend with a real SQL Server for it."
            ),
        )
    }

    pub(crate) fn syntax_near(text: impl fmt::Display) -> Self {
        Self::new(102, format!("Incorrect syntax near '{text}'.")).class(15)
    }

    pub(crate) fn keyword_near(word: impl fmt::Display) -> Self {
        Self::new(156, format!("Incorrect syntax near the keyword '{word}'.")).class(15)
    }

    pub(crate) fn invalid_object(name: impl fmt::Display) -> Self {
        Self::new(208, format!("Invalid object name '{name}'."))
    }

    pub(crate) fn other_database(name: impl fmt::Display) -> Self {
        Self::new(
            40515,
            format!(
                "Reference to database and/or server name in '{name}' is not supported in this version \
                 of SQL Server."
            ),
        )
    }

    pub(crate) fn invalid_column(name: impl fmt::Display) -> Self {
        Self::new(207, format!("Invalid column name '{name}'."))
    }

    pub(crate) fn undeclared(name: impl fmt::Display) -> Self {
        Self::new(137, format!("Must declare the scalar variable \"{name}\".")).class(15)
    }

    pub(crate) fn divide_by_zero() -> Self {
        Self::new(8134, "Divide by zero error encountered.")
    }

    pub(crate) fn overflow(type_name: impl fmt::Display) -> Self {
        Self::new(
            8115,
            format!("Arithmetic overflow error converting expression to data type {type_name}."),
        )
        .state(2)
    }

    pub(crate) fn conversion_overflow(from: impl fmt::Display, to: impl fmt::Display) -> Self {
        Self::new(
            8115,
            format!("Arithmetic overflow error converting {from} to data type {to}."),
        )
        .state(8)
    }

    pub(crate) fn no_conversion(from: impl fmt::Display, to: impl fmt::Display) -> Self {
        Self::new(
            529,
            format!("Explicit conversion from data type {from} to {to} is not allowed."),
        )
        .state(2)
    }

    pub(crate) fn no_implicit_conversion(from: impl fmt::Display, to: impl fmt::Display) -> Self {
        Self::new(
            257,
            format!(
                "Implicit conversion from data type {from} to {to} is not allowed. Use the CONVERT \
                 function to run this query."
            ),
        )
        .state(3)
    }

    /// The engine itself is at fault, or SQLite said something unforeseen.
    pub(crate) fn internal(detail: impl fmt::Display) -> Self {
        Self::new(
            50_000,
            format!("The emulator's embedded engine cannot run this statement: {detail}."),
        )
    }

    /// The statement was stopped by an attention.
    pub(crate) fn interrupted() -> Self {
        Self::new(3617, "The user canceled the query.").class(11)
    }

    /// Whether this engine is at fault, not the statement.
    pub(crate) fn is_unsupported(&self) -> bool {
        self.number == 40517
    }

    pub(crate) fn is_interrupt(&self) -> bool {
        self.number == 3617
    }

    /// The text form in which an error crosses SQLite.
    pub(crate) fn pack(&self) -> String {
        format!(
            "{MARK}{}{MARK}{}{MARK}{}{MARK}{}",
            self.number, self.class, self.state, self.message
        )
    }

    fn unpack(text: &str) -> Option<Self> {
        let at = text.find(MARK)?;
        let mut parts = text.get(at..)?.splitn(5, MARK).skip(1);
        let number = parts.next()?.parse().ok()?;
        let class = parts.next()?.parse().ok()?;
        let state = parts.next()?.parse().ok()?;
        Some(Self::new(number, parts.next()?).class(class).state(state))
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "error {}, line {}: {}",
            self.number, self.line, self.message
        )
    }
}

impl std::error::Error for SqlError {}

impl From<SqlError> for rusqlite::Error {
    fn from(error: SqlError) -> Self {
        Self::UserFunctionError(error.pack().into())
    }
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let text = match &error {
            rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
            rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
            rusqlite::Error::UserFunctionError(inner) => inner.to_string(),
            other => other.to_string(),
        };
        if let Some(packed) = Self::unpack(&text) {
            return packed;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Self::interrupted(),
            // SQLITE_BUSY_SNAPSHOT: somebody else has written since the transaction began to read.
            Some(ErrorCode::DatabaseBusy) if extended(&error) == Some(517) => Self::new(
                3960,
                "Snapshot isolation transaction aborted due to update conflict. You cannot use snapshot isolation to change rows that another transaction has changed meanwhile. Retry the transaction or change the isolation level for the update/delete statement.",
            ),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::lock_timeout(),
            Some(ErrorCode::DiskFull | ErrorCode::OutOfMemory) => Self::new(
                1105,
                "Could not allocate space: the disk or memory is full.",
            )
            .class(17),
            _ if too_complex(&text) => Self::out_of_resources(),
            _ => Self::internal(text),
        }
    }
}

impl SqlError {
    /// What concerns a transaction is asked for outside of one.
    pub(crate) fn no_transaction() -> Self {
        Self::new(
            3918,
            "The statement or function must be executed in the context of a user transaction.",
        )
    }

    pub(crate) fn out_of_resources() -> Self {
        Self::new(
            8623,
            "The query processor ran out of internal resources and could not produce a query \
             plan. This is a rare event and only expected for extremely complex queries or \
             queries that reference a very large number of tables or partitions. Please simplify \
             the query.",
        )
    }

    pub(crate) fn lock_timeout() -> Self {
        Self::new(1222, "Lock request time out period exceeded.").state(45)
    }
}

fn extended(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|e| e.extended_code)
}

fn too_complex(text: &str) -> bool {
    [
        "Expression tree is too large",
        "parser stack overflow",
        "Recursion limit",
        "too many",
        "at most",
        "too big",
    ]
    .iter()
    .any(|part| text.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_its_way_through_sqlite() {
        let error = SqlError::divide_by_zero().state(3);
        let back = SqlError::from(rusqlite::Error::from(error.clone()));
        assert_eq!(back, error);
    }
}
