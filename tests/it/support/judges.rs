//! Servers that others wrote, built or installed below `target/judges` and run
//! on loopback.

use std::path::{Path, PathBuf};
use std::process::{Command as Blocking, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The release of pysqlbridge that the tests are written against.
const PYSQLBRIDGE: &str = "pysqlbridge==2.1.3";

/// A running server. It ends when this is dropped.
pub(crate) struct Judge {
    pub(crate) port: u16,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Judge {
    async fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let hello = lines.next_line().await.unwrap().expect("the judge starts");
        let hello: Value = serde_json::from_str(&hello).unwrap();
        Self {
            port: u16::try_from(hello["port"].as_u64().unwrap()).unwrap(),
            stdin: child.stdin.take().unwrap(),
            lines,
            _child: child,
        }
    }

    /// What the server recorded of each connection so far.
    pub(crate) async fn connections(&mut self) -> Vec<Value> {
        self.stdin.write_all(b"\n").await.unwrap();
        let line = self.lines.next_line().await.unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

/// Microsoft's `mssql-mock-tds` with these arguments (see its `main.rs`);
/// `None` if this machine cannot build it, which it then has said.
pub(crate) async fn mssql_mock_tds(arguments: &[&str]) -> Option<Judge> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let program = BUILT.get_or_init(build_mssql_mock_tds).as_ref()?;
    let mut command = Command::new(program);
    command.args(arguments);
    Some(Judge::start(command).await)
}

/// pysqlbridge with one SQL login and one table,
/// `people (id int, name nvarchar, score float)` with 2 rows.
pub(crate) struct PySqlBridge {
    pub(crate) judge: Judge,
    /// The certificate that it shows, in PEM form.
    pub(crate) certificate: PathBuf,
    pub(crate) user: &'static str,
    pub(crate) password: &'static str,
    _files: TempDir,
}

/// Starts pysqlbridge; `None` if this machine has no Python, which it then has said.
pub(crate) async fn pysqlbridge() -> Option<PySqlBridge> {
    static INSTALLED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let python = INSTALLED.get_or_init(install_pysqlbridge).as_ref()?;
    let (user, password) = ("bridge", "Pa55-wörd;{}");
    let files = TempDir::new().unwrap();
    let file = |name: &str| files.path().join(name);
    std::fs::write(
        file("people.csv"),
        "id,name,score\n1,Ada,99.5\n2,Grace,87.25\n",
    )
    .unwrap();
    let config = r#"{"tables": [{"name": "people", "csv": "people.csv"}]}"#;
    std::fs::write(file("config.json"), config).unwrap();
    let mut command = Command::new(python);
    command
        .arg(judges().join("pysqlbridge/serve.py"))
        .arg(file("config.json"))
        .args([user, password])
        .arg(file("certificate.pem"));
    Some(PySqlBridge {
        judge: Judge::start(command).await,
        certificate: file("certificate.pem"),
        user,
        password,
        _files: files,
    })
}

fn build_mssql_mock_tds() -> Option<PathBuf> {
    let source = judges().join("mssql-mock-tds");
    let programs = build(&source)?;
    Some(programs.join("judge-mssql-mock-tds"))
}

/// Builds a package that needs OpenSSL and gives the folder with its programs.
///
/// All share one target folder, as most of what they depend on is the same.
pub(super) fn build(source: &Path) -> Option<PathBuf> {
    let target = target().join("programs");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Blocking::new(cargo);
    build
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(source.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target);
    let system_openssl = Blocking::new("pkg-config")
        .args(["--exists", "openssl"])
        .status()
        .is_ok_and(|status| status.success());
    if !system_openssl {
        build.args(["--features", "vendored-openssl"]);
    }
    let need = format!("cargo is needed to build {}", source.display());
    run(&mut build, &need)?;
    Some(target.join("debug"))
}

fn install_pysqlbridge() -> Option<PathBuf> {
    let venv = target().join(PYSQLBRIDGE.replace("==", "-"));
    let python = venv.join("bin/python");
    let installed = venv.join("installed");
    if !installed.exists() {
        let mut make = Blocking::new("python3");
        make.args(["-m", "venv"]).arg(&venv);
        run(&mut make, "python3 is needed to run pysqlbridge")?;
        let mut install = Blocking::new(&python);
        install.args(["-m", "pip", "install", "--quiet", PYSQLBRIDGE]);
        run(&mut install, "pip is needed to install pysqlbridge")?;
        std::fs::write(installed, PYSQLBRIDGE).unwrap();
    }
    Some(python)
}

/// Runs a tool to its end. A missing tool is a skip, but never under CI; a
/// failing one is a failure everywhere.
pub(super) fn run(command: &mut Blocking, need: &str) -> Option<Output> {
    match command.output() {
        Ok(output) if output.status.success() => Some(output),
        Ok(output) => panic!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            skip(&format!("{need}: {error}"));
            None
        }
    }
}

/// Says that a test is skipped for want of this, which fails under CI.
#[expect(clippy::print_stderr, reason = "a skip must be seen")]
pub(super) fn skip(need: &str) {
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{need}"
    );
    eprintln!("SKIPPED: {need}");
}

pub(super) fn judges() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges")
}

/// Where judges are built and installed.
pub(super) fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("judges")
}
