//! `entrada demo` as a user runs it.

use assert_cmd::Command;

#[test]
fn the_demo_tells_the_whole_story_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = Command::cargo_bin("entrada")
        .unwrap()
        .arg("demo")
        // Everything that the demo puts on the disk would be here.
        .env("TMPDIR", folder.path())
        .env_remove("RUST_LOG")
        .assert()
        .success();
    let told = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    for part in [
        "logged in: database shop",
        "│ Ada             2   162.50 │",
        "error 229, level 14",
        "8 sessions at once, 7 of them logged in just now",
        #[cfg(feature = "proxy")]
        "orders-app   old program        3",
        #[cfg(feature = "proxy")]
        "tokens: 2, logins: 9",
    ] {
        assert!(told.contains(part), "{part:?} is missing in:\n{told}");
    }
    assert!(!told.contains("session 0"), "no session id:\n{told}");
    assert!(!told.contains("eyJ"), "a token was shown:\n{told}");
    assert!(run.get_output().stderr.is_empty(), "{:?}", run.get_output());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn the_finest_log_of_it_all_holds_no_token() {
    let run = Command::cargo_bin("entrada")
        .unwrap()
        .arg("demo")
        .env("RUST_LOG", "trace")
        .assert()
        .success();
    let log = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    for part in ["dial{", "rustls::", "token.fetch{", "tiberius::"] {
        assert!(log.contains(part), "no {part:?} in {log}");
    }
    // A token's first letters: as text, and as the bytes that LOGIN7 has of it.
    for start in ["eyJ", "101, 121, 74", "101, 0, 121, 0, 74"] {
        assert!(!log.contains(start), "a token was logged: {log}");
    }
}
