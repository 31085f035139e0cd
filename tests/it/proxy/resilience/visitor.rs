//! A client that does something at random, and looks whether each answer is its
//! own.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;

use entrada::tds::{
    DoneStatus, Encryption, Login7, Message, PacketStatus, PacketType, TdsVersion, Token,
    read_tokens,
};
use fastrand::Rng;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::echo::{PARTS, Said};
use crate::raw_client::RawClient;
use crate::support::fake_server::{done, encode};

/// What a visitor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Act {
    /// Connects and leaves.
    Silent,
    /// Leaves inside of its PRELOGIN.
    HalfPrelogin,
    /// Speaks something else.
    Garbage,
    /// Leaves inside of its LOGIN7.
    HalfLogin,
    /// Leaves before its login is answered, or just then.
    Unanswered,
    /// Asks a few times.
    Asks,
    /// Gets an answer of many packets.
    Big,
    /// Leaves inside of a request.
    LeavesInRequest,
    /// Leaves inside of an answer.
    LeavesInAnswer,
    /// Closes its half and waits for the answer.
    HalfCloses,
    /// Cancels a request that would never be answered.
    Cancels,
    /// Cancels a long answer.
    CancelsBig,
    /// Takes a request back half-way.
    TakesBack,
    /// Leaves something in the session and has it reset.
    Resets,
    /// Leaves something in the session and goes.
    Keeps,
    /// Is killed by an administrator.
    Killed,
}

/// All of them, those that get far more often.
pub(super) const ACTS: [Act; 24] = [
    Act::Silent,
    Act::HalfPrelogin,
    Act::Garbage,
    Act::HalfLogin,
    Act::Unanswered,
    Act::Unanswered,
    Act::Asks,
    Act::Asks,
    Act::Asks,
    Act::Asks,
    Act::Big,
    Act::LeavesInRequest,
    Act::LeavesInRequest,
    Act::LeavesInAnswer,
    Act::LeavesInAnswer,
    Act::HalfCloses,
    Act::HalfCloses,
    Act::Cancels,
    Act::CancelsBig,
    Act::TakesBack,
    Act::Resets,
    Act::Keeps,
    Act::Keeps,
    Act::Killed,
];

impl Act {
    /// Whether it gets in; `None` if that depends.
    pub(super) fn gets_in(self) -> Option<bool> {
        match self {
            Self::Silent | Self::HalfPrelogin | Self::Garbage | Self::HalfLogin => Some(false),
            Self::Unanswered => None,
            _ => Some(true),
        }
    }
}

/// What all visitors have in common.
pub(super) struct Place {
    pub(super) address: SocketAddr,
    /// With what they encrypt, if they do.
    pub(super) tls: Option<ClientConfig>,
    /// Sessions that a visitor has at this moment.
    pub(super) taken: Mutex<HashSet<usize>>,
}

pub(super) const APPLICATIONS: usize = 5;
pub(super) const DATABASES: [&str; 3] = ["shop", "staff", "stock"];

/// One client.
pub(super) struct Visitor<'a> {
    place: &'a Place,
    number: u64,
    rng: Rng,
    login: Login7,
    /// What it has left in its session.
    kept: String,
    session: Option<usize>,
    /// Requests that have been answered.
    pub(super) answered: u64,
}

impl<'a> Visitor<'a> {
    pub(super) fn new(place: &'a Place, number: u64, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(number));
        let login = Login7 {
            user_name: "legacy".to_owned(),
            app_name: format!("app-{}", rng.usize(..APPLICATIONS)),
            database: DATABASES[rng.usize(..DATABASES.len())].to_owned(),
            ..Login7::default()
        };
        Self {
            place,
            number,
            rng,
            login,
            kept: String::new(),
            session: None,
            answered: 0,
        }
    }

    pub(super) fn choose(&mut self) -> Act {
        ACTS[self.rng.usize(..ACTS.len())]
    }

    pub(super) async fn act(&mut self, act: Act) {
        let client = self.connect().await;
        let client = match act.gets_in() {
            Some(true) => self.after_login(act, client).await,
            _ => self.before_login(act, client).await,
        };
        // Whoever gets the session next may do so from here on.
        if let Some(session) = self.session.take() {
            assert!(self.place.taken.lock().unwrap().remove(&session));
        }
        if let Some(client) = client {
            self.leave(client).await;
        }
    }

    async fn before_login(&mut self, act: Act, mut client: RawClient) -> Option<RawClient> {
        match act {
            Act::HalfPrelogin => client.send_raw(&[0x12, 0x01, 0x00, 0x2F, 0, 0]).await,
            Act::Garbage => {
                client.send_raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
                // It is told nothing that it could not read.
                let mut answer = Vec::new();
                let _ = client.tcp.read_to_end(&mut answer).await;
                assert!(!answer.starts_with(&[0x04]), "{answer:?}");
            }
            Act::HalfLogin => {
                self.greet(&mut client).await;
                let login = RawClient::login_bytes(&self.login);
                let part = self.rng.usize(1..login.len());
                client.send_raw(&login[..part]).await;
            }
            Act::Unanswered => {
                self.greet(&mut client).await;
                client.send_login(&self.login).await;
                if self.rng.bool() {
                    let _ = client.tcp.read_u8().await;
                }
            }
            _ => {}
        }
        Some(client)
    }

    async fn after_login(&mut self, act: Act, mut client: RawClient) -> Option<RawClient> {
        self.greet(&mut client).await;
        let answer = client.login(&self.login).await;
        assert!(answer.ack.is_some(), "{act:?}: {:?}", answer.errors);
        assert_eq!(answer.database(), Some(self.login.database.as_str()));
        match act {
            Act::Big => self.ask(&mut client, "BIG").await,
            Act::LeavesInRequest => self.part_of_a_request(&mut client).await,
            Act::LeavesInAnswer => {
                self.send(&mut client, "BIG", PacketStatus::NORMAL).await;
                let mut some = vec![0; self.rng.usize(1..4000)];
                client.tcp.read_exact(&mut some).await.unwrap();
            }
            Act::HalfCloses => {
                let words = self.send(&mut client, "ECHO", PacketStatus::NORMAL).await;
                client.tcp.shutdown().await.unwrap();
                let answer = client.receive().await.expect("an answer behind the end");
                self.verify(&answer, &words, 1);
                assert!(client.receive().await.is_none());
                return None;
            }
            Act::Cancels | Act::CancelsBig => self.cancel(&mut client, act).await,
            Act::TakesBack => {
                self.part_of_a_request(&mut client).await;
                let taken_back = PacketStatus(PacketStatus::EOM.0 | PacketStatus::IGNORE.0);
                let packet = [0x01, taken_back.0, 0, 8, 0, 0, 1, 0];
                client.send_raw(&packet).await;
                let answer = client.receive().await.unwrap();
                assert_eq!(answer.payload, encode(&[done(DoneStatus::ERROR)]));
                self.ask(&mut client, "ECHO").await;
            }
            Act::Resets => {
                self.keep(&mut client).await;
                self.kept.clear();
                let status = PacketStatus::RESET_CONNECTION;
                let words = self.send(&mut client, "ECHO", status).await;
                let answer = client.receive().await.unwrap();
                self.verify(&answer, &words, 1);
            }
            Act::Keeps => self.keep(&mut client).await,
            Act::Killed => {
                self.ask(&mut client, "ECHO").await;
                self.send(&mut client, "WAIT", PacketStatus::NORMAL).await;
                self.have_killed(&client).await;
                while client.receive().await.is_some() {}
            }
            _ => {
                for _ in 0..self.rng.usize(1..5) {
                    self.ask(&mut client, "ECHO").await;
                }
            }
        }
        Some(client)
    }

    async fn connect(&mut self) -> RawClient {
        let socket = TcpSocket::new_v4().unwrap();
        // Ports of one address would not do for many runs in a row.
        let from = Ipv4Addr::new(127, 0, 1, self.rng.u8(1..=250));
        socket.bind((from, 0).into()).unwrap();
        RawClient::over(socket.connect(self.place.address).await.unwrap())
    }

    async fn greet(&mut self, client: &mut RawClient) {
        match &self.place.tls {
            None => {
                client.prelogin(Encryption::NOT_SUP, None).await;
            }
            Some(config) => {
                client.prelogin(Encryption::ON, None).await;
                client.start_tls(config.clone(), true).await;
            }
        }
    }

    /// Asks and looks at the answer.
    async fn ask(&mut self, client: &mut RawClient, word: &str) {
        let words = self.send(client, word, PacketStatus::NORMAL).await;
        let answer = client.receive().await.expect("an answer");
        self.verify(&answer, &words, if word == "BIG" { PARTS } else { 1 });
    }

    async fn keep(&mut self, client: &mut RawClient) {
        let words = self.send(client, "KEEP", PacketStatus::NORMAL).await;
        self.kept = words.split_once(' ').unwrap().1.to_owned();
        let answer = client.receive().await.expect("an answer");
        self.verify(&answer, &words, 1);
    }

    /// Sends a batch that nobody else sends.
    async fn send(&mut self, client: &mut RawClient, word: &str, status: PacketStatus) -> String {
        let words = format!("{word} {}-{:x}", self.number, self.rng.u64(..));
        client.send_batch(&words, status).await;
        words
    }

    /// One packet of a request, or some of it.
    async fn part_of_a_request(&mut self, client: &mut RawClient) {
        let mut packet = vec![0x01, 0x00, 0x02, 0x00, 0, 0, 1, 0];
        packet.resize(0x200, b' ');
        client.send_raw(&packet).await;
    }

    async fn cancel(&mut self, client: &mut RawClient, act: Act) {
        let word = if act == Act::Cancels { "WAIT" } else { "BIG" };
        let words = self.send(client, word, PacketStatus::NORMAL).await;
        let attention = PacketType::ATTENTION;
        client.send(attention, PacketStatus::NORMAL, &[]).await;
        let acknowledged = encode(&[done(DoneStatus::ATTN)]);
        loop {
            let answer = client.receive().await.expect("an answer");
            if answer.payload == acknowledged {
                break;
            }
            self.verify(&answer, &words, PARTS);
        }
        self.ask(client, "ECHO").await;
    }

    /// Looks for itself in the admin database.
    async fn have_killed(&mut self, client: &RawClient) {
        let own = client.tcp.local_addr().unwrap();
        let mut admin = self.connect().await;
        self.greet(&mut admin).await;
        let login = Login7 {
            database: "entrada".to_owned(),
            ..self.login.clone()
        };
        let answer = admin.login(&login).await;
        assert!(answer.ack.is_some(), "{:?}", answer.errors);
        let query = format!("SELECT id FROM sessions WHERE peer LIKE '{own}%'");
        let answer = admin.batch(&query).await;
        // The row's only value stands before the DONE, which has 13 bytes.
        let (rest, _) = answer.split_last_chunk::<13>().unwrap();
        let id = u64::from_le_bytes(*rest.last_chunk().unwrap());
        let answer = admin.batch(&format!("KILL {id}")).await;
        let answer = read_tokens(&answer, TdsVersion::V7_4).unwrap();
        let failed = |token: &Token| matches!(token, Token::Error(_));
        assert!(!answer.iter().any(failed), "{query}: {answer:?}");
    }

    /// That the answer is to what this visitor has said, in a session that is
    /// its own and that nobody has left anything in.
    fn verify(&mut self, answer: &Message, words: &str, parts: usize) {
        self.answered += 1;
        let tokens = read_tokens(&answer.payload, TdsVersion::V7_4).unwrap();
        let mut said = 0;
        for token in tokens {
            let Token::Info(info) = token else {
                continue;
            };
            let is = Said::read(&info.message);
            let session = *self.session.get_or_insert_with(|| {
                let free = self.place.taken.lock().unwrap().insert(is.session);
                assert!(free, "session {} is another client's", is.session);
                is.session
            });
            let expected = Said {
                session,
                application: self.login.app_name.clone(),
                database: self.login.database.clone(),
                kept: self.kept.clone(),
                batch: words.to_owned(),
            };
            assert_eq!(is, expected);
            said += 1;
        }
        assert_eq!(said, parts, "{words}");
    }

    /// Closes, breaks the connection, or closes one half and waits.
    async fn leave(&mut self, mut client: RawClient) {
        match self.rng.u8(..3) {
            0 => {}
            1 => client.tcp.set_zero_linger().unwrap(),
            _ => {
                // The proxy may have closed it before.
                let _ = client.tcp.shutdown().await;
                let mut rest = Vec::new();
                let _ = client.tcp.read_to_end(&mut rest).await;
            }
        }
    }
}
