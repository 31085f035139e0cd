//! `entrada query`: run a batch and print its results.

mod value;
mod writer;

use futures_util::TryStreamExt;

use super::conn_arg::ConnArg;
use super::exit::{Exit, Failure};
use super::output;
use super::source_args::SourceArgs;
use crate::Error;
use crate::pool::Pool;
use crate::pool::tiberius::{QueryItem, QueryStream};
use value::Cell;
use writer::{Format, Writer};

/// Arguments of `entrada query`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Connection string, `-`, `env:NAME` or `file:PATH`
    #[arg(value_name = "CONN")]
    conn: ConnArg,

    /// The batch; it may hold several statements
    // A batch may begin with a comment, which looks like an option.
    #[arg(value_name = "T-SQL", allow_hyphen_values = true)]
    sql: String,

    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    #[command(flatten)]
    sources: SourceArgs,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    let sources = args.sources.sources();
    let pool = Pool::following(args.conn.resolve(sources.clone()).await?)
        .max_size(1)
        .sources(sources)
        .build()
        .map_err(Error::from)?;
    let mut client = pool.get().await.map_err(Error::from)?;
    let results = client.simple_query(args.sql.as_str()).await;
    let writer = Writer::new(args.format, output::print);
    write(results.map_err(Error::from)?, writer).await?;
    Ok(Exit::Ok)
}

/// All results of a batch as tables in one text.
#[cfg(feature = "emulator")]
pub(super) async fn table(results: QueryStream<'_>) -> Result<String, Failure> {
    let mut text = String::new();
    let writer = Writer::new(Format::Table, |piece: &str| {
        text.push_str(piece);
        Ok(())
    });
    write(results, writer).await?;
    Ok(text)
}

/// Writes rows as they arrive: a result is never held whole, except as a table.
async fn write<W>(mut results: QueryStream<'_>, mut writer: Writer<W>) -> Result<(), Failure>
where
    W: FnMut(&str) -> Result<(), Failure>,
{
    while let Some(item) = results.try_next().await.map_err(Error::from)? {
        match item {
            QueryItem::Metadata(set) => {
                writer.begin(set.columns().iter().map(|column| column.name().to_owned()))?;
            }
            QueryItem::Row(row) => {
                let cells = row.cells();
                writer.row(
                    cells
                        .map(|(c, data)| Cell::read(data, c.column_type()))
                        .collect(),
                )?;
            }
        }
    }
    writer.end()
}
