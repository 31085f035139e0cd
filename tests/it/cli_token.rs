//! `entrada token`, run as a program.

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use wiremock::matchers::{query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

const CONN: &str =
    "Server=app.database.windows.net;Database=shop;Authentication=Active Directory MSI";

/// Runs `entrada token` in an environment that holds only where the metadata service is.
async fn run(address: String, args: &[&str]) -> Assert {
    let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || {
        let mut command = Command::cargo_bin("entrada").unwrap();
        command
            .env_clear()
            .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", address);
        command.arg("token").args(args).assert()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

fn jwt() -> String {
    let claims = json!({"aud": "https://database.windows.net/", "appid": "the-client", "exp": 4_102_444_800_u64});
    format!("e30.{}.MARKER", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// Knows the system-assigned identity and none else.
async fn endpoint() -> MockServer {
    let server = MockServer::start().await;
    let token = json!({"access_token": jwt(), "expires_in": "86399"});
    Mock::given(query_param_is_missing("client_id"))
        .and(query_param("resource", "https://database.windows.net/"))
        .respond_with(ResponseTemplate::new(200).set_body_json(token))
        .mount(&server)
        .await;
    let unknown = json!({"error": "invalid_request", "error_description": "Identity not found"});
    Mock::given(query_param("client_id", "nobody"))
        .respond_with(ResponseTemplate::new(400).set_body_json(unknown))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn it_tells_where_the_token_is_from_and_not_the_token() {
    let server = endpoint().await;
    let done = run(server.uri(), &[CONN]).await.success();
    let text = stdout(&done);
    for part in [
        "IMDS",
        "system-assigned",
        "https://database.windows.net/",
        "in 23 h 59 min",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        text.contains("application (client id the-client)") && !text.contains("MARKER"),
        "{text}"
    );
    assert!(!text.contains("aud") && !text.contains("2100"), "{text}");
    let with_claims = stdout(&run(server.uri(), &[CONN, "--claims"]).await.success());
    assert!(with_claims.contains("the-client") && with_claims.contains("2100-01-01T00:00:00Z"));
    assert!(!with_claims.contains("MARKER"), "{with_claims}");
}

#[tokio::test]
async fn json_is_one_document() {
    let server = endpoint().await;
    let done = run(server.uri(), &[CONN, "--claims", "--format", "json"])
        .await
        .success();
    let document: Value = serde_json::from_str(&stdout(&done)).unwrap();
    assert_eq!(document["source"], "IMDS");
    assert_eq!(document["logs_in"]["kind"], "application");
    assert_eq!(document["logs_in"]["client_id"], "the-client");
    assert_eq!(document["claims"]["appid"], "the-client");
    assert!((86000..=86399).contains(&document["expires_in"].as_u64().unwrap()));
    assert!(!stdout(&done).contains("MARKER"));
}

#[tokio::test]
async fn raw_prints_the_token_and_nothing_else() {
    let server = endpoint().await;
    let done = run(server.uri(), &[CONN, "--raw"]).await.success();
    assert_eq!(stdout(&done), format!("{}\n", jwt()));
    run(server.uri(), &[CONN, "--raw", "--claims"])
        .await
        .code(2);
}

#[tokio::test]
async fn failures_have_their_codes_and_name_what_to_do() {
    let server = endpoint().await;
    let nobody = format!("{CONN};User ID=nobody");
    let failed = run(server.uri(), &[&nobody]).await.code(3);
    let text = stderr(&failed);
    assert!(
        text.contains("client id nobody") && text.contains("assign"),
        "{text}"
    );
    assert_eq!(stdout(&failed), "");
    // Nothing listens on port 1; the retries would go on for half a minute.
    let hurried = format!("{CONN};Connect Timeout=1");
    let failed = run("http://127.0.0.1:1".into(), &[&hurried]).await.code(3);
    let text = stderr(&failed);
    assert!(
        text.contains("Connect Timeout") && text.contains("cannot connect"),
        "{text}"
    );
    run(server.uri(), &["Server=s;User ID=u;Password=MARKER"])
        .await
        .code(2);
    run(server.uri(), &["no connection string"]).await.code(2);
}

#[tokio::test]
async fn the_finest_log_holds_neither_token_nor_secret() {
    let server = endpoint().await;
    let address = server.uri();
    let run = move || {
        let mut command = Command::cargo_bin("entrada").unwrap();
        command
            .env_clear()
            .env("RUST_LOG", "trace")
            .env("IDENTITY_ENDPOINT", address)
            .env("IDENTITY_HEADER", "MARKED-HEADER");
        command.args(["token", CONN]).assert()
    };
    let done = tokio::task::spawn_blocking(run).await.unwrap().success();
    let log = stderr(&done);
    // The HTTP client's own lines are among them, by either way of logging.
    for part in ["token.fetch", "reqwest::connect", "hyper_util"] {
        assert!(log.contains(part), "no {part:?} in {log}");
    }
    for secret in ["MARKER", "MARKED", &jwt()] {
        assert!(!log.contains(secret), "{secret} in {log}");
        let bytes = format!("{:?}", secret.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        assert!(!log.contains(bytes), "{secret} as bytes in {log}");
    }
}

/// Runs `entrada` in the given environment alone.
async fn run_in(env: &[(&str, &str)], args: &[&str]) -> Assert {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let env: Vec<_> = env.iter().map(own).collect();
    let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || {
        let mut command = Command::cargo_bin("entrada").unwrap();
        command.env_clear().envs(env).args(args).assert()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

const DEFAULT: &str =
    "Server=app.database.windows.net;Database=shop;Authentication=ActiveDirectoryDefault";

#[tokio::test]
async fn a_machine_shows_its_sources_without_its_secrets() {
    let server = endpoint().await;
    let address = server.uri();
    let env = [
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", address.as_str()),
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "MARKER"),
        ("AZURE_TOKEN_CREDENTIALS", "prod"),
    ];
    let text = stdout(&run_in(&env, &["token", "--sources"]).await.success());
    for (source, state) in [
        ("service principal", "available"),
        ("managed identity", "maybe"),
        ("GitHub Actions", "missing"),
        ("Azure CLI", "missing"),
    ] {
        let line = text.lines().find(|line| line.starts_with(source)).unwrap();
        assert!(line.contains(state), "{line}");
    }
    assert!(
        text.contains("environment, workload identity, managed identity."),
        "{text}"
    );
    assert!(!text.contains("MARKER"), "{text}");

    let json = stdout(
        &run_in(&env, &["token", "--sources", "--format", "json"])
            .await
            .success(),
    );
    let document: Value = serde_json::from_str(&json).unwrap();
    let first = &document["sources"][0];
    assert_eq!(first["state"], "available");
    assert_eq!(
        first["connection_string"],
        "Authentication=EntradaEnvironment"
    );
    for offer in document["sources"].as_array().unwrap() {
        let written = format!("Server=h;{}", offer["connection_string"].as_str().unwrap());
        written
            .parse::<entrada::conn_string::ConnectionString>()
            .unwrap();
    }
    assert_eq!(document["default_chain"]["order"][2], "managed identity");
    assert!(!json.contains("MARKER"));

    run_in(&env, &["token", "--sources", CONN]).await.code(2);
    run_in(&env, &["token", "--sources", "--claims"])
        .await
        .code(2);
    run_in(&env, &["token"]).await.code(2);
}

#[tokio::test]
async fn a_chain_that_fails_has_a_line_for_each_member() {
    // Nothing listens on port 1, which is a quick end where the real address would be silent.
    let env = [("AZURE_TOKEN_CREDENTIALS", "dev"), ("PATH", "")];
    let failed = run_in(&env, &["token", DEFAULT]).await.code(3);
    let text = stderr(&failed);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    for (line, word) in lines[1..].iter().zip([
        "az login",
        "Connect-AzAccount",
        "azd auth login",
        "left out",
    ]) {
        assert!(
            line.starts_with("  ") && line.contains(word),
            "{word}: {line}"
        );
    }
    let failed = run_in(&env, &["token", "--no-developer-tools", DEFAULT])
        .await
        .code(3);
    assert!(
        stderr(&failed).contains("no source left to ask"),
        "{}",
        stderr(&failed)
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_developers_tool_answers_for_its_user() {
    let folder = tempfile::tempdir().unwrap();
    let claims =
        json!({"upn": "me@example.com", "oid": "o", "appid": "tool", "exp": 4_102_444_800_u64});
    let token = format!("e30.{}.MARKER", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let answer = json!({"accessToken": token, "expires_on": 4_102_444_800_u64});
    let script = format!("#!/bin/sh\necho '{answer}'\n");
    // Written by another process: see `TempPath` of the unit tests.
    let write = r#"printf %s "$2" > "$1" && chmod 755 "$1""#;
    let mut shell = std::process::Command::new("/bin/sh");
    let shell = shell
        .args(["-c", write, "sh"])
        .arg(folder.path().join("az"))
        .arg(script);
    assert!(shell.status().unwrap().success());
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let env = [
        ("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential"),
        ("PATH", path.as_str()),
        ("RUST_LOG", "trace"),
    ];
    let done = run_in(&env, &["token", DEFAULT]).await.success();
    let text = stdout(&done);
    for part in [
        "Azure CLI",
        "the first of the default chain",
        "user me@example.com (object id o)",
        "not an application",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let log = stderr(&done);
    assert!(
        log.contains("the default chain has found who gives its tokens"),
        "{log}"
    );
    assert!(!log.contains("MARKER") && !text.contains("MARKER"), "{log}");
    // A planted tool in the current directory is not run.
    let env = [
        ("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential"),
        ("PATH", ".:"),
    ];
    let run = {
        let folder = folder.path().to_owned();
        move || {
            let mut command = Command::cargo_bin("entrada").unwrap();
            command
                .env_clear()
                .envs(env)
                .current_dir(folder)
                .args(["token", DEFAULT])
                .assert()
        }
    };
    let failed = tokio::task::spawn_blocking(run).await.unwrap().code(3);
    assert!(
        stderr(&failed).contains("not installed"),
        "{}",
        stderr(&failed)
    );
}

#[tokio::test]
async fn switches_in_variables_are_read_as_people_write_them() {
    let server = endpoint().await;
    let address = server.uri();
    let text = "Server=app.database.windows.net;Authentication=Active Directory Integrated";
    for (value, code) in [("1", 0), ("true", 0), ("0", 3), ("false", 3), ("", 3)] {
        let env = [
            ("AZURE_POD_IDENTITY_AUTHORITY_HOST", address.as_str()),
            ("ENTRADA_INTEGRATED_AS_DEFAULT", value),
            ("ENTRADA_NO_DEVELOPER_TOOLS", value),
            ("ENTRADA_KUBERNETES_TOKEN_PROXY", value),
            ("ENTRADA_ALLOW_AUTHORITY", ""),
            ("ENTRADA_ARC_KEY_FOLDER", ""),
        ];
        run_in(&env, &["token", text]).await.code(code);
    }
}

#[cfg(feature = "emulator")]
#[tokio::test]
async fn the_folder_of_azure_arcs_keys_can_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("tokens");
    let builder = entrada::emulator::Emulator::builder().arc_tokens(&keys);
    let emulator = builder.start().await.unwrap();
    let variables = emulator.arc_environment();
    let variables = variables.iter();
    let env: Vec<_> = variables
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    // The agent's own folder is not where the emulated one keeps them.
    let failed = run_in(&env, &["token", CONN]).await.code(3);
    let text = stderr(&failed);
    assert!(
        text.contains("not in the folder of the agent's keys"),
        "{text}"
    );
    let keys = keys.to_str().unwrap();
    let done = run_in(&env, &["token", CONN, "--arc-key-folder", keys]).await;
    let text = stdout(&done.success());
    assert!(text.contains("Azure Arc"), "{text}");
}
