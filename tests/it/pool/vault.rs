//! Connection strings that are secrets in a vault as a whole, and come to lead
//! elsewhere while sessions are kept.

use std::path::Path;

use entrada::emulator::{Emulator, ManagedIdentity, VaultSecret};
use entrada::key_vault::{KeyVault, Resolved};
use entrada::pool::PooledClient;
use entrada::target::Auth as Login;
use entrada::token::{Environment, Sources};
use tokio::time::{advance, pause, resume};

use super::*;
use crate::raw_client::soon;

const REFERENCE: &str = "@Microsoft.KeyVault(VaultName=kv1;SecretName=whole)";
/// How old a secret gets before it is read again.
const REFRESH: Duration = Duration::from_secs(60 * 60);

/// Two databases with two SQL logins, a vault that names one of each, and a pool.
struct Azure {
    emulator: Emulator,
    resolved: Resolved,
    pool: Pool,
}

impl Azure {
    async fn start() -> Self {
        let emulator = server().await;
        keep(&emulator, &as_user(&emulator, "one", "First-1"));
        let all = [emulator.imds_environment(), emulator.entra_environment()].concat();
        let vaults = KeyVault::new(Sources::new(Environment::from_pairs(all)));
        let resolved = vaults.resolve(REFERENCE).await.unwrap();
        let pool = Pool::following(resolved.clone())
            .idle_timeout(None)
            .build()
            .unwrap();
        Self {
            emulator,
            resolved,
            pool,
        }
    }

    /// The vault holds this from now on.
    fn keep(&self, value: &str) {
        keep(&self.emulator, value);
    }

    /// A connection string for the user.
    fn as_user(&self, user: &str, password: &str) -> String {
        as_user(&self.emulator, user, password)
    }

    async fn run(&self, sql: &str) {
        self.emulator.run_sql("shop", sql).await.unwrap();
    }

    async fn get(&self) -> PooledClient {
        soon("a session", self.pool.get()).await.unwrap()
    }

    /// Whose session the next one is, which is idle afterwards.
    async fn next(&self) -> String {
        let mut client = self.get().await;
        who(&mut client).await
    }

    /// Waits until so many sessions are open.
    async fn until_open(&self, count: u32) {
        let open = || {
            (
                self.pool.status().open,
                self.emulator.counters().open_sessions as u32,
            )
        };
        until("the end of sessions", || open() == (count, count)).await;
    }

    fn logins(&self) -> u64 {
        self.emulator.counters().logins_accepted
    }
}

async fn server() -> Emulator {
    let mut azure = Emulator::builder()
        .identity(ManagedIdentity::system_assigned("teller"))
        .secret("kv1", "whole", "to be replaced")
        .idle_timeout(5 * REFRESH);
    for database in ["shop", "stock"] {
        azure = azure.database(database);
        for (user, password) in [("one", "First-1"), ("two", "Second-2")] {
            let script = format!("CREATE USER {user} WITH PASSWORD = '{password}'");
            azure = azure.script(database, &script);
        }
    }
    azure.start().await.unwrap()
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

async fn who(client: &mut Client) -> String {
    let sql = "SELECT CONCAT(ORIGINAL_LOGIN(), N' in ', DB_NAME())";
    let answer = client.simple_query(sql).await.unwrap();
    let row = answer.into_row().await.unwrap().unwrap();
    row.get::<&str, _>(0).unwrap().to_owned()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    soon(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Until secrets are due to be read again.
async fn time_passes() {
    pause();
    advance(REFRESH).await;
    resume();
}

#[tokio::test]
async fn sessions_of_the_old_user_are_handed_out_no_more() {
    let azure = Azure::start().await;
    let mut staying = azure.get().await;
    assert_eq!(azure.next().await, "one in shop");
    azure.until_open(2).await;
    azure.keep(&azure.as_user("two", "Second-2"));
    time_passes().await;
    // Nobody has to come for the idle one to be closed, and none is opened instead.
    azure.until_open(1).await;
    assert_eq!(azure.logins(), 2);
    assert_eq!(who(&mut staying).await, "one in shop");
    assert_eq!(azure.next().await, "two in shop");
    drop(staying);
    azure.until_open(1).await;
    assert_eq!(azure.next().await, "two in shop");
    assert_eq!(azure.logins(), 3);
}

#[tokio::test]
async fn sessions_at_the_old_server_are_handed_out_no_more() {
    let azure = Azure::start().await;
    let other = server().await;
    assert_eq!(azure.next().await, "one in shop");
    azure.keep(&as_user(&other, "one", "First-1"));
    time_passes().await;
    azure.until_open(0).await;
    assert_eq!(azure.next().await, "one in shop");
    assert_eq!((azure.logins(), other.counters().logins_accepted), (1, 1));
}

#[tokio::test]
async fn sessions_in_the_old_database_are_handed_out_no_more() {
    let azure = Azure::start().await;
    assert_eq!(azure.next().await, "one in shop");
    let text = azure.as_user("one", "First-1");
    azure.keep(&text.replace("Database=shop", "Database=stock"));
    time_passes().await;
    azure.until_open(0).await;
    assert_eq!(azure.next().await, "one in stock");
}

#[tokio::test]
async fn a_new_password_leaves_sessions_as_they_are() {
    let azure = Azure::start().await;
    let in_use = azure.get().await;
    assert_eq!(azure.next().await, "one in shop");
    azure
        .run("DROP USER one; CREATE USER one WITH PASSWORD = 'Third-3'")
        .await;
    azure.keep(&azure.as_user("one", "Third-3"));
    time_passes().await;
    let known = || match &azure.resolved.target().auth {
        Login::SqlPassword { password, .. } => password.expose() == "Third-3",
        other => panic!("{other:?}"),
    };
    until("the new password", known).await;
    assert_eq!(azure.next().await, "one in shop");
    drop(in_use);
    let both = [azure.get().await, azure.get().await];
    assert_eq!((azure.logins(), azure.pool.status().retired), (2, 0));
    // It is in use all the same.
    assert_eq!(azure.next().await, "one in shop");
    drop(both);
    assert_eq!(azure.emulator.counters().logins_refused, 0);
}

#[tokio::test]
async fn a_login_that_is_refused_tells_of_the_new_user_too() {
    let azure = Azure::start().await;
    let in_use = azure.get().await;
    let idle = azure.get().await;
    azure.run("DROP USER one").await;
    azure.keep(&azure.as_user("two", "Second-2"));
    drop(idle);
    let still = azure.get().await;
    let mut new = azure.get().await;
    assert_eq!(who(&mut new).await, "two in shop");
    drop((in_use, still));
    azure.until_open(1).await;
    drop(new);
    // It is of the new ones, though it was begun among the old.
    assert_eq!(azure.next().await, "two in shop");
    assert_eq!(azure.logins(), 3);
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_ends_old_sessions_and_its_return_begins_new_ones() {
    let azure = Azure::start().await;
    assert_eq!(azure.next().await, "one in shop");
    let usable = azure.as_user("one", "First-1");
    azure.keep(&format!(
        "{usable};Encrypt=strict;ServerCertificate=/no/such/file"
    ));
    time_passes().await;
    azure.until_open(0).await;
    soon("the failure", azure.pool.get()).await.unwrap_err();
    azure.keep(&usable);
    time_passes().await;
    let gone = || {
        let target = azure.resolved.target();
        target.tls.server_certificate.as_deref() != Some(Path::new("/no/such/file"))
    };
    until("the return", gone).await;
    for _ in 0..3 {
        assert_eq!(azure.next().await, "one in shop");
    }
    assert_eq!(azure.logins(), 2);
}
