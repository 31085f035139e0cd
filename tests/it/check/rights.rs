//! User, roles, permissions and latency.

use super::*;

#[tokio::test]
async fn what_a_reader_may_do() {
    let azure = bank()
        .script("bank", "CREATE TABLE dbo.accounts (id int)\nGO\nCREATE ROLE clerks\nGO\nALTER ROLE clerks ADD MEMBER teller\nGO\nALTER ROLE db_datawriter ADD MEMBER clerks")
        .start()
        .await
        .unwrap();
    let report = check(&options(&azure)).await;
    let user = passes(&report, "user", "teller in bank, external user with id");
    assert_eq!(
        user.facts["id"],
        azure.identities()[0].client_id.to_string()
    );
    assert_eq!(user.facts["through_group"], false);
    let roles = passes(&report, "roles", "db_datawriter (through");
    assert_eq!(
        roles.facts["direct"],
        serde_json::json!(["clerks", "db_datareader"])
    );
    assert_eq!(roles.facts["nested"], serde_json::json!(["db_datawriter"]));
    let rights = passes(&report, "permissions", "CONNECT");
    assert_eq!(rights.facts["visible_objects"], 1);
    let latency = passes(&report, "latency", "round trips");
    assert!(latency.facts["median_ms"].as_f64() >= latency.facts["min_ms"].as_f64());
    assert_eq!(report.not_made().count(), 0);
    assert_eq!(report.warnings(), 0, "{report:#?}");
    azure.shutdown().await;
}

#[tokio::test]
async fn a_member_of_a_group_comes_in_as_the_group() {
    let mut teller = ManagedIdentity::system_assigned("teller");
    teller.groups.push(group("staff").object_id);
    let azure = Emulator::builder()
        .principal(group("staff"))
        .identity(teller)
        .database("bank")
        .script("bank", "CREATE USER staff FROM EXTERNAL PROVIDER\nGO\nALTER ROLE db_datareader ADD MEMBER staff")
        .start()
        .await
        .unwrap();
    let report = check(&options(&azure)).await;
    let user = passes(&report, "user", "through a group");
    assert_eq!(user.facts["through_group"], true);
    let roles = passes(&report, "roles", "db_datareader");
    assert_eq!(roles.facts["groups"], serde_json::json!(["staff"]));
    azure.shutdown().await;
}

#[tokio::test]
async fn more_than_a_service_needs() {
    let azure = bank()
        .script("bank", "ALTER ROLE db_owner ADD MEMBER teller")
        .start()
        .await
        .unwrap();
    let report = check(&options(&azure)).await;
    warns(&report, "roles", "member of db_owner");
    azure.shutdown().await;
    let azure = bank()
        .script("bank", "GRANT CONTROL TO teller")
        .start()
        .await
        .unwrap();
    let report = check(&options(&azure)).await;
    warns(&report, "permissions", "CONTROL on the database");
    azure.shutdown().await;
}

#[tokio::test]
async fn less_than_a_service_needs() {
    let azure = Emulator::builder()
        .identity(ManagedIdentity::system_assigned("teller"))
        .database("bank")
        .user("bank", "teller", &[])
        .start()
        .await
        .unwrap();
    let report = check(&options(&azure)).await;
    passes(&report, "roles", "none but public");
    warns(&report, "permissions", "may connect and nothing else");
    azure.shutdown().await;
}

#[tokio::test]
async fn a_server_that_is_far_away() {
    let azure = bank().start().await.unwrap();
    azure
        .faults()
        .add(&"gateway:request:slow:60ms".parse().unwrap());
    let report = check(&options(&azure)).await;
    warns(&report, "latency", "each round trip takes about");
    azure.shutdown().await;
}

#[tokio::test]
async fn a_request_that_fails_is_told_where_it_happens() {
    let azure = bank().start().await.unwrap();
    for (nth, name) in [
        (1, "user"),
        (2, "roles"),
        (3, "permissions"),
        (5, "latency"),
    ] {
        let fault = format!("request-error:40501/{nth}");
        azure.faults().add(&fault.parse().unwrap());
        let report = check(&options(&azure)).await;
        fails(&report, name, Kind::Server, "(40501)", "wait");
        azure.faults().clear();
    }
    azure
        .faults()
        .add(&"gateway:request:stall".parse().unwrap());
    let report = check(&options(&azure).timeout(SOON)).await;
    fails(
        &report,
        "user",
        Kind::Server,
        "did not answer a small query",
        "--timeout",
    );
    azure.faults().clear();
    azure
        .faults()
        .add(&"gateway:request:reset".parse().unwrap());
    let report = check(&options(&azure)).await;
    fails(
        &report,
        "user",
        Kind::Network,
        "the session broke",
        "cuts connections",
    );
    azure.shutdown().await;
}
