//! PRELOGIN: the first message of either side (MS-TDS 2.2.6.5).

#[cfg(test)]
mod tests;

use std::fmt;

use super::{DecodeError, EncodeError, Put, Reader};

/// PRELOGIN, from a client or as a server's answer.
///
/// Options that this type does not name are skipped when reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prelogin {
    /// The sender's version; a server derives client behaviour from it and some
    /// clients the width of DONE.
    pub version: Version,
    /// What the sender wants of encryption. Taken as
    /// [`NOT_SUP`](Encryption::NOT_SUP) if the option is missing.
    pub encryption: Encryption,
    /// INSTOPT as it stands: from a client the instance name with its closing
    /// zero byte, from a server 0 for a match and 1 for a wrong instance.
    pub instance: Option<Vec<u8>>,
    /// The client's thread, for debugging.
    pub thread_id: Option<u32>,
    /// Whether the sender wants, or allows, several requests at a time.
    pub mars: Option<bool>,
    /// Connection id 16, activity id 16, sequence 4 bytes.
    pub trace_id: Option<[u8; 36]>,
    /// FEDAUTHREQUIRED: 1 from a client that can log in with a token; from a
    /// server 1 if it insists. LOGIN7's FEDAUTH echo bit repeats the answer.
    pub fed_auth_required: Option<u8>,
    /// A nonce that binds the token to this connection.
    pub nonce: Option<[u8; 32]>,
}

impl Prelogin {
    /// PRELOGIN with the two options that are always there.
    #[must_use]
    pub fn new(version: Version, encryption: Encryption) -> Self {
        Self {
            version,
            encryption,
            instance: None,
            thread_id: None,
            mars: None,
            trace_id: None,
            fed_auth_required: None,
            nonce: None,
        }
    }

    /// The instance name that a client asks for, without its closing zero.
    #[must_use]
    pub fn instance_name(&self) -> Option<&[u8]> {
        let raw = self.instance.as_deref()?;
        Some(raw.split(|&byte| byte == 0).next().unwrap_or_default())
    }

    /// Appends the payload of a client's PRELOGIN.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] if the instance name passes 255 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode_options(&self.options(false)?, out);
        Ok(())
    }

    /// Appends the payload of a server's answer, in the form that old drivers
    /// need: INSTOPT, an empty THREADID and MARS stand in it even if they are
    /// `None`. jTDS reads the answer by position, and FreeTDS falls back to
    /// 7.1 if MARS is missing.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] if INSTOPT passes 255 bytes.
    pub fn encode_answer(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode_options(&self.options(true)?, out);
        Ok(())
    }

    /// Reads the payload of either side's message.
    ///
    /// # Errors
    /// [`DecodeError`] if VERSION is not the first option, or if an option lies
    /// outside the message or has an impossible length.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut table = Reader::named(WHAT, payload);
        let mut prelogin = None;
        loop {
            let token = table.u8()?;
            if token == TERMINATOR {
                return prelogin.ok_or_else(|| invalid("it has no options"));
            }
            let (offset, len) = (table.u16_be()?, table.u16_be()?);
            let data = option_data(payload, offset, len)?;
            match &mut prelogin {
                None if token == VERSION => {
                    let version = Version::from_bytes(exact(token, data)?);
                    prelogin = Some(Self::new(version, Encryption::NOT_SUP));
                }
                None => return Err(invalid("its first option is not VERSION")),
                Some(prelogin) => prelogin.set(token, data)?,
            }
        }
    }

    fn set(&mut self, token: u8, data: &[u8]) -> Result<(), DecodeError> {
        // An empty option says as much as a missing one.
        if data.is_empty() && token != INSTOPT {
            return Ok(());
        }
        match token {
            ENCRYPTION => self.encryption = Encryption(first(exact(token, data)?)),
            INSTOPT => self.instance = Some(data.to_vec()),
            THREADID => self.thread_id = Some(u32::from_le_bytes(exact(token, data)?)),
            MARS => self.mars = Some(first(exact(token, data)?) != 0),
            TRACEID => self.trace_id = Some(exact(token, data)?),
            FEDAUTHREQUIRED => self.fed_auth_required = Some(first(exact(token, data)?)),
            NONCEOPT => self.nonce = Some(exact(token, data)?),
            _ => {}
        }
        Ok(())
    }

    fn options(&self, answer: bool) -> Result<Vec<(u8, Vec<u8>)>, EncodeError> {
        let mut options = vec![
            (VERSION, self.version.to_bytes().to_vec()),
            (ENCRYPTION, vec![self.encryption.0]),
        ];
        let mut add = |token, data: Option<Vec<u8>>, in_answer: &[u8]| match data {
            Some(data) => options.push((token, data)),
            None if answer => options.push((token, in_answer.to_vec())),
            None => {}
        };
        add(INSTOPT, self.instance.clone(), &[0]);
        add(
            THREADID,
            self.thread_id.map(|id| id.to_le_bytes().to_vec()),
            &[],
        );
        add(MARS, self.mars.map(|mars| vec![mars.into()]), &[0]);
        options.extend(self.trace_id.map(|id| (TRACEID, id.to_vec())));
        options.extend(
            self.fed_auth_required
                .map(|value| (FEDAUTHREQUIRED, vec![value])),
        );
        options.extend(self.nonce.map(|nonce| (NONCEOPT, nonce.to_vec())));

        match self.instance.as_ref().map_or(0, Vec::len) {
            len if len > MAX_INSTANCE => Err(EncodeError::TooLong {
                what: "the instance name",
                len,
                max: MAX_INSTANCE,
            }),
            _ => Ok(options),
        }
    }
}

/// A version as PRELOGIN carries it, of a driver or of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// Major version; 16 is SQL Server 2022, and Azure SQL says 12.
    pub major: u8,
    /// Minor version.
    pub minor: u8,
    /// Build number.
    pub build: u16,
    /// Sub-build number.
    pub sub_build: u16,
}

impl Version {
    /// The six bytes of the VERSION option.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 6] {
        let [b0, b1] = self.build.to_be_bytes();
        let [s0, s1] = self.sub_build.to_le_bytes();
        [self.major, self.minor, b0, b1, s0, s1]
    }

    /// Reads the six bytes of the VERSION option.
    #[must_use]
    pub fn from_bytes([major, minor, b0, b1, s0, s1]: [u8; 6]) -> Self {
        Self {
            major,
            minor,
            build: u16::from_be_bytes([b0, b1]),
            sub_build: u16::from_le_bytes([s0, s1]),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}.{}.{}",
            self.major, self.minor, self.build, self.sub_build
        )
    }
}

/// The ENCRYPTION option (MS-TDS 2.2.6.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Encryption(pub u8);

impl Encryption {
    /// Encryption is available, but off: only the login is encrypted.
    pub const OFF: Self = Self(0x00);
    /// Encryption is available and on.
    pub const ON: Self = Self(0x01);
    /// Encryption is not available.
    pub const NOT_SUP: Self = Self(0x02);
    /// Encryption is required.
    pub const REQ: Self = Self(0x03);
    /// Reserved bit.
    pub const EXT: Self = Self(0x20);
    /// Bit: the client offers a certificate instead of a password.
    pub const CLIENT_CERT: Self = Self(0x80);

    /// One of the four plain values, without the bits above.
    #[must_use]
    pub fn level(self) -> Self {
        Self(self.0 & 0x1F)
    }

    /// Whether the client offers a certificate.
    #[must_use]
    pub fn has_client_cert(self) -> bool {
        self.0 & Self::CLIENT_CERT.0 != 0
    }
}

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OFF => f.write_str("OFF"),
            Self::ON => f.write_str("ON"),
            Self::NOT_SUP => f.write_str("NOT_SUP"),
            Self::REQ => f.write_str("REQ"),
            Self(other) => write!(f, "{other:#04x}"),
        }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

const WHAT: &str = "PRELOGIN";
const VERSION: u8 = 0x00;
const ENCRYPTION: u8 = 0x01;
const INSTOPT: u8 = 0x02;
const THREADID: u8 = 0x03;
const MARS: u8 = 0x04;
const TRACEID: u8 = 0x05;
const FEDAUTHREQUIRED: u8 = 0x06;
const NONCEOPT: u8 = 0x07;
const TERMINATOR: u8 = 0xFF;
/// Length of an entry in the option table.
const ENTRY_LEN: usize = 5;
const MAX_INSTANCE: usize = 255;

fn encode_options(options: &[(u8, Vec<u8>)], out: &mut Vec<u8>) {
    // All lengths are bounded by `options`, so offsets stay far below 64 KiB.
    let mut offset = options.len() * ENTRY_LEN + 1;
    for (token, data) in options {
        out.put_u8(*token);
        out.put_u16_be(u16::try_from(offset).unwrap_or(u16::MAX));
        out.put_u16_be(u16::try_from(data.len()).unwrap_or(u16::MAX));
        offset += data.len();
    }
    out.put_u8(TERMINATOR);
    for (_, data) in options {
        out.put_slice(data);
    }
}

fn option_data(payload: &[u8], offset: u16, len: u16) -> Result<&[u8], DecodeError> {
    if len == 0 {
        return Ok(&[]);
    }
    let start = usize::from(offset);
    payload
        .get(start..start + usize::from(len))
        .ok_or_else(|| invalid("an option lies outside of the message"))
}

fn exact<const N: usize>(token: u8, data: &[u8]) -> Result<[u8; N], DecodeError> {
    <[u8; N]>::try_from(data).map_err(|_| {
        invalid(match token {
            VERSION => "VERSION is not 6 bytes long",
            ENCRYPTION => "ENCRYPTION is not 1 byte long",
            THREADID => "THREADID is neither empty nor 4 bytes long",
            MARS => "MARS is not 1 byte long",
            TRACEID => "TRACEID is not 36 bytes long",
            FEDAUTHREQUIRED => "FEDAUTHREQUIRED is not 1 byte long",
            _ => "NONCEOPT is not 32 bytes long",
        })
    })
}

fn first([byte]: [u8; 1]) -> u8 {
    byte
}

fn invalid(problem: &'static str) -> DecodeError {
    DecodeError::Invalid {
        what: WHAT,
        problem,
    }
}
