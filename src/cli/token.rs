//! `entrada token`: obtain a token and show what it says.

mod offers;
mod whom;

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::conn_arg::ConnArg;
use super::exit::{Exit, Failure};
use super::output::{TextOrJson, print, print_line};
use super::source_args::SourceArgs;
use crate::dial::token_source;
use crate::target::{Auth, Target};
use crate::token::{AccessToken, Claims, SourceKey, Sources, TokenCache, TokenError, TokenSlot};
use whom::Whom;

/// Arguments of `entrada token`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Connection string, `-`, `env:NAME` or `file:PATH`
    #[arg(value_name = "CONN", required_unless_present = "survey")]
    conn: Option<ConnArg>,

    /// Show every source of tokens: whether this machine has it, by what sign or
    /// what is missing, and how a connection string asks for it. Nobody is asked
    /// for a token, and no program is run
    #[arg(long = "sources", conflicts_with_all = ["conn", "claims", "raw"])]
    survey: bool,

    /// Also show the token's claims, decoded and not verified
    #[arg(long)]
    claims: bool,

    /// Print the token itself and nothing else; whoever reads it can log in
    #[arg(long, conflicts_with_all = ["claims", "format"])]
    raw: bool,

    /// How to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: TextOrJson,

    #[command(flatten)]
    sources: SourceArgs,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    let sources = args.sources.sources();
    let Some(conn) = &args.conn else {
        return survey(&sources, args.format).await;
    };
    let target = conn.resolve(sources.clone()).await?.target();
    if !target.auth.uses_token() {
        return Err(Failure::new(
            Exit::Usage,
            "this connection logs in with a password and needs no token",
        ));
    }
    let refused = |error: TokenError| Failure::new(Exit::Auth, error);
    let source = token_source(&target, &sources).map_err(refused)?;
    let slot = TokenCache::new().slot(source, target.cloud);
    let token = within(target.limits.connect_timeout, &slot).await?;
    if args.raw {
        print_line(token.secret().expose())?;
        return Ok(Exit::Ok);
    }
    let found = Found::new(&target, &slot, &token);
    match args.format {
        TextOrJson::Text => print(&found.text(args.claims))?,
        TextOrJson::Json => print_line(&format!("{:#}", found.json(args.claims)))?,
    }
    Ok(Exit::Ok)
}

async fn survey(sources: &Sources, format: TextOrJson) -> Result<Exit, Failure> {
    let survey = sources.survey().await;
    match format {
        TextOrJson::Text => print(&offers::text(&survey))?,
        TextOrJson::Json => print_line(&format!("{:#}", offers::json(&survey)))?,
    }
    Ok(Exit::Ok)
}

/// Waits for a token for as long as a login would.
async fn within(limit: Option<Duration>, slot: &TokenSlot) -> Result<AccessToken, Failure> {
    let answer = match limit {
        None => slot.get().await,
        Some(after) => match tokio::time::timeout(after, slot.get()).await {
            Ok(answer) => answer,
            Err(_) => {
                let late = Late {
                    after,
                    trouble: slot.trouble(),
                };
                return Err(Failure::new(Exit::Auth, late));
            }
        },
    };
    answer.map_err(|error| Failure::new(Exit::Auth, error))
}

#[derive(Debug, thiserror::Error)]
#[error("no token within the {} s that Connect Timeout allows", after.as_secs())]
struct Late {
    after: Duration,
    #[source]
    trouble: Option<TokenError>,
}

/// What there is to tell about a token.
struct Found<'a> {
    slot: &'a TokenSlot,
    /// Of a chain, the member that gave it.
    key: SourceKey,
    /// `None` if the token does not say, and nobody else does.
    expires: Option<SystemTime>,
    refresh: Duration,
    claims: Option<Claims>,
}

impl<'a> Found<'a> {
    fn new(target: &Target, slot: &'a TokenSlot, token: &AccessToken) -> Self {
        let claims = token.claims();
        let given = matches!(target.auth, Auth::AccessToken(_));
        let says = claims
            .as_ref()
            .is_some_and(|claims| claims.expires.is_some());
        Self {
            slot,
            key: slot.answered_by(),
            expires: (says || !given).then(|| token.expires_on()),
            refresh: token
                .refresh_at()
                .saturating_duration_since(token.obtained_at()),
            claims,
        }
    }

    fn text(&self, with_claims: bool) -> String {
        let key = &self.key;
        let mut rows = vec![("source", key.source().to_owned())];
        for (name, value) in [
            ("chosen by", chosen_by(key)),
            ("identity", key.identity()),
            ("endpoint", key.authority()),
        ] {
            if !value.is_empty() {
                rows.push((name, value.to_owned()));
            }
        }
        if let Some(whom) = self.whom() {
            rows.push(("logs in", whom.text()));
        }
        rows.push(("resource", self.slot.resource().to_string()));
        rows.push(match self.expires {
            Some(at) => ("expires", format!("{}, in {}", stamp(at), span(left(at)))),
            None => ("expires", "unknown: the token does not say".to_owned()),
        });
        let mut text = table(&rows);
        if with_claims {
            text.push('\n');
            text.push_str(&match &self.claims {
                Some(claims) => table(&claim_rows(claims)),
                None => "The token is not a JWT, so it shows no claims.\n".to_owned(),
            });
        }
        text
    }

    fn whom(&self) -> Option<Whom> {
        Whom::of(self.claims.as_ref()?)
    }

    fn json(&self, with_claims: bool) -> Value {
        let key = &self.key;
        let or_null = |text: &str| {
            if text.is_empty() {
                Value::Null
            } else {
                text.into()
            }
        };
        let mut document = json!({
            "source": key.source(),
            "chosen_by": chosen_by(key),
            "logs_in": self.whom().map(|whom| whom.json()),
            "identity": or_null(key.identity()),
            "endpoint": or_null(key.authority()),
            "resource": self.slot.resource().as_str(),
            "expires_on": self.expires.map(stamp),
            "expires_in": self.expires.map(|at| left(at).as_secs()),
            "refresh_in": self.expires.map(|_| self.refresh.as_secs()),
        });
        if with_claims {
            document["claims"] = json!(self.claims);
        }
        document
    }
}

/// Why it was this source.
fn chosen_by(key: &SourceKey) -> &str {
    match key.chosen_by() {
        "" => "the connection string asks for it",
        reason => reason,
    }
}

fn claim_rows(claims: &Claims) -> Vec<(&'static str, String)> {
    let texts = [
        ("aud", &claims.audience),
        ("iss", &claims.issuer),
        ("tid", &claims.tenant_id),
        ("appid", &claims.client_id),
        ("oid", &claims.object_id),
        ("xms_mirid", &claims.resource_id),
        ("idtyp", &claims.identity_type),
        ("upn", &claims.user_name),
        ("uti", &claims.token_id),
    ];
    let times = [
        ("iat", claims.issued),
        ("nbf", claims.not_before),
        ("exp", claims.expires),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name, printable(text.as_ref()?))));
    let times = times.into_iter().filter_map(|(name, at)| {
        let at = at?;
        // A time beyond the calendar is shown as the number that it is.
        let shown = Timestamp::from_second(at).map_or_else(|_| at.to_string(), |at| at.to_string());
        Some((name, shown))
    });
    texts.chain(times).collect()
}

fn table(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().fold(String::new(), |mut text, (name, value)| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:width$}  {value}");
        text
    })
}

/// Claims come from outside: a terminal must not obey them.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// RFC 3339 in UTC, to the second.
fn stamp(at: SystemTime) -> String {
    let seconds = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let stamp = i64::try_from(seconds)
        .ok()
        .and_then(|s| Timestamp::from_second(s).ok());
    stamp.map_or_else(|| seconds.to_string(), |stamp| stamp.to_string())
}

fn left(until: SystemTime) -> Duration {
    until.duration_since(SystemTime::now()).unwrap_or_default()
}

fn span(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{} s", time.as_secs()),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_two_units_at_most() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (86399, "23 h 59 min"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn claims_cannot_steer_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
