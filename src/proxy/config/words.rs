//! Settings as people write them, on the command line and in files.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Admission, ListenAddress, TlsMode};

/// The mode of a Unix socket's file if none is said: for its owner alone.
const SOCKET_MODE: u32 = 0o600;

/// `127.0.0.1:1433`, `unix:/path` or `systemd:NAME`. Names of hosts are not
/// looked up.
impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match PathBuf::from(path) {
                path if path.is_absolute() => Ok(Self::Unix {
                    path,
                    mode: SOCKET_MODE,
                }),
                _ => Err("a Unix socket has an absolute path, as unix:/run/entrada/shop.sock"),
            };
        }
        if let Some(name) = text.strip_prefix("systemd:") {
            return if name.is_empty() {
                Err("name the socket by its FileDescriptorName, as systemd:shop")
            } else {
                Ok(Self::Systemd(name.to_owned()))
            };
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            "write an IP address and a port (127.0.0.1:1433, [::1]:1433), unix:/path or systemd:NAME"
        })
    }
}

/// As [`FromStr`] reads it.
impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
            Self::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

impl FromStr for TlsMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "optional" => Ok(Self::Optional),
            "required" => Ok(Self::Required),
            "strict" => Ok(Self::Strict),
            _ => Err("write off, optional, required or strict"),
        }
    }
}

/// As [`FromStr`] reads it.
impl fmt::Display for TlsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
            Self::Strict => "strict",
        })
    }
}

/// The word for it.
impl fmt::Display for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SameUser => "same-user",
            Self::Listed { .. } => "listed",
            Self::Password => "password",
            Self::Any => "any",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_modes_read_as_they_are_written() {
        for text in [
            "127.0.0.1:1433",
            "[::1]:0",
            "unix:/run/entrada/shop.sock",
            "systemd:shop",
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        for text in [
            "localhost:1433",
            "127.0.0.1",
            "unix:shop.sock",
            "systemd:",
            "",
        ] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
        for text in ["off", "optional", "required", "strict"] {
            assert_eq!(text.parse::<TlsMode>().unwrap().to_string(), text);
        }
        assert!("On".parse::<TlsMode>().is_err());
    }
}
