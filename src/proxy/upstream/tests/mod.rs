//! A pool over scripted servers in memory, in paused time.

mod model;
mod queue;
mod resets;
mod reuse;
mod upkeep;

use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::PoolConfig;
use super::error::LeaseError;
use super::key::{Ask, Key};
use super::lease::{Condition, Lease, Origin};
use super::pool::{Open, Pool};
use super::view::PoolView;
use crate::dial::{DialError, LoginProfile};
use crate::session::{LoginInfo, Session, SessionStream};
use crate::tds::{
    Done, DoneStatus, EnvChange, LoginAck, Message, MessageReader, PacketStatus, PacketType,
    TdsVersion, Token, Version, write_message,
};

/// A pool and the server that it dials.
struct World {
    pool: Arc<Pool>,
    server: Arc<Server>,
    tasks: TaskTracker,
}

/// Opens sessions in memory; what they do is up to the test.
#[derive(Debug, Default)]
struct Server {
    spids: AtomicU16,
    /// Logins asked for, refused ones included.
    logins: AtomicUsize,
    sessions: Mutex<Vec<Arc<Served>>>,
    manner: Mutex<Manner>,
}

/// One session, as the server sees it.
#[derive(Debug)]
struct Served {
    spid: u16,
    hang_up: CancellationToken,
    /// Cancelled when the connection is gone.
    gone: CancellationToken,
    requests: Mutex<Vec<Message>>,
}

/// How the server behaves.
#[derive(Debug, Default)]
struct Manner {
    refuses: bool,
    /// A login takes so long.
    login_takes: Duration,
    /// The answer to each request; `None` is the one to a reset.
    answer: Option<Answer>,
    token_lasts: Option<Duration>,
}

#[derive(Clone, Debug)]
enum Answer {
    Bytes(Vec<u8>),
    HangUp,
    Silence,
}

fn config() -> PoolConfig {
    PoolConfig {
        max: 4,
        ..PoolConfig::default()
    }
}

fn world(config: PoolConfig) -> World {
    let (server, tasks) = (Arc::new(Server::default()), TaskTracker::new());
    let opener: Arc<dyn Open> = Arc::new(Arc::clone(&server));
    World {
        pool: Pool::start("shop", "app", config, opener, tasks.clone()),
        server,
        tasks,
    }
}

/// Clients with the same word share sessions.
fn ask(word: &str) -> Ask {
    let profile = LoginProfile {
        database: Some(word.to_owned()),
        application_name: Some("till".to_owned()),
        ..LoginProfile::default()
    };
    Ask {
        key: Key::of(profile),
        own: None,
    }
}

impl World {
    async fn lease(&self, word: &str) -> Lease {
        self.pool.lease(&ask(word)).await.unwrap()
    }

    async fn refusal(&self, word: &str) -> LeaseError {
        self.pool.lease(&ask(word)).await.map(drop).unwrap_err()
    }

    /// A client that comes and goes; its session is idle afterwards.
    async fn visit(&self, word: &str) -> u16 {
        let lease = self.lease(word).await;
        let spid = lease.told().spid;
        lease.give_back(Condition::AtRest);
        self.quiet().await;
        spid
    }

    /// A client that waits in the background.
    fn waiter(&self, word: &str) -> tokio::task::JoinHandle<Result<Lease, LeaseError>> {
        let (pool, ask) = (Arc::clone(&self.pool), ask(word));
        tokio::spawn(async move { pool.lease(&ask).await })
    }

    /// Lets every task go as far as it can at this time.
    async fn quiet(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    fn view(&self) -> PoolView {
        self.pool.view()
    }

    fn closed(&self, word: &str) -> u64 {
        self.view().closed[word]
    }

    fn logins(&self) -> usize {
        self.server.logins.load(Ordering::Relaxed)
    }

    fn manner(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.server.manner.lock().unwrap());
    }
}

impl Server {
    fn served(&self, spid: u16) -> Arc<Served> {
        let sessions = self.sessions.lock().unwrap();
        Arc::clone(sessions.iter().find(|served| served.spid == spid).unwrap())
    }

    fn alive(&self) -> usize {
        let sessions = self.sessions.lock().unwrap();
        sessions.iter().filter(|s| !s.gone.is_cancelled()).count()
    }
}

#[async_trait]
impl Open for Arc<Server> {
    async fn open(&self, profile: &LoginProfile) -> Result<Session, DialError> {
        self.logins.fetch_add(1, Ordering::Relaxed);
        let (refuses, takes, token) = {
            let manner = self.manner.lock().unwrap();
            (manner.refuses, manner.login_takes, manner.token_lasts)
        };
        tokio::time::sleep(takes).await;
        if refuses {
            return Err(DialError::NoTokenSource {
                server: "shop".to_owned(),
            });
        }
        let (ours, theirs) = duplex(4096);
        let served = Arc::new(Served {
            spid: self.spids.fetch_add(1, Ordering::Relaxed) + 1,
            hang_up: CancellationToken::new(),
            gone: CancellationToken::new(),
            requests: Mutex::default(),
        });
        self.sessions.lock().unwrap().push(Arc::clone(&served));
        let database = profile.database.clone().unwrap_or_default();
        let info = login_info(served.spid, database, token);
        tokio::spawn(serve(theirs, served, Arc::clone(self)));
        Ok(Session::new(SessionStream::wrapped(ours), info))
    }
}

async fn serve(mut stream: DuplexStream, served: Arc<Served>, server: Arc<Server>) {
    let _gone = served.gone.clone().drop_guard();
    let mut reader = MessageReader::new(4096, 1 << 20);
    let mut buffer = [0; 1024];
    loop {
        let count = tokio::select! {
            () = served.hang_up.cancelled() => return,
            count = stream.read(&mut buffer) => count.unwrap_or(0),
        };
        if count == 0 {
            return;
        }
        reader.push(&buffer[..count]);
        while let Some(message) = reader.next().unwrap() {
            served.requests.lock().unwrap().push(message);
            let answer = server.manner.lock().unwrap().answer.clone();
            match answer.unwrap_or_else(|| tokens(&reset_answer())) {
                Answer::Bytes(bytes) => stream.write_all(&bytes).await.unwrap(),
                Answer::HangUp => return,
                Answer::Silence => {}
            }
        }
    }
}

fn reset_answer() -> Vec<Token> {
    vec![
        Token::EnvChange(EnvChange::ResetAcknowledged),
        Token::Done(Done::new(DoneStatus::FINAL)),
    ]
}

fn tokens(tokens: &[Token]) -> Answer {
    let (mut payload, mut bytes) = (Vec::new(), Vec::new());
    for token in tokens {
        token.encode(TdsVersion::V7_4, &mut payload).unwrap();
    }
    let kind = PacketType::TABULAR_RESULT;
    write_message(kind, PacketStatus::NORMAL, &payload, 4096, &mut bytes);
    Answer::Bytes(bytes)
}

fn login_info(spid: u16, database: String, token: Option<Duration>) -> LoginInfo {
    LoginInfo {
        tds_version: TdsVersion::V7_4,
        packet_size: 4096,
        database,
        language: "us_english".to_owned(),
        collation: vec![9, 4, 208, 0, 52],
        spid,
        ack: LoginAck {
            interface: 1,
            tds_version: TdsVersion::V7_4,
            program_name: LoginAck::PROGRAM_NAME.to_owned(),
            version: [12, 0, 0, 0],
        },
        env_changes: Vec::new(),
        infos: Vec::new(),
        features: Vec::new(),
        server: "shop".to_owned(),
        endpoint: "pipe".to_owned(),
        server_version: Version::default(),
        encrypted: true,
        token_expires: token.map(|lasts| Instant::now() + lasts),
        identity: "app".to_owned(),
        opened: Instant::now(),
        redirects: 0,
    }
}
