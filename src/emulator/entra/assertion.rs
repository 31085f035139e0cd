//! `client_assertion`: an application proves itself by its certificate, or by another's token.

use jsonwebtoken::{Algorithm, Validation};
use uuid::Uuid;

use super::application::{Application, FederatedCredential};
use super::jwt::{Claims, Jwt};
use super::refusal::Refusal;
use super::{EXCHANGE_AUDIENCE, Entra};
use crate::emulator::identity::EXCHANGE_APP;
use crate::emulator::web::is_played;

/// How far clocks may be apart, in seconds.
const SKEW: i64 = 300;

/// What a request's assertion is judged by.
pub(super) struct Judged<'a> {
    pub(super) client_id: Uuid,
    pub(super) application: &'a Application,
    /// The URLs that an assertion of the application's own may be for.
    pub(super) endpoints: Vec<String>,
    /// What another's token must be for in place of the audience that was agreed on.
    pub(super) audience: Option<&'static str>,
}

impl Entra {
    /// Whether the assertion proves that the request is the application's.
    pub(super) fn check_assertion(
        &self,
        assertion: &str,
        judged: &Judged<'_>,
    ) -> Result<(), Refusal> {
        let Some(jwt) = Jwt::parse(assertion) else {
            return Err(Refusal::new(50027, "JWT token is invalid or malformed."));
        };
        let own = Uuid::parse_str(&jwt.claims.iss).is_ok_and(|iss| iss == judged.client_id);
        if own {
            self.check_own(&jwt, judged)
        } else {
            self.check_federated(assertion, &jwt, judged)
        }
    }

    fn check_own(&self, jwt: &Jwt, judged: &Judged<'_>) -> Result<(), Refusal> {
        let app = judged.client_id;
        let Some(certificate) = jwt.certificate(&judged.application.certificates) else {
            return Err(Refusal::new(
                700_027,
                format!(
                    "The certificate with identifier used to sign the client assertion is not \
                     registered on application. [Reason - The key was not found.] App ID '{app}'."
                ),
            ));
        };
        if !jwt.is_signed_by(certificate) {
            return Err(Refusal::new(
                700_027,
                "Client assertion failed signature validation.",
            ));
        }
        let claims = &jwt.claims;
        if Uuid::parse_str(&claims.sub).ok() != Some(app) {
            return Err(Refusal::new(
                700_021,
                format!(
                    "Client assertion application identifier doesn't match 'client_id' parameter. \
                     The subject is '{}'.",
                    claims.sub
                ),
            ));
        }
        let audience = claims.audience();
        if !judged
            .endpoints
            .iter()
            .any(|known| known.eq_ignore_ascii_case(audience))
        {
            return Err(Refusal::new(
                700_023,
                format!(
                    "Client assertion audience claim does not match Realm issuer. It is \
                     '{audience}', and must be the token endpoint of the tenant."
                ),
            ));
        }
        self.check_times(claims)
    }

    fn check_federated(
        &self,
        assertion: &str,
        jwt: &Jwt,
        judged: &Judged<'_>,
    ) -> Result<(), Refusal> {
        if jwt.header.alg != "RS256" {
            return Err(Refusal::new(
                700_027,
                format!(
                    "Client assertion failed signature validation: it is signed by {}, and tokens of \
                     other issuers must be signed by RS256.",
                    jwt.header.alg
                ),
            ));
        }
        let claims = &jwt.claims;
        let of_entra = claims.iss == self.identity.issuer_url_v2();
        matching(&judged.application.federated, claims, |one| {
            let wanted = judged.audience.unwrap_or(&one.audience);
            // Entra's own tokens carry the client id of the resource; nobody else's may.
            let by_id = of_entra && wanted.starts_with(EXCHANGE_AUDIENCE);
            claims.audience() == wanted || (by_id && claims.audience() == EXCHANGE_APP)
        })?;
        if !self.has_signed(assertion, jwt) {
            if !is_played(issuer_host(&claims.iss)) {
                return Err(Refusal::new(
                    90061,
                    format!(
                        "Request to External OIDC endpoint failed: the emulator does not play {}.",
                        claims.iss
                    ),
                ));
            }
            return Err(Refusal::new(
                700_027,
                "Client assertion failed signature validation.",
            ));
        }
        self.check_times(claims)?;
        if of_entra && claims.idtyp.as_deref() != Some("app") {
            return Err(Refusal::new(
                700_229,
                "Only app tokens can be used as Federated Identity Credentials.",
            ));
        }
        Ok(())
    }

    /// Everybody who issues tokens here signs by the tenant's key.
    fn has_signed(&self, assertion: &str, jwt: &Jwt) -> bool {
        let kid = jwt.header.kid.as_deref().unwrap_or_default();
        let Some(key) = self.identity.signing_key().verifier(kid) else {
            return false;
        };
        // Times and audience are judged by the emulator's clock and rules.
        let mut validation = Validation::new(Algorithm::RS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        jsonwebtoken::decode::<Claims>(assertion, key, &validation).is_ok()
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds since 1970 are far from the end of the whole numbers of a double"
    )]
    fn check_times(&self, claims: &Claims) -> Result<(), Refusal> {
        let now = self.identity.clock().now();
        let over = claims.exp.is_none_or(|exp| exp + SKEW as f64 <= now as f64);
        let early = claims.nbf.is_some_and(|nbf| nbf > (now + SKEW) as f64);
        if over || early {
            return Err(Refusal::new(
                700_024,
                format!(
                    "Client assertion is not within its valid time range. Current time: {now}, not \
                     before: {}, expiry time of assertion: {}.",
                    claims.nbf.unwrap_or_default(),
                    claims.exp.unwrap_or_default()
                ),
            ));
        }
        Ok(())
    }
}

/// Whether one of these trusts the token, or what the first difference is.
fn matching(
    all: &[FederatedCredential],
    claims: &Claims,
    is_for: impl Fn(&FederatedCredential) -> bool,
) -> Result<(), Refusal> {
    let (issuer, subject, audience) = (&claims.iss, &claims.sub, claims.audience());
    if all.is_empty() {
        return Err(Refusal::new(
            70021,
            format!(
                "No matching federated identity record found for presented assertion. Assertion \
                 Issuer: '{issuer}'. Assertion Subject: '{subject}'. Assertion Audience: \
                 '{audience}'."
            ),
        ));
    }
    let none = |code, what: &str, value: &str| {
        Err(Refusal::new(
            code,
            format!(
                "No matching federated identity record found for presented assertion {what} \
                 '{value}'. Check your federated identity credential Subject, Audience and Issuer \
                 against the presented assertion."
            ),
        ))
    };
    let mut left: Vec<_> = all.iter().filter(|one| one.issuer == *issuer).collect();
    if left.is_empty() {
        return none(700_211, "issuer", issuer);
    }
    left.retain(|one| one.subject == *subject);
    if left.is_empty() {
        return none(700_213, "subject", subject);
    }
    if !left.into_iter().any(is_for) {
        return none(700_212, "audience", audience);
    }
    Ok(())
}

fn issuer_host(issuer: &str) -> &str {
    let rest = issuer.strip_prefix("https://").unwrap_or_default();
    rest.split(['/', ':']).next().unwrap_or_default()
}
