//! The connection string: what it says, and what that means.

use std::error::Error;
use std::time::Duration;

use tokio::time::timeout;

use super::Options;
use super::finding::{Failed, Finding, Kind};
use crate::causes::chain;
use crate::key_vault::{KeyVault, KeyVaultError};
use crate::target::{Auth, Encrypt, Identity, Target};

pub(super) async fn check(options: &Options, finding: &mut Finding) -> Result<Target, Failed> {
    let vault = KeyVault::new(options.sources.clone());
    let resolving = vault.resolve(options.text.expose());
    let resolved = match options.timeout {
        Some(limit) => timeout(limit, resolving).await.map_err(|_| late(limit))?,
        // Each request to the vault has a limit of its own.
        None => resolving.await,
    };
    let resolved = resolved.map_err(|error| failed(&error))?;
    let string = resolved.connection_string();
    let mut target = (*resolved.target()).clone();
    if let Some(database) = &options.database {
        target.database = Some(database.clone());
    }
    let login = who(&target.auth);
    finding.saw(format!(
        "{}: {} as {login}",
        string.dialect().title(),
        place(&target),
    ));
    finding.fact("dialect", string.dialect().name());
    finding.fact("server", target.server.to_string());
    finding.fact("database", target.database.clone());
    finding.fact("authentication", target.auth.name());
    finding.fact("encrypt", encrypt(target.tls.encrypt));
    finding.fact("key_vault", resolved.has_references());
    for warning in string.warnings() {
        finding.warn(
            warning.to_string(),
            "mend or remove it; the driver does without it",
        );
    }
    for (place, odd) in resolved.warnings() {
        finding.warn(
            format!("the secret in the vault for {place}: {}", odd.text()),
            "renew the secret in the vault, or name the version that is good",
        );
    }
    for note in target.notes() {
        finding.warn(
            format!("{}: {}", note.keyword, note.text),
            "remove it, or leave it as a reminder",
        );
    }
    judge(&target, finding);
    Ok(target)
}

/// What could be better.
fn judge(target: &Target, finding: &mut Finding) {
    if target.auth.is_legacy() {
        finding.warn(
            format!(
                "{} rests on a credential that can leak and expires",
                target.auth.name()
            ),
            "use a managed identity (Authentication=ActiveDirectoryMSI) or a federated credential, which need no secret",
        );
    }
    if target.database.is_none() {
        finding.warn(
            "no database is named, so the login goes to master, where most identities have no user",
            "add Database=NAME",
        );
    }
    let verified = target.auth.uses_token() || target.tls.encrypt == Encrypt::Strict;
    if target.tls.trust_server_certificate && !verified {
        finding.warn(
            "TrustServerCertificate=true: whoever answers in the server's place gets the password",
            "remove it; trust the server's certificate by ServerCertificate=FILE if its CA is your own",
        );
    }
    if matches!(target.tls.encrypt, Encrypt::Disable | Encrypt::Optional)
        && !target.auth.uses_token()
    {
        finding.warn(
            "what follows the login is not encrypted",
            "use Encrypt=true or Encrypt=strict",
        );
    }
}

fn failed(error: &KeyVaultError) -> Failed {
    let (kind, fix) = match error {
        KeyVaultError::ConnectionString(_) | KeyVaultError::Target(_) => (
            Kind::Usage,
            "mend the connection string as said; `entrada parse CONN` shows how each part of it is read",
        ),
        error if error.is_auth() => (
            Kind::Auth,
            "give the identity that reads the vault the role Key Vault Secrets User on it",
        ),
        error if error.is_network() => (
            Kind::Network,
            "check the vault's name, and its network rules for this machine",
        ),
        _ => (Kind::Usage, "mend the reference to the vault's secret"),
    };
    let error: &dyn Error = error;
    Failed::new(kind, chain(error), fix)
}

fn late(limit: Duration) -> Failed {
    Failed::new(
        Kind::Network,
        format!(
            "the vault that the connection string refers to gave no secret within {} s",
            limit.as_secs_f32()
        ),
        "check the vault's name, and its network rules for this machine; if it is merely slow, raise --timeout",
    )
}

fn place(target: &Target) -> String {
    match &target.database {
        Some(database) => format!("database {database} on {}", target.server),
        None => target.server.to_string(),
    }
}

fn who(auth: &Auth) -> String {
    match auth {
        Auth::ManagedIdentity(identity) | Auth::ManagedIdentityOn { identity, .. } => {
            match identity {
                Identity::ClientId(id) => format!("the managed identity with client id {id}"),
                Identity::ClientOrObjectId(id) => {
                    format!(
                        "the managed identity {id} (client or object id, as the platform has it)"
                    )
                }
                Identity::ObjectId(id) => format!("the managed identity with object id {id}"),
                Identity::ResourceId(id) => format!("the managed identity {id}"),
                _ => "the system-assigned managed identity".to_owned(),
            }
        }
        Auth::SqlPassword { user, .. } => format!("SQL login {user}"),
        other => other.name().to_owned(),
    }
}

fn encrypt(encrypt: Encrypt) -> &'static str {
    match encrypt {
        Encrypt::Disable => "disable",
        Encrypt::Optional => "optional",
        Encrypt::Strict => "strict",
        _ => "mandatory",
    }
}
