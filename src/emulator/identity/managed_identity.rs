//! Managed identities, and how a request selects one of them.

use aws_lc_rs::digest::{SHA256, digest};
use uuid::Uuid;

use crate::emulator::{EntraKind, EntraPrincipal, FederatedCredential};

/// A managed identity that is assigned to the emulated machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedIdentity {
    /// The display name, by which a database user is made for it.
    pub name: String,
    /// The client (application) id.
    pub client_id: Uuid,
    /// The object (principal) id.
    pub object_id: Uuid,
    /// The Azure resource id: of the identity itself, or for a system-assigned one, of the machine.
    pub resource_id: String,
    /// System-assigned or user-assigned.
    pub assignment: Assignment,
    /// Object ids of the groups it is a member of.
    pub groups: Vec<Uuid>,
    /// Whose tokens it trusts, as the identities of pods and pipelines do.
    pub federated: Vec<FederatedCredential>,
}

/// How a managed identity belongs to its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Assignment {
    /// Made with the machine; at most one.
    System,
    /// A resource of its own; any number.
    User,
}

/// The identity that a token request names, by one of its ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    Client(String),
    Object(String),
    Resource(String),
}

/// Why a selection finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSelected {
    /// No identity matches, or the machine has none.
    NotFound,
    /// None was named, and several could be meant.
    Several,
}

impl ManagedIdentity {
    /// The system-assigned identity of a machine of that name.
    ///
    /// The ids follow from the name, so they are the same in every run.
    #[must_use]
    pub fn system_assigned(name: impl Into<String>) -> Self {
        Self::named(name.into(), Assignment::System)
    }

    /// A user-assigned identity; its ids follow from the name.
    #[must_use]
    pub fn user_assigned(name: impl Into<String>) -> Self {
        Self::named(name.into(), Assignment::User)
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

    /// Sets the Azure resource id.
    #[must_use]
    pub fn with_resource_id(mut self, id: impl Into<String>) -> Self {
        self.resource_id = id.into();
        self
    }

    /// Trusts the tokens that this names.
    #[must_use]
    pub fn with_federated(mut self, credential: FederatedCredential) -> Self {
        self.federated.push(credential);
        self
    }

    /// The entry in the directory.
    pub(crate) fn principal(&self, tenant_id: Uuid) -> EntraPrincipal {
        let mut principal = EntraPrincipal::application(
            EntraKind::ManagedIdentity,
            &self.name,
            tenant_id,
            self.client_id,
            self.object_id,
        );
        principal.groups.clone_from(&self.groups);
        principal
    }

    fn named(name: String, assignment: Assignment) -> Self {
        const GROUP: &str =
            "/subscriptions/00000000-0000-0000-0000-000000000001/resourcegroups/emulator/providers";
        let kind = match assignment {
            Assignment::System => "Microsoft.Compute/virtualMachines",
            Assignment::User => "Microsoft.ManagedIdentity/userAssignedIdentities",
        };
        Self {
            client_id: stable_id("client", &name),
            object_id: stable_id("object", &name),
            resource_id: format!("{GROUP}/{kind}/{name}"),
            name,
            assignment,
            groups: Vec::new(),
            federated: Vec::new(),
        }
    }

    fn is(&self, selector: &Selector) -> bool {
        let same = |id: Uuid, text: &str| Uuid::parse_str(text).is_ok_and(|other| other == id);
        match selector {
            Selector::Client(text) => same(self.client_id, text),
            Selector::Object(text) => same(self.object_id, text),
            // A machine's resource id does not select its system-assigned identity.
            Selector::Resource(text) => {
                self.assignment == Assignment::User && self.resource_id.eq_ignore_ascii_case(text)
            }
        }
    }
}

/// IMDS's rule: the one named; else the system-assigned one; else the only user-assigned one.
pub(crate) fn select_for_machine<'a>(
    all: &'a [ManagedIdentity],
    selector: Option<&Selector>,
) -> Result<&'a ManagedIdentity, NotSelected> {
    if let Some(selector) = selector {
        return named(all, selector);
    }
    match (system_assigned(all), all) {
        (Some(system), _) => Ok(system),
        (None, []) => Err(NotSelected::NotFound),
        (None, [only]) => Ok(only),
        (None, _) => Err(NotSelected::Several),
    }
}

/// App Service's rule: the one named; else the system-assigned one, and never another.
pub(crate) fn select_for_app<'a>(
    all: &'a [ManagedIdentity],
    selector: Option<&Selector>,
) -> Result<&'a ManagedIdentity, NotSelected> {
    match selector {
        Some(selector) => named(all, selector),
        None => system_assigned(all).ok_or(NotSelected::NotFound),
    }
}

/// An id that is the same for the same words in every run.
pub(crate) fn stable_id(kind: &str, name: &str) -> Uuid {
    let hash = digest(
        &SHA256,
        format!("entrada emulator\0{kind}\0{name}").as_bytes(),
    );
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn named<'a>(
    all: &'a [ManagedIdentity],
    selector: &Selector,
) -> Result<&'a ManagedIdentity, NotSelected> {
    all.iter()
        .find(|identity| identity.is(selector))
        .ok_or(NotSelected::NotFound)
}

fn system_assigned(all: &[ManagedIdentity]) -> Option<&ManagedIdentity> {
    all.iter()
        .find(|identity| identity.assignment == Assignment::System)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_selector_a_machine_prefers_its_own_identity() {
        let system = ManagedIdentity::system_assigned("vm");
        let (a, b) = (
            ManagedIdentity::user_assigned("a"),
            ManagedIdentity::user_assigned("b"),
        );
        let pick = |all: &[ManagedIdentity]| select_for_machine(all, None).map(|i| i.name.clone());
        assert_eq!(pick(&[a.clone(), system, b.clone()]), Ok("vm".into()));
        assert_eq!(pick(std::slice::from_ref(&a)), Ok("a".into()));
        assert_eq!(pick(&[a.clone(), b]), Err(NotSelected::Several));
        assert_eq!(pick(&[]), Err(NotSelected::NotFound));
        assert_eq!(select_for_app(&[a], None), Err(NotSelected::NotFound));
    }

    #[test]
    fn each_id_selects_its_identity_and_no_other_kind_of_id_does() {
        let all = [
            ManagedIdentity::user_assigned("a"),
            ManagedIdentity::user_assigned("b"),
        ];
        let b = &all[1];
        let find = |selector: Selector| select_for_machine(&all, Some(&selector));
        assert_eq!(
            find(Selector::Client(b.client_id.to_string().to_uppercase())),
            Ok(b)
        );
        assert_eq!(find(Selector::Object(b.object_id.to_string())), Ok(b));
        assert_eq!(
            find(Selector::Resource(b.resource_id.to_uppercase())),
            Ok(b)
        );
        let wrong = Selector::Client(b.object_id.to_string());
        assert_eq!(find(wrong), Err(NotSelected::NotFound));
    }
}
