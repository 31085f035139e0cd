//! Result sets as a table, as CSV or as JSON.

use comfy_table::{Cell as TableCell, CellAlignment, Table, presets};

use super::value::{Cell, json_text};
use crate::cli::exit::Failure;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(in crate::cli) enum Format {
    /// A table for people. It is held in memory until its last row has come.
    #[default]
    Table,
    /// One JSON array of objects for each result set, each on a line of its own.
    Json,
    /// Comma-separated values with a header (RFC 4180); result sets are parted by an empty line.
    Csv,
}

/// Takes rows and prints them as they come, as far as the format can.
pub(super) struct Writer<W> {
    out: W,
    format: Format,
    names: Vec<String>,
    table: Table,
    rows: u64,
    sets: u64,
}

impl<W: FnMut(&str) -> Result<(), Failure>> Writer<W> {
    /// A writer whose text goes to `out`, piece by piece.
    pub(super) fn new(format: Format, out: W) -> Self {
        Self {
            out,
            format,
            names: Vec::new(),
            table: Table::new(),
            rows: 0,
            sets: 0,
        }
    }

    /// A result set begins; the one before it ends.
    pub(super) fn begin(&mut self, columns: impl Iterator<Item = String>) -> Result<(), Failure> {
        self.end()?;
        let parted = self.sets > 0;
        self.sets += 1;
        self.rows = 0;
        self.names = columns.collect();
        match self.format {
            Format::Table => {
                self.table = Table::new();
                self.table.load_style(presets::UTF8_BORDERS_ONLY);
                self.table.set_header(self.names.iter().map(printable));
                Ok(())
            }
            Format::Json => {
                self.names = distinct(std::mem::take(&mut self.names));
                (self.out)("[")
            }
            Format::Csv => {
                let parting = if parted { "\r\n" } else { "" };
                let header = self.names.iter().map(|name| csv_field(name));
                (self.out)(&format!(
                    "{parting}{}\r\n",
                    header.collect::<Vec<_>>().join(",")
                ))
            }
        }
    }

    /// A row of the set that has begun; `None` is NULL.
    pub(super) fn row(&mut self, cells: Vec<Option<Cell>>) -> Result<(), Failure> {
        self.rows += 1;
        match self.format {
            Format::Table => {
                self.table.add_row(cells.into_iter().map(table_cell));
                Ok(())
            }
            Format::Json => {
                let parting = if self.rows > 1 { "," } else { "" };
                (self.out)(&format!("{parting}{}", json_object(&self.names, cells)))
            }
            Format::Csv => {
                // NULL is an empty field, an empty text a quoted one.
                let fields = cells.into_iter().map(|cell| match cell {
                    None => String::new(),
                    Some(cell) => csv_field(&cell.into_text()),
                });
                (self.out)(&format!("{}\r\n", fields.collect::<Vec<_>>().join(",")))
            }
        }
    }

    /// No further row of this set comes.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        if self.sets == 0 {
            return Ok(());
        }
        match self.format {
            Format::Table => {
                let rows = if self.rows == 1 { "row" } else { "rows" };
                (self.out)(&format!("{}\n({} {rows})\n", self.table, self.rows))
            }
            Format::Json => (self.out)("]\n"),
            Format::Csv => Ok(()),
        }
    }
}

fn table_cell(cell: Option<Cell>) -> TableCell {
    match cell {
        None => TableCell::new("NULL"),
        Some(cell @ Cell::Number(_)) => {
            TableCell::new(cell.into_text()).set_alignment(CellAlignment::Right)
        }
        Some(cell) => TableCell::new(printable(cell.into_text())),
    }
}

/// A stored text must not move the cursor or colour the terminal of whoever looks at it.
fn printable(text: impl AsRef<str>) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.as_ref().chars().map(shown).collect()
}

fn json_object(names: &[String], cells: Vec<Option<Cell>>) -> String {
    let fields = names.iter().zip(cells).map(|(name, cell)| {
        let value = cell.map_or_else(|| "null".to_owned(), Cell::into_json);
        format!("{}:{value}", json_text(name))
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// JSON objects need names that differ: nameless columns are numbered, repeated names get a number.
fn distinct(names: Vec<String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::with_capacity(names.len());
    for (at, name) in names.into_iter().enumerate() {
        let base = if name.is_empty() {
            format!("column{}", at + 1)
        } else {
            name
        };
        let unused = |name: &String| !seen.contains(name);
        let name = std::iter::once(base.clone())
            .chain((2..).map(|n| format!("{base}_{n}")))
            .find(unused)
            .unwrap_or(base);
        seen.push(name);
    }
    seen
}

fn csv_field(text: &str) -> String {
    if text.is_empty() || text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_names_differ() {
        let names = ["id", "", "id", "id_2", ""].map(str::to_owned).to_vec();
        assert_eq!(
            distinct(names),
            ["id", "column2", "id_2", "id_2_2", "column5"]
        );
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        assert_eq!(csv_field("plain"), "plain");
        assert_eq!(csv_field("a,b"), "\"a,b\"");
        assert_eq!(csv_field("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(csv_field(""), "\"\"");
    }

    #[test]
    fn a_table_shows_no_escape_sequences() {
        assert_eq!(printable("a\u{1b}[31mb\tc"), "a\u{fffd}[31mb\tc");
    }
}
