//! The emulator's SQL gateway, driven by a client that shares nothing with `dial`.

use entrada::Secret;
use entrada::emulator::{Emulator, EmulatorBuilder, GatewayFault, GatewayStep, Redirect};
use entrada::tds::{
    Encryption, EnvChange, Feature, FeatureId, FedAuth, LoginAck, PacketStatus, PacketType, Reader,
    TdsVersion, Token, read_token,
};
use serde_json::{Value, json};

use crate::raw_client::{
    Form, LoginAnswer, RawClient, acknowledges, adal_login, base_login, password_login, soon,
    tls_config, token_login, with_feature,
};

const SQL: &str = "https://database.windows.net/";
const GENERIC: &str = "Login failed for user '<token-identified principal>'.";

/// An emulator that an administrator can log in to by password.
fn builder() -> EmulatorBuilder {
    Emulator::builder().sql_admin("sa", "s3cret!Pass")
}

async fn running() -> Emulator {
    builder().start().await.unwrap()
}

/// One whose `demo-app` is a user of `demo`; `demo-worker` is not.
async fn with_user() -> Emulator {
    let builder = builder().user("demo", "demo-app", &["db_datareader"]);
    builder.start().await.unwrap()
}

fn token(emulator: &Emulator, identity: &str, resource: &str) -> Secret {
    emulator.issue_token(identity, resource).unwrap().token
}

async fn try_login(emulator: &Emulator, token: &Secret) -> LoginAnswer {
    soon("the login", async {
        let mut client = RawClient::ready(emulator, Form::Tunnelled).await;
        client.login(&token_login(token, "demo")).await
    })
    .await
}

async fn sa_login(emulator: &Emulator) -> LoginAnswer {
    soon("the login", async {
        let mut client = RawClient::ready(emulator, Form::Tunnelled).await;
        client
            .login(&password_login("sa", "s3cret!Pass", "demo"))
            .await
    })
    .await
}

/// The claims of a good token, to be spoilt.
fn claims(emulator: &Emulator) -> Value {
    use base64::Engine as _;
    let token = token(emulator, "demo-app", SQL);
    let body = token.expose().split('.').nth(1).unwrap();
    let body = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(body)
        .unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn a_token_logs_in_over_both_forms_of_tls() {
    let emulator = with_user().await;
    let token = token(&emulator, "demo-app", SQL);
    for form in [Form::Tunnelled, Form::Strict] {
        let mut client = soon("TLS", RawClient::ready(&emulator, form)).await;
        let mut login = token_login(&token, "demo");
        if form == Form::Strict {
            login.tds_version = TdsVersion::V8_0;
        }
        let answer = soon("the login", client.login(&login)).await;
        let ack = answer.ack.as_ref().expect("LOGINACK");
        assert_eq!(ack.tds_version, login.tds_version, "{form:?}");
        assert_eq!(ack.program_name, LoginAck::PROGRAM_NAME);
        assert_eq!(ack.version, [12, 0, 0x07, 0xd0]);
        assert_eq!(answer.database(), Some("demo"));
        assert!(acknowledges(&answer, FeatureId::FEDAUTH));
        assert!(answer.env.contains(&EnvChange::PacketSize {
            new: 8000,
            old: 4096
        }));
        let infos: Vec<_> = answer.infos.iter().map(|info| info.number).collect();
        assert_eq!(infos, [5701, 5703]);
    }
    assert_eq!(emulator.counters().logins_accepted, 2);
}

#[tokio::test]
async fn a_client_that_asks_where_to_get_a_token_is_told() {
    let emulator = with_user().await;
    let mut client = RawClient::ready(&emulator, Form::Tunnelled).await;
    let answer = soon("FEDAUTHINFO", client.login(&adal_login("demo"))).await;
    let info = answer.fed_auth_info.expect("FEDAUTHINFO");
    assert_eq!(info.spn, SQL);
    assert!(
        info.sts_url.ends_with(&emulator.tenant_id().to_string()),
        "{}",
        info.sts_url
    );
    let token = token(&emulator, "demo-app", &info.spn);
    let answer = soon("the login", client.fed_auth_token(token)).await;
    assert!(answer.ack.is_some(), "{answer:?}");
    assert!(acknowledges(&answer, FeatureId::FEDAUTH));
}

#[tokio::test]
async fn strict_tls_does_without_alpn_but_not_with_another() {
    let emulator = running().await;
    let mut without = tls_config(&emulator, Form::Strict);
    without.alpn_protocols.clear();
    let mut client = RawClient::tcp(emulator.sql_addr()).await;
    soon("TLS", client.start_tls(without, false)).await;
    let answer = client.prelogin(Encryption::NOT_SUP, None).await;
    assert_eq!(answer.encryption, Encryption::NOT_SUP);
    assert_eq!(answer.fed_auth_required, None, "only told to those who ask");
}

#[tokio::test]
async fn spoilt_tokens_are_refused_in_azures_words() {
    let emulator = running().await;
    let spoil = |name: &str, value: Value| {
        let mut claims = claims(&emulator);
        claims[name] = value;
        emulator.sign_claims(&claims).unwrap()
    };
    let other = "11111111-2222-3333-4444-555555555555";
    let not_ours =
        format!("{GENERIC} The server is not currently configured to accept this token.");
    let cases = [
        (
            "audience",
            spoil("aud", json!("https://management.azure.com/")),
            GENERIC,
        ),
        ("tenant", spoil("tid", json!(other)), &not_ours),
        (
            "issuer",
            spoil("iss", json!(format!("https://sts.windows.net/{other}/"))),
            &not_ours,
        ),
        (
            "not yet",
            spoil("nbf", json!(emulator.clock().now() + 3600)),
            GENERIC,
        ),
        ("no oid", spoil("oid", Value::Null), GENERIC),
        ("no JWT", Secret::new("hunter2"), GENERIC),
        ("empty", Secret::new(""), GENERIC),
    ];
    for (what, token, words) in cases {
        let answer = try_login(&emulator, &token).await;
        assert_eq!(answer.refusal(), Some((18456, words)), "{what}");
        assert_eq!(
            (answer.errors[0].state, answer.errors[0].class),
            (1, 14),
            "{what}"
        );
    }
    let good = token(&emulator, "demo-app", SQL);
    emulator
        .clock()
        .advance(std::time::Duration::from_secs(25 * 3600));
    let answer = try_login(&emulator, &good).await;
    let expired = format!("{GENERIC} Token is expired.");
    assert_eq!(answer.refusal(), Some((18456, expired.as_str())));
}

#[tokio::test]
async fn an_audience_without_its_slash_is_as_good() {
    let emulator = with_user().await;
    let token = token(&emulator, "demo-app", "https://database.windows.net");
    let answer = try_login(&emulator, &token).await;
    assert!(answer.ack.is_some(), "{answer:?}");
}

#[tokio::test]
async fn forged_signatures_are_refused() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    let emulator = running().await;
    let good = token(&emulator, "demo-app", SQL);
    let parts: Vec<&str> = good.expose().split('.').collect();
    let header: Value = serde_json::from_slice(&BASE64.decode(parts[0]).unwrap()).unwrap();
    let join = |header: &Value, signature: &str| {
        Secret::new(format!(
            "{}.{}.{signature}",
            BASE64.encode(header.to_string()),
            parts[1]
        ))
    };
    let mut none = header.clone();
    none["alg"] = json!("none");
    // The classic confusion: the public key, which everybody has, as the secret of an HMAC.
    let keys = reqwest::get(format!("{}/discovery/keys", emulator.authority_url()))
        .await
        .unwrap();
    let keys: Value = keys.json().await.unwrap();
    let public = BASE64
        .decode(keys["keys"][0]["n"].as_str().unwrap())
        .unwrap();
    let mut hs256 = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    hs256.kid = header["kid"].as_str().map(str::to_owned);
    let hmac = jsonwebtoken::EncodingKey::from_secret(&public);
    let confused = jsonwebtoken::encode(&hs256, &claims(&emulator), &hmac).unwrap();
    let stranger = Emulator::builder()
        .tenant(emulator.tenant_id())
        .start()
        .await
        .unwrap();
    let mut their_signature = claims(&emulator);
    their_signature["uti"] = json!("x");
    let theirs = stranger.sign_claims(&their_signature).unwrap();
    let their_parts: Vec<&str> = theirs.expose().split('.').collect();
    let our_kid = Secret::new(format!(
        "{}.{}.{}",
        parts[0], their_parts[1], their_parts[2]
    ));
    let cases = [
        ("no signature", join(&none, "")),
        ("alg none, signature kept", join(&none, parts[2])),
        ("HS256", Secret::new(confused)),
        ("another key", theirs.clone()),
        ("another key under our id", our_kid),
        ("no signature under RS256", join(&header, "")),
    ];
    for (what, token) in cases {
        let answer = try_login(&emulator, &token).await;
        assert_eq!(answer.refusal(), Some((18456, GENERIC)), "{what}");
    }
    assert_eq!(emulator.counters().logins_accepted, 0);
}

#[tokio::test]
async fn a_good_token_without_a_database_user_is_refused() {
    let emulator = running().await;
    let answer = try_login(&emulator, &token(&emulator, "demo-worker", SQL)).await;
    assert_eq!(answer.refusal(), Some((18456, GENERIC)));
}

#[tokio::test]
async fn the_echo_bit_must_repeat_the_answer() {
    let emulator = running().await;
    let token = token(&emulator, "demo-app", SQL);
    let fed_auth = FedAuth::SecurityToken {
        echo: false,
        token,
        nonce: None,
    };
    let login = with_feature(base_login("demo"), fed_auth.to_feature().unwrap());
    let mut client = RawClient::ready(&emulator, Form::Tunnelled).await;
    let answer = soon("the login", client.login(&login)).await;
    assert_eq!(answer.errors[0].number, 17832);
    assert!(soon("the close", client.receive()).await.is_none());
}

#[tokio::test]
async fn passwords_are_checked_and_old_protocols_turned_away() {
    let emulator = running().await;
    let login = async |login| {
        let mut client = RawClient::ready(&emulator, Form::Tunnelled).await;
        soon("the login", client.login(&login)).await
    };
    let good = login(password_login("sa", "s3cret!Pass", "")).await;
    assert_eq!(good.database(), Some("master"), "{good:?}");
    let bad = login(password_login("sa", "wrong", "demo")).await;
    assert_eq!(bad.refusal(), Some((18456, "Login failed for user 'sa'.")));
    let mut old = password_login("sa", "s3cret!Pass", "demo");
    old.tds_version = TdsVersion::V7_3B;
    assert_eq!(
        login(old).await.refusal().map(|(number, _)| number),
        Some(17895)
    );
}

#[tokio::test]
async fn encryption_is_required() {
    let emulator = running().await;
    let mut client = RawClient::tcp(emulator.sql_addr()).await;
    let answer = soon("PRELOGIN", client.prelogin(Encryption::NOT_SUP, None)).await;
    assert_eq!(answer.encryption, Encryption::REQ);
    assert!(soon("the close", client.receive()).await.is_none());
    let mut off = RawClient::tcp(emulator.sql_addr()).await;
    let answer = soon("PRELOGIN", off.prelogin(Encryption::OFF, None)).await;
    assert_eq!(answer.encryption, Encryption::REQ);
}

#[tokio::test]
async fn server_names_are_checked_when_asked_for() {
    let emulator = builder()
        .only_for_server("demo.database.windows.net")
        .start()
        .await
        .unwrap();
    let login = async |server: &str| {
        let mut client = RawClient::ready(&emulator, Form::Tunnelled).await;
        let mut login = password_login("sa", "s3cret!Pass", "demo");
        login.server_name = server.into();
        let answer = soon("the login", client.login(&login)).await;
        answer.errors.first().map(|error| error.number)
    };
    assert_eq!(login("").await, Some(40531));
    assert_eq!(login("other.database.windows.net").await, Some(40532));
    assert_eq!(login("demo.database.windows.net").await, None);
}

#[tokio::test]
async fn a_redirected_login_ends_at_the_node() {
    let emulator = running().await;
    emulator.faults().redirect(Some(Redirect::Node));
    let answer = sa_login(&emulator).await;
    let routing = answer.env.iter().find_map(|change| match change {
        EnvChange::Routing(routing) => Some(routing.clone()),
        _ => None,
    });
    let routing = routing.expect("ENVCHANGE 20");
    assert_ne!(routing.port, emulator.sql_addr().port());
    let node = format!("{}:{}", routing.server, routing.port)
        .parse()
        .unwrap();
    let mut client = soon("TLS", RawClient::ready_at(&emulator, node, Form::Tunnelled)).await;
    let answer = soon(
        "the login",
        client.login(&password_login("sa", "s3cret!Pass", "demo")),
    )
    .await;
    assert!(answer.ack.is_some());
    assert!(
        !answer
            .env
            .iter()
            .any(|change| matches!(change, EnvChange::Routing(_)))
    );
    let counters = emulator.counters();
    assert_eq!(
        (counters.logins_redirected, counters.logins_accepted),
        (1, 1)
    );
}

#[tokio::test]
async fn injected_errors_are_used_up() {
    let emulator = running().await;
    emulator.faults().login_error(40613, Some(2));
    for _ in 0..2 {
        let answer = sa_login(&emulator).await;
        assert_eq!(answer.refusal().map(|(number, _)| number), Some(40613));
        assert!(
            answer.errors[0]
                .message
                .starts_with("Database 'demo' on server 'demo'")
        );
    }
    assert!(sa_login(&emulator).await.ack.is_some());
}

#[tokio::test]
async fn a_session_answers_and_resets() {
    let emulator = running().await;
    let mut client = RawClient::ready(&emulator, Form::Tunnelled).await;
    client
        .login(&password_login("sa", "s3cret!Pass", "demo"))
        .await;
    let answer = soon("the batch", client.batch("SELECT 1 AS one")).await;
    assert_eq!(answer[0], 0x81, "COLMETADATA first: {answer:02x?}");
    client
        .send_batch("SELECT 2", PacketStatus::RESET_CONNECTION)
        .await;
    let answer = soon("the batch", client.receive()).await.unwrap();
    let first = read_token(&mut Reader::new(&answer.payload), TdsVersion::V7_4).unwrap();
    assert_eq!(first, Token::EnvChange(EnvChange::ResetAcknowledged));
    client
        .send(PacketType::ATTENTION, PacketStatus::NORMAL, &[])
        .await;
    let answer = soon("the attention", client.receive()).await.unwrap();
    let done = read_token(&mut Reader::new(&answer.payload), TdsVersion::V7_4).unwrap();
    let Token::Done(done) = done else {
        panic!("{done:?}")
    };
    assert!(done.status.contains(entrada::tds::DoneStatus::ATTN));
    let counters = emulator.counters();
    assert_eq!(
        (counters.requests, counters.resets, counters.open_sessions),
        (2, 1, 1)
    );
}

#[tokio::test]
async fn faults_strike_at_their_step() {
    let emulator = running().await;
    let faults = [
        GatewayFault::Close,
        GatewayFault::CloseAfter(5),
        GatewayFault::Garbage,
        GatewayFault::Reset,
    ];
    for fault in faults {
        emulator
            .faults()
            .gateway(GatewayStep::Prelogin, fault.clone(), Some(1));
        let mut client = RawClient::tcp(emulator.sql_addr()).await;
        let mut payload = Vec::new();
        entrada::tds::Prelogin::new(entrada::tds::Version::default(), Encryption::ON)
            .encode(&mut payload)
            .unwrap();
        client
            .send(PacketType::PRELOGIN, PacketStatus::NORMAL, &payload)
            .await;
        let first = soon("the fault", client.plain()).await;
        match fault {
            GatewayFault::CloseAfter(n) => assert_eq!(first.map(|b| b.len()), Some(n)),
            GatewayFault::Garbage => assert!(first.unwrap().starts_with(b"HTTP")),
            _ => assert_eq!(first, None),
        }
        assert_eq!(soon("the close", client.plain()).await, None);
    }
    for step in [GatewayStep::Accept, GatewayStep::Tls, GatewayStep::Login] {
        emulator
            .faults()
            .gateway(step, GatewayFault::Close, Some(1));
        let mut client = RawClient::tcp(emulator.sql_addr()).await;
        if step == GatewayStep::Accept {
            assert_eq!(soon("the close", client.plain()).await, None);
            continue;
        }
        client.prelogin(Encryption::ON, Some(1)).await;
        if step == GatewayStep::Tls {
            assert_eq!(soon("the close", client.plain()).await, None);
            continue;
        }
        client
            .start_tls(tls_config(&emulator, Form::Tunnelled), true)
            .await;
        client
            .send_login(&password_login("sa", "s3cret!Pass", "demo"))
            .await;
        assert!(soon("the close", client.receive()).await.is_none());
    }
    assert!(
        sa_login(&emulator).await.ack.is_some(),
        "all faults are used up"
    );
}

#[tokio::test]
async fn a_stalled_step_stays_open_and_silent() {
    let emulator = running().await;
    emulator
        .faults()
        .gateway(GatewayStep::Request, GatewayFault::Stall, Some(1));
    let mut client = RawClient::ready(&emulator, Form::Tunnelled).await;
    client
        .login(&password_login("sa", "s3cret!Pass", "demo"))
        .await;
    client.send_batch("SELECT 1", PacketStatus::NORMAL).await;
    // Another session is served meanwhile, so the first has had its chance to answer.
    let mut other = RawClient::ready(&emulator, Form::Tunnelled).await;
    other
        .login(&password_login("sa", "s3cret!Pass", "demo"))
        .await;
    soon("the batch", other.batch("SELECT 1")).await;
    let silence = tokio::time::timeout(std::time::Duration::from_millis(50), client.receive());
    assert!(silence.await.is_err());
}

#[tokio::test]
async fn slow_bytes_are_slow_and_complete() {
    let emulator = running().await;
    emulator
        .faults()
        .slow_bytes(Some(std::time::Duration::from_micros(50)));
    let answer = sa_login(&emulator).await;
    assert!(answer.ack.is_some(), "{answer:?}");
}

#[tokio::test]
async fn nonsense_closes_the_connection() {
    let emulator = running().await;
    let oversized: &[u8] = &[0x12, 0x01, 0xff, 0xff, 0, 0, 1, 0];
    let too_short: &[u8] = &[0x12, 0x01, 0x00, 0x04, 0, 0, 1, 0];
    let no_version: &[u8] = &[0x12, 0x01, 0x00, 0x09, 0, 0, 1, 0, 0xff];
    let bad_tls: &[u8] = &[0x16, 0x03, 0x01, 0x00, 0x04, 0xff, 0x00, 0x00, 0x00];
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n",
        oversized,
        too_short,
        no_version,
        bad_tls,
    ] {
        let mut client = RawClient::tcp(emulator.sql_addr()).await;
        client.send_raw(bytes).await;
        soon("the close", async {
            while client.plain().await.is_some() {}
        })
        .await;
    }
    let answer = sa_login(&emulator).await;
    assert!(answer.ack.is_some(), "the gateway is as before");
}

#[tokio::test]
async fn a_malformed_login_is_told_so() {
    let emulator = running().await;
    for payload in [vec![0; 20], vec![0xff; 94], vec![0x41; 3000]] {
        let mut client = RawClient::ready(&emulator, Form::Tunnelled).await;
        client
            .send(PacketType::LOGIN7, PacketStatus::NORMAL, &payload)
            .await;
        let answer = soon("the answer", client.receive())
            .await
            .expect("an error");
        let first = read_token(&mut Reader::new(&answer.payload), TdsVersion::V7_4).unwrap();
        let Token::Error(error) = first else {
            panic!("{first:?}")
        };
        assert_eq!(error.number, 17832);
    }
    let huge = with_feature(
        base_login("demo"),
        Feature::new(FeatureId(0x77), vec![0; 200_000]),
    );
    let mut client = RawClient::ready(&emulator, Form::Tunnelled).await;
    let mut payload = Vec::new();
    if huge.encode(&mut payload).is_err() {
        payload = vec![0x41; 200_000];
    }
    let mut packets = Vec::new();
    entrada::tds::write_message(
        PacketType::LOGIN7,
        PacketStatus::NORMAL,
        &payload,
        4096,
        &mut packets,
    );
    // More than a login may hold: the gateway hangs up, perhaps before everything is sent.
    let _ = soon("the close", async {
        client.send_raw(&packets[..140_000]).await;
        while client.receive().await.is_some() {}
    })
    .await;
}

#[tokio::test]
async fn a_login_that_takes_too_long_is_ended() {
    let limit = std::time::Duration::from_millis(200);
    let emulator = builder().login_timeout(limit).start().await.unwrap();
    let mut silent = RawClient::tcp(emulator.sql_addr()).await;
    let mut halting = RawClient::tcp(emulator.sql_addr()).await;
    halting.send_raw(&[0x12, 0x01]).await;
    assert_eq!(soon("the deadline", silent.plain()).await, None);
    assert_eq!(soon("the deadline", halting.plain()).await, None);
}

#[tokio::test]
async fn shutting_down_ends_sessions_and_frees_the_port() {
    let emulator = running().await;
    let address = emulator.sql_addr();
    let mut client = RawClient::ready(&emulator, Form::Tunnelled).await;
    client
        .login(&password_login("sa", "s3cret!Pass", "demo"))
        .await;
    soon("the shutdown", emulator.shutdown()).await;
    assert!(soon("the close", client.receive()).await.is_none());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_attention_stops_a_statement_of_the_engine() {
    let emulator = running().await;
    let mut client = RawClient::ready(&emulator, Form::Tunnelled).await;
    client
        .login(&password_login("sa", "s3cret!Pass", "demo"))
        .await;
    client
        .send_batch(
            "DECLARE @n int = 0; WHILE 1 = 1 SET @n = 1 - @n",
            PacketStatus::NORMAL,
        )
        .await;
    client
        .send(PacketType::ATTENTION, PacketStatus::NORMAL, &[])
        .await;
    // The answer that was cut short, then the acknowledgement.
    for acknowledged in [false, true] {
        let answer = soon("the attention", client.receive()).await.unwrap();
        let tokens = entrada::tds::read_tokens(&answer.payload, TdsVersion::V7_4).unwrap();
        let Some(Token::Done(done)) = tokens.last() else {
            panic!("{tokens:?}")
        };
        let attention = done.status.contains(entrada::tds::DoneStatus::ATTN);
        assert_eq!(attention, acknowledged);
    }
    let answer = soon("the batch", client.batch("SELECT 1")).await;
    assert_eq!(answer[0], 0x81, "the session goes on");
}
