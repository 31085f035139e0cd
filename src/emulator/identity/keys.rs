//! The key that signs tokens, and its public half as Entra publishes it.

use std::sync::{PoisonError, RwLock};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Secret;
use crate::emulator::EmulatorError;
use crate::emulator::state_dir::StateDir;

const KEY_FILE: &str = "signing.key";
/// Something to make another id of the same key of.
const SALT_FILE: &str = "signing.id";

/// An RSA key of 2048 bits with its id.
///
/// The id can change while the key stays: tokens that name the old one are then refused, as after a
/// roll of the real keys, and nobody waits for a new key.
pub(crate) struct SigningKey {
    id: RwLock<String>,
    state: Option<StateDir>,
    encoding: EncodingKey,
    decoding: DecodingKey,
    modulus: Vec<u8>,
    exponent: String,
}

impl SigningKey {
    /// The key of the state folder, or a new one, which is kept there if there is a folder.
    pub(crate) fn load_or_generate(state: Option<&StateDir>) -> Result<Self, EmulatorError> {
        if let Some(state) = state
            && let Some(pem) = state.read(KEY_FILE)?
        {
            let salt = state.read(SALT_FILE)?.unwrap_or_default();
            return Self::from_pem(&pem, &salt, Some(state)).map_err(|_| state.damaged(KEY_FILE));
        }
        let pem =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
                .map_err(|e| key_error("generate", e))?
                .serialize_pem();
        if let Some(state) = state {
            state.write_private(KEY_FILE, &pem)?;
        }
        Self::from_pem(&pem, "", state)
    }

    fn from_pem(pem: &str, salt: &str, state: Option<&StateDir>) -> Result<Self, EmulatorError> {
        let pair = rcgen::KeyPair::from_pem(pem).map_err(|e| key_error("read", e))?;
        let rsa =
            RsaKeyPair::from_pkcs8(pair.serialized_der()).map_err(|e| key_error("read", e))?;
        let public = rsa.public_key();
        let modulus = public.modulus().big_endian_without_leading_zero().to_vec();
        let exponent = public.exponent().big_endian_without_leading_zero().to_vec();
        Ok(Self {
            id: RwLock::new(id_of(&modulus, salt)),
            state: state.cloned(),
            encoding: EncodingKey::from_rsa_pem(pem.as_bytes())
                .map_err(|e| key_error("read", e))?,
            decoding: DecodingKey::from_rsa_raw_components(&modulus, &exponent),
            modulus,
            exponent: URL_SAFE_NO_PAD.encode(exponent),
        })
    }

    /// Gives the key another id, which the state folder keeps, so that tokens with the old one are
    /// refused from now on.
    pub(crate) fn change_id(&self) -> Result<(), EmulatorError> {
        let salt = Uuid::new_v4().to_string();
        if let Some(state) = &self.state {
            state.write_private(SALT_FILE, &salt)?;
        }
        let new = id_of(&self.modulus, &salt);
        *self.id.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    fn id(&self) -> String {
        self.id
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A JWT over `claims`, RS256, with the header that Entra writes (`typ`, `alg`, `x5t`, `kid`).
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<Secret, EmulatorError> {
        let mut header = Header::new(Algorithm::RS256);
        let id = self.id();
        header.kid = Some(id.clone());
        header.x5t = Some(id);
        jsonwebtoken::encode(&header, claims, &self.encoding)
            .map(Secret::new)
            .map_err(|e| key_error("sign with", e))
    }

    /// The key for checking a signature made by the key of that id.
    pub(crate) fn verifier(&self, kid: &str) -> Option<&DecodingKey> {
        (kid == self.id()).then_some(&self.decoding)
    }

    /// The public key in a JSON Web Key Set (RFC 7517).
    pub(crate) fn key_set(&self, issuer: &str) -> Value {
        json!({ "keys": [{
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.id(),
            "x5t": self.id(),
            "n": URL_SAFE_NO_PAD.encode(&self.modulus),
            "e": self.exponent,
            "issuer": issuer,
        }]})
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

fn id_of(modulus: &[u8], salt: &str) -> String {
    let hash = digest(&SHA256, &[modulus, salt.as_bytes()].concat());
    URL_SAFE_NO_PAD.encode(hash.as_ref().get(..20).unwrap_or_default())
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
        second.change_id().unwrap();
        assert!(second.verifier(&first.id()).is_none());
        let third = SigningKey::load_or_generate(Some(&state)).unwrap();
        assert_eq!(second.key_set("i"), third.key_set("i"));
        state.write_private(KEY_FILE, "no key").unwrap();
        let error = SigningKey::load_or_generate(Some(&state)).unwrap_err();
        assert!(
            matches!(error, EmulatorError::StateDamaged { .. }),
            "{error:?}"
        );
    }
}
