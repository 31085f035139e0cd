//! What identity endpoints answer: a token, or one of several kinds of error.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::error::{FetchError, Reply};
use super::http::HttpReply;
use super::{AccessToken, expiry};
use crate::secret::Secret;

/// A token as an endpoint of the v1 style gives it, with the ids it echoes.
#[derive(Debug)]
pub(super) struct TokenReply {
    pub(super) token: AccessToken,
    pub(super) client_id: Option<String>,
    pub(super) object_id: Option<String>,
    pub(super) resource_id: Option<String>,
}

impl TokenReply {
    /// Reads the body of a reply with status 200.
    pub(super) fn read(reply: &HttpReply, now: SystemTime) -> Result<Self, FetchError> {
        let malformed = |field| FetchError::Malformed {
            endpoint: reply.endpoint.clone(),
            field,
        };
        let raw: Raw = match serde_json::from_slice(&reply.body) {
            Ok(raw) => raw,
            Err(error) if error.is_data() && is_object(&reply.body) => {
                return Err(malformed("access_token"));
            }
            Err(_) => return Err(not_a_token_endpoint(reply)),
        };
        let secret = raw.access_token.filter(|secret| !secret.is_empty());
        let secret = secret.ok_or_else(|| malformed("access_token"))?;
        let expires_on = raw
            .expires_on
            .as_ref()
            .and_then(|v| expiry::expires_on(v, now));
        let expires_on = expires_on
            .or_else(|| now.checked_add(seconds(raw.expires_in.as_ref()?)?))
            .or_else(|| jwt_expiry(&secret))
            .ok_or_else(|| malformed("expires_on"))?;
        let mut token = lasting_until(secret, expires_on, now)?;
        if let Some(refresh_in) = raw.refresh_in.as_ref().and_then(seconds) {
            token = token.with_refresh_in(refresh_in);
        }
        Ok(Self {
            token,
            client_id: text(raw.client_id),
            object_id: text(raw.object_id),
            resource_id: text(raw.msi_res_id).or_else(|| text(raw.mi_res_id)),
        })
    }
}

/// A token with its end; one from the past is an error.
pub(super) fn lasting_until(
    secret: Secret,
    expires_on: SystemTime,
    now: SystemTime,
) -> Result<AccessToken, FetchError> {
    match expires_on.duration_since(now) {
        Ok(lifetime) if !lifetime.is_zero() => Ok(AccessToken::new(secret, lifetime)),
        Ok(_) => Err(FetchError::AlreadyExpired { by: Duration::ZERO }),
        Err(past) => Err(FetchError::AlreadyExpired {
            by: past.duration(),
        }),
    }
}

impl Reply {
    /// Reads an error in any of the forms that endpoints use; `None` if the
    /// body is not a JSON object.
    ///
    /// The forms: `error` with `error_description`; an `error` object with
    /// `code` and `message`; `statusCode` with `message`; an `error` that is a
    /// sentence. Names have no case: App Service's first form says `Message`.
    pub(crate) fn read(reply: &HttpReply) -> Option<Self> {
        let body: serde_json::Map<String, Value> = serde_json::from_slice(&reply.body).ok()?;
        let inner = body.get("error").and_then(Value::as_object);
        let find = |name: &str| {
            let value = inner
                .and_then(|error| field(error, name))
                .or_else(|| field(&body, name));
            value
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let error = body.get("error").and_then(Value::as_str);
        let (code, sentence) = match error {
            Some(text) if text.contains(' ') => (None, Some(text)),
            other => (other, None),
        };
        // Endpoints repeat what they were sent when they find fault with it.
        let clean = |text: &str| tidy(&reply.without_proofs(text));
        Some(Self {
            status: reply.status,
            code: code.or_else(|| find("code")).map(clean),
            message: find("error_description")
                .or_else(|| find("message"))
                .or(sentence)
                .map(clean),
        })
    }

    /// Like [`read`](Self::read), with the bare status for what is no JSON.
    pub(crate) fn of(reply: &HttpReply) -> Self {
        Self::read(reply).unwrap_or(Self {
            status: reply.status,
            ..Self::default()
        })
    }
}

pub(super) fn not_a_token_endpoint(reply: &HttpReply) -> FetchError {
    FetchError::NotATokenEndpoint {
        endpoint: reply.endpoint.clone(),
        status: reply.status,
    }
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default, deserialize_with = "secret")]
    access_token: Option<Secret>,
    expires_on: Option<Value>,
    expires_in: Option<Value>,
    refresh_in: Option<Value>,
    client_id: Option<Value>,
    object_id: Option<Value>,
    msi_res_id: Option<Value>,
    mi_res_id: Option<Value>,
}

/// The text becomes a `Secret` at once, so that no way out leaves it in memory.
pub(super) fn secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

/// The first field of this name, whatever its case.
fn field<'a>(object: &'a serde_json::Map<String, Value>, name: &str) -> Option<&'a Value> {
    let mut all = object.iter();
    all.find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

fn is_object(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"{")
}

fn seconds(value: &Value) -> Option<Duration> {
    expiry::seconds(value).map(Duration::from_secs)
}

/// The signature is not checked: the endpoint is trusted anyway, and the server
/// checks the token.
pub(super) fn jwt_expiry(secret: &Secret) -> Option<SystemTime> {
    let expires = super::claims::Claims::decode(secret.expose())?.expires?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(expires).ok()?))
}

fn text(value: Option<Value>) -> Option<String> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// Puts asterisks in place of the proof, in clear or as it was encoded, and of
/// anything that looks like a JWT.
pub(super) fn strike_out(text: &str, proof: &str) -> String {
    let mut text = text.to_owned();
    if !proof.is_empty() {
        let encoded =
            percent_encoding::utf8_percent_encode(proof, percent_encoding::NON_ALPHANUMERIC);
        let encoded = encoded.to_string();
        let form: String = url::form_urlencoded::byte_serialize(proof.as_bytes()).collect();
        for form in [proof, &encoded, &form] {
            text = text.replace(form, "***");
        }
    }
    let is_jwt = |word: &str| word.starts_with("eyJ") && word.len() >= 16;
    let within = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut struck = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| !within(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end.max(first.len_utf8()));
        struck.push_str(if is_jwt(word) { "***" } else { word });
        rest = after;
    }
    struck
}

/// One line of at most 300 characters, fit for a terminal and a log.
pub(super) fn tidy(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable
        .take(MAX_TEXT)
        .collect::<String>()
        .trim()
        .to_owned()
}

const MAX_TEXT: usize = 300;

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use zeroize::Zeroizing;

    use super::*;

    const NOW: u64 = 1_789_913_600;

    fn reply(status: u16, body: &str) -> HttpReply {
        HttpReply {
            headers: reqwest::header::HeaderMap::new(),
            endpoint: "http://h/p".into(),
            status,
            retry_after: None,
            proofs: Vec::new(),
            body: Zeroizing::new(body.as_bytes().to_vec()),
        }
    }

    fn read(body: &str) -> Result<TokenReply, FetchError> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        TokenReply::read(&reply(200, body), now)
    }

    fn lifetime(body: &str) -> u64 {
        let token = read(body).unwrap().token;
        (token.expires_at() - token.obtained_at()).as_secs()
    }

    #[test]
    fn reads_the_replies_of_imds_and_app_service() {
        let imds = read(
            r#"{"access_token":"eyJ","refresh_token":"","expires_in":"86399","expires_on":"1790000000",
                "not_before":"1789913300","resource":"https://database.windows.net/","token_type":"Bearer"}"#,
        )
        .unwrap();
        assert_eq!(imds.token.secret().expose(), "eyJ");
        assert_eq!(imds.client_id, None);
        let app = read(
            r#"{"access_token":"eyJ","client_id":"c","expires_on":"1/16/2027 5:24:12 AM +00:00","mi_res_id":"/r"}"#,
        )
        .unwrap();
        assert_eq!(
            (app.client_id.as_deref(), app.resource_id.as_deref()),
            (Some("c"), Some("/r"))
        );
    }

    #[test]
    fn the_end_comes_from_the_best_field_there_is() {
        assert_eq!(
            lifetime(r#"{"access_token":"t","expires_on":1789917200,"expires_in":5}"#),
            3600
        );
        assert_eq!(
            lifetime(r#"{"access_token":"t","expires_in":"3599"}"#),
            3599
        );
        assert_eq!(
            lifetime(r#"{"access_token":"t","expires_on":null,"expires_in":3599}"#),
            3599
        );
        assert_eq!(
            lifetime(r#"{"access_token":"t","expires_on":"soon","expires_in":60}"#),
            60
        );
        let jwt = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{}}}"#, NOW + 77));
        assert_eq!(
            lifetime(&format!(r#"{{"access_token":"e30.{jwt}.s"}}"#)),
            77
        );
    }

    #[test]
    fn refresh_in_is_heeded() {
        let token = read(r#"{"access_token":"t","expires_in":86400,"refresh_in":"7200"}"#)
            .unwrap()
            .token;
        assert_eq!((token.refresh_at() - token.obtained_at()).as_secs(), 7200);
    }

    #[test]
    fn a_token_from_the_past_blames_the_clock() {
        let error = read(r#"{"access_token":"t","expires_on":"1789906400"}"#).unwrap_err();
        assert!(matches!(error, FetchError::AlreadyExpired { by } if by.as_secs() == 7200));
        assert!(error.to_string().contains("clock"), "{error}");
    }

    #[test]
    fn what_is_no_token_is_named() {
        for (body, field) in [
            ("{}", "access_token"),
            (r#"{"access_token":""}"#, "access_token"),
            (r#"{"access_token":null}"#, "access_token"),
            (r#"{"access_token":7}"#, "access_token"),
            (r#"{"access_token":"MARKER"}"#, "expires_on"),
            (r#"{"access_token":"MARKER","expires_in":-5}"#, "expires_on"),
        ] {
            let error = read(body).unwrap_err();
            assert!(
                matches!(&error, FetchError::Malformed { field: f, .. } if *f == field),
                "{body}: {error:?}"
            );
            assert!(!format!("{error:?} {error}").contains("MARKER"));
        }
        for body in [
            "",
            "<html>",
            "null",
            "[]",
            "\"eyJ\"",
            "{",
            "{\"access_token\":\"t",
            "\u{0}",
        ] {
            let error = read(body).unwrap_err();
            assert!(
                matches!(error, FetchError::NotATokenEndpoint { status: 200, .. }),
                "{body}: {error:?}"
            );
        }
    }

    #[test]
    fn reads_each_form_of_error() {
        let read = |body: &str| {
            let found = Reply::read(&reply(400, body)).unwrap();
            (found.code, found.message)
        };
        let pair = |code: &str, message: &str| (Some(code.to_owned()), Some(message.to_owned()));
        assert_eq!(
            read(r#"{"error":"invalid_request","error_description":"Identity not found"}"#),
            pair("invalid_request", "Identity not found")
        );
        assert_eq!(
            read(r#"{"error":{"code":"C","message":"m"}}"#),
            pair("C", "m")
        );
        assert_eq!(
            read(r#"{"StatusCode":400,"Message":"m","CorrelationId":"x"}"#),
            (None, Some("m".into()))
        );
        assert_eq!(
            read(r#"{"statusCode":500,"message":"m","correlationId":"x"}"#),
            (None, Some("m".to_owned()))
        );
        assert_eq!(
            read(r#"{"error":"Bad request. api-version was not specified","newest-versions":[]}"#),
            (
                None,
                Some("Bad request. api-version was not specified".to_owned())
            )
        );
        assert_eq!(read(r#"{"error":7,"message":[]}"#), (None, None));
        assert_eq!(Reply::read(&reply(400, "plain")), None);
    }

    #[test]
    fn long_and_dirty_texts_are_tidied() {
        let body = format!(
            r#"{{"error":"e","message":"a\nb\u001b[31m{}"}}"#,
            "x".repeat(5000)
        );
        let message = Reply::read(&reply(400, &body)).unwrap().message.unwrap();
        assert_eq!(message.chars().count(), 300);
        assert!(!message.contains(['\n', '\u{1b}']));
    }

    proptest::proptest! {
        #[test]
        fn no_reply_makes_the_reader_panic(
            status: u16, body in "\\PC{0,60}", expires_on in "\\PC{0,40}", number: f64,
        ) {
            let number = serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number);
            let bodies = [
                body.clone(),
                serde_json::json!({"access_token": body, "expires_on": expires_on}).to_string(),
                serde_json::json!({"access_token": body, "expires_in": number}).to_string(),
                serde_json::json!({"error": {"code": body}, "message": number}).to_string(),
            ];
            for body in &bodies {
                let reply = reply(status, body);
                // Only that these return is asked: the texts mean nothing.
                let _ = TokenReply::read(&reply, SystemTime::now());
                let _ = Reply::of(&reply).to_string();
            }
        }

        #[test]
        fn any_text_is_a_token_without_harm(text in "[a-zA-Z0-9_.{}\":-]{0,80}") {
            let _ = super::super::claims::Claims::decode(&text);
        }
    }
}
