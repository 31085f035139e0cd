//! ERROR and INFO (MS-TDS 2.2.7.10, 2.2.7.13), and the one table of error
//! numbers that mean something to this crate.

use std::fmt;

use super::{DecodeError, EncodeError, Put, Reader, TdsVersion};

/// A message of the server: an error, or an information for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerMessage {
    /// The message's number; see [`known`].
    pub number: i32,
    /// Tells apart the places that raise the same number.
    pub state: u8,
    /// Severity. From 11 on it is an error, from 20 on the connection is dead.
    pub class: u8,
    /// The text.
    pub message: String,
    /// The server's name.
    pub server: String,
    /// The stored procedure, or empty.
    pub procedure: String,
    /// The line in the batch or procedure, from 1.
    pub line: u32,
}

impl ServerMessage {
    /// A message without place or server, for tests and emulators.
    #[must_use]
    pub fn new(number: i32, state: u8, class: u8, message: impl Into<String>) -> Self {
        Self {
            number,
            state,
            class,
            message: message.into(),
            server: String::new(),
            procedure: String::new(),
            line: 1,
        }
    }

    /// Whether this is an error: class 11 and above.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.class >= 11
    }

    /// Whether the server closes the connection after it: class 20 and above.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.class >= 20
    }

    /// Whether logging in again may help; see [`is_transient`].
    #[must_use]
    pub fn is_transient(&self) -> bool {
        is_transient(self.number)
    }

    /// Appends what follows the token byte, its length included. The line has 4
    /// bytes from 7.2 on, 2 before. A message text that is too long for the
    /// token is cut at its end, as servers do.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] for a server or procedure name beyond 255
    /// UTF-16 units.
    pub fn encode(&self, version: TdsVersion, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.len_prefixed_u16("the server's message", |out| {
            out.put_i32_le(self.number);
            out.put_u8(self.state);
            out.put_u8(self.class);
            let message: String = cut(&self.message);
            out.put_us_varchar("the message text", &message)?;
            out.put_b_varchar("the server name", &self.server)?;
            out.put_b_varchar("the procedure name", &self.procedure)?;
            if version >= TdsVersion::V7_2 {
                out.put_u32_le(self.line);
            } else {
                out.put_u16_le(u16::try_from(self.line).unwrap_or(u16::MAX));
            }
            Ok(())
        })
    }

    /// Reads what follows the token's length. `error` tells which of the two
    /// tokens it was, and only names it in the decoding error.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn decode(version: TdsVersion, error: bool, data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::named(if error { "ERROR" } else { "INFO" }, data);
        Ok(Self {
            number: reader.i32_le()?,
            state: reader.u8()?,
            class: reader.u8()?,
            message: reader.us_varchar()?,
            server: reader.b_varchar()?,
            procedure: reader.b_varchar()?,
            line: if version >= TdsVersion::V7_2 {
                reader.u32_le()?
            } else {
                reader.u16_le()?.into()
            },
        })
    }
}

impl fmt::Display for ServerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.message.trim_end();
        write!(f, "{text} ({}, state {})", self.number, self.state)
    }
}

/// Whether a whole login may be repeated after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoginRetry {
    /// The same login will fail again.
    No,
    /// The condition passes; retry after some seconds.
    Yes,
    /// The server is short of something; wait at least ten seconds first.
    BackOff,
}

/// What is known about an error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownError {
    /// The number.
    pub number: i32,
    /// What it means.
    pub meaning: &'static str,
    /// Whether a whole login may be repeated after it.
    pub login_retry: LoginRetry,
    /// What a person can do about it.
    pub advice: &'static str,
}

/// Login failed; which login, and why, only the server's log tells.
pub const LOGIN_FAILED: i32 = 18456;
/// The database does not exist, or the login may not open it.
pub const CANNOT_OPEN_DATABASE: i32 = 4060;
/// INFO: the database context has changed.
pub const CHANGED_DATABASE: i32 = 5701;
/// INFO: the language has changed.
pub const CHANGED_LANGUAGE: i32 = 5703;

/// What is known about this number.
#[must_use]
pub fn known(number: i32) -> Option<&'static KnownError> {
    KNOWN_ERRORS.iter().find(|known| known.number == number)
}

/// Whether a login that ended with this number may be repeated with hope.
#[must_use]
pub fn is_transient(number: i32) -> bool {
    known(number).is_some_and(|known| known.login_retry != LoginRetry::No)
}

/// Whether the server refused who logs in, rather than how or when.
#[must_use]
pub fn is_auth(number: i32) -> bool {
    matches!(number, LOGIN_FAILED | 18452 | 18470 | 18487 | 18488 | 916)
}

/// Whether an address is not allowed to connect.
#[must_use]
pub fn is_firewall(number: i32) -> bool {
    matches!(number, 40615 | 40914 | 47073)
}

/// Every number that this crate treats in a way of its own, sorted.
pub const KNOWN_ERRORS: &[KnownError] = &[
    transient(
        615,
        "the database's id changed under the server's cache",
        WAIT,
    ),
    permanent(
        916,
        "the principal may not use the database",
        "create a user for it in that database: CREATE USER [name] FROM EXTERNAL PROVIDER",
    ),
    transient(926, "the database is in transition or suspect", WAIT),
    permanent(
        3989,
        "the request names a transaction that is not this session's",
        "report it: the session's state was lost",
    ),
    transient(
        4060,
        "the database cannot be opened",
        "check its name, and that the principal has a user in it; while it starts or fails over, retry",
    ),
    transient(
        4221,
        "the replica waits for row versions and cannot be read yet",
        WAIT,
    ),
    busy(
        10928,
        "the database has reached its limit of workers or sessions",
        "use fewer connections, or a larger service tier",
    ),
    busy(
        10929,
        "the server is too busy for more than the guaranteed minimum",
        "use fewer connections, or a larger service tier",
    ),
    busy(
        10936,
        "the elastic pool has reached its limit",
        "use fewer connections, or a larger pool",
    ),
    permanent(
        17897,
        "the server rejected the session's recovery data",
        "log in anew, without recovery",
    ),
    permanent(
        18452,
        "the login comes from an untrusted domain",
        "use a token or a SQL login; integrated login is not possible here",
    ),
    permanent(
        18456,
        "the login failed",
        "create a user for this principal in the database that is named: CREATE USER [name] FROM EXTERNAL PROVIDER",
    ),
    permanent(
        18470,
        "the login is disabled",
        "enable it: ALTER LOGIN [name] ENABLE",
    ),
    permanent(18487, "the password has expired", "set a new password"),
    permanent(18488, "the password must be changed", "set a new password"),
    permanent(
        33130,
        "the principal was not found in Entra",
        "check the name, or create the user by its object id",
    ),
    permanent(
        33134,
        "the principal could not be resolved in Entra",
        "grant the server's identity Directory Readers, or create the user by SID",
    ),
    permanent(
        33159,
        "only an Entra login may create Entra users",
        "connect as the server's Entra administrator",
    ),
    transient(40020, SERVICE_ERROR, WAIT),
    transient(40143, SERVICE_ERROR, WAIT),
    transient(40166, SERVICE_ERROR, WAIT),
    transient(40197, SERVICE_ERROR, WAIT),
    busy(40501, "the service is busy", "wait ten seconds, then retry"),
    permanent(
        40531,
        "the login names no server",
        "give the server's full name, as in server.database.windows.net",
    ),
    permanent(
        40532,
        "the login names a server that does not exist, or may not be reached from here",
        "check the server's name and its network rules",
    ),
    transient(40540, SERVICE_ERROR, WAIT),
    transient(40613, "the database is not available right now", WAIT),
    permanent(
        40615,
        "the server's firewall does not allow this address",
        "add a firewall rule for the address that the message names",
    ),
    permanent(
        40914,
        "the server's network rules do not allow this subnet",
        "add a virtual network rule for the subnet",
    ),
    transient(42108, "the SQL pool is paused", "resume it, then retry"),
    transient(42109, "the SQL pool is warming up", WAIT),
    permanent(
        47073,
        "the server denies access from public networks",
        "connect through its private endpoint",
    ),
    busy(49918, "the service is short of resources", WAIT),
    busy(
        49919,
        "too many create or update operations are in progress",
        WAIT,
    ),
    busy(49920, "too many operations are in progress", WAIT),
];

const SERVICE_ERROR: &str = "the service met an error while processing the request";
const WAIT: &str = "wait some seconds, then retry; most such conditions end within a minute";
/// What a message's text may have, in UTF-16 units, for the token to fit its
/// length with the longest names.
const MAX_TEXT: usize = 32_000;

const fn transient(number: i32, meaning: &'static str, advice: &'static str) -> KnownError {
    entry(number, LoginRetry::Yes, meaning, advice)
}

const fn busy(number: i32, meaning: &'static str, advice: &'static str) -> KnownError {
    entry(number, LoginRetry::BackOff, meaning, advice)
}

const fn permanent(number: i32, meaning: &'static str, advice: &'static str) -> KnownError {
    entry(number, LoginRetry::No, meaning, advice)
}

const fn entry(
    number: i32,
    login_retry: LoginRetry,
    meaning: &'static str,
    advice: &'static str,
) -> KnownError {
    KnownError {
        number,
        meaning,
        login_retry,
        advice,
    }
}

/// The text, or as much of its beginning as a token can hold.
fn cut(text: &str) -> String {
    let mut units = 0;
    let fits = |c: &char| {
        units += c.len_utf16();
        units <= MAX_TEXT
    };
    text.chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_says_something() {
        let numbers: Vec<i32> = KNOWN_ERRORS.iter().map(|known| known.number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        for known in KNOWN_ERRORS {
            assert!(!known.meaning.is_empty() && !known.advice.is_empty());
            assert!(!known.meaning.ends_with('.') && !known.advice.ends_with('.'));
        }
    }

    #[test]
    fn predicates_follow_the_table() {
        for number in [4060, 40197, 40501, 40613, 49918, 10928, 42109] {
            assert!(is_transient(number), "{number}");
        }
        for number in [LOGIN_FAILED, 40532, 40615, 8134, 0, -1] {
            assert!(!is_transient(number), "{number}");
        }
        assert_eq!(known(40501).unwrap().login_retry, LoginRetry::BackOff);
        assert!(is_auth(LOGIN_FAILED) && !is_auth(40613));
        assert!(is_firewall(40615) && known(47073).is_some());
    }

    #[test]
    fn a_line_has_the_width_of_its_version() {
        let message = ServerMessage {
            line: 70_000,
            ..ServerMessage::new(8134, 1, 16, "Divide by zero error encountered.")
        };
        let mut lengths = Vec::new();
        for (version, line) in [(TdsVersion::V7_1, 65_535), (TdsVersion::V7_2, 70_000)] {
            let mut out = Vec::new();
            message.encode(version, &mut out).unwrap();
            lengths.push(out.len());
            let body = Reader::new(&out).us_varbyte().unwrap();
            assert_eq!(
                ServerMessage::decode(version, true, body).unwrap().line,
                line
            );
        }
        assert_eq!(lengths[1] - lengths[0], 2);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let message = ServerMessage::new(1, 1, 16, format!("x{}", "𝄞".repeat(20_000)));
        let mut out = Vec::new();
        message.encode(TdsVersion::V7_4, &mut out).unwrap();
        let body = Reader::new(&out).us_varbyte().unwrap();
        let read = ServerMessage::decode(TdsVersion::V7_4, true, body).unwrap();
        assert!(message.message.starts_with(&read.message));
        assert_eq!(read.message.encode_utf16().count(), MAX_TEXT - 1);
    }

    #[test]
    fn the_classes_tell_errors_from_information() {
        let class = |class| ServerMessage::new(1, 1, class, "");
        assert!(!class(10).is_error() && class(11).is_error() && !class(19).is_fatal());
        assert!(class(20).is_fatal());
        let shown = ServerMessage::new(LOGIN_FAILED, 1, 14, "Login failed for user 'x'.\n");
        assert_eq!(
            shown.to_string(),
            "Login failed for user 'x'. (18456, state 1)"
        );
    }
}
