//! Where the connection string of a database comes from.

use std::path::Path;
use std::sync::Arc;

use super::error::ConnectionError;
use crate::conn_string::{Key, ParseOptions, Value};
use crate::key_vault::Reference;
use crate::secret::Secret;
use crate::settings::TextSource;
use crate::token::Environment;

/// Where the connection string of a database comes from. It is read when it is
/// needed, so that a manifest can be checked where nothing can be reached.
///
/// `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Shared by the databases of a server.
    source: Arc<TextSource>,
    /// The name to put into a string that several databases share.
    database: Option<String>,
}

impl Connection {
    /// A variable does not choose where the string comes from: only what the file
    /// itself begins with `env:` or `file:` (`is_text` is false) is read as such.
    pub(super) fn new(text: &str, is_text: bool, folder: &Path) -> Self {
        let source = match is_text {
            true => TextSource::Text(Secret::new(text)),
            false => TextSource::of(text, folder),
        };
        Self {
            source: Arc::new(source),
            database: None,
        }
    }

    /// The same string for a database of that name.
    pub(super) fn with_database(&self, name: &str) -> Self {
        Self {
            source: Arc::clone(&self.source),
            database: Some(name.to_owned()),
        }
    }

    /// The connection string, with the database's name in it. References to
    /// vaults stay as they are, for [`KeyVault`](crate::key_vault::KeyVault).
    ///
    /// # Errors
    /// [`ConnectionError`] if the variable or the file is missing, or the name of
    /// the database cannot be put in.
    pub fn read(&self, environment: &Environment) -> Result<Secret, ConnectionError> {
        let text = self.source.read(|name| environment.var(name))?;
        let Some(database) = &self.database else {
            return Ok(text);
        };
        if Reference::is_reference(text.expose()) {
            return Err(ConnectionError::WholeReference);
        }
        let options = ParseOptions::new().keep_references(true);
        let mut string = options
            .parse(text.expose())
            .map_err(|source| ConnectionError::Parse { source })?;
        string.set(Key::InitialCatalog, Value::Text(database.clone()));
        let written = string.write(string.dialect());
        written.map_err(|source| ConnectionError::Write { source })
    }

    /// What is wrong with a string that stands in the manifest itself. What
    /// variables hold is not repeated.
    pub(super) fn fault(&self, has_variables: bool) -> Option<String> {
        let TextSource::Text(text) = self.source.as_ref() else {
            return None;
        };
        if Reference::is_reference(text.expose()) {
            let whole = self
                .database
                .as_ref()
                .map(|_| ConnectionError::WholeReference);
            return whole.map(|error| error.to_string());
        }
        let options = ParseOptions::new().keep_references(true);
        let error = options.parse(text.expose()).err()?;
        Some(match has_variables {
            true => "with the values of its variables, the connection string cannot be read; `entrada parse` tells why".to_owned(),
            false => format!("the connection string cannot be read: {error}"),
        })
    }
}
