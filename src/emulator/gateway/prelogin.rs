//! PRELOGIN: what the client can do, and whether the connection is encrypted.

use super::error::ConnectionError;
use super::settings::EncryptionPolicy;
use crate::tds::{EncodeError, Encryption, Prelogin, Version};

/// What Azure SQL Database calls itself.
pub(super) const SERVER_VERSION: Version = Version {
    major: 12,
    minor: 0,
    build: 2000,
    sub_build: 8,
};

/// What follows from a client's PRELOGIN.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Negotiated {
    answer: Prelogin,
    pub(super) next: Next,
    /// Whether the answer said that federated login is required; a FEDAUTH feature must repeat it.
    pub(super) fed_auth_required: bool,
}

/// How the connection goes on after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Close,
    Plain,
    Tls,
    /// TLS for LOGIN7 and nothing else.
    TlsForLogin,
}

/// The transport that PRELOGIN came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// Bare TCP: TLS may follow inside of PRELOGIN packets.
    Tcp,
    /// TLS already, so the ENCRYPTION option means nothing (MS-TDS 2.2.6.5).
    Strict,
}

/// Reads the client's PRELOGIN and decides.
pub(super) fn negotiate(
    payload: &[u8],
    transport: Transport,
    policy: EncryptionPolicy,
) -> Result<Negotiated, ConnectionError> {
    let client = Prelogin::decode(payload)?;
    let (encryption, next) = match transport {
        Transport::Tcp => encrypt(client.encryption, policy),
        // Some drivers insist on hearing what they said.
        Transport::Strict => (client.encryption.level(), Next::Plain),
    };
    let mut answer = Prelogin::new(SERVER_VERSION, encryption);
    answer.instance = Some(vec![0]);
    answer.mars = Some(false);
    answer.fed_auth_required = client.fed_auth_required.map(|_| 1);
    Ok(Negotiated {
        fed_auth_required: answer.fed_auth_required == Some(1),
        answer,
        next,
    })
}

impl Negotiated {
    /// What holds for a client that begins with LOGIN7.
    pub(super) fn nothing() -> Self {
        Self {
            answer: Prelogin::new(SERVER_VERSION, Encryption::NOT_SUP),
            next: Next::Plain,
            fed_auth_required: false,
        }
    }

    /// The payload of the answer.
    pub(super) fn answer(&self) -> Result<Vec<u8>, EncodeError> {
        let mut payload = Vec::new();
        self.answer.encode_answer(&mut payload)?;
        Ok(payload)
    }
}

/// The specification's table of both sides' wishes (MS-TDS 2.2.6.5).
fn encrypt(client: Encryption, policy: EncryptionPolicy) -> (Encryption, Next) {
    match (client.level(), policy) {
        (Encryption::ON | Encryption::REQ, _) => (Encryption::ON, Next::Tls),
        (Encryption::OFF, EncryptionPolicy::Required) => (Encryption::REQ, Next::Tls),
        (Encryption::OFF, EncryptionPolicy::OnRequest) => (Encryption::OFF, Next::TlsForLogin),
        (Encryption::NOT_SUP, EncryptionPolicy::OnRequest) if !client.has_client_cert() => {
            (Encryption::NOT_SUP, Next::Plain)
        }
        _ => (Encryption::REQ, Next::Close),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(client: u8, policy: EncryptionPolicy) -> (Encryption, Next) {
        let mut payload = Vec::new();
        Prelogin::new(Version::default(), Encryption(client))
            .encode(&mut payload)
            .unwrap();
        let negotiated = negotiate(&payload, Transport::Tcp, policy).unwrap();
        let answer = Prelogin::decode(&negotiated.answer().unwrap()).unwrap();
        (answer.encryption, negotiated.next)
    }

    #[test]
    fn a_server_that_insists_answers_by_the_table() {
        let cases = [
            (0x00, Encryption::REQ, Next::Tls),
            (0x01, Encryption::ON, Next::Tls),
            (0x02, Encryption::REQ, Next::Close),
            (0x03, Encryption::ON, Next::Tls),
            (0x80, Encryption::REQ, Next::Tls),
            (0x81, Encryption::ON, Next::Tls),
            (0x82, Encryption::REQ, Next::Close),
        ];
        for (client, wanted, next) in cases {
            let got = answer(client, EncryptionPolicy::Required);
            assert_eq!(got, (wanted, next), "client {client:#04x}");
        }
    }

    #[test]
    fn on_request_nobody_is_made_to_encrypt() {
        let policy = EncryptionPolicy::OnRequest;
        assert_eq!(answer(0x00, policy), (Encryption::OFF, Next::TlsForLogin));
        assert_eq!(answer(0x80, policy), (Encryption::OFF, Next::TlsForLogin));
        assert_eq!(answer(0x82, policy), (Encryption::REQ, Next::Close));
        assert_eq!(answer(0x02, policy), (Encryption::NOT_SUP, Next::Plain));
        assert_eq!(answer(0x01, policy), (Encryption::ON, Next::Tls));
    }

    #[test]
    fn federated_login_is_required_only_of_those_who_ask() {
        let mut client = Prelogin::new(Version::default(), Encryption::ON);
        let decide = |client: &Prelogin| {
            let mut payload = Vec::new();
            client.encode(&mut payload).unwrap();
            negotiate(&payload, Transport::Tcp, EncryptionPolicy::Required).unwrap()
        };
        assert!(!decide(&client).fed_auth_required);
        client.fed_auth_required = Some(1);
        let negotiated = decide(&client);
        assert!(negotiated.fed_auth_required);
        let answer = Prelogin::decode(&negotiated.answer().unwrap()).unwrap();
        assert_eq!(answer.fed_auth_required, Some(1));
    }
}
