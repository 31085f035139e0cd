//! `entrada script`, run as a program.

use assert_cmd::Command;
use entrada::scripts;
use serde_json::Value;

fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::cargo_bin("entrada")
        .unwrap()
        .arg("script")
        .args(args)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

#[test]
fn all_are_listed() {
    let (code, listed, _) = run(&[]);
    assert_eq!(code, 0);
    assert_eq!(run(&["--list"]).1, listed);
    let (_, json, _) = run(&["--list", "--format", "json"]);
    let json: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(json.len(), scripts::all().len());
    for (script, json) in scripts::all().iter().zip(json) {
        assert!(listed.contains(script.name), "{listed}");
        assert_eq!(json["name"], script.name);
        assert_eq!(json["purpose"], script.purpose);
    }
}

#[test]
fn one_is_explained() {
    let (code, text, _) = run(&["create-user-by-sid", "--explain"]);
    assert_eq!(code, 0);
    for part in [
        "create-user-by-sid: Creates a user",
        "  PrincipalType (E|X): E for",
        "      Default: E\n",
        "\nNeeds\n  ALTER ANY USER",
        "\nChanges\n",
        "\nSources\n  https://learn.microsoft.com/",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let (_, json, _) = run(&["create-user-by-sid", "--explain", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["variables"][1]["kind"], "guid");
}

#[test]
fn one_is_filled_in() {
    let (code, text, _) = run(&["read-only", "--var", "PrincipalName=o'brien = $(x)\nGO"]);
    assert_eq!(code, 0);
    assert!(
        text.contains("N'o''brien = $' + N'(x)' + NCHAR(10) + N'GO';\n"),
        "{text}"
    );
}

#[test]
fn mistakes_are_named() {
    let (code, out, error) = run(&["creat-user"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("'create-user'"), "{error}");
    for (args, says) in [
        (
            &["read-only"][..],
            "script read-only also needs PrincipalName",
        ),
        (&["read-only", "--var", "x"], "it must look like NAME=VALUE"),
        (
            &["read-only", "--var", "PrincipleName=x"],
            "did you mean PrincipalName?",
        ),
        (
            &[
                "create-user-by-sid",
                "--var",
                "PrincipalName=x",
                "--var",
                "PrincipalId=x",
            ],
            "cannot have this value: an id looks like",
        ),
    ] {
        let (code, out, error) = run(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(error.contains(says), "{args:?}: {error}");
    }
}

#[test]
fn a_shell_completes_the_names() {
    let output = Command::cargo_bin("entrada")
        .unwrap()
        .args(["completions", "bash"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("create-user-by-object-id"));
}
