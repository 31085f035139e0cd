//! `az account get-access-token`.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use super::{Call, FetchError, Finished, Printed, Tool, json};
use crate::secret::Secret;
use crate::token::{Environment, Resource, expiry, reply};

/// `--resource` takes the resource as it stands, where `--scope` would need its
/// double slash. The tool refuses `--tenant` to managed identities and in Cloud
/// Shell, and says so.
pub(super) fn call(resource: &Resource, tenant: Option<&str>) -> Call<'static> {
    let mut args = vec![
        "account",
        "get-access-token",
        "--output",
        "json",
        "--resource",
    ];
    args.push(resource.as_str());
    if let Some(tenant) = tenant {
        args.extend(["--tenant", tenant]);
    }
    Call {
        variables: VARIABLES,
        ..Call::new(args)
    }
}

pub(super) fn read(done: &Finished, env: &Environment) -> Result<Printed, FetchError> {
    const TOOL: Tool = Tool::Az;
    if !done.success() {
        // The errors come after warnings that would push them out of sight.
        let said = done.said_in_lines_with("ERROR");
        return Err(TOOL.judge(done, said, &["az login", "az account set"]));
    }
    let raw: Raw = json(TOOL, done)?;
    let secret = raw.access_token.filter(|secret| !secret.is_empty());
    let secret = secret.ok_or_else(|| TOOL.no_token("JSON without an accessToken"))?;
    let now = SystemTime::now();
    let exact = raw
        .expires_on
        .as_ref()
        .and_then(|value| expiry::expires_on(value, now));
    let expires_on = exact.or_else(|| {
        let told = reply::jwt_expiry(&secret);
        let text = raw.local.as_deref();
        text.and_then(|text| local(text, &zone(env), told, now))
            .or(told)
    });
    let expires_on = expires_on.ok_or_else(|| TOOL.no_token("a token without its end"))?;
    Ok(Printed { secret, expires_on })
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default, rename = "accessToken", deserialize_with = "reply::secret")]
    access_token: Option<Secret>,
    /// Since version 2.54: seconds since 1970.
    expires_on: Option<Value>,
    /// Local time without a zone; RFC 3339 in Cloud Shell of old.
    #[serde(rename = "expiresOn")]
    local: Option<String>,
}

/// Reads a local time. Where the clocks are set back it means two moments: what
/// the token itself says decides, else the first one that is still to come.
fn local(
    text: &str,
    zone: &TimeZone,
    told: Option<SystemTime>,
    now: SystemTime,
) -> Option<SystemTime> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.into());
    }
    let meant = zone.to_ambiguous_timestamp(text.parse::<DateTime>().ok()?);
    let (one, other) = (meant.earlier().ok()?, meant.later().ok()?);
    let first = SystemTime::from(one.min(other));
    let last = SystemTime::from(one.max(other));
    let distance = |from: SystemTime, to: SystemTime| {
        from.duration_since(to)
            .unwrap_or_else(|before| before.duration())
    };
    let is_last = match told {
        Some(told) => distance(last, told) < distance(first, told),
        None => first <= now,
    };
    Some(if is_last { last } else { first })
}

/// The zone that the tool runs in: ours, unless the environment is not ours.
fn zone(env: &Environment) -> TimeZone {
    let given = env.var("TZ");
    let named = given.as_deref().map(|name| name.trim_start_matches(':'));
    let named = named.and_then(|name| TimeZone::get(name).or_else(|_| TimeZone::posix(name)).ok());
    named.unwrap_or_else(TimeZone::system)
}

const VARIABLES: &[(&str, &str)] = &[("AZURE_CORE_NO_COLOR", "true"), ("NO_COLOR", "1")];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().into()
    }

    #[test]
    fn local_time_is_read_in_its_zone_and_twice_where_clocks_go_back() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let early = at("2026-01-01T00:00:00Z");
        let read = |text: &str| local(text, &zone, None, early);
        assert_eq!(
            read("2026-07-01 12:00:00.000000"),
            Some(at("2026-07-01T10:00:00Z"))
        );
        assert_eq!(
            read("2026-12-01 12:00:00.123456"),
            Some(at("2026-12-01T11:00:00.123456Z"))
        );
        assert_eq!(
            read("2026-12-01T12:00:00+00:00"),
            Some(at("2026-12-01T12:00:00Z"))
        );
        assert_eq!(read("soon"), None);
        // The clocks go back from 3:00 to 2:00 at 1:00 UTC.
        let twice = "2026-10-25 02:30:00.000000";
        let (first, last) = (at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z"));
        assert_eq!(read(twice), Some(first));
        assert_eq!(
            local(twice, &zone, None, at("2026-10-25T00:40:00Z")),
            Some(last)
        );
        let told = last + Duration::from_secs(1);
        assert_eq!(local(twice, &zone, Some(told), early), Some(last));
        assert_eq!(
            local(twice, &zone, Some(first), at("2026-10-25T00:40:00Z")),
            Some(first)
        );
        // There is no half past two when they go forward; the earlier reading is the safe one.
        let never = read("2026-03-29 02:30:00").unwrap();
        assert_eq!(never, at("2026-03-29T00:30:00Z"));
    }

    #[test]
    fn the_zone_is_the_environments() {
        let zone = |name: &str| zone(&Environment::from_pairs([("TZ", name)]));
        assert_eq!(zone("Asia/Tokyo").iana_name(), Some("Asia/Tokyo"));
        assert_eq!(zone(":Asia/Tokyo").iana_name(), Some("Asia/Tokyo"));
        let posix = zone("XST-3");
        assert_eq!(posix.to_offset(Timestamp::UNIX_EPOCH).seconds(), 3 * 3600);
        assert_eq!(zone("no such zone!"), TimeZone::system());
    }
}
