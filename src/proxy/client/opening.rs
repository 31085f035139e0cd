//! What a client begins with.

use super::GreetError;
use crate::tds::PacketType;

/// TLS record types (RFC 8446, 5.1).
const ALERT: u8 = 0x15;
const HANDSHAKE: u8 = 0x16;

/// A fatal alert, `handshake_failure`: what a server without TLS can say to a
/// client that begins with it (RFC 8446, 6.2).
pub(super) const TLS_REFUSED: [u8; 7] = [ALERT, 3, 3, 0, 2, 2, 40];

/// The protocols that are served.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// PRELOGIN or LOGIN7.
    Tds,
    /// TLS first.
    Tls,
}

/// Tells the protocol from its first bytes.
pub(super) fn of(start: &[u8]) -> Result<Opening, GreetError> {
    match start.first().copied() {
        None => Err(GreetError::Silent),
        Some(HANDSHAKE) => Ok(Opening::Tls),
        Some(first) if PacketType(first) == PacketType::PRELOGIN => Ok(Opening::Tds),
        Some(first) if PacketType(first) == PacketType::LOGIN7 => Ok(Opening::Tds),
        Some(first) => Err(GreetError::Foreign {
            first,
            looks_like: looks_like(start),
        }),
    }
}

fn looks_like(start: &[u8]) -> &'static str {
    const METHODS: [&[u8]; 7] = [
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"PUT ",
        b"OPTIONS ",
        b"CONNECT ",
        b"PRI * ",
    ];
    const PROXY_2: &[u8] = b"\r\n\r\n\0\r\nQ";
    let begins = |with: &&[u8]| {
        let length = with.len().min(start.len());
        length > 2 && with.get(..length) == start.get(..length)
    };
    match start {
        _ if METHODS.iter().any(begins) => "an HTTP request",
        _ if [b"PROXY ".as_slice(), PROXY_2].iter().any(begins) => {
            "the PROXY protocol of a load balancer; turn it off there"
        }
        [ALERT, 3, ..] => "a TLS alert",
        // An SSLRequest or a StartupMessage begins with its length.
        [0, 0, _, _, 0, 3, 0, 0] | [0, 0, 0, 8, 4, 210, 22, 47] => "PostgreSQL's protocol",
        [0x02, ..] => "a login of before TDS 7",
        _ => "nothing that is known",
    }
}
