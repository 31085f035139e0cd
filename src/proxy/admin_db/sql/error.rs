//! Why a statement is not carried out, with the number that SQL Server gives
//! for the like.

use crate::tds::DecodeError;

/// Why a statement is not carried out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(in crate::proxy) enum SqlError {
    #[error("incorrect syntax: {problem}")]
    Syntax { problem: String },
    #[error(
        "the admin database knows SELECT, SHOW, KILL, PAUSE, RESUME and RECONNECT, not {what}; \
         see SELECT * FROM help"
    )]
    Unknown { what: String },
    #[error("the statement is too long: {len} {unit}, at most {max} are read")]
    TooLong {
        len: usize,
        max: usize,
        unit: &'static str,
    },
    #[error("the statement is nested too deeply, {max} levels are read")]
    TooDeep { max: usize },
    #[error("the query was stopped, as it took longer than {seconds} s")]
    TooSlow { seconds: u64 },
    #[error(
        "the answer is too large, at most {max} bytes are given; ask for fewer rows or columns"
    )]
    TooLarge { max: usize },
    #[error("there is no table `{name}`; SHOW HELP lists those there are")]
    NoTable { name: String },
    #[error("there is no column `{name}`")]
    NoColumn { name: String },
    #[error("the column `{name}` is neither in GROUP BY nor in an aggregate function")]
    NotGrouped { name: String },
    #[error("the parameter `{name}` is declared nowhere")]
    NoParameter { name: String },
    #[error("there is no function `{name}` here")]
    NoFunction { name: String },
    #[error("the function `{name}` is given {given} arguments, which is not what it takes")]
    Arguments { name: String, given: usize },
    #[error("there is no procedure `{name}` here")]
    NoProcedure { name: String },
    #[error("there is no database `{name}` here, only `entrada`")]
    NoDatabase { name: String },
    #[error("there is no prepared statement {handle}")]
    NoHandle { handle: i64 },
    #[error("too many statements are prepared, {max} are kept")]
    TooManyHandles { max: usize },
    #[error("`{value}` is no {kind}")]
    Conversion { value: String, kind: &'static str },
    #[error("a result is too large for its type")]
    Overflow,
    #[error("division by zero")]
    DivideByZero,
    #[error("there is no session {id}")]
    NoSession { id: i64 },
    #[error("a session cannot end itself by KILL")]
    OwnSession,
    #[error("there is no target `{name}`; there are: {known}")]
    NoTarget { name: String, known: String },
    #[error("the request cannot be read")]
    Request(#[from] DecodeError),
}

impl SqlError {
    /// The number.
    pub(in crate::proxy) fn number(&self) -> i32 {
        match self {
            Self::Syntax { .. } => 102,
            Self::Unknown { .. } => 40517,
            Self::TooLong { .. } | Self::TooDeep { .. } => 191,
            Self::TooSlow { .. } => 3617,
            Self::TooLarge { .. } => 8618,
            Self::NoTable { .. } => 208,
            Self::NoColumn { .. } => 207,
            Self::NotGrouped { .. } => 8120,
            Self::NoParameter { .. } => 137,
            Self::NoFunction { .. } => 195,
            Self::Arguments { .. } => 174,
            Self::NoProcedure { .. } => 2812,
            Self::NoDatabase { .. } => 911,
            Self::NoHandle { .. } => 8179,
            Self::TooManyHandles { .. } => 701,
            Self::Conversion { .. } => 245,
            Self::Overflow => 8115,
            Self::DivideByZero => 8134,
            Self::NoSession { .. } => 6106,
            Self::OwnSession => 6104,
            Self::NoTarget { .. } => 2702,
            Self::Request(_) => 8009,
        }
    }

    pub(in crate::proxy) fn unknown(what: impl Into<String>) -> Self {
        Self::Unknown {
            what: shortened(&what.into()),
        }
    }

    pub(super) fn syntax(problem: impl ToString) -> Self {
        Self::Syntax {
            problem: shortened(&problem.to_string()),
        }
    }
}

/// A text of the client's, cut for a message.
pub(super) fn shortened(text: &str) -> String {
    const MAX: usize = 200;
    if text.chars().count() <= MAX {
        return text.to_owned();
    }
    text.chars().take(MAX).chain("...".chars()).collect()
}
