//! TLS: whose certificate it is, how long it lasts, and what was agreed on.

use std::time::SystemTime;

use super::advice::plain;
use super::certificate::Certificate;
use super::finding::{Failed, Finding, Kind};
use crate::causes::below;
use crate::dial::walk::{Channel, Greeting, Walk};
use crate::dial::{DialError, TlsError};
use crate::target::{Cloud, Encrypt, Target};

/// A certificate that ends sooner is warned of, in days.
const SOON: i64 = 14;
const DAY: i64 = 24 * 60 * 60;
/// Who issues the certificates of Azure's databases, as of 2025.
const AZURES_ISSUERS: [&str; 2] = ["Microsoft Corporation", "DigiCert Inc"];

/// Shakes hands. `greeting` is what the server said before; without it, TLS
/// comes first.
pub(super) async fn check(
    walk: &Walk,
    target: &Target,
    channel: Channel,
    greeting: Option<Greeting>,
    finding: &mut Finding,
) -> Result<Channel, Failed> {
    if greeting.is_some_and(|greeting| !greeting.has_tls()) {
        finding.skip("the connection string and the server do without TLS");
        return Ok(channel);
    }
    let secured = walk.encrypt(channel, greeting).await;
    let shown = walk.certificates();
    let leaf = shown.first().and_then(Certificate::read);
    if let Some(leaf) = &leaf {
        note(leaf, finding);
    }
    finding.fact("chain_length", shown.len());
    let (channel, secured) = secured.map_err(|error| match greeting {
        None if is_no_tls(&error) => not_strict(&error),
        _ => refused(&error, target, leaf.as_ref()),
    })?;
    let login_only = greeting.is_some_and(|greeting| greeting.is_for_login_only());
    let verified = is_verified(target, login_only);
    finding.fact("verified", verified);
    finding.fact("protocol", secured.protocol.clone());
    finding.fact("cipher", secured.cipher.clone());
    let mut what = format!("{}, {}", secured.protocol, secured.cipher);
    if let Some(leaf) = &leaf {
        what = format!(
            "{what}; certificate for {}, issued by {}, until {}{}",
            leaf.made_out_to(),
            leaf.issuer,
            leaf.ends_on,
            if verified { "" } else { "; not verified" }
        );
        judge(leaf, walk.host(), finding);
    }
    finding.saw(what);
    if !verified {
        finding.warn(
            "nobody has checked whose certificate it is, so the password may go to a stranger",
            "use Encrypt=true or Encrypt=strict, without TrustServerCertificate=true",
        );
    }
    Ok(channel)
}

fn note(leaf: &Certificate, finding: &mut Finding) {
    finding.fact("subject", leaf.subject.clone());
    finding.fact("issuer", leaf.issuer.clone());
    finding.fact("names", leaf.names.clone());
    finding.fact("expires", leaf.ends_on.clone());
}

/// What works now and may not for long, or should not.
fn judge(leaf: &Certificate, host: &str, finding: &mut Finding) {
    let left = leaf.ends.saturating_sub(now());
    if left < SOON * DAY {
        let when = match left {
            // Nobody asks for the time of a certificate that is pinned or not verified.
            ..0 => "ended".to_owned(),
            0..DAY => "ends within a day".to_owned(),
            _ => format!("ends in {} days", left / DAY),
        };
        finding.warn(
            format!("the certificate {when}, on {}", leaf.ends_on),
            "renew it at the server; a ServerCertificate file needs to be replaced along with it",
        );
    }
    if Cloud::is_azure_host(host) && !AZURES_ISSUERS.contains(&leaf.issuer_organisation.as_str()) {
        finding.warn(
            format!(
                "the certificate of an Azure server is issued by {}, who issues none for Azure: a proxy opens the encryption in between, and sees the token",
                leaf.issuer
            ),
            "have the proxy leave out this server's name and the ports 1433 and 11000 to 11999",
        );
    }
}

/// Whether the answer to TLS was none, or something else.
fn is_no_tls(error: &DialError) -> bool {
    match error {
        DialError::Tls { source, .. } => matches!(
            source,
            TlsError::Closed { .. }
                | TlsError::Io { .. }
                | TlsError::Malformed { .. }
                | TlsError::Handshake { .. }
        ),
        error => matches!(error, DialError::Timeout { .. }),
    }
}

/// TLS was tried before everything else, and the server may not be made for that.
fn not_strict(error: &DialError) -> Failed {
    let cause = match error {
        DialError::Timeout { .. } => {
            "the server does not answer TLS before everything else (Encrypt=strict)".to_owned()
        }
        error => below(error),
    };
    Failed::new(
        Kind::Network,
        cause,
        "use Encrypt=true: Encrypt=strict (TDS 8.0) takes Azure SQL or SQL Server 2022 and later; if the server is one of these, check the port, and look for a firewall or proxy that cuts TLS in between",
    )
}

/// Why there is no TLS.
fn refused(error: &DialError, target: &Target, leaf: Option<&Certificate>) -> Failed {
    let DialError::Tls { source, server } = error else {
        return plain(
            error,
            "look for a firewall or proxy that cuts TLS in between",
        );
    };
    let by = leaf.map_or("nobody knows", |leaf| leaf.issuer.as_str());
    let azure = Cloud::is_azure_host(&target.server.name);
    match source {
        TlsError::Untrusted { .. } if azure => Failed::new(
            Kind::Network,
            format!(
                "the certificate of `{server}` is issued by {by}, whom this machine does not trust: a proxy that opens the encryption answers in Azure's place, or this machine lacks the public CAs"
            ),
            "have the proxy leave out this server's name; on a bare machine or container install ca-certificates",
        ),
        TlsError::Untrusted { .. } => Failed::new(
            Kind::Network,
            format!(
                "the certificate of `{server}` is issued by {by}, whom this machine does not trust"
            ),
            "install that CA's certificate on this machine, or name the server's certificate by ServerCertificate=FILE",
        ),
        TlsError::WrongName { expected, .. } => Failed::new(
            Kind::Network,
            format!(
                "the certificate is not made out to `{expected}` but to {}",
                leaf.map_or_else(|| "nobody".to_owned(), Certificate::made_out_to)
            ),
            if azure {
                "connect by the server's own name, NAME.database.windows.net; behind an alias of your own, add HostNameInCertificate=NAME.database.windows.net"
            } else {
                "connect by a name that the certificate holds, or name it by HostNameInCertificate=NAME"
            },
        ),
        TlsError::NotInTime { .. } => Failed::new(
            Kind::Network,
            not_in_time(leaf),
            "renew the certificate at the server; if its dates are right, set this machine's clock",
        ),
        _ => failed(error),
    }
}

/// Why TLS cannot even be tried, or fails in another way than by the certificate.
pub(super) fn failed(error: &DialError) -> Failed {
    let DialError::Tls { source, .. } = error else {
        return plain(error, "check the TLS settings of the connection string");
    };
    let (kind, fix) = match source {
        TlsError::File { .. } | TlsError::NoCertificate { .. } | TlsError::Name { .. } => (
            Kind::Usage,
            "mend the file or the name in the connection string",
        ),
        TlsError::NotPinned => (
            Kind::Network,
            "replace the file by the server's new certificate, or trust its CA instead",
        ),
        TlsError::Closed { .. } | TlsError::Io { .. } | TlsError::Malformed { .. } => (
            Kind::Network,
            "look for a firewall or proxy that cuts or inspects TLS in between",
        ),
        TlsError::Roots { .. } => (Kind::Network, "install the package ca-certificates"),
        _ => (
            Kind::Network,
            "check which TLS versions the server and what stands in between allow",
        ),
    };
    Failed::new(kind, below(error), fix)
}

fn not_in_time(leaf: Option<&Certificate>) -> String {
    match leaf {
        Some(leaf) if leaf.ends < now() => {
            format!("the server's certificate ended on {}", leaf.ends_on)
        }
        _ => "the server's certificate is not valid yet, by this machine's clock".to_owned(),
    }
}

/// As [`Tls`](crate::dial) decides it.
fn is_verified(target: &Target, login_only: bool) -> bool {
    let tls = &target.tls;
    let must = target.auth.uses_token() || tls.encrypt == Encrypt::Strict;
    let anyone = tls.trust_server_certificate || tls.encrypt == Encrypt::Disable;
    must || !login_only && (tls.server_certificate.is_some() || !anyone)
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(days: i64, organisation: &str) -> Certificate {
        Certificate {
            subject: "s".into(),
            issuer: "Corporate CA".into(),
            issuer_organisation: organisation.into(),
            names: vec!["s".into()],
            ends: now() + days * DAY + 60,
            ends_on: "then".into(),
        }
    }

    fn warnings(leaf: &Certificate, host: &str) -> Vec<String> {
        let mut finding = Finding::new("tls");
        judge(leaf, host, &mut finding);
        finding.troubles.into_iter().map(|it| it.cause).collect()
    }

    #[test]
    fn a_certificate_is_warned_of_before_it_ends() {
        assert_eq!(warnings(&leaf(14, ""), "localhost"), [""; 0]);
        assert_eq!(
            warnings(&leaf(13, ""), "localhost"),
            ["the certificate ends in 13 days, on then"]
        );
        assert_eq!(
            warnings(&leaf(0, ""), "localhost"),
            ["the certificate ends within a day, on then"]
        );
        assert_eq!(
            warnings(&leaf(-1, ""), "localhost"),
            ["the certificate ended, on then"]
        );
    }

    #[test]
    fn an_azure_server_has_a_certificate_of_azures_issuers() {
        let host = "app.database.windows.net";
        assert_eq!(warnings(&leaf(90, "Microsoft Corporation"), host), [""; 0]);
        assert!(warnings(&leaf(90, "Contoso"), host)[0].contains("a proxy"));
    }
}
