//! Slips of whoever gives the command.

use super::cloud::{Cloud, WISHES, json, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_plan_does_not_pass_for_another_database_that_is_alike() {
    let cloud = Cloud::with(&["live", "test"]).await;
    cloud.write(WISHES);
    let (live, test) = (cloud.conn("live"), cloud.conn("test"));
    let plan = ["plan", "-f", "grants.toml", "--out", "plan.json"];
    let plan = [&plan[..], &["--target", &test]].concat();
    cloud.grants(&plan).await.success();
    let apply = ["apply", "-f", "grants.toml", "--plan", "plan.json", "--yes"];
    let on_live = [&apply[..], &["--target", &live, "--format", "json"]].concat();
    let report = json(&cloud.grants(&on_live).await.code(1));
    let error = &report["databases"][0]["error"];
    assert_eq!(error["kind"], "refused", "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("the saved plan is for"), "{message}");
    let on_test = [&apply[..], &["--target", &test]].concat();
    cloud.grants(&on_test).await.success();
    cloud.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_revokes_from_a_misspelt_name_hears_of_it() {
    let cloud = Cloud::with(&["shop"]).await;
    let apply = ["apply", "-f", "grants.toml", "--yes"];
    cloud.grants(&apply).await.success();
    let conn = cloud.conn("shop");
    let revoke = ["revoke", &conn, "--principal", "Orders-apu", "--yes"];
    let warning = "no user or role is named Orders-apu; did you mean orders-api";
    for (more, code) in [(&["--drop"][..], 0), (&[], 1)] {
        let run = cloud.grants(&[&revoke[..], more].concat()).await.code(code);
        assert!(told(&run).contains(warning), "{}", told(&run));
        let json_too = [&revoke[..], more, &["--format", "json"]].concat();
        let report = json(&cloud.grants(&json_too).await.code(code));
        let told = report["databases"][0]["warnings"][0].as_str().unwrap();
        assert!(told.starts_with(warning), "{told}");
    }
    cloud.emulator.shutdown().await;
}
