//! What the clients here share: features are tried one by one and told as JSON lines.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};

/// What goes wrong in a feature, as text.
pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// No feature takes this long, unless something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the emulator is (or a proxy in front of it) and who may log in, as the test tells it.
pub fn emulator() -> Value {
    let text = std::env::var("EMULATOR").expect("EMULATOR is set");
    serde_json::from_str(&text).expect("EMULATOR is JSON")
}

/// A text of the emulator's coordinates.
pub fn text(emulator: &Value, name: &str) -> String {
    emulator[name].as_str().expect(name).to_owned()
}

/// Tells the release of a package, as `Cargo.lock` has it.
pub fn tell_version(package: &str) {
    let lock = include_str!("../Cargo.lock");
    let (_, after) = lock
        .split_once(&format!("name = \"{package}\"\nversion = \""))
        .expect("the package is locked");
    let version = after.split('"').next().expect("a version");
    println!("{}", json!({ "version": version }));
}

/// Tries a feature on a task of its own, so that a panic of the client is a failure of the feature.
///
/// With names as the program's arguments, only these are tried.
pub async fn feature(name: &str, work: impl Future<Output = Outcome> + Send + 'static) {
    let mut only = std::env::args().skip(1).peekable();
    if only.peek().is_some() && !only.any(|wanted| wanted == name) {
        return;
    }
    let outcome = tokio::time::timeout(PATIENCE, tokio::spawn(work)).await;
    let fault = match outcome {
        Ok(Ok(Ok(()))) => None,
        Ok(Ok(Err(error))) => Some(chain(&*error)),
        Ok(Err(panic)) => Some(panic.to_string()),
        Err(_) => Some(format!("no end after {PATIENCE:?}")),
    };
    println!(
        "{}",
        json!({ "feature": name, "ok": fault.is_none(), "detail": fault })
    );
}

/// Fails unless both are equal.
pub fn same<T: PartialEq + Debug>(got: T, want: T) -> Outcome {
    if got == want {
        return Ok(());
    }
    Err(format!("got {got:?}, want {want:?}").into())
}

/// Fails unless the text holds the words.
pub fn says(text: &str, words: &str) -> Outcome {
    if text.contains(words) {
        return Ok(());
    }
    Err(format!("{text:?} does not say {words:?}").into())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
