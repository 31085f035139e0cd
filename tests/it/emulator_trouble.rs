//! Trouble at the SQL gateway: errors, states of databases, ends of sessions, and the clock.

use std::time::Duration;

use entrada::Secret;
use entrada::emulator::{
    DatabaseState, Emulator, EmulatorBuilder, FaultSpec, GatewayFault, GatewayStep, LoginOutcome,
    LoginRequest, Redirect, RequestKind,
};
use entrada::tds::{EnvChange, PacketStatus, ServerMessage, TdsVersion, Token, read_tokens};

use crate::raw_client::{Form, LoginAnswer, RawClient, password_login, soon, token_login};

const SQL: &str = "https://database.windows.net/";
const HOUR: Duration = Duration::from_secs(3600);

fn builder() -> EmulatorBuilder {
    Emulator::builder()
        .sql_admin("sa", "s3cret!Pass")
        .user("demo", "demo-app", &["db_datareader"])
}

async fn running() -> Emulator {
    builder().start().await.unwrap()
}

fn token(emulator: &Emulator) -> Secret {
    emulator.issue_token("demo-app", SQL).unwrap().token
}

fn add(emulator: &Emulator, words: &str) {
    emulator.faults().add(&words.parse().unwrap());
}

/// A login by token, and the connection that it came over.
async fn login(emulator: &Emulator) -> (RawClient, LoginAnswer) {
    soon("the login", async {
        let mut client = RawClient::ready(emulator, Form::Tunnelled).await;
        let answer = client.login(&token_login(&token(emulator), "demo")).await;
        (client, answer)
    })
    .await
}

async fn session(emulator: &Emulator) -> RawClient {
    let (client, answer) = login(emulator).await;
    assert!(answer.ack.is_some(), "{answer:?}");
    client
}

async fn login_error(emulator: &Emulator) -> Option<ServerMessage> {
    let (_, mut answer) = login(emulator).await;
    answer.errors.pop()
}

/// The error and the changes in the answer to a batch; `None` if the connection is gone.
async fn batch(client: &mut RawClient, status: PacketStatus) -> Option<Vec<Token>> {
    soon("the batch", async {
        client.send_batch("set nocount off", status).await;
        let message = client.receive().await?;
        Some(read_tokens(&message.payload, TdsVersion::V7_4).unwrap())
    })
    .await
}

fn error_of(tokens: &[Token]) -> Option<&ServerMessage> {
    tokens.iter().find_map(|token| match token {
        Token::Error(error) => Some(error),
        _ => None,
    })
}

fn resets(tokens: &[Token]) -> bool {
    tokens.contains(&Token::EnvChange(EnvChange::ResetAcknowledged))
}

fn logins(emulator: &Emulator) -> Vec<LoginRequest> {
    let logins = emulator
        .requests()
        .into_iter()
        .filter_map(|r| match r.kind {
            RequestKind::Login(login) => Some(login),
            _ => None,
        });
    logins.collect()
}

#[tokio::test]
async fn a_database_that_resumes_is_not_there_for_a_number_of_logins_or_a_time() {
    let emulator = running().await;
    add(&emulator, "database:demo:resuming*2");
    for _ in 0..2 {
        let error = login_error(&emulator).await.unwrap();
        assert_eq!((error.number, error.class), (40613, 17));
        assert!(
            error
                .message
                .contains("Database 'demo' on server 'demo' is not")
        );
        assert!(
            error.message.contains("session tracing ID of '{"),
            "{error}"
        );
    }
    assert_eq!(login_error(&emulator).await, None);
    emulator.clock().freeze();
    add(&emulator, "database:demo:paused@1m");
    emulator.clock().advance(HOUR);
    for _ in 0..3 {
        assert_eq!(login_error(&emulator).await.unwrap().number, 40613);
    }
    emulator.clock().advance(Duration::from_secs(60));
    assert_eq!(
        login_error(&emulator).await,
        None,
        "the first login resumed it"
    );
}

#[tokio::test]
async fn other_databases_are_not_touched_and_states_have_their_errors() {
    let emulator = running().await;
    let sa = password_login("sa", "s3cret!Pass", "master");
    for (state, number) in [
        (DatabaseState::Offline, 4060),
        (DatabaseState::AllowanceUsedUp, 42119),
        (DatabaseState::Resuming, 40613),
    ] {
        emulator.faults().database("demo", state);
        assert_eq!(emulator.faults().database_state("DEMO"), state);
        assert_eq!(login_error(&emulator).await.unwrap().number, number);
        let mut client = RawClient::ready(&emulator, Form::Tunnelled).await;
        let answer = soon("the login", client.login(&sa)).await;
        assert_eq!(answer.database(), Some("master"));
    }
    emulator.faults().database("demo", DatabaseState::Online);
    assert_eq!(login_error(&emulator).await, None);
}

#[tokio::test]
async fn azures_errors_at_login_have_azures_words() {
    let emulator = running().await;
    for (number, class, words) in [
        (10928, 20, "The request limit for the database is"),
        (10929, 20, "the server is currently too busy to support"),
        (40197, 17, "Please try again. Error code 40166."),
        (
            40501,
            20,
            "Retry the request after 10 seconds. Incident ID:",
        ),
        (
            40532,
            20,
            "Cannot open server \"demo\" requested by the login.",
        ),
        (40544, 20, "The database has reached its size quota."),
        (
            40615,
            14,
            "Client with IP address '127.0.0.1' is not allowed",
        ),
        (49918, 16, "Not enough resources to process request."),
        (
            49919,
            16,
            "Too many create or update operations in progress",
        ),
        (
            49920,
            16,
            "Too many operations in progress for subscription",
        ),
        (
            4060,
            11,
            "Cannot open database \"demo\" requested by the login.",
        ),
    ] {
        emulator.faults().login_error(number, Some(1));
        let error = login_error(&emulator).await.unwrap();
        assert_eq!((error.number, error.class), (number, class));
        assert!(error.message.contains(words), "{error}");
    }
    let outcomes: Vec<_> = logins(&emulator).iter().map(|l| l.outcome).collect();
    assert_eq!(outcomes[0], Some(LoginOutcome::Refused(10928)));
    assert_eq!(outcomes.len(), 11);
}

#[tokio::test]
async fn a_request_can_be_refused_and_the_session_goes_on_unless_it_is_fatal() {
    let emulator = running().await;
    let mut client = session(&emulator).await;
    emulator.faults().request_error(49918, Some(1));
    let tokens = batch(&mut client, PacketStatus::RESET_CONNECTION)
        .await
        .unwrap();
    assert_eq!(error_of(&tokens).unwrap().number, 49918);
    assert!(
        resets(&tokens),
        "the reset comes before the refusal: {tokens:?}"
    );
    let tokens = batch(&mut client, PacketStatus::NORMAL).await.unwrap();
    assert_eq!(error_of(&tokens), None);
    emulator.faults().request_error(40501, Some(1));
    let tokens = batch(&mut client, PacketStatus::NORMAL).await.unwrap();
    assert_eq!(error_of(&tokens).unwrap().number, 40501);
    assert!(batch(&mut client, PacketStatus::NORMAL).await.is_none());
}

#[tokio::test]
async fn a_session_is_killed_by_its_number() {
    let emulator = running().await;
    let mut client = session(&emulator).await;
    let mut other = session(&emulator).await;
    batch(&mut client, PacketStatus::NORMAL).await.unwrap();
    let open = emulator.sessions();
    assert_eq!(open.len(), 2);
    assert_eq!(
        (open[0].database.as_str(), open[0].login.as_str()),
        ("demo", "demo-app")
    );
    assert_eq!(
        (open[0].application.as_str(), open[0].requests),
        ("raw client", 1)
    );
    assert!(emulator.kill(open[0].spid));
    assert_eq!(soon("the end", client.receive()).await, None);
    assert!(!emulator.kill(0));
    assert!(batch(&mut other, PacketStatus::NORMAL).await.is_some());
}

#[tokio::test]
async fn a_failover_ends_sessions_and_is_over_after_its_time() {
    let emulator = running().await;
    emulator.clock().freeze();
    let mut client = session(&emulator).await;
    add(&emulator, "failover@20s");
    assert_eq!(soon("the end", client.receive()).await, None);
    assert_eq!(login_error(&emulator).await.unwrap().number, 40613);
    emulator.clock().advance(Duration::from_secs(20));
    assert_eq!(login_error(&emulator).await, None);
}

#[tokio::test]
async fn a_kill_stops_a_statement_that_runs() {
    let emulator = running().await;
    let mut client = session(&emulator).await;
    let endless = "with n(i) as (select 1 union all select i + 1 from n where i < 100000000) \
                   select count(*) from n option (maxrecursion 0)";
    client.send_batch(endless, PacketStatus::NORMAL).await;
    let spid = emulator.sessions()[0].spid;
    soon("the request", async {
        while emulator.counters().requests == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(emulator.kill(spid));
    assert_eq!(soon("the end", client.receive()).await, None);
    // The engine's thread is free again, or this would wait for it.
    soon("the shutdown", emulator.shutdown()).await;
}

#[tokio::test]
async fn a_reset_after_ten_hours_asks_for_a_token_that_is_still_good() {
    let short = builder().token_lifetime(2 * HOUR).start().await.unwrap();
    short.clock().freeze();
    let mut client = session(&short).await;
    short.clock().advance(3 * HOUR);
    let tokens = batch(&mut client, PacketStatus::RESET_CONNECTION)
        .await
        .unwrap();
    assert!(
        error_of(&tokens).is_none() && resets(&tokens),
        "an open session outlives its token"
    );
    short.clock().advance(7 * HOUR);
    let tokens = batch(&mut client, PacketStatus::NORMAL).await.unwrap();
    assert_eq!(error_of(&tokens), None, "without a reset nobody looks");
    let tokens = batch(&mut client, PacketStatus::RESET_CONNECTION)
        .await
        .unwrap();
    let error = error_of(&tokens).unwrap();
    assert_eq!(error.number, 18456);
    assert!(error.message.ends_with("Token is expired."), "{error}");
    assert!(batch(&mut client, PacketStatus::NORMAL).await.is_none());

    let long = running().await;
    long.clock().freeze();
    let mut client = session(&long).await;
    long.clock().advance(11 * HOUR);
    let tokens = batch(&mut client, PacketStatus::RESET_CONNECTION)
        .await
        .unwrap();
    assert!(error_of(&tokens).is_none() && resets(&tokens), "{tokens:?}");
}

#[tokio::test]
async fn redirects_happen_every_nth_time_and_to_where_they_are_told() {
    let emulator = running().await;
    let to = Redirect::To {
        server: "elsewhere.example".into(),
        port: 11001,
    };
    emulator.faults().add(&FaultSpec::redirect(to).every(2));
    let mut seen = Vec::new();
    for _ in 0..4 {
        let (_, answer) = login(&emulator).await;
        let route = answer.env.iter().find_map(|change| match change {
            EnvChange::Routing(route) => Some((route.server.clone(), route.port)),
            _ => None,
        });
        seen.push(route);
    }
    let away = Some(("elsewhere.example".to_owned(), 11001));
    assert_eq!(seen, [None, away.clone(), None, away]);
    let outcomes: Vec<_> = logins(&emulator)
        .iter()
        .map(|l| l.outcome.unwrap())
        .collect();
    let (stays, goes) = (LoginOutcome::Accepted, LoginOutcome::Redirected);
    assert_eq!(outcomes, [stays, goes, stays, goes]);
}

#[tokio::test]
async fn a_slow_step_is_late_and_right() {
    let emulator = running().await;
    for step in [GatewayStep::Accept, GatewayStep::Tls, GatewayStep::Login] {
        let slow = GatewayFault::Slow(Duration::from_millis(1));
        emulator.faults().gateway(step, slow, Some(1));
        assert_eq!(login_error(&emulator).await, None, "{step:?}");
        assert!(emulator.faults().active().is_empty(), "{step:?}");
    }
}

#[tokio::test]
async fn logins_are_remembered_without_secrets() {
    let emulator = running().await;
    let app = emulator.identities()[0].clone();
    login(&emulator).await;
    let mut client = RawClient::ready(&emulator, Form::Strict).await;
    let wrong = password_login("sa", "Wrong-Zq7Marker", "demo");
    soon("the login", client.login(&wrong)).await;
    let seen = logins(&emulator);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].object_id, Some(app.object_id));
    assert_eq!(
        (seen[0].authentication, seen[0].user.as_deref()),
        ("token", None)
    );
    assert_eq!(seen[0].outcome, Some(LoginOutcome::Accepted));
    assert_eq!(
        (seen[1].authentication, seen[1].user.as_deref()),
        ("password", Some("sa"))
    );
    assert_eq!(seen[1].outcome, Some(LoginOutcome::Refused(18456)));
    assert!(
        seen.iter()
            .all(|login| login.encrypted && login.library == "raw")
    );
    let all = format!("{:?}", emulator.requests());
    assert!(!all.contains("Zq7Marker") && !all.contains("eyJ"), "{all}");
    emulator.forget_requests();
    assert!(emulator.requests().is_empty());
}
