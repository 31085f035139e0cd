//! As whom to log in.

use std::path::PathBuf;

use crate::secret::Secret;

/// The identity of a login, and where its credential comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// A token given as text.
    AccessToken(Secret),
    /// The user who is signed in to the Azure CLI.
    AzureCli {
        /// The tenant to ask for; `None` is the CLI's own.
        tenant: Option<String>,
    },
    /// The user who is signed in to the Azure Developer CLI.
    AzureDeveloperCli {
        /// The tenant to ask for; `None` is the CLI's own.
        tenant: Option<String>,
    },
    /// The service connection of an Azure Pipelines job.
    AzurePipelines {
        /// Client (application) id of the service connection.
        client_id: Option<String>,
        /// Tenant of the service connection.
        tenant: Option<String>,
        /// Id of the service connection.
        service_connection: Option<String>,
        /// The job's `System.AccessToken`; `None` is read from the environment.
        system_token: Option<Secret>,
    },
    /// Tokens come from the caller's code.
    Callback,
    /// A service principal that signs in with an assertion given as text.
    ClientAssertion {
        /// Client (application) id.
        client_id: String,
        /// Tenant; `None` is told by the server or the environment.
        tenant: Option<String>,
        /// The signed assertion.
        assertion: Secret,
    },
    /// The default chain: environment, workload identity, managed identity,
    /// developer tools.
    Default {
        /// Client id for the managed and workload identity steps.
        client_id: Option<String>,
    },
    /// The service principal that the environment variables describe.
    Environment,
    /// The identity of the process's own user.
    Integrated,
    /// The identity of the machine or the service that runs the process.
    ManagedIdentity(Identity),
    /// A service principal with a certificate.
    ServicePrincipalCertificate {
        /// Client (application) id.
        client_id: String,
        /// Tenant; `None` is told by the server or the environment.
        tenant: Option<String>,
        /// File with the certificate, and with the key if `key` is `None`.
        certificate: PathBuf,
        /// File with the private key.
        key: Option<PathBuf>,
        /// What the key is encrypted with.
        password: Option<Secret>,
    },
    /// A service principal with a client secret.
    ServicePrincipalSecret {
        /// Client (application) id.
        client_id: String,
        /// Tenant; `None` is told by the server or the environment.
        tenant: Option<String>,
        /// The client secret.
        secret: Secret,
    },
    /// A SQL Server login: no token at all.
    SqlPassword {
        /// Login name.
        user: String,
        /// Its password.
        password: Secret,
    },
    /// The federated token of a Kubernetes workload.
    WorkloadIdentity {
        /// Client id; `None` is read from the environment.
        client_id: Option<String>,
        /// Tenant; `None` is read from the environment.
        tenant: Option<String>,
        /// File with the federated token; `None` is read from the environment.
        token_file: Option<PathBuf>,
    },
}

impl Auth {
    /// Whether the login carries a token, and hence must never leave verified TLS.
    #[must_use]
    pub fn uses_token(&self) -> bool {
        !matches!(self, Self::SqlPassword { .. })
    }

    /// What the method is called, in plain words.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::AccessToken(_) => "access token",
            Self::AzureCli { .. } => "Azure CLI",
            Self::AzureDeveloperCli { .. } => "Azure Developer CLI",
            Self::AzurePipelines { .. } => "Azure Pipelines",
            Self::Callback => "token from the caller",
            Self::ClientAssertion { .. } => "client assertion",
            Self::Default { .. } => "default chain",
            Self::Environment => "environment",
            Self::Integrated => "integrated",
            Self::ManagedIdentity(_) => "managed identity",
            Self::ServicePrincipalCertificate { .. } => "service principal with a certificate",
            Self::ServicePrincipalSecret { .. } => "service principal with a secret",
            Self::SqlPassword { .. } => "SQL login",
            Self::WorkloadIdentity { .. } => "workload identity",
        }
    }
}

/// Which managed identity is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Identity {
    /// User-assigned, by client id.
    ClientId(String),
    /// User-assigned, by an id whose kind the platform decides: what `UID` is
    /// in an ODBC string. Microsoft's driver takes it for an object id on
    /// virtual machines and Arc, for a client id on App Service and its kin.
    ClientOrObjectId(String),
    /// User-assigned, by object (principal) id.
    ObjectId(String),
    /// User-assigned, by Azure resource id.
    ResourceId(String),
    /// The system-assigned one.
    #[default]
    SystemAssigned,
}
