//! What the endpoints that hand out assertions have in common.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::super::Sources;
use super::super::error::{FetchError, Reply};
use super::super::http::{HttpReply, Transport};
use super::super::reply::not_a_token_endpoint;

/// An address that a credential may be sent to, and the way there.
///
/// That is https anywhere, and plain http on this machine only, where runners
/// and agents listen.
pub(super) fn reach(
    sources: &Sources,
    address: &str,
) -> Result<(Url, Arc<dyn Transport>), &'static str> {
    let url = Url::parse(address).map_err(|_| "it cannot be parsed as a URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user or password; give credentials in a header");
    }
    match url.scheme() {
        "https" => Ok((url, Arc::clone(&sources.internet))),
        "http" if is_loopback(&url) => Ok((url, Arc::clone(&sources.local))),
        "http" => {
            Err("it is plain http to another machine, which would show the credential; use https")
        }
        _ => Err("it must begin with https://"),
    }
}

/// What a reply means that is not 200, by the rules that all of them follow.
///
/// `advice` is for a refusal (4xx); `ids` is what the operator's support asks for.
pub(super) fn judge(reply: &HttpReply, advice: &str, ids: &str) -> FetchError {
    let said = Reply::of(reply);
    match reply.status {
        429 => FetchError::Throttled {
            reply: said,
            retry_after: reply.retry_after,
        },
        408 | 500..=599 => FetchError::Unavailable {
            reply: said,
            advice: format!("try again later{ids}"),
        },
        300..=399 => FetchError::Refused {
            reply: said,
            advice: format!(
                "{} redirects, which is not followed, since the credential would go along; check \
                 that address: {advice}{ids}",
                reply.endpoint
            ),
        },
        400..=499 => FetchError::Refused {
            reply: said,
            advice: format!("{advice} (asked: {}){ids}", reply.endpoint),
        },
        _ => not_a_token_endpoint(reply),
    }
}

/// The text at a JSON pointer (RFC 6901) of a reply.
pub(super) fn text_at(
    reply: &HttpReply,
    pointer: &str,
    field: &'static str,
) -> Result<Zeroizing<String>, FetchError> {
    let mut body: Value =
        serde_json::from_slice(&reply.body).map_err(|_| not_a_token_endpoint(reply))?;
    // Taken out of the tree, so that it is wiped.
    match body.pointer_mut(pointer).map(Value::take) {
        Some(Value::String(text)) => Ok(Zeroizing::new(text)),
        _ => Err(FetchError::Malformed {
            endpoint: reply.endpoint.clone(),
            field,
        }),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}
