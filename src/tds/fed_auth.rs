//! Login with a token: the FEDAUTH feature of LOGIN7 (MS-TDS 2.2.6.4), the
//! server's FEDAUTHINFO (2.2.7.12) and the client's answer to it (2.2.6.3).

#[cfg(test)]
mod tests;

use std::fmt;

use zeroize::Zeroize;

use super::reader::decode_utf16_lossy;
use super::writer::utf16_len;
use super::{DecodeError, EncodeError, Feature, FeatureId, Put, Reader};
use crate::secret::Secret;

/// The FEDAUTH feature of a LOGIN7: how the client means to log in.
///
/// `echo` must repeat the server's FEDAUTHREQUIRED: true if and only if its
/// PRELOGIN answer said 1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FedAuth {
    /// Library 1: the token itself.
    SecurityToken {
        /// Repeats the server's FEDAUTHREQUIRED.
        echo: bool,
        /// The access token.
        token: Secret,
        /// The server's nonce, only if it sent one.
        nonce: Option<[u8; 32]>,
    },
    /// Library 2: the server shall first say where to get a token.
    Adal {
        /// Repeats the server's FEDAUTHREQUIRED.
        echo: bool,
        /// How the client gets its token: 1 password, 2 integrated, 3
        /// interactive or a managed identity.
        workflow: u8,
    },
    /// Another library: its number and the bytes that follow the first.
    Other {
        /// Repeats the server's FEDAUTHREQUIRED.
        echo: bool,
        /// The library, 7 bits.
        library: u8,
        /// What follows, kept out of `Debug` since it may hold a token.
        data: OpaqueBytes,
    },
}

impl FedAuth {
    /// The feature for LOGIN7.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] for a token beyond 128 KiB: no login holds it.
    pub fn to_feature(&self) -> Result<Feature, EncodeError> {
        let data = match self {
            Self::SecurityToken { echo, token, nonce } => {
                let len = token_len(token)?;
                let mut data = Vec::with_capacity(FIRST_BYTE + 4 + len + NONCE_LEN);
                data.put_u8(LIBRARY_SECURITY_TOKEN << 1 | u8::from(*echo));
                data.put_u32_le(u32::try_from(len).unwrap_or(u32::MAX));
                data.put_utf16(token.expose());
                data.put_slice(nonce.as_ref().map_or(&[], |nonce| nonce.as_slice()));
                data
            }
            Self::Adal { echo, workflow } => vec![LIBRARY_ADAL << 1 | u8::from(*echo), *workflow],
            Self::Other {
                echo,
                library,
                data,
            } => {
                let mut bytes = Vec::with_capacity(FIRST_BYTE + data.0.len());
                bytes.put_u8(library << 1 | u8::from(*echo));
                bytes.put_slice(&data.0);
                bytes
            }
        };
        Ok(Feature::new(FeatureId::FEDAUTH, data))
    }

    /// Reads the feature of a LOGIN7.
    ///
    /// # Errors
    /// [`DecodeError`] if its lengths do not add up, or the token is no text.
    pub fn from_feature(feature: &Feature) -> Result<Self, DecodeError> {
        let mut reader = Reader::named(WHAT, &feature.data);
        let first = reader.u8()?;
        let (echo, library) = (first & 1 != 0, first >> 1);
        match library {
            LIBRARY_SECURITY_TOKEN => Ok(Self::SecurityToken {
                echo,
                token: token(WHAT, reader.l_varbyte()?)?,
                nonce: nonce(WHAT, &mut reader)?,
            }),
            LIBRARY_ADAL => Ok(Self::Adal {
                echo,
                workflow: reader.u8()?,
            }),
            _ => Ok(Self::Other {
                echo,
                library,
                data: OpaqueBytes(reader.rest().to_vec()),
            }),
        }
    }

    /// Whether the client says that the server requires federated login.
    #[must_use]
    pub fn echo(&self) -> bool {
        match self {
            Self::SecurityToken { echo, .. }
            | Self::Adal { echo, .. }
            | Self::Other { echo, .. } => *echo,
        }
    }
}

/// Bytes that may hold a secret: `Debug` tells their number only, and they are
/// overwritten on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct OpaqueBytes(pub Vec<u8>);

impl fmt::Debug for OpaqueBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Drop for OpaqueBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The client's answer to FEDAUTHINFO: the payload of a
/// [`FEDAUTH_TOKEN`](super::PacketType::FEDAUTH_TOKEN) message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FedAuthToken {
    /// The access token.
    pub token: Secret,
    /// The server's nonce, only if it sent one.
    pub nonce: Option<[u8; 32]>,
}

impl FedAuthToken {
    /// Appends the payload.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] for a token beyond 128 KiB.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let nonce = self.nonce.as_ref().map_or(&[][..], |nonce| nonce);
        let len = token_len(&self.token)?;
        let total = 4 + len + nonce.len();
        out.reserve(4 + total);
        out.put_u32_le(u32::try_from(total).unwrap_or(u32::MAX));
        out.put_u32_le(u32::try_from(len).unwrap_or(u32::MAX));
        out.put_utf16(self.token.expose());
        out.put_slice(nonce);
        Ok(())
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// [`DecodeError`] if its lengths do not add up, or the token is no text.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "the FEDAUTH token message";
        let data = Reader::named(WHAT, payload).l_varbyte()?;
        let mut reader = Reader::named(WHAT, data);
        Ok(Self {
            token: token(WHAT, reader.l_varbyte()?)?,
            nonce: nonce(WHAT, &mut reader)?,
        })
    }
}

/// FEDAUTHINFO (token 0xEE): where the client shall get its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FedAuthInfo {
    /// The token service's URL, which names the server's tenant.
    pub sts_url: String,
    /// The resource to ask a token for.
    pub spn: String,
}

impl FedAuthInfo {
    /// Appends what follows the token byte, its length included.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] beyond 4 GiB.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.len_prefixed_u32("FEDAUTHINFO", |out| {
            let infos = [(INFO_STS_URL, &self.sts_url), (INFO_SPN, &self.spn)];
            out.put_u32_le(2);
            let mut offset = 4 + infos.len() * INFO_LEN;
            for (id, text) in infos {
                let len = utf16_len(text) * 2;
                out.put_u8(id);
                out.put_u32_le(fit_u32(len)?);
                out.put_u32_le(fit_u32(offset)?);
                offset += len;
            }
            infos.iter().for_each(|(_, text)| out.put_utf16(text));
            Ok(())
        })
    }

    /// Reads what follows the token's length; ids that are unknown are skipped.
    ///
    /// # Errors
    /// [`DecodeError`] if an offset leaves the token, or if either text is
    /// missing.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "FEDAUTHINFO";
        let mut reader = Reader::named(WHAT, data);
        let (mut sts_url, mut spn) = (None, None);
        for _ in 0..reader.u32_le()? {
            let (id, len, offset) = (reader.u8()?, reader.u32_le()?, reader.u32_le()?);
            let wanted = match id {
                INFO_STS_URL => &mut sts_url,
                INFO_SPN => &mut spn,
                _ => continue,
            };
            // Offsets count from the number of ids, where `data` begins.
            let text = slice(data, offset, len).ok_or(DecodeError::Invalid {
                what: WHAT,
                problem: "a text lies outside of the token",
            })?;
            *wanted = Some(decode_utf16_lossy(text));
        }
        match (sts_url, spn) {
            (Some(sts_url), Some(spn)) => Ok(Self { sts_url, spn }),
            _ => Err(DecodeError::Invalid {
                what: WHAT,
                problem: "the token service or the resource is missing",
            }),
        }
    }
}

const WHAT: &str = "the FEDAUTH feature";
const FIRST_BYTE: usize = 1;
const NONCE_LEN: usize = 32;
const LIBRARY_SECURITY_TOKEN: u8 = 0x01;
const LIBRARY_ADAL: u8 = 0x02;
const INFO_STS_URL: u8 = 0x01;
const INFO_SPN: u8 = 0x02;
/// Id, length and offset.
const INFO_LEN: usize = 9;
/// What a LOGIN7 can hold (MS-TDS 2.2.6.4).
const MAX_TOKEN: usize = super::login7::MAX_LOGIN;

/// Length of the token's bytes on the wire, if a login can hold them.
fn token_len(token: &Secret) -> Result<usize, EncodeError> {
    match utf16_len(token.expose()) * 2 {
        len if len > MAX_TOKEN => Err(EncodeError::TooLong {
            what: "the access token",
            len,
            max: MAX_TOKEN,
        }),
        len => Ok(len),
    }
}

fn token(what: &'static str, utf16: &[u8]) -> Result<Secret, DecodeError> {
    let invalid = |problem| DecodeError::Invalid { what, problem };
    if utf16.len() > MAX_TOKEN {
        return Err(DecodeError::TooLong {
            what: "the access token",
            len: utf16.len() as u64,
            max: MAX_TOKEN as u64,
        });
    }
    let (units, []) = utf16.as_chunks::<2>() else {
        return Err(invalid("the token has an odd number of bytes"));
    };
    // Reserved for the longest outcome, so that growing leaves no copy behind.
    let mut text = String::with_capacity(units.len() * 3);
    for unit in char::decode_utf16(units.iter().copied().map(u16::from_le_bytes)) {
        match unit {
            Ok(unit) => text.push(unit),
            Err(_) => {
                text.zeroize();
                return Err(invalid("the token is not UTF-16 text"));
            }
        }
    }
    Ok(Secret::new(text))
}

fn nonce(what: &'static str, reader: &mut Reader<'_>) -> Result<Option<[u8; 32]>, DecodeError> {
    if reader.is_empty() {
        return Ok(None);
    }
    let nonce = reader.array()?;
    if !reader.is_empty() {
        return Err(DecodeError::Invalid {
            what,
            problem: "bytes follow the nonce",
        });
    }
    Ok(Some(nonce))
}

fn slice(data: &[u8], offset: u32, len: u32) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    data.get(start..end)
}

fn fit_u32(len: usize) -> Result<u32, EncodeError> {
    u32::try_from(len).map_err(|_| EncodeError::TooLong {
        what: "FEDAUTHINFO",
        len,
        max: u32::MAX as usize,
    })
}
