//! The server half of a login, without a socket: it answers a client's PRELOGIN
//! and LOGIN7 out of what a real server has already said, then steps aside.
//!
//! ```text
//!   client bytes ──► receive ──► LoginRequested ──► accept(&LoginInfo, ..)
//!                                               └──► refuse(&ServerMessage)
//!   client bytes ◄── take_output
//! ```
//!
//! Feed it what the client sends, cut anywhere; send the client what
//! [`Front::take_output`] returns; decide when it says that a login is asked
//! for. After [`Front::accept`] the client and the real server understand each
//! other, provided that the packet size granted is the server's own.

mod answer;
mod encryption;
mod error;

use zeroize::Zeroizing;

use self::answer::{Asked, granted_version, login_answer};
use self::encryption::{Agreement, negotiate};
pub use self::encryption::{Cover, Objection, Offer};
pub use self::error::FrontError;
use crate::session::LoginInfo;
use crate::tds::{
    DEFAULT_PACKET_SIZE, Done, DoneStatus, Encryption, Login7, MAX_PACKET_SIZE, Message,
    MessageReader, PacketStatus, PacketType, Prelogin, ServerMessage, TdsVersion, Token, Version,
    write_message,
};

/// Longest LOGIN7, in bytes: 128 KiB less one (MS-TDS 2.2.6.4).
pub const MAX_LOGIN: usize = 128 * 1024 - 1;

/// Longest PRELOGIN: the options that there are take 400 bytes.
const MAX_PRELOGIN: usize = DEFAULT_PACKET_SIZE;

/// Answers one client's login.
///
/// The states and the way between them:
///
/// | State | PRELOGIN comes | LOGIN7 comes | `accept` | `refuse` |
/// | --- | --- | --- | --- | --- |
/// | `ExpectPrelogin` | answers, `ExpectLogin` | `LoginAsked` | error | error |
/// | `ExpectLogin` | error | `LoginAsked` | error | error |
/// | `LoginAsked` | kept | kept | `LoggedIn` | `Refused` |
/// | `LoggedIn`, `Refused` | kept | kept | error | error |
///
/// "Kept" bytes are handed out by [`into_rest`](Self::into_rest). A client may
/// leave PRELOGIN out: jTDS does, and so does every TDS 7.0 client. If PRELOGIN
/// leads to TLS, its driver shakes hands and feeds what is decrypted.
pub struct Front {
    state: State,
    reader: MessageReader,
    server_version: Version,
    offer: Offer,
    objection: Option<Objection>,
    output: Vec<u8>,
    /// What the answer must know of the LOGIN7 that it answers.
    asked: Option<Asked>,
}

/// Where a login stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Nothing has come yet.
    ExpectPrelogin,
    /// PRELOGIN has been answered.
    ExpectLogin,
    /// LOGIN7 has come; whoever drives this decides.
    LoginAsked,
    /// The client has been told that it is in.
    LoggedIn,
    /// The client has been told why it is not in.
    Refused,
}

/// What the driver of a [`Front`] must act on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The client asks to be let in. Answer with [`Front::accept`] or
    /// [`Front::refuse`].
    LoginRequested(Box<Login7>),
    /// The answer to PRELOGIN promises TLS: send it, be the server of a
    /// handshake inside PRELOGIN packets, and feed what is decrypted.
    StartTls(Cover),
}

impl Front {
    /// A front for one client. `server_version` is what PRELOGIN reports: the
    /// real server's version, from which clients derive what it can do. It has
    /// no TLS to offer.
    #[must_use]
    pub fn new(server_version: Version) -> Self {
        Self::offering(server_version, Offer::None)
    }

    /// A front whose driver can do TLS.
    #[must_use]
    pub fn offering(server_version: Version, offer: Offer) -> Self {
        Self {
            state: State::ExpectPrelogin,
            reader: MessageReader::new(MAX_PACKET_SIZE, MAX_PRELOGIN).wiping(),
            server_version,
            offer,
            objection: None,
            output: Vec::new(),
            asked: None,
        }
    }

    /// Where the login stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Why this client should be refused when it asks for its login, if it
    /// should: what it wants of TLS does not go with the offer.
    #[must_use]
    pub fn objection(&self) -> Option<Objection> {
        self.objection
    }

    /// Takes in what the client sent, cut anywhere.
    ///
    /// # Errors
    ///
    /// When the bytes are no TDS login. The client cannot be served any further
    /// then, and there is nothing sensible left to send it.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Option<Event>, FrontError> {
        self.look_at_the_first_byte(bytes)?;
        self.reader.push(bytes);
        while matches!(self.state, State::ExpectPrelogin | State::ExpectLogin) {
            let Some(message) = self.reader.next()? else {
                break;
            };
            match (self.state, message.packet_type) {
                (State::ExpectPrelogin, PacketType::PRELOGIN) => {
                    if let Some(cover) = self.on_prelogin(&message)? {
                        return Ok(Some(Event::StartTls(cover)));
                    }
                }
                (_, PacketType::LOGIN7) => {
                    // It holds a password, which lives on in the decoded login only.
                    let payload = Zeroizing::new(message.payload);
                    return self.on_login(&payload).map(Some);
                }
                (state, packet_type) => {
                    return Err(FrontError::Unexpected { state, packet_type });
                }
            }
        }
        Ok(None)
    }

    /// What is to be sent to the client now; empty when nothing is.
    #[must_use]
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Lets the client in: repeats what the real server said at its login.
    ///
    /// The client learns that packets are `packet_size` bytes long from its
    /// next request on. It is told the TDS version that it asked for, or the
    /// server's if that is older, and of the server's features only those that
    /// it asked for. Routing, mirror partners and the real server's packet size
    /// are never passed on: they would lead the client past us.
    ///
    /// # Errors
    ///
    /// [`FrontError::NotAsked`] unless a login waits for its answer, and
    /// [`FrontError::Encode`] for an answer that has no form on the wire.
    pub fn accept(&mut self, info: &LoginInfo, packet_size: usize) -> Result<(), FrontError> {
        let asked = self.asked()?;
        let version = granted_version(asked.version, info.tds_version);
        let mut tokens = Vec::with_capacity(512);
        for token in login_answer(info, asked, version, packet_size) {
            token.encode(version, &mut tokens)?;
        }
        self.send(&tokens, info.spid);
        self.state = State::LoggedIn;
        Ok(())
    }

    /// Turns the client away with an error of SQL Server's form. The connection
    /// is to be closed once the answer is sent (MS-TDS 3.3.5.5).
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    pub fn refuse(&mut self, error: &ServerMessage) -> Result<(), FrontError> {
        self.refuse_with(error, &[])
    }

    /// As [`refuse`](Self::refuse), with what else there is to say: errors and
    /// information, by their class.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    pub fn refuse_with(
        &mut self,
        error: &ServerMessage,
        others: &[ServerMessage],
    ) -> Result<(), FrontError> {
        let version = granted_version(self.asked()?.version, TdsVersion::V7_4);
        let mut tokens = Vec::new();
        Token::Error(error.clone()).encode(version, &mut tokens)?;
        for other in others {
            let token = if other.is_error() {
                Token::Error(other.clone())
            } else {
                Token::Info(other.clone())
            };
            token.encode(version, &mut tokens)?;
        }
        Done::new(DoneStatus::ERROR).encode(version, &mut tokens);
        self.send(&tokens, 0);
        self.state = State::Refused;
        Ok(())
    }

    /// Bytes of the client's that came after its LOGIN7.
    #[must_use]
    pub fn into_rest(self) -> Vec<u8> {
        self.reader.into_rest()
    }

    /// A client that speaks something else deserves to be told so; read as
    /// packet headers, its first bytes would only give an odd length.
    fn look_at_the_first_byte(&mut self, bytes: &[u8]) -> Result<(), FrontError> {
        const TLS_HANDSHAKE: u8 = 0x16;
        if self.state != State::ExpectPrelogin || self.reader.buffered() > 0 {
            return Ok(());
        }
        match bytes.first() {
            Some(&TLS_HANDSHAKE) => Err(FrontError::TlsFirst),
            Some(&first) if first != PacketType::PRELOGIN.0 && first != PacketType::LOGIN7.0 => {
                Err(FrontError::NotTds { first })
            }
            Some(&first) => {
                if first == PacketType::LOGIN7.0 {
                    self.reader.set_max_message(MAX_LOGIN);
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Answers; says what of TLS is to come next.
    fn on_prelogin(&mut self, message: &Message) -> Result<Option<Cover>, FrontError> {
        let asked = Prelogin::decode(&message.payload)?;
        let offer = match self.offer {
            Offer::Optional if is_jtds_asking_for_tls(&asked) => Offer::Required,
            offer => offer,
        };
        let (encryption, agreement) = negotiate(asked.encryption, offer)?;
        let mut answer = Prelogin::new(self.server_version, encryption);
        // A value of 1 would steer the client into a token login with us.
        answer.fed_auth_required = asked.fed_auth_required.map(|_| 0);
        let mut payload = Vec::with_capacity(64);
        answer.encode_answer(&mut payload)?;
        self.send(&payload, 0);
        self.state = State::ExpectLogin;
        self.reader.set_max_message(MAX_LOGIN);
        match agreement {
            Agreement::Clear => Ok(None),
            Agreement::Not(objection) => {
                self.objection = Some(objection);
                Ok(None)
            }
            // What came in clear must never pass for something decrypted.
            Agreement::Tls(_) if self.reader.buffered() > 0 => Err(FrontError::Hasty),
            Agreement::Tls(cover) => Ok(Some(cover)),
        }
    }

    fn on_login(&mut self, payload: &[u8]) -> Result<Event, FrontError> {
        let login = Login7::decode(payload)?;
        if self.state == State::ExpectPrelogin && self.offer == Offer::Required {
            self.objection = Some(Objection::NotEncrypted);
        }
        self.asked = Some(Asked {
            version: login.tds_version,
            features: login.features.iter().map(|feature| feature.id).collect(),
        });
        self.state = State::LoginAsked;
        Ok(Event::LoginRequested(Box::new(login)))
    }

    fn asked(&self) -> Result<&Asked, FrontError> {
        match (&self.asked, self.state) {
            (Some(asked), State::LoginAsked) => Ok(asked),
            (_, state) => Err(FrontError::NotAsked { state }),
        }
    }

    /// Appends a message to the output. Until the login is answered no packet
    /// is longer than 4096 bytes (MS-TDS 2.2.3.1.3); the answer to PRELOGIN is
    /// far shorter, so that it is the one packet that FreeTDS reads.
    fn send(&mut self, payload: &[u8], spid: u16) {
        let start = self.output.len();
        write_message(
            PacketType::TABULAR_RESULT,
            PacketStatus::NORMAL,
            payload,
            DEFAULT_PACKET_SIZE,
            &mut self.output,
        );
        for packet in self.output[start..].chunks_mut(DEFAULT_PACKET_SIZE) {
            if let Some(field) = packet.get_mut(4..6) {
                field.copy_from_slice(&spid.to_be_bytes());
            }
        }
    }
}

/// Whether it is jTDS with `ssl=request`, which asks for TLS if there is any.
///
/// Where only the login is encrypted, jTDS closes Java's TLS behind it, which
/// throws away what has come by then: an answer that comes at once is lost, and
/// jTDS waits for ever. With all of the connection encrypted it closes nothing.
/// It is known by its PRELOGIN, which is always the same: a driver's of SQL
/// Server 2000, its thread included.
fn is_jtds_asking_for_tls(asked: &Prelogin) -> bool {
    asked.encryption == Encryption::OFF
        && asked.version.to_bytes() == [8, 0, 0x01, 0x55, 0, 0]
        && asked.thread_id.map(u32::to_le_bytes) == Some([1, 2, 0, 0])
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The reader may hold part of a login, and a password in it.
        f.debug_struct("Front")
            .field("state", &self.state)
            .field("server_version", &self.server_version)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
