//! The server half of a login, fed with nonsense.

use entrada::front::Front;
use entrada::tds::{PacketStatus, PacketType, Version, write_message};
use proptest::collection::vec;
use proptest::prelude::*;

/// A message of a login's type with any content, in packets.
fn message(packet_type: PacketType, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_message(packet_type, PacketStatus::NORMAL, payload, 4096, &mut bytes);
    bytes
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_an_error(parts in vec(vec(any::<u8>(), 0..200), 0..20)) {
        let mut front = Front::new(Version::default());
        for part in parts {
            if front.receive(&part).is_err() {
                break;
            }
        }
    }

    #[test]
    fn any_prelogin_and_any_login_are_an_answer_or_an_error(
        prelogin in vec(any::<u8>(), 0..200),
        login in vec(any::<u8>(), 0..600),
    ) {
        let mut front = Front::new(Version::default());
        let _ = front.receive(&message(PacketType::PRELOGIN, &prelogin));
        let mut front = Front::new(Version::default());
        let _ = front.receive(&message(PacketType::LOGIN7, &login));
    }
}
