//! `entrada script`: the scripts of `sql/`, listed, explained, or filled in.

use std::fmt::Write as _;

use clap::builder::PossibleValuesParser;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::exit::{Exit, Failure};
use super::output::{TextOrJson, print, print_line};
use crate::scripts::{self, Script, Variable};

/// Arguments of `entrada script`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The script goes to the standard output, one batch that runs again without harm:\n  \
                  entrada script create-user --var PrincipalName=orders-api | sqlcmd -S … -d … -G -i /dev/stdin"
)]
pub(super) struct Args {
    /// The script; without a name all are listed
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(names()), hide_possible_values = true)]
    name: Option<String>,

    /// A variable and its value, as it is: quotes and all else are taken care of
    #[arg(long = "var", value_name = "NAME=VALUE", requires = "name")]
    variables: Vec<Given>,

    /// List the scripts
    #[arg(long, conflicts_with = "name")]
    list: bool,

    /// Show what the script is for, its variables, the right it needs and what it changes
    #[arg(long, requires = "name", conflicts_with = "variables")]
    explain: bool,

    /// How to list or explain
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: TextOrJson,
}

/// `NAME=VALUE` of the command line.
#[derive(Clone, Debug)]
struct Given {
    name: String,
    value: String,
}

impl std::str::FromStr for Given {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("it must look like NAME=VALUE"),
        }
    }
}

fn names() -> Vec<&'static str> {
    scripts::all().iter().map(|script| script.name).collect()
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let script = args.name.as_deref().and_then(scripts::find);
    match (script, args.format) {
        (None, TextOrJson::Text) => print_line(&table())?,
        (None, TextOrJson::Json) => {
            let all: Vec<Value> = scripts::all().iter().map(json_of).collect();
            print_line(&Value::from(all).to_string())?;
        }
        (Some(script), TextOrJson::Json) if args.explain => {
            print_line(&json_of(script).to_string())?;
        }
        (Some(script), TextOrJson::Text) if args.explain => print(&explain(script))?,
        (Some(script), _) => {
            let variables = args.variables.iter();
            let variables: Vec<(&str, &str)> = variables
                .map(|given| (given.name.as_str(), given.value.as_str()))
                .collect();
            let text = script.fill(&variables);
            print(&text.map_err(|error| Failure::new(Exit::Usage, error))?)?;
        }
    }
    Ok(Exit::Ok)
}

/// Names and purposes, as wide as the terminal.
fn table() -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    for Script { name, purpose, .. } in scripts::all() {
        table.add_row([*name, purpose.as_str()]);
    }
    table.trim_fmt()
}

/// The header in words.
fn explain(script: &Script) -> String {
    let mut out = format!("{}: {}\n", script.name, script.purpose);
    if !script.variables.is_empty() {
        out.push_str("\nVariables\n");
    }
    for Variable {
        name,
        kind,
        meaning,
        default,
        example,
        ..
    } in &script.variables
    {
        let _ = writeln!(out, "  {name} ({kind}): {meaning}");
        for (word, value) in [("Default", default), ("Example", example)] {
            if let Some(value) = value {
                let _ = writeln!(out, "      {word}: {value}");
            }
        }
    }
    let _ = writeln!(out, "\nNeeds\n  {}", script.needs);
    let _ = writeln!(out, "\nChanges\n  {}", script.changes);
    for (title, lines) in [("Notes", &script.notes), ("Sources", &script.sources)] {
        let _ = writeln!(out, "\n{title}");
        for line in lines {
            let _ = writeln!(out, "  {line}");
        }
    }
    out
}

fn json_of(script: &Script) -> Value {
    let variables: Vec<Value> = script.variables.iter().map(json_of_variable).collect();
    json!({
        "name": script.name,
        "purpose": script.purpose,
        "variables": variables,
        "needs": script.needs,
        "changes": script.changes,
        "notes": script.notes,
        "sources": script.sources,
    })
}

fn json_of_variable(variable: &Variable) -> Value {
    json!({
        "name": variable.name,
        "kind": variable.kind.to_string(),
        "meaning": variable.meaning,
        "default": variable.default,
        "example": variable.example,
    })
}
