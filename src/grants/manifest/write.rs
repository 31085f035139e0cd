//! A manifest from what a database has.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::check::FIXED_ROLES;
use super::read::KINDS;
use super::text::protect;
use crate::grants::danger;
use crate::grants::model::{
    Desired, Identity, Membership, Permission, PermissionState, Principal, PrincipalKind, Securable,
};
use crate::scripts::is_hidden;
use crate::tsql::Name;

/// Writes a manifest that says just this. It names no database, so that it is
/// for the one that is named when it is used.
///
/// Everything is in the order of names, so that two manifests of one database
/// can be compared line by line. Reading it gives the same [`Desired`], except
/// that memberships and permissions of somebody who is neither among the
/// principals nor the roles stand in comments.
///
/// ```
/// use entrada::grants::{Desired, manifest};
///
/// let text = manifest::write(&Desired::default());
/// assert!(text.starts_with("# "));
/// ```
#[must_use]
pub fn write(desired: &Desired) -> String {
    let mut written = Writing::new(desired);
    written.out.push_str(HEADER);
    let mut roles: Vec<_> = desired.roles.iter().collect();
    roles.sort_by(|a, b| a.name.cmp(&b.name));
    for role in roles {
        written.holder("role", &role.name, role.authoritative, None);
    }
    let publics = desired.permissions.iter().map(|permission| &permission.to);
    let mut publics: Vec<_> = publics.filter(|to| danger::is_public(to)).collect();
    publics.sort_unstable();
    publics.dedup();
    for public in publics {
        written.holder("role", public, false, None);
    }
    let mut principals: Vec<_> = desired.principals.iter().collect();
    principals.sort_by(|a, b| a.name.cmp(&b.name));
    for principal in principals {
        written.holder(
            "principal",
            &principal.name,
            principal.authoritative,
            Some(principal),
        );
    }
    written.rest();
    written.out
}

const HEADER: &str = "\
# Who may do what in a database: roles, what they may, and the identities of Entra
# that are in them. Every key is explained in docs/grants.md.
#
#     entrada grants plan -f FILE --target CONN
";

struct Writing<'a> {
    out: String,
    /// What is not yet written, by who it is for.
    memberships: BTreeMap<&'a Name, Vec<&'a Membership>>,
    permissions: BTreeMap<&'a Name, Vec<&'a Permission>>,
    roles: Vec<&'a Name>,
}

impl<'a> Writing<'a> {
    fn new(desired: &'a Desired) -> Self {
        let mut memberships: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for membership in &desired.memberships {
            let all = memberships.entry(&membership.member).or_default();
            all.push(membership);
        }
        let mut permissions: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for permission in &desired.permissions {
            let all = permissions.entry(&permission.to).or_default();
            all.push(permission);
        }
        Self {
            out: String::new(),
            memberships,
            permissions,
            roles: desired.roles.iter().map(|role| &role.name).collect(),
        }
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn holder(
        &mut self,
        table: &str,
        name: &Name,
        authoritative: bool,
        principal: Option<&Principal>,
    ) {
        let permissions = self.permissions.remove(name).unwrap_or_default();
        let mut memberships = self.memberships.remove(name).unwrap_or_default();
        memberships.sort_unstable();
        memberships.dedup();
        let (memberships, unknown): (Vec<_>, Vec<_>) = memberships
            .into_iter()
            .partition(|membership| self.is_role(&membership.role));
        self.line(&format!("\n[[{table}]]"));
        self.line(&format!("name = {}", quoted(name.as_str())));
        if let Some(principal) = principal {
            self.principal(principal);
        }
        if authoritative {
            self.line("authoritative = true");
        }
        let of_roles = memberships.iter().map(|m| danger::of_role(&m.role));
        let of_permissions = permissions.iter().map(|p| danger::of_permission(p));
        if let Some(why) = of_roles.chain(of_permissions).flatten().min() {
            self.line(&format!("allow_dangerous = true # {why}"));
        }
        if !memberships.is_empty() {
            let roles = list(memberships.iter().map(|membership| &membership.role));
            self.line(&format!("roles = {roles}"));
        }
        for membership in unknown {
            self.line(&format!(
                "# also in the role {}, which is not among the roles here",
                quoted(membership.role.as_str())
            ));
        }
        self.given("grant", &permissions, |state| {
            state != PermissionState::Deny
        });
        self.given("deny", &permissions, |state| state == PermissionState::Deny);
    }

    fn is_role(&self, role: &Name) -> bool {
        FIXED_ROLES.contains(&role.as_str()) || self.roles.contains(&role)
    }

    fn principal(&mut self, principal: &Principal) {
        let words = KINDS.iter().find(|(_, kind)| *kind == principal.kind);
        let kind = words.map_or("", |(word, _)| word);
        self.line(&format!("kind = \"{kind}\""));
        let by_object = matches!(principal.kind, PrincipalKind::User | PrincipalKind::Group);
        match principal.identity {
            Identity::ByName => {}
            Identity::BySid(id) if by_object => self.line(&format!("object_id = \"{id}\"")),
            Identity::BySid(id) => self.line(&format!("client_id = \"{id}\"")),
            Identity::ByObjectId(id) => {
                self.line(&format!("object_id = \"{id}\""));
                if by_object {
                    self.line("ask_entra = true");
                }
            }
        }
        if let Some(schema) = &principal.default_schema {
            self.line(&format!("default_schema = {}", quoted(schema.as_str())));
        }
    }

    fn given(
        &mut self,
        key: &str,
        permissions: &[&Permission],
        is: impl Fn(PermissionState) -> bool,
    ) {
        // Those that differ in the action only share a line.
        let mut lines: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for permission in permissions.iter().filter(|p| is(p.state)) {
            let line = (&permission.on, &permission.columns, permission.state);
            lines.entry(line).or_default().push(permission.action);
        }
        if lines.is_empty() {
            return;
        }
        self.line(&format!("{key} = ["));
        for ((on, columns, state), mut actions) in lines {
            actions.sort_unstable();
            actions.dedup();
            let actions: Vec<_> = actions.iter().map(|action| quoted(action)).collect();
            let mut line = format!("  {{ permissions = [{}], {}", actions.join(", "), thing(on));
            if !columns.is_empty() {
                let _ = write!(line, ", columns = {}", list(columns));
            }
            if state == PermissionState::GrantWithGrantOption {
                line.push_str(", with_grant_option = true");
            }
            self.line(&format!("{line} }},"));
        }
        self.line("]");
    }

    /// What nobody here holds.
    fn rest(&mut self) {
        let memberships = std::mem::take(&mut self.memberships)
            .into_values()
            .flatten();
        let members = memberships.map(|membership| {
            let (member, role) = (&membership.member, &membership.role);
            format!("# {} in {}", quoted(member.as_str()), quoted(role.as_str()))
        });
        let permissions = std::mem::take(&mut self.permissions)
            .into_values()
            .flatten();
        let permissions = permissions.map(|permission| {
            let verb = match permission.state {
                PermissionState::Deny => "DENY",
                _ => "GRANT",
            };
            format!(
                "# {verb} {} to {}: {}",
                permission.action,
                quoted(permission.to.as_str()),
                thing(&permission.on)
            )
        });
        let lines: Vec<_> = members.chain(permissions).collect();
        if !lines.is_empty() {
            self.line("\n# Not kept here, as it is for neither an identity of Entra nor a role:");
            lines.iter().for_each(|line| self.line(line));
        }
    }
}

/// What a permission is about, as key and value.
fn thing(on: &Securable) -> String {
    match on {
        Securable::Database => "database = true".to_owned(),
        Securable::Object { schema, name } => format!("object = {}", two_parts(schema, name)),
        Securable::Role(name) => format!("role = {}", quoted(name.as_str())),
        Securable::Schema(name) => format!("schema = {}", quoted(name.as_str())),
        Securable::Type { schema, name } => format!("type = {}", two_parts(schema, name)),
        Securable::User(name) => format!("user = {}", quoted(name.as_str())),
    }
}

fn two_parts(schema: &Name, name: &Name) -> String {
    let part = |name: &Name| {
        let plain = |c: char| c.is_alphanumeric() || c == '_';
        match name.as_str().chars().all(plain) {
            true => name.as_str().to_owned(),
            false => name.to_string(),
        }
    };
    quoted(&format!("{}.{}", part(schema), part(name)))
}

fn list<'n>(names: impl IntoIterator<Item = &'n Name>) -> String {
    let names = names.into_iter().map(|name| quoted(name.as_str()));
    format!("[{}]", names.collect::<Vec<_>>().join(", "))
}

/// A TOML string on one line that stands for this text. What a reader of the
/// file would not see, or see elsewhere than it is, is written by its number.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in protect(text).chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if is_hidden(c) => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
