//! A small server in clear that answers each batch with the batch, and with who
//! it takes the client for. It is built from `entrada::tds` alone.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use entrada::tds::{
    DoneStatus, Encryption, EnvChange, Login7, Message, PacketStatus, PacketType, ServerMessage,
    TdsVersion, Token, read_tokens,
};
use tokio::net::TcpSocket;
use tokio::task::AbortHandle;

use crate::support::fake_server::{Conn, done, encode, granted, packets};

/// A server for any number of sessions. Dropping it closes them.
pub(super) struct Echo {
    pub(super) address: SocketAddr,
    counts: Arc<Counts>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Counts {
    opened: AtomicUsize,
    open: AtomicUsize,
    huge_begun: AtomicUsize,
    huge_written: AtomicUsize,
}

/// What a client is told: its own words, and whose session it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The session's number at the server.
    pub(super) session: usize,
    pub(super) application: String,
    pub(super) database: String,
    /// What has been left in the session by `KEEP`, if anything.
    pub(super) kept: String,
    pub(super) batch: String,
}

/// How many bytes of text each part of the answer to `BIG` has beside the words.
const FILLER: usize = 1500;
/// How many such parts it has.
pub(super) const PARTS: usize = 24;
/// Bytes of the answer to `HUGE`.
pub(super) const HUGE: usize = 4000 * 4096;

impl Echo {
    pub(super) async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // So that what nobody reads is soon felt here.
        socket.set_send_buffer_size(64 * 1024).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let counting = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            let mut sessions = tokio::task::JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let number = counting.opened.fetch_add(1, Ordering::Relaxed);
                counting.open.fetch_add(1, Ordering::Relaxed);
                let open = Open(Arc::clone(&counting));
                sessions.spawn(async move {
                    // However it ends, the client sees the end of the stream.
                    let _ = serve(number, Conn::new(socket), &open.0).await;
                });
                while sessions.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            counts,
            task: task.abort_handle(),
        }
    }

    /// A connection string with a login in clear.
    pub(super) fn connection(&self) -> String {
        let (host, port) = (self.address.ip(), self.address.port());
        format!("sqlserver://u:p@{host}:{port}?database=shop&encrypt=disable&connectTimeout=15")
    }

    /// Connections that are open now.
    pub(super) fn open(&self) -> usize {
        self.counts.open.load(Ordering::Relaxed)
    }

    /// Answers to `HUGE` that have begun.
    pub(super) fn huge_begun(&self) -> usize {
        self.counts.huge_begun.load(Ordering::Relaxed)
    }

    /// Bytes of them that the proxy's side has taken.
    pub(super) fn huge_written(&self) -> usize {
        self.counts.huge_written.load(Ordering::Relaxed)
    }

    /// Connections that have been accepted.
    pub(super) fn opened(&self) -> usize {
        self.counts.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts a connection as open.
struct Open(Arc<Counts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(session: usize, mut conn: Conn, counts: &Counts) -> io::Result<()> {
    conn.prelogin(Encryption::NOT_SUP, None).await?;
    let login = conn.login().await?;
    conn.tokens(&granted(&login)).await?;
    let mut said = Said {
        session,
        application: login.app_name.clone(),
        database: login.database.clone(),
        kept: String::new(),
        batch: String::new(),
    };
    loop {
        let message = conn.message().await?;
        if answer(&mut conn, &mut said, &login, message).await? {
            huge(&mut conn, counts).await?;
        }
    }
}

/// Answers, or says that a huge answer is due.
async fn answer(
    conn: &mut Conn,
    said: &mut Said,
    login: &Login7,
    message: Message,
) -> io::Result<bool> {
    if message.packet_type == PacketType::ATTENTION {
        conn.tokens(&[done(DoneStatus::ATTN)]).await?;
        return Ok(false);
    }
    let mut tokens = Vec::new();
    if message.status.contains(PacketStatus::RESET_CONNECTION) {
        said.kept.clear();
        tokens.push(Token::EnvChange(EnvChange::ResetAcknowledged));
        tokens.push(Token::EnvChange(EnvChange::Database {
            new: login.database.clone(),
            old: login.database.clone(),
        }));
    }
    if message.status.contains(PacketStatus::IGNORE) {
        tokens.push(done(DoneStatus::ERROR));
        conn.tokens(&tokens).await?;
        return Ok(false);
    }
    said.batch = text_of(&message);
    let (word, rest) = said.batch.split_once(' ').unwrap_or_default();
    match word {
        "WAIT" => return Ok(false),
        "HUGE" => return Ok(true),
        "KEEP" => said.kept = rest.to_owned(),
        _ => {}
    }
    match word {
        "BIG" => tokens.extend((0..PARTS).map(|_| said.token(FILLER))),
        // The proxy's own request at a reset expects no text.
        "SET" => {}
        _ => tokens.push(said.token(0)),
    }
    tokens.push(done(DoneStatus::FINAL));
    conn.raw(&packets(&encode(&tokens))).await?;
    Ok(false)
}

/// Packets of one answer, until somebody cancels it.
async fn huge(conn: &mut Conn, counts: &Counts) -> io::Result<()> {
    let mut packet = vec![0xD1; 4096];
    packet[..8].copy_from_slice(&[0x04, 0x00, 0x10, 0x00, 0, 0, 1, 0]);
    counts.huge_begun.fetch_add(1, Ordering::Relaxed);
    for _ in 0..HUGE / packet.len() {
        conn.raw(&packet).await?;
        counts
            .huge_written
            .fetch_add(packet.len(), Ordering::Relaxed);
        tokio::select! {
            biased;
            message = conn.message() => {
                assert_eq!(message?.packet_type, PacketType::ATTENTION);
                return conn.tokens(&[done(DoneStatus::ATTN)]).await;
            }
            () = std::future::ready(()) => {}
        }
    }
    conn.tokens(&[done(DoneStatus::FINAL)]).await
}

impl Said {
    /// All of it in one message, followed by so many characters.
    fn token(&self, filler: usize) -> Token {
        let Self {
            session,
            application,
            database,
            kept,
            batch,
        } = self;
        let text = format!("{session}|{application}|{database}|{kept}|{batch}|");
        let text = text + &"x".repeat(filler);
        Token::Info(ServerMessage::new(50_000, 1, 0, text))
    }

    /// The only one in an answer.
    pub(super) fn of(answer: &[u8]) -> Self {
        let tokens = read_tokens(answer, TdsVersion::V7_4).unwrap();
        let info = tokens.iter().find_map(|token| match token {
            Token::Info(info) => Some(info),
            _ => None,
        });
        Self::read(&info.expect("an answer with a text").message)
    }

    /// Reads what [`token`](Self::token) has written.
    pub(super) fn read(text: &str) -> Self {
        let parts: Vec<&str> = text.split('|').collect();
        let [session, application, database, kept, batch, _] = parts[..] else {
            panic!("not an answer of this server: {text}");
        };
        Self {
            session: session.parse().unwrap(),
            application: application.to_owned(),
            database: database.to_owned(),
            kept: kept.to_owned(),
            batch: batch.to_owned(),
        }
    }
}

/// A batch's text, behind its headers.
fn text_of(message: &Message) -> String {
    let headers = message.payload.first_chunk::<4>().unwrap();
    let length = usize::try_from(u32::from_le_bytes(*headers)).unwrap();
    let units: Vec<u16> = message.payload[length..]
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| u16::from_le_bytes(*pair))
        .collect();
    String::from_utf16(&units).unwrap()
}
