//! A SQL client made of the codec and rustls alone, which can also misbehave.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use entrada::Secret;
use entrada::emulator::Emulator;
use entrada::tds::{
    Encryption, EnvChange, Feature, FeatureId, FedAuth, FedAuthInfo, FedAuthToken, HEADER_LEN,
    Login7, LoginAck, Message, MessageReader, PacketStatus, PacketType, Prelogin, ServerMessage,
    TdsVersion, Token, Version, option_flags1, read_tokens, write_message,
};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nothing on loopback takes this long, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Fails the test in place of hanging.
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(value) => value,
        Err(_) => panic!("{what} hangs"),
    }
}

pub(crate) struct RawClient {
    pub(crate) tcp: TcpStream,
    tls: Option<ClientConnection>,
    messages: MessageReader,
    pub(crate) packet_size: usize,
    /// The version of its login, in which answers are read.
    pub(crate) version: TdsVersion,
}

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Tunnelled,
    Strict,
}

/// What a login's answer says.
#[derive(Debug, Default)]
pub(crate) struct LoginAnswer {
    pub(crate) ack: Option<LoginAck>,
    pub(crate) errors: Vec<ServerMessage>,
    pub(crate) infos: Vec<ServerMessage>,
    pub(crate) env: Vec<EnvChange>,
    pub(crate) features: Vec<Feature>,
    pub(crate) fed_auth_info: Option<FedAuthInfo>,
}

impl RawClient {
    pub(crate) async fn tcp(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) fn over(tcp: TcpStream) -> Self {
        Self {
            tcp,
            tls: None,
            messages: MessageReader::new(32767, 1 << 24),
            packet_size: 4096,
            version: TdsVersion::V7_4,
        }
    }

    /// A connection that is ready for LOGIN7.
    pub(crate) async fn ready(emulator: &Emulator, form: Form) -> Self {
        Self::ready_at(emulator, emulator.sql_addr(), form).await
    }

    pub(crate) async fn ready_at(emulator: &Emulator, address: SocketAddr, form: Form) -> Self {
        let mut client = Self::tcp(address).await;
        let config = tls_config(emulator, form);
        if form == Form::Strict {
            client.start_tls(config, false).await;
            let answer = client.prelogin(Encryption::NOT_SUP, Some(1)).await;
            assert_eq!(answer.fed_auth_required, Some(1));
        } else {
            let answer = client.prelogin(Encryption::ON, Some(1)).await;
            assert_eq!(answer.encryption, Encryption::ON);
            assert_eq!(answer.fed_auth_required, Some(1));
            client.start_tls(config, true).await;
        }
        client
    }

    pub(crate) async fn prelogin(
        &mut self,
        encryption: Encryption,
        fed_auth: Option<u8>,
    ) -> Prelogin {
        let mut prelogin = Prelogin::new(Version::default(), encryption);
        prelogin.fed_auth_required = fed_auth;
        let mut payload = Vec::new();
        prelogin.encode(&mut payload).unwrap();
        self.send(PacketType::PRELOGIN, PacketStatus::NORMAL, &payload)
            .await;
        let answer = self.receive().await.expect("an answer to PRELOGIN");
        assert_eq!(answer.packet_type, PacketType::TABULAR_RESULT);
        Prelogin::decode(&answer.payload).unwrap()
    }

    /// The TLS handshake, with its records inside of PRELOGIN packets or bare.
    pub(crate) async fn start_tls(&mut self, config: ClientConfig, wrapped: bool) {
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
        while tls.is_handshaking() {
            let mut records = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut records).unwrap();
            }
            if !records.is_empty() {
                let mut out = Vec::new();
                if wrapped {
                    let status = PacketStatus::NORMAL;
                    write_message(PacketType::PRELOGIN, status, &records, 4096, &mut out);
                } else {
                    out = records;
                }
                self.tcp.write_all(&out).await.unwrap();
            }
            if tls.is_handshaking() {
                let bytes = if wrapped {
                    self.handshake_packet().await
                } else {
                    self.some().await
                };
                assert!(!bytes.is_empty(), "the server left in the handshake");
                let mut unread = &bytes[..];
                while !unread.is_empty() {
                    tls.read_tls(&mut unread).unwrap();
                    tls.process_new_packets().unwrap();
                }
            }
        }
        // TLS 1.3 ends with a flight of the client's.
        let mut records = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut records).unwrap();
        }
        self.tcp.write_all(&records).await.unwrap();
        self.tls = Some(tls);
    }

    /// Goes on without TLS, as after a login that alone was encrypted.
    pub(crate) fn forget_tls(&mut self) {
        self.tls = None;
    }

    /// Says goodbye to TLS and goes on without.
    pub(crate) async fn close_tls(&mut self) {
        let mut tls = self.tls.take().expect("a connection under TLS");
        tls.send_close_notify();
        let mut records = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut records).unwrap();
        }
        self.tcp.write_all(&records).await.unwrap();
    }

    pub(crate) fn tls_version(&self) -> Option<rustls::ProtocolVersion> {
        self.tls.as_ref()?.protocol_version()
    }

    pub(crate) fn server_certificate(&self) -> Option<CertificateDer<'static>> {
        let chain = self.tls.as_ref()?.peer_certificates()?;
        chain.first().map(|first| first.clone().into_owned())
    }

    pub(crate) async fn login(&mut self, login: &Login7) -> LoginAnswer {
        self.send_login(login).await;
        self.version = login.tds_version;
        let answer = self.receive().await.expect("an answer to LOGIN7");
        self.login_answer(&answer)
    }

    /// A LOGIN7 as it goes over the wire.
    pub(crate) fn login_bytes(login: &Login7) -> Vec<u8> {
        let (mut payload, mut packets) = (Vec::new(), Vec::new());
        login.encode(&mut payload).unwrap();
        let status = PacketStatus::NORMAL;
        write_message(PacketType::LOGIN7, status, &payload, 4096, &mut packets);
        packets
    }

    /// What a login's answer says, from its bytes.
    pub(crate) fn read_login_answer(bytes: &[u8]) -> LoginAnswer {
        let mut messages = MessageReader::new(32767, 1 << 24);
        messages.push(bytes);
        let message = messages.next().unwrap().expect("an answer to LOGIN7");
        read_answer(&message, TdsVersion::V7_4)
    }

    pub(crate) async fn send_login(&mut self, login: &Login7) {
        let mut payload = Vec::new();
        login.encode(&mut payload).unwrap();
        self.send(PacketType::LOGIN7, PacketStatus::NORMAL, &payload)
            .await;
    }

    pub(crate) async fn fed_auth_token(&mut self, token: Secret) -> LoginAnswer {
        let mut payload = Vec::new();
        FedAuthToken { token, nonce: None }
            .encode(&mut payload)
            .unwrap();
        self.send(PacketType::FEDAUTH_TOKEN, PacketStatus::NORMAL, &payload)
            .await;
        let answer = self.receive().await.expect("an answer to the token");
        self.login_answer(&answer)
    }

    /// Sends a batch and returns the answer's tokens as they stand.
    pub(crate) async fn batch(&mut self, sql: &str) -> Vec<u8> {
        self.send_batch(sql, PacketStatus::NORMAL).await;
        self.receive()
            .await
            .expect("an answer to the batch")
            .payload
    }

    pub(crate) async fn send_batch(&mut self, sql: &str, status: PacketStatus) {
        let mut payload = entrada::tds::all_headers(0);
        payload.extend(sql.encode_utf16().flat_map(u16::to_le_bytes));
        self.send(PacketType::SQL_BATCH, status, &payload).await;
    }

    pub(crate) async fn send(
        &mut self,
        packet_type: PacketType,
        status: PacketStatus,
        payload: &[u8],
    ) {
        let mut packets = Vec::new();
        write_message(packet_type, status, payload, self.packet_size, &mut packets);
        self.send_raw(&packets).await;
    }

    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        let Some(tls) = &mut self.tls else {
            return self.tcp.write_all(bytes).await.unwrap();
        };
        for part in bytes.chunks(8192) {
            tls.writer().write_all(part).unwrap();
            let mut records = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut records).unwrap();
            }
            self.tcp.write_all(&records).await.unwrap();
        }
    }

    /// The next message, or `None` when the server has gone, in whatever way.
    pub(crate) async fn receive(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.messages.next().unwrap() {
                return Some(message);
            }
            let bytes = self.plain().await?;
            self.messages.push(&bytes);
        }
    }

    /// The next message, which may have so many bytes.
    pub(crate) async fn receive_long(&mut self, max: usize) -> Option<Message> {
        self.messages.set_max_message(max);
        self.receive().await
    }

    /// Gives bytes back that were read as such.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        self.messages.push(bytes);
    }

    /// Bytes below TDS, or `None` at the end.
    pub(crate) async fn plain(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(tls) = &mut self.tls {
                let mut plain = vec![0; 65536];
                match tls.reader().read(&mut plain) {
                    Ok(0) => return None,
                    Ok(got) => {
                        plain.truncate(got);
                        return Some(plain);
                    }
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return None,
                }
            }
            let bytes = self.some().await;
            if bytes.is_empty() {
                return None;
            }
            let Some(tls) = &mut self.tls else {
                return Some(bytes);
            };
            // The TLS side takes no more before what it has decrypted is fetched.
            let mut unread = &bytes[..];
            let mut plain = Vec::new();
            while !unread.is_empty() {
                tls.read_tls(&mut unread).unwrap();
                tls.process_new_packets().ok()?;
                let _ = tls.reader().read_to_end(&mut plain);
            }
            if !plain.is_empty() {
                return Some(plain);
            }
        }
    }

    pub(crate) fn login_answer(&mut self, message: &Message) -> LoginAnswer {
        let answer = read_answer(message, self.version);
        for change in &answer.env {
            if let EnvChange::PacketSize { new, .. } = change {
                self.packet_size = usize::try_from(*new).unwrap();
            }
        }
        answer
    }

    /// Data of one wrapped packet, or nothing at the end of the stream.
    async fn handshake_packet(&mut self) -> Vec<u8> {
        let mut header = [0; HEADER_LEN];
        if self.tcp.read_exact(&mut header).await.is_err() {
            return Vec::new();
        }
        assert_eq!(
            header[0],
            PacketType::PRELOGIN.0,
            "the handshake is wrapped"
        );
        let len = usize::from(u16::from_be_bytes([header[2], header[3]])) - HEADER_LEN;
        let mut data = vec![0; len];
        self.tcp.read_exact(&mut data).await.unwrap();
        data
    }

    async fn some(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 16384];
        let got = self.tcp.read(&mut bytes).await.unwrap_or(0);
        bytes.truncate(got);
        bytes
    }
}

fn read_answer(message: &Message, version: TdsVersion) -> LoginAnswer {
    let mut answer = LoginAnswer::default();
    for token in read_tokens(&message.payload, version).unwrap() {
        match token {
            Token::Error(error) => answer.errors.push(error),
            Token::Info(info) => answer.infos.push(info),
            Token::EnvChange(change) => answer.env.push(change),
            Token::EnvChanges(changes) => answer.env.extend(changes),
            Token::LoginAck(ack) => answer.ack = Some(ack),
            Token::FeatureExtAck(features) => answer.features = features,
            Token::FedAuthInfo(info) => answer.fed_auth_info = Some(info),
            _ => {}
        }
    }
    answer
}

impl LoginAnswer {
    /// The only error, if the login was refused.
    pub(crate) fn refusal(&self) -> Option<(i32, &str)> {
        match (&self.ack, &self.errors[..]) {
            (None, [error]) => Some((error.number, error.message.as_str())),
            _ => None,
        }
    }

    pub(crate) fn database(&self) -> Option<&str> {
        self.env.iter().find_map(|change| match change {
            EnvChange::Database { new, .. } => Some(new.as_str()),
            _ => None,
        })
    }
}

/// Trusts the emulator's authority and nobody else; offers what its form of TLS asks for.
pub(crate) fn tls_config(emulator: &Emulator, form: Form) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(emulator.ca_certificate_der()))
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    if form == Form::Strict {
        config.alpn_protocols = vec![b"tds/8.0".to_vec()];
    }
    config
}

pub(crate) fn base_login(database: &str) -> Login7 {
    Login7 {
        tds_version: TdsVersion::V7_4,
        packet_size: 8000,
        option_flags1: option_flags1::USE_DB_NOTIFY,
        host_name: "test-host".into(),
        app_name: "raw client".into(),
        server_name: "localhost".into(),
        library_name: "raw".into(),
        database: database.into(),
        ..Login7::default()
    }
}

/// LOGIN7 with a token in it.
pub(crate) fn token_login(token: &Secret, database: &str) -> Login7 {
    let fed_auth = FedAuth::SecurityToken {
        echo: true,
        token: token.clone(),
        nonce: None,
    };
    with_feature(base_login(database), fed_auth.to_feature().unwrap())
}

/// LOGIN7 that wants to be told where to get a token.
pub(crate) fn adal_login(database: &str) -> Login7 {
    let fed_auth = FedAuth::Adal {
        echo: true,
        workflow: 3,
    };
    with_feature(base_login(database), fed_auth.to_feature().unwrap())
}

pub(crate) fn password_login(user: &str, password: &str, database: &str) -> Login7 {
    Login7 {
        user_name: user.into(),
        password: Secret::new(password),
        ..base_login(database)
    }
}

pub(crate) fn with_feature(mut login: Login7, feature: Feature) -> Login7 {
    login.features.push(feature);
    login
}

pub(crate) fn acknowledges(answer: &LoginAnswer, id: FeatureId) -> bool {
    answer.features.iter().any(|feature| feature.id == id)
}
