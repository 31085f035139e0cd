//! This crate's own words: for what no driver, or not the dialect's own, has
//! a word for.
//!
//! All of them begin with `Entrada`, so that none can be taken for a driver's,
//! now or later. They are the same in every dialect; case does not count, nor
//! do blanks, `-` and `_` between their parts.

use super::auth_method::AuthMethod as M;
use super::checks::Checks;
use super::lookup::Entry;
use super::values::Kind::{self, OneOf, Secret, Text, TokenPlace};
use super::{Dialect, Key, ParseError};

const PREFIX: &str = "entrada";

/// The names of platforms with managed identities.
const PLATFORMS: &[&str] = &[
    "AppService",
    "AppService2017",
    "Arc",
    "Automation",
    "CloudShell",
    "ContainerInstancesWindows",
    "Imds",
    "MachineLearning",
    "ServiceFabric",
];

const fn own(spelling: &'static str, key: Key, kind: Kind) -> Entry {
    Entry {
        spelling,
        key,
        kind,
    }
}

pub(super) static KEYWORDS: &[Entry] = &[
    own("Entrada Access Token", Key::AccessToken, Secret(0)),
    own("Entrada Client Assertion", Key::ClientAssertion, Secret(0)),
    own(
        "Entrada Client Certificate",
        Key::ClientCertificate,
        Text(0),
    ),
    own("Entrada Client ID", Key::ClientId, Text(0)),
    own("Entrada Client Key", Key::ClientKey, Text(0)),
    own(
        "Entrada Client Key Password",
        Key::ClientKeyPassword,
        Secret(0),
    ),
    own("Entrada Federated Token", Key::FederatedToken, TokenPlace),
    own(
        "Entrada Identity Platform",
        Key::IdentityPlatform,
        OneOf(PLATFORMS),
    ),
    own("Entrada Object ID", Key::ObjectId, Text(0)),
    own("Entrada Resource ID", Key::ResourceId, Text(0)),
    own(
        "Entrada Service Connection ID",
        Key::ServiceConnection,
        Text(0),
    ),
    own("Entrada System Token", Key::SystemToken, Secret(0)),
    own("Entrada Tenant ID", Key::TenantId, Text(0)),
    own("Entrada Token File", Key::TokenFile, Text(0)),
];

/// Values of `Authentication`.
pub(super) static METHODS: &[(&str, M)] = &[
    ("EntradaAccessToken", M::AccessToken),
    ("EntradaAzureCli", M::AzCli),
    ("EntradaAzureDeveloperCli", M::AzureDeveloperCli),
    ("EntradaAzurePipelines", M::AzurePipelines),
    ("EntradaAzurePowerShell", M::AzurePowerShell),
    ("EntradaClientAssertion", M::ClientAssertion),
    ("EntradaDefault", M::Default),
    ("EntradaEnvironment", M::Environment),
    ("EntradaFederated", M::Federated),
    ("EntradaManagedIdentity", M::ManagedIdentity),
    ("EntradaServicePrincipal", M::ServicePrincipal),
    (
        "EntradaServicePrincipalCertificate",
        M::ServicePrincipalCertificate,
    ),
    ("EntradaWorkloadIdentity", M::WorkloadIdentity),
];

/// The keyword of this name, if it is one of ours.
pub(super) fn keyword(name: &str) -> Option<&'static Entry> {
    if !is_ours(name) {
        return None;
    }
    KEYWORDS.iter().find(|entry| same(entry.spelling, name))
}

/// How we call a keyword.
pub(super) fn spelling(key: Key) -> Option<&'static Entry> {
    KEYWORDS.iter().find(|entry| entry.key == key)
}

/// The method of this name, if it is one of ours.
pub(super) fn method(name: &str) -> Option<M> {
    let found = METHODS.iter().find(|(own, _)| same(own, name));
    found.map(|(_, method)| *method)
}

/// How we call a method.
pub(super) fn method_name(method: M) -> Option<&'static str> {
    let found = METHODS.iter().find(|(_, other)| *other == method);
    found.map(|(name, _)| *name)
}

/// What a misspelt word of ours may mean.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    if !is_ours(name) {
        return None;
    }
    let plain = |text: &str| parts(text).collect::<String>();
    let near = KEYWORDS.iter().map(|entry| {
        let distance = strsim::damerau_levenshtein(&plain(name), &plain(entry.spelling));
        (distance, entry.spelling)
    });
    let (distance, spelling) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + name.len() / 4).then_some(spelling)
}

/// Whether it is a word of ours, or meant to be one. None is longer than 64 bytes.
fn is_ours(name: &str) -> bool {
    let head = name.get(..PREFIX.len());
    name.len() <= 64 && head.is_some_and(|head| head.eq_ignore_ascii_case(PREFIX))
}

fn parts(text: &str) -> impl Iterator<Item = char> {
    let filling = |c: &char| matches!(c, ' ' | '-' | '_');
    text.chars()
        .filter(move |c| !filling(c))
        .map(|c| c.to_ascii_lowercase())
}

fn same(one: &str, other: &str) -> bool {
    parts(one).eq(parts(other))
}

type Result = std::result::Result<(), ParseError>;

/// Methods that take no password.
const PASSWORDLESS: &[M] = &[
    M::AccessToken,
    M::AzCli,
    M::AzureDeveloperCli,
    M::AzurePipelines,
    M::AzurePowerShell,
    M::ClientAssertion,
    M::Default,
    M::Environment,
    M::Federated,
    M::ManagedIdentity,
    M::WorkloadIdentity,
];

/// Keywords that say something about one method only.
const OF_ONE_METHOD: &[(Key, M)] = &[
    (Key::AccessToken, M::AccessToken),
    (Key::FederatedToken, M::Federated),
    (Key::IdentityPlatform, M::ManagedIdentity),
    (Key::ObjectId, M::ManagedIdentity),
    (Key::ResourceId, M::ManagedIdentity),
];

impl Checks<'_, '_> {
    /// What our own words need, and exclude.
    pub(super) fn own(&self) -> Result {
        self.own_keywords()?;
        match self.method() {
            Some(method) if method.spelling(self.builder.dialect).is_none() => {
                self.not_integrated(method)?;
                self.own_method(method)
            }
            _ => Ok(()),
        }
    }

    fn own_keywords(&self) -> Result {
        let method = self.method();
        let go = self.builder.dialect == Dialect::SqlServerUrl;
        for (key, of) in OF_ONE_METHOD {
            match method {
                _ if !self.filled(*key) => {}
                // Go's driver has the word, too, and passes it over.
                _ if go && *key == Key::ResourceId => {}
                Some(method) if method == *of => {}
                Some(method) => return self.conflict(*key, named(method)),
                None => return self.missing(*key, Key::Authentication.name(), key.name()),
            }
        }
        if self.filled(Key::ClientId) && method.is_none() {
            let needed_by = Key::ClientId.name();
            return self.missing(Key::ClientId, Key::Authentication.name(), needed_by);
        }
        if self.filled(Key::AccessToken) && self.filled(Key::Password) {
            return self.conflict(Key::AccessToken, Key::Password.name());
        }
        self.one_identity()
    }

    /// Drivers have rules for which of their words wins; ours are plain, so two
    /// of them are a mistake.
    fn one_identity(&self) -> Result {
        let own = [Key::ClientId, Key::ObjectId];
        let others = [
            Key::UserId,
            Key::MsiClientId,
            Key::AadPrincipalId,
            Key::ResourceId,
            Key::ClientId,
        ];
        for key in own.into_iter().filter(|key| self.filled(*key)) {
            let other = others
                .iter()
                .find(|other| **other != key && self.filled(**other));
            if let Some(other) = other {
                return self.conflict(key, other.name());
            }
        }
        let go = self.builder.dialect == Dialect::SqlServerUrl;
        if !go && self.filled(Key::ResourceId) && self.filled(Key::UserId) {
            return self.conflict(Key::ResourceId, Key::UserId.name());
        }
        Ok(())
    }

    /// A method that the dialect's driver does not have.
    fn own_method(&self, method: M) -> Result {
        let refuses = match self.builder.dialect {
            Dialect::AdoNet => self.written(Key::Password),
            Dialect::Jdbc => self.filled(Key::Password),
            Dialect::Odbc | Dialect::SqlServerUrl => false,
        };
        if refuses && method != M::AccessToken && PASSWORDLESS.contains(&method) {
            return self.conflict(Key::Password, named(method));
        }
        match method {
            M::AccessToken => self.needs_one_of(method, &[Key::AccessToken, Key::Password]),
            M::ClientAssertion => {
                self.needs_one_of(method, &[Key::ClientId, Key::UserId])?;
                self.needs_one_of(method, &[Key::ClientAssertion])
            }
            M::Federated => self.needs_one_of(method, &[Key::FederatedToken]),
            M::ServicePrincipalCertificate => {
                self.needs_one_of(method, &[Key::ClientId, Key::UserId])?;
                self.needs_one_of(method, &[Key::ClientCertificate])
            }
            _ => Ok(()),
        }
    }

    fn needs_one_of(&self, method: M, keys: &[Key]) -> Result {
        match keys.iter().any(|key| self.filled(*key)) {
            true => Ok(()),
            false => self.missing(Key::Authentication, keys[0].name(), named(method)),
        }
    }
}

fn named(method: M) -> String {
    format!("Authentication={}", method.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_filling_make_no_other_word() {
        for name in ["EntradaTenantId", "entrada tenant id", "Entrada_Tenant-ID"] {
            assert_eq!(keyword(name).unwrap().key, Key::TenantId, "{name}");
        }
        assert!(keyword("Tenant ID").is_none());
        assert!(keyword("Entrada").is_none());
        assert_eq!(method("Entrada Azure CLI"), Some(M::AzCli));
        assert_eq!(method("ActiveDirectoryAzCli"), None);
        assert_eq!(nearest("EntradaTenant"), Some("Entrada Tenant ID"));
        assert_eq!(nearest("Databse"), None);
    }
}
