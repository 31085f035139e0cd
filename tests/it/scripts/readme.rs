//! The table in `sql/README.md` is made from the headers.

use std::fmt::Write as _;
use std::path::Path;

use entrada::scripts::{self, Script};

const BEGIN: &str = "<!-- scripts: made from the headers -->\n";
const END: &str = "<!-- /scripts -->\n";

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

#[test]
fn the_table_says_what_the_headers_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the table's beginning");
    let (found, after) = rest.split_once(END).expect("the table's end");
    let wanted = format!("\n{}\n", table());
    if std::env::var_os("ENTRADA_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(found, wanted, "ENTRADA_BLESS=1 writes it anew");
}
