//! The key that signs tokens, and its public half as Entra publishes it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Secret;
use crate::emulator::EmulatorError;
use crate::emulator::state_dir::StateDir;

const KEY_FILE: &str = "signing.key";

/// An RSA key of 2048 bits with its id.
pub(crate) struct SigningKey {
    id: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    modulus: String,
    exponent: String,
}

impl SigningKey {
    /// The key of the state folder, or a new one, which is kept there if there is a folder.
    pub(crate) fn load_or_generate(state: Option<&StateDir>) -> Result<Self, EmulatorError> {
        if let Some(state) = state
            && let Some(pem) = state.read(KEY_FILE)?
        {
            return Self::from_pem(&pem).map_err(|_| state.damaged(KEY_FILE));
        }
        let pem =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
                .map_err(|e| key_error("generate", e))?
                .serialize_pem();
        if let Some(state) = state {
            state.write_private(KEY_FILE, &pem)?;
        }
        Self::from_pem(&pem)
    }

    fn from_pem(pem: &str) -> Result<Self, EmulatorError> {
        let pair = rcgen::KeyPair::from_pem(pem).map_err(|e| key_error("read", e))?;
        let rsa =
            RsaKeyPair::from_pkcs8(pair.serialized_der()).map_err(|e| key_error("read", e))?;
        let public = rsa.public_key();
        let modulus = public.modulus().big_endian_without_leading_zero().to_vec();
        let exponent = public.exponent().big_endian_without_leading_zero().to_vec();
        Ok(Self {
            id: URL_SAFE_NO_PAD.encode(&digest(&SHA256, &modulus).as_ref()[..20]),
            encoding: EncodingKey::from_rsa_pem(pem.as_bytes())
                .map_err(|e| key_error("read", e))?,
            decoding: DecodingKey::from_rsa_raw_components(&modulus, &exponent),
            modulus: URL_SAFE_NO_PAD.encode(modulus),
            exponent: URL_SAFE_NO_PAD.encode(exponent),
        })
    }

    /// A JWT over `claims`, RS256, with the header that Entra writes (`typ`, `alg`, `x5t`, `kid`).
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<Secret, EmulatorError> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.id.clone());
        header.x5t = Some(self.id.clone());
        jsonwebtoken::encode(&header, claims, &self.encoding)
            .map(Secret::new)
            .map_err(|e| key_error("sign with", e))
    }

    /// The key for checking a signature made by the key of that id.
    pub(crate) fn verifier(&self, kid: &str) -> Option<&DecodingKey> {
        (kid == self.id).then_some(&self.decoding)
    }

    /// The public key in a JSON Web Key Set (RFC 7517).
    pub(crate) fn key_set(&self, issuer: &str) -> Value {
        json!({ "keys": [{
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.id,
            "x5t": self.id,
            "n": self.modulus,
            "e": self.exponent,
            "issuer": issuer,
        }]})
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn key_error(
    what: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> EmulatorError {
    EmulatorError::Key {
        what,
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_key_stays_the_same_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let first = SigningKey::load_or_generate(Some(&state)).unwrap();
        let second = SigningKey::load_or_generate(Some(&state)).unwrap();
        assert_eq!(first.key_set("i"), second.key_set("i"));
        state.write_private(KEY_FILE, "no key").unwrap();
        let error = SigningKey::load_or_generate(Some(&state)).unwrap_err();
        assert!(
            matches!(error, EmulatorError::StateDamaged { .. }),
            "{error:?}"
        );
    }
}
