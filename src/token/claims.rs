//! What a JWT says about itself, decoded for people to read.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Serialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// The claims of an access token that help to understand a refused login.
///
/// Nothing is verified: neither signature, nor times, nor audience. Never base
/// a decision on these beyond what to print. Times are seconds since 1970, UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Claims {
    /// `aud`: whom the token is for.
    #[serde(rename = "aud", skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// `iss`: who issued it.
    #[serde(rename = "iss", skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// `tid`: the tenant.
    #[serde(rename = "tid", skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// `appid`, or `azp` in v2 tokens: the client id of the caller.
    #[serde(rename = "appid", skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// `oid`: the object id of the service principal or user.
    #[serde(rename = "oid", skip_serializing_if = "Option::is_none")]
    pub object_id: Option<String>,
    /// `xms_mirid`: the resource id of the managed identity.
    #[serde(rename = "xms_mirid", skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// `idtyp`: `app` for tokens of applications.
    #[serde(rename = "idtyp", skip_serializing_if = "Option::is_none")]
    pub identity_type: Option<String>,
    /// `upn`, or `unique_name`: the user, in a user's token.
    #[serde(rename = "upn", skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// `uti`: the token's own id, which Microsoft's support asks for.
    #[serde(rename = "uti", skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// `exp`: when the token ends.
    #[serde(rename = "exp", skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// `nbf`: when it begins to be valid.
    #[serde(rename = "nbf", skip_serializing_if = "Option::is_none")]
    pub not_before: Option<i64>,
    /// `iat`: when it was issued.
    #[serde(rename = "iat", skip_serializing_if = "Option::is_none")]
    pub issued: Option<i64>,
}

impl Claims {
    /// Decodes the payload of a JWT; `None` if the text is not one.
    pub(super) fn decode(token: &str) -> Option<Self> {
        let claims = payload(token)?;
        Some(Self {
            audience: text(&claims, "aud"),
            issuer: text(&claims, "iss"),
            tenant_id: text(&claims, "tid"),
            client_id: text(&claims, "appid").or_else(|| text(&claims, "azp")),
            object_id: text(&claims, "oid"),
            resource_id: text(&claims, "xms_mirid"),
            identity_type: text(&claims, "idtyp"),
            user_name: text(&claims, "upn").or_else(|| text(&claims, "unique_name")),
            token_id: text(&claims, "uti"),
            expires: time(&claims, "exp"),
            not_before: time(&claims, "nbf"),
            issued: time(&claims, "iat"),
        })
    }
}

/// The claims of a JWT as they stand; `None` if the text is not one.
pub(super) fn payload(token: &str) -> Option<Map<String, Value>> {
    let mut parts = token.trim().split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let bytes = Zeroizing::new(BASE64URL.decode(payload).ok()?);
    serde_json::from_slice(&bytes).ok()
}

pub(super) fn text(claims: &Map<String, Value>, name: &str) -> Option<String> {
    match claims.get(name)? {
        Value::String(text) => Some(text.clone()),
        // RFC 7519 4.1.3 allows a list of audiences.
        Value::Array(list) => {
            let texts: Vec<_> = list.iter().filter_map(Value::as_str).collect();
            (!texts.is_empty()).then(|| texts.join(" "))
        }
        _ => None,
    }
}

/// RFC 7519 allows fractions of a second.
pub(super) fn time(claims: &Map<String, Value>, name: &str) -> Option<i64> {
    let value = claims.get(name)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the cast saturates, and this is for display"
    )]
    value
        .as_i64()
        .or_else(|| value.as_f64().map(|seconds| seconds as i64))
}

/// JWTs have no padding; some test doubles add it.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(payload: &str) -> String {
        format!("e30.{}.c2ln", BASE64URL.encode(payload))
    }

    #[test]
    fn reads_both_token_versions() {
        let v1 = Claims::decode(&jwt(
            r#"{"aud":"https://database.windows.net/","iss":"https://sts.windows.net/t/","tid":"t",
               "appid":"c","oid":"o","xms_mirid":"/subscriptions/s","idtyp":"app","exp":20,"nbf":10,"iat":10.5,"uti":"u"}"#,
        ))
        .unwrap();
        assert_eq!(v1.client_id.as_deref(), Some("c"));
        assert_eq!(v1.resource_id.as_deref(), Some("/subscriptions/s"));
        assert_eq!(
            (v1.expires, v1.not_before, v1.issued),
            (Some(20), Some(10), Some(10))
        );
        let v2 =
            Claims::decode(&jwt(r#"{"azp":"c2","aud":["a","b"],"unique_name":"me@x"}"#)).unwrap();
        assert_eq!(v2.client_id.as_deref(), Some("c2"));
        assert_eq!(v2.audience.as_deref(), Some("a b"));
        assert_eq!(v2.user_name.as_deref(), Some("me@x"));
    }

    #[test]
    fn what_is_no_jwt_has_no_claims() {
        for text in [
            "",
            "opaque",
            "a.b",
            "a.b.c.d",
            "e30.***.x",
            "e30.e30.x.y",
            "e30.W10.x",
        ] {
            assert_eq!(Claims::decode(text), None, "{text:?}");
        }
        assert_eq!(Claims::decode("e30.e30.x"), Some(Claims::default()));
        let odd = Claims::decode(&jwt(r#"{"exp":"soon","aud":7,"oid":null,"nbf":1e300}"#)).unwrap();
        assert_eq!((odd.expires, odd.audience), (None, None));
    }
}
