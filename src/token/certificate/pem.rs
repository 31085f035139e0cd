//! The sections of a PEM text (RFC 7468).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A section with its bytes.
pub(super) struct Section<'a> {
    /// What stands between `BEGIN` and the dashes: `CERTIFICATE`, say.
    pub(super) label: &'a str,
    /// The lines of OpenSSL's older form: `Proc-Type: 4,ENCRYPTED`, say.
    pub(super) has_headers: bool,
    /// `None` if it is not base64.
    pub(super) bytes: Option<Zeroizing<Vec<u8>>>,
}

/// Whether there is a section at all; else a file is taken for a binary one.
pub(super) fn is_pem(bytes: &[u8]) -> bool {
    bytes
        .windows(BEGIN.len())
        .any(|window| window == BEGIN.as_bytes())
}

/// The sections in order. One that never ends is left out.
pub(super) fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let Some((label, after)) = after.split_once("-----") else {
            break;
        };
        let Some((body, after)) = after.split_once("-----END") else {
            break;
        };
        rest = after;
        // Room from the start: a text that grows leaves copies behind.
        let mut packed = Zeroizing::new(String::with_capacity(body.len()));
        let has_headers = body.contains(':');
        for line in body.lines().filter(|line| !line.contains(':')) {
            packed.extend(line.chars().filter(|c| !c.is_whitespace()));
        }
        sections.push(Section {
            label: label.trim(),
            has_headers,
            bytes: STANDARD.decode(packed.as_bytes()).ok().map(Zeroizing::new),
        });
    }
    sections
}

const BEGIN: &str = "-----BEGIN ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_found_among_other_text() {
        let text = "Bag Attributes\r\n-----BEGIN A-----\r\nAAE\r\nC\r\n-----END A-----\nnoise\n\
                    -----BEGIN B C-----\nProc-Type: 4,ENCRYPTED\n\nAA==\n-----END B C-----\
                    -----BEGIN D-----\n!\n-----END D----- -----BEGIN E-----\nAA==";
        let found: Vec<_> = sections(text)
            .into_iter()
            .map(|s| (s.label, s.has_headers, s.bytes.map(|b| b.to_vec())))
            .collect();
        assert_eq!(
            found,
            [
                ("A", false, Some(vec![0, 1, 2])),
                ("B C", true, Some(vec![0])),
                ("D", false, None)
            ]
        );
        assert!(is_pem(text.as_bytes()) && !is_pem(b"\x30\x82-----BEGIN"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text in "(-----BEGIN |-----END |-----|\\PC|\n){0,40}") {
            // Only that it returns is asked: the text means nothing.
            let _ = sections(&text).len();
        }
    }
}
