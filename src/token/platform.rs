//! Which of Azure's platforms this is.

use std::path::Path;

use super::Environment;

/// A platform that has an identity endpoint of its own kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Platform {
    AppService,
    Arc,
    CloudShell,
    Imds,
    MachineLearning,
    ServiceFabric,
}

impl Platform {
    /// Decides by the variables that are set, in the order of Microsoft's own
    /// libraries, and says by what. Instance metadata is what remains: it has no
    /// sign of its own.
    pub(super) fn detect(env: &Environment) -> (Self, &'static str) {
        let endpoint = env.has("IDENTITY_ENDPOINT");
        if endpoint && env.has("IDENTITY_HEADER") {
            return match env.has("IDENTITY_SERVER_THUMBPRINT") {
                true => (Self::ServiceFabric, "IDENTITY_SERVER_THUMBPRINT"),
                false => (Self::AppService, "IDENTITY_ENDPOINT and IDENTITY_HEADER"),
            };
        }
        if env.has("MSI_ENDPOINT") {
            return match env.has("MSI_SECRET") {
                true => (Self::MachineLearning, "MSI_ENDPOINT and MSI_SECRET"),
                false => (Self::CloudShell, "MSI_ENDPOINT"),
            };
        }
        if endpoint && env.has("IMDS_ENDPOINT") {
            return (Self::Arc, "IDENTITY_ENDPOINT and IMDS_ENDPOINT");
        }
        if has_arc_agent(env) {
            return (Self::Arc, "the program of its agent");
        }
        (Self::Imds, "no variable of another platform")
    }

    /// What people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AppService => "App Service",
            Self::Arc => "Azure Arc",
            Self::CloudShell => "Cloud Shell",
            Self::Imds => "IMDS",
            Self::MachineLearning => "Azure Machine Learning",
            Self::ServiceFabric => "Service Fabric",
        }
    }
}

/// Looks for the agent's program where current installers put it; on Windows
/// Microsoft's libraries disagree about the folder.
fn has_arc_agent(env: &Environment) -> bool {
    if !cfg!(windows) {
        return env.has_file(Path::new(ARC_AGENT));
    }
    let folders = ["ProgramFiles", "ProgramData"]
        .iter()
        .filter_map(|name| env.var(name));
    folders
        .map(|folder| Path::new(&folder).join(r"AzureConnectedMachineAgent\himds.exe"))
        .any(|path| env.has_file(&path))
}

/// The agent of Azure Arc on Linux, which sets no variables there.
const ARC_AGENT: &str = "/opt/azcmagent/bin/himds";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_microsofts_libraries() {
        let detect = |names: &[&str]| {
            Platform::detect(&Environment::from_pairs(
                names.iter().map(|name| (*name, "x")),
            ))
            .0
        };
        assert_eq!(detect(&[]), Platform::Imds);
        let all = [
            "IDENTITY_ENDPOINT",
            "IDENTITY_HEADER",
            "IDENTITY_SERVER_THUMBPRINT",
            "MSI_ENDPOINT",
            "MSI_SECRET",
            "IMDS_ENDPOINT",
        ];
        assert_eq!(detect(&all), Platform::ServiceFabric);
        assert_eq!(
            detect(&["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT"]),
            Platform::AppService
        );
        assert_eq!(
            detect(&["IDENTITY_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET"]),
            Platform::MachineLearning
        );
        assert_eq!(
            detect(&["IDENTITY_ENDPOINT", "MSI_ENDPOINT", "IMDS_ENDPOINT"]),
            Platform::CloudShell
        );
        assert_eq!(
            detect(&["IDENTITY_ENDPOINT", "IMDS_ENDPOINT"]),
            Platform::Arc
        );
        assert_eq!(detect(&["IDENTITY_ENDPOINT"]), Platform::Imds);
        assert_eq!(
            detect(&["IDENTITY_HEADER", "MSI_SECRET", "IMDS_ENDPOINT"]),
            Platform::Imds
        );
    }

    #[test]
    fn empty_variables_count_as_absent_and_the_agents_file_as_arc() {
        let env = Environment::from_pairs([("IDENTITY_ENDPOINT", "x"), ("IDENTITY_HEADER", "")]);
        assert_eq!(Platform::detect(&env).0, Platform::Imds);
        if cfg!(not(windows)) {
            assert_eq!(Platform::detect(&env.with_file(ARC_AGENT)).0, Platform::Arc);
        }
    }
}
