//! What may not stand together, and what needs what: section by section as
//! each driver checks it.

use std::borrow::Cow;

use super::auth_method::AuthMethod as M;
use super::builder::Builder;
use super::settle::Settings;
use super::{Dialect, Key, ParseError, Value};

/// The slots and the typed settings, side by side.
pub(super) struct Checks<'c, 'a> {
    pub(super) builder: &'c Builder<'a>,
    pub(super) settings: &'c Settings,
}

type Result = std::result::Result<(), ParseError>;

impl Checks<'_, '_> {
    fn column(&self, key: Key) -> usize {
        self.builder
            .slot(key)
            .map_or(0, |slot| self.builder.column(slot.at))
    }

    /// Whether the keyword stands in the text, whatever its value.
    pub(super) fn written(&self, key: Key) -> bool {
        self.builder.slot(key).is_some()
    }

    /// Whether it has a value that is not empty.
    pub(super) fn filled(&self, key: Key) -> bool {
        self.settings.get(key).is_some()
    }

    fn is(&self, key: Key, word: &str) -> bool {
        matches!(self.settings.get(key), Some(Value::Text(text)) if text == word)
    }

    fn on(&self, key: Key) -> bool {
        matches!(self.settings.get(key), Some(Value::Bool(true)))
    }

    fn number(&self, key: Key) -> Option<i64> {
        match self.settings.get(key) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn conflict(&self, key: Key, other: impl Into<Cow<'static, str>>) -> Result {
        Err(ParseError::Conflict {
            column: self.column(key),
            keyword: key.name(),
            other: other.into(),
        })
    }

    pub(super) fn missing(
        &self,
        of: Key,
        keyword: &'static str,
        needed_by: impl Into<Cow<'static, str>>,
    ) -> Result {
        Err(ParseError::MissingValue {
            column: self.column(of),
            keyword,
            needed_by: needed_by.into(),
        })
    }

    fn invalid(&self, key: Key, expected: &'static str) -> Result {
        let column = self.column(key);
        Err(ParseError::InvalidValue {
            column,
            keyword: key.name(),
            expected: expected.into(),
        })
    }

    /// What is checked before the late values are read.
    pub(super) fn early(&self) -> Result {
        match self.builder.dialect {
            Dialect::AdoNet => {
                self.ado_pool()?;
                self.failover()
            }
            Dialect::Odbc => self.odbc_driver(),
            Dialect::Jdbc | Dialect::SqlServerUrl => Ok(()),
        }
    }

    /// What is checked when all values are known.
    pub(super) fn late(&self) -> Result {
        self.own()?;
        match self.builder.dialect {
            Dialect::AdoNet => {
                if self.filled(Key::FailoverPartner) && self.is(Key::ApplicationIntent, "ReadOnly")
                {
                    return self.conflict(Key::FailoverPartner, "Application Intent=ReadOnly");
                }
                self.ado_authentication()
            }
            Dialect::Odbc => self.odbc_authentication(),
            Dialect::Jdbc => {
                self.jdbc_authentication()?;
                self.failover()?;
                if self.filled(Key::FailoverPartner) && self.is(Key::ApplicationIntent, "ReadOnly")
                {
                    return self.conflict(Key::FailoverPartner, "Application Intent=ReadOnly");
                }
                Ok(())
            }
            Dialect::SqlServerUrl => self.go(),
        }
    }

    fn ado_pool(&self) -> Result {
        if self.on(Key::ContextConnection) {
            return self.invalid(
                Key::ContextConnection,
                "false; it works inside the server only",
            );
        }
        let max = self.number(Key::MaxPoolSize).unwrap_or(100);
        if self.number(Key::MinPoolSize).is_some_and(|min| min > max) {
            return self.invalid(Key::MinPoolSize, "at most the value of Max Pool Size");
        }
        Ok(())
    }

    fn failover(&self) -> Result {
        if !self.filled(Key::FailoverPartner) {
            return Ok(());
        }
        if self.on(Key::MultiSubnetFailover) {
            return self.conflict(Key::FailoverPartner, Key::MultiSubnetFailover.name());
        }
        if !self.filled(Key::InitialCatalog) {
            return self.missing(Key::FailoverPartner, "Initial Catalog", "Failover Partner");
        }
        if self.on(Key::UserInstance) {
            return self.conflict(Key::UserInstance, Key::FailoverPartner.name());
        }
        Ok(())
    }

    /// `|DataDirectory|` may start the file name; nothing else may hold a `|`.
    pub(super) fn attach_file(&self) -> Result {
        const MACRO: &str = "|DataDirectory|";
        let Some(Value::Text(file)) = self.settings.get(Key::AttachDbFilename) else {
            return Ok(());
        };
        let head = file.get(..MACRO.len());
        let rest = match head {
            Some(head) if head.eq_ignore_ascii_case(MACRO) => &file[MACRO.len()..],
            _ => file,
        };
        if self.builder.dialect == Dialect::AdoNet && rest.contains('|') {
            return self.invalid(
                Key::AttachDbFilename,
                "a file name, with '|DataDirectory|' only at its start",
            );
        }
        Ok(())
    }

    pub(super) fn method(&self) -> Option<M> {
        match self.settings.get(Key::Authentication) {
            Some(Value::Text(name)) => M::of_name(name),
            _ => None,
        }
    }

    pub(super) fn not_integrated(&self, method: M) -> Result {
        if self.on(Key::IntegratedSecurity) {
            return self.conflict(
                Key::IntegratedSecurity,
                format!("Authentication={}", method.name()),
            );
        }
        Ok(())
    }

    fn ado_authentication(&self) -> Result {
        let Some(method) = self.method() else {
            return Ok(());
        };
        self.not_integrated(method)?;
        let named = || format!("Authentication={}", method.name());
        let takes_no_password = matches!(
            method,
            M::Integrated
                | M::Interactive
                | M::DeviceCodeFlow
                | M::ManagedIdentity
                | M::Default
                | M::WorkloadIdentity
        );
        if takes_no_password && self.written(Key::Password) {
            return self.conflict(Key::Password, named());
        }
        if method == M::DeviceCodeFlow && self.written(Key::UserId) {
            return self.conflict(Key::UserId, named());
        }
        self.credentials(method, |key| self.written(key))
    }

    /// What a method that needs a user and a password does not find.
    fn credentials(&self, method: M, present: impl Fn(Key) -> bool) -> Result {
        if !matches!(method, M::SqlPassword | M::Password | M::ServicePrincipal) {
            return Ok(());
        }
        for key in [Key::UserId, Key::Password] {
            let by_own_word = key == Key::UserId && self.names_client(method);
            if !present(key) && !by_own_word {
                return self.missing(
                    Key::Authentication,
                    key.name(),
                    format!("Authentication={}", method.name()),
                );
            }
        }
        Ok(())
    }

    /// Whether our own word names the client of a method that has one.
    fn names_client(&self, method: M) -> bool {
        !matches!(method, M::SqlPassword | M::Password) && self.filled(Key::ClientId)
    }

    fn odbc_driver(&self) -> Result {
        let named = |key| {
            self.builder
                .slot(key)
                .is_some_and(|slot| !slot.raw.text.is_empty())
        };
        if named(Key::Driver) || named(Key::Dsn) {
            return Ok(());
        }
        let needed_by = "an ODBC string (write 'Driver={ODBC Driver 18 for SQL Server}', without blanks before '=')";
        Err(ParseError::MissingValue {
            column: 0,
            keyword: "Driver",
            needed_by: needed_by.into(),
        })
    }

    fn odbc_authentication(&self) -> Result {
        let Some(method) = self.method() else {
            return Ok(());
        };
        self.not_integrated(method)?;
        self.credentials(method, |key| self.written(key))
    }

    fn jdbc_authentication(&self) -> Result {
        let Some(method) = self.method() else {
            return Ok(());
        };
        self.not_integrated(method)?;
        let named = || format!("Authentication={}", method.name());
        let needs = |key: Key| match self.filled(key) {
            true => Ok(()),
            false => self.missing(Key::Authentication, key.name(), named()),
        };
        let needs_client = || match self.names_client(method) {
            true => Ok(()),
            false => needs(Key::UserId),
        };
        let refuses = |key: Key| match self.filled(key) {
            true => self.conflict(key, named()),
            false => Ok(()),
        };
        match method {
            M::Integrated => {
                refuses(Key::UserId)?;
                refuses(Key::Password)
            }
            M::ManagedIdentity | M::Default => refuses(Key::Password),
            M::ServicePrincipal
                if self.filled(Key::AadPrincipalId) || self.filled(Key::AadPrincipalSecret) =>
            {
                if self.filled(Key::UserId) || self.filled(Key::Password) {
                    return self.conflict(Key::AadPrincipalId, "User ID and Password");
                }
                needs(Key::AadPrincipalId)?;
                needs(Key::AadPrincipalSecret)
            }
            M::ServicePrincipalCertificate => {
                needs_client()?;
                needs(Key::ClientCertificate)
            }
            _ => self.credentials(method, |key| self.filled(key)),
        }
    }

    fn go(&self) -> Result {
        if self.is(Key::ApplicationIntent, "ReadOnly") && !self.filled(Key::InitialCatalog) {
            return self.missing(
                Key::ApplicationIntent,
                "Initial Catalog",
                "Application Intent=ReadOnly",
            );
        }
        if self.filled(Key::ServerCertificate) {
            for other in [Key::CaCertificate, Key::HostNameInCertificate] {
                if self.filled(other) {
                    return self.conflict(Key::ServerCertificate, other.name());
                }
            }
        }
        let Some(method) = self.method() else {
            return Ok(());
        };
        let needs = |key: Key| match self.filled(key) {
            true => Ok(()),
            false => self.missing(
                Key::Authentication,
                key.name(),
                format!("Authentication={}", method.name()),
            ),
        };
        let needs_client = || match self.names_client(method) {
            true => Ok(()),
            false => needs(Key::UserId),
        };
        match method {
            M::Password | M::Interactive => needs(Key::ApplicationClientId),
            M::ServicePrincipal => {
                needs_client()?;
                if self.filled(Key::ClientCertificate) {
                    Ok(())
                } else {
                    needs(Key::Password)
                }
            }
            M::AccessToken if self.filled(Key::AccessToken) => Ok(()),
            M::AccessToken => needs(Key::Password),
            M::ClientAssertion => {
                needs_client()?;
                needs(Key::ClientAssertion)
            }
            M::OnBehalfOf => needs(Key::UserAssertion),
            _ => Ok(()),
        }
    }
}
