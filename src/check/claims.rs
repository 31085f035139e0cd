//! The claims: whether the token is one for this server, and for whom it is.

use std::time::SystemTime;

use super::finding::{Failed, Finding, Kind};
use super::principal::Principal;
use super::token::{Held, is_given};
use crate::target::{Cloud, Target};
use crate::token::Claims;

/// Entra's id of Azure SQL, which is the audience of tokens of version 2.
const AZURE_SQL: &str = "022907d3-0f1b-48f7-badc-1ba6abab6d66";
/// Clocks may be this far apart, in seconds: Entra and Azure SQL allow as much.
const SKEW: i64 = 300;
/// A token with less left ends in the middle of things, in seconds.
const SHORT: i64 = 300;

pub(super) fn check(
    target: &Target,
    held: Option<&Held>,
    finding: &mut Finding,
) -> Result<(), Failed> {
    let Some(held) = held else {
        finding.skip("there is no token");
        return Ok(());
    };
    let Some(claims) = &held.claims else {
        finding.saw("the token is opaque, so only the server can read it");
        return Ok(());
    };
    note(claims, finding);
    let principal = Principal::of(claims);
    finding.fact("principal", principal.kind);
    finding.fact("name", principal.name.clone());
    let audience = claims.audience.as_deref().unwrap_or("nobody");
    finding.saw(format!(
        "{principal} of tenant {}, for {audience}",
        claims.tenant_id.as_deref().unwrap_or("unknown")
    ));
    if !is_for(audience, target.cloud) {
        return Err(wrong_audience(audience, target));
    }
    times(claims, now(), finding)
}

fn note(claims: &Claims, finding: &mut Finding) {
    finding.fact("audience", claims.audience.clone());
    finding.fact("issuer", claims.issuer.clone());
    finding.fact("tenant_id", claims.tenant_id.clone());
    finding.fact("client_id", claims.client_id.clone());
    finding.fact("object_id", claims.object_id.clone());
    finding.fact("resource_id", claims.resource_id.clone());
    finding.fact("token_id", claims.token_id.clone());
    finding.fact("expires_at", claims.expires);
}

/// Whether a token for this audience is one for databases of the cloud.
fn is_for(audience: &str, cloud: Cloud) -> bool {
    let bare = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
    bare(audience) == bare(cloud.resource()) || audience.eq_ignore_ascii_case(AZURE_SQL)
}

pub(super) fn wrong_audience(audience: &str, target: &Target) -> Failed {
    let mut clouds = Cloud::ALL.into_iter();
    let wanted = target.cloud.resource();
    let other = clouds.find(|cloud| is_for(audience, *cloud));
    let cause = match other {
        Some(other) => format!(
            "the token is for databases of {} ({audience}), and the server is one of {}",
            other.name(),
            target.cloud.name()
        ),
        None => format!("the token is for {audience}, not for a database ({wanted})"),
    };
    let fix = if is_given(&target.auth) {
        format!("get a token for {wanted}, as by `az account get-access-token --resource {wanted}`")
    } else {
        format!(
            "have the source give tokens for {wanted}: something between changes what is asked for"
        )
    };
    Failed::new(Kind::Auth, cause, fix)
}

fn times(claims: &Claims, now: i64, finding: &mut Finding) -> Result<(), Failed> {
    if let Some(ago) = claims.expires.map(|exp| now - exp).filter(|ago| *ago >= 0) {
        return Err(Failed::new(
            Kind::Auth,
            format!("the token ended {ago} s ago, by this machine's clock"),
            "set this machine's clock if it is fast; a token that was given to it needs to be a fresh one",
        ));
    }
    if let Some(wait) = claims
        .not_before
        .map(|nbf| nbf - now)
        .filter(|wait| *wait > SKEW)
    {
        finding.warn(
            format!("the token begins in {wait} s: this machine's clock is slow"),
            "set this machine's clock (NTP)",
        );
    }
    if let Some(left) = claims
        .expires
        .map(|exp| exp - now)
        .filter(|left| *left < SHORT)
    {
        finding.warn(
            format!("the token ends in {left} s"),
            "check this machine's clock, and the token's lifetime at its source",
        );
    }
    Ok(())
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_makes_no_other_audience_and_a_cloud_does() {
        for audience in [
            "https://database.windows.net/",
            "https://database.windows.net",
            AZURE_SQL,
        ] {
            assert!(is_for(audience, Cloud::Public), "{audience}");
        }
        assert!(!is_for("https://management.azure.com/", Cloud::Public));
        assert!(!is_for("https://database.windows.net/", Cloud::China));
    }

    #[test]
    fn a_clock_that_is_off_shows_in_the_times() {
        let mut claims = Claims::default();
        (claims.not_before, claims.expires) = (Some(10_000), Some(20_000));
        let troubles = |now| {
            let mut finding = Finding::new("claims");
            let outcome = times(&claims, now, &mut finding);
            let warned = finding.troubles.into_iter().map(|it| it.cause);
            outcome.map(|()| warned.collect::<Vec<_>>())
        };
        assert_eq!(troubles(9_701).unwrap(), [""; 0]);
        assert!(troubles(9_699).unwrap()[0].contains("clock is slow"));
        assert!(troubles(19_800).unwrap()[0].contains("ends in 200 s"));
        assert!(
            troubles(20_000)
                .unwrap_err()
                .trouble
                .cause
                .contains("ended 0 s ago")
        );
    }
}
