//! Sessions over a backend whose answers are known, and a client in memory.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::error::ConnectionError;
use super::login::Established;
use super::packet_io::PacketIo;
use super::stream::ResetSwitch;
use super::tls::Acceptors;
use super::{Certificates, Settings, Shared, requests};
use crate::Secret;
use crate::emulator::backend::{Backend, BackendSession, Backing, Interrupter};
use crate::emulator::counters::Counters;
use crate::emulator::engine::{
    BodyCancelled, ClientInfo, Principal, RequestBody, SessionInfo, SinkClosed, TokenSink,
};
use crate::emulator::identity::{Identity, Issuer, SigningKey};
use crate::emulator::{Clock, Faults, InMemoryDirectory};
use crate::tds::{
    Done, DoneStatus, EnvChange, HEADER_LEN, Message, MessageReader, PacketStatus, PacketType,
    ServerMessage, TdsVersion, Token, read_tokens, write_message,
};

const PACKET: usize = 512;
/// Nothing in memory takes this long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the canned session does with a batch.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Sends as many DONE tokens as the batch is bytes long.
    Answer,
    /// Waits to be interrupted, then ends the response.
    WaitForInterrupt,
    /// Sends until the sink takes no more.
    Endless,
    Panic,
}

#[derive(Default)]
struct Observed {
    interrupted: Mutex<bool>,
    woken: Condvar,
    executed: AtomicUsize,
    loaded: AtomicUsize,
    resets: Mutex<Vec<bool>>,
    sink_closed: AtomicBool,
}

struct Canned {
    behaviour: Behaviour,
    observed: Arc<Observed>,
}

impl BackendSession for Canned {
    fn info(&self) -> SessionInfo {
        SessionInfo {
            database: "demo".into(),
            language: "us_english".into(),
            collation: [0; 5],
            spid: 77,
            version: [12, 0, 0, 0],
        }
    }

    fn execute(&mut self, request: &Message, sink: &mut dyn TokenSink) -> Result<(), SinkClosed> {
        self.observed.executed.fetch_add(1, Ordering::SeqCst);
        let more = done(DoneStatus::MORE);
        match self.behaviour {
            Behaviour::Answer => {
                for _ in 1..request.payload.len() {
                    sink.send(&more)?;
                }
            }
            Behaviour::WaitForInterrupt => {
                let interrupted = self.observed.interrupted.lock().unwrap();
                drop(
                    self.observed
                        .woken
                        .wait_while(interrupted, |set| !*set)
                        .unwrap(),
                );
            }
            Behaviour::Endless => {
                while sink.send(&more).is_ok() {}
                self.observed.sink_closed.store(true, Ordering::SeqCst);
                return Err(SinkClosed);
            }
            Behaviour::Panic => panic!("a bug in the backend"),
        }
        sink.send(&done(DoneStatus::FINAL))
    }

    /// Answers with a DONE that counts the bytes, or an error bit if they did not all come.
    fn load(
        &mut self,
        body: &mut dyn RequestBody,
        sink: &mut dyn TokenSink,
    ) -> Result<(), SinkClosed> {
        let mut total = 0;
        let outcome = loop {
            match body.next() {
                Ok(Some(bytes)) => total += bytes.len(),
                Ok(None) => break Ok(total),
                Err(BodyCancelled) => break Err(BodyCancelled),
            }
            self.observed.loaded.store(total, Ordering::SeqCst);
        };
        match outcome {
            Ok(total) => sink.send(&counted(total)),
            Err(BodyCancelled) => sink.send(&done(DoneStatus::ERROR)),
        }
    }

    fn reset(&mut self, keep_transaction: bool) -> Result<Vec<EnvChange>, ServerMessage> {
        self.observed.resets.lock().unwrap().push(keep_transaction);
        Ok(vec![EnvChange::Database {
            new: "demo".into(),
            old: "other".into(),
        }])
    }

    fn interrupter(&self) -> Interrupter {
        let observed = self.observed.clone();
        Arc::new(move || {
            *observed.interrupted.lock().unwrap() = true;
            observed.woken.notify_all();
        })
    }
}

struct NoLogins;

impl Backend for NoLogins {
    fn authenticate_sql(
        &self,
        _: &str,
        _: &Secret,
        _: Option<&str>,
    ) -> Result<Principal, ServerMessage> {
        Err(ServerMessage::new(18456, 1, 14, "nobody logs in here"))
    }

    fn connect(
        &self,
        _: &Principal,
        _: Option<&str>,
        _: ClientInfo,
    ) -> Result<Box<dyn BackendSession>, ServerMessage> {
        Err(ServerMessage::new(18456, 1, 14, "nobody logs in here"))
    }
}

struct Pair {
    client: DuplexStream,
    messages: MessageReader,
    observed: Arc<Observed>,
    server: tokio::task::JoinHandle<Result<(), ConnectionError>>,
}

impl Pair {
    fn new(behaviour: Behaviour, patience: Duration) -> Self {
        let (client, stream) = duplex(2048);
        let observed = Arc::new(Observed::default());
        let mut io: PacketIo<super::login::BoxedStream> = PacketIo::new(Box::new(stream), patience);
        io.writer.set_spid(77);
        io.after_login(PACKET, 1 << 20);
        let established = Established {
            io,
            session: Box::new(Canned {
                behaviour,
                observed: observed.clone(),
            }),
            version: TdsVersion::V7_4,
            packet_size: PACKET,
            reset: ResetSwitch::default(),
            admission: Arc::new(super::judged::Admission::of_nobody()),
        };
        let server = tokio::spawn(async move { requests::serve(established, &shared()).await });
        Self {
            client,
            messages: MessageReader::new(PACKET, 1 << 24),
            observed,
            server,
        }
    }

    async fn send(&mut self, packet_type: PacketType, status: PacketStatus, payload: &[u8]) {
        let mut packets = Vec::new();
        write_message(packet_type, status, payload, PACKET, &mut packets);
        self.client.write_all(&packets).await.unwrap();
    }

    async fn batch(&mut self, status: PacketStatus, len: usize) {
        self.send(PacketType::SQL_BATCH, status, &vec![b'x'; len])
            .await;
    }

    async fn receive(&mut self) -> Option<Vec<Token>> {
        let read = async {
            loop {
                if let Some(message) = self.messages.next().unwrap() {
                    assert_eq!(message.spid, 77);
                    return Some(message.payload);
                }
                let mut bytes = [0; 4096];
                let got = self.client.read(&mut bytes).await.unwrap();
                if got == 0 {
                    return None;
                }
                self.messages.push(&bytes[..got]);
            }
        };
        let payload = tokio::time::timeout(PATIENCE, read)
            .await
            .expect("an answer")?;
        Some(read_tokens(&payload, TdsVersion::V7_4).unwrap())
    }

    /// Waits for the server's side to end.
    async fn outcome(self) -> Result<(), ConnectionError> {
        drop(self.client);
        tokio::time::timeout(PATIENCE, self.server)
            .await
            .expect("an end")
            .unwrap()
    }
}

fn shared() -> Shared {
    let clock = Clock::new();
    let names = ["localhost".to_owned()];
    let certificates = Certificates::load_or_make(None, &names, &clock).unwrap();
    let issuer = Issuer {
        tenant_id: uuid::Uuid::nil(),
        key: SigningKey::load_or_generate(None).unwrap(),
        clock,
        lifetime: Duration::from_secs(3600),
    };
    let counters = Counters::default();
    Shared {
        settings: Settings::default(),
        acceptors: Acceptors::new(&certificates).unwrap(),
        identity: Arc::new(Identity::new(
            issuer,
            Vec::new(),
            &[],
            counters.clone(),
            "".into(),
        )),
        directory: InMemoryDirectory::new(),
        backend: Backing::Embedded(Arc::new(NoLogins)),
        faults: Faults::new(Clock::new(), Default::default()),
        sessions: Default::default(),
        recorded: crate::emulator::recorded::Requests::new(Clock::new()),
        counters,
        node: "127.0.0.1:1".parse().unwrap(),
        max_message: 1 << 20,
        places: Arc::new(tokio::sync::Semaphore::new(1)),
    }
}

fn done(status: DoneStatus) -> Vec<u8> {
    let mut bytes = Vec::new();
    Token::Done(Done::new(status))
        .encode(TdsVersion::V7_4, &mut bytes)
        .unwrap();
    bytes
}

fn counted(rows: usize) -> Vec<u8> {
    let mut done = Done::new(DoneStatus::COUNT);
    done.row_count = rows as u64;
    let mut bytes = Vec::new();
    Token::Done(done)
        .encode(TdsVersion::V7_4, &mut bytes)
        .unwrap();
    bytes
}

fn statuses(tokens: &[Token]) -> Vec<DoneStatus> {
    let status = |token: &Token| match token {
        Token::Done(done) => Some(done.status),
        _ => None,
    };
    tokens.iter().filter_map(status).collect()
}

#[tokio::test]
async fn every_packet_of_an_answer_but_the_last_is_full() {
    let mut pair = Pair::new(Behaviour::Answer, PATIENCE);
    // 13 bytes a token: one answer ends at a packet's end, the others just before and behind it.
    let room = PACKET - HEADER_LEN;
    for tokens in [1, room / 13, room / 13 + 1, room, 5 * room] {
        pair.batch(PacketStatus::NORMAL, tokens).await;
        let mut left = tokens * 13;
        while left > 0 {
            let mut header = [0; HEADER_LEN];
            pair.client.read_exact(&mut header).await.unwrap();
            let data = usize::from(u16::from_be_bytes([header[2], header[3]])) - HEADER_LEN;
            assert_eq!(data, left.min(room), "{tokens} tokens");
            assert_eq!(
                header[1] == 1,
                data == left,
                "EOM on the last, and there only"
            );
            pair.client.read_exact(&mut vec![0; data]).await.unwrap();
            left -= data;
        }
    }
    assert!(pair.outcome().await.is_ok());
}

#[tokio::test]
async fn an_attention_stops_the_request_and_is_acknowledged_once() {
    let mut pair = Pair::new(Behaviour::WaitForInterrupt, PATIENCE);
    pair.batch(PacketStatus::NORMAL, 10).await;
    pair.send(PacketType::ATTENTION, PacketStatus::NORMAL, &[])
        .await;
    let answer = pair.receive().await.unwrap();
    assert_eq!(statuses(&answer), [DoneStatus::FINAL]);
    assert_eq!(statuses(&pair.receive().await.unwrap()), [DoneStatus::ATTN]);
    // The session is as good as new.
    pair.batch(PacketStatus::NORMAL, 10).await;
    assert_eq!(
        statuses(&pair.receive().await.unwrap()),
        [DoneStatus::FINAL]
    );
    pair.send(PacketType::ATTENTION, PacketStatus::NORMAL, &[])
        .await;
    assert_eq!(statuses(&pair.receive().await.unwrap()), [DoneStatus::ATTN]);
    assert!(pair.outcome().await.is_ok());
}

#[tokio::test]
async fn an_early_request_is_answered_after_the_one_before() {
    let mut pair = Pair::new(Behaviour::Answer, PATIENCE);
    pair.batch(PacketStatus::NORMAL, 3).await;
    pair.batch(PacketStatus::NORMAL, 5).await;
    assert_eq!(pair.receive().await.unwrap().len(), 3);
    assert_eq!(pair.receive().await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_reset_comes_first_and_is_acknowledged_first() {
    let mut pair = Pair::new(Behaviour::Answer, PATIENCE);
    pair.batch(PacketStatus::RESET_CONNECTION, 2).await;
    let answer = pair.receive().await.unwrap();
    assert_eq!(answer[0], Token::EnvChange(EnvChange::ResetAcknowledged));
    assert!(matches!(
        &answer[1],
        Token::EnvChange(EnvChange::Database { .. })
    ));
    assert_eq!(statuses(&answer[2..]).len(), 2);
    pair.batch(PacketStatus::RESET_CONNECTION_SKIP_TRAN, 1)
        .await;
    pair.receive().await.unwrap();
    assert_eq!(*pair.observed.resets.lock().unwrap(), [false, true]);
}

#[tokio::test]
async fn an_ignored_message_runs_nothing() {
    let mut pair = Pair::new(Behaviour::Answer, PATIENCE);
    let cancelled = PacketStatus(PacketStatus::EOM.0 | PacketStatus::IGNORE.0);
    pair.batch(cancelled, 5).await;
    assert_eq!(
        statuses(&pair.receive().await.unwrap()),
        [DoneStatus::ERROR]
    );
    assert_eq!(pair.observed.executed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request() {
    for behaviour in [Behaviour::WaitForInterrupt, Behaviour::Endless] {
        let mut pair = Pair::new(behaviour, PATIENCE);
        pair.batch(PacketStatus::NORMAL, 10).await;
        let observed = pair.observed.clone();
        assert!(pair.outcome().await.is_err());
        if matches!(behaviour, Behaviour::Endless) {
            until(|| observed.sink_closed.load(Ordering::SeqCst)).await;
        } else {
            assert!(*observed.interrupted.lock().unwrap());
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let mut pair = Pair::new(Behaviour::Endless, Duration::from_millis(50));
    pair.batch(PacketStatus::NORMAL, 10).await;
    let ended = tokio::time::timeout(PATIENCE, &mut pair.server)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(ended, Err(ConnectionError::Idle)), "{ended:?}");
    until(|| pair.observed.sink_closed.load(Ordering::SeqCst)).await;
}

#[tokio::test]
async fn a_panic_ends_its_connection_only() {
    let mut pair = Pair::new(Behaviour::Panic, PATIENCE);
    pair.batch(PacketStatus::NORMAL, 10).await;
    let answer = pair.receive().await.unwrap();
    assert!(matches!(&answer[0], Token::Error(error) if error.number == 596 && error.class == 21));
    assert_eq!(statuses(&answer), [DoneStatus::ERROR]);
    assert_eq!(pair.receive().await, None);
    assert!(matches!(
        pair.outcome().await,
        Err(ConnectionError::Backend(_))
    ));
}

#[tokio::test]
async fn a_load_is_handed_on_while_it_comes() {
    let mut pair = Pair::new(Behaviour::Answer, PATIENCE);
    let mut packets = Vec::new();
    let load = vec![7; 3 * (1 << 20)];
    write_message(
        PacketType::BULK_LOAD,
        PacketStatus::NORMAL,
        &load,
        PACKET,
        &mut packets,
    );
    // Longer than any message may be; and the backend has half of it before the rest is sent.
    let (half, rest) = packets.split_at(packets.len() / PACKET / 2 * PACKET);
    pair.client.write_all(half).await.unwrap();
    let observed = pair.observed.clone();
    let wanted = half.len() / PACKET * (PACKET - HEADER_LEN);
    until(|| observed.loaded.load(Ordering::SeqCst) == wanted).await;
    pair.client.write_all(rest).await.unwrap();
    let answer = pair.receive().await.unwrap();
    assert!(matches!(&answer[..], [Token::Done(done)] if done.row_count == load.len() as u64));
    assert!(pair.outcome().await.is_ok());
}

#[tokio::test]
async fn a_load_is_cancelled_by_an_attention_the_ignore_bit_or_silence() {
    let mut pair = Pair::new(Behaviour::Answer, PATIENCE);
    let mut packets = Vec::new();
    let status = PacketStatus::NORMAL;
    write_message(
        PacketType::BULK_LOAD,
        status,
        &[7; 2000],
        PACKET,
        &mut packets,
    );
    pair.client.write_all(&packets[..2 * PACKET]).await.unwrap();
    pair.send(PacketType::ATTENTION, status, &[]).await;
    let answer = statuses(&pair.receive().await.unwrap());
    assert_eq!(answer, [DoneStatus::ERROR]);
    assert_eq!(statuses(&pair.receive().await.unwrap()), [DoneStatus::ATTN]);

    let ignored = PacketStatus(PacketStatus::EOM.0 | PacketStatus::IGNORE.0);
    pair.send(PacketType::BULK_LOAD, ignored, &[7; 2000]).await;
    let answer = statuses(&pair.receive().await.unwrap());
    assert_eq!(answer, [DoneStatus::ERROR]);

    // The session is as good as new; a client that goes in the middle ends it.
    pair.batch(PacketStatus::NORMAL, 1).await;
    let answer = statuses(&pair.receive().await.unwrap());
    assert_eq!(answer, [DoneStatus::FINAL]);
    pair.client.write_all(&packets[..PACKET]).await.unwrap();
    assert!(matches!(pair.outcome().await, Err(ConnectionError::Eof)));
}

#[tokio::test]
async fn a_message_out_of_turn_ends_the_connection() {
    let mut pair = Pair::new(Behaviour::Answer, PATIENCE);
    pair.send(PacketType::LOGIN7, PacketStatus::NORMAL, &[0; 40])
        .await;
    assert_eq!(pair.receive().await, None);
    assert!(matches!(
        pair.outcome().await,
        Err(ConnectionError::Unexpected(_))
    ));
}

/// Waits for something that another thread does.
async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("the other thread");
}
