//! What can be wrong with a connection string, and what is only odd.

use std::borrow::Cow;
use std::fmt;

use super::Dialect;
use crate::secret::Secret;

/// Why a connection string cannot be read.
///
/// No variant holds a value of the string: the column and the keyword suffice.
/// A column counts characters from zero and points at the start of the pair
/// (or URL part) that is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Two dialects read the string differently.
    #[error(
        "column {column}: ADO.NET and ODBC read this differently ({problem}); name the dialect"
    )]
    Ambiguous {
        /// Where the readings part.
        column: usize,
        /// In what they differ.
        problem: &'static str,
    },
    /// A Key Vault reference without quotes, whose `;` ends the value too early.
    #[error(
        "column {column}: the Key Vault reference is cut off at its ';'; enclose it in double quotes (ADO.NET) or \
         in braces (ODBC, JDBC), percent-encode it in a URL, or write @Microsoft.KeyVault(SecretUri=https://…)"
    )]
    CutReference {
        /// Where the reference starts.
        column: usize,
    },
    /// Two settings exclude each other.
    #[error("column {column}: {keyword} cannot be combined with {other}")]
    Conflict {
        /// Where the keyword stands.
        column: usize,
        /// The keyword, in its canonical spelling.
        keyword: &'static str,
        /// What it clashes with.
        other: Cow<'static, str>,
    },
    /// The dialect refuses a keyword that is given twice.
    #[error("column {column}: {keyword} is given twice; leave one")]
    DuplicateKeyword {
        /// Where the second one stands.
        column: usize,
        /// The keyword, in its canonical spelling.
        keyword: Cow<'static, str>,
    },
    /// The host, instance or port cannot be used.
    #[error("column {column}: the server cannot be used: {problem}")]
    InvalidServer {
        /// Where the server is named.
        column: usize,
        /// What is wrong with it, and what to write.
        problem: &'static str,
    },
    /// A value is wrong, out of range or too long for its keyword.
    #[error("column {column}: the value of {keyword} is not valid; it takes {expected}")]
    InvalidValue {
        /// Where the keyword stands.
        column: usize,
        /// The keyword, in its canonical spelling.
        keyword: &'static str,
        /// What the keyword takes in this dialect.
        expected: Cow<'static, str>,
    },
    /// Something is absent that another setting requires.
    #[error("column {column}: {needed_by} needs {keyword}")]
    MissingValue {
        /// Where the setting stands that requires it.
        column: usize,
        /// What is missing.
        keyword: &'static str,
        /// What requires it.
        needed_by: Cow<'static, str>,
    },
    /// Strict parsing refuses what is otherwise only a warning.
    #[error("{warning}; strict parsing refuses that")]
    Strict {
        /// The warning.
        warning: Warning,
    },
    /// The text does not follow the grammar.
    #[error("column {column}: {problem}")]
    Syntax {
        /// Where the broken pair starts.
        column: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A Key Vault reference stands where its secret should.
    #[error(
        "column {column}: {} is a Key Vault reference that is not resolved; read it by entrada::key_vault (Pool::connect \
         does), or find out why App Service left it in place: the app's identity may lack the role Key Vault Secrets User, \
         the vault's firewall may block the app, or vault, secret or version may not exist",
        keyword.unwrap_or("the string")
    )]
    UnresolvedReference {
        /// Where the pair starts.
        column: usize,
        /// The keyword, in its canonical spelling; `None` if the whole string
        /// is a reference.
        keyword: Option<&'static str>,
    },
    /// The driver refuses a keyword that it does not know.
    #[error("column {column}: unknown keyword '{keyword}'{}", HintText(hint.as_deref()))]
    UnknownKeyword {
        /// Where it stands.
        column: usize,
        /// The keyword as written, cut to 64 characters.
        keyword: String,
        /// What is known instead.
        hint: Option<String>,
    },
}

impl ParseError {
    /// The error's kind in one word, as in the corpus: `syntax`,
    /// `unknown_keyword`, `duplicate_keyword`, `invalid_value`,
    /// `invalid_server`, `missing_value`, `conflict`; `ambiguous` when the
    /// dialect cannot be told; `unresolved_reference`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ambiguous { .. } => "ambiguous",
            Self::Conflict { .. } => "conflict",
            Self::CutReference { .. } => "syntax",
            Self::DuplicateKeyword { .. } => "duplicate_keyword",
            Self::InvalidServer { .. } => "invalid_server",
            Self::InvalidValue { .. } => "invalid_value",
            Self::MissingValue { .. } => "missing_value",
            Self::Strict { warning } => warning.kind.as_error(),
            Self::Syntax { .. } => "syntax",
            Self::UnknownKeyword { .. } => "unknown_keyword",
            Self::UnresolvedReference { .. } => "unresolved_reference",
        }
    }

    /// Where the broken part starts, in characters from zero.
    #[must_use]
    pub fn column(&self) -> usize {
        match self {
            Self::Ambiguous { column, .. }
            | Self::Conflict { column, .. }
            | Self::CutReference { column }
            | Self::DuplicateKeyword { column, .. }
            | Self::InvalidServer { column, .. }
            | Self::InvalidValue { column, .. }
            | Self::MissingValue { column, .. }
            | Self::Syntax { column, .. }
            | Self::UnknownKeyword { column, .. }
            | Self::UnresolvedReference { column, .. } => *column,
            Self::Strict { warning } => warning.column,
        }
    }

    pub(super) fn column_mut(&mut self) -> &mut usize {
        match self {
            Self::Ambiguous { column, .. }
            | Self::Conflict { column, .. }
            | Self::CutReference { column }
            | Self::DuplicateKeyword { column, .. }
            | Self::InvalidServer { column, .. }
            | Self::InvalidValue { column, .. }
            | Self::MissingValue { column, .. }
            | Self::Syntax { column, .. }
            | Self::UnknownKeyword { column, .. }
            | Self::UnresolvedReference { column, .. } => column,
            Self::Strict { warning } => &mut warning.column,
        }
    }
}

struct HintText<'a>(Option<&'a str>);

impl fmt::Display for HintText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// Something that the driver of the dialect drops or bends without an error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// What happened.
    pub kind: WarningKind,
    /// The keyword that it is about, as written and cut to 64 characters.
    /// Text that may belong to a secret is left out.
    pub keyword: Option<String>,
    /// The keyword in full, if `keyword` does not repeat it as written.
    pub withheld: Option<Secret>,
    /// Where it is, in characters from zero.
    pub column: usize,
    /// What it means and what to write instead.
    pub hint: Option<String>,
    /// The canonical names of settings that are lost with it.
    pub lost: Vec<&'static str>,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = self.kind.text();
        write!(f, "column {}: {before}", self.column)?;
        if let Some(keyword) = &self.keyword {
            write!(f, " '{keyword}'")?;
        }
        write!(f, "{after}{}", HintText(self.hint.as_deref()))
    }
}

/// The kind of a [`Warning`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WarningKind {
    /// A keyword is given more than once, with another value.
    DuplicateKeyword,
    /// The driver accepts the value and does nothing with it.
    IgnoredValue,
    /// The driver stops reading here; the rest of the string is lost.
    LostText,
    /// Text at the end that means nothing.
    TrailingText,
    /// The driver drops a keyword that it does not know.
    UnknownKeyword,
    /// A brace is never closed; the value takes the rest of the string.
    UnterminatedValue,
}

impl WarningKind {
    /// The kind in one word, for machines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DuplicateKeyword => "duplicate_keyword",
            Self::IgnoredValue => "ignored_value",
            Self::LostText => "lost_text",
            Self::TrailingText => "trailing_text",
            Self::UnknownKeyword => "unknown_keyword",
            Self::UnterminatedValue => "unterminated_value",
        }
    }

    /// What stands before and after the keyword in a sentence.
    fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::DuplicateKeyword => ("keyword", " is given more than once"),
            Self::IgnoredValue => ("the value of", " has no effect"),
            Self::LostText => ("text is lost here", ""),
            Self::TrailingText => ("text at the end means nothing", ""),
            Self::UnknownKeyword => ("unknown keyword", " is dropped"),
            Self::UnterminatedValue => ("a brace is never closed and takes all that follows", ""),
        }
    }

    fn as_error(self) -> &'static str {
        match self {
            Self::DuplicateKeyword => "duplicate_keyword",
            Self::IgnoredValue => "invalid_value",
            Self::LostText | Self::TrailingText | Self::UnterminatedValue => "syntax",
            Self::UnknownKeyword => "unknown_keyword",
        }
    }
}

/// Why a connection string cannot be written in a dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The dialect has no such keyword.
    #[error("{} has no keyword for {keyword}", dialect.title())]
    NoKeyword {
        /// The dialect.
        dialect: Dialect,
        /// The keyword, in its canonical spelling.
        keyword: &'static str,
    },
    /// The dialect cannot express the value, or reads it as something else.
    #[error("{} cannot express the value of {keyword}", dialect.title())]
    NotRepresentable {
        /// The dialect.
        dialect: Dialect,
        /// The keyword, in its canonical spelling.
        keyword: &'static str,
    },
    /// The dialect refuses the settings as a whole.
    #[error("{} refuses these settings", dialect.title())]
    Refused {
        /// The dialect.
        dialect: Dialect,
        /// What it says.
        #[source]
        source: Box<ParseError>,
    },
}
