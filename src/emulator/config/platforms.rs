//! `[platforms]`: what can be chosen about the platforms' endpoints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::emulator::identity::PlatformOptions;
use crate::emulator::{ExpiresOn, Platform};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Platforms {
    arc_tokens: Option<PathBuf>,
    automation_hybrid_worker: bool,
    cloud_shell_user: Option<String>,
    cloud_shell_audiences: Vec<String>,
    expires_on: BTreeMap<Platform, ExpiresOn>,
}

impl Platforms {
    /// Paths are relative to `folder`.
    pub(super) fn options(self, folder: &Path) -> PlatformOptions {
        PlatformOptions {
            arc_tokens: self.arc_tokens.map(|path| folder.join(path)),
            hybrid_worker: self.automation_hybrid_worker,
            cloud_shell_user: self.cloud_shell_user,
            cloud_shell_audiences: self.cloud_shell_audiences,
            expires_on: self.expires_on,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::{EmulatorBuilder, EmulatorError};

    fn parse(text: &str) -> Result<EmulatorBuilder, EmulatorError> {
        EmulatorBuilder::from_toml(text, "test.toml", Path::new("/folder"))
    }

    #[test]
    fn every_key_is_understood_and_a_wrong_one_is_named() {
        let text = r#"
            faults = ["arc:ignores-selector", "imds:plain-text"]
            [platforms]
            arc_tokens = "tokens"
            automation_hybrid_worker = true
            cloud_shell_user = "ada@contoso.com"
            cloud_shell_audiences = ["https://database.windows.net/"]
            expires_on = { app-service-2017 = "linux-date", service-fabric = "text" }
        "#;
        let options = parse(text).unwrap().platforms;
        assert_eq!(
            options.arc_tokens.as_deref(),
            Some(Path::new("/folder/tokens"))
        );
        assert!(options.hybrid_worker);
        assert_eq!(options.cloud_shell_user.as_deref(), Some("ada@contoso.com"));
        assert_eq!(options.cloud_shell_audiences.len(), 1);
        let form = options.expires_on.get(&Platform::AppService2017);
        assert_eq!(form, Some(&ExpiresOn::LinuxDate));
        let wrong = "[platforms.expires_on]\nvm = \"text\"";
        match parse(wrong).unwrap_err() {
            EmulatorError::ConfigSyntax { line, problem, .. } => {
                assert!(line == 2 && problem.contains("`vm`"), "{line} {problem}");
            }
            other => panic!("{other:?}"),
        }
    }
}
