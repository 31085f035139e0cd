//! The transcoder in both directions: no panic, the same packets however the
//! bytes are cut, little memory, and what comes out can be read by the other side.

use crate::answer::{self, Layout};
use crate::cuts::Cuts;
use crate::held;
use crate::tds::{
    Collation, HEADER_LEN, PacketHeader, PacketStatus, PacketType, RpcCall, TdsVersion,
    parse_all_headers, write_message,
};
use crate::transcode::{OldVersion, Settings, TranscodeError, Transcoder};

/// What a client says.
pub fn transcode_requests(data: &[u8]) {
    let Some((plan, payload)) = Plan::read(data) else {
        return;
    };
    let payload = &plan.repeated(payload)[..];
    let bytes = plan.request(payload);
    let run = |cuts| {
        plan.run(&bytes, cuts, Transcoder::requests, |transcoder, sent| {
            sent.extend_from_slice(transcoder.to_server());
            held::counted(|| transcoder.sent_to_server());
        })
    };
    let whole = run(Cuts::of(0));
    whole.assert_is(&run(Cuts::of(plan.seed)));
    whole.assert_is(&run(Cuts::of(1)));

    let messages = messages(&whole.made, plan.server_packet_size, true);
    if plan.is_plain_call() && whole.error.is_none() {
        let (_, sent) = messages.last().expect("a message");
        assert_same_calls(payload, sent);
    }
}

/// What a server says.
pub fn transcode_answers(data: &[u8]) {
    let Some((plan, payload)) = Plan::read(data) else {
        return;
    };
    let payload = &plan.repeated(payload)[..];
    let bytes = plan.answer(payload);
    let run = |cuts| {
        plan.run(&bytes, cuts, Transcoder::answers, |transcoder, made| {
            made.extend_from_slice(transcoder.to_client());
            held::counted(|| transcoder.sent_to_client());
        })
    };
    let whole = run(Cuts::of(0));
    whole.assert_is(&run(Cuts::of(plan.seed)));
    whole.assert_is(&run(Cuts::of(1)));

    let told = messages(&whole.made, plan.client_packet_size, false);
    if plan.raw || whole.error.is_some() {
        return;
    }
    let [(PacketType::TABULAR_RESULT, told)] = &told[..] else {
        panic!("one answer");
    };
    // What makes no sense may pass where it makes no difference.
    if let Ok(said) = answer::read(Layout::V7_4, payload) {
        let told = answer::read(plan.layout(), told).expect("an answer that can be read");
        answer::assert_same(plan.layout(), &said, &told);
    }
}

/// The first bytes of an input say how the rest is used.
#[derive(Clone, Copy, Debug)]
struct Plan {
    version: OldVersion,
    client_packet_size: usize,
    server_packet_size: usize,
    hold_limit: usize,
    /// The bytes are packets as they stand; else they are the payload of one
    /// message.
    raw: bool,
    kind: PacketType,
    /// INSERT BULK comes before.
    after_insert_bulk: bool,
    first_status: PacketStatus,
    seed: u16,
    /// What stands from here on is repeated, so often: more than is made in one go.
    repeat_from: usize,
    times: usize,
}

/// What came of the bytes.
struct Outcome {
    made: Vec<u8>,
    error: Option<String>,
}

impl Outcome {
    /// Where an error is found, and what it counts, may depend on the cut.
    fn assert_is(&self, cut: &Self) {
        let kind = |outcome: &Self| {
            let error = outcome.error.as_deref();
            error.map(|error| error.split([' ', '(', '{']).next().map(str::to_owned))
        };
        assert_eq!(kind(self), kind(cut), "{:?}, {:?}", self.error, cut.error);
        let same = match self.error {
            None => self.made == cut.made,
            Some(_) => self.made.starts_with(&cut.made) || cut.made.starts_with(&self.made),
        };
        assert!(same, "cut in another way");
    }
}

impl Plan {
    /// Length of what stands before the payload.
    const LEN: usize = 8;

    fn read(data: &[u8]) -> Option<(Self, &[u8])> {
        const SIZES: [usize; 6] = [512, 513, 1000, 4096, 8000, 32767];
        const LIMITS: [usize; 5] = [0, 40, 300, 4096, 1 << 20];
        const VERSIONS: [OldVersion; 4] = [
            OldVersion::V7_1Rev1,
            OldVersion::V7_1,
            OldVersion::V7_2,
            OldVersion::V7_3A,
        ];
        const KINDS: [PacketType; 4] = [
            PacketType::RPC,
            PacketType::SQL_BATCH,
            PacketType::BULK_LOAD,
            PacketType::TRANSACTION_MANAGER,
        ];
        let (&[flags, client, server, limit, low, high, times, from], payload) =
            data.split_first_chunk::<{ Self::LEN }>()?;
        let of = |sizes: &[usize], byte: u8| sizes[usize::from(byte) % sizes.len()];
        let plan = Self {
            version: VERSIONS[usize::from(flags & 3)],
            client_packet_size: of(&SIZES, client),
            server_packet_size: of(&SIZES, server),
            hold_limit: of(&LIMITS, limit),
            raw: flags & 4 != 0,
            kind: KINDS[usize::from(flags >> 3 & 3)],
            after_insert_bulk: flags & 32 != 0,
            first_status: PacketStatus(flags >> 6 & 1 << 3),
            seed: u16::from_le_bytes([low, high]),
            repeat_from: from.into(),
            times: 1 << (times & 15),
        };
        Some((plan, payload))
    }

    /// The payload with its repetitions; what is long enough is not repeated.
    fn repeated(&self, payload: &[u8]) -> Vec<u8> {
        const LONGEST: usize = 128 * 1024;
        let again = payload.get(self.repeat_from..).unwrap_or_default();
        let times = (LONGEST / again.len().max(1)).clamp(1, self.times);
        let mut bytes = payload.to_vec();
        bytes.extend_from_slice(&again.repeat(times - 1));
        bytes
    }

    fn settings(&self) -> Settings {
        Settings {
            version: self.version,
            client_packet_size: self.client_packet_size,
            server_packet_size: self.server_packet_size,
            collation: Collation::SQL_LATIN1_GENERAL_CP1_CI_AS,
            hold_limit: self.hold_limit,
        }
    }

    /// The most that may be held for these bytes: what is made in one go, a unit
    /// or two, the row, and the columns that the server told.
    fn most_held(&self, bytes: usize) -> usize {
        (2 << 20) + 4 * self.hold_limit + 64 * bytes
    }

    fn request(&self, payload: &[u8]) -> Vec<u8> {
        if self.raw {
            return payload.to_vec();
        }
        let mut bytes = Vec::new();
        if self.after_insert_bulk {
            let text: Vec<u8> = "insert bulk t"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect();
            let none = PacketStatus::NORMAL;
            write_message(PacketType::SQL_BATCH, none, &text, 512, &mut bytes);
        }
        let size = self.client_packet_size;
        write_message(self.kind, self.first_status, payload, size, &mut bytes);
        bytes
    }

    fn answer(&self, payload: &[u8]) -> Vec<u8> {
        if self.raw {
            return payload.to_vec();
        }
        let mut bytes = Vec::new();
        let (kind, status) = (PacketType::TABULAR_RESULT, PacketStatus::NORMAL);
        write_message(kind, status, payload, self.server_packet_size, &mut bytes);
        bytes
    }

    /// A call of a 7.1 client, and nothing else.
    fn is_plain_call(&self) -> bool {
        !self.raw && self.version.is_7_1() && self.kind == PacketType::RPC
    }

    fn run(
        &self,
        bytes: &[u8],
        mut cuts: Cuts,
        take: impl Fn(&mut Transcoder, &[u8]) -> Result<usize, TranscodeError>,
        send: impl Fn(&mut Transcoder, &mut Vec<u8>),
    ) -> Outcome {
        held::reset();
        let settings = self.settings();
        let mut transcoder = held::counted(|| Transcoder::new(&settings));
        let mut outcome = Outcome {
            made: Vec::new(),
            error: None,
        };
        let mut rest = bytes;
        'pieces: while !rest.is_empty() {
            let mut piece = cuts.next(&mut rest);
            while !piece.is_empty() {
                let before = outcome.made.len();
                let taken = held::counted(|| take(&mut transcoder, piece));
                // What is copied here is not counted, what is freed must be.
                send(&mut transcoder, &mut outcome.made);
                match taken {
                    Ok(taken) => {
                        assert!(taken > 0 || outcome.made.len() > before, "a hang");
                        piece = &piece[taken..];
                    }
                    Err(error) => {
                        outcome.error = Some(format!("{error:?}"));
                        break 'pieces;
                    }
                }
            }
        }
        held::counted(|| drop(transcoder));
        let most = held::most();
        assert!(most <= self.most_held(bytes.len()), "{most} bytes held");
        outcome
    }

    fn layout(&self) -> Layout {
        match self.version {
            OldVersion::V7_1 | OldVersion::V7_1Rev1 => Layout::V7_1,
            OldVersion::V7_2 => Layout::V7_2,
            OldVersion::V7_3A => Layout::V7_3A,
        }
    }
}

/// Whole messages; that each packet is as it must be is checked.
fn messages(bytes: &[u8], packet_size: usize, full: bool) -> Vec<(PacketType, Vec<u8>)> {
    let mut messages = Vec::new();
    let mut payload = Vec::new();
    let mut rest = bytes;
    let mut first = None;
    while let Some(header) = rest.first_chunk::<HEADER_LEN>() {
        let header = PacketHeader::decode(header).expect("a header");
        let length = usize::from(header.length);
        let last = header.status.contains(PacketStatus::EOM);
        assert!(length <= packet_size && length <= rest.len());
        assert!(last || !full || length == packet_size, "a full packet");
        payload.extend_from_slice(&rest[HEADER_LEN..length]);
        rest = &rest[length..];
        // An attention may follow the packets of what it takes back.
        if header.packet_type == PacketType::ATTENTION {
            payload.clear();
            first = None;
        } else {
            let first = *first.get_or_insert(header.packet_type);
            assert_eq!(first, header.packet_type);
        }
        if last {
            let ignored = header.status.contains(PacketStatus::IGNORE);
            let payload = std::mem::take(&mut payload);
            if !ignored {
                messages.push((header.packet_type, payload));
            }
            first = None;
        }
    }
    assert!(rest.is_empty(), "whole packets");
    messages
}

/// The server reads the calls that the client meant.
fn assert_same_calls(meant: &[u8], sent: &[u8]) {
    let (descriptor, sent) = parse_all_headers(sent).expect("headers");
    assert_eq!(descriptor, 0);
    let sent = RpcCall::decode_all(TdsVersion::V7_4, sent).expect("calls");
    let meant = RpcCall::decode_all(TdsVersion::V7_1, meant).expect("calls");
    assert_eq!(sent.len(), meant.len());
    for (sent, meant) in sent.iter().zip(&meant) {
        assert_eq!(sent.procedure, meant.procedure);
        assert_eq!(sent.params.len(), meant.params.len());
        for (sent, meant) in sent.params.iter().zip(&meant.params) {
            assert_eq!(sent.name, meant.name);
            assert_eq!((sent.by_ref, sent.default), (meant.by_ref, meant.default));
            assert_eq!(sent.value, meant.value);
        }
    }
}
