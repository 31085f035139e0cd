//! MD5 (RFC 1321), for HASHBYTES only: it protects nothing.

/// Left rotations of the four rounds.
const ROTATIONS: [[u32; 4]; 4] = [
    [7, 12, 17, 22],
    [5, 9, 14, 20],
    [4, 11, 16, 23],
    [6, 10, 15, 21],
];

/// The digest of the bytes.
pub(super) fn md5(bytes: &[u8]) -> [u8; 16] {
    let mut message = bytes.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    let bits = (bytes.len() as u64).wrapping_mul(8);
    message.extend(bits.to_le_bytes());
    let mut state = [0x6745_2301u32, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];
    for block in message.chunks_exact(64) {
        let after = rounds(state, block);
        for (sum, word) in state.iter_mut().zip(after) {
            *sum = sum.wrapping_add(word);
        }
    }
    let mut digest = [0; 16];
    for (to, from) in digest
        .iter_mut()
        .zip(state.iter().flat_map(|w| w.to_le_bytes()))
    {
        *to = from;
    }
    digest
}

fn rounds([mut a, mut b, mut c, mut d]: [u32; 4], block: &[u8]) -> [u32; 4] {
    let word = |at: usize| {
        let bytes = block.iter().skip(at * 4).take(4);
        bytes
            .rev()
            .fold(0u32, |sum, byte| (sum << 8) | u32::from(*byte))
    };
    for step in 0..64 {
        let (mix, at) = match step / 16 {
            0 => ((b & c) | (!b & d), step),
            1 => ((d & b) | (!d & c), (5 * step + 1) % 16),
            2 => (b ^ c ^ d, (3 * step + 5) % 16),
            _ => (c ^ (b | !d), (7 * step) % 16),
        };
        let sum = a
            .wrapping_add(mix)
            .wrapping_add(constant(step))
            .wrapping_add(word(at));
        let round = ROTATIONS.get(step / 16).copied().unwrap_or_default();
        let by = round.get(step % 4).copied().unwrap_or(0);
        (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(by)));
    }
    [a, b, c, d]
}

/// The integer part of 2^32 times the absolute sine of the step, counted from 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a sine is at most 1, and a step at most 64"
)]
fn constant(step: usize) -> u32 {
    (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_suite_of_the_rfc() {
        for (text, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            let shown: String = md5(text.as_bytes())
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            assert_eq!(shown, digest, "{text}");
        }
    }
}
