//! The command line: arguments in, one command run, an exit code out.

#[cfg(feature = "check")]
mod check;
mod completions;
mod conn_arg;
#[cfg(feature = "emulator")]
mod demo;
#[cfg(feature = "emulator")]
mod emulator;
mod exit;
#[cfg(feature = "grants")]
mod grants;
mod log;
mod output;
mod parse;
#[cfg(feature = "proxy")]
mod proxy;
mod query;
mod script;
mod source_args;
mod token;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::{Exit, Failure};
use log::LogFormat;

/// The passwordless way into Azure SQL.
#[derive(Debug, Parser)]
#[command(
    name = "entrada",
    version,
    about,
    after_help = "Exit codes: 0 ok, 1 a check failed, 2 usage, 3 authentication, 4 network, 5 server, 70 internal.\n\
                  CONN is a connection string (ADO.NET, ODBC, JDBC or sqlserver:// URL), or `-` for the standard input,\n\
                  `env:NAME` for a variable, `file:PATH` for a file."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// How log lines look; RUST_LOG chooses which ones there are
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole story on loopback: emulator, user, pool, queries, an outage
    #[cfg(feature = "emulator")]
    Demo,
    /// Run a batch and print its results
    Query(query::Args),
    /// Explain a connection string: what it means, and what it means for the token
    Parse(parse::Args),
    /// Obtain a token for a connection string and show its claims and expiry
    Token(token::Args),
    /// Walk the path of a login step by step, and tell what is wrong and how to mend it
    #[cfg(feature = "check")]
    Check(Box<check::Args>),
    /// Print a T-SQL script for a database's users and rights, filled in
    Script(script::Args),
    /// Be a plain SQL Server on this machine that is an Azure SQL database
    #[cfg(feature = "proxy")]
    Proxy(Box<proxy::Args>),
    /// Keep users, roles and permissions of databases as a file says: plan, apply, verify
    #[cfg(feature = "grants")]
    Grants(grants::Args),
    /// Run the Azure side on loopback: identity endpoints and Azure SQL
    #[cfg(feature = "emulator")]
    Emulator(emulator::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Print the manual page
    Man,
}

impl Command {
    fn log(&self) -> log::Of {
        match self {
            #[cfg(feature = "check")]
            Self::Check(_) => log::Of::Report,
            #[cfg(feature = "proxy")]
            Self::Proxy(_) => log::Of::Service,
            _ => log::Of::Command,
        }
    }
}

/// Runs the program with the process's own arguments.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
            // Nothing is left to tell if even this cannot be printed.
            let _ = error.print();
            return exit.into();
        }
    };
    let log = log::init(cli.log_format, cli.command.log());
    let outcome = run(cli.command);
    // What was logged stands before what is said at the end.
    drop(log);
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) if failure.is_broken_pipe() => Exit::Ok.into(),
        Err(failure) => {
            // A server, or who named something on it, has a say in some messages.
            let message = output::lines(&failure.to_string());
            let _ = writeln!(std::io::stderr(), "entrada: {message}");
            failure.exit().into()
        }
    }
}

fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        #[cfg(feature = "emulator")]
        Command::Demo => runtime()?.block_on(demo::run()),
        Command::Query(args) => runtime()?.block_on(query::run(&args)),
        Command::Parse(args) => runtime()?.block_on(parse::run(&args)),
        Command::Token(args) => runtime()?.block_on(token::run(&args)),
        #[cfg(feature = "check")]
        Command::Check(args) => runtime()?.block_on(check::run(&args)),
        Command::Script(args) => script::run(&args),
        #[cfg(feature = "emulator")]
        Command::Emulator(args) => runtime()?.block_on(emulator::run(&args)),
        #[cfg(feature = "proxy")]
        Command::Proxy(args) => proxy::run(&args),
        #[cfg(feature = "grants")]
        Command::Grants(args) => runtime()?.block_on(grants::run(&args)),
        Command::Completions(args) => completions::run(&args),
        Command::Man => completions::man(),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
