//! Ctrl-C in the middle of a run.

use entrada::emulator::FaultSpec;
use rustix::process::{Pid, Signal, kill_process};

use super::cloud::{CHANGES, Cloud, json, outcomes};

const DATABASES: [&str; 3] = ["a", "b", "c"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_run_leaves_no_database_half_done_and_says_what_is_done() {
    let cloud = Cloud::with(&DATABASES).await;
    let requests = || cloud.emulator.counters().requests;
    // How many requests it takes to look at a database, and to change one.
    let before = requests();
    cloud.plan().await;
    let look = (requests() - before) / 3;
    let twin = Cloud::with(&["twin"]).await;
    let before = twin.emulator.counters().requests;
    twin.grants(&["apply", "-f", "grants.toml", "--yes"])
        .await
        .success();
    let change = twin.emulator.counters().requests - before - look;
    twin.emulator.shutdown().await;

    // The last statement but one in `b`: COMMIT is the last request of a change,
    // and before it the database is read.
    let nth = 3 * look + change + (change - 1 - look - 1);
    let stall: FaultSpec = format!("gateway:request:stall*1/{nth}").parse().unwrap();
    let id = cloud.emulator.faults().add(&stall);
    let args = ["apply", "-f", "grants.toml", "--yes", "--jobs", "1"];
    let args = [&args[..], &["--format", "json"]].concat();
    let child = cloud.begin(&args);
    let pid = Pid::from_child(&child);
    while cloud.emulator.faults().active().iter().any(|f| f.id == id) {
        tokio::task::yield_now().await;
    }
    kill_process(pid, Signal::INT).unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = serde_json::from_slice(&output.stdout).unwrap();
    let word = |label: &str, word: &str| (label.to_owned(), word.to_owned());
    assert_eq!(
        outcomes(&report),
        [
            word("eu/a", "changed"),
            word("eu/b", "interrupted"),
            word("eu/c", "not-begun")
        ]
    );

    let run = cloud
        .grants(&["plan", "-f", "grants.toml", "--format", "json"])
        .await;
    let plan = json(&run.success());
    let changes = |at: usize| {
        let plan = &plan["databases"][at]["plan"];
        plan["changes"].as_array().unwrap().len() as u64
    };
    assert_eq!([changes(0), changes(1), changes(2)], [0, CHANGES, CHANGES]);
    // A run once more does the rest.
    let report = json(&cloud.grants(&args).await.success());
    let words: Vec<String> = outcomes(&report).into_iter().map(|(_, w)| w).collect();
    assert_eq!(words, ["unchanged", "changed", "changed"]);
    cloud.emulator.shutdown().await;
}
