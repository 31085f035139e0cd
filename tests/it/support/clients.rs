//! Clients that others wrote, run against our servers, and what each of them must be able to do.
//!
//! A client is driven by a script of ours (`tests/judges/`) that prints one JSON object per line:
//! `{"version": "1.16.0"}` once, and for each feature that it tried
//! `{"feature": "…", "ok": true, "detail": "…"}`. What it must have tried stands in
//! `tests/data/emulator/clients.toml`, which the list in `docs/emulator.md` is made from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command as Blocking, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use entrada::emulator::Emulator;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::judges::{build, judges, run, target};

/// How long a client may take for all of its features, on a machine that is busy.
const DEADLINE: Duration = Duration::from_secs(300);
/// The data file, relative to the crate.
const EXPECTED: &str = "tests/data/emulator/clients.toml";

/// One client of the data file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    /// The name that tests ask for, unique.
    pub(crate) name: String,
    /// The release that the tests are written against, as the client itself tells it.
    pub(crate) version: String,
    /// What else is in play, such as the driver below a library.
    pub(crate) over: Option<String>,
    /// What works.
    pub(crate) features: Vec<String>,
    /// What must be refused with an error that says so.
    #[serde(default)]
    pub(crate) refused: Vec<String>,
    /// What SQL Server does and we do not yet: it must fail, until it moves to `features`.
    #[serde(default)]
    pub(crate) missing: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    client: Vec<Client>,
}

/// Every client of the data file, in its order.
pub(crate) fn expected() -> Vec<Client> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(EXPECTED);
    let text = fs::read_to_string(path).unwrap();
    let expected: Expected = toml::from_str(&text).unwrap_or_else(|e| panic!("{EXPECTED}: {e}"));
    expected.client
}

/// Runs a script of `tests/judges/python/` to its end and gives the objects that it printed; `None`
/// if this machine has no Python, which has been said then. Only the variables given here (and
/// `PATH`) reach the script.
pub(crate) async fn python<'a>(
    script: &str,
    arguments: &[&str],
    environment: impl IntoIterator<Item = (&'a str, String)>,
) -> Option<Vec<Value>> {
    let interpreter = tokio::task::spawn_blocking(interpreter).await.unwrap()?;
    let home = TempDir::new().unwrap();
    let mut command = Command::new(interpreter);
    command
        .arg("-B")
        .arg(judges().join("python").join(script))
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .env("TMPDIR", home.path())
        .env("LANG", "C.UTF-8")
        .envs(environment);
    Some(lines(script, command).await)
}

/// As [`python`], for a script of `tests/judges/node/`.
pub(crate) async fn node(
    script: &str,
    arguments: &[&str],
    environment: impl IntoIterator<Item = (String, String)>,
) -> Option<Vec<Value>> {
    let modules = tokio::task::spawn_blocking(node_modules).await.unwrap()?;
    let home = TempDir::new().unwrap();
    let mut command = Command::new("node");
    command
        .arg(judges().join("node").join(script))
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .env("NODE_PATH", modules)
        .envs(environment);
    Some(lines(script, command).await)
}

/// As [`node`], for a program of `tests/judges/rust/`.
pub(crate) async fn rust(
    program: &str,
    arguments: &[&str],
    environment: impl IntoIterator<Item = (String, String)>,
) -> Option<Vec<Value>> {
    let programs = tokio::task::spawn_blocking(rust_programs).await.unwrap()?;
    Some(rust_lines(program, &programs, arguments, environment).await)
}

/// As [`rust`], for the program of `tests/judges/rust-arc/`.
pub(crate) async fn rust_arc(
    environment: impl IntoIterator<Item = (String, String)>,
) -> Option<Vec<Value>> {
    let programs = tokio::task::spawn_blocking(rust_arc_program)
        .await
        .unwrap()?;
    Some(rust_lines("judge-rust-arc", &programs, &[], environment).await)
}

async fn rust_lines(
    program: &str,
    programs: &Path,
    arguments: &[&str],
    environment: impl IntoIterator<Item = (String, String)>,
) -> Vec<Value> {
    let home = TempDir::new().unwrap();
    let mut command = Command::new(programs.join(program));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .envs(environment);
    lines(program, command).await
}

/// What a client that is installed on the machine prints; `None` if it is not there, which has been
/// said then.
pub(crate) fn tool(program: &str, arguments: &[&str], need: &str) -> Option<String> {
    let mut command = Blocking::new(program);
    command.args(arguments);
    let output = run(&mut command, need)?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a client's process to its end and gives the objects that it printed. The process is killed
/// if it does not end in time, or when this future is dropped.
pub(crate) async fn lines(what: &str, mut command: Command) -> Vec<Value> {
    let process = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{what} does not start: {error}"));
    let output = tokio::time::timeout(DEADLINE, process.wait_with_output())
        .await
        .unwrap_or_else(|_| panic!("{what} has not ended after {DEADLINE:?}"))
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{what}: {}\n{stdout}\n{stderr}",
        output.status
    );
    stdout
        .lines()
        .map(|line| {
            serde_json::from_str(line)
                .unwrap_or_else(|e| panic!("{what} printed {line:?}: {e}\n{stderr}"))
        })
        .collect()
}

/// Checks that the client did what the data file says, all of it and nothing else, and that it is
/// the release that the data file names.
pub(crate) fn judge(name: &str, lines: &[Value]) {
    let mut all = expected().into_iter();
    let client = all
        .find(|client| client.name == name)
        .unwrap_or_else(|| panic!("{name} is not in {EXPECTED}"));
    compare(&client, lines);
}

/// As [`judge`], for a client that another file speaks of.
pub(crate) fn compare(client: &Client, lines: &[Value]) {
    let mut faults = Vec::new();
    let mut tried = BTreeMap::new();
    for line in lines {
        if let Some(version) = line["version"].as_str() {
            if version != client.version {
                faults.push(format!("is {version}, not {}", client.version));
            }
            continue;
        }
        let feature = line["feature"].as_str().unwrap_or("(no feature)");
        if tried.insert(feature, ()).is_some() {
            faults.push(format!("{feature}: reported twice"));
        }
        let missing = client.missing.iter().any(|name| name == feature);
        if line["ok"] == true && missing {
            faults.push(format!("{feature}: works now, and is listed as missing"));
        } else if line["ok"] != true && !missing {
            faults.push(format!("{feature}: {}", text(&line["detail"])));
        }
    }
    let tried: BTreeSet<&str> = tried.into_keys().collect();
    let wanted: BTreeSet<&str> = client
        .features
        .iter()
        .chain(&client.refused)
        .chain(&client.missing)
        .map(String::as_str)
        .collect();
    for feature in wanted.difference(&tried) {
        faults.push(format!("{feature}: expected, not tried"));
    }
    for feature in tried.difference(&wanted) {
        faults.push(format!("{feature}: tried, not listed"));
    }
    if !lines.iter().any(|line| line["version"].is_string()) {
        faults.push("does not tell its version".to_owned());
    }
    let over = client.over.iter();
    let over: String = over.map(|over| format!(" over {over}")).collect();
    assert!(
        faults.is_empty(),
        "{}{over}:\n- {}",
        client.name,
        faults.join("\n- ")
    );
}

fn text(detail: &Value) -> String {
    detail
        .as_str()
        .map_or_else(|| detail.to_string(), str::to_owned)
}

/// Python with the clients of `requirements.txt`, installed once.
pub(super) fn interpreter() -> Option<PathBuf> {
    static INSTALLED: OnceLock<Option<PathBuf>> = OnceLock::new();
    INSTALLED.get_or_init(install).clone()
}

fn install() -> Option<PathBuf> {
    let requirements = judges().join("python/requirements.txt");
    let wanted = fs::read_to_string(&requirements).unwrap();
    let venv = target().join("python");
    let marker = venv.join("installed");
    let python = venv.join("bin/python");
    fs::create_dir_all(target()).unwrap();
    // Another test process may be at it.
    let lock = File::create(target().join("python.lock")).unwrap();
    lock.lock().unwrap();
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Some(python);
    }
    let mut make = Blocking::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&venv);
    run(&mut make, "python3 is needed to run the Python clients")?;
    let mut install = Blocking::new(&python);
    install
        .args(["-m", "pip", "install", "--quiet", "--no-deps"])
        .args(["--disable-pip-version-check", "--only-binary", ":all:"])
        .args(["--require-hashes", "--requirement"])
        .arg(&requirements);
    run(&mut install, "pip is needed to install the Python clients")?;
    fs::write(marker, wanted).unwrap();
    Some(python)
}

/// The packages of `package-lock.json`, installed once.
fn node_modules() -> Option<PathBuf> {
    static INSTALLED: OnceLock<Option<PathBuf>> = OnceLock::new();
    INSTALLED.get_or_init(install_node_modules).clone()
}

fn install_node_modules() -> Option<PathBuf> {
    let source = judges().join("node");
    let wanted = fs::read_to_string(source.join("package-lock.json")).unwrap();
    let place = target().join("node");
    let marker = place.join("installed");
    fs::create_dir_all(&place).unwrap();
    // Another test process may be at it.
    let lock = File::create(target().join("node.lock")).unwrap();
    lock.lock().unwrap();
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Some(place.join("node_modules"));
    }
    for file in ["package.json", "package-lock.json"] {
        fs::copy(source.join(file), place.join(file)).unwrap();
    }
    let mut node = Blocking::new("node");
    node.arg("--version");
    run(&mut node, "Node 20 is needed to run its clients")?;
    let mut install = Blocking::new("npm");
    install
        .args(["ci", "--silent", "--ignore-scripts", "--no-audit"])
        .args(["--no-fund", "--omit=optional"])
        .current_dir(&place);
    run(
        &mut install,
        "npm is needed to install the clients for Node",
    )?;
    fs::write(marker, wanted).unwrap();
    Some(place.join("node_modules"))
}

/// The programs of `tests/judges/rust/`, built once.
fn rust_programs() -> Option<PathBuf> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(|| build(&judges().join("rust"))).clone()
}

fn rust_arc_program() -> Option<PathBuf> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT
        .get_or_init(|| build(&judges().join("rust-arc")))
        .clone()
}

/// Whether the emulator may write Azure Arc's key files where clients read them, which takes root. If
/// not, that is said: the caller skips, but never under CI.
#[expect(clippy::print_stderr, reason = "a skip must be seen")]
pub(crate) fn has_the_arc_agents_folder(emulator: &Emulator) -> bool {
    let folder = emulator.arc_tokens_folder().unwrap();
    let has = folder == Path::new("/var/opt/azcmagent/tokens");
    if !has {
        let need = "the right to write to /var/opt/azcmagent/tokens is needed";
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "{need}"
        );
        eprintln!("SKIPPED: {need}");
    }
    has
}
