//! The conformance list in `docs/emulator.md`, which is made from the cases and from what the clients
//! of `tests/data/emulator/clients.toml` must be able to do.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use super::{Area, areas, directory};
use crate::support::{clients, docs};

/// Numbers by which Azure SQL, and the emulator, refuse what they do not support.
const UNSUPPORTED: RangeInclusive<i32> = 40_500..=40_599;

/// The list is the tests' own; `ENTRADA_BLESS=1` writes it anew.
#[test]
fn the_documentation_has_the_conformance_list() {
    const BEGIN: &str = "<!-- conformance:begin -->\n";
    const END: &str = "<!-- conformance:end -->";
    docs::assert_section("docs/emulator.md", BEGIN, END, &(language() + &drivers()));
}

/// T-SQL by area: what works, and what is refused with which error.
fn language() -> String {
    let mut areas: Vec<Area> = areas(&directory()).into_iter().map(|(_, a)| a).collect();
    areas.sort_by(|a, b| a.area.cmp(&b.area));
    let mut list = String::from("\n### T-SQL\n\n| Area | Works | Refused |\n| --- | --- | --- |\n");
    for area in areas {
        let (mut works, mut refused) = (Vec::new(), Vec::new());
        for feature in features(&area) {
            match feature {
                Feature::Works(name) => works.push(name),
                Feature::Refused(name, number) => refused.push(format!("{name} ({number})")),
            }
        }
        let row = [area.area, works.join("; "), refused.join("; ")];
        writeln!(list, "| {} |", row.map(cell).join(" | ")).unwrap();
    }
    list
}

/// What each client does, as its own script in `tests/judges` shows.
fn drivers() -> String {
    let mut list = String::from(
        "\n### Clients\n\n| Client | Works | Is refused, as at Azure | Does not work yet |\n\
         | --- | --- | --- | --- |\n",
    );
    for client in clients::expected() {
        let over = client
            .over
            .map_or_else(String::new, |o| format!(" over {o}"));
        let row = [
            format!("{} {}{over}", client.name, client.version),
            client.features.join("; "),
            client.refused.join("; "),
            client.missing.join("; "),
        ];
        writeln!(list, "| {} |", row.map(cell).join(" | ")).unwrap();
    }
    list
}

enum Feature {
    Works(String),
    Refused(String, i32),
}

/// The features of an area in their order. One counts as refused if all of its cases are.
fn features(area: &Area) -> Vec<Feature> {
    let mut names: Vec<&str> = Vec::new();
    for case in &area.case {
        if !names.contains(&case.feature.as_str()) {
            names.push(&case.feature);
        }
    }
    let feature = |name: &str| {
        let mut refusals = area
            .case
            .iter()
            .filter(|case| case.feature == name)
            .map(|case| case.error.filter(|number| UNSUPPORTED.contains(number)));
        let first = refusals.next().flatten();
        match first.filter(|_| refusals.all(|refusal| refusal.is_some())) {
            Some(number) => Feature::Refused(name.to_owned(), number),
            None => Feature::Works(name.to_owned()),
        }
    };
    names.into_iter().map(feature).collect()
}

/// A text inside of a table.
fn cell(text: String) -> String {
    text.replace('|', "\\|")
}
