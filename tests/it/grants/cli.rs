//! `entrada grants` as a user runs it, against the emulator.

use entrada::emulator::Emulator;

use super::cloud::{CHANGES, Cloud, WISHES, complained, json, outcomes, told};

const FILE: [&str; 2] = ["-f", "grants.toml"];

fn args<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[command], &FILE[..], more].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_shown_carried_out_verified_and_revoked() {
    let cloud = Cloud::with(&["shop"]).await;
    let run = cloud.grants(&args("plan", &[])).await.success();
    let text = told(&run);
    for part in [
        "  + ",
        "    CREATE ROLE [orders_app]",
        "0x33221100554477668899AABBCCDDEEFF",
        "│ eu/shop ",
        " to-change ",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    cloud.grants(&args("plan", &["--exit-code"])).await.code(1);
    let run = cloud.grants(&args("verify", &[])).await.code(1);
    assert!(told(&run).contains(" drifted "), "{}", told(&run));

    cloud.grants(&args("apply", &["--yes"])).await.success();
    cloud
        .grants(&args("plan", &["--exit-code"]))
        .await
        .success();
    let report = json(&cloud.grants(&args("verify", &["--format", "json"])).await);
    assert_eq!(report["databases"][0]["drift"], serde_json::json!([]));
    assert_eq!(report["summary"]["exit_code"], 0);

    // Somebody gives more than is written.
    let more = "ALTER ROLE db_datawriter ADD MEMBER [orders-api]; REVOKE INSERT ON SCHEMA::dbo FROM orders_app";
    cloud.emulator.run_sql("shop", more).await.unwrap();
    let run = cloud
        .grants(&args("verify", &["--mode", "prune", "--format", "json"]))
        .await
        .code(1);
    let report = json(&run);
    let kinds: Vec<&str> = report["databases"][0]["drift"]
        .as_array()
        .unwrap()
        .iter()
        .map(|drift| drift["kind"].as_str().unwrap())
        .collect();
    assert!(
        kinds.contains(&"drop-member") && kinds.contains(&"grant"),
        "{kinds:?}"
    );

    let principal = ["--principal", "orders-api", "--principal", "orders_app"];
    let revoke = args("revoke", &[&principal[..], &["--drop", "--yes"]].concat());
    cloud.grants(&revoke).await.success();
    assert_eq!(cloud.plan().await["summary"]["changes"], CHANGES);
    // Who is dropped is dropped. To take from nobody, though, is no success.
    cloud.grants(&revoke).await.success();
    let revoke = args("revoke", &[&principal[..], &["--yes"]].concat());
    let run = cloud.grants(&revoke).await.code(1);
    assert!(told(&run).contains(" nobody "), "{}", told(&run));
    cloud.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_changed_unless_somebody_said_yes() {
    let cloud = Cloud::with(&["shop"]).await;
    let logins = |cloud: &Cloud| Emulator::counters(&cloud.emulator).logins_accepted;
    let conn = cloud.conn("shop");
    let revoke = ["revoke", conn.as_str(), "--principal", "dba"];
    for refused in [
        args("apply", &[]),
        args("apply", &["--format", "json"]),
        revoke.to_vec(),
    ] {
        let run = cloud.grants(&refused).await.code(2);
        assert!(complained(&run).contains("--yes"), "{}", complained(&run));
    }
    assert_eq!(logins(&cloud), 0, "it logged in before it refused");
    cloud.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exported_manifest_is_what_the_database_has() {
    let cloud = Cloud::with(&["shop"]).await;
    cloud.grants(&args("apply", &["--yes"])).await.success();
    let conn = cloud.conn("shop");
    cloud
        .grants(&["export", &conn, "-o", "adopted.toml"])
        .await
        .success();
    let plan = ["plan", "-f", "adopted.toml", "--target", &conn];
    for mode in ["additive", "authoritative", "prune"] {
        let more = ["--mode", mode, "--exit-code", "--format", "json"];
        let run = cloud.grants(&[&plan[..], &more].concat()).await;
        let report = json(&run.success());
        assert_eq!(report["summary"]["changes"], 0, "{mode}: {report}");
    }
    let run = cloud.grants(&["export", &conn]).await.success();
    let file = std::fs::read_to_string(cloud.path("adopted.toml")).unwrap();
    assert_eq!(told(&run), file);
    assert!(file.contains("orders-api"), "{file}");
    cloud.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_chosen_databases_are_touched() {
    let cloud = Cloud::with(&["a", "b", "c"]).await;
    cloud
        .grants(&args(
            "apply",
            &["--yes", "--only", "eu/a,eu/b", "--exclude", "eu/b"],
        ))
        .await
        .success();
    let plan = cloud.plan().await;
    let word = |label: &str, word: &str| (label.to_owned(), word.to_owned());
    assert_eq!(
        outcomes(&plan),
        [
            word("eu/a", "as-written"),
            word("eu/b", "to-change"),
            word("eu/c", "to-change")
        ]
    );
    let run = cloud.grants(&args("plan", &["--only", "eu/d"])).await;
    let text = complained(&run.code(2));
    assert!(
        text.contains("no database eu/d; did you mean eu/"),
        "{text}"
    );
    let conn = cloud.conn("a");
    let run = cloud.grants(&args("plan", &["--target", &conn])).await;
    assert!(complained(&run.code(2)).contains("3 are chosen"));
    cloud.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_do_not_reach_a_terminal() {
    let cloud = Cloud::with(&["shop"]).await;
    let hostile = "r\\u001b[2J\\u202e'];--";
    let wishes = WISHES.replace("orders_app", hostile);
    cloud.write(&cloud.manifest(&["shop"], &wishes));
    for command in [args("plan", &[]), args("apply", &["--yes"])] {
        let run = cloud.grants(&command).await.success();
        let text = told(&run) + &complained(&run);
        assert!(text.contains(r"\u{1b}[2J\u{202e}"), "{text}");
        let raw = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!text.contains(raw), "{text:?}");
    }
    assert_eq!(cloud.plan().await["summary"]["changes"], 0);
    cloud.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_in_the_manifest_are_listed_and_files_of_other_kinds_refused() {
    let cloud = Cloud::with(&["shop"]).await;
    let wishes = WISHES
        .replace("kind = \"managed-identity\"", "kind = \"martian\"")
        .replace("\"INSERT\"", "\"INSRT\"");
    cloud.write(&cloud.manifest(&["shop"], &wishes));
    let run = cloud.grants(&args("plan", &[])).await.code(2);
    let text = complained(&run);
    for part in ["grants.toml", "principal.kind", "did you mean INSERT?"] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    cloud.write(&cloud.manifest(&["shop"], WISHES));
    std::fs::write(cloud.path("other.json"), "{\"a\": 1}").unwrap();
    for more in [["--journal", "other.json"], ["--plan", "other.json"]] {
        let refused = args("apply", &[&more[..], &["--yes"]].concat());
        let run = cloud.grants(&refused).await.code(2);
        assert!(
            complained(&run).contains("other.json"),
            "{}",
            complained(&run)
        );
    }
    let kept = std::fs::read_to_string(cloud.path("other.json")).unwrap();
    assert_eq!(kept, "{\"a\": 1}");
    cloud.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_is_rendered_for_one_database_and_files_for_many() {
    let cloud = Cloud::with(&["a", "b"]).await;
    let run = cloud.grants(&args("render", &[])).await.code(2);
    assert!(
        complained(&run).contains("--out-dir"),
        "{}",
        complained(&run)
    );
    let run = cloud.grants(&args("render", &["--only", "eu/a"])).await;
    let text = told(&run.success());
    assert!(text.contains("orders_app"), "{text}");
    let logins = cloud.emulator.counters().logins_accepted;
    assert_eq!(logins, 0, "a server was asked");
    cloud
        .grants(&args("render", &["--out-dir", "scripts"]))
        .await
        .success();
    for name in ["eu_a.sql", "eu_b.sql"] {
        let written = std::fs::read_to_string(cloud.path("scripts").join(name)).unwrap();
        assert_eq!(written, text);
    }
    cloud.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_string_without_a_database_does_not_lead_to_master() {
    let cloud = Cloud::with(&["shop"]).await;
    cloud.write(WISHES);
    let nowhere = cloud.conn("shop").replace("Database=shop;", "");
    let apply = args("apply", &["--yes", "--target", &nowhere]);
    let run = cloud.grants(&apply).await.code(2);
    let text = told(&run);
    assert!(text.contains("names no database"), "{text}");
    assert!(text.contains("add Database=NAME"), "{text}");
    assert_eq!(cloud.emulator.counters().logins_accepted, 0);
    cloud.emulator.shutdown().await;
}
