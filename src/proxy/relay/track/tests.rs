use super::*;
use crate::tds::{all_headers, write_message};

const SIZE: usize = 512;

fn message(kind: PacketType, status: PacketStatus, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_message(kind, status, payload, SIZE, &mut out);
    out
}

fn batch(text: &str) -> Vec<u8> {
    let mut payload = all_headers(0);
    payload.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    message(PacketType::SQL_BATCH, PacketStatus::NORMAL, &payload)
}

fn attention() -> Vec<u8> {
    message(PacketType::ATTENTION, PacketStatus::NORMAL, &[])
}

/// An answer of `size` data bytes that ends in this DONE.
fn answer(size: usize, status: DoneStatus) -> Vec<u8> {
    let mut payload = vec![0xD1; size];
    Done::new(status).encode(TdsVersion::V7_4, &mut payload);
    message(PacketType::TABULAR_RESULT, PacketStatus::NORMAL, &payload)
}

/// Both ends of a relay, fed in pieces.
struct Pair {
    track: Track,
    from_client: Vec<u8>,
    from_server: Vec<u8>,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

impl Pair {
    fn new() -> Self {
        Self {
            track: Track::new(SIZE),
            from_client: Vec::new(),
            from_server: Vec::new(),
            to_server: Vec::new(),
            to_client: Vec::new(),
        }
    }

    fn client(&mut self, bytes: &[u8]) -> Option<Fault> {
        self.from_client.extend_from_slice(bytes);
        let scan = self.track.requests(&mut self.from_client);
        self.to_server
            .extend(self.from_client.drain(..scan.forward));
        scan.fault
    }

    fn server(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.from_server.extend_from_slice(bytes);
        while let Some(piece) = self.track.answer(&self.from_server)? {
            let (Piece::Pass(length) | Piece::Drop(length) | Piece::Replace(length)) = piece;
            let bytes: Vec<u8> = self.from_server.drain(..length).collect();
            match piece {
                Piece::Pass(_) => self.to_client.extend(bytes),
                Piece::Drop(_) => {}
                Piece::Replace(_) => self.to_client.extend(Track::attention_answer(7)),
            }
        }
        Ok(())
    }
}

/// One step of a conversation: who speaks, and what; then whether all is at rest.
type Step = (Side, Vec<u8>, bool);

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Client,
    Server,
}
use Side::{Client, Server};

/// Plays a conversation, every step of it cut at every place; returns what the
/// two got.
fn play(steps: &[Step]) -> (Vec<u8>, Vec<u8>, Traces) {
    let run = |cut: usize| {
        let mut pair = Pair::new();
        for (side, bytes, rest) in steps {
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            for part in [head, tail] {
                match side {
                    Client => assert_eq!(pair.client(part), None),
                    Server => pair.server(part).unwrap(),
                }
            }
            assert_eq!(pair.track.at_rest(), *rest, "cut at {cut}");
        }
        (pair.to_server, pair.to_client, pair.track.traces())
    };
    let whole = run(0);
    let longest = steps.iter().map(|(_, bytes, _)| bytes.len()).max();
    for cut in 1..longest.unwrap_or_default() {
        assert_eq!(run(cut), whole, "cut at {cut}");
    }
    whole
}

const FINAL: DoneStatus = DoneStatus::FINAL;
const ATTN: DoneStatus = DoneStatus::ATTN;

#[test]
fn requests_and_answers_pass_as_they_are() {
    let request = batch(&"SELECT 1 ".repeat(100));
    let reply = answer(1200, FINAL);
    let (to_server, to_client, traces) = play(&[
        (Client, request.clone(), false),
        (Server, reply.clone(), true),
        (Client, batch("x"), false),
        (Server, answer(0, FINAL), true),
    ]);
    assert!(to_server.starts_with(&request) && to_client.starts_with(&reply));
    assert_eq!(traces, Traces::default());
}

#[test]
fn an_attention_is_settled_by_its_acknowledgement_only() {
    // The answer was cut short by it.
    play(&[
        (Client, batch("x"), false),
        (Client, attention(), false),
        (Server, answer(600, ATTN), true),
    ]);
    // The answer was over before, and the acknowledgement follows on its own.
    play(&[
        (Client, batch("x"), false),
        (Client, attention(), false),
        (Server, answer(600, FINAL), false),
        (Server, answer(0, ATTN), true),
    ]);
    // Nothing was running.
    play(&[
        (Client, attention(), false),
        (Server, answer(0, ATTN), true),
    ]);
    // Two of them, and a request that does not wait.
    play(&[
        (Client, batch("x"), false),
        (Client, attention(), false),
        (Client, attention(), false),
        (Server, answer(9, ATTN), false),
        (Client, batch("y"), false),
        (Server, answer(0, ATTN), false),
        (Server, answer(5, FINAL), true),
    ]);
}

#[test]
fn rows_that_look_like_an_acknowledgement_are_none() {
    let mut rows = vec![0xD1; 40];
    rows.extend([0xFD, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    rows.extend([0xFD, 0x10, 0, 0xC1, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    let rows = message(PacketType::TABULAR_RESULT, PacketStatus::NORMAL, &rows);
    play(&[
        (Client, batch("x"), false),
        (Client, attention(), false),
        (Server, rows, false),
        (Server, answer(0, ATTN), true),
    ]);
}

#[test]
fn a_request_taken_back_is_answered_without_acknowledgement() {
    let half = batch(&"SELECT 1 ".repeat(100))[..SIZE].to_vec();
    let end = message(
        PacketType::SQL_BATCH,
        PacketStatus(PacketStatus::EOM.0 | PacketStatus::IGNORE.0),
        b"rest",
    );
    let (to_server, ..) = play(&[
        (Client, half.clone(), false),
        (Client, end.clone(), false),
        (Server, answer(0, DoneStatus::ERROR), true),
    ]);
    assert_eq!(to_server, [half, end].concat());
}

#[test]
fn an_attention_inside_a_request_takes_it_back_and_is_answered_here() {
    let half = batch(&"SELECT 1 ".repeat(100))[..SIZE].to_vec();
    let (to_server, to_client, _) = play(&[
        (Client, half.clone(), false),
        (Client, attention(), false),
        (Server, answer(700, DoneStatus::ERROR), true),
        (Client, batch("x"), false),
        (Server, answer(0, FINAL), true),
    ]);
    let taken_back = [0x01, 0x03, 0, 8, 0, 0, 1, 0];
    assert!(to_server.starts_with(&[&half[..], &taken_back].concat()));
    assert!(!to_server[half.len() + 8..].starts_with(&[0x06]));
    let mut expected = vec![0x04, 0x01, 0, 21, 0, 7, 1, 0];
    expected.extend([0xFD, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend(answer(0, FINAL));
    assert_eq!(to_client, expected);
}

#[test]
fn only_the_answer_to_the_request_taken_back_is_replaced() {
    let half = batch(&"SELECT 1 ".repeat(100))[..SIZE].to_vec();
    let before = answer(30, FINAL);
    let (_, to_client, _) = play(&[
        (Client, batch("early"), false),
        (Client, half, false),
        (Client, attention(), false),
        // An impatient client sends another, which the server does see.
        (Client, attention(), false),
        (Server, before.clone(), false),
        (Server, answer(0, DoneStatus::ERROR), false),
        (Server, answer(0, ATTN), true),
    ]);
    let ours = Track::attention_answer(7);
    assert_eq!(to_client, [before, ours, answer(0, ATTN)].concat());
}

#[test]
fn an_answer_to_be_replaced_is_found_after_an_attention_that_settles_others() {
    let half = &batch(&"x".repeat(400))[..SIZE];
    for settled in [
        vec![answer(0, ATTN)],
        vec![answer(9, FINAL), answer(0, ATTN)],
    ] {
        let mut steps = vec![
            (Client, batch("a"), false),
            (Client, attention(), false),
            (Client, half.to_vec(), false),
            (Client, attention(), false),
        ];
        steps.extend(settled.into_iter().map(|answer| (Server, answer, false)));
        steps.push((Server, answer(0, FINAL), true));
        let (_, to_client, traces) = play(&steps);
        assert!(to_client.ends_with(&Track::attention_answer(7)));
        assert!(!traces.stray);
    }
}

#[test]
fn bulk_rows_are_a_request_of_their_own() {
    let rows = message(PacketType::BULK_LOAD, PacketStatus::NORMAL, &[0x81; 1500]);
    let announced = [
        (Client, batch("insert\tBULK t (a int)"), false),
        (Server, answer(0, FINAL), true),
    ];
    assert!(play(&announced).2.awaits_rows);
    let [first, second] = announced;
    let (.., traces) = play(&[
        first,
        second,
        (Client, rows, false),
        (Server, answer(0, FINAL), true),
    ]);
    assert_eq!(traces, Traces::default());
}

#[test]
fn traces_are_found_wherever_they_are_cut() {
    let long = format!("{} exec Sp_SetAppRole 'r', 'p'", " ".repeat(235));
    assert!(play(&[(Client, batch(&long), false)]).2.app_role);
    let procedure: Vec<u8> = "sp_setapprole"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let rpc = message(PacketType::RPC, PacketStatus::NORMAL, &procedure);
    assert!(play(&[(Client, rpc, false)]).2.app_role);
    assert!(play(&[(Server, answer(0, FINAL), true)]).2.stray);
}

#[test]
fn faults_of_the_client_are_named_and_nothing_of_them_passes() {
    let login = message(PacketType::LOGIN7, PacketStatus::NORMAL, b"x");
    let cases = [
        (vec![SMP, 1, 0, 0], Fault::Smp),
        (
            b"GET / HTTP/1.1".to_vec(),
            Fault::NotARequest(PacketType(b'G')),
        ),
        (login, Fault::NotARequest(PacketType::LOGIN7)),
        (
            vec![1, 1, 2, 1, 0, 0, 1, 0],
            Fault::PacketLength {
                length: 513,
                negotiated: 512,
            },
        ),
        (
            vec![1, 1, 0, 7, 0, 0, 1, 0],
            Fault::PacketLength {
                length: 7,
                negotiated: 512,
            },
        ),
        (vec![6, 1, 0, 9, 0, 0, 1, 0, 0], Fault::LongAttention),
    ];
    for (bytes, fault) in cases {
        let mut pair = Pair::new();
        let good = batch("x");
        let all = [&good[..], &bytes].concat();
        assert_eq!(pair.client(&all), Some(fault));
        assert_eq!(pair.to_server, good);
    }
    let mut pair = Pair::new();
    pair.client(&batch(&"x".repeat(600))[..SIZE]);
    let rows = message(PacketType::BULK_LOAD, PacketStatus::NORMAL, b"x");
    let mixed = Fault::MixedTypes {
        first: PacketType::SQL_BATCH,
        then: PacketType::BULK_LOAD,
    };
    assert_eq!(pair.client(&rows), Some(mixed));
}

#[test]
fn faults_of_the_server_are_named() {
    let cases = [
        (vec![0x17, 3, 3], Fault::NotAnAnswer(PacketType(0x17))),
        (vec![4, 1, 0, 7, 0, 0, 1, 0], Fault::AnswerLength(7)),
        (
            vec![4, 1, 0xFF, 0xFF, 0, 0, 1, 0],
            Fault::AnswerLength(0xFFFF),
        ),
    ];
    for (bytes, fault) in cases {
        assert_eq!(Pair::new().server(&bytes), Err(fault));
    }
}

#[test]
fn an_abandoned_session_comes_to_rest() {
    let attention_packet: [u8; 8] = attention().try_into().unwrap();
    let half = batch(&"SELECT 1 ".repeat(100))[..SIZE].to_vec();

    let mut pair = Pair::new();
    pair.client(&batch("x"));
    pair.server(&answer(600, FINAL)[..100]).unwrap();
    assert_eq!(pair.track.abandon(), Rescue::Send(attention_packet));
    pair.server(&answer(600, FINAL)[100..]).unwrap();
    assert!(!pair.track.at_rest());
    pair.server(&answer(0, ATTN)).unwrap();
    assert!(pair.track.at_rest());

    let mut pair = Pair::new();
    pair.client(&batch("x"));
    pair.client(&attention());
    assert_eq!(pair.track.abandon(), Rescue::Wait);

    let mut pair = Pair::new();
    pair.client(&half);
    pair.client(&half[..20]);
    let taken_back = [0x01, 0x03, 0, 8, 0, 0, 1, 0];
    assert_eq!(pair.track.abandon(), Rescue::Send(taken_back));
    pair.server(&answer(0, DoneStatus::ERROR)).unwrap();
    assert!(pair.track.at_rest());

    let mut pair = Pair::new();
    let rows = message(PacketType::BULK_LOAD, PacketStatus::NORMAL, &[1; 900]);
    pair.client(&rows[..SIZE]);
    assert_eq!(pair.track.abandon(), Rescue::Hopeless);
    assert_eq!(Pair::new().track.abandon(), Rescue::Wait);
}

#[test]
fn it_is_known_what_is_half_sent() {
    let mut pair = Pair::new();
    pair.client(&batch(&"x".repeat(600))[..SIZE]);
    assert!(pair.track.mid_request() && !pair.track.answers_due());
    let mut pair = Pair::new();
    pair.client(&batch("x"));
    assert!(pair.track.answers_due() && !pair.track.mid_answer());
    pair.server(&answer(600, FINAL)[..100]).unwrap();
    assert!(pair.track.mid_answer());
}
