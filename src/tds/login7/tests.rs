use super::*;

#[test]
fn scrambling_is_undone() {
    for byte in 0..=u8::MAX {
        assert_eq!(unscramble(scramble(byte)), byte);
    }
    // MS-TDS 2.2.6.4: nibbles swapped, then XOR 0xA5.
    assert_eq!(scramble(b'a'), 0x16 ^ 0xA5);
}
