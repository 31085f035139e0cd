//! A question to whoever sits at the terminal.

use std::io::{BufRead, IsTerminal, Write};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::cli::exit::{Exit, Failure};

/// That there is somebody to ask, unless `yes` answers in advance. `instead` is what
/// to do where there is nobody.
pub(super) fn possible(yes: bool, instead: &str) -> Result<(), Failure> {
    if yes || (std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Usage,
        format!("there is no terminal to ask on whether this shall be done; {instead}"),
    ))
}

/// Whether the answer is `yes`. Being told to stop is a no.
pub(super) async fn ask(question: &str, stop: &CancellationToken) -> Result<bool, Failure> {
    let mut err = std::io::stderr().lock();
    write!(err, "{question} Only `yes` is a yes: ")?;
    err.flush()?;
    drop(err);
    let (told, answer) = oneshot::channel();
    // A thread of its own, since the runtime would wait for one of its own until
    // somebody presses Enter.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        let _ = told.send(read.is_ok() && line.trim() == "yes");
    });
    tokio::select! {
        yes = answer => Ok(yes.unwrap_or(false)),
        () = stop.cancelled() => {
            let _ = writeln!(std::io::stderr());
            Ok(false)
        }
    }
}
