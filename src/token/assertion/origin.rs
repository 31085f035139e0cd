//! Where an assertion is from, and what makes it fit to be sent.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::super::claims::Claims;
use super::super::error::FetchError;
use super::AssertionError;
use crate::secret::Secret;

/// A source of assertions as errors name it, and how it renews them.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    name: String,
    /// What to do when an assertion has ended.
    renew: &'static str,
    /// What to check when what came is no assertion.
    check: &'static str,
}

impl Origin {
    pub(super) fn new(name: impl Into<String>, renew: &'static str, check: &'static str) -> Self {
        let name = name.into();
        Self { name, renew, check }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn failed(&self, reason: AssertionError) -> FetchError {
        FetchError::Assertion {
            origin: self.name.clone(),
            reason,
        }
    }

    /// An assertion that its issuer's endpoint did not give.
    pub(super) fn not_given(&self, reason: FetchError) -> FetchError {
        self.failed(AssertionError::Issuer(Box::new(reason)))
    }

    /// Takes a text for an assertion if it is one that has not ended.
    ///
    /// Entra would refuse it with less to say about where it is from. Whether the
    /// signature is good, and whether anyone trusts it, is for Entra to judge.
    pub(super) fn accept(&self, text: &str) -> Result<Secret, FetchError> {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == BYTE_ORDER_MARK);
        let advice = self.check;
        if text.is_empty() {
            return Err(self.failed(AssertionError::Empty { advice }));
        }
        if text.len() > MAX_ASSERTION {
            return Err(self.failed(AssertionError::TooLarge { max: MAX_ASSERTION }));
        }
        let length = text.len();
        let claims = claims(text);
        let claims =
            claims.ok_or_else(|| self.failed(AssertionError::NotAJwt { length, advice }))?;
        if let Some(by) = claims.expires.and_then(ended) {
            let advice = self.renew;
            return Err(self.failed(AssertionError::Expired { by, advice }));
        }
        Ok(Secret::new(text))
    }

    /// The same for what need not even be text.
    pub(super) fn accept_bytes(&self, bytes: &[u8]) -> Result<Secret, FetchError> {
        let no_jwt = |_| AssertionError::NotAJwt {
            length: bytes.len(),
            advice: self.check,
        };
        let text = std::str::from_utf8(bytes).map_err(|error| self.failed(no_jwt(error)))?;
        self.accept(text)
    }
}

/// The claims of a compact JWS (RFC 7515): a header that names an algorithm, an
/// object, and a signature.
fn claims(text: &str) -> Option<Claims> {
    let (header, rest) = text.split_once('.')?;
    let header = Zeroizing::new(URL_SAFE_NO_PAD.decode(header).ok()?);
    let header: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&header).ok()?;
    header.get("alg")?.as_str()?;
    let (_, signature) = rest.split_once('.')?;
    if signature.is_empty() {
        return None;
    }
    Claims::decode(text)
}

/// How long ago that moment was; `None` if it is still to come.
fn ended(seconds: i64) -> Option<Duration> {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let end = SystemTime::UNIX_EPOCH.checked_add(since)?;
    SystemTime::now().duration_since(end).ok()
}

/// What some editors and shells put before UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// No issuer's token is longer; Entra's own limit for a request is not far above.
pub(super) const MAX_ASSERTION: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::super::testing::jwt;
    use super::*;

    fn origin() -> Origin {
        Origin::new("the test", "renew it", "check it")
    }

    fn refused(text: &str) -> String {
        let error = origin().accept(text).unwrap_err();
        let FetchError::Assertion { origin, reason } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(origin, "the test");
        assert!(!format!("{error:?} {error} {reason}").contains("MARKER"));
        reason.to_string()
    }

    #[test]
    fn white_space_and_a_byte_order_mark_are_no_part_of_it() {
        let token = jwt(600, "s");
        for around in [("", "\n"), ("\u{feff}", "\r\n"), (" \t", "\u{a0}")] {
            let text = format!("{}{}{}", around.0, token, around.1);
            assert_eq!(origin().accept(&text).unwrap().expose(), token);
        }
    }

    #[test]
    fn the_end_is_checked_before_anything_is_sent() {
        let error = refused(&jwt(-300, "s"));
        assert!(error.starts_with("it ended 5 min ago"), "{error}");
        assert!(error.ends_with("renew it"), "{error}");
        assert!(origin().accept(&jwt(60, "s")).is_ok());
    }

    #[test]
    fn what_is_no_jwt_is_not_shown() {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let (header, body) = (
            encode(r#"{"alg":"RS256"}"#),
            encode(r#"{"exp":9999999999}"#),
        );
        for text in [
            "MARKER".to_owned(),
            "<html>MARKER</html>".to_owned(),
            format!("{header}.{body}"),
            format!("{header}.{body}."),
            format!("{header}.{}.MARKER", encode("MARKER")),
            format!("{}.{body}.MARKER", encode("{}")),
            format!("{header}.{body}.a.b.MARKER"),
        ] {
            let error = refused(&text);
            assert!(
                error.contains("no signed JWT") && error.ends_with("check it"),
                "{error}"
            );
        }
        let error = refused(" \n");
        assert!(error.starts_with("it is empty"), "{error}");
        assert!(refused(&"x".repeat(MAX_ASSERTION + 1)).contains("larger"));
        let error = origin().accept_bytes(b"\xff\xfeM").unwrap_err();
        assert!(
            matches!(
                &error,
                FetchError::Assertion {
                    reason: AssertionError::NotAJwt { length: 3, .. },
                    ..
                }
            ),
            "{error:?}"
        );
    }

    #[test]
    fn an_end_that_nobody_can_mean_is_no_panic() {
        for end in ["1e300", "-5", "9223372036854775807", "\"soon\""] {
            let text = format!(
                "{}.{}.c2ln",
                URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#),
                URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{end}}}"#))
            );
            // Only that it returns is asked.
            let _ = origin().accept(&text);
        }
    }
}
