//! Tables and logins that a configuration file describes, as the T-SQL that makes them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Spanned, Value};

use super::csv;

/// `[[database.table]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    /// `name`, or `schema.name`.
    pub(super) name: Spanned<String>,
    /// Column definitions and constraints, as CREATE TABLE has them.
    columns: Spanned<Vec<String>>,
    /// Values of all columns in their order, or by name.
    #[serde(default)]
    rows: Vec<Spanned<Value>>,
    /// A file of rows whose first line names the columns; an empty field is NULL, `""` is an empty
    /// text.
    pub(super) csv: Option<Spanned<PathBuf>>,
}

/// What is wrong, and where in the text.
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) problem: String,
}

impl Table {
    /// The schema to make first, unless it is `dbo`.
    pub(super) fn schema(&self) -> Option<&str> {
        let (schema, _) = self.name.get_ref().split_once('.')?;
        (!schema.eq_ignore_ascii_case("dbo")).then_some(schema)
    }

    /// The table and its rows; `csv` is the text of its file.
    pub(super) fn sql(&self, csv: Option<&str>) -> Result<String, Wrong> {
        let columns = self.columns.get_ref();
        if columns.is_empty() {
            return Err(wrong(self.columns.span().start, "a table has columns"));
        }
        let name = self.quoted_name();
        let mut sql = format!("CREATE TABLE {name} (\n  {}\n);\n", columns.join(",\n  "));
        for row in &self.rows {
            let inserted = self.row(row.get_ref());
            let statement = inserted.map_err(|problem| wrong(row.span().start, &problem))?;
            sql.push_str(&statement);
        }
        if let (Some(text), Some(place)) = (csv, &self.csv) {
            let records = csv::read(text).map_err(|problem| wrong(place.span().start, &problem))?;
            let mut records = records.into_iter();
            let names: Vec<String> = records
                .next()
                .unwrap_or_default()
                .into_iter()
                .flatten()
                .collect();
            for fields in records {
                if fields.len() != names.len() {
                    let problem = format!(
                        "a line of the file has {} fields, and its first line has {}",
                        fields.len(),
                        names.len()
                    );
                    return Err(wrong(place.span().start, &problem));
                }
                let values = fields
                    .iter()
                    .map(|field| field.as_deref().map_or("NULL".into(), text_literal));
                sql.push_str(&self.insert(&names, values.collect()));
            }
        }
        Ok(sql)
    }

    fn row(&self, row: &Value) -> Result<String, String> {
        let (names, values): (Vec<String>, Vec<&Value>) = match row {
            Value::Array(values) => {
                let names = self.column_names();
                if names.len() != values.len() {
                    return Err(format!(
                        "the table has {} columns, and the row another number of values ({}); rows by name may leave some out",
                        names.len(),
                        values.len()
                    ));
                }
                (names, values.iter().collect())
            }
            Value::Table(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), value))
                .unzip(),
            _ => return Err("a row is an array of values, or a table of them by column".into()),
        };
        if names.is_empty() {
            return Ok(format!(
                "INSERT INTO {} DEFAULT VALUES;\n",
                self.quoted_name()
            ));
        }
        let values = values.into_iter().map(literal).collect::<Result<_, _>>()?;
        Ok(self.insert(&names, values))
    }

    fn insert(&self, names: &[String], values: Vec<String>) -> String {
        let table = self.quoted_name();
        let quoted: Vec<String> = names
            .iter()
            .map(|name| super::super::builder::quoted(name))
            .collect();
        let insert = format!(
            "INSERT INTO {table} ({}) VALUES ({});\n",
            quoted.join(", "),
            values.join(", ")
        );
        if !names.iter().any(|name| self.is_identity(name)) {
            return insert;
        }
        format!("SET IDENTITY_INSERT {table} ON;\n{insert}SET IDENTITY_INSERT {table} OFF;\n")
    }

    /// Names of the columns, without constraints of the table.
    fn column_names(&self) -> Vec<String> {
        const CONSTRAINTS: [&str; 6] = [
            "CONSTRAINT",
            "PRIMARY",
            "UNIQUE",
            "FOREIGN",
            "CHECK",
            "INDEX",
        ];
        let columns = self.columns.get_ref().iter().map(|column| column.trim());
        columns
            .filter(|column| {
                let word = column.split([' ', '(']).next().unwrap_or_default();
                !CONSTRAINTS
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(word))
            })
            .map(|column| column_name(column).to_owned())
            .collect()
    }

    fn is_identity(&self, name: &str) -> bool {
        self.columns.get_ref().iter().any(|column| {
            let column = column.trim();
            column_name(column).eq_ignore_ascii_case(name)
                && column
                    .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .any(|word| word.eq_ignore_ascii_case("identity"))
        })
    }

    fn quoted_name(&self) -> String {
        let (schema, name) = self
            .name
            .get_ref()
            .split_once('.')
            .unwrap_or(("dbo", self.name.get_ref()));
        let quoted = super::super::builder::quoted;
        format!("{}.{}", quoted(schema), quoted(name))
    }
}

/// The file of a table's rows, in the configuration's folder.
pub(super) fn csv_path(table: &Table, folder: &Path) -> Option<PathBuf> {
    Some(folder.join(table.csv.as_ref()?.get_ref()))
}

/// The name that a column's definition begins with.
fn column_name(definition: &str) -> &str {
    match definition.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => definition.split_whitespace().next().unwrap_or_default(),
    }
}

fn literal(value: &Value) -> Result<String, String> {
    Ok(match value {
        Value::String(text) => text_literal(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) if number.is_finite() => format!("{number:e}"),
        Value::Float(_) => return Err("T-SQL knows no such number".into()),
        Value::Boolean(bit) => u8::from(*bit).to_string(),
        Value::Datetime(time) => text_literal(&time.to_string()),
        Value::Array(_) | Value::Table(_) => {
            return Err("a value is a text, a number, true or false, or a time".into());
        }
    })
}

/// A text, without lines that could be taken for `GO`.
pub(super) fn text_literal(text: &str) -> String {
    let mut sql = String::from("N'");
    for c in text.chars() {
        match c {
            '\'' => sql.push_str("''"),
            '\n' | '\r' => {
                let _ = write!(sql, "' + NCHAR({}) + N'", u32::from(c));
            }
            other => sql.push(other),
        }
    }
    sql.push('\'');
    sql
}

fn wrong(at: usize, problem: &str) -> Wrong {
    Wrong {
        at,
        problem: problem.to_owned(),
    }
}
