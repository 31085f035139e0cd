//! The table in `sql/README.md` is made from the headers.

use std::fmt::Write as _;

use entrada::scripts::{self, Script};

use crate::support::docs;

fn table() -> String {
    let mut table = String::from(
        "| Script | What it is for | Variables (default) | Needs |\n| --- | --- | --- | --- |\n",
    );
    for script in scripts::all() {
        let Script {
            name,
            purpose,
            needs,
            variables,
            ..
        } = script;
        let variables: Vec<String> = variables
            .iter()
            .map(|variable| match &variable.default {
                Some(default) => format!("`{}` ({default})", variable.name),
                None => format!("`{}`", variable.name),
            })
            .collect();
        let variables = variables.join(", ");
        let _ = writeln!(
            table,
            "| [`{name}`]({name}.sql) | {purpose} | {variables} | {needs} |"
        );
    }
    table
}

/// `ENTRADA_BLESS=1` writes it anew.
#[test]
fn the_table_says_what_the_headers_say() {
    const BEGIN: &str = "<!-- scripts: made from the headers -->\n";
    const END: &str = "<!-- /scripts -->\n";
    docs::assert_section("sql/README.md", BEGIN, END, &format!("\n{}\n", table()));
}
