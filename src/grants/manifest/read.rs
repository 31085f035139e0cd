//! What a manifest says, table by table, not yet compared with itself.

use std::cell::Cell;
use std::path::Path;

use uuid::Uuid;

use super::MAX_ENTRIES;
use super::connection::Connection;
use super::grants::{self, Given};
use super::text::{expand, expand_connection};
use crate::grants::model::{Identity, PrincipalKind};
use crate::settings::{Found, Section, nearest};
use crate::token::Environment;
use crate::tsql::Name;

/// What a text of the file stands for, and how it is written there: messages
/// repeat only that, as a variable may hold what nobody should see.
#[derive(Clone, Debug)]
pub(super) struct Word<T> {
    pub(super) value: T,
    pub(super) written: String,
    pub(super) at: usize,
}

/// A database that the file names.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) label: String,
    /// The label as the file writes it.
    pub(super) written: String,
    pub(super) server: Option<String>,
    pub(super) database: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) connection: Option<Connection>,
    /// Where its name stands, and under which key.
    pub(super) at: usize,
    pub(super) key: &'static str,
}

/// A principal or a role.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) what: What,
    pub(super) name: Word<Name>,
    /// The databases that it is for; `None` for all.
    pub(super) databases: Option<Vec<Word<String>>>,
    /// The roles that it is a member of.
    pub(super) roles: Vec<Word<Name>>,
    pub(super) given: Vec<Given>,
    pub(super) authoritative: bool,
    pub(super) allow_dangerous: bool,
    /// Where `authoritative` stands, or else the table.
    pub(super) at: usize,
}

/// What a [`Holder`] is.
#[derive(Clone, Debug)]
pub(super) enum What {
    Principal {
        kind: PrincipalKind,
        identity: Identity,
        default_schema: Option<Name>,
    },
    Role,
}

impl What {
    /// The table that it stands in.
    pub(super) fn table(&self) -> &'static str {
        match self {
            Self::Principal { .. } => "principal",
            Self::Role => "role",
        }
    }
}

/// All that the file says.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) places: Vec<Place>,
    pub(super) holders: Vec<Holder>,
    /// What `databases` may say beside labels, as the file writes it.
    pub(super) known: Vec<String>,
}

/// What the values of the file are relative to.
pub(super) struct Reading<'a> {
    pub(super) folder: &'a Path,
    pub(super) environment: &'a Environment,
    /// How much more there may be.
    pub(super) room: Cell<usize>,
}

impl Reading<'_> {
    pub(super) fn manifest(&self, root: Section<'_>) -> Said {
        let mut said = Said::default();
        for server in root.tables("server") {
            self.server(server, &mut said);
        }
        for database in root.tables("database") {
            self.database(database, &mut said);
        }
        for role in root.tables("role") {
            said.holders.extend(self.holder(role, |_| Some(What::Role)));
        }
        for principal in root.tables("principal") {
            let read = self.holder(principal, |section| self.principal(section));
            said.holders.extend(read);
        }
        root.end();
        said
    }

    /// Whether there is room for so much more, which is noted if not.
    pub(super) fn takes(&self, section: &Section<'_>, entries: usize) -> bool {
        let room = self.room.get().checked_sub(entries);
        self.room.set(room.unwrap_or_default());
        if room.is_none() && !section.is_full() {
            section.note_itself(format!(
                "with this the file has more than {MAX_ENTRIES} entries: write several files"
            ));
        }
        room.is_some()
    }

    fn server(&self, section: Section<'_>, said: &mut Said) {
        let name = self.text(&section, "name");
        section.missing("name", "a name for the server, as \"prod\"");
        let connection = self.connection(&section, true);
        let databases = self.each(&section, "databases");
        section.missing("databases", "the names of its databases, as [\"shop\"]");
        let tags = self.tags(&section, said);
        if section.is_empty_list("databases") {
            let at = section.place("databases").unwrap_or(section.at);
            section.note(at, "databases", "write at least one name");
        }
        let entries = databases.len().saturating_mul(1 + tags.len());
        if let (Some(name), Some(connection)) = (name, connection)
            && self.takes(&section, entries)
        {
            said.known.push(name.written.clone());
            said.known
                .extend(databases.iter().map(|word| word.written.clone()));
            said.places
                .extend(databases.into_iter().map(|database| Place {
                    label: format!("{}/{}", name.value, database.value),
                    written: format!("{}/{}", name.written, database.written),
                    server: Some(name.value.clone()),
                    connection: Some(connection.with_database(&database.value)),
                    database: Some(database.value),
                    tags: tags.clone(),
                    at: database.at,
                    key: "server.databases",
                }));
        }
        section.end();
    }

    fn database(&self, section: Section<'_>, said: &mut Said) {
        let name = self.text(&section, "name");
        section.missing("name", "a name for the database, as \"shop-prod\"");
        let connection = self.connection(&section, false);
        let tags = self.tags(&section, said);
        if let (Some(name), Some(connection)) = (name, connection)
            && self.takes(&section, 1 + tags.len())
        {
            said.places.push(Place {
                label: name.value,
                written: name.written,
                server: None,
                database: None,
                tags,
                connection: Some(connection),
                at: name.at,
                key: "database.name",
            });
        }
        section.end();
    }

    fn connection(&self, section: &Section<'_>, is_shared: bool) -> Option<Connection> {
        section.missing("connection", CONNECTION);
        let found = section.text("connection")?;
        let written = found.value;
        let is_text = !written.starts_with("env:") && !written.starts_with("file:");
        let filled = match is_text {
            true => expand_connection(written, self.environment),
            false => expand(written, self.environment),
        };
        let note = |what: String| section.note(found.at, "connection", what);
        let connection = match filled {
            Ok(text) => Connection::new(&text, is_text, self.folder),
            Err(what) => {
                note(what);
                return None;
            }
        };
        let fault = match is_shared {
            true => connection.with_database("").fault(written.contains('$')),
            false => connection.fault(written.contains('$')),
        };
        if let Some(what) = fault {
            note(what);
        }
        Some(connection)
    }

    fn holder(
        &self,
        section: Section<'_>,
        what: impl FnOnce(&Section<'_>) -> Option<What>,
    ) -> Option<Holder> {
        let name = self.name(&section, "name");
        section.missing("name", "what it is called in the database");
        let what = what(&section);
        let databases = section.place("databases");
        let all = self.each(&section, "databases");
        let roles = self.each(&section, "roles").into_iter();
        let roles = roles.filter_map(|word| self.named(&section, "roles", word));
        let roles = roles.collect();
        let authoritative = section.flag("authoritative").unwrap_or_default();
        let allow_dangerous = section.flag("allow_dangerous").unwrap_or_default();
        let mut given = Vec::new();
        for grant in section.tables("grant") {
            grants::read(self, grant, true, name.as_ref(), &mut given);
        }
        for deny in section.tables("deny") {
            grants::read(self, deny, false, name.as_ref(), &mut given);
        }
        let at = section.place("authoritative").unwrap_or(section.at);
        section.end();
        Some(Holder {
            what: what?,
            name: name?,
            databases: databases.map(|_| all),
            roles,
            given,
            authoritative,
            allow_dangerous,
            at,
        })
    }

    fn principal(&self, section: &Section<'_>) -> Option<What> {
        let kind = word_of(section, "kind", KINDS);
        section.missing(
            "kind",
            "\"user\", \"group\", \"application\" or \"managed-identity\"",
        );
        let client_id = self.id(section, "client_id");
        let object_id = self.id(section, "object_id");
        let ask_entra = section.flag("ask_entra");
        let default_schema = self.name(section, "default_schema");
        let kind = kind?.value;
        let identity = Ids {
            client: client_id?,
            object: object_id?,
            ask_entra,
        };
        let identity = match identity.of(kind) {
            Ok(identity) => identity,
            Err((key, what)) => {
                section.note(section.place(key).unwrap_or(section.at), key, what);
                return None;
            }
        };
        Some(What::Principal {
            kind,
            identity,
            default_schema: default_schema.map(|name| name.value),
        })
    }

    /// An id, or none; `None` if what stands there is no id.
    fn id(&self, section: &Section<'_>, key: &'static str) -> Option<Option<Uuid>> {
        if section.place(key).is_none() {
            // The walker is told of the key.
            let _ = section.text(key);
            return Some(None);
        }
        let word = self.text(section, key)?;
        let id = Uuid::try_parse(&word.value);
        match id {
            Ok(id) if !id.is_nil() && word.value.len() == 36 => Some(Some(id)),
            _ => {
                let what =
                    "write an id of 36 characters, as \"00112233-4455-6677-8899-aabbccddeeff\"";
                section.note(word.at, key, what);
                None
            }
        }
    }

    fn tags(&self, section: &Section<'_>, said: &mut Said) -> Vec<String> {
        let tags = self.each(section, "tags");
        said.known
            .extend(tags.iter().map(|tag| tag.written.clone()));
        tags.into_iter().map(|tag| tag.value).collect()
    }

    /// A text with its variables filled in.
    pub(super) fn text(&self, section: &Section<'_>, key: &'static str) -> Option<Word<String>> {
        self.filled(section, key, section.text(key)?)
    }

    /// A list of texts with their variables filled in.
    pub(super) fn each(&self, section: &Section<'_>, key: &'static str) -> Vec<Word<String>> {
        let items = section.each(key).into_iter();
        items
            .filter_map(|found| self.filled(section, key, found))
            .collect()
    }

    pub(super) fn filled(
        &self,
        section: &Section<'_>,
        key: &str,
        found: Found<&str>,
    ) -> Option<Word<String>> {
        match expand(found.value, self.environment) {
            Ok(value) => Some(Word {
                value,
                written: found.value.to_owned(),
                at: found.at,
            }),
            Err(what) => {
                section.note(found.at, key, what);
                None
            }
        }
    }

    /// A name of something in a database.
    pub(super) fn name(&self, section: &Section<'_>, key: &'static str) -> Option<Word<Name>> {
        self.named(section, key, self.text(section, key)?)
    }

    pub(super) fn named(
        &self,
        section: &Section<'_>,
        key: &str,
        word: Word<String>,
    ) -> Option<Word<Name>> {
        match Name::new(&word.value) {
            Ok(value) => Some(Word {
                value,
                written: word.written,
                at: word.at,
            }),
            Err(error) => {
                section.note(word.at, key, error.to_string());
                None
            }
        }
    }
}

/// What an identity is known by, as the file says it.
struct Ids {
    client: Option<Uuid>,
    object: Option<Uuid>,
    ask_entra: Option<bool>,
}

impl Ids {
    /// What the server is told when the user is made, or which key is wrong and why.
    fn of(&self, kind: PrincipalKind) -> Result<Identity, (&'static str, &'static str)> {
        let by_client = matches!(
            kind,
            PrincipalKind::Application | PrincipalKind::ManagedIdentity
        );
        match (self.client, self.object, self.ask_entra) {
            (Some(_), Some(_), _) if by_client => Err((
                "object_id",
                "one id is enough: keep client_id, which the database knows it by",
            )),
            (Some(_), ..) if !by_client => Err((
                "client_id",
                "users and groups have none: write their object_id",
            )),
            (Some(_), _, Some(true)) => Err((
                "ask_entra",
                "Entra is asked by name or by object_id: write object_id in place of client_id",
            )),
            (Some(id), ..) => Ok(Identity::BySid(id)),
            (None, Some(_), Some(false)) if by_client => Err((
                "ask_entra",
                "what the database knows an application or a managed identity by is made of its client_id: write that in place of object_id",
            )),
            (None, Some(id), ask) if by_client || ask == Some(true) => Ok(Identity::ByObjectId(id)),
            (None, Some(id), _) => Ok(Identity::BySid(id)),
            (None, None, Some(false)) => Err((
                "ask_entra",
                match by_client {
                    true => "without Entra the client_id is needed",
                    false => "without Entra the object_id is needed",
                },
            )),
            (None, None, _) => Ok(Identity::ByName),
        }
    }
}

/// A word of a fixed set.
pub(super) fn word_of<T: Copy>(
    section: &Section<'_>,
    key: &'static str,
    words: &[(&'static str, T)],
) -> Option<Found<T>> {
    section.parsed(key, |text| {
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names = words.iter().map(|(word, _)| *word);
            match nearest(text, names.clone()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("write one of {}", names.collect::<Vec<_>>().join(", ")),
            }
        })
    })
}

/// What `kind` may say.
pub(super) const KINDS: &[(&str, PrincipalKind)] = &[
    ("application", PrincipalKind::Application),
    ("group", PrincipalKind::Group),
    ("managed-identity", PrincipalKind::ManagedIdentity),
    ("user", PrincipalKind::User),
];

const CONNECTION: &str = "a connection string, \"env:NAME\" or \"file:PATH\"";
