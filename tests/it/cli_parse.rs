//! `entrada parse`, run as a program.

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use serde_json::{Value, json};

const CONN: &str = "Server=app.database.windows.net;Database=shop;User ID=cid;Password=MARKER;\
                    Authentication=Active Directory Service Principal;Max Pool Size=7;Pooling=yes";

fn run(args: &[&str]) -> Assert {
    Command::cargo_bin("entrada")
        .unwrap()
        .arg("parse")
        .args(args)
        .assert()
}

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn json_of(assert: &Assert) -> Value {
    serde_json::from_str(&stdout(assert)).unwrap()
}

#[test]
fn json_has_typed_settings_and_no_secret() {
    let answer = json_of(&run(&[CONN, "--format", "json"]).success());
    let expected = json!({
        "dialect": "adonet",
        "settings": {
            "Host": "app.database.windows.net",
            "Initial Catalog": "shop",
            "User ID": "cid",
            "Password": "***",
            "Authentication": "ActiveDirectoryServicePrincipal",
            "Max Pool Size": 7,
            "Pooling": true,
        },
        "warnings": [],
    });
    assert_eq!(answer, expected);
    let shown = json_of(&run(&[CONN, "--format", "json", "--show-secrets"]).success());
    assert_eq!(shown["settings"]["Password"], "MARKER");
}

#[test]
fn json_has_warnings_and_the_driver_s_own_settings() {
    let text = "Driver={d};Server=h;Connection Timeout=30;KeepAlive=9";
    let answer = json_of(&run(&[text, "--format", "json"]).success());
    let warning = &answer["warnings"][0];
    assert_eq!(warning["kind"], "unknown_keyword");
    assert_eq!(warning["keyword"], "Connection Timeout");
    assert_eq!(warning["column"], 20);
    assert!(warning["hint"].as_str().unwrap().contains("ADO.NET"));
    assert_eq!(answer["driver_settings"], json!({"Keep Alive": 9}));
    let strict = run(&[text, "--format", "json", "--strict"]).code(2);
    assert_eq!(json_of(&strict)["error"]["kind"], "unknown_keyword");
}

#[test]
fn an_error_is_json_with_exit_code_2() {
    let failed = run(&[
        "Server=h;Databse=x",
        "--format",
        "json",
        "--dialect",
        "adonet",
    ])
    .code(2);
    let answer = json_of(&failed);
    assert_eq!(answer["dialect"], "adonet");
    let error = &answer["error"];
    assert_eq!(
        (&error["kind"], &error["column"]),
        (&json!("unknown_keyword"), &json!(9))
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("did you mean 'Database'?")
    );
    let unclear = run(&["Server=h;PWD={a}", "--format", "json"]).code(2);
    assert_eq!(json_of(&unclear)["error"]["kind"], "ambiguous");
    assert_eq!(json_of(&unclear)["dialect"], Value::Null);
}

#[test]
fn text_explains_without_the_secret() {
    let text = stdout(&run(&[CONN]).success());
    for expected in [
        "Max Pool Size = 7",
        "Connect Timeout = 15",
        "https://database.windows.net/",
        "Azure public cloud",
        "client id cid",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    assert!(!text.contains("MARKER"));
    let failed = run(&["Server=h;Databse=MARKER"]).code(2);
    let message = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    assert!(
        message.contains("Database") && !message.contains("MARKER"),
        "{message}"
    );
}

#[test]
fn half_a_password_is_shown_only_on_demand() {
    let text = "Driver=d;Server=h;PWD=a;half;Encrypt=no";
    let hidden = json_of(&run(&[text, "--format", "json"]).success());
    assert_eq!(hidden["warnings"][0]["keyword"], "…;Encrypt");
    let shown = json_of(&run(&[text, "--format", "json", "--show-secrets"]).success());
    assert_eq!(shown["warnings"][0]["keyword"], "half;Encrypt");
}

#[test]
fn a_file_may_start_with_a_byte_order_mark() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "\u{feff}Server=h\r\n").unwrap();
    let arg = format!("file:{}", file.path().display());
    let assert = run(&[&arg, "--format", "json"]);
    assert_eq!(json_of(&assert.success())["settings"], json!({"Host": "h"}));
}

#[test]
fn the_string_may_come_from_the_standard_input() {
    let mut command = Command::cargo_bin("entrada").unwrap();
    let assert = command
        .args(["parse", "-", "--format", "json"])
        .write_stdin("Server=h\n")
        .assert();
    assert_eq!(json_of(&assert.success())["settings"], json!({"Host": "h"}));
}

#[test]
fn references_are_listed_by_place_and_no_vault_is_asked() {
    let text = "Data Source=a.database.usgovcloudapi.net;User ID=u;\
                Password=\"@Microsoft.KeyVault(VaultName=kv1;SecretName=db)\"";
    let answer = json_of(&run(&[text, "--format", "json"]).success());
    let expected = json!([{
        "keyword": "Password",
        "column": 51,
        "vault": "kv1.vault.usgovcloudapi.net",
        "secret": "db",
        "version": null,
    }]);
    assert_eq!(answer["references"], expected);
    assert_eq!(answer["settings"]["Password"], "***");
    let words = stdout(&run(&[text]).success());
    let expected = "column 51, Password: secret db of kv1.vault.usgovcloudapi.net, version newest";
    assert!(words.contains(expected), "{words}");

    let broken = "Data Source=h;User ID=u;Password=@Microsoft.KeyVault(MARKER)";
    let words = stdout(&run(&[broken]).success());
    assert!(
        words.contains("cannot be used") && !words.contains("MARKER"),
        "{words}"
    );
}

#[test]
fn a_reference_where_a_number_belongs_and_one_that_is_cut_are_errors() {
    for (text, kind, column) in [
        (
            "Data Source=h;Connect Timeout=@Microsoft.KeyVault(SecretUri=https://kv1.vault.azure.net/secrets/n)",
            "unresolved_reference",
            14,
        ),
        (
            "@Microsoft.KeyVault(VaultName=kv1;SecretName=db)",
            "unresolved_reference",
            0,
        ),
        (
            "Data Source=h;Password=@Microsoft.KeyVault(VaultName=kv1;SecretName=db)",
            "syntax",
            23,
        ),
    ] {
        let answer = json_of(&run(&[text, "--format", "json"]).code(2));
        let error = &answer["error"];
        assert_eq!(
            (&error["kind"], &error["column"]),
            (&json!(kind), &json!(column))
        );
    }
}

#[test]
fn a_vault_that_is_none_is_not_asked() {
    let text = "Data Source=h;User ID=u;Password=@Microsoft.KeyVault(SecretUri=https://evil.example/secrets/db)";
    let failed = run(&[text, "--resolve"]).code(2);
    let message = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    assert!(
        message.contains("column 24, Password") && message.contains("no token is sent"),
        "{message}"
    );
}

#[test]
fn a_string_that_is_a_reference_is_told_how_to_be_read() {
    let failed = run(&["@Microsoft.KeyVault(VaultName=kv1;SecretName=conn)"]).code(2);
    let message = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    assert!(message.contains("--resolve reads it"), "{message}");
}
