//! For whom a token is, in words.

use serde_json::{Value, json};

use super::printable;
use crate::token::Claims;

/// Whom a token logs in, by its own claims.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whom {
    kind: Kind,
    /// What people call it, where the token says.
    name: Option<String>,
    client_id: Option<String>,
    object_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Application,
    ManagedIdentity,
    User,
}

impl Whom {
    /// `None` if the claims name nobody.
    pub(super) fn of(claims: &Claims) -> Option<Self> {
        let (kind, name) = match (&claims.user_name, &claims.resource_id) {
            (Some(user), _) => (Kind::User, Some(user.clone())),
            (None, Some(resource)) => (Kind::ManagedIdentity, Some(managed(resource))),
            (None, None) => (Kind::Application, None),
        };
        // In a user's token it is that of the tool, which logs in nobody.
        let client_id = claims.client_id.clone().filter(|_| kind != Kind::User);
        let object_id = claims.object_id.clone();
        if name.is_none() && client_id.is_none() && object_id.is_none() {
            return None;
        }
        Some(Self {
            kind,
            name,
            client_id,
            object_id,
        })
    }

    /// One line, fit for a terminal.
    pub(super) fn text(&self) -> String {
        let ids = [
            ("client id", &self.client_id),
            ("object id", &self.object_id),
        ];
        let ids: Vec<_> = ids
            .iter()
            .filter_map(|(name, id)| Some(format!("{name} {}", printable(id.as_ref()?))))
            .collect();
        let mut text = self.kind.name().to_owned();
        if let Some(name) = &self.name {
            // A system-assigned identity has only the name of what it belongs to.
            let of = self.kind == Kind::ManagedIdentity && name.contains('/');
            text.push_str(if of { " of " } else { " " });
            text.push_str(&printable(name));
        }
        if !ids.is_empty() {
            text = format!("{text} ({})", ids.join(", "));
        }
        if self.kind == Kind::User {
            text.push_str("; to the database it is this user, not an application");
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "kind": self.kind.name(),
            "name": self.name,
            "client_id": self.client_id,
            "object_id": self.object_id,
        })
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::ManagedIdentity => "managed identity",
            Self::User => "user",
        }
    }
}

/// The name of a user-assigned identity, or what a system-assigned one belongs to,
/// by a resource id: `/subscriptions/…/providers/NAMESPACE/TYPE/NAME`.
fn managed(resource: &str) -> String {
    let mut parts = resource.rsplit('/');
    let (name, kind) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    if kind.is_empty() {
        return resource.to_owned();
    }
    match kind.eq_ignore_ascii_case("userAssignedIdentities") {
        true => name.to_owned(),
        false => format!("{kind}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(claims: Value) -> Claims {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let token = format!("e30.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let token = crate::token::AccessToken::new(token, std::time::Duration::from_secs(60));
        token.claims().unwrap()
    }

    fn text(value: Value) -> String {
        Whom::of(&claims(value)).unwrap().text()
    }

    #[test]
    fn each_kind_of_principal_is_told_by_its_claims() {
        let mine = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app-id";
        let vm =
            "/subscriptions/s/resourcegroups/g/providers/Microsoft.Compute/virtualMachines/vm1";
        for (value, expected) in [
            (
                json!({"appid": "c", "oid": "o"}),
                "application (client id c, object id o)",
            ),
            (
                json!({"appid": "c", "oid": "o", "xms_mirid": mine}),
                "managed identity app-id (client id c, object id o)",
            ),
            (
                json!({"appid": "c", "xms_mirid": vm}),
                "managed identity of virtualMachines/vm1 (client id c)",
            ),
            (
                json!({"appid": "the tool", "oid": "o", "upn": "me@x\u{1b}"}),
                "user me@x\u{fffd} (object id o); to the database it is this user, not an application",
            ),
            (
                json!({"oid": "o", "xms_mirid": "odd"}),
                "managed identity odd (object id o)",
            ),
        ] {
            assert_eq!(text(value), expected);
        }
        assert_eq!(Whom::of(&claims(json!({"aud": "a"}))), None);
    }

    #[test]
    fn programs_get_the_parts() {
        let vm =
            "/subscriptions/s/resourcegroups/g/providers/Microsoft.Compute/virtualMachines/vm1";
        let machine = Whom::of(&claims(json!({"appid": "c", "xms_mirid": vm})));
        assert_eq!(machine.unwrap().json()["name"], "virtualMachines/vm1");
        let user = Whom::of(&claims(
            json!({"oid": "o", "unique_name": "me", "appid": "tool"}),
        ));
        assert_eq!(
            user.unwrap().json(),
            json!({"kind": "user", "name": "me", "client_id": null, "object_id": "o"})
        );
    }
}
