//! Where a client and its session stand: which requests were sent, which answers
//! are due. Sans-IO; it reads packet headers, and of the data only what it must.

use crate::tds::{
    Done, DoneStatus, HEADER_LEN, MAX_PACKET_SIZE, PacketHeader, PacketStatus, PacketType, Put,
    TdsVersion, WordFinder, announces_rows,
};

/// Length of DONE from TDS 7.2 on, its token byte included (MS-TDS 2.2.7.6).
const DONE_LEN: usize = 13;
/// The first byte of an SMP header, which carries TDS packets when MARS is on.
const SMP: u8 = 0x53;

/// Follows both directions of a relay.
///
/// | Client sends | goes to the server | answers due |
/// | --- | --- | --- |
/// | a request, bulk rows | as it is | 1 more |
/// | the same, taken back by the ignore bit | as it is | 1 more, without DONE_ATTN |
/// | an attention between messages | as it is | a DONE_ATTN, which settles all that was due |
/// | an attention inside a message | as the ignore bit's packet | 1 more, which we replace by DONE_ATTN |
#[derive(Debug)]
pub(super) struct Track {
    packet_size: usize,
    /// Requests sent whole.
    pub(super) requests: u64,
    /// Answers that have begun.
    pub(super) answers: u64,
    /// What kind of request is half sent.
    request: Option<PacketType>,
    /// Answers due; those that an attention will settle included.
    due: u32,
    /// Attentions without their DONE_ATTN.
    attentions: u32,
    /// Of the answers due, those for requests sent after the last attention.
    due_after_attention: u32,
    /// An answer that the client must not see, after so many others.
    replaced_after: Option<u32>,
    /// It comes after so many DONE_ATTN, too.
    replaced_after_attentions: u32,
    answer: Answer,
    app_role: WordFinder,
    traces: Traces,
}

/// What requests have left behind that a reset of the session does not undo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traces {
    /// An application role may be in force; nothing ends it but logging out.
    pub(super) app_role: bool,
    /// `INSERT BULK` has been announced, and its rows have not been sent.
    pub(super) awaits_rows: bool,
    /// The server has said something that nobody asked for.
    pub(super) stray: bool,
}

/// The answer that is on its way.
#[derive(Debug, Default)]
struct Answer {
    /// Whether a message has begun and not ended.
    begun: bool,
    /// Whether the packet at hand is the message's last.
    last: bool,
    /// Data bytes of the packet at hand that are still to come.
    left: usize,
    replaced: bool,
    /// The latest data bytes, while an attention is unanswered.
    tail: [u8; DONE_LEN],
    tail_len: usize,
}

/// What is to be done with bytes from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// So many are the client's.
    Pass(usize),
    /// So many are not.
    Drop(usize),
    /// So many are not, and now [`Track::attention_answer`] is due.
    Replace(usize),
}

/// What is to be sent so that a session comes to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rescue {
    /// Nothing: what is due will come.
    Wait,
    /// This packet.
    Send([u8; HEADER_LEN]),
    /// There is no safe way.
    Hopeless,
}

/// How a side breaks the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(in crate::proxy) enum Fault {
    #[error(
        "the client uses MARS (its packets are in SMP frames), which it was told in PRELOGIN is off"
    )]
    Smp,
    #[error("the client sent a packet of type {0}, which is no request")]
    NotARequest(PacketType),
    #[error("the client began a packet of type {then} inside of a message of type {first}")]
    MixedTypes { first: PacketType, then: PacketType },
    #[error("the client sent a packet of {length} bytes; {negotiated} were agreed on")]
    PacketLength { length: usize, negotiated: usize },
    #[error("the client sent an attention with data in it")]
    LongAttention,
    #[error("the server sent a packet of type {0}, which is no answer")]
    NotAnAnswer(PacketType),
    #[error("the server sent a packet whose length is said to be {0} bytes")]
    AnswerLength(usize),
}

/// How far the client's bytes were understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scan {
    /// Bytes of whole packets, for the server.
    pub(super) forward: usize,
    /// What is wrong with the byte after them.
    pub(super) fault: Option<Fault>,
}

impl Track {
    /// Nothing is under way. `packet_size` is the one agreed on, in bytes.
    pub(super) fn new(packet_size: usize) -> Self {
        Self {
            packet_size,
            requests: 0,
            answers: 0,
            request: None,
            due: 0,
            attentions: 0,
            due_after_attention: 0,
            replaced_after: None,
            replaced_after_attentions: 0,
            answer: Answer::default(),
            app_role: WordFinder::new(b"SP_SETAPPROLE"),
            traces: Traces::default(),
        }
    }

    /// The packet size agreed on, in bytes.
    pub(super) fn packet_size(&self) -> usize {
        self.packet_size
    }

    /// Whether the session waits for a request and nobody for an answer.
    pub(super) fn at_rest(&self) -> bool {
        self.request.is_none() && !self.answers_due()
    }

    /// Whether the server has something left to say.
    pub(super) fn answers_due(&self) -> bool {
        self.due > 0 || self.attentions > 0 || self.replaced_after.is_some() || self.answer.begun
    }

    /// Whether an answer is half sent, so that nothing may be put in between.
    pub(super) fn mid_answer(&self) -> bool {
        self.answer.begun
    }

    /// Whether a request is half sent.
    pub(super) fn mid_request(&self) -> bool {
        self.request.is_some()
    }

    /// What the requests so far have left behind.
    pub(super) fn traces(&self) -> Traces {
        self.traces
    }

    /// Looks at what the client sent, from the beginning of a packet on. Only
    /// whole packets are to be forwarded; the rest is to be shown again, with
    /// what comes behind it. An attention that cancels a half-sent request is
    /// rewritten in place to the packet that the server understands.
    pub(super) fn requests(&mut self, bytes: &mut [u8]) -> Scan {
        let mut forward = 0;
        loop {
            let rest = bytes.get_mut(forward..).unwrap_or_default();
            match self.request_packet(rest) {
                Ok(Some(length)) => forward += length,
                Ok(None) => {
                    return Scan {
                        forward,
                        fault: None,
                    };
                }
                Err(fault) => {
                    return Scan {
                        forward,
                        fault: Some(fault),
                    };
                }
            }
        }
    }

    /// The length of the whole packet that the bytes begin with.
    fn request_packet(&mut self, bytes: &mut [u8]) -> Result<Option<usize>, Fault> {
        let Some(&first) = bytes.first() else {
            return Ok(None);
        };
        let kind = self.request_type(first)?;
        let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let (length, status) = (length_in(header), PacketStatus(header[1]));
        if length < HEADER_LEN || length > self.packet_size {
            return Err(Fault::PacketLength {
                length,
                negotiated: self.packet_size,
            });
        }
        if kind == PacketType::ATTENTION {
            if length != HEADER_LEN {
                return Err(Fault::LongAttention);
            }
            let replacement = self.attention();
            if let (Some(packet), Some(place)) = (replacement, bytes.first_chunk_mut()) {
                *place = packet;
            }
            return Ok(Some(length));
        }
        let Some(data) = bytes.get(HEADER_LEN..length) else {
            return Ok(None);
        };
        self.request_data(kind, data);
        self.request = Some(kind);
        if status.contains(PacketStatus::EOM) {
            self.request = None;
            self.requests += 1;
            self.expect_answer();
        }
        Ok(Some(length))
    }

    /// What a packet is by its first byte, if it may come now.
    fn request_type(&self, first: u8) -> Result<PacketType, Fault> {
        const REQUESTS: [PacketType; 5] = [
            PacketType::SQL_BATCH,
            PacketType::RPC,
            PacketType::ATTENTION,
            PacketType::BULK_LOAD,
            PacketType::TRANSACTION_MANAGER,
        ];
        let kind = PacketType(first);
        if first == SMP {
            return Err(Fault::Smp);
        }
        if !REQUESTS.contains(&kind) {
            return Err(Fault::NotARequest(kind));
        }
        match self.request {
            Some(begun) if begun != kind && kind != PacketType::ATTENTION => {
                Err(Fault::MixedTypes {
                    first: begun,
                    then: kind,
                })
            }
            _ => Ok(kind),
        }
    }

    fn request_data(&mut self, kind: PacketType, data: &[u8]) {
        let begins = self.request.is_none();
        if begins {
            self.app_role.restart();
            self.traces.awaits_rows = kind == PacketType::SQL_BATCH && announces_rows(data);
        }
        if kind == PacketType::SQL_BATCH || kind == PacketType::RPC {
            self.traces.app_role |= self.app_role.feed(data);
        }
    }

    fn expect_answer(&mut self) {
        self.due += 1;
        if self.attentions > 0 {
            self.due_after_attention += 1;
        }
    }

    /// Takes note of an attention; the packet to send in its place, if it is to
    /// be another.
    fn attention(&mut self) -> Option<[u8; HEADER_LEN]> {
        match self.request {
            // Some drivers cancel a long request so. The server would take the
            // attention for one that follows a request, so it gets what the
            // specification has for the case (MS-TDS 2.2.1.7); we answer.
            Some(kind) if self.replaced_after.is_none() => {
                self.request = None;
                self.replaced_after = Some(self.due);
                self.replaced_after_attentions = self.attentions;
                Some(take_back(kind))
            }
            _ => {
                self.attentions += 1;
                self.due_after_attention = 0;
                None
            }
        }
    }

    /// Looks at what the server sent. `None`: nothing is left, or a header is not
    /// whole; show it again with what comes behind it.
    ///
    /// # Errors
    /// When it is no answer.
    pub(super) fn answer(&mut self, bytes: &[u8]) -> Result<Option<Piece>, Fault> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let mut taken = 0;
        if self.answer.left == 0 {
            let Some(header) = answer_header(bytes)? else {
                return Ok(None);
            };
            self.begin_answer_packet(header);
            taken = HEADER_LEN;
        }
        let rest = bytes.get(taken..).unwrap_or_default();
        let data = rest.get(..self.answer.left).unwrap_or(rest);
        if self.attentions > 0 {
            self.answer.keep_tail(data);
        }
        self.answer.left -= data.len();
        taken += data.len();
        let replaced = self.answer.replaced;
        let ended = self.answer.left == 0 && self.answer.last;
        if ended {
            self.end_answer();
        }
        Ok(Some(match (replaced, ended) {
            (false, _) => Piece::Pass(taken),
            (true, false) => Piece::Drop(taken),
            (true, true) => Piece::Replace(taken),
        }))
    }

    fn begin_answer_packet(&mut self, header: PacketHeader) {
        if !self.answer.begun {
            self.answers += 1;
            self.answer = Answer {
                begun: true,
                replaced: self.replaced_after == Some(0) && self.replaced_after_attentions == 0,
                ..Answer::default()
            };
        }
        self.answer.last = header.status.contains(PacketStatus::EOM);
        self.answer.left = header.data_len();
    }

    fn end_answer(&mut self) {
        let acknowledges = self.attentions > 0 && self.answer.acknowledges_attention();
        let replaced = std::mem::take(&mut self.answer).replaced;
        if replaced {
            self.replaced_after = None;
        } else if acknowledges {
            self.attentions -= 1;
            if self.attentions == 0 {
                let left = std::mem::take(&mut self.due_after_attention);
                let settled = std::mem::replace(&mut self.due, left).saturating_sub(left);
                self.replaced_after = self.replaced_after.map(|n| n.saturating_sub(settled));
            }
            let before = self.replaced_after_attentions;
            self.replaced_after_attentions = before.saturating_sub(1);
        } else if let Some(left) = self.due.checked_sub(1) {
            self.due = left;
            self.replaced_after = self.replaced_after.map(|after| after.saturating_sub(1));
        } else {
            self.traces.stray = true;
        }
    }

    /// What a client gets for an attention that the server never saw.
    pub(super) fn attention_answer(spid: u16) -> Vec<u8> {
        let mut done = Vec::with_capacity(DONE_LEN);
        Done::new(DoneStatus::ATTN).encode(TdsVersion::V7_4, &mut done);
        let header = PacketHeader {
            packet_type: PacketType::TABULAR_RESULT,
            status: PacketStatus::EOM,
            length: (HEADER_LEN + DONE_LEN) as u16,
            spid,
            packet_id: 1,
            window: 0,
        };
        let mut packet = Vec::with_capacity(HEADER_LEN + DONE_LEN);
        packet.put_slice(&header.encode());
        packet.put_slice(&done);
        packet
    }

    /// Gives up on the client: what to send the server so that it comes to rest.
    /// From then on answers are only to be followed here, not to be passed on.
    pub(super) fn abandon(&mut self) -> Rescue {
        match self.request.take() {
            // Rows are taken in as they come; half of them must not count.
            Some(PacketType::BULK_LOAD) => return Rescue::Hopeless,
            Some(kind) => {
                self.expect_answer();
                return Rescue::Send(take_back(kind));
            }
            None => {}
        }
        if self.due > 0 && self.attentions == 0 {
            self.attentions = 1;
            self.due_after_attention = 0;
            return Rescue::Send(packet_of(PacketType::ATTENTION, PacketStatus::EOM));
        }
        Rescue::Wait
    }
}

impl Answer {
    fn keep_tail(&mut self, data: &[u8]) {
        if let Some(tail) = data.last_chunk::<DONE_LEN>() {
            (self.tail, self.tail_len) = (*tail, DONE_LEN);
            return;
        }
        self.tail.rotate_left(data.len());
        if let Some(place) = self.tail.get_mut(DONE_LEN - data.len()..) {
            place.copy_from_slice(data);
        }
        self.tail_len = (self.tail_len + data.len()).min(DONE_LEN);
    }

    /// Whether the message that ends here ends in DONE with DONE_ATTN.
    fn acknowledges_attention(&self) -> bool {
        const DONE: u8 = 0xFD;
        let [token, low, high, ..] = self.tail;
        let status = DoneStatus(u16::from_le_bytes([low, high]));
        self.tail_len == DONE_LEN && token == DONE && status.contains(DoneStatus::ATTN)
    }
}

fn answer_header(bytes: &[u8]) -> Result<Option<PacketHeader>, Fault> {
    match bytes.first() {
        Some(&first) if PacketType(first) != PacketType::TABULAR_RESULT => {
            return Err(Fault::NotAnAnswer(PacketType(first)));
        }
        _ => {}
    }
    let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
        return Ok(None);
    };
    let length = length_in(header);
    match PacketHeader::decode(header) {
        Ok(header) if length <= MAX_PACKET_SIZE => Ok(Some(header)),
        _ => Err(Fault::AnswerLength(length)),
    }
}

fn length_in(header: &[u8; HEADER_LEN]) -> usize {
    usize::from(u16::from_be_bytes([header[2], header[3]]))
}

/// The packet that takes back the request that it ends (MS-TDS 2.2.1.7).
fn take_back(kind: PacketType) -> [u8; HEADER_LEN] {
    packet_of(
        kind,
        PacketStatus(PacketStatus::EOM.0 | PacketStatus::IGNORE.0),
    )
}

/// A packet without data.
fn packet_of(packet_type: PacketType, status: PacketStatus) -> [u8; HEADER_LEN] {
    PacketHeader {
        packet_type,
        status,
        length: HEADER_LEN as u16,
        spid: 0,
        packet_id: 1,
        window: 0,
    }
    .encode()
}

#[cfg(test)]
mod tests;
