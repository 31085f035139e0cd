//! The proxy beside its peers, each set up as its users would: stunnel in client mode, HAProxy in
//! TCP mode, a driver's own TLS login, PgBouncer.
//!
//! Every pair is measured in turns within one run. The proxy and its peers are processes of their
//! own, so that their CPU time and memory can be read from `/proc`.

mod client;
mod connect;
mod latency;
mod memory;
mod process;
mod server;
mod table;
mod throughput;
mod transcode;

use std::error::Error;
use std::process::ExitCode;

use table::Table;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const USAGE: &str = "usage: proxy [throughput] [transcode[=WORDS]] [latency] [connect] [memory]   (all of them by default)
transcode=WORDS measures only the results with these words in their description
needs Linux, stunnel, haproxy, pgbouncer and PostgreSQL (Debian: stunnel4 haproxy pgbouncer postgresql)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        // How the program starts its own server.
        Some("serve") => server::run(&arguments[1..]),
        _ => measure(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(wanted: &[String]) -> Outcome {
    type Measure<'a> = &'a dyn Fn(&mut Table) -> Outcome;
    let words = wanted
        .iter()
        .find_map(|name| name.strip_prefix("transcode="));
    let transcoded = |table: &mut Table| transcode::measure(table, words);
    let all: [(&str, Measure<'_>); 5] = [
        ("throughput", &throughput::measure),
        ("transcode", &transcoded),
        ("latency", &latency::measure),
        ("connect", &connect::measure),
        ("memory", &memory::measure),
    ];
    let is_wanted = |name: &str, given: &str| match given.split_once('=') {
        Some((given, _)) => name == given && name == "transcode",
        None => name == given,
    };
    if let Some(unknown) = wanted
        .iter()
        .find(|given| all.iter().all(|(name, _)| !is_wanted(name, given)))
    {
        return Err(format!("`{unknown}` is not known\n{USAGE}").into());
    }
    let mut table = Table::new();
    for (name, measure) in all {
        if wanted.is_empty() || wanted.iter().any(|given| is_wanted(name, given)) {
            eprintln!("measuring: {name}");
            measure(&mut table)?;
        }
    }
    table.print();
    Ok(())
}
