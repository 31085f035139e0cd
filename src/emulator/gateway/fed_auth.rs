//! The token of a login, judged as Azure SQL judges it.

use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use uuid::Uuid;

use crate::Secret;
use crate::emulator::identity::Identity;
use crate::emulator::{Directory, EntraKind, EntraPrincipal};

/// How far the clocks of issuer and server may be apart, in seconds.
const SKEW: i64 = 300;

/// Claims that decide, or that say who it is.
#[derive(Debug, Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    exp: i64,
    nbf: Option<i64>,
    tid: Uuid,
    oid: Uuid,
    appid: Option<Uuid>,
    idtyp: Option<String>,
    upn: Option<String>,
    #[serde(default)]
    groups: Vec<Uuid>,
}

/// Why a token is refused. The client learns little of it, the log all.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenRefused {
    #[error("the audience {0:?} is not this server's resource")]
    Audience(String),
    #[error("the token ended {0} s ago")]
    Expired(i64),
    #[error("the issuer {0:?} is not this server's tenant")]
    Issuer(String),
    #[error("no key of the tenant has the id {0:?}")]
    Key(Option<String>),
    #[error("the token is not a JWT with the claims of an access token: {0}")]
    Malformed(jsonwebtoken::errors::Error),
    #[error("the token begins in {0} s")]
    NotYet(i64),
    #[error("the signature does not hold")]
    Signature,
    #[error("the token is of tenant {0}")]
    Tenant(Uuid),
    #[error("the token is signed by another algorithm than RS256")]
    Algorithm,
}

impl TokenRefused {
    /// What Azure adds to "login failed" for this cause.
    pub(super) fn public_words(&self) -> Option<&'static str> {
        match self {
            Self::Expired(_) => Some("Token is expired."),
            Self::Issuer(_) | Self::Tenant(_) => {
                Some("The server is not currently configured to accept this token.")
            }
            _ => None,
        }
    }
}

/// What is remembered of a token that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credential {
    /// Claim `exp`.
    pub(super) expires_on: i64,
    /// The key that signed it.
    pub(super) key_id: String,
}

/// Checks the token fully and says who brings it.
pub(super) fn validate(
    token: &Secret,
    identity: &Identity,
    resource: &str,
    directory: &dyn Directory,
) -> Result<(EntraPrincipal, Credential), TokenRefused> {
    let (claims, key_id) = verified_claims(token, identity)?;
    if without_slash(&claims.aud) != without_slash(resource) {
        return Err(TokenRefused::Audience(claims.aud));
    }
    if claims.tid != identity.tenant_id() {
        return Err(TokenRefused::Tenant(claims.tid));
    }
    if claims.iss != identity.issuer_url() {
        return Err(TokenRefused::Issuer(claims.iss));
    }
    let now = identity.clock().now();
    if claims.exp.saturating_add(SKEW) <= now {
        return Err(TokenRefused::Expired(now.saturating_sub(claims.exp)));
    }
    if let Some(wait) = claims
        .nbf
        .map(|nbf| nbf.saturating_sub(now))
        .filter(|wait| *wait > SKEW)
    {
        return Err(TokenRefused::NotYet(wait));
    }
    let credential = Credential {
        expires_on: claims.exp,
        key_id,
    };
    Ok((principal(claims, directory), credential))
}

/// The claims, if a key of the tenant has signed them, and which key.
fn verified_claims(token: &Secret, identity: &Identity) -> Result<(Claims, String), TokenRefused> {
    use jsonwebtoken::errors::ErrorKind;
    // Microsoft's ODBC driver 18.6 ends a token that it got from an identity endpoint by a NUL.
    let token = token.expose();
    let token = token.strip_suffix('\0').unwrap_or(token);
    let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
        // `alg` is a closed list there, so "none" fails to parse.
        ErrorKind::Json(_) | ErrorKind::InvalidAlgorithmName => TokenRefused::Algorithm,
        _ => TokenRefused::Malformed(error),
    })?;
    if header.alg != Algorithm::RS256 {
        return Err(TokenRefused::Algorithm);
    }
    let Some(kid) = header.kid else {
        return Err(TokenRefused::Key(None));
    };
    let Some(key) = identity.signing_key().verifier(&kid) else {
        return Err(TokenRefused::Key(Some(kid)));
    };
    // Times and audience are judged by the emulator's clock and rules, above.
    let mut validation = Validation::new(Algorithm::RS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    match jsonwebtoken::decode::<Claims>(token, key, &validation) {
        Ok(data) => Ok((data.claims, kid)),
        Err(error) => Err(match error.kind() {
            ErrorKind::InvalidSignature => TokenRefused::Signature,
            ErrorKind::InvalidAlgorithm => TokenRefused::Algorithm,
            _ => TokenRefused::Malformed(error),
        }),
    }
}

/// Who it is, by the directory as far as that knows, else by the claims alone: Azure SQL compares
/// ids with the database's users and asks nobody.
fn principal(claims: Claims, directory: &dyn Directory) -> EntraPrincipal {
    let is_app = match claims.idtyp.as_deref() {
        Some(kind) => kind == "app",
        None => claims.appid.is_some() && claims.upn.is_none(),
    };
    let known = directory.find_by_object_id(claims.oid);
    let mut principal = known.unwrap_or_else(|| EntraPrincipal {
        kind: if is_app {
            EntraKind::Application
        } else {
            EntraKind::User
        },
        display_name: claims
            .upn
            .unwrap_or_else(|| format!("{}@{}", claims.appid.unwrap_or(claims.oid), claims.tid)),
        object_id: claims.oid,
        client_id: None,
        tenant_id: claims.tid,
        groups: Vec::new(),
    });
    // The claims decide about the ids that rights hang on, whatever the directory says by now.
    principal.client_id = claims.appid.filter(|_| is_app);
    for group in claims.groups {
        if !principal.groups.contains(&group) {
            principal.groups.push(group);
        }
    }
    principal
}

fn without_slash(resource: &str) -> &str {
    resource.strip_suffix('/').unwrap_or(resource)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::emulator::counters::Counters;
    use crate::emulator::identity::{Issuer, SigningKey};
    use crate::emulator::{Clock, InMemoryDirectory};

    const RESOURCE: &str = "https://database.windows.net/";
    const TENANT: Uuid = Uuid::from_u128(1);
    const APP: Uuid = Uuid::from_u128(2);
    const OBJECT: Uuid = Uuid::from_u128(3);

    fn identity() -> Identity {
        let issuer = Issuer {
            tenant_id: TENANT,
            key: SigningKey::load_or_generate(None).unwrap(),
            clock: Clock::new(),
            lifetime: Duration::from_secs(3600),
        };
        Identity::new(issuer, Vec::new(), &[], Counters::default(), String::new())
    }

    fn brings(identity: &Identity, more: Value, directory: &InMemoryDirectory) -> EntraPrincipal {
        let mut claims = json!({
            "aud": RESOURCE,
            "iss": identity.issuer_url(),
            "exp": identity.clock().now() + 60,
            "tid": TENANT,
            "oid": OBJECT,
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let token = identity.signing_key().sign(&claims).unwrap();
        validate(&token, identity, RESOURCE, directory).unwrap().0
    }

    #[test]
    fn one_nul_may_end_a_token() {
        let (identity, nobody) = (identity(), InMemoryDirectory::new());
        let claims = json!({
            "aud": RESOURCE,
            "iss": identity.issuer_url(),
            "exp": identity.clock().now() + 60,
            "tid": TENANT,
            "oid": OBJECT,
            "appid": APP,
        });
        let token = identity.signing_key().sign(&claims).unwrap();
        let with = |end| Secret::from(format!("{}{end}", token.expose()));
        assert!(validate(&with("\0"), &identity, RESOURCE, &nobody).is_ok());
        for end in ["\0\0", "A", " "] {
            assert!(
                validate(&with(end), &identity, RESOURCE, &nobody).is_err(),
                "{end:?}"
            );
        }
    }

    #[test]
    fn claims_say_who_it_is_when_the_directory_does_not() {
        let (identity, nobody) = (identity(), InMemoryDirectory::new());
        let app = brings(&identity, json!({"appid": APP, "idtyp": "app"}), &nobody);
        assert_eq!(
            (app.kind, app.client_id),
            (EntraKind::Application, Some(APP))
        );
        // A user's token names the application that the user sits at, too.
        let user = json!({"appid": APP, "upn": "ada@contoso.com", "groups": [Uuid::from_u128(9)]});
        let user = brings(&identity, user, &nobody);
        assert_eq!((user.kind, user.client_id), (EntraKind::User, None));
        assert_eq!(user.display_name, "ada@contoso.com");
        assert_eq!(user.groups, [Uuid::from_u128(9)]);
        assert_eq!(user.sid_id(), OBJECT);
    }

    #[test]
    fn the_directory_adds_the_name_and_groups() {
        let (identity, directory) = (identity(), InMemoryDirectory::new());
        let kind = EntraKind::ManagedIdentity;
        let mut known = EntraPrincipal::application(kind, "orders", TENANT, APP, OBJECT);
        known.groups.push(Uuid::from_u128(7));
        directory.insert(known.clone());
        let claims = json!({"appid": APP, "idtyp": "app", "groups": [Uuid::from_u128(7)]});
        assert_eq!(brings(&identity, claims, &directory), known);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_text_is_taken_for_a_token(text in "[A-Za-z0-9._=-]{0,200}|\\PC{0,50}") {
            thread_local!(static IDENTITY: Identity = identity());
            let nobody = InMemoryDirectory::new();
            let judged = IDENTITY.with(|identity| {
                validate(&Secret::new(text), identity, RESOURCE, &nobody)
            });
            prop_assert!(judged.is_err());
        }
    }
}
