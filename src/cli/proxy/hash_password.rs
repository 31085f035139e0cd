//! `entrada proxy hash-password`: what stands in a configuration for a password.

use std::io::{BufRead, IsTerminal};

use crate::Secret;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::print_line;

/// More than anybody types; TDS has room for 128 characters.
const MAX_PASSWORD: u64 = 4096;

pub(super) fn run() -> Result<Exit, Failure> {
    let stdin = std::io::stdin();
    let password = if stdin.is_terminal() {
        typed()?
    } else {
        line(stdin.lock())?
    };
    if password.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "an empty password protects nothing",
        ));
    }
    let hash =
        crate::proxy::hash_password(&password).map_err(|error| Failure::new(Exit::Usage, error))?;
    print_line(hash.expose())?;
    Ok(Exit::Ok)
}

/// Asked for twice, and not shown.
fn typed() -> Result<Secret, Failure> {
    let ask = |prompt| rpassword::prompt_password(prompt).map(Secret::new);
    let once = ask("Password: ")?;
    if once != ask("Once more: ")? {
        return Err(Failure::new(Exit::Usage, "the two are not the same"));
    }
    Ok(once)
}

/// One line, without its end.
fn line(from: impl BufRead) -> Result<Secret, Failure> {
    let mut text = String::new();
    from.take(MAX_PASSWORD)
        .read_line(&mut text)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let text = Secret::new(text);
    Ok(Secret::new(text.expose().trim_end_matches(['\r', '\n'])))
}
