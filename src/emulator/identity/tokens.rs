//! Access tokens with the claims that Azure puts into those of managed identities.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::keys::SigningKey;
use super::managed_identity::ManagedIdentity;
use crate::Secret;
use crate::emulator::{Clock, EmulatorError};

/// A token that was issued, and when it is valid.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IssuedToken {
    /// The JWT.
    pub token: Secret,
    /// Start of its validity (claim `nbf`), seconds since 1970.
    pub not_before: i64,
    /// End of its validity (claim `exp`), seconds since 1970.
    pub expires_on: i64,
    /// Seconds from the moment of issue to the end of its validity.
    pub expires_in: i64,
}

/// Issues tokens of one tenant.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) tenant_id: Uuid,
    pub(crate) key: SigningKey,
    pub(crate) clock: Clock,
    pub(crate) lifetime: Duration,
}

impl Issuer {
    /// A version 1.0 token for a managed identity, its audience written as it was asked for.
    pub(crate) fn issue(
        &self,
        identity: &ManagedIdentity,
        audience: &str,
    ) -> Result<IssuedToken, EmulatorError> {
        let now = self.clock.now();
        let expires_in = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
        let expires_on = now.saturating_add(expires_in);
        // Entra dates tokens back by five minutes, for clocks that run late.
        let not_before = now - 300;
        let claims = self.claims(identity, audience, not_before, expires_on);
        Ok(IssuedToken {
            token: self.key.sign(&claims)?,
            not_before,
            expires_on,
            expires_in,
        })
    }

    /// The `iss` of this tenant's version 1.0 tokens.
    pub(crate) fn issuer(&self) -> String {
        format!("https://sts.windows.net/{}/", self.tenant_id)
    }

    fn claims(&self, identity: &ManagedIdentity, audience: &str, nbf: i64, exp: i64) -> Value {
        let mut claims = json!({
            "aud": audience,
            "iss": self.issuer(),
            "iat": nbf,
            "nbf": nbf,
            "exp": exp,
            "aio": short_id(),
            "appid": identity.client_id,
            // 2: the application proved itself by certificate, as managed identities do.
            "appidacr": "2",
            "idp": self.issuer(),
            "idtyp": "app",
            "oid": identity.object_id,
            "rh": format!("1.{}.", short_id()),
            "sub": identity.object_id,
            "tid": self.tenant_id,
            "uti": short_id(),
            "ver": "1.0",
            "xms_idrel": "7 24",
            "xms_mirid": identity.resource_id,
        });
        if !identity.groups.is_empty() {
            claims["groups"] = json!(identity.groups);
        }
        claims
    }
}

/// 16 random bytes in the form that Entra uses for `uti`.
fn short_id() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes())
}
