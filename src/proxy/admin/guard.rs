//! Who may ask: programs of this machine, and pages that came from here.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::page;

/// The longest that an answer may take to begin: readiness dials.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn check(request: Request, next: Next) -> Response {
    let mut response = match refusal(request.headers()) {
        Some(why) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
        None => match timeout(PATIENCE, next.run(request)).await {
            Ok(response) => response,
            Err(_) => (StatusCode::GATEWAY_TIMEOUT, "the answer took too long\n").into_response(),
        },
    };
    let headers = response.headers_mut();
    for (name, value) in precautions() {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, page::POLICY.clone());
    response
}

/// What every answer carries.
fn precautions() -> [(HeaderName, &'static str); 5] {
    [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ]
}

fn refusal(headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Some("one Host header is needed");
    };
    // A page of a stranger whose name was made to resolve to loopback still
    // sends that name.
    if !host.to_str().is_ok_and(names_this_machine) {
        return Some("the Host header does not name this machine; use localhost");
    }
    let says = |name: &str, values: &[&[u8]]| {
        headers
            .get(name)
            .is_some_and(|value| values.contains(&value.as_bytes()))
    };
    // A link from elsewhere may lead here; the scripts and images of a stranger may not.
    if says("sec-fetch-site", &[b"cross-site", b"same-site"])
        && !says("sec-fetch-mode", &[b"navigate"])
    {
        return Some("pages from elsewhere are not answered");
    }
    None
}

/// Whether a Host header names this machine, by any port: one that is forwarded
/// has another.
fn names_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_machine = || {
        let machine = hostname::get().ok();
        let machine = machine.as_deref().and_then(|machine| machine.to_str());
        machine.is_some_and(|machine| !machine.is_empty() && name.eq_ignore_ascii_case(machine))
    };
    ["localhost", "127.0.0.1", "::1"]
        .iter()
        .any(|ours| name.eq_ignore_ascii_case(ours))
        || is_machine()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_named() {
        for good in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:9464",
            "[::1]:1",
            "[::1]",
        ] {
            assert!(names_this_machine(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "[::2]",
            "::1",
        ] {
            assert!(!names_this_machine(bad), "{bad}");
        }
    }

    #[test]
    fn strangers_pages_may_link_here_and_nothing_else() {
        let asks = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, HeaderValue::from_static(value));
            }
            refusal(&headers).is_none()
        };
        let host = ("host", "localhost:1");
        assert!(asks(&[host]));
        assert!(asks(&[
            host,
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "cors")
        ]));
        assert!(asks(&[
            host,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate")
        ]));
        assert!(!asks(&[
            host,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "no-cors")
        ]));
        assert!(!asks(&[]));
        assert!(!asks(&[host, host]));
    }
}
