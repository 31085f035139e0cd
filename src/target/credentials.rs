//! As whom to log in: from the settings of each dialect to one identity.

use std::path::PathBuf;

use super::{Auth, Identity, TargetError};
use crate::conn_string::{AuthMethod, ConnectionString, Dialect, Key, split_tenant};
use crate::secret::Secret;

/// The identity that a connection string names.
pub(super) fn auth(string: &ConnectionString) -> Result<Auth, TargetError> {
    let Some(method) = string.authentication() else {
        if string.flag(Key::IntegratedSecurity) == Some(true) {
            return Err(TargetError::IntegratedSecurity);
        }
        return match text(string, Key::UserId) {
            Some(user) => Ok(Auth::SqlPassword {
                user,
                password: secret(string, Key::Password),
            }),
            None => Err(TargetError::NoIdentity),
        };
    };
    match method {
        AuthMethod::SqlPassword => {
            let user = text(string, Key::UserId).unwrap_or_default();
            Ok(Auth::SqlPassword {
                user,
                password: secret(string, Key::Password),
            })
        }
        AuthMethod::ManagedIdentity => Ok(Auth::ManagedIdentity(identity(string))),
        AuthMethod::Default => Ok(Auth::Default {
            client_id: chain_client(string),
        }),
        AuthMethod::Integrated => Ok(Auth::Integrated),
        AuthMethod::WorkloadIdentity => Ok(Auth::WorkloadIdentity {
            client_id: client(string),
            tenant: text(string, Key::TenantId),
            token_file: path(string, Key::TokenFile),
        }),
        AuthMethod::ServicePrincipal | AuthMethod::ServicePrincipalCertificate => {
            Ok(principal(string))
        }
        AuthMethod::AccessToken => Ok(Auth::AccessToken(secret(string, Key::Password))),
        AuthMethod::AzCli => Ok(Auth::AzureCli { tenant: None }),
        AuthMethod::AzureDeveloperCli => Ok(Auth::AzureDeveloperCli { tenant: None }),
        AuthMethod::AzurePipelines => Ok(Auth::AzurePipelines {
            client_id: client(string),
            tenant: text(string, Key::TenantId),
            service_connection: text(string, Key::ServiceConnection),
            system_token: string.secret(Key::SystemToken).cloned(),
        }),
        AuthMethod::Environment => Ok(Auth::Environment),
        AuthMethod::ClientAssertion => Ok(Auth::ClientAssertion {
            client_id: client(string).unwrap_or_default(),
            tenant: text(string, Key::TenantId),
            assertion: secret(string, Key::ClientAssertion),
        }),
        other => Err(TargetError::Method {
            method: other.name(),
            instead: instead_of(other),
        }),
    }
}

fn instead_of(method: AuthMethod) -> &'static str {
    match method {
        AuthMethod::Password => {
            "Entra passwords are on their way out: use ActiveDirectoryManagedIdentity, or give an access token or a callback"
        }
        AuthMethod::OnBehalfOf => "obtain the token in your code and give it by a callback",
        _ => {
            "nobody may be there to answer: use ActiveDirectoryManagedIdentity, or give an access token or a callback"
        }
    }
}

fn secret(string: &ConnectionString, key: Key) -> Secret {
    string.secret(key).cloned().unwrap_or_default()
}

/// The client id in `User ID`; in a URL the part before the `@`.
fn client(string: &ConnectionString) -> Option<String> {
    let user = text(string, Key::UserId)?;
    if string.dialect() == Dialect::SqlServerUrl {
        return Some(split_tenant(&user).0.to_owned());
    }
    Some(user)
}

fn identity(string: &ConnectionString) -> Identity {
    let by_client = |id: Option<String>| id.map_or(Identity::SystemAssigned, Identity::ClientId);
    match string.dialect() {
        Dialect::Odbc => {
            client(string).map_or(Identity::SystemAssigned, Identity::ClientOrObjectId)
        }
        Dialect::SqlServerUrl => match text(string, Key::ResourceId) {
            Some(id) => Identity::ResourceId(id),
            None => by_client(client(string)),
        },
        Dialect::Jdbc => by_client(client(string).or_else(|| text(string, Key::MsiClientId))),
        Dialect::AdoNet => by_client(client(string)),
    }
}

fn chain_client(string: &ConnectionString) -> Option<String> {
    match string.dialect() {
        Dialect::SqlServerUrl | Dialect::Odbc => None,
        Dialect::Jdbc => client(string).or_else(|| text(string, Key::MsiClientId)),
        Dialect::AdoNet => client(string),
    }
}

fn principal(string: &ConnectionString) -> Auth {
    let client_id = client(string)
        .or_else(|| text(string, Key::AadPrincipalId))
        .unwrap_or_default();
    let tenant = text(string, Key::TenantId);
    let certificate = path(string, Key::ClientCertificate);
    let by_certificate = string.dialect() == Dialect::SqlServerUrl
        || string.authentication() == Some(AuthMethod::ServicePrincipalCertificate);
    match certificate.filter(|_| by_certificate) {
        Some(certificate) => {
            let password = string
                .secret(Key::ClientKeyPassword)
                .or(string.secret(Key::Password));
            let (key, password) = (path(string, Key::ClientKey), password.cloned());
            Auth::ServicePrincipalCertificate {
                client_id,
                tenant,
                certificate,
                key,
                password,
            }
        }
        None => {
            let own = string
                .secret(Key::Password)
                .or(string.secret(Key::AadPrincipalSecret));
            let secret = own.cloned().unwrap_or_default();
            Auth::ServicePrincipalSecret {
                client_id,
                tenant,
                secret,
            }
        }
    }
}

/// A text setting that is not empty.
pub(super) fn text(string: &ConnectionString, key: Key) -> Option<String> {
    string
        .text(key)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

pub(super) fn path(string: &ConnectionString, key: Key) -> Option<PathBuf> {
    text(string, key).map(PathBuf::from)
}
