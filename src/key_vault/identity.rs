//! As whom a connection string's vaults are read.

use crate::conn_string::{Draft, Key};
use crate::target::{Auth, Cloud, Target};
use crate::token::Environment;

use super::KeyVaultError;

/// Settings that decide about the identity.
const OF_IDENTITY: &[Key] = &[
    Key::AadPrincipalId,
    Key::AadPrincipalSecret,
    Key::AccessToken,
    Key::Authentication,
    Key::ClientAssertion,
    Key::ClientCertificate,
    Key::ClientId,
    Key::ClientKey,
    Key::ClientKeyPassword,
    Key::FederatedToken,
    Key::IdentityPlatform,
    Key::MsiClientId,
    Key::ObjectId,
    Key::Password,
    Key::ResourceId,
    Key::ServiceConnection,
    Key::SystemToken,
    Key::TenantId,
    Key::TokenFile,
    Key::UserId,
];

/// The identity and the cloud for the references of a string.
///
/// A string that will be refused whatever the secrets are is refused before any vault is asked.
pub(super) fn reader(
    draft: &Draft,
    fallback: &Auth,
    env: &Environment,
) -> Result<(Auth, Cloud), KeyVaultError> {
    let guess = draft.outline().map_err(KeyVaultError::from);
    let (target, whole) = match guess {
        Ok((outline, whole)) => (
            Target::try_from(&outline).map_err(KeyVaultError::from),
            whole,
        ),
        Err(error) => (Err(error), false),
    };
    let target = match target {
        Ok(target) => target,
        Err(error) if whole => return Err(error),
        // It may be for want of what is in the vault.
        Err(_) => return Ok((fallback.clone(), cloud_of(env))),
    };
    let refers = |keys: &[Key]| draft.places().iter().any(|place| keys.contains(&place.key));
    let cloud = if refers(&[Key::DataSource, Key::Address]) {
        cloud_of(env)
    } else {
        target.cloud
    };
    let auth = match target.auth {
        _ if refers(OF_IDENTITY) => fallback.clone(),
        Auth::AccessToken(_) | Auth::Callback | Auth::Integrated | Auth::SqlPassword { .. } => {
            fallback.clone()
        }
        own => own,
    };
    Ok((auth, cloud))
}

/// The cloud that the environment's authority belongs to.
pub(super) fn cloud_of(env: &Environment) -> Cloud {
    let authority = env.var("AZURE_AUTHORITY_HOST").unwrap_or_default();
    let authority = authority.trim_end_matches('/');
    [Cloud::China, Cloud::Germany, Cloud::UsGovernment]
        .into_iter()
        .find(|cloud| cloud.authority_host().eq_ignore_ascii_case(authority))
        .unwrap_or_default()
}
