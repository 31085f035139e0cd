//! A server for the pool's tests: it keeps what a SQL Server session keeps, and
//! understands just the few words below. Built from `entrada::tds` alone.
//!
//! | Batch or RPC text | Answer |
//! | --- | --- |
//! | `WHO` | the connection's number |
//! | `MARK`, `MARK 1` | the session's mark; sets it. A reset clears it |
//! | `LEVEL` | the isolation level; a reset keeps it |
//! | `SET TRANSACTION ISOLATION LEVEL SERIALIZABLE` (or another) | sets it |
//! | `BEGIN TRAN`, `COMMIT TRAN` | as ever |
//! | `ROWS n` | so many rows |
//! | `COMMIT AFTER ROWS` | some rows, then a commit |
//! | `FAIL` | error 208 |
//! | `STALL`, `HALF` | nothing, or half a response, until an attention comes |
//! | `BYE`, `SPEAK` | answers, then hangs up, or sends what nobody asked for |
//! | anything else | the number 1 |

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use entrada::tds::{
    Done, DoneKind, DoneStatus, Encryption, EnvChange, Message, PacketStatus, PacketType,
    ServerMessage, TdsVersion, Token, parse_all_headers,
};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::fake_server::{Conn, granted, packets, refused};

/// A running server; ends with the test.
pub(super) struct SqlServer {
    pub(super) address: SocketAddr,
    pub(super) log: Arc<Log>,
    _tasks: JoinSet<()>,
}

/// What the server does at logins and resets, and what it saw.
#[derive(Default)]
pub(super) struct Log {
    /// Connections accepted.
    pub(super) connections: AtomicUsize,
    /// Connections that have ended.
    pub(super) ended: AtomicUsize,
    /// Whether resets are not acknowledged.
    pub(super) mute_resets: AtomicBool,
    /// Refuses logins, with this error.
    pub(super) refusal: Mutex<Option<(i32, &'static str)>>,
    /// Keeps logins waiting for ever.
    pub(super) stalls_logins: AtomicBool,
    /// Grants this packet size instead of the one asked for.
    pub(super) packet_size: AtomicUsize,
    /// Rings when something is noted.
    pub(super) bell: Notify,
    requests: Mutex<Vec<Request>>,
    tokens: Mutex<Vec<String>>,
}

/// A request as the server saw it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) connection: usize,
    pub(super) packet_type: PacketType,
    pub(super) reset: bool,
    pub(super) text: String,
}

impl Log {
    /// The requests since last asked.
    pub(super) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    /// The texts of the requests since last asked, a `*` before each that
    /// carried the reset bit.
    pub(super) fn take_texts(&self) -> Vec<String> {
        let starred = |request: Request| {
            let star = if request.reset { "*" } else { "" };
            format!("{star}{}", request.text)
        };
        self.take_requests().into_iter().map(starred).collect()
    }

    /// The tokens that logins came with.
    pub(super) fn tokens(&self) -> Vec<String> {
        self.tokens.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many connections have ended.
    pub(super) async fn until_ended(&self, count: usize) {
        self.until(|| self.ended.load(Ordering::SeqCst) >= count)
            .await;
    }

    /// Waits until the condition holds; it must change with something noted.
    pub(super) async fn until(&self, condition: impl Fn() -> bool) {
        loop {
            let rung = self.bell.notified();
            if condition() {
                return;
            }
            rung.await;
        }
    }
}

impl SqlServer {
    /// Serves in the clear.
    pub(super) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Serves with TLS inside PRELOGIN, as tokens demand.
    pub(super) async fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::start_with(Some(config)).await
    }

    async fn start_with(config: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Log::default());
        let shared = Arc::clone(&log);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let (log, config) = (Arc::clone(&shared), config.clone());
                connections.spawn(async move {
                    // An error is a client that went away.
                    let _ = serve(socket, config, number, &log).await;
                    log.ended.fetch_add(1, Ordering::SeqCst);
                    log.bell.notify_waiters();
                });
            }
        });
        Self {
            address,
            log,
            _tasks: tasks,
        }
    }
}

async fn serve(
    socket: TcpStream,
    config: Option<Arc<ServerConfig>>,
    number: usize,
    log: &Log,
) -> std::io::Result<()> {
    let mut conn = Conn::new(socket);
    let login = match config {
        Some(config) => conn.until_login(&config).await?,
        None => {
            conn.prelogin(Encryption::NOT_SUP, None).await?;
            conn.login().await?
        }
    };
    if let Some(feature) = login.feature(entrada::tds::FeatureId::FEDAUTH)
        && let Ok(entrada::tds::FedAuth::SecurityToken { token, .. }) =
            entrada::tds::FedAuth::from_feature(feature)
    {
        log.tokens.lock().unwrap().push(token.expose().to_owned());
    }
    log.bell.notify_waiters();
    if log.stalls_logins.load(Ordering::SeqCst) {
        conn.until_closed().await;
        return Ok(());
    }
    let refusal = *log.refusal.lock().unwrap();
    if let Some((number, text)) = refusal {
        return conn.tokens(&refused(number, text)).await;
    }
    let mut login = login;
    let granted_size = log.packet_size.load(Ordering::SeqCst);
    if granted_size > 0 {
        login.packet_size = u32::try_from(granted_size).unwrap();
    }
    conn.tokens(&granted(&login)).await?;
    let mut session = Session {
        number,
        mark: 0,
        level: "READ COMMITTED".to_owned(),
        transaction: 0,
    };
    loop {
        let message = conn.message().await?;
        if !session.answer(&mut conn, &message, log).await? {
            return Ok(());
        }
    }
}

struct Session {
    number: usize,
    mark: i32,
    level: String,
    transaction: u64,
}

impl Session {
    /// Answers a request; `false` if this was the last.
    async fn answer(
        &mut self,
        conn: &mut Conn,
        message: &Message,
        log: &Log,
    ) -> std::io::Result<bool> {
        let text = text_of(message);
        let reset = message.status.contains(PacketStatus::RESET_CONNECTION);
        log.requests.lock().unwrap().push(Request {
            connection: self.number,
            packet_type: message.packet_type,
            reset,
            text: text.clone(),
        });
        log.bell.notify_waiters();
        let mut tokens = Vec::new();
        if reset {
            self.mark = 0;
            self.transaction = 0;
            if !log.mute_resets.load(Ordering::SeqCst) {
                encode(&Token::EnvChange(EnvChange::ResetAcknowledged), &mut tokens);
            }
        }
        match (message.packet_type, text.as_str()) {
            (PacketType::ATTENTION, _) => done(DoneStatus::ATTN, &mut tokens),
            (_, "STALL") => return Ok(true),
            (_, "HALF") => {
                rows([1, 2, 3], &mut tokens);
                let mut half = packets(&tokens);
                half[1] = 0;
                conn.raw(&half).await?;
                return Ok(true);
            }
            (PacketType::RPC, text) => {
                self.batch(text, &mut tokens);
                // The statement ended inside a procedure.
                let end = tokens.len() - DONE_LEN;
                tokens[end] = 0xFF;
                tokens[end + 1] |= 1;
                Done {
                    kind: DoneKind::DoneProc,
                    ..Done::new(DoneStatus::FINAL)
                }
                .encode(TdsVersion::V7_4, &mut tokens);
            }
            (_, text) => self.batch(text, &mut tokens),
        }
        if text == "SPEAK" {
            let mut speech = Vec::new();
            done(DoneStatus::FINAL, &mut speech);
            conn.raw(&[packets(&tokens), packets(&speech)].concat())
                .await?;
        } else {
            conn.answer(&tokens).await?;
        }
        Ok(text != "BYE")
    }

    fn batch(&mut self, text: &str, tokens: &mut Vec<u8>) {
        let change = |change, tokens: &mut Vec<u8>| encode(&Token::EnvChange(change), tokens);
        if let Some(level) = text.strip_prefix("SET TRANSACTION ISOLATION LEVEL ") {
            self.level = level.to_owned();
        } else if let Some(count) = text.strip_prefix("ROWS ") {
            rows(0..count.parse().unwrap(), tokens);
        } else {
            match text {
                "WHO" => rows([i32::try_from(self.number).unwrap()], tokens),
                "MARK" => rows([self.mark], tokens),
                "MARK 1" => self.mark = 1,
                "LEVEL" => rows([i32::from(self.level != "READ COMMITTED")], tokens),
                "BEGIN TRAN" => {
                    self.transaction = 42;
                    change(EnvChange::BeginTransaction(42), tokens);
                }
                "COMMIT TRAN" | "COMMIT AFTER ROWS" => {
                    if text != "COMMIT TRAN" {
                        rows([1, 2], tokens);
                        done(DoneStatus::MORE, tokens);
                    }
                    change(EnvChange::CommitTransaction(self.transaction), tokens);
                    self.transaction = 0;
                }
                "FAIL" => {
                    let error = ServerMessage::new(208, 1, 16, "Invalid object name 't'.");
                    encode(&Token::Error(error), tokens);
                    return done(DoneStatus::ERROR, tokens);
                }
                _ => rows([1], tokens),
            }
        }
        done(DoneStatus::FINAL, tokens);
    }
}

/// What the request says, in the words of the table above.
fn text_of(message: &Message) -> String {
    if message.packet_type == PacketType::ATTENTION {
        return "ATTENTION".to_owned();
    }
    if message.packet_type == PacketType::BULK_LOAD {
        return "BULK".to_owned();
    }
    let (_, rest) = parse_all_headers(&message.payload).unwrap();
    match message.packet_type {
        PacketType::TRANSACTION_MANAGER => match rest[0] {
            5 if rest[2] == 0 => "BEGIN TRAN".to_owned(),
            5 => "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE".to_owned(),
            7 => "COMMIT TRAN".to_owned(),
            other => format!("TM {other}"),
        },
        // sp_executesql by number, option flags, then the parameter `stmt` of
        // type nvarchar: its value is a length and the text.
        PacketType::RPC => {
            let name_len = usize::from(rest[6]);
            let value = &rest[7 + 2 * name_len + 1 + 8..];
            let len = usize::from(u16::from_le_bytes([value[0], value[1]]));
            utf16(&value[2..2 + len])
        }
        _ => utf16(rest),
    }
}

fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    String::from_utf16(&units).unwrap()
}

const DONE_LEN: usize = 13;

/// One result with a column `n` of type int.
fn rows(values: impl IntoIterator<Item = i32>, tokens: &mut Vec<u8>) {
    tokens.extend([0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0x38, 1, b'n', 0]);
    for value in values {
        tokens.push(0xD1);
        tokens.extend(value.to_le_bytes());
    }
}

fn done(status: DoneStatus, tokens: &mut Vec<u8>) {
    encode(&Token::Done(Done::new(status)), tokens);
}

fn encode(token: &Token, tokens: &mut Vec<u8>) {
    token.encode(TdsVersion::V7_4, tokens).unwrap();
}
