//! Which listeners are too open to be opened.

use std::fmt;
use std::net::SocketAddr;

use super::peer::canonical;
use crate::proxy::ProxyError;
use crate::proxy::config::{Admission, ListenerConfig, TlsMode};
use crate::proxy::listener::BoundAddress;

/// What an operator should know about a listener that is opened all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Risk {
    /// Everybody on this machine can use it.
    AnyOnLoopback,
    /// Everybody on this machine can connect to the socket, and use it.
    AnyOnWideSocket,
    /// It asks for passwords, and nobody has one.
    NobodyHasAPassword,
    /// It goes by uids, which this system does not tell over TCP.
    NoUidsOverTcp,
    /// It goes by groups alone, which no system tells over TCP.
    NoGroupsOverTcp,
}

/// Refuses a listener that other machines can reach, unless it encrypts and asks
/// for passwords; else says what is risky about it.
pub(in crate::proxy) fn guard(
    listener: &ListenerConfig,
    at: &BoundAddress,
    mode: Option<u32>,
    users: usize,
) -> Result<Option<Risk>, ProxyError> {
    if let BoundAddress::Tcp(address) = at {
        refuse_exposed(listener, *address)?;
    }
    let over_tcp = matches!(at, BoundAddress::Tcp(_));
    let is_wide = mode.is_some_and(|mode| mode & 0o006 != 0);
    Ok(match &listener.admission {
        Admission::Any if over_tcp => Some(Risk::AnyOnLoopback),
        Admission::Any if is_wide => Some(Risk::AnyOnWideSocket),
        Admission::Password if users == 0 => Some(Risk::NobodyHasAPassword),
        Admission::Listed { uids, gids } if over_tcp && uids.is_empty() && !gids.is_empty() => {
            Some(Risk::NoGroupsOverTcp)
        }
        Admission::SameUser | Admission::Listed { .. }
            if over_tcp && !cfg!(target_os = "linux") =>
        {
            Some(Risk::NoUidsOverTcp)
        }
        _ => None,
    })
}

fn refuse_exposed(listener: &ListenerConfig, address: SocketAddr) -> Result<(), ProxyError> {
    if canonical(address).ip().is_loopback() {
        return Ok(());
    }
    let lacks_tls = !matches!(listener.tls.mode, TlsMode::Required | TlsMode::Strict);
    let lacks_passwords = listener.admission != Admission::Password;
    if !lacks_tls && !lacks_passwords {
        return Ok(());
    }
    Err(ProxyError::Exposed {
        listener: listener.name.clone(),
        address,
        lacks_tls,
        lacks_passwords,
    })
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnyOnLoopback => {
                "admission = \"any\": every user and program of this machine can use the database \
                 with the proxy's identity"
            }
            Self::AnyOnWideSocket => {
                "admission = \"any\", and everybody on this machine may open the socket: narrow its \
                 mode to 0660 or less, or every program can use the database with the proxy's \
                 identity"
            }
            Self::NobodyHasAPassword => {
                "admission = \"password\", and there is no [[user]]: nobody can log in"
            }
            Self::NoUidsOverTcp => {
                "this system does not tell which user a TCP client runs as, so that all are \
                 refused: listen on a Unix socket, or use admission = \"password\""
            }
            Self::NoGroupsOverTcp => {
                "groups are only known on Unix sockets, so that all clients are refused: listen on \
                 one, list uids, or use admission = \"password\""
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::config::Config;

    fn listener(mode: TlsMode, admission: Admission) -> ListenerConfig {
        let mut listener = Config::for_connection("").listeners.remove(0);
        listener.tls.mode = mode;
        listener.admission = admission;
        listener
    }

    fn admissions() -> [Admission; 4] {
        let listed = Admission::Listed {
            uids: vec![0],
            gids: vec![],
        };
        [
            Admission::SameUser,
            listed,
            Admission::Password,
            Admission::Any,
        ]
    }

    const MODES: [TlsMode; 4] = [
        TlsMode::Off,
        TlsMode::Optional,
        TlsMode::Required,
        TlsMode::Strict,
    ];

    #[test]
    fn beyond_loopback_only_encrypted_passwords_will_do() {
        for address in [
            "0.0.0.0:1433",
            "[::]:1433",
            "192.0.2.1:1433",
            "10.0.0.1:0",
            "[2001:db8::1]:1433",
            "[fe80::1]:1433",
            "[::ffff:192.0.2.1]:1433",
            "[::ffff:0.0.0.0]:1433",
            "128.0.0.1:1433",
            "[::2]:1433",
        ] {
            let at = BoundAddress::Tcp(address.parse().unwrap());
            for mode in MODES {
                for admission in admissions() {
                    let is_safe = matches!(mode, TlsMode::Required | TlsMode::Strict)
                        && admission == Admission::Password;
                    let listener = listener(mode, admission);
                    let outcome = guard(&listener, &at, None, 1);
                    assert_eq!(outcome.is_ok(), is_safe, "{address} {listener:?}");
                }
            }
        }
    }

    #[test]
    fn on_this_machine_everything_is_allowed() {
        let unix = BoundAddress::Unix("/run/x".into());
        let tcp = [
            "127.0.0.1:1433",
            "127.8.0.1:0",
            "[::1]:1433",
            "[::ffff:127.0.0.1]:1433",
        ]
        .map(|text| BoundAddress::Tcp(text.parse().unwrap()));
        for at in tcp.iter().chain([&unix]) {
            for mode in MODES {
                for admission in admissions() {
                    guard(&listener(mode, admission), at, None, 1).unwrap();
                }
            }
        }
    }

    #[test]
    fn the_refusal_says_what_to_set() {
        let at = BoundAddress::Tcp("0.0.0.0:1433".parse().unwrap());
        let text = |mode, admission| {
            let listener = listener(mode, admission);
            guard(&listener, &at, None, 1).unwrap_err().to_string()
        };
        let both = text(TlsMode::Optional, Admission::Any);
        assert!(both.contains("tls = \"required\""), "{both}");
        assert!(both.contains("admission = \"password\""), "{both}");
        let tls = text(TlsMode::Optional, Admission::Password);
        assert!(!tls.contains("admission"), "{tls}");
        let passwords = text(TlsMode::Strict, Admission::SameUser);
        assert!(!passwords.contains("tls ="), "{passwords}");
    }

    #[test]
    fn what_is_risky_is_said() {
        let tcp = BoundAddress::Tcp("127.0.0.1:1433".parse().unwrap());
        let unix = BoundAddress::Unix("/run/x".into());
        let risk = |admission, at, mode, users| {
            guard(&listener(TlsMode::Off, admission), at, mode, users).unwrap()
        };
        let any = || Admission::Any;
        assert_eq!(risk(any(), &tcp, None, 0), Some(Risk::AnyOnLoopback));
        assert_eq!(
            risk(any(), &unix, Some(0o666), 0),
            Some(Risk::AnyOnWideSocket)
        );
        assert_eq!(risk(any(), &unix, Some(0o660), 0), None);
        assert_eq!(risk(Admission::SameUser, &unix, Some(0o666), 0), None);
        let nobody = risk(Admission::Password, &tcp, None, 0);
        assert_eq!(nobody, Some(Risk::NobodyHasAPassword));
        assert_eq!(risk(Admission::Password, &tcp, None, 1), None);
        let groups = || Admission::Listed {
            uids: vec![],
            gids: vec![5],
        };
        assert_eq!(risk(groups(), &tcp, None, 0), Some(Risk::NoGroupsOverTcp));
        assert_eq!(risk(groups(), &unix, Some(0o660), 0), None);
        #[cfg(target_os = "linux")]
        assert_eq!(risk(Admission::SameUser, &tcp, None, 0), None);
    }
}
