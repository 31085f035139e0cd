//! For whom a token is, in words.

use serde_json::{Value, json};

use super::printable;
use crate::token::Claims;
use crate::token::principal::{Principal, PrincipalKind};

/// Whom a token logs in, as people and programs are told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whom {
    principal: Principal,
}

impl Whom {
    /// `None` if the claims name nobody.
    pub(super) fn of(claims: &Claims) -> Option<Self> {
        let mut principal = Principal::of(claims);
        if principal.kind == PrincipalKind::ManagedIdentity {
            principal.name = claims.resource_id.as_deref().map(managed);
        }
        let ids = [&principal.name, &principal.client_id, &principal.object_id];
        ids.iter()
            .any(|id| id.is_some())
            .then_some(Self { principal })
    }

    /// One line, fit for a terminal.
    pub(super) fn text(&self) -> String {
        let who = &self.principal;
        let ids = [("client id", &who.client_id), ("object id", &who.object_id)];
        let ids: Vec<_> = ids
            .iter()
            .filter_map(|(name, id)| Some(format!("{name} {}", printable(id.as_ref()?))))
            .collect();
        let mut text = who.kind.name().to_owned();
        if let Some(name) = &who.name {
            // A system-assigned identity has only the name of what it belongs to.
            let of = who.kind == PrincipalKind::ManagedIdentity && name.contains('/');
            text.push_str(if of { " of " } else { " " });
            text.push_str(&printable(name));
        }
        if !ids.is_empty() {
            text = format!("{text} ({})", ids.join(", "));
        }
        if who.kind == PrincipalKind::User {
            text.push_str("; to the database it is this user, not an application");
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let who = &self.principal;
        json!({
            "kind": who.kind.name(),
            "name": who.name,
            "client_id": who.client_id,
            "object_id": who.object_id,
        })
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
