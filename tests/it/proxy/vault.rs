//! Connection strings that are secrets in a vault as a whole, and come to lead
//! elsewhere while sessions are kept.

use std::time::Duration;

use entrada::emulator::{Emulator, ManagedIdentity, VaultSecret};
use entrada::proxy::Proxy;
use entrada::proxy::config::Config;
use tokio::time::{advance, pause, resume};

use super::config;
use super::warm_pool::{client, login, says, until};
use crate::raw_client::{RawClient, soon};

const REFERENCE: &str = "@Microsoft.KeyVault(VaultName=kv1;SecretName=whole)";
/// How old a secret gets before it is read again.
const REFRESH: Duration = Duration::from_secs(60 * 60);

/// A database with two SQL logins, and a vault that names the first.
struct Azure {
    emulator: Emulator,
    config: Config,
    proxy: Proxy,
}

impl Azure {
    async fn start() -> Self {
        let emulator = server().await;
        keep(&emulator, &as_user(&emulator, "one", "First-1"));
        let mut config = config(&emulator);
        config.targets[0].connection = REFERENCE.into();
        // For longer than a secret is believed.
        config.targets[0].pool.idle_timeout = 3 * REFRESH;
        let all = [emulator.imds_environment(), emulator.entra_environment()].concat();
        let sources = entrada::token::Sources::new(entrada::token::Environment::from_pairs(all));
        let proxy = Proxy::start(config.clone(), sources).await.unwrap();
        Self {
            emulator,
            config,
            proxy,
        }
    }

    /// A client that is shown which login its session has, and leaves an idle
    /// session behind.
    async fn visit(&self, user: &str) {
        let before = self.emulator.counters().resets;
        drop(self.client(user).await);
        until("the reset", || self.emulator.counters().resets > before).await;
    }

    async fn client(&self, user: &str) -> RawClient {
        let mut client = soon("the login", client(&self.proxy, &login("till"))).await;
        says(&mut client, WHO, &format!("I am {user}.")).await;
        client
    }

    fn open(&self) -> usize {
        self.emulator.counters().open_sessions as usize
    }
}

const WHO: &str = "SELECT CONCAT(N'I am ', ORIGINAL_LOGIN(), N'.')";

async fn server() -> Emulator {
    Emulator::builder()
        .identity(ManagedIdentity::system_assigned("teller"))
        .database("shop")
        .script("shop", "CREATE USER one WITH PASSWORD = 'First-1'")
        .script("shop", "CREATE USER two WITH PASSWORD = 'Second-2'")
        .secret("kv1", "whole", "to be replaced")
        .idle_timeout(3 * REFRESH)
        .start()
        .await
        .unwrap()
}

fn as_user(emulator: &Emulator, user: &str, password: &str) -> String {
    emulator.connection_string("shop").replace(
        "Authentication=ActiveDirectoryMSI",
        &format!("User ID={user};Password={password}"),
    )
}

fn keep(emulator: &Emulator, value: &str) {
    emulator.set_secret(VaultSecret::new("kv1", "whole", value));
}

/// Until secrets are due to be read again.
async fn time_passes() {
    pause();
    advance(REFRESH).await;
    resume();
}

#[tokio::test]
async fn sessions_of_the_old_user_serve_no_new_client() {
    let azure = Azure::start().await;
    let mut staying = azure.client("one").await;
    azure.visit("one").await;
    assert_eq!(azure.open(), 2);
    keep(
        &azure.emulator,
        &as_user(&azure.emulator, "two", "Second-2"),
    );
    time_passes().await;
    // Nobody has to come for the idle one to be closed.
    until("the end of the idle one", || azure.open() == 1).await;
    says(&mut staying, WHO, "I am one.").await;
    azure.visit("two").await;
    drop(staying);
    until("the end of the old one", || azure.open() == 1).await;
    azure.visit("two").await;
    assert_eq!(azure.emulator.counters().logins_accepted, 3);
}

#[tokio::test]
async fn sessions_at_the_old_server_serve_no_new_client() {
    let azure = Azure::start().await;
    let other = server().await;
    azure.visit("one").await;
    keep(&azure.emulator, &as_user(&other, "one", "First-1"));
    time_passes().await;
    until("the end of the old one", || azure.open() == 0).await;
    drop(azure.client("one").await);
    assert_eq!(azure.emulator.counters().logins_accepted, 1);
    assert_eq!(other.counters().logins_accepted, 1);
}

#[tokio::test]
async fn a_new_password_leaves_sessions_as_they_are() {
    let azure = Azure::start().await;
    azure.visit("one").await;
    let sql = "DROP USER one; CREATE USER one WITH PASSWORD = 'Third-3'";
    azure.emulator.run_sql("shop", sql).await.unwrap();
    keep(&azure.emulator, &as_user(&azure.emulator, "one", "Third-3"));
    azure.proxy.reload(azure.config.clone()).await.unwrap();
    azure.visit("one").await;
    assert_eq!(azure.emulator.counters().logins_accepted, 1);
    // It is in use all the same.
    let mut another = login("office");
    another.host_name = "other".to_owned();
    let mut another = soon("the login", client(&azure.proxy, &another)).await;
    says(&mut another, WHO, "I am one.").await;
    assert_eq!(azure.emulator.counters().logins_refused, 0);
}

#[tokio::test]
async fn a_reload_reads_secrets_at_once() {
    let azure = Azure::start().await;
    azure.visit("one").await;
    keep(
        &azure.emulator,
        &as_user(&azure.emulator, "two", "Second-2"),
    );
    let changes = azure.proxy.reload(azure.config.clone()).await.unwrap();
    assert_eq!(changes.to_string(), "the same listeners and targets");
    azure.visit("two").await;
    // What cannot be read, or used, leaves things as they are.
    azure
        .emulator
        .faults()
        .add(&"vault:forbidden".parse().unwrap());
    keep(&azure.emulator, &as_user(&azure.emulator, "one", "First-1"));
    azure.proxy.reload(azure.config.clone()).await.unwrap();
    azure.visit("two").await;
}

#[tokio::test]
async fn a_login_that_is_refused_tells_of_the_new_user_too() {
    let azure = Azure::start().await;
    azure.visit("one").await;
    azure
        .emulator
        .run_sql("shop", "DROP USER one")
        .await
        .unwrap();
    keep(
        &azure.emulator,
        &as_user(&azure.emulator, "two", "Second-2"),
    );
    // No session is kept for this one: a login shows that all has changed.
    let mut other = soon("the login", client(&azure.proxy, &login("office"))).await;
    says(&mut other, WHO, "I am two.").await;
    azure.visit("two").await;
}
