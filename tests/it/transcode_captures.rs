//! What a server said to a client of 7.4, transcoded, against what the same
//! server said to older clients that did the same.
//!
//! `tests/data/captures/README.md` tells where the bytes come from.

use entrada::tds::{Collation, PacketStatus, PacketType, write_message};
use entrada::transcode::{OldVersion, Settings, Transcoder};

use crate::tds_captures::{conversation, conversations, messages};

const VERSIONS: [OldVersion; 4] = [
    OldVersion::V7_1,
    OldVersion::V7_1Rev1,
    OldVersion::V7_2,
    OldVersion::V7_3A,
];

fn transcoder(version: OldVersion) -> Transcoder {
    Transcoder::new(&Settings {
        version,
        client_packet_size: 4096,
        server_packet_size: 4096,
        collation: Collation([9, 4, 0xD0, 0, 0x34]),
        hold_limit: 1 << 20,
    })
}

/// The payloads of a server's messages after the login.
fn answers(name: &str) -> Vec<Vec<u8>> {
    let messages = messages(&conversation(name).server).into_iter().skip(2);
    messages.map(|message| message.payload).collect()
}

fn packets(payload: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let status = PacketStatus::default();
    let kind = PacketType::TABULAR_RESULT;
    write_message(kind, status, payload, size, &mut bytes);
    bytes
}

/// The packets that come of an answer, which comes in these parts.
fn transcoded<'a>(
    transcoder: &mut Transcoder,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<u8> {
    let mut made = Vec::new();
    for mut part in parts {
        while !part.is_empty() {
            let taken = transcoder.answers(part).expect("an answer");
            made.extend_from_slice(transcoder.to_client());
            transcoder.sent_to_client();
            part = &part[taken..];
        }
    }
    made
}

/// `bytes` with each of `from` replaced, which must stand there once.
fn replaced(mut bytes: Vec<u8>, replacements: &[(&[u8], &[u8])]) -> Vec<u8> {
    for (from, to) in replacements {
        let places: Vec<usize> = (0..bytes.len())
            .filter(|&at| bytes[at..].starts_with(from))
            .collect();
        assert_eq!(places.len(), 1, "{from:x?}");
        bytes.splice(places[0]..places[0] + from.len(), to.iter().copied());
    }
    bytes
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// An nvarchar value.
fn nvarchar(text: &str) -> Vec<u8> {
    let text = utf16(text);
    [&(text.len() as u16).to_le_bytes()[..], &text].concat()
}

#[test]
fn older_clients_see_what_the_server_shows_to_older_clients() {
    // Where this server is not as SQL Server is: it says of datetime2(6) and of
    // time(3) that they are as long as the longest of their kind, and leaves out
    // a fraction that is zero.
    let (short, full) = (nvarchar("13:14:15"), nvarchar("13:14:15.000"));
    let date_texts: [(&[u8], &[u8]); 3] = [
        (&[0xE7, 54, 0], &[0xE7, 52, 0]),
        (&[0xE7, 32, 0], &[0xE7, 24, 0]),
        (&short, &full),
    ];
    let versions = [
        ("7.1", OldVersion::V7_1Rev1),
        ("7.2", OldVersion::V7_2),
        // The driver speaks 7.3.B, which this server takes for 7.3.A.
        ("7.3", OldVersion::V7_3A),
    ];
    let mut compared = 0;
    for driver in ["tsql", "pymssql"] {
        let newest = answers(&format!("{driver}-7.4-types"));
        for (name, version) in versions {
            let real = answers(&format!("{driver}-{name}-types"));
            assert_eq!(real.len(), newest.len());
            let mut transcoder = transcoder(version);
            for (new, real) in newest.iter().zip(real) {
                let packets = packets(new, 4096);
                let made = messages(&transcoded(&mut transcoder, [&packets[..]]));
                let with_dates = real.len() > 300 && version < OldVersion::V7_3A;
                let expected = match with_dates {
                    true => replaced(real, &date_texts),
                    false => real,
                };
                assert_eq!(made.len(), 1);
                assert_eq!(made[0].payload, expected, "{driver} {name}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 18);
}

#[test]
fn answers_to_all_drivers_are_transcoded_the_same_however_they_are_cut() {
    let mut seen = 0;
    for conversation in conversations() {
        // Those of before 7.2 are no answers of a 7.4 session.
        if conversation.name.contains("7.1") || conversation.name.starts_with("jtds") {
            continue;
        }
        for (first, version) in (1..).zip(VERSIONS) {
            for message in messages(&conversation.server).into_iter().skip(1) {
                let bytes = packets(&message.payload, 512);
                let whole = transcoded(&mut transcoder(version), [&bytes[..]]);
                assert_eq!(messages(&whole).len(), 1, "{}", conversation.name);
                // Each version at its share of them.
                for split in (first..bytes.len()).step_by(VERSIONS.len()) {
                    let (head, tail) = bytes.split_at(split);
                    let made = transcoded(&mut transcoder(version), [head, tail]);
                    assert!(made == whole, "{} at {split}", conversation.name);
                }
                let bytewise = transcoded(&mut transcoder(version), bytes.chunks(1));
                assert!(bytewise == whole, "{}", conversation.name);
                seen += 1;
            }
        }
    }
    assert!(seen > 400, "{seen}");
}
