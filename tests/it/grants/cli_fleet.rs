//! Many databases at once, some of which fail.

use entrada::emulator::DatabaseState;
use serde_json::Value;

use super::cloud::{CHANGES, Cloud, WISHES, complained, json, outcomes, told};

/// db04 does not exist, db06 does not let the program in, db08 is paused, and
/// db10 changes after the plan.
const ALL: [&str; 12] = [
    "db01", "db02", "db03", "db04", "db05", "db06", "db07", "db08", "db09", "db10", "db11", "db12",
];
const APPLY: [&str; 5] = ["apply", "-f", "grants.toml", "--format", "json"];

/// Ten databases that are there, nine of which let the program in.
async fn cloud() -> Cloud {
    let there: Vec<&str> = ALL.into_iter().filter(|name| *name != "db04").collect();
    let cloud = Cloud::with(&there).await;
    cloud
        .emulator
        .run_sql("db06", "DROP USER [dba]")
        .await
        .unwrap();
    cloud
        .emulator
        .faults()
        .database("db08", DatabaseState::Paused);
    cloud.write(&cloud.manifest(&ALL, WISHES));
    cloud
}

fn apply<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&APPLY[..], more].concat()
}

fn expected(others: &'static str, special: &[(&str, &'static str)]) -> Vec<(String, String)> {
    let of = |name: &str| special.iter().find(|(one, _)| *one == name);
    let word = |name: &str| of(name).map_or(others, |(_, word)| word);
    ALL.iter()
        .map(|name| (format!("eu/{name}"), word(name).to_owned()))
        .collect()
}

fn one<'r>(report: &'r Value, label: &str) -> &'r Value {
    let databases = report["databases"].as_array().unwrap();
    databases
        .iter()
        .find(|one| one["database"] == label)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_neither_stop_the_others_nor_hide_and_a_resumed_run_does_the_rest() {
    let cloud = cloud().await;
    let run = cloud
        .grants(&["plan", "-f", "grants.toml", "--out", "plan.json"])
        .await
        .code(1);
    assert!(told(&run).contains("3 of 12 failed:"), "{}", told(&run));
    let sql = "CREATE ROLE somebody_elses";
    cloud.emulator.run_sql("db10", sql).await.unwrap();

    let journal = ["--yes", "--journal", "journal.json"];
    let args = apply(&[&journal[..], &["--plan", "plan.json"]].concat());
    let report = json(&cloud.grants(&args).await.code(1));
    let failing = [
        ("db04", "failed"),
        ("db06", "failed"),
        ("db08", "failed"),
        ("db10", "failed"),
    ];
    assert_eq!(outcomes(&report), expected("changed", &failing));
    for (label, kind, part) in [
        ("eu/db04", "server", "4060"),
        ("eu/db06", "auth", "18456"),
        ("eu/db08", "server", "40613"),
        ("eu/db10", "refused", "no longer the saved one"),
    ] {
        let error = &one(&report, label)["error"];
        assert_eq!(error["kind"], kind, "{error}");
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
        assert!(error["fix"].is_string(), "{error}");
    }
    assert_eq!(report["summary"]["failed"], 4);

    cloud
        .emulator
        .faults()
        .database("db08", DatabaseState::Online);
    let args = apply(&[&journal[..], &["--resume"]].concat());
    let logins = cloud.emulator.counters().logins_accepted;
    let report = json(&cloud.grants(&args).await.code(1));
    let rest = [
        ("db04", "failed"),
        ("db06", "failed"),
        ("db08", "changed"),
        ("db10", "changed"),
    ];
    assert_eq!(outcomes(&report), expected("done-before", &rest));
    // To look and to change, in two databases.
    assert_eq!(cloud.emulator.counters().logins_accepted - logins, 4);

    // Without the journal everything is looked at, and nothing is left to do.
    let report = json(&cloud.grants(&apply(&["--yes"])).await.code(1));
    let gone = [("db04", "failed"), ("db06", "failed")];
    assert_eq!(outcomes(&report), expected("unchanged", &gone));
    // A manifest that says something else is not what the journal knows.
    let wishes = WISHES.replace("\"INSERT\"", "\"UPDATE\"");
    cloud.write(&cloud.manifest(&ALL, &wishes));
    let args = apply(&[&journal[..], &["--resume"]].concat());
    let report = json(&cloud.grants(&args).await.code(1));
    assert_eq!(outcomes(&report), expected("changed", &gone));
    cloud.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_summary_names_each_database_and_each_failure() {
    let cloud = cloud().await;
    let run = cloud
        .grants(&["apply", "-f", "grants.toml", "--yes"])
        .await
        .code(1);
    let text = told(&run);
    let (_, summary) = text.split_once("┌").unwrap();
    for name in ALL {
        assert!(summary.contains(&format!("eu/{name}")), "{summary}");
    }
    assert!(summary.contains("3 of 12 failed:"), "{summary}");
    assert_eq!(summary.matches("\n    fix: ").count(), 3, "{summary}");
    // No terminal, no colours and no bars.
    let raw = |c: char| c != '\n' && c.is_control();
    assert!(
        !text.contains(raw) && !complained(&run).contains(raw),
        "{run:?}"
    );
    cloud.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fail_fast_changes_nothing_when_something_cannot_be_read() {
    let cloud = cloud().await;
    let args = apply(&["--yes", "--fail-fast", "--jobs", "1"]);
    let report = json(&cloud.grants(&args).await.code(1));
    let found = outcomes(&report);
    let words: Vec<&str> = found.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(words[3], "failed");
    let others = [&words[..3], &words[4..]].concat();
    assert!(others.iter().all(|word| *word == "not-begun"), "{words:?}");
    // Those before the failure were looked at only.
    let args = ["--only", "eu/db01", "--format", "json"];
    let args = [&["plan", "-f", "grants.toml"][..], &args].concat();
    let plan = json(&cloud.grants(&args).await.success());
    assert_eq!(plan["summary"]["changes"], CHANGES);
    cloud.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_failure_alone_has_its_own_exit_code() {
    let cloud = cloud().await;
    for (label, code) in [("eu/db04", 5), ("eu/db06", 3), ("eu/db08", 5)] {
        let args = ["verify", "-f", "grants.toml", "--only", label];
        cloud.grants(&args).await.code(code);
    }
    cloud.emulator.shutdown().await;
}
