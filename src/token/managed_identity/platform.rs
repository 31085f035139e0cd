//! Which of Azure's platforms this is.

use std::path::Path;

use super::super::Environment;
use crate::target::IdentityPlatform;

/// Decides by the variables that are set, in the order of Microsoft's own
/// libraries, and says by what. Instance metadata is what remains: it has no
/// sign of its own.
///
/// Automation and App Service's first form use the variables of others. They
/// are told by variables that have nothing to do with identities, and lose
/// little where they are not: what is sent is nearly the same.
pub(super) fn detect(env: &Environment) -> (IdentityPlatform, &'static str) {
    use IdentityPlatform as P;
    let endpoint = env.has("IDENTITY_ENDPOINT");
    let automation = env.has("AUTOMATION_ASSET_ACCOUNTID");
    if endpoint && env.has("IDENTITY_HEADER") {
        return match env.has("IDENTITY_SERVER_THUMBPRINT") {
            true => (
                P::ServiceFabric,
                "IDENTITY_ENDPOINT, IDENTITY_HEADER and IDENTITY_SERVER_THUMBPRINT are set",
            ),
            false if automation => (
                P::Automation,
                "IDENTITY_ENDPOINT, IDENTITY_HEADER and AUTOMATION_ASSET_ACCOUNTID are set",
            ),
            false => (
                P::AppService,
                "IDENTITY_ENDPOINT and IDENTITY_HEADER are set",
            ),
        };
    }
    if env.has("MSI_ENDPOINT") {
        if automation {
            let sign = "MSI_ENDPOINT and AUTOMATION_ASSET_ACCOUNTID are set";
            return (P::Automation, sign);
        }
        return match env.has("MSI_SECRET") {
            true if env.has("WEBSITE_SITE_NAME") => (
                P::AppService2017,
                "MSI_ENDPOINT, MSI_SECRET and WEBSITE_SITE_NAME are set",
            ),
            true => (P::MachineLearning, "MSI_ENDPOINT and MSI_SECRET are set"),
            false => (P::CloudShell, "MSI_ENDPOINT is set, and MSI_SECRET is not"),
        };
    }
    if endpoint && env.has("IMDS_ENDPOINT") {
        return (P::Arc, "IDENTITY_ENDPOINT and IMDS_ENDPOINT are set");
    }
    if has_arc_agent(env) {
        return (P::Arc, "the agent's program is installed");
    }
    (P::Imds, "no variable or file of another platform is here")
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
        let found = |names: &[&str]| {
            detect(&Environment::from_pairs(
                names.iter().map(|name| (*name, "x")),
            ))
            .0
        };
        assert_eq!(found(&[]), IdentityPlatform::Imds);
        let all = [
            "IDENTITY_ENDPOINT",
            "IDENTITY_HEADER",
            "IDENTITY_SERVER_THUMBPRINT",
            "MSI_ENDPOINT",
            "MSI_SECRET",
            "IMDS_ENDPOINT",
        ];
        assert_eq!(found(&all), IdentityPlatform::ServiceFabric);
        assert_eq!(
            found(&["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT"]),
            IdentityPlatform::AppService
        );
        assert_eq!(
            found(&["IDENTITY_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET"]),
            IdentityPlatform::MachineLearning
        );
        assert_eq!(
            found(&["IDENTITY_ENDPOINT", "MSI_ENDPOINT", "IMDS_ENDPOINT"]),
            IdentityPlatform::CloudShell
        );
        assert_eq!(
            found(&["IDENTITY_ENDPOINT", "IMDS_ENDPOINT"]),
            IdentityPlatform::Arc
        );
        assert_eq!(found(&["IDENTITY_ENDPOINT"]), IdentityPlatform::Imds);
        assert_eq!(
            found(&["IDENTITY_HEADER", "MSI_SECRET", "IMDS_ENDPOINT"]),
            IdentityPlatform::Imds
        );
    }

    #[test]
    fn who_borrows_variables_is_told_by_others() {
        let found =
            |names: &[&str]| detect(&Environment::from_pairs(names.iter().map(|n| (*n, "x")))).0;
        for (names, platform) in [
            (
                &["MSI_ENDPOINT", "MSI_SECRET", "WEBSITE_SITE_NAME"][..],
                IdentityPlatform::AppService2017,
            ),
            (
                &["MSI_ENDPOINT", "MSI_SECRET", "AUTOMATION_ASSET_ACCOUNTID"],
                IdentityPlatform::Automation,
            ),
            (
                &["MSI_ENDPOINT", "AUTOMATION_ASSET_ACCOUNTID"],
                IdentityPlatform::Automation,
            ),
            (
                &[
                    "IDENTITY_ENDPOINT",
                    "IDENTITY_HEADER",
                    "AUTOMATION_ASSET_ACCOUNTID",
                ],
                IdentityPlatform::Automation,
            ),
            (
                &["WEBSITE_SITE_NAME", "AUTOMATION_ASSET_ACCOUNTID"],
                IdentityPlatform::Imds,
            ),
        ] {
            assert_eq!(found(names), platform, "{names:?}");
        }
    }

    #[test]
    fn empty_variables_count_as_absent_and_the_agents_file_as_arc() {
        let env = Environment::from_pairs([("IDENTITY_ENDPOINT", "x"), ("IDENTITY_HEADER", "")]);
        assert_eq!(detect(&env).0, IdentityPlatform::Imds);
        if cfg!(not(windows)) {
            assert_eq!(detect(&env.with_file(ARC_AGENT)).0, IdentityPlatform::Arc);
        }
    }
}
