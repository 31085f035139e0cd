//! What stands between a client of an older version and its session. Only such
//! a client has one.

use crate::tds::{HEADER_LEN, PacketStatus, PacketType, ServerMessage};
use crate::transcode::{Settings, TranscodeError, Transcoder};

/// Rewrites both directions, and lets requests begin only in their turn.
#[derive(Debug)]
pub(in crate::proxy) struct Bridge {
    pub(super) transcoder: Transcoder,
    turn: Turn,
    /// Of what is held of the server's bytes, so many at its beginning have been
    /// followed and are the client's.
    pub(super) passed: usize,
    /// Whether what is held of the server's bytes waits for the client to take
    /// what was made of those before.
    pub(super) stalled: bool,
}

impl Bridge {
    pub(in crate::proxy) fn new(settings: &Settings) -> Self {
        Self {
            transcoder: Transcoder::new(settings),
            turn: Turn::default(),
            passed: 0,
            stalled: false,
        }
    }

    /// Takes of a client's bytes what may be taken now, up to the end of one
    /// request, and says how much that was. While an answer is due no request
    /// may begin: it has to say in which transaction it is, which that answer
    /// may change.
    pub(super) fn requests(
        &mut self,
        bytes: &[u8],
        answers_due: bool,
    ) -> Result<usize, TranscodeError> {
        let allowed = self.turn.allowed(bytes, answers_due);
        let allowed = bytes.get(..allowed).unwrap_or_default();
        let taken = self.transcoder.requests(allowed)?;
        self.turn.passed(allowed.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    /// Whether the client has begun something and not ended it.
    pub(super) fn mid_request(&self) -> bool {
        self.turn.in_message || self.turn.have > 0
    }

    /// See [`Transcoder::tell`].
    pub(super) fn tell(&mut self, message: &ServerMessage) -> bool {
        self.transcoder.tell(message)
    }
}

/// Follows the headers of a client's packets.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    header: [u8; HEADER_LEN],
    have: usize,
    /// Data bytes of the packet at hand that are still to come.
    left: usize,
    /// A message has begun and not ended.
    in_message: bool,
}

impl Turn {
    /// How many of these bytes may be taken: all that belongs to a request that
    /// has begun, attentions, and one request if no answer is due.
    fn allowed(self, bytes: &[u8], answers_due: bool) -> usize {
        let mut ahead = self;
        ahead.run(bytes, Some(answers_due))
    }

    /// These bytes were taken.
    fn passed(&mut self, bytes: &[u8]) {
        self.run(bytes, None);
    }

    fn run(&mut self, bytes: &[u8], mut answers_due: Option<bool>) -> usize {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.left > 0 {
                let length = self.left.min(rest.len());
                self.left -= length;
                at += length;
                self.end_of_packet(&mut answers_due);
                continue;
            }
            let is_attention = rest.first() == Some(&PacketType::ATTENTION.0);
            let begins = !self.in_message && self.have == 0;
            if begins && answers_due == Some(true) && !is_attention {
                break;
            }
            at += self.fill_header(rest);
            self.end_of_packet(&mut answers_due);
        }
        at
    }

    /// Takes bytes of a header; how many.
    fn fill_header(&mut self, bytes: &[u8]) -> usize {
        let part = bytes.get(..HEADER_LEN - self.have).unwrap_or(bytes);
        let end = self.have + part.len();
        if let Some(place) = self.header.get_mut(self.have..end) {
            place.copy_from_slice(part);
        }
        self.have = end;
        if self.have == HEADER_LEN {
            let [_, _, high, low, ..] = self.header;
            let length = usize::from(u16::from_be_bytes([high, low]));
            // What is shorter than its header is the transcoder's to refuse.
            self.left = length.saturating_sub(HEADER_LEN);
            self.in_message = true;
        }
        part.len()
    }

    fn end_of_packet(&mut self, answers_due: &mut Option<bool>) {
        if self.have < HEADER_LEN || self.left > 0 {
            return;
        }
        self.have = 0;
        let [kind, status, ..] = self.header;
        let is_attention = PacketType(kind) == PacketType::ATTENTION;
        if is_attention || PacketStatus(status).contains(PacketStatus::EOM) {
            self.in_message = false;
            if let Some(due) = answers_due {
                *due = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: u8 = 1;
    const END: u8 = 1;

    fn packet(kind: u8, status: u8, data: usize) -> Vec<u8> {
        let mut packet = vec![kind, status, 0, (HEADER_LEN + data) as u8, 0, 0, 1, 0];
        packet.resize(HEADER_LEN + data, 0x06);
        packet
    }

    fn attention() -> Vec<u8> {
        packet(PacketType::ATTENTION.0, END, 0)
    }

    #[test]
    fn one_request_passes_at_a_time_and_none_while_an_answer_is_due() {
        let turn = Turn::default();
        let request = packet(BATCH, END, 5);
        let two = [request.clone(), request.clone()].concat();
        assert_eq!(turn.allowed(&two, false), request.len());
        assert_eq!(turn.allowed(&two, true), 0);
        let behind = [attention(), request].concat();
        assert_eq!(
            turn.allowed(&behind, false),
            HEADER_LEN,
            "an attention is answered, too"
        );
    }

    #[test]
    fn attentions_pass_before_a_request_that_waits_and_within_one() {
        let half = packet(BATCH, 0, 5);
        let waits = [attention(), attention(), half.clone()].concat();
        assert_eq!(Turn::default().allowed(&waits, true), 2 * HEADER_LEN);

        let mut turn = Turn::default();
        turn.passed(&half);
        let rest = [attention(), half.clone()].concat();
        assert_eq!(
            turn.allowed(&rest, true),
            HEADER_LEN,
            "it took back the first"
        );
        turn.passed(&attention());
        assert!(!turn.in_message);
    }

    #[test]
    fn what_has_begun_goes_on_however_it_is_cut() {
        let first = packet(BATCH, 0, 5);
        let message = [first.clone(), packet(BATCH, END, 3)].concat();
        for cut in 1..message.len() {
            let mut turn = Turn::default();
            let (head, tail) = message.split_at(cut);
            assert_eq!(turn.allowed(head, false), head.len());
            turn.passed(head);
            assert!(turn.in_message || turn.have > 0);
            let more = [tail, &message].concat();
            assert_eq!(turn.allowed(&more, true), tail.len(), "cut at {cut}");
            turn.passed(tail);
            assert!(!turn.in_message && turn.have == 0);
        }
    }
}
