//! The token of a request at Key Vault.

use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use uuid::Uuid;

use crate::emulator::identity::Identity;

/// How far clocks may be apart, in seconds.
const SKEW: i64 = 300;

/// Why a token does not count, in Key Vault's words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenProblem {
    #[error("AKV10022: Invalid audience. Expected {wanted}, found: {found}.")]
    Audience { wanted: String, found: String },
    #[error("AKV10001: Token validation failed: the token is expired or not valid yet.")]
    Expired,
    #[error("AKV10000: Request is missing a Bearer or PoP token.")]
    Missing,
    #[error("AKV10001: Token validation failed: the signature is invalid.")]
    Signature,
    #[error("AKV10032: Invalid issuer. Expected {wanted}, found {found}.")]
    Issuer { wanted: String, found: String },
}

#[derive(Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    exp: i64,
    nbf: Option<i64>,
    tid: Uuid,
    oid: Uuid,
}

/// Whose good token stands in the header `Authorization`.
pub(super) fn object_id(
    given: Option<&str>,
    identity: &Identity,
    resource: &str,
) -> Result<Uuid, TokenProblem> {
    let (scheme, token) = given
        .and_then(|given| given.split_once(' '))
        .ok_or(TokenProblem::Missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(TokenProblem::Missing);
    }
    let claims = verified(token.trim(), identity).ok_or(TokenProblem::Signature)?;
    let wanted = identity.issuer_url();
    if claims.iss != wanted || claims.tid != identity.tenant_id() {
        let found = claims.iss;
        return Err(TokenProblem::Issuer { wanted, found });
    }
    // Unlike Azure SQL, Key Vault takes no slash at the end.
    if claims.aud != resource {
        return Err(TokenProblem::Audience {
            wanted: resource.to_owned(),
            found: claims.aud,
        });
    }
    let now = identity.clock().now();
    let early = claims.nbf.is_some_and(|nbf| nbf > now.saturating_add(SKEW));
    if early || claims.exp.saturating_add(SKEW) <= now {
        return Err(TokenProblem::Expired);
    }
    Ok(claims.oid)
}

fn verified(token: &str, identity: &Identity) -> Option<Claims> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    let key = identity.signing_key().verifier(&header.kid?)?;
    // Times and audience are judged by the emulator's clock and rules.
    let mut validation = Validation::new(Algorithm::RS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let decoded = jsonwebtoken::decode::<Claims>(token, key, &validation);
    decoded.ok().map(|data| data.claims)
}
