//! As whom to log in.

use std::fmt;
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
    /// The user who is signed in to Azure PowerShell.
    AzurePowerShell {
        /// The tenant to ask for; `None` is the tool's own.
        tenant: Option<String>,
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
    /// An application or user-assigned identity that trusts another issuer's tokens.
    Federated {
        /// Client id; `None` is read from the environment.
        client_id: Option<String>,
        /// Tenant; `None` is told by the environment or the server.
        tenant: Option<String>,
        /// Where the other issuer's token comes from.
        from: AssertionFrom,
    },
    /// The identity of the process's own user.
    Integrated,
    /// The identity of the machine or the service that runs the process.
    ManagedIdentity(Identity),
    /// The same on a platform that is named instead of recognised.
    ManagedIdentityOn {
        /// The platform.
        platform: IdentityPlatform,
        /// Which identity.
        identity: Identity,
    },
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

    /// The same in a tenant, where the method can be told one and names none yet.
    #[must_use]
    pub fn in_tenant(mut self, name: &str) -> Self {
        match &mut self {
            Self::AzureCli { tenant }
            | Self::AzureDeveloperCli { tenant }
            | Self::AzurePipelines { tenant, .. }
            | Self::AzurePowerShell { tenant }
            | Self::ClientAssertion { tenant, .. }
            | Self::Federated { tenant, .. }
            | Self::ServicePrincipalCertificate { tenant, .. }
            | Self::ServicePrincipalSecret { tenant, .. }
            | Self::WorkloadIdentity { tenant, .. } => {
                tenant.get_or_insert_with(|| name.to_owned());
            }
            _ => {}
        }
        self
    }

    /// Whether the method rests on a credential that is kept somewhere and can
    /// leak or expire, where a managed identity or a federated credential would
    /// need none: a service principal's secret, certificate or given assertion,
    /// or a SQL login's password.
    ///
    /// ```
    /// use entrada::target::{Auth, Identity};
    ///
    /// assert!(!Auth::ManagedIdentity(Identity::SystemAssigned).is_legacy());
    /// ```
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        matches!(
            self,
            Self::ClientAssertion { .. }
                | Self::ServicePrincipalCertificate { .. }
                | Self::ServicePrincipalSecret { .. }
                | Self::SqlPassword { .. }
        )
    }

    /// What the method is called, in plain words.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::AccessToken(_) => "access token",
            Self::AzureCli { .. } => "Azure CLI",
            Self::AzureDeveloperCli { .. } => "Azure Developer CLI",
            Self::AzurePipelines { .. } => "Azure Pipelines",
            Self::AzurePowerShell { .. } => "Azure PowerShell",
            Self::Callback => "token from the caller",
            Self::ClientAssertion { .. } => "client assertion",
            Self::Default { .. } => "default chain",
            Self::Environment => "environment",
            Self::Federated { .. } => "federated credential",
            Self::Integrated => "integrated",
            Self::ManagedIdentity(_) | Self::ManagedIdentityOn { .. } => "managed identity",
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

/// Where the token of another issuer comes from that an application is federated with.
///
/// Each exchange asks for a new one where the issuer allows it, since these
/// tokens live for minutes.
///
/// `Debug` shows neither a program's arguments nor a URL's query, as either may
/// be secret.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssertionFrom {
    /// A program's standard output. It is run without a shell.
    Command {
        /// The program, and what it is given.
        argv: Vec<String>,
    },
    /// A file, read again for each exchange.
    File(PathBuf),
    /// The OIDC endpoint of a GitHub Actions job (also Gitea and Forgejo).
    GitHubActions,
    /// The ID token of a GitLab job.
    GitLab {
        /// The variable that `id_tokens` puts it in.
        variable: String,
    },
    /// A user-assigned managed identity of this machine.
    ManagedIdentity(Identity),
    /// The workload identity of HCP Terraform.
    TerraformCloud {
        /// The tag in the variable's name, if there is one.
        tag: Option<String>,
    },
    /// A URL that answers with the token.
    Url {
        /// Where to ask.
        url: String,
        /// Headers of the request; values may be secret.
        headers: Vec<(String, Secret)>,
        /// JSON pointer (RFC 6901) to the token; `None` takes the whole body.
        pointer: Option<String>,
        /// Whether to ask by POST instead of GET.
        post: bool,
    },
    /// An environment variable, read again for each exchange.
    Variable(String),
}

impl fmt::Debug for AssertionFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { argv } => {
                let (program, args) = match argv.split_first() {
                    Some((program, args)) => (program.as_str(), args.len()),
                    None => ("", 0),
                };
                let mut shown = f.debug_struct("Command");
                shown.field("program", &program).field("args", &args);
                shown.finish()
            }
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::GitHubActions => f.write_str("GitHubActions"),
            Self::GitLab { variable } => {
                let mut shown = f.debug_struct("GitLab");
                shown.field("variable", variable).finish()
            }
            Self::ManagedIdentity(identity) => {
                f.debug_tuple("ManagedIdentity").field(identity).finish()
            }
            Self::TerraformCloud { tag } => {
                f.debug_struct("TerraformCloud").field("tag", tag).finish()
            }
            Self::Url {
                url,
                headers,
                pointer,
                post,
            } => f
                .debug_struct("Url")
                .field("url", &presentable(url))
                .field("headers", headers)
                .field("pointer", pointer)
                .field("post", post)
                .finish(),
            Self::Variable(name) => f.debug_tuple("Variable").field(name).finish(),
        }
    }
}

/// A URL without its user, its query and its fragment.
fn presentable(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (scheme, rest) = url[..end].split_once("://").unwrap_or(("", &url[..end]));
    let bare = rest.rsplit_once('@').map_or(rest, |(_, bare)| bare);
    format!("{scheme}://{bare}")
}

/// A platform that has an endpoint for managed identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdentityPlatform {
    /// App Service, Functions, Container Apps.
    AppService,
    /// App Service's first form, with `MSI_ENDPOINT` and `MSI_SECRET`.
    AppService2017,
    /// Servers enabled by Azure Arc.
    Arc,
    /// Runbooks of Azure Automation.
    Automation,
    /// Cloud Shell, where the identity is the user's.
    CloudShell,
    /// Container Instances with Windows.
    ContainerInstancesWindows,
    /// The metadata service of virtual machines, scale sets, AKS nodes and
    /// Container Instances with Linux.
    Imds,
    /// Computes and endpoints of Azure Machine Learning.
    MachineLearning,
    /// Applications on Service Fabric.
    ServiceFabric,
}

impl IdentityPlatform {
    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AppService => "App Service",
            Self::AppService2017 => "App Service (2017-09-01)",
            Self::Arc => "Azure Arc",
            Self::Automation => "Azure Automation",
            Self::CloudShell => "Cloud Shell",
            Self::ContainerInstancesWindows => "Container Instances (Windows)",
            Self::Imds => "IMDS",
            Self::MachineLearning => "Azure Machine Learning",
            Self::ServiceFabric => "Service Fabric",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let url = |url: &str| AssertionFrom::Url {
            url: url.to_owned(),
            headers: vec![("X-Key".to_owned(), Secret::new("MARKER"))],
            pointer: None,
            post: false,
        };
        let argv = ["/bin/issuer", "--key", "MARKER"].map(str::to_owned).into();
        for (from, shown) in [
            (AssertionFrom::Command { argv }, "/bin/issuer"),
            (url("https://u:MARKER@h/p?code=MARKER"), "\"https://h/p\""),
            (url("https://h/p#MARKER"), "\"https://h/p\""),
            (url("MARKER@h?MARKER"), "\"://h\""),
        ] {
            let auth = Auth::Federated {
                client_id: None,
                tenant: None,
                from,
            };
            let text = format!("{auth:?}");
            assert!(text.contains(shown) && !text.contains("MARKER"), "{text}");
        }
    }
}
