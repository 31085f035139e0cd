//! Databases on the emulator, a manifest of them, and the program run on both.

use std::path::PathBuf;
use std::process::{Child, Command as Process, Stdio};

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use entrada::emulator::{Emulator, ManagedIdentity};
use serde_json::Value;
use tempfile::TempDir;

/// Who runs the program: a member of db_owner wherever it is let in.
const ADMIN: &str = "dba";

/// What each database shall have: seven changes from an empty one.
pub(crate) const WISHES: &str = r#"
[[role]]
name = "orders_app"
grant = [
    { permissions = ["SELECT", "INSERT"], schema = "dbo" },
    { permissions = ["EXECUTE"], schema = "dbo" },
]

[[principal]]
name = "orders-api"
kind = "managed-identity"
client_id = "00112233-4455-6677-8899-aabbccddeeff"
roles = ["orders_app", "db_datareader"]
"#;

/// Seven statements: the role and the user, three grants, two memberships.
pub(crate) const CHANGES: u64 = 7;

/// An Azure with databases, and a folder with a manifest.
pub(crate) struct Cloud {
    pub(crate) emulator: Emulator,
    pub(crate) folder: TempDir,
}

impl Cloud {
    /// These databases; the program is let in as a member of db_owner.
    pub(crate) async fn with(databases: &[&str]) -> Self {
        let mut builder = Emulator::builder().identity(ManagedIdentity::system_assigned(ADMIN));
        for name in databases {
            builder = builder.database(*name).user(*name, ADMIN, &["db_owner"]);
        }
        let emulator = builder.start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cloud = Self { emulator, folder };
        cloud.write(&cloud.manifest(databases, WISHES));
        cloud
    }

    /// A manifest of these databases, on a server called `eu`.
    pub(crate) fn manifest(&self, databases: &[&str], wishes: &str) -> String {
        format!(
            "[[server]]\nname = \"eu\"\nconnection = '{}'\ndatabases = {databases:?}\n{wishes}",
            self.conn("master")
        )
    }

    /// Errors of logins are told at once.
    pub(crate) fn conn(&self, database: &str) -> String {
        let conn = self.emulator.connection_string(database);
        format!("{conn};Connect Retry Count=0")
    }

    pub(crate) fn write(&self, manifest: &str) {
        std::fs::write(self.path("grants.toml"), manifest).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `entrada grants …`, in the manifest's folder, without blocking the emulator.
    pub(crate) async fn grants(&self, args: &[&str]) -> Assert {
        let mut command = Command::cargo_bin("entrada").unwrap();
        command
            .env_clear()
            .envs(self.emulator.imds_environment())
            .current_dir(self.folder.path())
            .arg("grants")
            .args(args);
        tokio::task::spawn_blocking(move || command.assert())
            .await
            .unwrap()
    }

    /// The same, begun only.
    pub(crate) fn begin(&self, args: &[&str]) -> Child {
        Process::new(env!("CARGO_BIN_EXE_entrada"))
            .env_clear()
            .envs(self.emulator.imds_environment())
            .current_dir(self.folder.path())
            .arg("grants")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// What `plan` says, as JSON.
    pub(crate) async fn plan(&self) -> Value {
        let run = self
            .grants(&["plan", "-f", "grants.toml", "--format", "json"])
            .await;
        json(&run)
    }
}

/// What went to the standard output.
pub(crate) fn told(run: &Assert) -> String {
    String::from_utf8(run.get_output().stdout.clone()).unwrap()
}

/// What went to the standard error.
pub(crate) fn complained(run: &Assert) -> String {
    String::from_utf8(run.get_output().stderr.clone()).unwrap()
}

/// The standard output as one JSON document.
pub(crate) fn json(run: &Assert) -> Value {
    let text = told(run);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Each database and how it ended.
pub(crate) fn outcomes(report: &Value) -> Vec<(String, String)> {
    let databases = report["databases"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pair = |one: &Value| (text(&one["database"]), text(&one["outcome"]));
    databases.iter().map(pair).collect()
}
