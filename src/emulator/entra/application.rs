//! Applications of the tenant, and how they prove who they are.

use rustls::pki_types::{CertificateDer, pem::PemObject};
use uuid::Uuid;

use super::EXCHANGE_AUDIENCE;
use crate::Secret;
use crate::emulator::identity::stable_id;
use crate::emulator::{EntraKind, EntraPrincipal, ManagedIdentity};

/// An application (app registration with its service principal) of the tenant.
///
/// ```
/// use entrada::emulator::{Application, FederatedCredential};
///
/// let app = Application::new("orders-api")
///     .secret("its~value")
///     .federated(FederatedCredential::new(
///         "https://token.actions.githubusercontent.com",
///         "repo:contoso/orders:ref:refs/heads/main",
///     ));
/// assert_eq!(app.client_id, Application::new("orders-api").client_id);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The display name, by which a database user is made for it.
    pub name: String,
    /// The client (application) id.
    pub client_id: Uuid,
    /// The object id of the service principal.
    pub object_id: Uuid,
    /// Object ids of the groups it is a member of (claim `groups`).
    pub groups: Vec<Uuid>,
    /// Application roles that it has been given (claim `roles`).
    pub roles: Vec<String>,
    /// Whether it is disabled: Entra then answers AADSTS7000112.
    pub disabled: bool,
    pub(super) secrets: Vec<ClientSecret>,
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// Certificates in PEM that could not be read, by their place among all.
    pub(super) unreadable: usize,
    pub(in crate::emulator) federated: Vec<FederatedCredential>,
}

/// A client secret and when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientSecret {
    pub(super) value: Secret,
    /// Seconds since 1970.
    pub(super) ends: Option<i64>,
}

/// A trust in the tokens of another issuer: all three must be equal to what the token says, case
/// included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FederatedCredential {
    /// Claim `iss`, with or without a slash at the end as the token has it.
    pub issuer: String,
    /// Claim `sub`.
    pub subject: String,
    /// Claim `aud`.
    pub audience: String,
}

/// A managed identity has no credentials of its own that its owner could know.
impl From<ManagedIdentity> for Application {
    fn from(identity: ManagedIdentity) -> Self {
        let application = Self::new(identity.name)
            .with_client_id(identity.client_id)
            .with_object_id(identity.object_id);
        Self {
            groups: identity.groups,
            federated: identity.federated,
            ..application
        }
    }
}

impl FederatedCredential {
    /// With the audience `api://AzureADTokenExchange`.
    pub fn new(issuer: impl Into<String>, subject: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            subject: subject.into(),
            audience: EXCHANGE_AUDIENCE.to_owned(),
        }
    }

    /// Sets the audience, such as another cloud's `api://AzureADTokenExchangeChina`.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self
    }
}

impl Application {
    /// An application that cannot prove itself yet. Its ids follow from the name, so they are the
    /// same in every run.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            client_id: stable_id("client", &name),
            object_id: stable_id("object", &name),
            name,
            groups: Vec::new(),
            roles: Vec::new(),
            disabled: false,
            secrets: Vec::new(),
            certificates: Vec::new(),
            unreadable: 0,
            federated: Vec::new(),
        }
    }

    /// Sets the client id.
    #[must_use]
    pub fn with_client_id(mut self, id: Uuid) -> Self {
        self.client_id = id;
        self
    }

    /// Sets the object id.
    #[must_use]
    pub fn with_object_id(mut self, id: Uuid) -> Self {
        self.object_id = id;
        self
    }

    /// Adds a client secret, by its value.
    #[must_use]
    pub fn secret(self, value: impl Into<Secret>) -> Self {
        self.with_secret(value.into(), None)
    }

    /// Adds a client secret that ends at this time, in seconds since 1970 by the emulator's clock:
    /// from then on, it is answered by AADSTS7000222.
    #[must_use]
    pub fn secret_until(self, value: impl Into<Secret>, ends: i64) -> Self {
        self.with_secret(value.into(), Some(ends))
    }

    pub(in crate::emulator) fn with_secret(mut self, value: Secret, ends: Option<i64>) -> Self {
        self.secrets.push(ClientSecret { value, ends });
        self
    }

    /// Registers a certificate: the first one in this PEM text. An unreadable one keeps the emulator
    /// from starting.
    #[must_use]
    pub fn certificate_pem(mut self, pem: impl AsRef<str>) -> Self {
        let read = CertificateDer::from_pem_slice(pem.as_ref().as_bytes());
        match read {
            Ok(certificate) => self.certificates.push(certificate),
            Err(_) => self.unreadable += 1,
        }
        self
    }

    /// Trusts the tokens that this names.
    #[must_use]
    pub fn federated(mut self, credential: FederatedCredential) -> Self {
        self.federated.push(credential);
        self
    }

    /// Makes it a member of a group.
    #[must_use]
    pub fn group(mut self, id: Uuid) -> Self {
        self.groups.push(id);
        self
    }

    /// Gives it an application role.
    #[must_use]
    pub fn role(mut self, name: impl Into<String>) -> Self {
        self.roles.push(name.into());
        self
    }

    /// Sets whether it is disabled. Defaults to false.
    #[must_use]
    pub fn disabled(mut self, disabled: bool) -> Self {
        self.disabled = disabled;
        self
    }

    /// Whether every certificate that it was given could be read.
    pub(in crate::emulator) fn is_readable(&self) -> bool {
        self.unreadable == 0
    }

    /// The entry in the directory.
    pub(in crate::emulator) fn principal(&self, tenant_id: Uuid) -> EntraPrincipal {
        let mut principal = EntraPrincipal::application(
            EntraKind::Application,
            &self.name,
            tenant_id,
            self.client_id,
            self.object_id,
        );
        principal.groups.clone_from(&self.groups);
        principal
    }
}
