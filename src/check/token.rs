//! The token: which source gives it, and how fast.

use std::time::{Duration, SystemTime};

use tokio::time::timeout;

use super::Options;
use super::finding::{Failed, Finding, Kind};
use crate::causes::{below, chain};
use crate::dial::token_source;
use crate::dial::walk::Walk;
use crate::target::{Auth, Target};
use crate::token::{AccessToken, Claims, FetchError, SourceKey, TokenCache, TokenError, TokenSlot};

/// A source that takes longer is slow: the first login waits for it.
const SLOW: Duration = Duration::from_secs(1);

/// A token in hand, and where there are more.
pub(super) struct Held {
    pub(super) slot: TokenSlot,
    pub(super) token: AccessToken,
    pub(super) claims: Option<Claims>,
}

pub(super) async fn check(
    walk: &mut Walk,
    options: &Options,
    target: &Target,
    finding: &mut Finding,
) -> Result<Option<Held>, Failed> {
    if !target.auth.uses_token() {
        finding.skip("the login is by user and password");
        return Ok(None);
    }
    let source = token_source(target, &options.sources).map_err(|error| failed(&error, finding))?;
    let slot = TokenCache::new().slot(source, target.cloud);
    let limit = options.limit(target);
    let start = tokio::time::Instant::now();
    let token = match timeout(limit, slot.get()).await {
        Ok(answer) => answer.map_err(|error| failed(&error, finding))?,
        Err(_) => return Err(late(limit, &slot, finding)),
    };
    walk.with_token(slot.clone());
    let key = slot.answered_by();
    note(&key, finding);
    let expires = token.expires_on();
    finding.fact("expires", stamp(expires));
    finding.saw(format!("from {key}, {}", chosen_by(&key)));
    if start.elapsed() > SLOW {
        finding.warn(
            "the token took long, and the first login of a program waits for it",
            "check the identity endpoint by `entrada token`; name the source in Authentication instead of the default chain, which asks one after the other",
        );
    }
    let claims = token.claims();
    Ok(Some(Held {
        slot,
        token,
        claims,
    }))
}

fn note(key: &SourceKey, finding: &mut Finding) {
    finding.fact("source", key.source().to_owned());
    finding.fact("chosen_by", chosen_by(key));
    finding.fact("identity", text(key.identity()));
    finding.fact("endpoint", text(key.authority()));
}

fn chosen_by(key: &SourceKey) -> String {
    match key.chosen_by() {
        "" => "which the connection string asks for".to_owned(),
        reason => format!("since {reason}"),
    }
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn late(limit: Duration, slot: &TokenSlot, finding: &mut Finding) -> Failed {
    note(slot.key(), finding);
    let mut cause = format!(
        "{} gave no token within {} s",
        slot.key(),
        limit.as_secs_f32()
    );
    if let Some(trouble) = slot.trouble() {
        cause = format!("{cause}: {}", chain(&trouble));
    }
    Failed::new(
        Kind::Auth,
        cause,
        "check the identity endpoint by `entrada token CONN`; if it is merely slow, raise Connect Timeout or --timeout",
    )
}

fn failed(error: &TokenError, finding: &mut Finding) -> Failed {
    finding.saw("there is no token");
    let (cause, fix) = match error {
        TokenError::Exhausted { tried, .. } => {
            let each: Vec<String> = tried
                .iter()
                .map(|attempt| format!("{}: {}", attempt.origin, below(&attempt.error)))
                .collect();
            finding.fact("tried", each.clone());
            (
                format!("none of {} sources gave a token: {}", each.len(), each.join("; ")),
                "sign in (`az login`) on a developer's machine; in Azure assign a managed identity to the machine and name it, Authentication=ActiveDirectoryMSI; `entrada token --sources` shows what each source needs".to_owned(),
            )
        }
        error => {
            if let TokenError::Fetch { origin, .. } | TokenError::Setup { origin, .. } = error {
                note(origin, finding);
            }
            (chain(error), error.reason().map_or(GENERAL, fix).to_owned())
        }
    };
    Failed::new(Kind::Auth, cause, fix)
}

const GENERAL: &str = "`entrada token --sources` shows the sources of this machine and how a connection string asks for each";

fn fix(reason: &FetchError) -> &'static str {
    match reason {
        FetchError::GaveUp { last, .. } => fix(last),
        FetchError::IdentityNotFound { .. } => {
            "assign that identity to this machine or service, or correct its id in the connection string (`az identity list` shows client ids)"
        }
        FetchError::AlreadyExpired { .. } => "set this machine's clock",
        FetchError::GivenTokenExpired => "give a fresh token",
        FetchError::MissingTenant => {
            "name the tenant in the connection string, or set AZURE_TENANT_ID"
        }
        FetchError::Entra { .. } => {
            "mend the application in Entra as said; its sign-in log shows each refusal"
        }
        FetchError::NoEndpoint { .. } | FetchError::Connect { .. } => {
            "run this where the identity is assigned (a virtual machine, App Service, AKS, Arc); elsewhere use Authentication=ActiveDirectoryDefault and sign in, as by `az login`"
        }
        _ => GENERAL,
    }
}

fn stamp(at: SystemTime) -> Option<String> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let seconds = i64::try_from(since.as_secs()).ok()?;
    let stamp = jiff::Timestamp::from_second(seconds).ok()?;
    Some(stamp.to_string())
}

/// A method whose token the caller brings, and may have brought a wrong one.
pub(super) fn is_given(auth: &Auth) -> bool {
    matches!(auth, Auth::AccessToken(_) | Auth::Callback)
}
