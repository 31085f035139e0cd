//! What Entra says when it gives no token.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use super::super::error::Coarse;
use super::super::http::HttpReply;
use super::super::reply::{strike_out, tidy};
use super::advice::{self, Advice, Again};

/// A refusal by Entra, with what its support asks for.
///
/// Texts are cut to 300 characters, hold no line breaks, and none of what was
/// sent as a proof.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntraRefusal {
    /// The HTTP status.
    pub status: u16,
    /// The error of OAuth 2.0: `invalid_client`, say.
    pub error: Option<String>,
    /// The numbers of Entra's own codes, without `AADSTS`.
    pub codes: Vec<u32>,
    /// The error's text.
    pub message: Option<String>,
    /// Names the request in Entra's logs.
    pub correlation_id: Option<String>,
    /// Names the reply in Entra's logs.
    pub trace_id: Option<String>,
    /// When Entra answered, by its own clock.
    pub timestamp: Option<String>,
    /// How long it wants to be left alone, if it said so.
    pub retry_after: Option<Duration>,
    /// What to do about it.
    pub advice: String,
}

impl EntraRefusal {
    /// Reads a refusal; `None` if the body is not a JSON object. Whatever of
    /// `proof` the endpoint repeats is struck out.
    pub(super) fn read(reply: &HttpReply, proof: &str) -> Option<Self> {
        let body: Map<String, Value> = serde_json::from_slice(&reply.body).ok()?;
        let text = |name: &str| body.get(name)?.as_str().filter(|text| !text.is_empty());
        let clean = |text: &str| tidy(&strike_out(text, proof));
        let message = text("error_description").map(|text| clean(without_trailer(text)));
        let codes = codes(&body, message.as_deref());
        let echoed = || reply.header("client-request-id");
        let id = |text: &str| id(&strike_out(text, proof));
        Some(Self {
            status: reply.status,
            error: text("error").map(clean),
            message,
            correlation_id: text("correlation_id").or_else(echoed).and_then(id),
            trace_id: text("trace_id").and_then(id),
            timestamp: text("timestamp").and_then(id),
            retry_after: reply.retry_after,
            advice: match advice::of(&codes) {
                Some(advice) => advice.text.to_owned(),
                None => general_advice(text("error"), &codes),
            },
            codes,
        })
    }

    /// What is known about the codes.
    pub(super) fn known(&self) -> Option<Advice> {
        advice::of(&self.codes)
    }

    /// Whether the same request may succeed soon with nothing changed.
    pub(in super::super) fn is_transient(&self) -> bool {
        let soon = matches!(
            self.known().map(|advice| advice.again),
            Some(Again::Soon | Again::WhileFresh | Again::AfterPause)
        );
        soon || self.is_busy() || matches!(self.status, 429 | 500..=599)
    }

    /// Whether OAuth's own code says that it will pass.
    pub(super) fn is_busy(&self) -> bool {
        self.error.as_deref() == Some("temporarily_unavailable")
    }
}

impl fmt::Display for EntraRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        if let Some(error) = &self.error {
            write!(f, ", {error}")?;
        }
        match &self.message {
            // The text names the code by itself, as a rule.
            Some(message) => write!(f, ", \"{message}\"")?,
            None => {
                for code in &self.codes {
                    write!(f, ", AADSTS{code}")?;
                }
            }
        }
        let ids = [
            ("correlation id", &self.correlation_id),
            ("trace id", &self.trace_id),
            ("at", &self.timestamp),
        ];
        let ids = ids
            .iter()
            .filter_map(|(name, id)| Some((name, id.as_ref()?)));
        let ids: Vec<_> = ids.map(|(name, id)| format!("{name} {id}")).collect();
        if !ids.is_empty() {
            write!(f, " ({})", ids.join(", "))?;
        }
        match self.retry_after {
            Some(time) => write!(f, ", to be asked again after {}", Coarse(time)),
            None => Ok(()),
        }
    }
}

fn general_advice(error: Option<&str>, codes: &[u32]) -> String {
    match (error, codes.first()) {
        (Some("temporarily_unavailable"), _) => "Entra is busy; try again later".to_owned(),
        (_, Some(code)) => {
            format!("about this code see https://login.microsoftonline.com/error?code={code}")
        }
        _ => "check the client id, the tenant and the credential".to_owned(),
    }
}

/// The codes as numbers, else as the text begins.
fn codes(body: &Map<String, Value>, message: Option<&str>) -> Vec<u32> {
    let listed = body.get("error_codes").and_then(Value::as_array);
    let listed: Vec<_> = listed.into_iter().flatten().filter_map(number).collect();
    if !listed.is_empty() {
        return listed;
    }
    let named = message.and_then(|text| text.strip_prefix("AADSTS"));
    let digits = named.and_then(|text| text.split(|c: char| !c.is_ascii_digit()).next());
    digits
        .and_then(|digits| digits.parse().ok())
        .into_iter()
        .collect()
}

fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64()?.try_into().ok(),
    }
}

/// The text repeats the ids at its end, which have their own fields.
fn without_trailer(text: &str) -> &str {
    text.split("Trace ID:").next().unwrap_or(text).trim_end()
}

/// An id or a time, and nothing else.
fn id(text: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.' | ' ' | '+');
    let fits = text.len() <= 64 && text.chars().all(allowed);
    fits.then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::reply;
    use super::*;

    #[test]
    fn a_refusal_tells_all_that_support_asks_for() {
        let body = r#"{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys for app 'x' are expired.\r\nTrace ID: 0-1\r\nCorrelation ID: 2-3\r\nTimestamp: 2026-01-02 03:04:05Z","error_codes":[7000222],"timestamp":"2026-01-02 03:04:05Z","trace_id":"0-1","correlation_id":"2-3","error_uri":"https://login.microsoftonline.com/error?code=7000222"}"#;
        let refusal = EntraRefusal::read(&reply(401, body), "").unwrap();
        assert_eq!(refusal.codes, [7_000_222]);
        assert_eq!(
            refusal.to_string(),
            "status 401, invalid_client, \"AADSTS7000222: The provided client secret keys for app \
             'x' are expired.\" (correlation id 2-3, trace id 0-1, at 2026-01-02 03:04:05Z)"
        );
        assert!(refusal.advice.contains("expired") && !refusal.is_transient());
    }

    #[test]
    fn what_is_missing_or_odd_does_no_harm() {
        let read = |body: &str| EntraRefusal::read(&reply(400, body), "");
        for no in ["", "<html>", "[]", "null", "{"] {
            assert_eq!(read(no), None, "{no}");
        }
        let bare = read("{}").unwrap();
        assert_eq!(bare.to_string(), "status 400");
        let odd = r#"{"error":7,"error_codes":["700016",-1,1e99,{}],"trace_id":"<script>","correlation_id":["x"]}"#;
        let odd = read(odd).unwrap();
        assert_eq!((&*odd.codes, odd.trace_id.as_ref()), (&[700_016][..], None));
        assert_eq!(odd.to_string(), "status 400, AADSTS700016");
        let named = read(r#"{"error_description":"AADSTS90002: Tenant 'x' not found."}"#).unwrap();
        assert_eq!(named.codes, [90_002]);
        let unknown = read(r#"{"error":"invalid_grant","error_codes":[42]}"#).unwrap();
        assert!(
            unknown.advice.ends_with("error?code=42"),
            "{}",
            unknown.advice
        );
    }

    #[test]
    fn what_was_sent_as_a_proof_is_struck_out_of_all_texts() {
        let proof = "MARKER~a+b/c=";
        let body = serde_json::json!({
            "error": proof,
            "error_description": format!(
                "{}AADSTS1: bad '{proof}', MARKER%7Ea%2Bb%2Fc%3D, {}",
                "x".repeat(290),
                "eyJhbGciOiJSUzI1NiJ9.eyJtYXJrZXIiOiJNQVJLRVIifQ.c2ln",
            ),
            "trace_id": proof, "correlation_id": proof, "timestamp": proof,
        });
        let refusal = EntraRefusal::read(&reply(400, &body.to_string()), proof).unwrap();
        let shown = format!("{refusal} {refusal:?}");
        assert!(
            !shown.contains("MARKER") && !shown.contains("eyJ"),
            "{shown}"
        );
        let text = strike_out("say 'eyJhbGciOiJSUzI1NiJ9.e30.c2ln' é", "");
        assert_eq!(text, "say '***' é");
    }

    #[test]
    fn what_will_pass_is_transient() {
        let read = |status, body: &str| EntraRefusal::read(&reply(status, body), "").unwrap();
        for (status, body, transient) in [
            (400, r#"{"error":"temporarily_unavailable"}"#, true),
            (400, r#"{"error_codes":[90033]}"#, true),
            (400, r#"{"error_codes":[70021]}"#, true),
            (429, "{}", true),
            (503, "{}", true),
            (400, r#"{"error":"invalid_request"}"#, false),
            (401, r#"{"error_codes":[7000215]}"#, false),
        ] {
            assert_eq!(
                read(status, body).is_transient(),
                transient,
                "{status} {body}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_refusal_makes_the_reader_panic(
            status: u16, text in "\\PC{0,60}", proof in "\\PC{0,5}", code: u64,
        ) {
            let body = serde_json::json!({
                "error": text, "error_description": text, "error_codes": [code, text],
                "trace_id": text,
            });
            for body in [body.to_string(), text] {
                if let Some(refusal) = EntraRefusal::read(&reply(status, &body), &proof) {
                    // Only that it can be shown is asked.
                    let _ = refusal.to_string();
                }
            }
        }
    }
}
