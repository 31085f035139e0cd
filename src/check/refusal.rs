//! Why a login came to nothing: one cause and one fix for each way.

use serde_json::json;
use uuid::Uuid;

use super::advice::plain;
use super::claims::wrong_audience;
use super::diagnosis;
use super::finding::{Failed, Finding, Kind};
use super::login::Scene;
use crate::causes::below;
use crate::dial::walk::Walk;
use crate::dial::{DialError, Step, printable};
use crate::target::{Auth, Cloud};
use crate::tds::{self, LOGIN_FAILED, ServerMessage};

/// The failure that an error of the login is.
pub(super) async fn explain(
    error: &DialError,
    walk: &Walk,
    scene: &Scene<'_>,
    redirected: bool,
    finding: &mut Finding,
) -> Failed {
    let place = walk.place();
    let Some(message) = error.server_error() else {
        finding.saw(format!("no login at {place}"));
        return match redirected {
            true => on_the_way(error, &place),
            false => silent(error, &place),
        };
    };
    finding.saw(format!(
        "{place} refused: {}",
        printable(&message.to_string())
    ));
    finding.fact(
        "error",
        json!({
            "number": message.number,
            "state": message.state,
            "class": message.class,
            "message": printable(&message.message),
        }),
    );
    if message.number != LOGIN_FAILED {
        return by_number(message, scene);
    }
    match &scene.target.auth {
        Auth::SqlPassword { user, .. } => Failed::new(
            Kind::Auth,
            format!(
                "the server does not know the SQL login {user} by this password, the login may not open the database, or the server takes Entra logins only"
            ),
            "check user, password and database; better, use a managed identity, which needs no password",
        ),
        _ => token_refused(message, walk, scene).await,
    }
}

/// More redirects than a login follows.
pub(super) fn circle(places: &[String]) -> Failed {
    Failed::new(
        Kind::Network,
        format!(
            "the servers send each other the login in a circle: {}",
            places.join(", ")
        ),
        "try again in a minute: the database may be moving; if it stays, tell Azure's support",
    )
}

/// The server says nothing, or nothing that makes sense.
fn silent(error: &DialError, place: &str) -> Failed {
    match error {
        DialError::Timeout {
            step: Step::Login,
            limit,
            ..
        } => Failed::new(
            Kind::Server,
            format!(
                "{place} does not answer the login within {} s",
                limit.as_secs_f32()
            ),
            "raise Connect Timeout (60 s for a serverless database, which sleeps and takes a minute to wake), and run the check again",
        ),
        DialError::Routing { .. } => Failed::new(
            Kind::Network,
            format!(
                "{place} sends the login on to where it cannot go: {}",
                below(error)
            ),
            "try again in a minute: the database may be moving; if it stays, tell Azure's support",
        ),
        other => plain(
            other,
            "run the check again; if it happens each time, look for a firewall or proxy in between",
        ),
    }
}

/// The gateway's word is good, and the way to the server that it names is not.
fn on_the_way(error: &DialError, place: &str) -> Failed {
    let connecting = matches!(
        error,
        DialError::Tcp { .. }
            | DialError::Timeout {
                step: Step::Connect | Step::Resolve,
                ..
            }
    );
    if !connecting {
        return silent(error, place);
    }
    let why = match error {
        DialError::Timeout { .. } => "it does not answer".to_owned(),
        other => below(other),
    };
    Failed::new(
        Kind::Network,
        format!(
            "the gateway sends the login on to {place}, which cannot be reached from here: {why}"
        ),
        "let this machine out to ports 11000 to 11999 of the region's Azure SQL addresses (service tag Sql.REGION), or set the server's connection policy to Proxy, which stays on 1433 (`az sql server conn-policy update --connection-type Proxy`)",
    )
}

/// 18456 for a token: its text says little, so other signs are looked for.
async fn token_refused(message: &ServerMessage, walk: &Walk, scene: &Scene<'_>) -> Failed {
    let text = message.message.to_ascii_lowercase();
    if text.contains("token is expired") {
        return Failed::new(
            Kind::Auth,
            "the token has ended, by the server's clock",
            "set this machine's clock if it is slow; a token that was given needs to be a fresh one",
        );
    }
    let claims = scene.held.and_then(|held| held.claims.as_ref());
    let tenant = claims.and_then(|claims| claims.tenant_id.as_deref());
    if let Ok(told) = walk.token_service().await {
        if let Some(wanted) = tenant_in(&told.sts_url)
            && let Some(ours) = tenant.and_then(|tenant| tenant.parse::<Uuid>().ok())
            && wanted != ours
        {
            return wrong_tenant(ours, wanted);
        }
        let audience = claims.and_then(|claims| claims.audience.as_deref());
        let mut clouds = Cloud::ALL.into_iter();
        let server = clouds.find(|cloud| bare(cloud.resource()) == bare(&told.spn));
        if let (Some(audience), Some(server)) = (audience, server)
            && server != scene.target.cloud
        {
            let mut target = scene.target.clone();
            target.cloud = server;
            return wrong_audience(audience, &target);
        }
    }
    if text.contains("not currently configured to accept this token") {
        return Failed::new(
            Kind::Auth,
            format!(
                "the server takes no tokens of tenant {}: it belongs to another tenant, or has no Entra administrator",
                tenant.unwrap_or("unknown")
            ),
            "log in as an identity of the server's own tenant; if it is that, set an Entra administrator (`az sql server ad-admin create`)",
        );
    }
    let master = |name: &String| name.eq_ignore_ascii_case("master");
    match &scene.target.database {
        Some(database) if !master(database) => diagnosis::no_way_in(scene, database).await,
        _ => Failed::new(
            Kind::Auth,
            "no database is named, so the login went to master, where the identity has no user",
            "add Database=NAME to the connection string, the database that has a user for the identity",
        ),
    }
}

fn wrong_tenant(ours: Uuid, wanted: Uuid) -> Failed {
    Failed::new(
        Kind::Auth,
        format!("the token is of tenant {ours}, and the server belongs to tenant {wanted}"),
        format!(
            "log in as an identity of tenant {wanted}: a managed identity works in its own tenant only; for others name the tenant, as by `az login --tenant {wanted}` or AZURE_TENANT_ID"
        ),
    )
}

/// The tenant in a token service's address, if it is there as an id.
fn tenant_in(url: &str) -> Option<Uuid> {
    let mut parts = url.trim_end_matches('/').rsplit('/');
    parts.find_map(|part| part.parse().ok())
}

fn bare(resource: &str) -> String {
    resource.trim_end_matches('/').to_ascii_lowercase()
}

/// Errors that say by their number what is wrong.
fn by_number(message: &ServerMessage, scene: &Scene<'_>) -> Failed {
    let host = &scene.target.server.name;
    let label = match Cloud::is_azure_host(host) {
        true => host.split('.').next().unwrap_or(host),
        false => "SERVER",
    };
    let database = scene.target.database.as_deref().unwrap_or("master");
    let server = |cause: String, fix: String| Failed::new(Kind::Server, cause, fix);
    match message.number {
        40615 => {
            let ip = quoted_after(&message.message, "IP address");
            let rule = ip.clone().unwrap_or_else(|| "IP".to_owned());
            server(
                format!("the server's firewall does not let {} in", ip.unwrap_or_else(|| "this machine's address".to_owned())),
                format!("allow the address: az sql server firewall-rule create --server {label} --resource-group GROUP --name {label}-check --start-ip-address {rule} --end-ip-address {rule} (it takes up to 5 minutes); from inside Azure a private endpoint is better"),
            )
        }
        40914 => server(
            "the server's network rules do not let this machine's subnet in".to_owned(),
            format!("add a rule: az sql server vnet-rule create --server {label} --resource-group GROUP --name NAME --subnet SUBNET-ID, and enable the service endpoint Microsoft.Sql on the subnet"),
        ),
        40532 | 40531 => server(
            format!("the gateway knows no server `{label}`, or will not let this login reach it"),
            "check the server's name (Azure portal: SQL server, Overview); through a tunnel or an alias connect by the real name, NAME.database.windows.net, since the gateway goes by it".to_owned(),
        ),
        47073 | 47089 => server(
            "the server is closed to public networks".to_owned(),
            "connect through its private endpoint (the check `dns` shows which address the name leads to), or allow public access: az sql server update --enable-public-network true".to_owned(),
        ),
        4060 => server(
            format!("the server has no database `{database}`, it is offline, or the identity has no user in it"),
            format!("check the database's name (az sql db list --server {label} --resource-group GROUP); if it is right, create a user for the identity in it (`entrada script create-user-by-sid`)"),
        ),
        40613 => server(
            format!("the database `{database}` is not available now: a paused database is waking up, or it is moving"),
            "run the check again in a minute; programs should retry (Connect Timeout=60; Connect Retry Count=3)".to_owned(),
        ),
        42119 => server(
            format!("the database `{database}` has used up its free allowance for this month"),
            "wait for the next month, or let it go on at cost (Azure portal: Compute + storage)".to_owned(),
        ),
        18470 => Failed::new(
            Kind::Auth,
            "the login is disabled",
            "enable it, as the server's administrator in master: ALTER LOGIN [NAME] ENABLE",
        ),
        18452 => Failed::new(
            Kind::Auth,
            "the server does not take this kind of login",
            "name a method that it takes, such as Authentication=ActiveDirectoryMSI",
        ),
        10928 | 10929 | 10936 => server(
            "the database has as many sessions or workers as its service tier allows".to_owned(),
            "close connections that nobody uses (Max Pool Size), or choose a larger tier; sys.dm_exec_sessions shows who holds them".to_owned(),
        ),
        number => general(message, number),
    }
}

fn general(message: &ServerMessage, number: i32) -> Failed {
    let kind = if tds::is_auth(number) {
        Kind::Auth
    } else {
        Kind::Server
    };
    match tds::known(number) {
        Some(known) => Failed::new(kind, known.meaning, known.advice),
        None => Failed::new(
            kind,
            format!(
                "the server refuses the login with error {number}: {}",
                message.message.trim_end()
            ),
            format!(
                "look up error {number} in Microsoft's list of errors of SQL Server and Azure SQL"
            ),
        ),
    }
}

/// `20.1.2.3` of `… IP address '20.1.2.3' …`, if it is an address.
fn quoted_after(text: &str, words: &str) -> Option<String> {
    let (_, rest) = text.split_once(words)?;
    let (_, rest) = rest.split_once('\'')?;
    let (quoted, _) = rest.split_once('\'')?;
    let address: std::net::IpAddr = quoted.parse().ok()?;
    Some(address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_and_nothing_else_is_taken_for_one() {
        let text = |ip: &str| format!("Client with IP address '{ip}' is not allowed");
        assert_eq!(
            quoted_after(&text("20.1.2.3"), "IP address").as_deref(),
            Some("20.1.2.3")
        );
        for odd in ["x; rm -rf", "", "20.1.2"] {
            assert_eq!(quoted_after(&text(odd), "IP address"), None);
        }
        assert_eq!(quoted_after("none", "IP address"), None);
    }

    #[test]
    fn the_tenant_is_an_id_in_the_path() {
        let id = "11111111-2222-3333-4444-555555555555";
        for end in ["", "/", "/oauth2/authorize"] {
            let url = format!("https://login.windows.net/{id}{end}");
            assert_eq!(tenant_in(&url), Some(id.parse().unwrap()));
        }
        assert_eq!(tenant_in("https://login.windows.net/common"), None);
    }
}
