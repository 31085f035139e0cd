//! What a server says no with, and redirects.

use entrada::emulator::Redirect;
use entrada::scripts;

use super::*;

fn stranger() -> EmulatorBuilder {
    Emulator::builder()
        .identity(ManagedIdentity::system_assigned("teller"))
        .database("bank")
}

/// The ids of the machine's first identity: client id and object id.
fn ids(azure: &Emulator) -> (String, String) {
    let identity = azure.identities().remove(0);
    (
        identity.client_id.to_string(),
        identity.object_id.to_string(),
    )
}

fn administered(azure: &Emulator) -> Options {
    let admin = azure.connection_string("bank").replace(
        "Authentication=ActiveDirectoryMSI",
        "User ID=sa;Password=Only-For-Tests-1",
    );
    options(azure).admin(admin)
}

#[tokio::test]
async fn without_a_user_the_script_that_creates_it_is_printed_and_mends_it() {
    let azure = stranger().start().await.unwrap();
    let report = check(&options(&azure)).await;
    let (client_id, _) = ids(&azure);
    fails(
        &report,
        "login",
        Kind::Auth,
        "no user for managed identity teller",
        "--admin CONN",
    );
    let failed = failure(&report, "login", Kind::Auth);
    assert_eq!(failed.facts["error"]["number"], 18456);
    let script = failed.troubles[0].script.clone().unwrap();
    assert!(
        script.contains("N'teller'") && script.contains(&client_id),
        "{script}"
    );
    azure.run_sql("bank", &script).await.unwrap();
    let report = check(&options(&azure)).await;
    passes(&report, "login", "in database bank");
    passes(&report, "user", "teller in bank");
    azure.shutdown().await;
}

#[tokio::test]
async fn an_administrator_tells_the_cases_apart() {
    let sid = |id: &str| sid(id.parse().unwrap()).to_string();
    let stranger = || stranger().sql_admin("sa", "Only-For-Tests-1");
    let (client_id, object_id) = {
        let azure = stranger().start().await.unwrap();
        let ids = ids(&azure);
        let report = check(&administered(&azure)).await;
        fails(
            &report,
            "login",
            Kind::Auth,
            "has no user for",
            "run this script",
        );
        assert!(
            !failure(&report, "login", Kind::Auth).troubles[0]
                .fix
                .contains("--admin")
        );
        azure.shutdown().await;
        ids
    };
    let (right, wrong) = (sid(&client_id), sid(&object_id));
    let other = sid("99999999-8888-7777-6666-555555555555");
    for (setup, cause, script) in [
        (
            format!("CREATE USER teller WITH SID = {wrong}, TYPE = E"),
            "was made with the object id",
            "",
        ),
        (
            format!("CREATE USER teller WITH SID = {other}, TYPE = E"),
            "has another id",
            "",
        ),
        (
            format!("CREATE USER clerk WITH SID = {right}, TYPE = E\nGO\nDENY CONNECT TO clerk"),
            "the user clerk in `bank` is denied CONNECT",
            "GRANT CONNECT TO [clerk];\n",
        ),
        (
            format!(
                "CREATE USER clerk WITH SID = {right}, TYPE = E\nGO\nREVOKE CONNECT FROM clerk"
            ),
            "the user clerk in `bank` lacks CONNECT",
            "GRANT CONNECT TO [clerk];\n",
        ),
    ] {
        let azure = stranger().start().await.unwrap();
        azure.run_sql("bank", &setup).await.unwrap();
        let report = check(&administered(&azure)).await;
        let failed = failure(&report, "login", Kind::Auth);
        let trouble = &failed.troubles[0];
        assert!(trouble.cause.contains(cause), "{trouble:#?}");
        let printed = trouble.script.as_ref().unwrap();
        assert!(printed.starts_with(script), "{printed}");
        azure.run_sql("bank", printed).await.unwrap();
        let report = check(&administered(&azure)).await;
        assert!(report.failure().is_none(), "{report:#?}");
        azure.shutdown().await;
    }
}

fn sid(id: Uuid) -> entrada::tsql::Sid {
    entrada::tsql::Sid::from_id(id)
}

#[tokio::test]
async fn a_group_that_the_server_does_not_know_the_identity_to_be_in() {
    let azure = stranger().sql_admin("sa", "Only-For-Tests-1");
    let azure = azure.principal(group("staff")).start().await.unwrap();
    azure
        .run_sql("bank", "CREATE USER staff FROM EXTERNAL PROVIDER")
        .await
        .unwrap();
    let report = check(&administered(&azure)).await;
    fails(
        &report,
        "login",
        Kind::Auth,
        "in no group that has one (staff)",
        "up to a day",
    );
    azure.shutdown().await;
}

#[tokio::test]
async fn a_name_that_is_somebody_elses_stays_theirs() {
    let other = sid(group("teller").object_id);
    for taken in [
        format!("CREATE USER teller WITH SID = {other}, TYPE = X"),
        "CREATE USER teller WITHOUT LOGIN".to_owned(),
    ] {
        let azure = stranger().sql_admin("sa", "Only-For-Tests-1");
        let azure = azure.principal(group("teller")).start().await.unwrap();
        azure.run_sql("bank", &taken).await.unwrap();
        let report = check(&administered(&azure)).await;
        fails(&report, "login", Kind::Auth, "has no user for", "is taken");
        let failed = failure(&report, "login", Kind::Auth);
        let script = failed.troubles[0].script.clone().unwrap();
        assert!(script.contains("N'teller-identity'"), "{script}");
        azure.run_sql("bank", &script).await.unwrap();
        let report = check(&administered(&azure)).await;
        passes(&report, "user", "teller-identity in bank");
        azure.shutdown().await;
    }
}

#[tokio::test]
async fn a_name_that_a_terminal_would_obey_is_in_no_script() {
    let azure = stranger().sql_admin("sa", "Only-For-Tests-1");
    let azure = azure.start().await.unwrap();
    let id = sid(azure.identities()[0].client_id);
    let setup = format!(
        "CREATE USER [cl\u{1b}[2Jerk] WITH SID = {id}, TYPE = E\nGO\nDENY CONNECT TO [cl\u{1b}[2Jerk]"
    );
    azure.run_sql("bank", &setup).await.unwrap();
    let report = check(&administered(&azure)).await;
    fails(
        &report,
        "login",
        Kind::Auth,
        "cl\\u{1b}[2Jerk in `bank` is denied",
        "connect again",
    );
    let failed = failure(&report, "login", Kind::Auth);
    assert_eq!(failed.troubles[0].script, None);
    azure.shutdown().await;
}

#[tokio::test]
async fn a_login_that_is_sent_on_more_than_once() {
    let bank = || bank().sql_admin("sa", "Only-For-Tests-1");
    let (first, second) = (bank().start().await.unwrap(), bank().start().await.unwrap());
    let (server, port) = ("127.0.0.1".to_owned(), second.sql_addr().port());
    first.faults().redirect(Some(Redirect::To { server, port }));
    second.faults().redirect(Some(Redirect::Node));
    let conn = format!(
        "Server=127.0.0.1,{};Database=bank;User ID=sa;Password=Only-For-Tests-1;TrustServerCertificate=true",
        first.sql_addr().port()
    );
    let report = check(&Options::new(conn)).await;
    let redirect = warns(&report, "redirect", "sent on 2 times");
    assert_eq!(redirect.facts["places"].as_array().unwrap().len(), 2);
    assert!(report.failure().is_none(), "{report:#?}");
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test]
async fn an_administrator_who_is_not_let_in_either_is_no_worse_than_none() {
    let azure = stranger().start().await.unwrap();
    let admin = azure.connection_string("bank").replace(
        "Authentication=ActiveDirectoryMSI",
        "User ID=sa;Password=MARKED",
    );
    let report = check(&options(&azure).admin(admin)).await;
    fails(
        &report,
        "login",
        Kind::Auth,
        "has no user for",
        "--admin could not look",
    );
    azure.shutdown().await;
}

#[tokio::test]
async fn no_database_is_named() {
    let azure = bank().start().await.unwrap();
    let conn = azure
        .connection_string("bank")
        .replace("Database=bank;", "");
    let report = check(&Options::new(conn).sources(sources(&azure))).await;
    fails(
        &report,
        "login",
        Kind::Auth,
        "went to master",
        "Database=NAME",
    );
    let report = check(&options(&azure).database("bank")).await;
    passes(&report, "login", "in database bank");
    azure.shutdown().await;
}

#[tokio::test]
async fn each_number_has_its_cause_and_fix() {
    let azure = bank().start().await.unwrap();
    for (number, kind, cause, fix) in [
        (
            40615,
            Kind::Server,
            "firewall does not let 127.0.0.1 in",
            "--start-ip-address 127.0.0.1",
        ),
        (40914, Kind::Server, "subnet", "vnet-rule"),
        (40532, Kind::Server, "knows no server", "real name"),
        (40531, Kind::Server, "knows no server", "real name"),
        (
            47073,
            Kind::Server,
            "closed to public networks",
            "private endpoint",
        ),
        (
            4060,
            Kind::Server,
            "no database `bank`",
            "create-user-by-sid",
        ),
        (40613, Kind::Server, "waking up", "in a minute"),
        (42119, Kind::Server, "free allowance", "next month"),
        (18470, Kind::Auth, "disabled", "ENABLE"),
        (10928, Kind::Server, "as many sessions", "Max Pool Size"),
        (10929, Kind::Server, "as many sessions", "larger tier"),
        (40501, Kind::Server, "busy", "wait"),
        (49918, Kind::Server, "short of resources", "retry"),
    ] {
        azure.faults().login_error(number, Some(1));
        let report = check(&options(&azure)).await;
        fails(&report, "login", kind, cause, fix);
        let failed = failure(&report, "login", kind);
        assert_eq!(failed.facts["error"]["number"], number);
        assert!(failed.what.contains(&number.to_string()), "{failed:#?}");
    }
    azure.shutdown().await;
}

#[tokio::test]
async fn a_login_that_gets_no_answer() {
    let azure = bank().start().await.unwrap();
    azure.faults().add(&"gateway:login:stall".parse().unwrap());
    let report = check(&options(&azure).timeout(SOON)).await;
    fails(
        &report,
        "login",
        Kind::Server,
        "does not answer the login",
        "Connect Timeout",
    );
    azure.faults().clear();
    azure.faults().add(&"gateway:login:close".parse().unwrap());
    let report = check(&options(&azure)).await;
    fails(
        &report,
        "login",
        Kind::Network,
        "closed the connection",
        "network rules",
    );
    azure.shutdown().await;
}

#[tokio::test]
async fn a_redirect_is_followed() {
    let azure = bank().start().await.unwrap();
    let report = check(&options(&azure)).await;
    assert_eq!(of(&report, "redirect").outcome, Outcome::Skip);
    azure.faults().redirect(Some(Redirect::Node));
    let report = check(&options(&azure)).await;
    passes(&report, "login", "sends it on to 127.0.0.1,");
    let redirect = passes(&report, "redirect", "in database bank");
    assert_eq!(redirect.facts["places"].as_array().unwrap().len(), 1);
    assert!(report.failure().is_none());
    azure.shutdown().await;
}

#[tokio::test]
async fn a_redirect_to_where_nothing_can_be_reached() {
    let azure = bank().start().await.unwrap();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let to = |port| {
        let server = "127.0.0.1".to_owned();
        Some(Redirect::To { server, port })
    };
    azure.faults().redirect(to(port));
    let report = check(&options(&azure)).await;
    fails(
        &report,
        "redirect",
        Kind::Network,
        &format!("127.0.0.1,{port}"),
        "11000 to 11999",
    );
    azure.faults().redirect(to(azure.sql_addr().port()));
    let report = check(&options(&azure)).await;
    fails(&report, "redirect", Kind::Network, "circle", "in a minute");
    azure.shutdown().await;
}

#[tokio::test]
async fn an_application_has_no_name_in_its_token() {
    let azure = Emulator::builder().database("bank").start().await.unwrap();
    let mut claims = serde_json::Map::new();
    let now = jiff::Timestamp::now().as_second();
    let id = "12345678-1234-1234-1234-123456789012";
    for (name, value) in [
        ("aud", "https://database.windows.net/"),
        (
            "iss",
            &format!("https://sts.windows.net/{}/", azure.tenant_id()),
        ),
        ("tid", &azure.tenant_id().to_string()),
        ("appid", id),
        ("oid", "12345678-1234-1234-1234-123456789013"),
        ("idtyp", "app"),
    ] {
        claims.insert(name.to_owned(), value.into());
    }
    claims.insert("exp".to_owned(), (now + 3600).into());
    let token = azure.sign_claims(&claims.into()).unwrap();
    let conn = azure.connection_string("bank").replace(
        "Authentication=ActiveDirectoryMSI",
        &format!(
            "Authentication=EntradaAccessToken;Entrada Access Token={}",
            token.expose()
        ),
    );
    let report = check(&Options::new(conn)).await;
    fails(&report, "login", Kind::Auth, id, "NAME-OF-THE-APPLICATION");
    let script = failure(&report, "login", Kind::Auth).troubles[0]
        .script
        .clone();
    let script = script.unwrap();
    let by_hand = scripts::find("create-user-by-sid").unwrap();
    let by_hand = by_hand.fill(&[
        ("PrincipalName", "NAME-OF-THE-APPLICATION"),
        ("PrincipalId", id),
    ]);
    assert!(
        by_hand.unwrap().ends_with(&script) && script.contains(id),
        "{script}"
    );
    azure.shutdown().await;
}
