//! `docs/walkthrough.md` as a reader runs it: what it marks with `<!-- run -->` goes
//! through one bash, in order, and prints what the page shows.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

const PAGE: &str = include_str!("../../docs/walkthrough.md");

/// The ports of the page; a test takes free ones.
const PORTS: [&str; 3] = ["14330", "14141", "14331"];

/// What of an output is not shown, or differs.
const GAP: &str = "…";

/// A block of the page.
struct Step {
    /// Where in the page it begins.
    line: usize,
    script: String,
    exit: i32,
    /// What it prints; nothing where the page shows nothing.
    shown: String,
}

#[tokio::test]
async fn all_that_the_page_runs_prints_what_the_page_shows() {
    let steps = steps(PAGE);
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports();
    run(&in_one_script(&steps, &ports), folder.path()).await;
    let mut wrong = String::new();
    for (at, step) in steps.iter().enumerate() {
        if let Err(problem) = judge(at, step, &ports, folder.path()) {
            let _ = writeln!(wrong, "docs/walkthrough.md:{}: {problem}", step.line);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_output_on_the_page_is_one_that_is_compared() {
    let shown = PAGE.lines().filter(|line| *line == "```text").count();
    let compared = steps(PAGE);
    let compared = compared.iter().filter(|step| !step.shown.is_empty());
    assert_eq!(shown, compared.count());
    assert!(shown > 15, "the page has {shown} outputs only");
}

#[test]
fn a_gap_stands_for_what_it_may_and_for_no_more() {
    for (shown, printed, same) in [
        ("a\nb", "a\nb", true),
        ("a\nb", "a\nc", false),
        ("a", "a\nb", false),
        ("a\n…\nd", "a\nb\nc\nd", true),
        ("a\n…\nd", "a\nd", true),
        ("a\n…\nd", "a\nb\nc", false),
        ("…\nd", "a\nb\nd", true),
        ("took … of all", "took most of all", true),
        ("took … of all", "took most of some", false),
        ("│ in   0.1 s │", "│ in   12.3 s │", true),
        ("login  <1 ms  x", "login   12 ms  x", true),
        ("login  <1 ms  x", "login   12 ms  y", false),
        ("┌────┐", "┌───────┐", true),
    ] {
        assert_eq!(agree(shown, printed), same, "{shown:?} {printed:?}");
    }
}

/// The marked blocks, each with the output that follows it.
fn steps(page: &str) -> Vec<Step> {
    let mut lines = page.lines().enumerate().peekable();
    let mut steps: Vec<Step> = Vec::new();
    while let Some((at, line)) = lines.next() {
        let Some(mark) = line.strip_prefix("<!-- run") else {
            continue;
        };
        let exit = mark.strip_suffix(" -->").expect("the mark is closed");
        let exit = exit.strip_prefix(": exit ").unwrap_or("0");
        let fence = lines.next().map(|(_, line)| line);
        assert_eq!(fence, Some("```sh"), "line {}", at + 2);
        let mut block = || {
            let inside = lines.by_ref().map(|(_, line)| line);
            inside
                .take_while(|line| *line != "```")
                .collect::<Vec<_>>()
                .join("\n")
        };
        let script = block();
        let prose = |line: &str| !line.starts_with("```") && !line.starts_with("<!--");
        while lines.next_if(|(_, line)| prose(line)).is_some() {}
        let shown = match lines.next_if(|(_, line)| *line == "```text") {
            Some(_) => {
                let inside = lines.by_ref().map(|(_, line)| line);
                let inside: Vec<_> = inside.take_while(|line| *line != "```").collect();
                inside.join("\n")
            }
            None => String::new(),
        };
        steps.push(Step {
            line: at + 1,
            script,
            exit: exit.parse().expect("the mark names an exit code"),
            shown,
        });
    }
    steps
}

/// Ports that were free a moment ago.
fn free_ports() -> Vec<String> {
    let listeners = PORTS.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = listeners.iter().map(|one| one.local_addr().unwrap().port());
    ports.map(|port| port.to_string()).collect()
}

/// All steps for one shell, since variables and jobs go on from one to the next. Each
/// leaves its output, its exit code and the commands in it that failed.
fn in_one_script(steps: &[Step], ports: &[String]) -> String {
    let mut text = String::from(
        "trap 'printf \"%s\\n\" \"$BASH_COMMAND\" >> \"failed.$step\"' ERR\n\
         trap 'kill $(jobs -p) 2> /dev/null || :' EXIT\n",
    );
    for (at, step) in steps.iter().enumerate() {
        let mut script = step.script.clone();
        for (from, to) in PORTS.iter().zip(ports) {
            script = script.replace(from, to);
        }
        let _ = writeln!(
            text,
            "step={at}\n{{\n{script}\n}} > out.{at} 2>&1\necho $? > code.{at}"
        );
    }
    text
}

/// Runs it; one that hangs is ended with all that it started.
async fn run(script: &str, folder: &Path) {
    std::fs::write(folder.join("walkthrough.sh"), script).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_entrada")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("bash")
        .arg("walkthrough.sh")
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:{path}", program.display()))
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .process_group(0)
        .spawn()
        .expect("this test needs bash");
    let group = shell.id().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(180), shell.wait()).await;
    if ended.is_err() {
        let group = format!("-{group}");
        let killed = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = killed.await;
    }
}

/// What is wrong with a step.
fn judge(at: usize, step: &Step, ports: &[String], folder: &Path) -> Result<(), String> {
    let read = |name: &str| std::fs::read_to_string(folder.join(format!("{name}.{at}")));
    let code = read("code").map_err(|_| "it did not end".to_owned())?;
    let mut printed = read("out").unwrap();
    for (to, from) in PORTS.iter().zip(ports) {
        printed = printed.replace(from, to);
    }
    let Step { exit, shown, .. } = step;
    if code.trim() != exit.to_string() {
        let code = code.trim();
        return Err(format!(
            "exit code {code}, not {exit}; it printed\n{printed}"
        ));
    }
    if let (0, Ok(failed)) = (exit, read("failed")) {
        return Err(format!("these failed:\n{failed}and it printed\n{printed}"));
    }
    if !agree(shown, printed.trim_end()) {
        return Err(format!("it shows\n{shown}\nand printed\n{printed}"));
    }
    Ok(())
}

/// Whether an output is the one that is shown.
fn agree(shown: &str, printed: &str) -> bool {
    let shown: Vec<String> = shown.lines().map(plain).collect();
    let printed: Vec<String> = printed.lines().map(plain).collect();
    lines_agree(&shown, &printed)
}

fn lines_agree(shown: &[String], printed: &[String]) -> bool {
    match (shown, printed) {
        ([], []) => true,
        ([gap, shown @ ..], _) if gap == GAP => {
            (0..=printed.len()).any(|skipped| lines_agree(shown, &printed[skipped..]))
        }
        ([one, shown @ ..], [other, printed @ ..]) => {
            line_agrees(one, other) && lines_agree(shown, printed)
        }
        _ => false,
    }
}

fn line_agrees(shown: &str, printed: &str) -> bool {
    let Some((start, rest)) = shown.split_once(GAP) else {
        return shown == printed;
    };
    let Some(printed) = printed.strip_prefix(start) else {
        return false;
    };
    let ends = printed.char_indices().map(|(at, _)| at);
    ends.chain([printed.len()])
        .any(|at| line_agrees(rest, &printed[at..]))
}

/// Without what the time that something took changes: times, and how wide a table is.
fn plain(line: &str) -> String {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    for at in 1..words.len() {
        let number = words[at - 1].trim_start_matches('<');
        if matches!(words[at], "s" | "ms") && number.parse::<f64>().is_ok() {
            words[at - 1] = "T";
            words[at] = "s";
        }
    }
    let mut text = words.join(" ");
    for rule in ["─", "═"] {
        while text.contains(&rule.repeat(2)) {
            text = text.replace(&rule.repeat(2), rule);
        }
    }
    text
}
