//! What each client must do through the proxy, and the table of it in the documentation.

use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use crate::support::{clients, docs};

/// The data file, relative to the crate.
const EXPECTED: &str = "tests/data/proxy/clients.toml";

/// How a client and its listener encrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Encryption {
    /// The proxy does not.
    Off,
    /// The proxy would, but the client is told not to.
    Unwanted,
    /// Both do, inside of PRELOGIN, and the client verifies the certificate.
    On,
    /// TDS 8.0, and the client verifies the certificate.
    Strict,
}

/// One client of the data file. Lists are of names of features as its judge has them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    name: String,
    version: String,
    over: Option<String>,
    /// How it tells the proxy to trust the certificate, in Markdown.
    trust: String,
    pub(super) encryption: Vec<Encryption>,
    /// The name that it logs in with.
    pub(super) application: String,
    pub(super) connect: Vec<String>,
    types: Vec<String>,
    parameters: Vec<String>,
    rollback: Vec<String>,
    pub(super) results: Vec<String>,
    errors: Vec<String>,
    large: Vec<String>,
    cancel: Vec<String>,
    pub(super) reconnect: Vec<String>,
    /// What else works; tried with one kind of encryption only.
    more: Vec<String>,
    /// What must be refused with an error that says so, with and without encryption.
    #[serde(default)]
    refused: Vec<String>,
    /// What must be refused where the certificate is verified.
    #[serde(default)]
    refused_encrypted: Vec<String>,
    /// How it shows a login that the server refuses to the proxy's identity.
    #[serde(default)]
    pub(super) refused_identity: Vec<String>,
    /// Why some of the above is empty.
    note: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    client: Vec<Client>,
}

impl Encryption {
    pub(super) const ALL: [Self; 4] = [Self::Off, Self::Unwanted, Self::On, Self::Strict];

    /// What the client itself is told to do.
    pub(super) fn of_client(self) -> &'static str {
        match self {
            Self::Off | Self::Unwanted => "off",
            Self::On => "on",
            Self::Strict => "strict",
        }
    }

    fn is_verified(self) -> bool {
        matches!(self, Self::On | Self::Strict)
    }
}

impl Client {
    pub(super) fn named(name: &str) -> Self {
        let mut all = expected().into_iter();
        all.find(|client| client.name == name)
            .unwrap_or_else(|| panic!("{name} is not in {EXPECTED}"))
    }

    /// What it must do with this kind of encryption.
    pub(super) fn expected(&self, encryption: Encryption, everything: bool) -> clients::Client {
        let none = Vec::new();
        if encryption == Encryption::Unwanted {
            return self.part(&[&self.connect, &self.results, &self.reconnect], &[]);
        }
        let jobs = self.jobs().map(|(_, names)| names);
        let more = if everything { &self.more } else { &none };
        let encrypted = if encryption.is_verified() {
            &self.refused_encrypted
        } else {
            &none
        };
        let features: Vec<&Vec<String>> = jobs.into_iter().chain([more]).collect();
        self.part(&features, &[&self.refused, encrypted])
    }

    /// These of its features.
    pub(super) fn part(
        &self,
        features: &[&Vec<String>],
        refused: &[&Vec<String>],
    ) -> clients::Client {
        let all = |lists: &[&Vec<String>]| lists.iter().copied().flatten().cloned().collect();
        clients::Client {
            name: self.name.clone(),
            version: self.version.clone(),
            over: self.over.clone(),
            features: all(features),
            refused: all(refused),
            missing: Vec::new(),
        }
    }

    fn jobs(&self) -> [(&'static str, &Vec<String>); 9] {
        [
            ("Connect", &self.connect),
            ("Types", &self.types),
            ("Parameters", &self.parameters),
            ("Rollback", &self.rollback),
            ("Several results", &self.results),
            ("Error", &self.errors),
            ("1 MB each way", &self.large),
            ("Cancel", &self.cancel),
            ("Reconnect", &self.reconnect),
        ]
    }
}

fn expected() -> Vec<Client> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(EXPECTED);
    let text = std::fs::read_to_string(path).unwrap();
    let expected: Expected = toml::from_str(&text).unwrap_or_else(|e| panic!("{EXPECTED}: {e}"));
    expected.client
}

/// The table is the data file's; `ENTRADA_BLESS=1` writes it anew.
#[test]
fn the_documentation_has_the_table() {
    const BEGIN: &str = "<!-- clients:begin -->\n";
    const END: &str = "<!-- clients:end -->";
    docs::assert_section("docs/clients.md", BEGIN, END, &table());
}

fn table() -> String {
    let clients = expected();
    let titles = clients[0].jobs().map(|(title, _)| title);
    let mut table = format!(
        "\n| Client | Encryption | {} |\n| --- | --- |{}\n",
        titles.join(" | "),
        " --- |".repeat(titles.len())
    );
    for client in &clients {
        let jobs = client.jobs().map(|(_, names)| {
            let does = !names.is_empty();
            if does { "✓" } else { "–" }
        });
        let name = client.full_name();
        let encryption = client.encryption.iter().map(|one| one.words());
        let encryption: Vec<&str> = encryption.collect();
        let row = (encryption.join(", "), jobs.join(" | "));
        writeln!(table, "| {name} | {} | {} |", row.0, row.1).unwrap();
    }
    table += "\n| Client | How it trusts the proxy's certificate | What else was tried | Is refused |\n\
              | --- | --- | --- | --- |\n";
    for client in &clients {
        let refused = [
            &client.refused,
            &client.refused_encrypted,
            &client.refused_identity,
        ];
        let refused: Vec<&str> = refused.into_iter().flatten().map(String::as_str).collect();
        let mut more = client.more.join("; ");
        if let Some(note) = &client.note {
            more = format!("{more}{}{note}", if more.is_empty() { "" } else { ". " });
        }
        let row = (client.full_name(), &client.trust, more, refused.join("; "));
        writeln!(table, "| {} | {} | {} | {} |", row.0, row.1, row.2, row.3).unwrap();
    }
    table
}

impl Client {
    pub(super) fn full_name(&self) -> String {
        let over = self.over.iter().map(|over| format!(" over {over}"));
        format!("{} {}{}", self.name, self.version, over.collect::<String>())
    }
}

impl Encryption {
    fn words(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Unwanted => "off where the proxy offers it",
            Self::On => "on",
            Self::Strict => "strict",
        }
    }
}
