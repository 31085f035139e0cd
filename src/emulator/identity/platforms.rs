//! What the platforms differ in beside their protocols: secrets, options, variables, and the person
//! at Cloud Shell.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::arc_keys::ArcKeys;
use super::{ExpiresOn, new_header};
use crate::Secret;
use crate::emulator::{
    Assignment, Directory as _, EntraKind, EntraPrincipal, InMemoryDirectory, ManagedIdentity,
    Platform,
};

/// What can be chosen.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlatformOptions {
    /// The folder of Azure Arc's key files.
    pub(crate) arc_tokens: Option<PathBuf>,
    /// Automation's endpoint is a hybrid worker's.
    pub(crate) hybrid_worker: bool,
    /// Who sits at Cloud Shell.
    pub(crate) cloud_shell_user: Option<String>,
    /// The resources that Cloud Shell gives tokens for; none: all that are known.
    pub(crate) cloud_shell_audiences: Vec<String>,
    /// Forms of `expires_on` that differ from the platform's own.
    pub(crate) expires_on: BTreeMap<Platform, ExpiresOn>,
}

/// The HTTPS listener, for platforms that are reached by it.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpsListener {
    /// Without a slash at the end.
    pub(crate) url: String,
    /// SHA-1 over its certificate, 40 hex digits.
    pub(crate) thumbprint: String,
}

/// What the endpoints of the platforms share.
#[derive(Debug, Default)]
pub(crate) struct Platforms {
    pub(super) options: PlatformOptions,
    pub(super) arc: ArcKeys,
    https: HttpsListener,
    directory: InMemoryDirectory,
    secrets: Mutex<BTreeMap<Platform, Secret>>,
}

impl Platforms {
    /// `folder` is for files that nobody else may read.
    pub(crate) fn new(
        options: PlatformOptions,
        https: HttpsListener,
        directory: InMemoryDirectory,
        folder: PathBuf,
    ) -> Self {
        Self {
            arc: ArcKeys::new(options.arc_tokens.clone(), folder),
            options,
            https,
            directory,
            secrets: Mutex::default(),
        }
    }

    /// What the platform puts into the environment for clients to prove themselves by.
    pub(super) fn secret(&self, platform: Platform) -> Secret {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.entry(platform).or_insert_with(new_header).clone()
    }

    /// A new secret; the old one is refused from now on.
    pub(super) fn rotate(&self, platform: Platform) -> Secret {
        let new = new_header();
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.insert(platform, new.clone());
        new
    }

    pub(super) fn form_of_expiry(&self, platform: Platform) -> ExpiresOn {
        let chosen = self.options.expires_on.get(&platform).copied();
        chosen.unwrap_or_else(|| ExpiresOn::of(platform))
    }

    /// Who sits at Cloud Shell: the user named, or the first one of the tenant.
    pub(super) fn user(&self) -> Option<EntraPrincipal> {
        let is_user = |principal: &EntraPrincipal| principal.kind == EntraKind::User;
        match &self.options.cloud_shell_user {
            Some(name) => self.directory.find_by_name(name).filter(is_user),
            None => self.directory.all().into_iter().find(is_user),
        }
    }

    /// Whether Cloud Shell gives tokens for the resource.
    pub(super) fn cloud_shell_serves(&self, resource: &str) -> bool {
        let audiences = &self.options.cloud_shell_audiences;
        let same = |one: &String| {
            super::without_slash(one).eq_ignore_ascii_case(super::without_slash(resource))
        };
        audiences.is_empty() || audiences.iter().any(same)
    }

    /// The variables that the platform sets, by name.
    pub(super) fn environment(
        &self,
        platform: Platform,
        base_url: &str,
        host: &[ManagedIdentity],
    ) -> Vec<(String, String)> {
        let endpoint = match platform {
            Platform::ServiceFabric => format!("{}{}", self.https.url, path(platform)),
            _ => format!("{base_url}{}", path(platform)),
        };
        let secret = self.secret(platform).expose().to_owned();
        let pairs = match platform {
            Platform::Imds => vec![("AZURE_POD_IDENTITY_AUTHORITY_HOST", base_url.to_owned())],
            Platform::Arc => vec![
                ("IDENTITY_ENDPOINT", endpoint),
                ("IMDS_ENDPOINT", base_url.to_owned()),
            ],
            Platform::AppService | Platform::Automation | Platform::ContainerInstancesWindows => {
                vec![("IDENTITY_ENDPOINT", endpoint), ("IDENTITY_HEADER", secret)]
            }
            Platform::AppService2017 => vec![("MSI_ENDPOINT", endpoint), ("MSI_SECRET", secret)],
            Platform::CloudShell => vec![("MSI_ENDPOINT", endpoint)],
            Platform::MachineLearning => {
                let default = host.iter().find(|i| i.assignment == Assignment::System);
                let default = default.or(host.first()).map(|i| i.client_id);
                let default = default.map_or_else(String::new, |id| id.to_string());
                vec![
                    ("MSI_ENDPOINT", endpoint),
                    ("MSI_SECRET", secret),
                    ("DEFAULT_IDENTITY_CLIENT_ID", default),
                ]
            }
            Platform::ServiceFabric => vec![
                ("IDENTITY_ENDPOINT", endpoint),
                ("IDENTITY_HEADER", secret),
                ("IDENTITY_SERVER_THUMBPRINT", self.https.thumbprint.clone()),
                ("IDENTITY_API_VERSION", "2020-05-01".to_owned()),
            ],
        };
        let named = |(name, value): (&str, String)| (name.to_owned(), value);
        pairs.into_iter().map(named).collect()
    }
}

/// Where the platform's endpoint is. Clients take the whole URL from their environment; only IMDS's
/// path is fixed.
pub(super) fn path(platform: Platform) -> &'static str {
    match platform {
        Platform::AppService => "/msi/token",
        Platform::AppService2017 => "/app-service-2017/msi/token",
        Platform::Arc => "/arc/metadata/identity/oauth2/token",
        Platform::Automation => "/automation/oauth2/token",
        Platform::CloudShell => "/cloud-shell/oauth2/token",
        Platform::ContainerInstancesWindows => "/container-instances/msi/token",
        Platform::Imds => "/metadata/identity/oauth2/token",
        Platform::MachineLearning => "/machine-learning/msi/token",
        Platform::ServiceFabric => "/service-fabric/metadata/identity/oauth2/token",
    }
}
