//! What keeps a plan from being made, and what should be known about one.

use std::fmt;

use super::change::{shown, shown_securable};
use crate::grants::model::Securable;
use crate::tsql::{Name, Sid};

/// Why no plan can be made: all reasons at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The database is not such that the wanted state can be reached from it.
    #[error(
        "no plan can be made for database {database:?}: {}",
        crate::grants::error::problems(problems)
    )]
    Problems {
        /// The database.
        database: String,
        /// What is in the way; never empty.
        problems: Vec<Problem>,
    },
}

impl PlanError {
    /// What is in the way.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Problems { problems, .. } => problems,
        }
    }
}

/// Something that is in the way of a plan. `Display` says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Problem {
    /// A wanted GRANT would lift a DENY, which only those who are authoritative may.
    DenyInTheWay {
        /// Who is denied it.
        to: Name,
        /// The permission.
        action: &'static str,
        /// On what.
        on: Securable,
        /// On these columns only; empty for the whole.
        columns: Vec<Name>,
    },
    /// The permission cannot be given on such a thing, or not on columns.
    DoesNotFit {
        /// The permission.
        action: &'static str,
        /// On what.
        on: Securable,
        /// Whether it is for columns that it does not fit.
        columns: bool,
    },
    /// Two entries mean the same in this database.
    Duplicate {
        /// The name that stands there twice.
        name: Name,
    },
    /// A wanted DENY would take away what its holder gave on to others.
    GivenOn {
        /// Who may give it on.
        by: Name,
        /// The permission.
        action: &'static str,
        /// On what.
        on: Securable,
    },
    /// The name belongs to something else.
    NameTaken {
        /// The name.
        name: Name,
        /// What has it.
        by: &'static str,
        /// What was wanted to have it.
        wanted: &'static str,
    },
    /// There is no such column.
    NoColumn {
        /// The object's schema.
        schema: Name,
        /// The object.
        object: Name,
        /// The column.
        column: Name,
    },
    /// There is nobody of the name, neither there nor to be made.
    NoPrincipal {
        /// The name.
        name: Name,
        /// What was looked for.
        wanted: &'static str,
    },
    /// There is no such schema, object or type.
    NoSuchThing {
        /// What was looked for.
        on: Securable,
    },
    /// The user belongs to another identity: one of the same name, made anew.
    OtherIdentity {
        /// The user.
        name: Name,
        /// Whose it is; `None` if its SID is of an unknown form.
        has: Option<Sid>,
        /// Whose it should be.
        wanted: Sid,
    },
    /// Users would have to swap names.
    RenameRing {
        /// One of them.
        name: Name,
    },
    /// Roles would be members of each other.
    RoleRing {
        /// The roles, each a member of the one before.
        roles: Vec<Name>,
    },
    /// The server gives nothing to this one.
    Special {
        /// Its name.
        name: Name,
    },
}

/// Something that does not keep a plan from being made, but that one should know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Note {
    /// Somebody authoritative holds more, which this mode leaves.
    HoldsMore {
        /// Who.
        name: Name,
        /// How many permissions and memberships.
        things: usize,
    },
    /// The default schema does not exist.
    NoDefaultSchema {
        /// The user.
        user: Name,
        /// The schema.
        schema: Name,
    },
    /// A GRANT has no effect, because a DENY outweighs it.
    Outweighed {
        /// Who gets it.
        to: Name,
        /// The permission.
        action: &'static str,
        /// On what.
        on: Securable,
        /// Who is denied it.
        denied: Name,
        /// On what.
        by: Securable,
    },
    /// Who runs the plan keeps what would be taken away.
    OwnKept {
        /// The user or group.
        name: Name,
    },
    /// A permission of a sort that manifests do not cover is left as it is.
    Uncovered {
        /// Who holds it.
        to: Name,
        /// Its name.
        action: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DenyInTheWay {
                to,
                action,
                on,
                columns,
            } => write!(
                f,
                "{action} on {} is denied to {}, and a GRANT would lift that: write the DENY into the \
                 manifest in its place, take it back by hand, or make {} authoritative",
                place(on, columns),
                shown(to),
                shown(to)
            ),
            Self::DoesNotFit {
                action,
                on,
                columns: true,
            } => write!(
                f,
                "{action} on {} cannot be given for single columns: leave the columns out",
                shown_securable(on)
            ),
            Self::DoesNotFit { action, on, .. } => write!(
                f,
                "there is no permission {action} on {}: give it on what has it",
                shown_securable(on)
            ),
            Self::Duplicate { name } => write!(
                f,
                "{} is there twice, since this database's collation takes both for one: leave one",
                shown(name)
            ),
            Self::GivenOn { by, action, on } => write!(
                f,
                "{} may give {action} on {} on to others, and a DENY would take it from all of them: \
                 make {} authoritative if that is meant",
                shown(by),
                shown_securable(on),
                shown(by)
            ),
            Self::NameTaken { name, by, wanted } => write!(
                f,
                "{} is {by} in this database, not {wanted}: choose another name",
                shown(name)
            ),
            other => other.fmt_missing(f),
        }
    }
}

impl Problem {
    fn fmt_missing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoColumn {
                schema,
                object,
                column,
            } => write!(
                f,
                "{}.{} has no column {}: correct the name, or make the column first",
                shown(schema),
                shown(object),
                shown(column)
            ),
            Self::NoPrincipal { name, wanted } => write!(
                f,
                "there is no {wanted} {}: correct the name, or write it into the manifest",
                shown(name)
            ),
            Self::NoSuchThing { on } => write!(
                f,
                "there is no {}: correct the name, or make it first",
                shown_securable(on)
            ),
            Self::OtherIdentity { name, has, wanted } => {
                write!(f, "user {} belongs to ", shown(name))?;
                match has {
                    Some(sid) => write!(f, "the identity {}", sid.id())?,
                    None => f.write_str("an identity that cannot be told")?,
                }
                write!(
                    f,
                    ", not to {}: an identity of that name was deleted and made anew, or the id in the \
                     manifest is wrong (applications go by their client id, users and groups by their \
                     object id); to drop the user and make it anew, make it authoritative",
                    wanted.id()
                )
            }
            Self::RenameRing { name } => write!(
                f,
                "{} and others would have to swap names: rename one of them by hand first",
                shown(name)
            ),
            Self::RoleRing { roles } => {
                let names: Vec<String> = roles.iter().map(shown).collect();
                write!(
                    f,
                    "the roles {} would be members of each other: leave one membership out",
                    names.join(", ")
                )
            }
            Self::Special { name } => write!(
                f,
                "the server lets nobody change the rights of {}: leave it out",
                shown(name)
            ),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HoldsMore { name, things } => write!(
                f,
                "{} is authoritative and has {things} more than is written, which additive mode leaves",
                shown(name)
            ),
            Self::NoDefaultSchema { user, schema } => write!(
                f,
                "the default schema {} of {} does not exist",
                shown(schema),
                shown(user)
            ),
            Self::Outweighed {
                to,
                action,
                on,
                denied,
                by,
            } => write!(
                f,
                "{action} on {} has no effect for {}, since it is denied to {} on {}",
                shown_securable(on),
                shown(to),
                shown(denied),
                shown_securable(by)
            ),
            Self::OwnKept { name } => write!(
                f,
                "nothing is taken from {}, by which this runs",
                shown(name)
            ),
            Self::Uncovered { to, action } => write!(
                f,
                "{} holds {action}, which manifests do not cover; it is left",
                shown(to)
            ),
        }
    }
}

fn place(on: &Securable, columns: &[Name]) -> String {
    let mut text = shown_securable(on);
    if !columns.is_empty() {
        let names: Vec<String> = columns.iter().map(shown).collect();
        text.push_str(&format!(" ({})", names.join(", ")));
    }
    text
}
