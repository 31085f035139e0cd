//! From an authentication method to its source, and what sources have in common.

use std::path::PathBuf;
use std::sync::Arc;

use super::app_source::AppSource;
use super::assertion::{GivenAssertion, federated};
use super::certificate::{CertificateAssertion, Files};
use super::chain::{ChainMember, DefaultChain};
use super::developer::{DeveloperTool, Tool};
use super::entra::{AppCredential, EntraApp};
use super::env_principal;
use super::http::Transport;
use super::http_client::{InternetHttp, LocalHttp};
use super::{Environment, FixedToken, ManagedIdentity, SourceKey, TokenError, TokenSource};
use crate::target::{Auth, Cloud, Identity, IdentityPlatform};

/// Makes token sources: the environment they read, and how they reach their endpoints.
///
/// ```
/// use entrada::target::{Auth, Cloud, Identity};
/// use entrada::token::{Environment, Sources};
///
/// let sources = Sources::new(Environment::from_process());
/// let source = sources.source(&Auth::ManagedIdentity(Identity::SystemAssigned), &Cloud::Public)?;
/// println!("{}", source.key());
/// # Ok::<(), entrada::token::TokenError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sources {
    pub(super) env: Environment,
    /// To endpoints on this machine or beside it.
    pub(super) local: Arc<dyn Transport>,
    /// To Entra, Key Vault and the issuers of assertions.
    pub(super) internet: Arc<dyn Transport>,
    /// Authorities that may be sent a credential although they are none of Microsoft's.
    pub(super) authorities: Vec<String>,
    /// Whom the default chain does not ask.
    pub(super) excluded: Vec<ChainMember>,
    /// Whether `ActiveDirectoryIntegrated` may mean the default chain.
    integrated: bool,
    /// Whether the token proxy of an AKS cluster may be used.
    pub(super) token_proxy: bool,
    /// Where the keys of Azure Arc's agent are, if not where it puts them.
    pub(super) arc_key_folder: Option<PathBuf>,
}

impl Sources {
    /// Sources that read this environment.
    #[must_use]
    pub fn new(env: Environment) -> Self {
        Self {
            local: Arc::new(LocalHttp::default()),
            internet: Arc::new(InternetHttp::new(&env)),
            authorities: Vec::new(),
            excluded: Vec::new(),
            integrated: false,
            token_proxy: false,
            arc_key_folder: None,
            env,
        }
    }

    /// Permits another authority than Entra's own, by `host` or `host:port`.
    ///
    /// A credential is sent to no authority that is neither one of Microsoft's
    /// nor permitted here, whatever a variable or a server says.
    #[must_use]
    pub fn allow_authority(mut self, host: impl Into<String>) -> Self {
        self.authorities.push(host.into());
        self
    }

    /// Leaves a member out of the default chain. None is by default, but for
    /// what `AZURE_TOKEN_CREDENTIALS` says.
    ///
    /// A service does well to leave out what only developers use:
    ///
    /// ```
    /// use entrada::token::{ChainMember, Environment, Sources};
    ///
    /// let mut sources = Sources::new(Environment::from_process());
    /// for tool in ChainMember::DEVELOPER_TOOLS {
    ///     sources = sources.exclude(tool);
    /// }
    /// ```
    #[must_use]
    pub fn exclude(mut self, member: ChainMember) -> Self {
        self.excluded.push(member);
        self
    }

    /// Permits to read `ActiveDirectoryIntegrated` as the default chain.
    ///
    /// To a driver it means the user of the process by Kerberos, which a workload
    /// in the cloud does not have. Whoever moves a program there with its connection
    /// string as it is, and knows as whom the default chain logs in, says so here.
    /// Defaults to `false`: the method is an error.
    ///
    /// ```
    /// use entrada::target::{Auth, Cloud};
    /// use entrada::token::{Environment, Sources};
    ///
    /// let sources = Sources::new(Environment::from_process());
    /// assert!(sources.source(&Auth::Integrated, &Cloud::Public).is_err());
    /// let sources = sources.integrated_as_default(true);
    /// # let env = Environment::from_pairs::<String, String>([]);
    /// # let sources = Sources::new(env).integrated_as_default(true);
    /// let source = sources.source(&Auth::Integrated, &Cloud::Public)?;
    /// assert!(source.key().to_string().starts_with("the default chain"));
    /// # Ok::<(), entrada::token::TokenError>(())
    /// ```
    #[must_use]
    pub fn integrated_as_default(mut self, allowed: bool) -> Self {
        self.integrated = allowed;
        self
    }

    /// Whether workload identity may send its exchange to the token proxy of an
    /// AKS cluster (identity bindings, a preview), where the environment names
    /// one in `AZURE_KUBERNETES_TOKEN_PROXY`. Defaults to `false`.
    ///
    /// It is a choice to make, since who sets that variable receives the pod's
    /// token; Microsoft's libraries ask for it too. The proxy stands in for the
    /// authority, in verified TLS: by the name in `AZURE_KUBERNETES_SNI_NAME`
    /// and the authorities in `AZURE_KUBERNETES_CA_FILE` (read again when it
    /// changes) or `AZURE_KUBERNETES_CA_DATA`, where these are set. No
    /// `HTTPS_PROXY` stands between. Other methods are not affected.
    #[must_use]
    pub fn kubernetes_token_proxy(mut self, allow: bool) -> Self {
        self.token_proxy = allow;
        self
    }

    /// Lets Azure Arc's agent keep its keys in another folder, for an emulator.
    ///
    /// Defaults to the agent's own, which belongs to root:
    /// `/var/opt/azcmagent/tokens`, and on Windows
    /// `%ProgramData%\AzureConnectedMachineAgent\Tokens`. Whatever file in that
    /// folder the endpoint names, if its name ends in `.key`, is sent to the
    /// endpoint: choose one that holds nothing else.
    #[must_use]
    pub fn arc_key_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.arc_key_folder = Some(folder.into());
        self
    }

    /// The variables and files that the sources read.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.env
    }

    /// How services on the internet are reached.
    pub(crate) fn internet(&self) -> &Arc<dyn Transport> {
        &self.internet
    }

    #[cfg(test)]
    pub(crate) fn with_internet(mut self, internet: Arc<dyn Transport>) -> Self {
        self.internet = internet;
        self
    }

    /// The source that an authentication method asks for.
    ///
    /// The cloud tells which authority is asked by the methods that sign in at
    /// Entra, and what assertions are for. No request is made here.
    ///
    /// # Errors
    /// [`TokenError::Unsupported`] for a method that there is no source for, with
    /// what to use instead; [`TokenError::Setup`] for settings and platforms that
    /// cannot be used, such as an id that the platform cannot be asked by.
    pub fn source(&self, auth: &Auth, cloud: &Cloud) -> Result<Arc<dyn TokenSource>, TokenError> {
        match auth {
            Auth::AccessToken(secret) => Ok(Arc::new(FixedToken::from_secret(secret.clone()))),
            Auth::Default { client_id } => {
                let chain = DefaultChain::new(client_id.as_deref(), self, cloud)?;
                Ok(Arc::new(chain))
            }
            Auth::AzureCli { tenant } => Ok(self.tool(Tool::Az, tenant)),
            Auth::AzureDeveloperCli { tenant } => Ok(self.tool(Tool::Azd, tenant)),
            Auth::AzurePowerShell { tenant } => Ok(self.tool(Tool::PowerShell, tenant)),
            Auth::Environment => env_principal::source(self, cloud),
            Auth::Integrated if self.integrated => {
                self.source(&Auth::Default { client_id: None }, cloud)
            }
            Auth::ManagedIdentity(identity) => self.managed(identity, None),
            Auth::ManagedIdentityOn { platform, identity } => {
                self.managed(identity, Some(*platform))
            }
            Auth::ClientAssertion {
                client_id,
                tenant,
                assertion,
            } => {
                let given = GivenAssertion::new(assertion.clone());
                let credential = AppCredential::Assertion(Arc::new(given));
                self.app(ASSERTION, cloud, tenant.as_deref(), client_id, credential)
            }
            Auth::ServicePrincipalCertificate {
                client_id,
                tenant,
                certificate,
                key,
                password,
            } => {
                let files = Files {
                    certificate: certificate.clone(),
                    key: key.clone(),
                    password: password.clone(),
                };
                let with_chain = self.env.var(SEND_CHAIN);
                let with_chain =
                    with_chain.is_some_and(|text| text == "1" || text.eq_ignore_ascii_case("true"));
                let source = CertificateAssertion::new(files, with_chain);
                let credential = AppCredential::Assertion(Arc::new(source));
                self.app(CERTIFICATE, cloud, tenant.as_deref(), client_id, credential)
            }
            Auth::ServicePrincipalSecret {
                client_id,
                tenant,
                secret,
            } => {
                let credential = AppCredential::Secret(secret.clone());
                self.app(SECRET, cloud, tenant.as_deref(), client_id, credential)
            }
            other => federated(self, other, cloud).unwrap_or_else(|| Err(unsupported(other))),
        }
    }

    fn tool(&self, tool: Tool, tenant: &Option<String>) -> Arc<dyn TokenSource> {
        Arc::new(DeveloperTool::new(tool, tenant.as_deref(), self))
    }

    fn managed(
        &self,
        identity: &Identity,
        platform: Option<IdentityPlatform>,
    ) -> Result<Arc<dyn TokenSource>, TokenError> {
        let source = ManagedIdentity::from_sources(identity.clone(), platform, self)?;
        Ok(Arc::new(source))
    }

    /// The source of an application with a credential that is kept somewhere;
    /// `kind` names it.
    fn app(
        &self,
        kind: &'static str,
        cloud: &Cloud,
        tenant: Option<&str>,
        client_id: &str,
        credential: AppCredential,
    ) -> Result<Arc<dyn TokenSource>, TokenError> {
        let app = EntraApp::new(self, cloud, tenant, client_id, credential);
        let app = app.map_err(|reason| TokenError::Setup {
            origin: SourceKey::new(kind).with_identity(format!("client id {client_id}")),
            reason: Arc::new(reason),
        })?;
        Ok(Arc::new(AppSource::new(kind, app).discouraged()))
    }
}

const ASSERTION: &str = "service principal (assertion)";

const CERTIFICATE: &str = "service principal (certificate)";

/// Tells the Azure SDKs to send the certificate itself, for applications that
/// trust its subject and issuer.
const SEND_CHAIN: &str = "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN";

const SECRET: &str = "service principal (secret)";

fn unsupported(auth: &Auth) -> TokenError {
    let instead = match auth {
        Auth::Callback => "hand a CallbackToken to the TokenCache as the source of this connection",
        Auth::Integrated => {
            "there is no Kerberos here; permit to log in as this workload instead \
             (--integrated-as-default, Sources::integrated_as_default), or write \
             Authentication=ActiveDirectoryManagedIdentity"
        }
        Auth::SqlPassword { .. } => "a SQL login needs no token",
        _ => {
            "write Authentication=ActiveDirectoryManagedIdentity, or give an access token or a \
             callback"
        }
    };
    TokenError::Unsupported {
        method: auth.name(),
        instead,
    }
}
