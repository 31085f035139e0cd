//! As whom to log in: from the settings of each dialect to one identity.

use std::path::PathBuf;

use super::{Auth, Identity, IdentityPlatform, TargetError, federated};
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
    by_method(string, method)
}

fn by_method(string: &ConnectionString, method: AuthMethod) -> Result<Auth, TargetError> {
    let tenant = || text(string, Key::TenantId);
    Ok(match method {
        AuthMethod::SqlPassword => Auth::SqlPassword {
            user: text(string, Key::UserId).unwrap_or_default(),
            password: secret(string, Key::Password),
        },
        AuthMethod::ManagedIdentity => match platform(string) {
            Some(platform) => Auth::ManagedIdentityOn {
                platform,
                identity: identity(string),
            },
            None => Auth::ManagedIdentity(identity(string)),
        },
        AuthMethod::Default => Auth::Default {
            client_id: chain_client(string),
        },
        AuthMethod::Integrated => Auth::Integrated,
        AuthMethod::WorkloadIdentity => Auth::WorkloadIdentity {
            client_id: client(string),
            tenant: tenant(),
            token_file: path(string, Key::TokenFile),
        },
        AuthMethod::ServicePrincipal | AuthMethod::ServicePrincipalCertificate => principal(string),
        AuthMethod::AccessToken => Auth::AccessToken(
            string
                .secret(Key::AccessToken)
                .or(string.secret(Key::Password))
                .cloned()
                .unwrap_or_default(),
        ),
        AuthMethod::AzCli => Auth::AzureCli { tenant: tenant() },
        AuthMethod::AzureDeveloperCli => Auth::AzureDeveloperCli { tenant: tenant() },
        AuthMethod::AzurePowerShell => Auth::AzurePowerShell { tenant: tenant() },
        AuthMethod::AzurePipelines => Auth::AzurePipelines {
            client_id: client(string),
            tenant: tenant(),
            service_connection: text(string, Key::ServiceConnection),
            system_token: string.secret(Key::SystemToken).cloned(),
        },
        AuthMethod::Environment => Auth::Environment,
        AuthMethod::ClientAssertion => Auth::ClientAssertion {
            client_id: client(string).unwrap_or_default(),
            tenant: tenant(),
            assertion: secret(string, Key::ClientAssertion),
        },
        AuthMethod::Federated => Auth::Federated {
            client_id: client(string),
            tenant: tenant(),
            from: federated::from(string)?,
        },
        other => {
            return Err(TargetError::Method {
                method: other.name(),
                instead: instead_of(other),
            });
        }
    })
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

/// The client id by our own word, else in `User ID`; in a URL the part before the `@`.
fn client(string: &ConnectionString) -> Option<String> {
    if let Some(id) = text(string, Key::ClientId) {
        return Some(id);
    }
    let user = text(string, Key::UserId)?;
    if string.dialect() == Dialect::SqlServerUrl {
        return Some(split_tenant(&user).0.to_owned());
    }
    Some(user)
}

fn identity(string: &ConnectionString) -> Identity {
    let by_client = |id: Option<String>| id.map_or(Identity::SystemAssigned, Identity::ClientId);
    let own_words = [
        text(string, Key::ClientId).map(Identity::ClientId),
        text(string, Key::ObjectId).map(Identity::ObjectId),
        text(string, Key::ResourceId).map(Identity::ResourceId),
    ];
    if let Some(identity) = own_words.into_iter().flatten().next() {
        return identity;
    }
    match string.dialect() {
        Dialect::Odbc => {
            client(string).map_or(Identity::SystemAssigned, Identity::ClientOrObjectId)
        }
        Dialect::Jdbc => by_client(client(string).or_else(|| text(string, Key::MsiClientId))),
        Dialect::AdoNet | Dialect::SqlServerUrl => by_client(client(string)),
    }
}

fn platform(string: &ConnectionString) -> Option<IdentityPlatform> {
    Some(match string.text(Key::IdentityPlatform)? {
        "AppService" => IdentityPlatform::AppService,
        "AppService2017" => IdentityPlatform::AppService2017,
        "Arc" => IdentityPlatform::Arc,
        "Automation" => IdentityPlatform::Automation,
        "CloudShell" => IdentityPlatform::CloudShell,
        "ContainerInstancesWindows" => IdentityPlatform::ContainerInstancesWindows,
        "Imds" => IdentityPlatform::Imds,
        "MachineLearning" => IdentityPlatform::MachineLearning,
        "ServiceFabric" => IdentityPlatform::ServiceFabric,
        _ => return None,
    })
}

fn chain_client(string: &ConnectionString) -> Option<String> {
    match string.dialect() {
        Dialect::SqlServerUrl | Dialect::Odbc => text(string, Key::ClientId),
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

/// A file that a setting names.
pub(super) fn path(string: &ConnectionString, key: Key) -> Option<PathBuf> {
    text(string, key).map(PathBuf::from)
}
