//! What an answer to a reset must be like.

use super::*;
use crate::tds::{ServerMessage, parse_all_headers};

/// Gives a session back to a server that answers so, and returns how many are
/// idle then.
async fn idle_after(answer: Answer, config: PoolConfig) -> usize {
    let world = world(config);
    world.manner(|manner| manner.answer = Some(answer));
    let lease = world.lease("a").await;
    let served = world.server.served(lease.told().spid);
    lease.give_back(Condition::AtRest);
    world.quiet().await;
    let view = world.view();
    assert_eq!((view.in_use, view.resetting), (0, 0));
    assert_eq!(view.closed["reset"] as usize, 1 - view.idle);
    if view.idle == 0 {
        served.gone.cancelled().await;
    }
    view.idle
}

fn with(token: Token) -> Answer {
    let mut answer = reset_answer();
    answer.insert(1, token);
    tokens(&answer)
}

fn change(change: EnvChange) -> Answer {
    with(Token::EnvChange(change))
}

#[tokio::test(start_paused = true)]
async fn the_request_resets_and_sets_the_isolation_level() {
    let world = world(config());
    let served = world.server.served(world.visit("a").await);
    let requests = served.requests.lock().unwrap();
    let [request] = &requests[..] else {
        panic!("one request is expected, not {requests:?}");
    };
    assert_eq!(request.packet_type, PacketType::SQL_BATCH);
    assert!(request.status.contains(PacketStatus::RESET_CONNECTION));
    let (descriptor, text) = parse_all_headers(&request.payload).unwrap();
    assert_eq!(descriptor, 0);
    let expected = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED".encode_utf16();
    assert_eq!(
        text,
        expected.flat_map(u16::to_le_bytes).collect::<Vec<_>>()
    );
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_leads_back_to_the_login_is_taken() {
    let text = |word: &str| word.to_owned();
    let back = [
        change(EnvChange::Database {
            new: text("a"),
            old: text("other"),
        }),
        change(EnvChange::Language {
            new: text("us_english"),
            old: text("Deutsch"),
        }),
        change(EnvChange::Collation {
            new: vec![9, 4, 208, 0, 52],
            old: Vec::new(),
        }),
        change(EnvChange::RollbackTransaction(7)),
        with(Token::Info(ServerMessage::new(5701, 1, 10, "changed"))),
        with(Token::Done(Done::new(DoneStatus::MORE))),
    ];
    for answer in back {
        let shown = format!("{answer:?}");
        assert_eq!(idle_after(answer, config()).await, 1, "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_is_odd_ends_the_session() {
    let text = |word: &str| word.to_owned();
    let failed = Token::Done(Done::new(DoneStatus::ERROR));
    let finished = Token::Done(Done::new(DoneStatus::FINAL));
    let mut cut = reset_answer();
    cut.pop();
    let odd = [
        change(EnvChange::Database {
            new: text("other"),
            old: text("a"),
        }),
        change(EnvChange::Language {
            new: text("Deutsch"),
            old: text("us_english"),
        }),
        change(EnvChange::Collation {
            new: vec![0; 5],
            old: Vec::new(),
        }),
        change(EnvChange::PacketSize {
            new: 8000,
            old: 4096,
        }),
        change(EnvChange::BeginTransaction(7)),
        with(Token::Error(ServerMessage::new(18059, 1, 20, "no"))),
        with(Token::ReturnStatus(0)),
        with(finished.clone()),
        tokens(&[Token::EnvChange(EnvChange::ResetAcknowledged), failed]),
        tokens(&cut),
        tokens(&[finished]),
        Answer::Bytes(vec![0x17; 64]),
        Answer::Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        Answer::HangUp,
    ];
    for answer in odd {
        let shown = format!("{answer:?}");
        assert_eq!(idle_after(answer, config()).await, 0, "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_may_be_dispensed_with_by_configuration_only() {
    let silent = tokens(&[Token::Done(Done::new(DoneStatus::FINAL))]);
    assert_eq!(idle_after(silent.clone(), config()).await, 0);
    let lenient = PoolConfig {
        unacknowledged_reset: true,
        ..config()
    };
    assert_eq!(idle_after(silent, lenient).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_reset_has_a_deadline() {
    let world = world(config());
    world.manner(|manner| manner.answer = Some(Answer::Silence));
    let begun = Instant::now();
    let lease = world.lease("a").await;
    let served = world.server.served(lease.told().spid);
    lease.give_back(Condition::AtRest);
    world.quiet().await;
    assert_eq!(world.view().resetting, 1);
    served.gone.cancelled().await;
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    assert_eq!((world.view().resetting, world.closed("reset")), (0, 1));
}
