//! A transcoder by itself: bytes in, bytes out.

use entrada::tds::Collation as TheirCollation;
use entrada::transcode::{OldVersion, Settings, TranscodeError, Transcoder};

use super::bytes::Read;
use super::samples::LATIN1;
use super::show::View;
use super::version::Version;

/// The packet sizes of both sides, and the most that is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) client: usize,
    pub(super) server: usize,
    pub(super) hold: usize,
}

pub(super) const SIZES: Sizes = Sizes {
    client: 4096,
    server: 4096,
    hold: 1 << 20,
};

pub(super) fn transcoder(version: Version, sizes: Sizes) -> Transcoder {
    Transcoder::new(&Settings {
        version: OldVersion::of(version.number()).unwrap(),
        client_packet_size: sizes.client,
        server_packet_size: sizes.server,
        collation: TheirCollation(LATIN1),
        hold_limit: sizes.hold,
    })
}

pub(super) fn view(version: Version) -> View {
    View {
        version,
        collation: LATIN1,
    }
}

/// A message in packets of a size, each full but the last.
pub(super) fn packets(kind: u8, status: u8, payload: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let parts: Vec<_> = payload.chunks(size - 8).collect();
    let parts = if parts.is_empty() {
        vec![&[][..]]
    } else {
        parts
    };
    for (at, part) in parts.iter().enumerate() {
        let last = at + 1 == parts.len();
        // Resets stand on the first packet, the end and what takes back on the last.
        let status =
            if at == 0 { status & 0x18 } else { 0 } | if last { status & 0x02 | 1 } else { 0 };
        let length = u16::try_from(part.len() + 8).unwrap().to_be_bytes();
        out.extend([kind, status, length[0], length[1], 0, 51, (at + 1) as u8, 0]);
        out.extend(*part);
    }
    out
}

/// A message, put together from packets of at most a size.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) kind: u8,
    /// The status of each packet.
    pub(super) statuses: Vec<u8>,
    pub(super) lengths: Vec<usize>,
    pub(super) payload: Vec<u8>,
}

/// Takes packets apart.
pub(super) fn messages(mut bytes: &[u8], size: usize) -> Read<Vec<Whole>> {
    let mut all: Vec<Whole> = Vec::new();
    let mut open = false;
    while !bytes.is_empty() {
        let header = bytes.get(..8).ok_or("half a header")?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if length < 8 || length > size {
            return Err(format!("a packet of {length} bytes where {size} may be"));
        }
        let data = bytes.get(8..length).ok_or("half a packet")?;
        if !open {
            let kind = header[0];
            all.push(Whole {
                kind,
                statuses: vec![],
                lengths: vec![],
                payload: vec![],
            });
        }
        let message = all.last_mut().unwrap();
        if message.kind != header[0] {
            return Err(format!(
                "a packet of {} in a message of {}",
                header[0], message.kind
            ));
        }
        message.statuses.push(header[1]);
        message.lengths.push(length);
        message.payload.extend(data);
        open = header[1] & 1 == 0;
        bytes = &bytes[length..];
    }
    if open {
        return Err("a message without an end".into());
    }
    Ok(all)
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    ToServer,
    ToClient,
}

/// What comes out of the pieces, to the end or to the error.
pub(super) fn push<'a>(
    transcoder: &mut Transcoder,
    way: Way,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<u8>, Result<(), TranscodeError>) {
    let mut out = Vec::new();
    for mut piece in pieces {
        while !piece.is_empty() {
            let taken = match way {
                Way::ToServer => transcoder.requests(piece),
                Way::ToClient => transcoder.answers(piece),
            };
            let made = match way {
                Way::ToServer => transcoder.to_server(),
                Way::ToClient => transcoder.to_client(),
            };
            let idle = made.is_empty();
            out.extend(made);
            match way {
                Way::ToServer => transcoder.sent_to_server(),
                Way::ToClient => transcoder.sent_to_client(),
            }
            match taken {
                Err(error) => return (out, Err(error)),
                Ok(taken) => {
                    assert!(
                        taken == piece.len() || !idle,
                        "nothing taken in, nothing made"
                    );
                    piece = &piece[taken..];
                }
            }
        }
    }
    (out, Ok(()))
}

/// All of an answer, for a client that has just logged in.
pub(super) fn answer(version: Version, sizes: Sizes, payload: &[u8]) -> Vec<u8> {
    let bytes = packets(4, 0, payload, sizes.server);
    let (out, end) = push(&mut transcoder(version, sizes), Way::ToClient, [&bytes[..]]);
    end.unwrap_or_else(|e| panic!("{version:?}: {e:?}"));
    let mut messages = messages(&out, sizes.client).unwrap();
    assert_eq!(messages.len(), 1, "{version:?}");
    let message = messages.remove(0);
    assert_eq!(message.kind, 4);
    message.payload
}
