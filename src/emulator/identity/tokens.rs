//! Access tokens with the claims that Azure puts into those of managed identities.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::keys::SigningKey;
use super::managed_identity::ManagedIdentity;
use super::{EXCHANGE_APP, EXCHANGE_AUDIENCE};
use crate::Secret;
use crate::emulator::{Clock, EmulatorError, EntraPrincipal};

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

/// Who an application is, and how it proved that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppClaims<'a> {
    pub(crate) client_id: Uuid,
    pub(crate) object_id: Uuid,
    /// Claim `appidacr`: `1` for a secret, `2` for a certificate or another assertion.
    pub(crate) proof: &'static str,
    pub(crate) groups: &'a [Uuid],
    pub(crate) roles: &'a [String],
    /// The Azure resource id of a managed identity.
    pub(crate) resource_id: Option<&'a str>,
}

/// Lifetime of applications' tokens, which in Azure is between 60 and 90 minutes.
const APP_LIFETIME: i64 = 3599;

/// The application that people in Cloud Shell are signed in by, the portal's console; from tokens
/// that users have shown, for it is not documented. Nothing here depends on it.
const CLOUD_SHELL: &str = "b677c290-cf4b-4a8e-a60e-91ba650a4abe";

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
        let app = AppClaims {
            client_id: identity.client_id,
            object_id: identity.object_id,
            // The application proved itself by certificate, as managed identities do.
            proof: "2",
            groups: &identity.groups,
            roles: &[],
            resource_id: Some(&identity.resource_id),
        };
        self.issue_to_app(&app, audience)
    }

    /// Likewise for an application, or for a managed identity by its resource id.
    pub(crate) fn issue_to_app(
        &self,
        app: &AppClaims<'_>,
        audience: &str,
    ) -> Result<IssuedToken, EmulatorError> {
        let now = self.clock.now();
        let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
        let expires_in = match app.resource_id {
            Some(_) => lifetime,
            None => lifetime.min(APP_LIFETIME),
        };
        let expires_on = now.saturating_add(expires_in);
        // Entra dates tokens back by five minutes, for clocks that run late.
        let not_before = now - 300;
        let mut claims = self.claims(app, audience, not_before, expires_on);
        if audience.starts_with(EXCHANGE_AUDIENCE) {
            // That resource takes tokens of version 2.0, which name it by its client id.
            claims["aud"] = json!(EXCHANGE_APP);
            claims["iss"] = json!(self.issuer_v2());
            claims["azp"] = json!(app.client_id);
            claims["ver"] = json!("2.0");
        }
        Ok(IssuedToken {
            token: self.key.sign(&claims)?,
            not_before,
            expires_on,
            expires_in,
        })
    }

    /// A version 1.0 token for a person, who is signed in at Cloud Shell.
    pub(crate) fn issue_to_user(
        &self,
        user: &EntraPrincipal,
        audience: &str,
    ) -> Result<IssuedToken, EmulatorError> {
        let now = self.clock.now();
        let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
        let expires_in = lifetime.min(APP_LIFETIME);
        let expires_on = now.saturating_add(expires_in);
        let not_before = now - 300;
        let mut claims = json!({
            "aud": audience,
            "iss": self.issuer(),
            "iat": not_before,
            "nbf": not_before,
            "exp": expires_on,
            "acr": "1",
            "aio": short_id(),
            "amr": ["pwd", "mfa"],
            "appid": CLOUD_SHELL,
            // A public client: it proves nothing about itself.
            "appidacr": "0",
            "idtyp": "user",
            "name": user.display_name,
            "oid": user.object_id,
            "rh": format!("1.{}.", short_id()),
            "scp": "user_impersonation",
            "sub": short_id(),
            "tid": self.tenant_id,
            "unique_name": user.display_name,
            "upn": user.display_name,
            "uti": short_id(),
            "ver": "1.0",
        });
        if !user.groups.is_empty() {
            claims["groups"] = json!(user.groups);
        }
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

    /// The `iss` of its version 2.0 tokens.
    pub(crate) fn issuer_v2(&self) -> String {
        format!("https://login.microsoftonline.com/{}/v2.0", self.tenant_id)
    }

    fn claims(&self, app: &AppClaims<'_>, audience: &str, nbf: i64, exp: i64) -> Value {
        let mut claims = json!({
            "aud": audience,
            "iss": self.issuer(),
            "iat": nbf,
            "nbf": nbf,
            "exp": exp,
            "aio": short_id(),
            "appid": app.client_id,
            "appidacr": app.proof,
            "idp": self.issuer(),
            "idtyp": "app",
            "oid": app.object_id,
            "rh": format!("1.{}.", short_id()),
            "sub": app.object_id,
            "tid": self.tenant_id,
            "uti": short_id(),
            "ver": "1.0",
            "xms_idrel": "7 24",
        });
        if let Some(id) = app.resource_id {
            claims["xms_mirid"] = json!(id);
        }
        if !app.groups.is_empty() {
            claims["groups"] = json!(app.groups);
        }
        if !app.roles.is_empty() {
            claims["roles"] = json!(app.roles);
        }
        claims
    }
}

/// 16 random bytes in the form that Entra uses for `uti`.
fn short_id() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes())
}
