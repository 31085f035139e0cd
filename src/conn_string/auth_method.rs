//! The values of `Authentication`, per dialect.

use std::borrow::Cow;

use super::{Dialect, own};

/// How a login proves its identity, as a connection string names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// A token given in the string.
    AccessToken,
    /// The user of the Azure CLI.
    AzCli,
    /// The user of the Azure Developer CLI.
    AzureDeveloperCli,
    /// The service connection of an Azure Pipelines job.
    AzurePipelines,
    /// A signed assertion given in the string.
    ClientAssertion,
    /// The default chain.
    Default,
    /// A code to type in elsewhere, in go-mssqldb's spelling.
    DeviceCode,
    /// A code to type in elsewhere.
    DeviceCodeFlow,
    /// The user of Azure PowerShell.
    AzurePowerShell,
    /// The environment variables of a service principal.
    Environment,
    /// The token of another issuer that the identity trusts.
    Federated,
    /// The process's own user.
    Integrated,
    /// A browser.
    Interactive,
    /// A managed identity.
    ManagedIdentity,
    /// In the name of a user who is signed in elsewhere.
    OnBehalfOf,
    /// An Entra user's password.
    Password,
    /// A service principal's secret (in go-mssqldb also its certificate).
    ServicePrincipal,
    /// A service principal's certificate.
    ServicePrincipalCertificate,
    /// A SQL login.
    SqlPassword,
    /// A Kubernetes workload.
    WorkloadIdentity,
}

use AuthMethod as M;

/// Dialects that know a spelling.
const ADO: u8 = 1;
const ODBC: u8 = 2;
const JDBC: u8 = 4;
const GO: u8 = 8;

/// The compact spelling of each method comes first.
const SPELLINGS: &[(&str, AuthMethod, u8)] = &[
    ("SqlPassword", M::SqlPassword, ADO | ODBC | JDBC),
    ("Sql Password", M::SqlPassword, ADO),
    (
        "ActiveDirectoryPassword",
        M::Password,
        ADO | ODBC | JDBC | GO,
    ),
    ("Active Directory Password", M::Password, ADO),
    (
        "ActiveDirectoryIntegrated",
        M::Integrated,
        ADO | ODBC | JDBC | GO,
    ),
    ("Active Directory Integrated", M::Integrated, ADO),
    (
        "ActiveDirectoryInteractive",
        M::Interactive,
        ADO | ODBC | JDBC | GO,
    ),
    ("Active Directory Interactive", M::Interactive, ADO),
    (
        "ActiveDirectoryServicePrincipal",
        M::ServicePrincipal,
        ADO | ODBC | JDBC | GO,
    ),
    (
        "Active Directory Service Principal",
        M::ServicePrincipal,
        ADO,
    ),
    ("ActiveDirectoryApplication", M::ServicePrincipal, GO),
    (
        "ActiveDirectoryServicePrincipalCertificate",
        M::ServicePrincipalCertificate,
        JDBC,
    ),
    (
        "ActiveDirectoryManagedIdentity",
        M::ManagedIdentity,
        ADO | JDBC | GO,
    ),
    (
        "ActiveDirectoryMSI",
        M::ManagedIdentity,
        ADO | ODBC | JDBC | GO,
    ),
    ("Active Directory Managed Identity", M::ManagedIdentity, ADO),
    ("Active Directory MSI", M::ManagedIdentity, ADO),
    ("ActiveDirectoryDefault", M::Default, ADO | JDBC | GO),
    ("Active Directory Default", M::Default, ADO),
    ("ActiveDirectoryDeviceCodeFlow", M::DeviceCodeFlow, ADO),
    ("Active Directory Device Code Flow", M::DeviceCodeFlow, ADO),
    ("ActiveDirectoryDeviceCode", M::DeviceCode, GO),
    (
        "ActiveDirectoryWorkloadIdentity",
        M::WorkloadIdentity,
        ADO | GO,
    ),
    (
        "Active Directory Workload Identity",
        M::WorkloadIdentity,
        ADO,
    ),
    (
        "ActiveDirectoryServicePrincipalAccessToken",
        M::AccessToken,
        GO,
    ),
    ("ActiveDirectoryAzCli", M::AzCli, GO),
    ("ActiveDirectoryAzureDeveloperCli", M::AzureDeveloperCli, GO),
    ("ActiveDirectoryAzurePipelines", M::AzurePipelines, GO),
    ("ActiveDirectoryEnvironment", M::Environment, GO),
    ("ActiveDirectoryClientAssertion", M::ClientAssertion, GO),
    ("ActiveDirectoryOnBehalfOf", M::OnBehalfOf, GO),
];

fn bit(dialect: Dialect) -> u8 {
    match dialect {
        Dialect::AdoNet => ADO,
        Dialect::Odbc => ODBC,
        Dialect::Jdbc => JDBC,
        Dialect::SqlServerUrl => GO,
    }
}

impl AuthMethod {
    /// The compact spelling, e.g. `ActiveDirectoryManagedIdentity`.
    #[must_use]
    pub fn name(self) -> &'static str {
        let first = SPELLINGS.iter().find(|(_, method, _)| *method == self);
        first
            .map(|(name, ..)| *name)
            .or_else(|| own::method_name(self))
            .unwrap_or_default()
    }

    /// The method of a compact spelling.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        SPELLINGS
            .iter()
            .find(|(other, ..)| *other == name)
            .map(|(_, method, _)| *method)
            .or_else(|| own::method(name))
    }

    /// Reads a value as the dialect's driver does, whatever its case; or one of
    /// our own.
    pub(super) fn read(dialect: Dialect, text: &str) -> Option<Self> {
        let known = SPELLINGS
            .iter()
            .filter(|(.., dialects)| dialects & bit(dialect) != 0);
        known
            .clone()
            .find(|(name, ..)| name.eq_ignore_ascii_case(text))
            .map(|(_, method, _)| *method)
            .or_else(|| own::method(text))
    }

    /// The spelling that the dialect's driver knows.
    pub(super) fn spelling(self, dialect: Dialect) -> Option<&'static str> {
        let mut known = SPELLINGS
            .iter()
            .filter(|(.., dialects)| dialects & bit(dialect) != 0);
        known
            .find(|(_, method, _)| *method == self)
            .map(|(name, ..)| *name)
    }

    /// What a wrong value should have been. It names the dialect's own
    /// spelling if the value is that of another.
    pub(super) fn expected(dialect: Dialect, text: &str) -> Cow<'static, str> {
        let meant = SPELLINGS
            .iter()
            .find(|(name, ..)| name.eq_ignore_ascii_case(text.trim()));
        let Some((_, method, _)) = meant else {
            return "the name of a method such as ActiveDirectoryMSI".into();
        };
        let title = dialect.title();
        match (method.spelling(dialect), own::method_name(*method)) {
            (Some(theirs), _) => format!("'{theirs}' for this method in {title}").into(),
            (None, Some(own)) => format!(
                "methods of {title}, which has no such one; '{own}' is this program's own word for it"
            )
            .into(),
            (None, None) => format!("methods of {title}, which has no such one").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_name_that_leads_back() {
        for (_, method, _) in SPELLINGS {
            assert_eq!(AuthMethod::of_name(method.name()), Some(*method));
        }
        for (_, method) in own::METHODS {
            assert_eq!(AuthMethod::of_name(method.name()), Some(*method));
        }
    }

    #[test]
    fn dialects_keep_to_their_spellings() {
        use Dialect::{AdoNet, Jdbc, Odbc, SqlServerUrl};
        assert_eq!(
            AuthMethod::read(Odbc, "ActiveDirectoryMsi"),
            Some(M::ManagedIdentity)
        );
        assert_eq!(
            AuthMethod::read(Odbc, "ActiveDirectoryManagedIdentity"),
            None
        );
        assert_eq!(AuthMethod::read(Odbc, "ActiveDirectoryDefault"), None);
        assert_eq!(
            AuthMethod::read(AdoNet, "active directory msi"),
            Some(M::ManagedIdentity)
        );
        assert_eq!(AuthMethod::read(AdoNet, "Active  Directory MSI"), None);
        assert_eq!(AuthMethod::read(AdoNet, "ActiveDirectory Default"), None);
        assert_eq!(AuthMethod::read(Jdbc, "Active Directory MSI"), None);
        assert_eq!(
            AuthMethod::read(SqlServerUrl, "ActiveDirectoryApplication"),
            Some(M::ServicePrincipal)
        );
        assert!(
            AuthMethod::expected(Odbc, "ActiveDirectoryManagedIdentity")
                .contains("ActiveDirectoryMSI")
        );
    }
}
