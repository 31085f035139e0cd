//! PRELOGIN: who answers, and what kind of login the server takes.

use super::advice::plain;
use super::finding::{Failed, Finding, Kind};
use crate::dial::walk::{Channel, Greeting, Walk};
use crate::dial::{DialError, PreloginError, WireError};
use crate::target::Target;

pub(super) async fn check(
    walk: &Walk,
    target: &Target,
    channel: &mut Channel,
    finding: &mut Finding,
) -> Result<Greeting, Failed> {
    let greeting = walk
        .greet(channel)
        .await
        .map_err(|error| failed(&error, &walk.place()))?;
    let version = greeting.server_version();
    let version = format!("{}.{}.{}", version.major, version.minor, version.build);
    let tokens = greeting.takes_tokens();
    finding.saw(format!(
        "SQL Server {version}; TLS covers {}{}",
        greeting.encryption(),
        if tokens { "; it takes tokens" } else { "" }
    ));
    finding.fact("server_version", version);
    finding.fact("encrypted", greeting.encryption());
    finding.fact("fed_auth_required", tokens);
    if target.auth.uses_token() && !tokens {
        finding.warn(
            "the server does not say that it takes tokens (FEDAUTHREQUIRED), as Azure SQL does",
            "check that this is Azure SQL, or a SQL Server that is set up for Entra, and no proxy in between that does not know tokens",
        );
    }
    Ok(greeting)
}

fn failed(error: &DialError, place: &str) -> Failed {
    let network = |cause: String, fix: &str| Failed::new(Kind::Network, cause, fix);
    match error {
        DialError::Timeout { .. } => network(
            format!(
                "something accepts connections at {place} and does not answer the greeting (PRELOGIN)"
            ),
            "check the port: what listens there may be no SQL Server, or a load balancer without one behind it; a server that speaks TDS 8.0 only wants Encrypt=strict",
        ),
        DialError::Prelogin {
            source: PreloginError::Wire(wire),
            ..
        } => match wire {
            WireError::Foreign { what } => network(
                format!("what answers at {place} is {what}, no SQL Server"),
                "check the server's name and port; Azure SQL uses 1433",
            ),
            WireError::TlsFirst => network(
                format!(
                    "{place} speaks TLS before everything else: a SQL Server for TDS 8.0 only, or no SQL Server at all"
                ),
                "use Encrypt=strict for a SQL Server; else check the port",
            ),
            WireError::Closed | WireError::CutShort | WireError::Io(_) => network(
                format!(
                    "{place} takes the connection and closes it without an answer to the greeting (PRELOGIN)"
                ),
                "look for a firewall or proxy that cuts connections in between, and check the port",
            ),
            _ => network(
                format!("what answers at {place} does not speak TDS, SQL Server's protocol"),
                "check the server's name and port; Azure SQL uses 1433",
            ),
        },
        DialError::Prelogin {
            source: PreloginError::EncryptionRequired,
            ..
        } => Failed::new(
            Kind::Usage,
            "the server insists on encryption, and the connection string says Encrypt=disable",
            "drop Encrypt=disable",
        ),
        DialError::Prelogin {
            source: source @ PreloginError::NoEncryption { .. },
            ..
        } => network(
            source.to_string(),
            "enable encryption at the server; Azure SQL always has it, so another server or a proxy may answer",
        ),
        other => plain(other, "check the server's name and port"),
    }
}
