//! One login, from the first byte to a session.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Shared;
use super::authenticate::login_database;
use super::azure_errors::{Scene, azure_error};
use super::error::ConnectionError;
use super::fed_auth::Credential;
use super::judged::Admission;
use super::login_only::encrypted_packets;
use super::login_record::Record;
use super::login_response::{Accepted, refused};
use super::messages;
use super::packet_io::PacketIo;
use super::prelogin::{self, Negotiated, Next, Transport};
use super::settings::EncryptionPolicy;
use super::stream::{ClientStream, ResetSwitch, Stream};
use super::trouble::{on_stream, trouble};
use crate::emulator::backend::{BackendSession, Backing};
use crate::emulator::engine::{ClientInfo, Principal, SessionInfo};
use crate::emulator::forward::ForwardSession;
use crate::emulator::{GatewayStep, Redirect, SessionRecord};
use crate::tds::{
    EncodeError, Login7, MAX_PACKET_SIZE, MIN_PACKET_SIZE, PacketType, Routing, ServerMessage,
    TdsVersion,
};

/// The longest packet that fits one TLS record.
const MAX_ENCRYPTED_PACKET: usize = 16383;
/// A first byte that begins PRELOGIN, and one that begins TLS.
const FIRST_OF_PRELOGIN: u8 = 0x12;
const FIRST_OF_TLS: u8 = 0x16;
/// A first byte of clients that do without PRELOGIN, as those of TDS 7.0 and jTDS may.
const FIRST_OF_LOGIN: u8 = 0x10;

pub(super) type BoxedStream = Box<dyn Stream>;

/// A connection that is logged in.
pub(super) struct Established {
    pub(super) io: PacketIo<BoxedStream>,
    pub(super) session: Box<dyn BackendSession>,
    pub(super) version: TdsVersion,
    pub(super) packet_size: usize,
    pub(super) reset: ResetSwitch,
    pub(super) admission: Arc<Admission>,
}

/// A connection that is logged in to a real server.
pub(super) struct Forwarded {
    pub(super) io: PacketIo<BoxedStream>,
    pub(super) session: ForwardSession,
    pub(super) version: TdsVersion,
    pub(super) reset: ResetSwitch,
    pub(super) admission: Arc<Admission>,
}

/// A connection that is logged in, wherever to.
pub(super) enum LoggedIn {
    Embedded(Box<Established>),
    Forwarded(Box<Forwarded>),
}

/// Which of the gateway's listeners a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The public address; may redirect.
    Gateway,
    /// The node that logins are redirected to.
    Node,
}

/// A connection whose encryption is settled.
pub(super) struct Prepared {
    pub(super) io: PacketIo<BoxedStream>,
    pub(super) negotiated: Negotiated,
    pub(super) encrypted: bool,
    /// What a refusal is written in.
    version: TdsVersion,
    reset: ResetSwitch,
}

/// Where a connection came from, and to.
#[derive(Clone, Copy)]
struct Origin {
    peer: SocketAddr,
    role: Role,
}

/// Runs the login. Every refusal has been told to the client when this returns.
pub(super) async fn log_in(
    stream: ClientStream,
    peer: SocketAddr,
    shared: &Shared,
    role: Role,
) -> Result<LoggedIn, ConnectionError> {
    let reset = stream.reset_switch();
    let stream = on_stream(stream, shared, &reset, GatewayStep::Accept).await?;
    let mut prepared = match stream.peek().await? {
        Some(FIRST_OF_PRELOGIN) => tunnelled(stream, shared, reset).await?,
        Some(FIRST_OF_TLS) => strict(stream, shared, reset).await?,
        Some(FIRST_OF_LOGIN) => unannounced(stream, shared, reset),
        Some(other) => return Err(ConnectionError::NotTds(other)),
        None => return Err(ConnectionError::Eof),
    };
    let message = prepared.io.expect(PacketType::LOGIN7).await?;
    let Ok(login) = Login7::decode(&message.payload) else {
        return prepared
            .refuse(shared, messages::malformed_login(), "LOGIN7 is malformed")
            .await;
    };
    if login.tds_version < TdsVersion::V7_4 {
        prepared.version = login.tds_version;
    } else if !prepared.encrypted && shared.settings.encryption == EncryptionPolicy::Required {
        return Err(ConnectionError::NoEncryption);
    }
    let origin = Origin { peer, role };
    let record = Record::begin(shared, &login, role == Role::Node, prepared.encrypted);
    let ended = prepared
        .answer_login(shared, Arc::new(login), origin, &record)
        .await;
    record.end(&ended);
    ended
}

/// PRELOGIN in clear, then TLS inside of PRELOGIN packets unless both sides do without.
async fn tunnelled(
    stream: ClientStream,
    shared: &Shared,
    reset: ResetSwitch,
) -> Result<Prepared, ConnectionError> {
    let mut io = PacketIo::new(stream, shared.settings.login_timeout);
    let negotiated = answer_prelogin(&mut io, shared, &reset, Transport::Tcp).await?;
    let (stream, sent_more) = io.into_stream();
    let mut begun = Vec::new();
    let stream: BoxedStream = match negotiated.next {
        _ if sent_more => return Err(ConnectionError::Unexpected(PacketType::PRELOGIN)),
        Next::Close => return Err(ConnectionError::NoEncryption),
        Next::Plain => Box::new(stream),
        Next::Tls => {
            let stream = on_stream(stream, shared, &reset, GatewayStep::Tls).await?;
            Box::new(shared.acceptors.tunnelled(stream).await?)
        }
        Next::TlsForLogin => {
            let stream = on_stream(stream, shared, &reset, GatewayStep::Tls).await?;
            let tls = shared.acceptors.tunnelled(stream).await?;
            let (packets, stream) = encrypted_packets(tls).await?;
            begun = packets;
            Box::new(stream)
        }
    };
    let encrypted = negotiated.next == Next::Tls;
    let mut io = PacketIo::new(stream, shared.settings.login_timeout);
    io.push(&begun);
    Ok(Prepared {
        io,
        negotiated,
        encrypted,
        version: TdsVersion::V7_4,
        reset,
    })
}

/// LOGIN7 without a word before it.
fn unannounced(stream: ClientStream, shared: &Shared, reset: ResetSwitch) -> Prepared {
    let stream: BoxedStream = Box::new(stream);
    Prepared {
        io: PacketIo::new(stream, shared.settings.login_timeout),
        negotiated: Negotiated::nothing(),
        encrypted: false,
        version: TdsVersion::V7_4,
        reset,
    }
}

/// TLS, then PRELOGIN inside (TDS 8.0).
async fn strict(
    stream: ClientStream,
    shared: &Shared,
    reset: ResetSwitch,
) -> Result<Prepared, ConnectionError> {
    let stream = on_stream(stream, shared, &reset, GatewayStep::Tls).await?;
    let stream: BoxedStream = Box::new(shared.acceptors.strict(stream).await?);
    let mut io = PacketIo::new(stream, shared.settings.login_timeout);
    let negotiated = answer_prelogin(&mut io, shared, &reset, Transport::Strict).await?;
    Ok(Prepared {
        io,
        negotiated,
        encrypted: true,
        version: TdsVersion::V7_4,
        reset,
    })
}

async fn answer_prelogin<S: Stream>(
    io: &mut PacketIo<S>,
    shared: &Shared,
    reset: &ResetSwitch,
    transport: Transport,
) -> Result<Negotiated, ConnectionError> {
    let message = io.expect(PacketType::PRELOGIN).await?;
    let negotiated = prelogin::negotiate(&message.payload, transport, shared.settings.encryption)?;
    trouble(io, shared, reset, GatewayStep::Prelogin).await?;
    io.writer.message(&negotiated.answer()?).await?;
    Ok(negotiated)
}

impl Prepared {
    async fn answer_login(
        mut self,
        shared: &Shared,
        login: Arc<Login7>,
        origin: Origin,
        record: &Record<'_>,
    ) -> Result<LoggedIn, ConnectionError> {
        let (principal, credential) = match self.authenticate(shared, &login).await? {
            Ok(judged) => judged,
            Err((error, reason)) => return self.refuse(shared, error, &reason).await,
        };
        record.principal(&principal);
        self.trouble(shared, GatewayStep::Login).await?;
        let database = login_database(&login).unwrap_or("master");
        if let Some(number) = shared.faults.take_login_error(database) {
            let scene = Scene {
                database,
                server: &shared.settings.server_name,
                peer: origin.peer.ip(),
            };
            let error = azure_error(number, scene);
            return self.refuse(shared, error, "an injected error").await;
        }
        if origin.role == Role::Gateway
            && let Some(to) = shared.faults.take_redirect()
        {
            return self.redirect(shared, &login, to).await;
        }
        self.open_session(shared, login, principal, credential, origin)
            .await
    }

    async fn refuse(
        mut self,
        shared: &Shared,
        error: ServerMessage,
        reason: &str,
    ) -> Result<LoggedIn, ConnectionError> {
        shared.counters.counts().logins_refused.add_one();
        let number = error.number;
        let payload = refused(error, &shared.settings.server_name, self.version)?;
        self.io.writer.message(&payload).await?;
        self.io.writer.close().await;
        Err(ConnectionError::Refused {
            reason: reason.to_owned(),
            number,
        })
    }

    async fn redirect(
        mut self,
        shared: &Shared,
        login: &Login7,
        to: Redirect,
    ) -> Result<LoggedIn, ConnectionError> {
        let (server, port) = match to {
            Redirect::Node => (shared.node.ip().to_string(), shared.node.port()),
            Redirect::To { server, port } => (server, port),
        };
        let routing = Routing {
            protocol: 0,
            port,
            server,
            database: None,
        };
        let session = SessionInfo {
            database: if login.database.is_empty() {
                "master".into()
            } else {
                login.database.clone()
            },
            language: "us_english".into(),
            collation: [0x09, 0x04, 0xd0, 0x00, 0x34],
            spid: 0,
            version: [12, 0, 0x07, 0xd0],
        };
        let packet_size = self.granted_packet_size(login);
        let payload = accepted(shared, login, &session, packet_size, Some(routing))?;
        self.io.writer.message(&payload).await?;
        self.io.writer.close().await;
        shared.counters.counts().logins_redirected.add_one();
        Err(ConnectionError::Redirected)
    }

    async fn open_session(
        mut self,
        shared: &Shared,
        login: Arc<Login7>,
        principal: Principal,
        credential: Option<Credential>,
        origin: Origin,
    ) -> Result<LoggedIn, ConnectionError> {
        let name = login_name(&principal);
        let admit = |info: &SessionInfo| {
            let admission = admit(shared, &login, info, name, credential, origin);
            Arc::new(admission)
        };
        match &shared.backend {
            Backing::Embedded(backend) => {
                let connected = {
                    let (backend, login) = (backend.clone(), login.clone());
                    let client = client_info(&login, self.encrypted);
                    blocking(move || backend.connect(&principal, login_database(&login), client))
                        .await?
                };
                let session = match connected {
                    Ok(session) => session,
                    Err(error) => return self.refuse(shared, error, "the backend refused").await,
                };
                let info = session.info();
                let (version, packet_size) = self.accept(shared, &login, &info).await?;
                let admission = admit(&info);
                Ok(LoggedIn::Embedded(Box::new(Established {
                    io: self.io,
                    session,
                    version,
                    packet_size,
                    reset: self.reset,
                    admission,
                })))
            }
            Backing::Forwarding(server) => {
                let session = match server.open(&principal, &login).await {
                    Ok(session) => session,
                    Err(error) => {
                        let said = error.message(&login.database);
                        let said = said.unwrap_or_else(|| messages::token_refused(None));
                        return self.refuse(shared, said, &error.to_string()).await;
                    }
                };
                let (version, _) = self.accept(shared, &login, session.info()).await?;
                let admission = admit(session.info());
                Ok(LoggedIn::Forwarded(Box::new(Forwarded {
                    io: self.io,
                    session,
                    version,
                    reset: self.reset,
                    admission,
                })))
            }
        }
    }

    /// Tells the client that it is in. Returns the version and the packet size from here on.
    async fn accept(
        &mut self,
        shared: &Shared,
        login: &Login7,
        info: &SessionInfo,
    ) -> Result<(TdsVersion, usize), ConnectionError> {
        let packet_size = self.granted_packet_size(login);
        let payload = accepted(shared, login, info, packet_size, None)?;
        // Clients learn the session's id from the header of this very answer.
        self.io.writer.set_spid(info.spid);
        self.io.writer.message(&payload).await?;
        self.io.after_login(packet_size, shared.max_message);
        shared.counters.counts().logins_accepted.add_one();
        Ok((answer_version(login), packet_size))
    }

    fn granted_packet_size(&self, login: &Login7) -> usize {
        let most = if self.encrypted {
            MAX_ENCRYPTED_PACKET
        } else {
            MAX_PACKET_SIZE
        };
        match usize::try_from(login.packet_size).unwrap_or(most) {
            0 => crate::tds::DEFAULT_PACKET_SIZE,
            asked => asked.clamp(MIN_PACKET_SIZE, most),
        }
    }

    async fn trouble(&mut self, shared: &Shared, step: GatewayStep) -> Result<(), ConnectionError> {
        trouble(&mut self.io, shared, &self.reset, step).await
    }
}

fn accepted(
    shared: &Shared,
    login: &Login7,
    session: &SessionInfo,
    packet_size: usize,
    routing: Option<Routing>,
) -> Result<Vec<u8>, EncodeError> {
    Accepted {
        login,
        version: answer_version(login),
        session,
        server_name: &shared.settings.server_name,
        packet_size,
        routing,
    }
    .encode()
}

/// Registers the session.
fn admit(
    shared: &Shared,
    login: &Login7,
    info: &SessionInfo,
    name: String,
    credential: Option<Credential>,
    origin: Origin,
) -> Admission {
    let since = shared.identity.clock().now();
    Admission {
        place: shared.sessions.register(SessionRecord {
            spid: info.spid,
            login: name,
            database: info.database.clone(),
            application: login.app_name.clone(),
            host: login.host_name.clone(),
            since,
            requests: 0,
        }),
        database: info.database.clone(),
        peer: origin.peer.ip(),
        credential,
        since,
    }
}

fn login_name(principal: &Principal) -> String {
    match principal {
        Principal::ServerAdmin { name } | Principal::SqlLogin { name } => name.clone(),
        Principal::Entra(entra) => entra.display_name.clone(),
    }
}

fn client_info(login: &Login7, encrypted: bool) -> ClientInfo {
    let mut client = ClientInfo::default();
    client.host_name.clone_from(&login.host_name);
    client.program_name.clone_from(&login.app_name);
    client.process_id = login.client_pid;
    client.interface_name.clone_from(&login.library_name);
    client.encrypted = encrypted;
    client
}

/// The version for LOGINACK: 8.0 to those who asked so, else 7.4.
fn answer_version(login: &Login7) -> TdsVersion {
    if login.tds_version == TdsVersion::V8_0 {
        TdsVersion::V8_0
    } else {
        TdsVersion::V7_4
    }
}

/// Runs what may block on a thread made for that.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ConnectionError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(ConnectionError::Backend)
}
