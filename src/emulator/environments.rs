//! The variables by which clients find the platforms' endpoints.

use std::io;
use std::path::PathBuf;

use super::{Emulator, Platform};
use crate::Secret;

type Variables = Vec<(String, String)>;

impl Emulator {
    /// Variables that point clients at all of the emulator's identity endpoints that go together.
    /// Where both are known, clients prefer App Service's to IMDS's.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut all = self.imds_environment();
        all.extend(self.app_service_environment());
        all
    }

    /// The variables that a platform sets for its programs, and no others: clients tell by them where
    /// they are.
    #[must_use]
    pub fn platform_environment(&self, platform: Platform) -> Vec<(String, String)> {
        self.identity().environment(platform)
    }

    /// Variables that point clients at the emulated IMDS only.
    #[must_use]
    pub fn imds_environment(&self) -> Variables {
        self.platform_environment(Platform::Imds)
    }

    /// Variables that point clients at the emulated App Service endpoint only.
    #[must_use]
    pub fn app_service_environment(&self) -> Variables {
        self.platform_environment(Platform::AppService)
    }

    /// Variables of App Service as it was before 2019: `MSI_ENDPOINT` and `MSI_SECRET`.
    #[must_use]
    pub fn app_service_2017_environment(&self) -> Variables {
        self.platform_environment(Platform::AppService2017)
    }

    /// Variables of a server that Azure Arc manages. Clients read its key files in the agent's own
    /// folder only; see [`arc_tokens_folder`](Self::arc_tokens_folder).
    #[must_use]
    pub fn arc_environment(&self) -> Variables {
        self.platform_environment(Platform::Arc)
    }

    /// Variables of Service Fabric, with the thumbprint of the HTTPS listener's certificate.
    #[must_use]
    pub fn service_fabric_environment(&self) -> Variables {
        self.platform_environment(Platform::ServiceFabric)
    }

    /// The variable of Azure Cloud Shell.
    #[must_use]
    pub fn cloud_shell_environment(&self) -> Variables {
        self.platform_environment(Platform::CloudShell)
    }

    /// Variables of Azure Machine Learning; the default identity is the system-assigned one.
    #[must_use]
    pub fn machine_learning_environment(&self) -> Variables {
        self.platform_environment(Platform::MachineLearning)
    }

    /// Variables of Azure Automation.
    #[must_use]
    pub fn automation_environment(&self) -> Variables {
        self.platform_environment(Platform::Automation)
    }

    /// Variables of container groups of Windows in Azure Container Instances.
    #[must_use]
    pub fn container_instances_windows_environment(&self) -> Variables {
        self.platform_environment(Platform::ContainerInstancesWindows)
    }

    /// Scheme, address and port in place of `http://169.254.169.254`, without a slash at the end.
    #[must_use]
    pub fn imds_url(&self) -> String {
        self.identity().base_url().to_owned()
    }

    /// The URL for `IDENTITY_ENDPOINT`.
    #[must_use]
    pub fn app_service_endpoint(&self) -> String {
        format!("{}/msi/token", self.identity().base_url())
    }

    /// The value for `IDENTITY_HEADER`.
    #[must_use]
    pub fn app_service_header(&self) -> Secret {
        self.identity().secret(Platform::AppService)
    }

    /// Changes the value for `IDENTITY_HEADER`, as the platform does from time to time: short for
    /// [`rotate_secret`](Self::rotate_secret).
    pub fn rotate_app_service_header(&self) -> Secret {
        self.identity().rotate_secret(Platform::AppService)
    }

    /// Changes the secret in the platform's variables, as platforms do from time to time; the old one
    /// is refused from now on. Platforms without one are not affected.
    pub fn rotate_secret(&self, platform: Platform) -> Secret {
        self.identity().rotate_secret(platform)
    }

    /// The folder of Azure Arc's key files, which is made if need be: the one that was
    /// [set](super::EmulatorBuilder::arc_tokens), else the agent's if it can be written to, else one
    /// of the emulator's own, in which clients read no key.
    ///
    /// # Errors
    /// The system's, if the folder cannot be made.
    pub fn arc_tokens_folder(&self) -> io::Result<PathBuf> {
        self.identity().arc_tokens_folder()
    }
}
