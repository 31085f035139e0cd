//! What a client and the server half of its login agree on about TLS.

use crate::tds::{DecodeError, Encryption};

/// The encryption that a [`Front`](super::Front) offers its client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offer {
    /// There is no TLS here.
    #[default]
    None,
    /// As the client likes.
    Optional,
    /// A client that does not encrypt is not served.
    Required,
    /// TLS came first (TDS 8.0), so that the option means nothing any more.
    Underway,
}

/// How much of a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cover {
    /// The first packet of LOGIN7, or all of LOGIN7, and nothing else.
    LoginOnly,
    /// Everything from here on.
    Whole,
}

/// Why a client and an [`Offer`] do not go together. A client may go on with a
/// LOGIN7 in clear all the same, and can then be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Objection {
    /// The client insists on encryption, and there is none.
    NoneOffered,
    /// The client does not encrypt, and must.
    NotEncrypted,
}

/// What PRELOGIN led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    Clear,
    Tls(Cover),
    Not(Objection),
}

/// The answer to a client's ENCRYPTION option, by the specification's table of
/// both sides' wishes (MS-TDS 2.2.6.5).
pub(super) fn negotiate(
    asked: Encryption,
    offer: Offer,
) -> Result<(Encryption, Agreement), DecodeError> {
    use Encryption as E;
    let whole = Agreement::Tls(Cover::Whole);
    let none_offered = (E::NOT_SUP, Agreement::Not(Objection::NoneOffered));
    let not_encrypted = (E::REQ, Agreement::Not(Objection::NotEncrypted));
    Ok(match (offer, asked.level()) {
        // Some drivers insist on hearing what they said.
        (Offer::Underway, level) => (level, Agreement::Clear),
        (_, E::OFF | E::ON | E::NOT_SUP | E::REQ) if asked.has_client_cert() => {
            match (offer, asked.level()) {
                (_, E::NOT_SUP) => not_encrypted,
                (Offer::None, _) => none_offered,
                (Offer::Optional, E::OFF) => (E::OFF, Agreement::Tls(Cover::LoginOnly)),
                (_, E::OFF) => (E::REQ, whole),
                _ => (E::ON, whole),
            }
        }
        (Offer::None, E::OFF | E::NOT_SUP) => (E::NOT_SUP, Agreement::Clear),
        (Offer::None, E::ON | E::REQ) => none_offered,
        (Offer::Optional, E::OFF) => (E::OFF, Agreement::Tls(Cover::LoginOnly)),
        (Offer::Optional, E::NOT_SUP) => (E::NOT_SUP, Agreement::Clear),
        (Offer::Required, E::OFF) => (E::REQ, whole),
        (Offer::Required, E::NOT_SUP) => not_encrypted,
        (_, E::ON | E::REQ) => (E::ON, whole),
        _ => {
            return Err(DecodeError::Invalid {
                what: "PRELOGIN",
                problem: "ENCRYPTION has a value that means nothing",
            });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_specification_holds() {
        use Agreement::{Clear, Not, Tls};
        use Cover::{LoginOnly, Whole};
        use Objection::{NoneOffered, NotEncrypted};
        // Offer, what the client sends, what is answered, what follows.
        let table = [
            (Offer::None, 0x00, 2, Clear),
            (Offer::None, 0x01, 2, Not(NoneOffered)),
            (Offer::None, 0x02, 2, Clear),
            (Offer::None, 0x03, 2, Not(NoneOffered)),
            (Offer::None, 0x80, 2, Not(NoneOffered)),
            (Offer::None, 0x81, 2, Not(NoneOffered)),
            (Offer::None, 0x82, 3, Not(NotEncrypted)),
            (Offer::None, 0x83, 2, Not(NoneOffered)),
            (Offer::Optional, 0x00, 0, Tls(LoginOnly)),
            (Offer::Optional, 0x01, 1, Tls(Whole)),
            (Offer::Optional, 0x02, 2, Clear),
            (Offer::Optional, 0x03, 1, Tls(Whole)),
            (Offer::Optional, 0x80, 0, Tls(LoginOnly)),
            (Offer::Optional, 0x81, 1, Tls(Whole)),
            (Offer::Optional, 0x82, 3, Not(NotEncrypted)),
            (Offer::Optional, 0x83, 1, Tls(Whole)),
            (Offer::Required, 0x00, 3, Tls(Whole)),
            (Offer::Required, 0x01, 1, Tls(Whole)),
            (Offer::Required, 0x02, 3, Not(NotEncrypted)),
            (Offer::Required, 0x03, 1, Tls(Whole)),
            (Offer::Required, 0x80, 3, Tls(Whole)),
            (Offer::Required, 0x81, 1, Tls(Whole)),
            (Offer::Required, 0x82, 3, Not(NotEncrypted)),
            (Offer::Required, 0x83, 1, Tls(Whole)),
            (Offer::Underway, 0x00, 0, Clear),
            (Offer::Underway, 0x01, 1, Clear),
            (Offer::Underway, 0x02, 2, Clear),
            (Offer::Underway, 0x03, 3, Clear),
        ];
        for (offer, asked, answer, follows) in table {
            let got = negotiate(Encryption(asked), offer).unwrap();
            assert_eq!(
                got,
                (Encryption(answer), follows),
                "{offer:?} and {asked:#04x}"
            );
        }
    }

    #[test]
    fn values_without_a_meaning_are_refused() {
        for offer in [Offer::None, Offer::Optional, Offer::Required] {
            for asked in [0x04, 0x1F, 0x84] {
                negotiate(Encryption(asked), offer).unwrap_err();
            }
        }
    }
}
