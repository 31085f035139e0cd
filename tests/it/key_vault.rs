//! Key Vault references against the emulator: its vaults, its identities, its gateway.

use std::sync::Arc;

use assert_cmd::Command;
use entrada::Pool;
use entrada::emulator::{Application, Emulator, ManagedIdentity, VaultSecret};
use entrada::key_vault::{Denial, KeyVault, KeyVaultError, SecretWarning, VaultError};
use entrada::pool::{PoolError, PooledClient};
use entrada::target::{Auth, Cloud};
use entrada::token::{Environment, Sources};

const DB: &str = "@Microsoft.KeyVault(VaultName=kv1;SecretName=db)";
const LOGIN: &str = "CREATE USER app WITH PASSWORD = 'first;}\"P4ss'";
const FIRST: &str = "first;}\"P4ss";
const SECOND: &str = "second'{ P4ss";

struct Azure {
    emulator: Emulator,
}

impl Azure {
    /// A machine with an identity, a database with a SQL login, and a vault with its password.
    async fn start() -> Self {
        let emulator = Emulator::builder()
            .identity(ManagedIdentity::system_assigned("teller"))
            .database("shop")
            .script("shop", LOGIN)
            .secret("kv1", "db", FIRST)
            .start()
            .await
            .unwrap();
        Self { emulator }
    }

    fn variables(&self) -> Vec<(String, String)> {
        let mut all = self.emulator.imds_environment();
        all.extend(self.emulator.entra_environment());
        all
    }

    fn vaults(&self) -> KeyVault {
        KeyVault::new(Sources::new(Environment::from_pairs(self.variables())))
    }

    /// A connection string for the SQL login.
    fn text(&self, password: &str) -> String {
        let identity = self.emulator.connection_string("shop");
        identity.replace(
            "Authentication=ActiveDirectoryMSI",
            &format!("User ID=app;Password=\"{password}\""),
        )
    }

    async fn change_password(&self, password: &str) {
        let quoted = password.replace('\'', "''");
        let script = format!("DROP USER app; CREATE USER app WITH PASSWORD = '{quoted}'");
        self.emulator.run_sql("shop", &script).await.unwrap();
    }

    fn keep(&self, value: &str) {
        self.emulator
            .set_secret(VaultSecret::new("kv1", "db", value));
    }

    fn fault(&self, words: &str) {
        self.emulator.faults().add(&words.parse().unwrap());
    }

    async fn refused(&self) -> Arc<VaultError> {
        let error = self.vaults().resolve(&self.text(DB)).await.unwrap_err();
        let text = format!("{error:?} {error}");
        assert!(!text.contains("P4ss"), "{text}");
        match error {
            KeyVaultError::Secret { source, .. } => source,
            other => panic!("{other}"),
        }
    }
}

async fn who(client: &mut PooledClient) -> String {
    let row = client
        .simple_query("SELECT ORIGINAL_LOGIN()")
        .await
        .unwrap();
    let row = row.into_row().await.unwrap().unwrap();
    row.get::<&str, _>(0).unwrap().to_owned()
}

#[tokio::test]
async fn a_password_in_the_vault_logs_in_and_a_new_one_follows() {
    let azure = Azure::start().await;
    let resolved = azure.vaults().resolve(&azure.text(DB)).await.unwrap();
    let pool = Pool::following(resolved).max_size(4).build().unwrap();
    let mut first = pool.get().await.unwrap();
    assert_eq!(who(&mut first).await, "app");

    // Rotated while a session is in use: that one stays, and the next one is opened with the new
    // password after the server has refused the old one.
    azure.change_password(SECOND).await;
    azure.keep(SECOND);
    let mut second = pool.get().await.unwrap();
    assert_eq!(who(&mut second).await, "app");
    assert_eq!(who(&mut first).await, "app");
    drop((first, second));
    pool.close().await;
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn a_password_that_is_wrong_in_the_vault_too_is_the_servers_refusal() {
    let azure = Azure::start().await;
    let resolved = azure.vaults().resolve(&azure.text(DB)).await.unwrap();
    azure.change_password(SECOND).await;
    let pool = Pool::following(resolved).build().unwrap();
    let error = pool.get().await.unwrap_err();
    assert_eq!(
        error.server_error().map(|message| message.number),
        Some(18456)
    );
    assert!(matches!(error, PoolError::Dial { .. }));
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn a_vault_that_falls_silent_does_not_hide_the_servers_refusal() {
    let azure = Azure::start().await;
    let text = azure.text(&format!("{DB}\";Connect Timeout=\"3"));
    let resolved = azure.vaults().resolve(&text).await.unwrap();
    azure.change_password(SECOND).await;
    azure.fault("vault:stall");
    let pool = Pool::following(resolved).build().unwrap();
    let error = pool.get().await.unwrap_err();
    assert_eq!(
        error.server_error().map(|message| message.number),
        Some(18456),
        "{error}"
    );
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn the_whole_string_may_be_in_the_vault() {
    let azure = Azure::start().await;
    let text = azure.text(DB);
    let whole = VaultSecret::new("kv1", "conn", format!("{text}\n"));
    azure.emulator.set_secret(whole);
    let reference = "@Microsoft.KeyVault(SecretUri=https://kv1.vault.azure.net/secrets/conn)";
    let resolved = azure.vaults().resolve(reference).await.unwrap();
    let pool = Pool::following(resolved).build().unwrap();
    assert_eq!(who(&mut pool.get().await.unwrap()).await, "app");
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn a_machines_identity_reads_what_else_the_string_refers_to() {
    let azure = Azure::start().await;
    let name = VaultSecret::new("kv1", "name", "shop");
    azure.emulator.set_secret(name);
    let text = azure.emulator.connection_string("shop").replace(
        "Database=shop",
        "Database=\"@Microsoft.KeyVault(VaultName=kv1;SecretName=name)\"",
    );
    let resolved = azure.vaults().resolve(&text).await.unwrap();
    let target = resolved.target();
    assert_eq!(target.database.as_deref(), Some("shop"));
    assert!(matches!(target.auth, Auth::ManagedIdentity(_)));
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn a_version_is_pinned() {
    let azure = Azure::start().await;
    let old = VaultSecret::new("kv1", "db", FIRST).version;
    azure.keep(SECOND);
    let reference = format!("@Microsoft.KeyVault(VaultName=kv1;SecretName=db;SecretVersion={old})");
    let resolved = azure
        .vaults()
        .resolve(&azure.text(&reference))
        .await
        .unwrap();
    let Auth::SqlPassword { password, .. } = &resolved.target().auth else {
        panic!("not a SQL login");
    };
    assert_eq!(password.expose(), FIRST);
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn a_vault_that_refuses_at_first_lets_in_later() {
    let azure = Azure::start().await;
    azure.fault("vault:forbidden*1");
    let refused = azure.refused().await;
    let VaultError::Forbidden { denial, .. } = &*refused else {
        panic!("{refused}");
    };
    assert_eq!(*denial, Denial::Role);
    azure.vaults().resolve(&azure.text(DB)).await.unwrap();
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn throttling_is_waited_out() {
    let azure = Azure::start().await;
    azure.fault("vault:status:429*1");
    azure.vaults().resolve(&azure.text(DB)).await.unwrap();
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn no_token_goes_to_a_vault_that_asks_for_a_foreign_one() {
    let azure = Azure::start().await;
    azure.fault("vault:foreign-challenge*1");
    let refused = azure.refused().await;
    assert!(
        matches!(*refused, VaultError::ForeignChallenge { .. }),
        "{refused}"
    );
    let counters = azure.emulator.counters();
    assert_eq!((counters.vault_requests, counters.tokens_issued), (1, 0));
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn an_expired_secret_is_used_with_a_warning_and_a_disabled_one_is_not() {
    let azure = Azure::start().await;
    let expired = VaultSecret::new("kv1", "db", FIRST).expires(1_000_000_000);
    azure.emulator.set_secret(expired);
    let resolved = azure.vaults().resolve(&azure.text(DB)).await.unwrap();
    let warnings = resolved.warnings();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].1, SecretWarning::Expired);
    let pool = Pool::following(resolved).build().unwrap();
    assert_eq!(who(&mut pool.get().await.unwrap()).await, "app");

    let disabled = VaultSecret::new("kv1", "db", SECOND).enabled(false);
    azure.emulator.set_secret(disabled);
    let refused = azure.refused().await;
    assert!(matches!(*refused, VaultError::Disabled), "{refused}");
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn a_secret_that_is_missing_is_named() {
    let azure = Azure::start().await;
    let reference = DB.replace("=db", "=missing");
    let error = azure
        .vaults()
        .resolve(&azure.text(&reference))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`missing` of `kv1.vault.azure.net`"),
        "{error}"
    );
    let KeyVaultError::Secret { source, .. } = error else {
        panic!("{error}");
    };
    assert!(matches!(*source, VaultError::NotFound { .. }), "{source}");
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn an_application_with_its_own_tenant_reads_a_vault() {
    let azure = Azure::start().await;
    azure
        .emulator
        .register_application(Application::new("orders").secret("app~secret"));
    let application = azure.emulator.applications().remove(0);
    let auth = Auth::ServicePrincipalSecret {
        client_id: application.client_id.to_string(),
        tenant: Some(azure.emulator.tenant_id().to_string()),
        secret: "app~secret".into(),
    };
    let vaults = azure.vaults();
    let secret = vaults
        .secret(&DB.parse().unwrap(), &auth, Cloud::Public)
        .await
        .unwrap();
    assert_eq!(secret.value.expose(), FIRST);
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn an_applications_secret_in_the_vault_logs_in() {
    let app = Application::new("orders").secret("app~secret");
    let emulator = Emulator::builder()
        .identity(ManagedIdentity::system_assigned("teller"))
        .application(app)
        .database("shop")
        .user("shop", "orders", &["db_datareader"])
        .secret("kv1", "app", "app~secret")
        .start()
        .await
        .unwrap();
    let azure = Azure { emulator };
    let client = azure.emulator.applications()[0].client_id;
    let text = azure.emulator.connection_string("shop").replace(
        "Authentication=ActiveDirectoryMSI",
        &format!(
            "Authentication=ActiveDirectoryServicePrincipal;User ID={client};\
             Password=\"@Microsoft.KeyVault(VaultName=kv1;SecretName=app)\""
        ),
    );
    let resolved = azure.vaults().resolve(&text).await.unwrap();
    let mut variables = azure.variables();
    let tenant = azure.emulator.tenant_id().to_string();
    variables.push(("AZURE_TENANT_ID".to_owned(), tenant));
    let pool = Pool::following(resolved)
        .environment(Environment::from_pairs(variables))
        .build()
        .unwrap();
    let mut client = pool.get().await.unwrap();
    let row = client.simple_query("SELECT USER_NAME()").await.unwrap();
    let row = row.into_row().await.unwrap().unwrap();
    assert_eq!(row.get::<&str, _>(0), Some("orders"));
    drop(client);
    azure.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_reads_vaults_too() {
    let azure = Azure::start().await;
    let text = azure.text(DB);
    let run = |arguments: Vec<String>| {
        let mut command = Command::cargo_bin("entrada").unwrap();
        command.env_clear().envs(azure.variables());
        command.env("RUST_LOG", "trace").args(arguments);
        tokio::task::spawn_blocking(move || command.assert())
    };
    let sql = "SELECT ORIGINAL_LOGIN() AS who".to_owned();
    let query = vec![
        "query".into(),
        text.clone(),
        sql,
        "--format".into(),
        "json".into(),
    ];
    let done = run(query).await.unwrap().success();
    assert_eq!(done.get_output().stdout, b"[{\"who\":\"app\"}]\n");
    let log = String::from_utf8(done.get_output().stderr.clone()).unwrap();
    assert!(
        log.contains("key_vault.read") && !log.contains("P4ss"),
        "{log}"
    );
    let parse = vec![
        "parse".into(),
        text.clone(),
        "--resolve".into(),
        "--format".into(),
        "json".into(),
    ];
    let done = run(parse).await.unwrap().success();
    let shown = String::from_utf8(done.get_output().stdout.clone()).unwrap();
    assert!(
        shown.contains("\"Password\":\"***\"") && !shown.contains("P4ss"),
        "{shown}"
    );
    let missing = text.replace("SecretName=db", "SecretName=missing");
    let failed = run(vec!["query".into(), missing, "SELECT 1".into()])
        .await
        .unwrap()
        .code(3);
    let message = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    assert!(
        message.contains("Password") && message.contains("no such secret"),
        "{message}"
    );
    azure.emulator.shutdown().await;
}
