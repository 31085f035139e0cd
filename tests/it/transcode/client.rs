//! A client of each version.

use std::net::SocketAddr;

use entrada::tds::{Encryption, Login7, PacketStatus, PacketType};

use super::answer::{self, Tok};
use super::show::View;
use super::types::Collation;
use super::version::Version;
use super::write::{self, Param, Procedure};
use crate::raw_client::RawClient;

pub(super) struct Client {
    pub(super) raw: RawClient,
    pub(super) version: Version,
    /// The collation of the database, as the login said it.
    pub(super) collation: Collation,
    /// What the client puts into its headers, if it has any.
    pub(super) descriptor: u64,
}

/// The largest answer of these tests.
const MOST: usize = 1 << 30;

impl Client {
    /// Logs in in clear.
    pub(super) async fn login(address: SocketAddr, version: Version, packet_size: u32) -> Self {
        let login = Login7 {
            tds_version: version.number(),
            packet_size,
            user_name: "legacy".to_owned(),
            app_name: "old program".to_owned(),
            // Texts are not cut at 4 KB.
            option_flags2: 2,
            ..Login7::default()
        };
        let mut raw = RawClient::tcp(address).await;
        raw.prelogin(Encryption::NOT_SUP, None).await;
        raw.send_login(&login).await;
        let answer = raw.receive().await.expect("an answer to LOGIN7").payload;
        let mut client = Self {
            raw,
            version,
            collation: [0; 5],
            descriptor: 0,
        };
        client.learn(&answer);
        client
    }

    fn learn(&mut self, payload: &[u8]) {
        let version = self.version;
        let tokens = answer::read(version, payload).unwrap_or_else(|e| panic!("{e}"));
        let mut acknowledged = None;
        for token in &tokens {
            match token {
                Tok::LoginAck { version, .. } => acknowledged = Some(*version),
                Tok::Env(changes) => {
                    for change in changes {
                        match change.kind {
                            4 => {
                                let size = std::str::from_utf8(&change.new).unwrap();
                                self.raw.packet_size = size.parse().unwrap();
                            }
                            7 => self.collation = change.new[..].try_into().unwrap(),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        let wanted = version.acknowledged();
        assert_eq!(acknowledged, Some(wanted), "{version:?}: {tokens:?}");
    }

    pub(super) fn view(&self) -> View {
        View {
            version: self.version,
            collation: self.collation,
        }
    }

    /// Sends a message.
    pub(super) async fn send(&mut self, kind: PacketType, payload: &[u8]) {
        self.raw.send(kind, PacketStatus::NORMAL, payload).await;
    }

    /// Reads an answer, and the descriptor in it.
    pub(super) async fn answer(&mut self) -> Vec<Tok> {
        let message = self.raw.receive_long(MOST).await.expect("an answer");
        assert_eq!(message.packet_type, PacketType::TABULAR_RESULT);
        let tokens = answer::read(self.version, &message.payload).unwrap_or_else(|e| panic!("{e}"));
        for token in &tokens {
            let Tok::Env(changes) = token else { continue };
            for change in changes {
                match change.kind {
                    8 | 11 => {
                        self.descriptor = u64::from_le_bytes(change.new[..].try_into().unwrap());
                    }
                    9 | 10 | 12 | 17 => self.descriptor = 0,
                    _ => {}
                }
            }
        }
        tokens
    }

    pub(super) async fn batch(&mut self, sql: &str) -> Vec<Tok> {
        let payload = write::batch(self.version, self.descriptor, sql);
        self.send(PacketType::SQL_BATCH, &payload).await;
        self.answer().await
    }

    /// A batch that must not fail.
    pub(super) async fn run(&mut self, sql: &str) -> Vec<Tok> {
        let tokens = self.batch(sql).await;
        let start: String = sql.chars().take(300).collect();
        no_error(&tokens, &start);
        tokens
    }

    pub(super) async fn call(&mut self, calls: &[(Procedure, Vec<Param>)]) -> Vec<Tok> {
        let payload = write::calls(self.version, self.descriptor, calls);
        self.send(PacketType::RPC, &payload).await;
        self.answer().await
    }
}

/// Fails if there is an error among the tokens.
pub(super) fn no_error(tokens: &[Tok], what: &str) {
    for token in tokens {
        if let Tok::Message(message) = token {
            assert!(!message.is_error, "{what}: {message:?}");
        }
    }
}
