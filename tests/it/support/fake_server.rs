//! A server that does what a test's script says, message by message. It is
//! built from `entrada::tds` alone and shares nothing with the client's side.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use entrada::tds::{
    DEFAULT_PACKET_SIZE, Done, DoneStatus, Encryption, EnvChange, Feature, FeatureId, Login7,
    LoginAck, Message, MessageReader, PacketStatus, PacketType, Prelogin, ServerMessage,
    TdsVersion, Token, Version, write_message,
};
use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A listener that runs a script for each connection, one after the other.
pub(crate) struct FakeServer<T> {
    pub(crate) address: SocketAddr,
    task: JoinHandle<Vec<T>>,
}

impl<T: Send + 'static> FakeServer<T> {
    /// Serves `connections` connections; the script gets each one's number.
    pub(crate) async fn start<F, Fut>(connections: usize, script: F) -> Self
    where
        F: Fn(usize, Conn) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = T> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut outcomes = Vec::new();
            for number in 0..connections {
                let (socket, _) = listener.accept().await.unwrap();
                outcomes.push(script(number, Conn::new(socket)).await);
            }
            outcomes
        });
        Self { address, task }
    }

    /// What the scripts returned, once all connections have been served.
    pub(crate) async fn outcomes(self) -> Vec<T> {
        self.task.await.unwrap()
    }

    /// How many connections came, when fewer are expected than were allowed.
    pub(crate) fn stop(self) {
        self.task.abort();
    }
}

/// One connection, seen from the server.
pub(crate) struct Conn {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    reader: MessageReader,
    /// Everything that came over the socket, as an onlooker sees it.
    pub(crate) seen: Vec<u8>,
}

impl Conn {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            tls: None,
            reader: MessageReader::new(32_767, 256 * 1024),
            seen: Vec::new(),
        }
    }

    /// The port that the connection came in on.
    pub(crate) fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    /// The next message; an error at the end of the stream.
    pub(crate) async fn message(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = self.reader.next().map_err(io::Error::other)? {
                return Ok(message);
            }
            let bytes = self.read().await?;
            self.reader.push(&bytes);
        }
    }

    /// Sends bytes as they are (under TLS, if there is any).
    pub(crate) async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return self.socket.write_all(bytes).await;
        };
        tls.writer().write_all(bytes)?;
        let mut records = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut records)?;
        }
        self.socket.write_all(&records).await
    }

    /// Sends a message of type 4.
    pub(crate) async fn answer(&mut self, payload: &[u8]) -> io::Result<()> {
        self.raw(&packets(payload)).await
    }

    /// Sends tokens as one message.
    pub(crate) async fn tokens(&mut self, tokens: &[Token]) -> io::Result<()> {
        self.answer(&encode(tokens)).await
    }

    /// Reads PRELOGIN and answers it.
    pub(crate) async fn prelogin(
        &mut self,
        encryption: Encryption,
        fed_auth_required: Option<u8>,
    ) -> io::Result<Prelogin> {
        let message = self.message().await?;
        assert_eq!(message.packet_type, PacketType::PRELOGIN);
        let asked = Prelogin::decode(&message.payload).unwrap();
        let version = Version {
            major: 12,
            ..Version::default()
        };
        let mut answer = Prelogin::new(version, encryption);
        answer.fed_auth_required = fed_auth_required;
        let mut payload = Vec::new();
        answer.encode_answer(&mut payload).unwrap();
        self.answer(&payload).await?;
        Ok(asked)
    }

    /// Reads LOGIN7.
    pub(crate) async fn login(&mut self) -> io::Result<Login7> {
        let message = self.message().await?;
        assert_eq!(message.packet_type, PacketType::LOGIN7);
        Ok(Login7::decode(&message.payload).unwrap())
    }

    /// PRELOGIN, TLS inside of it and LOGIN7, as Azure SQL does them.
    pub(crate) async fn until_login(&mut self, config: &Arc<ServerConfig>) -> io::Result<Login7> {
        self.prelogin(Encryption::ON, Some(1)).await?;
        self.tls_in_prelogin(config).await?;
        self.login().await
    }

    /// Shakes hands with the records wrapped in packets.
    pub(crate) async fn tls_in_prelogin(&mut self, config: &Arc<ServerConfig>) -> io::Result<()> {
        let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        while tls.is_handshaking() || tls.wants_write() {
            let mut flight = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut flight)?;
            }
            if !flight.is_empty() {
                let mut wrapped = Vec::new();
                write_message(
                    PacketType::PRELOGIN,
                    PacketStatus::NORMAL,
                    &flight,
                    DEFAULT_PACKET_SIZE,
                    &mut wrapped,
                );
                self.socket.write_all(&wrapped).await?;
                continue;
            }
            let message = self.message().await?;
            assert_eq!(message.packet_type, PacketType::PRELOGIN);
            feed(&mut tls, &message.payload)?;
        }
        self.tls = Some(Box::new(tls));
        Ok(())
    }

    /// Shakes hands first of all, as TDS 8.0 does; returns the protocol agreed on.
    pub(crate) async fn tls_first(
        &mut self,
        config: &Arc<ServerConfig>,
    ) -> io::Result<Option<Vec<u8>>> {
        let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        while tls.is_handshaking() || tls.wants_write() {
            let mut flight = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut flight)?;
            }
            if !flight.is_empty() {
                self.socket.write_all(&flight).await?;
                continue;
            }
            // The first request may come with the end of the handshake.
            let bytes = self.read().await?;
            let early = feed(&mut tls, &bytes)?;
            self.reader.push(&early);
        }
        let protocol = tls.alpn_protocol().map(<[u8]>::to_vec);
        self.tls = Some(Box::new(tls));
        Ok(protocol)
    }

    /// Reads a LOGIN7 whose first packet is encrypted and whose others are not,
    /// and goes on without TLS.
    pub(crate) async fn login_in_two_parts(&mut self) -> io::Result<Login7> {
        while self.reader.buffered() == 0 && !self.reader.is_mid_message() {
            let bytes = self.first_record().await?;
            self.reader.push(&bytes);
        }
        self.tls = None;
        self.login().await
    }

    /// Reads one TLS record and not a byte more, since what follows is none.
    async fn first_record(&mut self) -> io::Result<Vec<u8>> {
        let mut record = vec![0; 5];
        self.socket.read_exact(&mut record).await?;
        record.resize(
            5 + usize::from(u16::from_be_bytes([record[3], record[4]])),
            0,
        );
        self.socket.read_exact(&mut record[5..]).await?;
        self.seen.extend_from_slice(&record);
        feed(self.tls.as_mut().unwrap(), &record)
    }

    /// Waits for the client to close; returns what it sent until then.
    pub(crate) async fn until_closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        while let Ok(bytes) = self.read().await {
            rest.extend(bytes);
        }
        rest
    }

    /// Closes with a reset instead of a farewell.
    pub(crate) fn reset(self) {
        self.socket.set_zero_linger().unwrap();
    }

    /// Ends our half of the stream and keeps reading.
    pub(crate) async fn half_close(&mut self) -> io::Result<()> {
        self.socket.shutdown().await
    }

    async fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 16 * 1024];
        let length = self.socket.read(&mut bytes).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.truncate(length);
        self.seen.extend_from_slice(&bytes);
        match &mut self.tls {
            None => Ok(bytes),
            Some(tls) => feed(tls, &bytes),
        }
    }
}

/// A login's answer that grants everything, with the token acknowledged or not.
pub(crate) fn granted(login: &Login7) -> Vec<Token> {
    let mut tokens = vec![
        Token::EnvChange(EnvChange::Database {
            new: login.database.clone(),
            old: "master".to_owned(),
        }),
        Token::EnvChange(EnvChange::Language {
            new: "us_english".to_owned(),
            old: String::new(),
        }),
        Token::EnvChange(EnvChange::Collation {
            new: vec![9, 4, 208, 0, 52],
            old: Vec::new(),
        }),
        Token::LoginAck(LoginAck {
            interface: 1,
            tds_version: TdsVersion::V7_4,
            program_name: LoginAck::PROGRAM_NAME.to_owned(),
            version: [12, 0, 8, 0],
        }),
        Token::EnvChange(EnvChange::PacketSize {
            new: login.packet_size,
            old: 4096,
        }),
    ];
    if login.feature(FeatureId::FEDAUTH).is_some() {
        tokens.push(Token::FeatureExtAck(vec![Feature::new(
            FeatureId::FEDAUTH,
            [],
        )]));
    }
    tokens.push(done(DoneStatus::FINAL));
    tokens
}

/// A login's answer that refuses.
pub(crate) fn refused(number: i32, text: &str) -> Vec<Token> {
    vec![
        Token::Error(ServerMessage::new(number, 1, 14, text)),
        done(DoneStatus::ERROR),
    ]
}

pub(crate) fn done(status: DoneStatus) -> Token {
    Token::Done(Done::new(status))
}

pub(crate) fn encode(tokens: &[Token]) -> Vec<u8> {
    let mut payload = Vec::new();
    for token in tokens {
        token.encode(TdsVersion::V7_4, &mut payload).unwrap();
    }
    payload
}

pub(crate) fn packets(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_message(
        PacketType::TABULAR_RESULT,
        PacketStatus::NORMAL,
        payload,
        DEFAULT_PACKET_SIZE,
        &mut bytes,
    );
    bytes
}

fn feed(tls: &mut ServerConnection, mut bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    while !bytes.is_empty() {
        tls.read_tls(&mut bytes)?;
        tls.process_new_packets().map_err(io::Error::other)?;
        read_plain(tls, &mut plain)?;
    }
    Ok(plain)
}

fn read_plain(tls: &mut ServerConnection, plain: &mut Vec<u8>) -> io::Result<()> {
    match tls.reader().read_to_end(plain) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}
