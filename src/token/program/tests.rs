use std::fs;

use tokio::net::unix::pipe::OpenOptions;

use super::super::testing::TempPath;
use super::shown::presentable;
use super::*;

fn call(limit: Duration) -> Call<'static> {
    Call {
        limit,
        ..Call::new(["one two", "$HOME", "'"])
    }
}

async fn run(body: &str) -> Result<Finished, ProgramError> {
    let folder = TempPath::new();
    folder.put("tool", body);
    let env = folder.environment();
    Program::find(&env, "tool")
        .unwrap()
        .run(&env, call(LIMIT))
        .await
}

#[tokio::test]
async fn arguments_reach_the_program_as_they_stand_and_no_input_does() {
    let done = run(
        "printf '%s|' \"$@\"; cat; echo $NO_COLOR; [ . -ef /bin ] && echo bin; echo warned >&2",
    )
    .await
    .unwrap();
    assert!(done.success());
    assert_eq!(&done.stdout[..], b"one two|$HOME|'|1\nbin\n".as_slice());
    assert_eq!(done.said(), "warned");
}

#[tokio::test]
async fn given_variables_are_all_there_are() {
    let done = run("/usr/bin/env").await.unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(text.contains("PATH=") && !text.contains("CARGO"), "{text}");
}

#[tokio::test]
async fn a_failure_tells_the_code_and_what_was_said_without_tokens() {
    let jwt = "eyJ0eXAi.eyJhdWQi.MARKER";
    let done = run(&format!(
        "echo {jwt}; echo \"oops {jwt} accessToken: MARKER\" >&2; exit 7"
    ))
    .await;
    let done = done.unwrap();
    assert!(!done.success());
    let error = done.failure();
    assert_eq!(
        error.to_string(),
        "tool ended with exit code 7: oops [hidden] accessToken: [hidden]"
    );
    assert!(!format!("{error:?}{done:?}").contains("MARKER"));
}

#[tokio::test]
async fn a_flood_ends_the_program_or_is_cut() {
    let error = run("yes").await.unwrap_err();
    assert!(matches!(error, ProgramError::TooLarge { .. }), "{error:?}");
    let done = run("yes | head -c 3000000 >&2; echo end").await.unwrap();
    assert_eq!(
        (&done.stdout[..], done.stderr.len()),
        (b"end\n".as_slice(), MAX_OUTPUT)
    );
}

#[tokio::test]
async fn one_that_hangs_is_an_error() {
    let folder = TempPath::new();
    folder.put("tool", "exec sleep 1000");
    let env = folder.environment();
    let tool = Program::find(&env, "tool").unwrap();
    let error = tool
        .run(&env, call(Duration::from_millis(50)))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ProgramError::Timeout { .. }) && error.is_transient(),
        "{error:?}"
    );
}

#[tokio::test]
async fn giving_up_ends_the_program_and_what_it_started() {
    let folder = TempPath::new();
    let fifo = folder.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .await
            .unwrap()
            .success()
    );
    folder.put(
        "tool",
        &format!(
            "exec 3>'{}'; (echo started >&3; exec sleep 1000) & wait",
            fifo.display()
        ),
    );
    let mut seen = OpenOptions::new().open_receiver(&fifo).unwrap();
    // Without a writer the pipe would seem to have ended already.
    let writer = OpenOptions::new().open_sender(&fifo).unwrap();
    let env = folder.environment();
    let tool = Program::find(&env, "tool").unwrap();
    let mut started = [0; 8];
    tokio::select! {
        _ = tool.run(&env, call(LIMIT)) => panic!("it ended by itself"),
        read = seen.read_exact(&mut started) => assert_eq!(read.unwrap(), 8),
    }
    drop(writer);
    // The end comes when nobody holds the other side any more.
    assert_eq!(seen.read(&mut started).await.unwrap(), 0);
}

#[tokio::test]
async fn what_a_program_leaves_behind_does_not_hold_its_answer_up() {
    let done = run("echo token; sleep 1000 & ").await.unwrap();
    assert_eq!(&done.stdout[..], b"token\n".as_slice());
}

#[test]
fn only_full_folders_of_the_path_are_looked_into() {
    let folder = TempPath::new();
    folder.put("tool", "true");
    fs::write(folder.path().join("text"), "no program").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let find = |path: &str, name: &str| {
        let env = Environment::from_pairs([("PATH", path)]);
        Program::find(&env, name).map(|program| program.path().to_owned())
    };
    let full = folder.path().to_str().unwrap();
    assert_eq!(
        find(&format!(":.:relative:/nowhere:{full}"), "tool").unwrap(),
        folder.path().join("tool")
    );
    for name in ["text", "folder", "absent"] {
        assert!(
            matches!(find(full, name), Err(ProgramError::NotFound { .. })),
            "{name}"
        );
    }
    // The tests' own directory has this folder, and this file.
    for path in ["", ".", "./target", ":", "tests"] {
        assert!(find(path, "tool").is_err());
    }
    for name in ["./tool", "../tool", "a/tool", ".", "..", "", r"a\tool"] {
        assert!(
            matches!(find(full, name), Err(ProgramError::Relative { .. })),
            "{name}"
        );
    }
    let absolute = folder.path().join("tool");
    assert_eq!(find("", absolute.to_str().unwrap()).unwrap(), absolute);
}

#[test]
fn what_is_shown_has_no_secrets_in_it() {
    for (said, shown) in [
        (
            "ERROR: token expired,\r\n\u{1b}[31mlog in",
            "ERROR: token expired, [31mlog in",
        ),
        (
            "Authorization: Bearer abc",
            "Authorization: [hidden] [hidden]",
        ),
        ("password=abc\"", "password=[hidden]\""),
        ("{\"token\":\"abc\"}", "{\"token\":\"[hidden]\"}"),
        ("see https://aka.ms/x?y=1", "see https://aka.ms/x?y=1"),
    ] {
        assert_eq!(presentable(said), shown);
    }
    assert_eq!(
        presentable(&format!("a {} b", "x".repeat(64))),
        "a [hidden] b"
    );
    assert_eq!(presentable(&"word ".repeat(500)).chars().count(), 300);
    assert_eq!(presentable(""), "");
}
