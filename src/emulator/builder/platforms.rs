//! What can be chosen about the platforms' endpoints.

use std::path::PathBuf;

use super::EmulatorBuilder;
use crate::emulator::{ExpiresOn, Platform};

impl EmulatorBuilder {
    /// Sets the folder of Azure Arc's key files. Defaults to the agent's own
    /// (`/var/opt/azcmagent/tokens`), outside of which most clients read no key, if it can be written
    /// to, which takes root; else to `arc-tokens` in the folder of the certificates.
    pub fn arc_tokens(mut self, folder: impl Into<PathBuf>) -> Self {
        self.platforms.arc_tokens = Some(folder.into());
        self
    }

    /// Sets whether Automation's endpoint is a hybrid worker's, which takes no client id. Defaults to
    /// false.
    pub fn automation_hybrid_worker(mut self, hybrid: bool) -> Self {
        self.platforms.hybrid_worker = hybrid;
        self
    }

    /// Sets who is signed in at Cloud Shell: a user of the tenant, by user principal name. Defaults to
    /// the first user of the tenant.
    pub fn cloud_shell_user(mut self, name: impl Into<String>) -> Self {
        self.platforms.cloud_shell_user = Some(name.into());
        self
    }

    /// Has Cloud Shell give tokens for this resource, and for no other unless it is called again.
    /// Defaults to all that identities get tokens for.
    pub fn cloud_shell_audience(mut self, resource: impl Into<String>) -> Self {
        self.platforms.cloud_shell_audiences.push(resource.into());
        self
    }

    /// Sets how a platform's endpoint writes `expires_on`. Defaults to what it is known to write: a
    /// number at Azure Machine Learning and Service Fabric, Windows' date at App Service 2017-09-01,
    /// a text elsewhere.
    pub fn expires_on(mut self, platform: Platform, form: ExpiresOn) -> Self {
        self.platforms.expires_on.insert(platform, form);
        self
    }
}
