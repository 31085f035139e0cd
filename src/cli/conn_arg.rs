//! The CONN argument: a connection string, or where to find one.

use std::fmt;
use std::io::Read;
use std::str::FromStr;

use super::exit::{Exit, Failure};
use crate::key_vault::{KeyVault, Resolved};
use crate::token::Sources;
use crate::{Error, Secret};

/// More than any driver accepts; a file that is longer is not a connection string.
const MAX_LEN: u64 = 64 * 1024;

/// A connection string as given on the command line.
///
/// `-` reads the standard input, `env:NAME` a variable and `file:PATH` a file,
/// so that a string with a secret need not stand in a process list.
#[derive(Clone)]
pub(super) enum ConnArg {
    Stdin,
    Env(String),
    File(String),
    Text(Secret),
}

impl ConnArg {
    /// The connection string itself, without the byte-order mark and the line
    /// end that editors and shells add.
    pub(super) fn read(&self) -> Result<Secret, Failure> {
        let text = match self {
            Self::Text(text) => return Ok(text.clone()),
            Self::Stdin => read_bounded(std::io::stdin().lock(), "the standard input")?,
            Self::Env(name) => std::env::var(name)
                .map_err(|_| usage(format!("the variable {name} is not set, or is not text")))?,
            Self::File(path) => {
                let file = std::fs::File::open(path)
                    .map_err(|error| usage(format!("cannot read {path}: {error}")))?;
                read_bounded(file, path)?
            }
        };
        let text = Secret::new(text);
        let bare = text.expose().trim_start_matches('\u{feff}');
        Ok(Secret::new(bare.trim_end_matches(['\r', '\n'])))
    }
}

impl ConnArg {
    /// What the connection string means, with the secrets in the places of its Key Vault references.
    pub(super) async fn resolve(&self, sources: Sources) -> Result<Resolved, Failure> {
        let text = self.read()?;
        let resolved = KeyVault::new(sources).resolve(text.expose()).await;
        Ok(resolved.map_err(Error::from)?)
    }
}

impl FromStr for ConnArg {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "-" {
            Self::Stdin
        } else if let Some(name) = text.strip_prefix("env:") {
            Self::Env(name.to_owned())
        } else if let Some(path) = text.strip_prefix("file:") {
            Self::File(path.to_owned())
        } else {
            Self::Text(Secret::new(text))
        })
    }
}

/// Names the place, never the string: clap prints arguments with `Debug`.
impl fmt::Debug for ConnArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("-"),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Text(text) => text.fmt(f),
        }
    }
}

fn read_bounded(from: impl Read, name: &str) -> Result<String, Failure> {
    let mut text = String::new();
    from.take(MAX_LEN + 1)
        .read_to_string(&mut text)
        .map_err(|error| usage(format!("cannot read {name}: {error}")))?;
    if text.len() as u64 > MAX_LEN {
        return Err(usage(format!(
            "{name} holds more than {MAX_LEN} bytes, which is no connection string"
        )));
    }
    Ok(text)
}

fn usage(message: String) -> Failure {
    Failure::new(Exit::Usage, message)
}
