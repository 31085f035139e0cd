//! Why a client is not let in: what it is told, and what the log is.

use std::fmt;

use super::crowd::Excess;

/// Why a client is not let in.
///
/// `Display` is what the client is told. It names nothing that the client did
/// not say itself: no target, no user, no rule. What the log adds is in
/// [`Denial::detail`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Denial {
    /// The login name that the client gave, printable and short.
    pub(super) login: String,
    pub(super) why: Why,
}

/// Why a client is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// There are too many clients.
    Excess(Excess),
    /// Its peer has failed to log in too often.
    TooManyFailures,
    /// It runs as another user.
    OtherUser { uid: u32 },
    /// It is not known whom it runs as.
    NobodyKnown,
    /// Its group would have to be known, and is not over TCP.
    NoGroupKnown,
    /// Neither its user nor its group is listed.
    NotListed { uid: Option<u32>, gid: Option<u32> },
    /// User and password do not fit.
    Password { user_exists: bool },
    /// It sent no password.
    NoPassword,
    /// It logs in as Windows or Entra user.
    OtherLogin { what: &'static str },
    /// It asks for a new password.
    NewPassword,
    /// Passwords go in clear over a network.
    NotEncrypted,
    /// Too many passwords wait to be checked.
    Busy,
    /// No rule and no target is for it.
    NoTarget { database: String },
    /// A rule leads to a target that cannot be used.
    UnusableTarget { target: String },
    /// The admin database is not for it.
    NotAdmin,
}

impl Denial {
    /// The word for logs and metrics.
    pub(in crate::proxy) fn reason(&self) -> &'static str {
        match self.why {
            Why::Excess(Excess::All { .. }) => "too-many-clients",
            Why::Excess(Excess::OfPeer { .. }) => "too-many-of-peer",
            Why::TooManyFailures => "too-many-failures",
            Why::OtherUser { .. } => "other-user",
            Why::NobodyKnown | Why::NoGroupKnown => "unknown-peer",
            Why::NotListed { .. } => "not-listed",
            Why::Password { .. } => "password",
            Why::NoPassword => "no-password",
            Why::OtherLogin { .. } | Why::NewPassword => "other-login",
            Why::NotEncrypted => "not-encrypted",
            Why::Busy => "busy",
            Why::NoTarget { .. } | Why::UnusableTarget { .. } => "no-target",
            Why::NotAdmin => "not-admin",
        }
    }

    /// The number of the ERROR that the client gets: 17809 when there are too
    /// many, else SQL Server's for a failed login.
    pub(in crate::proxy) fn number(&self) -> i32 {
        match self.why {
            Why::Excess(_) => 17809,
            _ => 18456,
        }
    }

    /// What the log says beside the reason.
    pub(super) fn detail(&self) -> String {
        match &self.why {
            Why::Excess(Excess::All { limit } | Excess::OfPeer { limit }) => {
                format!("the limit is {limit}")
            }
            Why::OtherUser { uid } => format!("uid {uid} is not ours"),
            Why::NotListed { uid, gid } => format!("uid {uid:?}, gid {gid:?}"),
            Why::Password { user_exists: true } => "wrong password".to_owned(),
            Why::Password { user_exists: false } => "no such user".to_owned(),
            Why::OtherLogin { what } => format!("it logs in by {what}"),
            Why::NoTarget { database } => format!("no rule fits, database `{database}`"),
            Why::UnusableTarget { target } => format!("target `{target}` is not there"),
            _ => String::new(),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login failed for user '{}'.", self.login)?;
        let more = match self.why {
            Why::Excess(Excess::OfPeer { limit }) => {
                return write!(
                    f,
                    " You have as many connections as one client may have: {limit} \
                     (limits.connections_per_peer). Close some."
                );
            }
            Why::Excess(Excess::All { .. }) => {
                "The proxy serves as many clients as it may (limits.connections). Try again later."
            }
            Why::TooManyFailures => "Too many logins have failed. Try again in a minute.",
            Why::OtherUser { .. } => {
                "This listener is for programs of the proxy's own user. Run the program as that \
                 user, or have its uid listed or a password set up in the proxy's configuration."
            }
            Why::NobodyKnown => {
                "This listener must know which user a program runs as, and the system does not \
                 tell it for this connection. Connect from the proxy's own machine, over its Unix \
                 socket where there is one, or use a listener that takes passwords."
            }
            Why::NoGroupKnown => {
                "This listener must know which group a program runs as, which only a Unix socket \
                 tells. Connect over one, or have the program's uid listed."
            }
            Why::NotListed { .. } => {
                "This listener is for listed users and groups, and yours is not among them."
            }
            // What fails must not tell whether the user or the password is wrong.
            Why::Password { .. } => return Ok(()),
            Why::NoPassword => "This listener needs a user and a password; no password came.",
            Why::OtherLogin { .. } => {
                "The proxy has an identity of its own at the server; log in to the proxy with a \
                 SQL user and password, or with none where it needs none, in place of a Windows \
                 login or a token."
            }
            Why::NewPassword => {
                "Passwords cannot be changed by a login; change the proxy's configuration."
            }
            Why::NotEncrypted => "Passwords are taken over encrypted connections only.",
            Why::Busy => "Too many logins wait. Try again.",
            Why::NoTarget { .. } | Why::UnusableTarget { .. } => {
                "Nothing is set up here for this user and database."
            }
            Why::NotAdmin => "The admin database is not for this user.",
        };
        write!(f, " {more}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_cannot_tell_a_wrong_password_from_a_wrong_user() {
        let denial = |user_exists| Denial {
            login: "bob".to_owned(),
            why: Why::Password { user_exists },
        };
        let (one, two) = (denial(true), denial(false));
        assert_eq!(one.to_string(), "Login failed for user 'bob'.");
        assert_eq!(one.to_string(), two.to_string());
        assert_eq!((one.reason(), one.number()), (two.reason(), two.number()));
        assert_ne!(one.detail(), two.detail(), "the log tells");
    }

    #[test]
    fn whoever_has_too_many_is_told_how_many_may_be() {
        let denial = Denial {
            login: "bob".to_owned(),
            why: Why::Excess(Excess::OfPeer { limit: 1000 }),
        };
        let text = denial.to_string();
        assert!(
            text.contains("may have: 1000 (limits.connections_per_peer)"),
            "{text}"
        );
    }

    #[test]
    fn a_stranger_learns_no_names() {
        for why in [
            Why::NoTarget {
                database: "marker".to_owned(),
            },
            Why::UnusableTarget {
                target: "marker".to_owned(),
            },
        ] {
            let denial = Denial {
                login: String::new(),
                why,
            };
            assert!(!denial.to_string().contains("marker"));
            assert!(denial.detail().contains("marker"));
        }
    }
}
