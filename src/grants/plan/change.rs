//! One step of a plan.

use std::fmt;

use serde::Serialize;

use crate::grants::model::Securable;
use crate::tsql::{Name, Statement};

/// One statement of a plan, and what it is for.
///
/// `Display` is a line for people; as JSON it has the keys `kind`, `principal`,
/// `what`, `takes_away`, `dangerous` (a reason or `null`) and `statement`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// What sort of change it is.
    pub kind: ChangeKind,
    /// The user or role that it is about; the owner if it is about a schema.
    pub principal: Name,
    /// The change in words.
    pub what: String,
    /// Whether somebody may do less afterwards.
    pub takes_away: bool,
    /// Why it is dangerous, if it is.
    pub dangerous: Option<&'static str>,
    /// What is sent to the server.
    pub statement: Statement,
}

/// What sort of change it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// A member leaves a role.
    DropMember,
    /// A permission is taken back, or a DENY lifted.
    Revoke,
    /// A schema or a role gets another owner.
    TransferOwnership,
    /// A role is dropped.
    DropRole,
    /// A user is dropped.
    DropUser,
    /// A user gets another name.
    RenameUser,
    /// A role is made.
    CreateRole,
    /// A user is made.
    CreateUser,
    /// A user gets another default schema.
    SetDefaultSchema,
    /// A member joins a role.
    AddMember,
    /// A permission is given.
    Grant,
    /// A permission is forbidden.
    Deny,
}

impl ChangeKind {
    /// The word for it, as JSON has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AddMember => "add-member",
            Self::CreateRole => "create-role",
            Self::CreateUser => "create-user",
            Self::Deny => "deny",
            Self::DropMember => "drop-member",
            Self::DropRole => "drop-role",
            Self::DropUser => "drop-user",
            Self::Grant => "grant",
            Self::RenameUser => "rename-user",
            Self::Revoke => "revoke",
            Self::SetDefaultSchema => "set-default-schema",
            Self::TransferOwnership => "transfer-ownership",
        }
    }
}

impl Change {
    pub(super) fn new(
        kind: ChangeKind,
        principal: &Name,
        what: String,
        statement: Statement,
    ) -> Self {
        let takes_away = matches!(
            kind,
            ChangeKind::Deny
                | ChangeKind::DropMember
                | ChangeKind::DropRole
                | ChangeKind::DropUser
                | ChangeKind::Revoke
        );
        Self {
            kind,
            principal: principal.clone(),
            what,
            takes_away,
            dangerous: None,
            statement,
        }
    }

    pub(super) fn dangerous(mut self, why: Option<&'static str>) -> Self {
        self.dangerous = why;
        self
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.takes_away { '-' } else { '+' };
        write!(f, "{sign} {}", self.what)?;
        if let Some(why) = self.dangerous {
            write!(f, " (dangerous: {why})")?;
        }
        Ok(())
    }
}

/// A name for people: quoted, and with nothing that would steer a terminal or
/// turn the text around.
pub(super) fn shown(name: &Name) -> String {
    name.to_string()
        .chars()
        .flat_map(|c| {
            let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            let escaped = (c.is_control() || turns).then(|| c.escape_unicode());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// What a permission is about, for people.
pub(super) fn shown_securable(on: &Securable) -> String {
    match on {
        Securable::Database => "the database".to_owned(),
        Securable::Object { schema, name } => format!("{}.{}", shown(schema), shown(name)),
        Securable::Role(name) => format!("role {}", shown(name)),
        Securable::Schema(name) => format!("schema {}", shown(name)),
        Securable::Type { schema, name } => format!("type {}.{}", shown(schema), shown(name)),
        Securable::User(name) => format!("user {}", shown(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_steers_a_terminal() {
        let name = Name::new("a\u{1b}[31m\u{202e}b\r\n").unwrap();
        let text = shown(&name);
        assert_eq!(text, r"[a\u{1b}[31m\u{202e}b\u{d}\u{a}]");
    }
}
