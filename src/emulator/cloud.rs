//! What a running emulator plays under real names: Entra, Key Vault, and issuers of assertions.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use tokio_rustls::TlsAcceptor;

use super::builder::EmulatorBuilder;
use super::counters::Counters;
use super::entra::{self, Applications, BINDING_AUDIENCE, Entra};
use super::gateway::Certificates;
use super::identity::{self, EXCHANGE_AUDIENCE, Identity};
use super::issuers::{self, Issuers};
use super::recorded::Requests;
use super::state_dir::StateDir;
use super::vault::{self, KeyVault, Vaults};
use super::web::{self, Services, TOKEN_PROXY, WebServer};
use super::{
    Application, Directory, Emulator, EmulatorError, Faults, FederatedCredential,
    InMemoryDirectory, VaultSecret,
};

const POD_TOKEN: &str = "azure-identity-token";
const BINDING_TOKEN: &str = "azure-identity-binding-token";
const AUTHORITY: &str = "https://login.microsoftonline.com/";

/// The services, and where they are.
pub(super) struct Cloud {
    https_address: SocketAddr,
    thumbprint: String,
    acceptor: TlsAcceptor,
    entra: Entra,
    issuers: Issuers,
    vault: KeyVault,
}

/// What all services share.
pub(super) struct Shared<'a> {
    pub(super) identity: &'a Arc<Identity>,
    pub(super) faults: &'a Faults,
    pub(super) recorded: &'a Requests,
    pub(super) counters: &'a Counters,
    pub(super) certificates: &'a Certificates,
    pub(super) directory: &'a InMemoryDirectory,
}

impl Cloud {
    pub(super) fn new(
        builder: &EmulatorBuilder,
        server: &WebServer,
        shared: &Shared<'_>,
    ) -> Result<Self, EmulatorError> {
        let vaults = vaults_of(builder, shared.directory)?;
        let identity = || shared.identity.clone();
        let (faults, recorded) = (|| shared.faults.clone(), || shared.recorded.clone());
        Ok(Self {
            https_address: server.https_address,
            thumbprint: web::thumbprint(shared.certificates)?,
            acceptor: web::acceptor(shared.certificates)?,
            entra: Entra {
                identity: identity(),
                applications: Applications::new(builder.applications.clone()),
                faults: faults(),
                recorded: recorded(),
            },
            issuers: Issuers {
                identity: identity(),
                pipelines: builder.pipelines.clone(),
                recorded: recorded(),
                counters: shared.counters.clone(),
                request_token: issuers::new_request_token(),
            },
            vault: KeyVault {
                identity: identity(),
                vaults,
                challenge: builder.vault_challenge,
                faults: faults(),
                recorded: recorded(),
                counters: shared.counters.clone(),
            },
        })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    pub(super) fn services(&self) -> Services {
        let entra = &self.entra;
        let endpoints = identity::router(
            entra.identity.clone(),
            entra.faults.clone(),
            entra.recorded.clone(),
        );
        Services {
            entra: Router::merge(endpoints, entra::router(entra.clone())),
            issuers: issuers::router(self.issuers.clone()),
            vaults: vault::router(self.vault.clone()),
        }
    }

    fn tenant_and_authority(&self) -> Vec<(String, String)> {
        let tenant = self.entra.identity.tenant_id().to_string();
        vec![
            pair("AZURE_TENANT_ID", tenant),
            pair("AZURE_AUTHORITY_HOST", AUTHORITY),
        ]
    }

    /// The client id of the first application or identity that trusts this token.
    fn trusting(&self, is_it: impl Fn(&FederatedCredential) -> bool) -> Option<String> {
        let identities = self
            .entra
            .identity
            .host()
            .into_iter()
            .map(Application::from);
        let mut all = self.entra.applications.all().into_iter().chain(identities);
        let found = all.find(|application| application.federated.iter().any(&is_it));
        found.map(|application| application.client_id.to_string())
    }

    fn trusting_subject(&self, issuer: &str, subject: &str) -> Option<(String, String)> {
        let found = self.trusting(|one| one.issuer == issuer && one.subject == subject);
        found.map(|id| pair("AZURE_CLIENT_ID", id))
    }
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud")
            .field("https_address", &self.https_address)
            .finish_non_exhaustive()
    }
}

/// What the emulator plays under real names.
impl Emulator {
    /// Scheme, address and port of the HTTPS listener, without a slash at the end. Its certificate is
    /// of the emulator's [authority](Self::ca_certificate_file).
    #[must_use]
    pub fn https_url(&self) -> String {
        format!("https://{}", self.cloud().https_address)
    }

    /// SHA-1 over the HTTPS listener's certificate, 40 hex digits, as `IDENTITY_SERVER_THUMBPRINT`
    /// has it.
    #[must_use]
    pub fn https_thumbprint(&self) -> &str {
        &self.cloud().thumbprint
    }

    /// The applications of the tenant.
    #[must_use]
    pub fn applications(&self) -> Vec<Application> {
        self.cloud().entra.applications.all()
    }

    /// Registers one more application, in place of one with the same client id; it counts at once.
    pub fn register_application(&self, application: Application) {
        self.directory()
            .insert(application.principal(self.tenant_id()));
        self.cloud().entra.applications.insert(application);
    }

    /// Puts a secret, or a new version of one, into a vault; it counts at once.
    pub fn set_secret(&self, secret: VaultSecret) {
        self.cloud().vault.vaults.insert(secret);
    }

    /// The URLs of the vaults, as clients reach them [through the proxy](Self::entra_environment).
    #[must_use]
    pub fn vault_urls(&self) -> Vec<String> {
        let names = self.cloud().vault.vaults.names().into_iter();
        names
            .map(|name| format!("https://{name}.vault.azure.net"))
            .collect()
    }

    /// Variables by which clients reach Entra, Key Vault and other hosts under their real names: a
    /// proxy that leads to the emulator and refuses every other name, and the authority to trust.
    #[must_use]
    pub fn entra_environment(&self) -> Vec<(String, String)> {
        let ca = self.ca_certificate_file().to_string_lossy().into_owned();
        let files = [
            "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "NODE_EXTRA_CA_CERTS",
        ];
        let files = files.into_iter().map(|name| pair(name, &ca));
        let proxy = pair("HTTPS_PROXY", self.imds_url());
        std::iter::once(proxy).chain(files).collect()
    }

    /// Variables of a GitHub Actions job with `id-token: write`, beside those of
    /// [`entra_environment`](Self::entra_environment).
    #[must_use]
    pub fn github_actions_environment(&self) -> Vec<(String, String)> {
        vec![
            pair("GITHUB_ACTIONS", "true"),
            pair("ACTIONS_ID_TOKEN_REQUEST_URL", issuers::github_url()),
            pair(
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
                self.cloud().issuers.request_token.expose(),
            ),
        ]
    }

    /// Variables of an Azure Pipelines job whose access token is mapped, and that runs in a task with
    /// a service connection.
    #[must_use]
    pub fn azure_pipelines_environment(&self) -> Vec<(String, String)> {
        let cloud = self.cloud();
        let pipelines = &cloud.issuers.pipelines;
        let mut all = vec![
            pair("TF_BUILD", "True"),
            pair("SYSTEM_OIDCREQUESTURI", issuers::azure_pipelines_url()),
            pair("SYSTEM_ACCESSTOKEN", cloud.issuers.request_token.expose()),
            pair(
                "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
                &pipelines.service_connection_id,
            ),
            pair("AZURESUBSCRIPTION_TENANT_ID", self.tenant_id().to_string()),
        ];
        let issuer = issuers::azure_pipelines_issuer();
        let client = cloud.trusting_subject(&issuer, &pipelines.azure_pipelines_subject);
        all.extend(client.map(|(_, id)| pair("AZURESUBSCRIPTION_CLIENT_ID", id)));
        all
    }

    /// Variables of a GitLab job that has asked for an id token by the name `GITLAB_OIDC_TOKEN`; the
    /// token is made now and ends after five minutes.
    #[must_use]
    pub fn gitlab_environment(&self) -> Vec<(String, String)> {
        let token = self.cloud().issuers.gitlab(EXCHANGE_AUDIENCE);
        let mut all = vec![
            pair("GITLAB_CI", "true"),
            pair("CI_SERVER_URL", issuers::GITLAB),
        ];
        all.extend(made(token).map(|token| pair("GITLAB_OIDC_TOKEN", token.expose())));
        all
    }

    /// Variables of an HCP Terraform run with workload identity; likewise.
    #[must_use]
    pub fn terraform_environment(&self) -> Vec<(String, String)> {
        let token = self.cloud().issuers.terraform(EXCHANGE_AUDIENCE);
        let mut all = vec![pair("TFC_RUN_ID", "run-entrada")];
        all.extend(made(token).map(|token| pair("TFC_WORKLOAD_IDENTITY_TOKEN", token.expose())));
        all
    }

    /// Variables of a pod with AKS workload identity. Its service account token is in a file, made
    /// now and good for an hour of the emulator's clock; `AZURE_CLIENT_ID` is there if an application
    /// or identity trusts the service account. A file that cannot be written is missing here.
    #[must_use]
    pub fn workload_identity_environment(&self) -> Vec<(String, String)> {
        self.pod_environment(made(self.rotate_service_account_token()))
    }

    /// Variables of a pod with an AKS identity binding: its token goes to the cluster's token proxy,
    /// which the HTTPS listener plays, and not to Entra.
    #[must_use]
    pub fn token_proxy_environment(&self) -> Vec<(String, String)> {
        let token = self.cloud().issuers.pod(BINDING_AUDIENCE);
        let file = token.and_then(|token| self.write_token(BINDING_TOKEN, token.expose()));
        let mut all = self.pod_environment(made(file));
        all.extend([
            pair("AZURE_KUBERNETES_TOKEN_PROXY", self.https_url()),
            pair("AZURE_KUBERNETES_SNI_NAME", TOKEN_PROXY),
            pair(
                "AZURE_KUBERNETES_CA_FILE",
                self.ca_certificate_file().to_string_lossy(),
            ),
        ]);
        all
    }

    /// Writes a new service account token into the pod's file, as the kubelet does from time to time,
    /// and says where that is.
    ///
    /// # Errors
    /// [`EmulatorError::State`] if the file cannot be written, [`EmulatorError::Key`]
    pub fn rotate_service_account_token(&self) -> Result<PathBuf, EmulatorError> {
        let token = self.cloud().issuers.pod(EXCHANGE_AUDIENCE)?;
        self.write_token(POD_TOKEN, token.expose())
    }

    /// Leaves the pod's file empty, as a rotation that is not atomic does for a moment.
    ///
    /// # Errors
    /// [`EmulatorError::State`]
    pub fn empty_service_account_token(&self) -> Result<PathBuf, EmulatorError> {
        self.write_token(POD_TOKEN, "")
    }

    fn pod_environment(&self, file: Option<PathBuf>) -> Vec<(String, String)> {
        let cloud = self.cloud();
        let issuer = issuers::cluster_issuer(self.tenant_id());
        let subject = cloud.issuers.pipelines.service_account_subject();
        let mut all = cloud.tenant_and_authority();
        all.extend(file.map(|file| pair("AZURE_FEDERATED_TOKEN_FILE", file.to_string_lossy())));
        all.extend(cloud.trusting_subject(&issuer, &subject));
        all
    }

    fn write_token(&self, name: &str, token: &str) -> Result<PathBuf, EmulatorError> {
        let folder = self.published().folder();
        StateDir::open(folder)?.write_private(name, token)?;
        Ok(folder.join(name))
    }
}

/// The vaults with their secrets and readers, if they can be reached by their names.
pub(super) fn vaults_of(
    builder: &EmulatorBuilder,
    directory: &InMemoryDirectory,
) -> Result<Vaults, EmulatorError> {
    let vaults = Vaults::default();
    for secret in &builder.secrets {
        is_name("key vault", &secret.vault, 3, 24)?;
        is_name("secret of a key vault", &secret.name, 1, 127)?;
        vaults.insert(secret.clone());
    }
    for (vault, reader) in &builder.vault_readers {
        let found = directory.find_by_name(reader);
        let found = found.ok_or_else(|| EmulatorError::NoSuchIdentity {
            name: reader.clone(),
            known: names(directory),
        })?;
        vaults.allow(vault, found.object_id);
    }
    Ok(vaults)
}

fn is_name(what: &'static str, name: &str, least: usize, most: usize) -> Result<(), EmulatorError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if (least..=most).contains(&name.len()) && name.chars().all(plain) {
        return Ok(());
    }
    Err(EmulatorError::Name {
        what,
        name: name.to_owned(),
        least,
        most,
    })
}

/// What could be made; why not goes to the log.
fn made<T>(result: Result<T, EmulatorError>) -> Option<T> {
    let failed = |error: &EmulatorError| tracing::error!(%error, "a variable is left out");
    result.inspect_err(failed).ok()
}

fn pair(name: &str, value: impl AsRef<str>) -> (String, String) {
    (name.to_owned(), value.as_ref().to_owned())
}

fn names(directory: &InMemoryDirectory) -> String {
    let all = directory.all();
    let names: Vec<&str> = all.iter().map(|one| one.display_name.as_str()).collect();
    names.join(", ")
}
