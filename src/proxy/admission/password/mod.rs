//! Passwords of clients: argon2id hashes, made and checked.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::proxy::config::UserConfig;
use crate::secret::Secret;

/// Most memory that checking one password may take, in KiB: 256 MiB.
const MAX_MEMORY: u32 = 256 * 1024;
/// Most passes over that memory.
const MAX_PASSES: u32 = 16;
/// Most lanes.
const MAX_LANES: u32 = 16;
/// Shortest hash, in bytes; a shorter one is hit by chance too easily.
const MIN_OUTPUT: usize = 16;
/// Most passwords checked at a time, on however many processors.
const MAX_CHECKS: usize = 4;

/// Why a password's hash is none, or cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The text is no hash.
    #[error(
        "this is no password hash in PHC form ($argon2id$v=19$..); make one with `entrada proxy hash-password`"
    )]
    NotAHash,
    /// It is a hash of another kind.
    #[error("the hash is not of argon2id, version 19; make one with `entrada proxy hash-password`")]
    OtherAlgorithm,
    /// Salt or hash are missing or too short to protect anything.
    #[error(
        "the hash lacks its salt, or is shorter than {MIN_OUTPUT} bytes; make one with `entrada proxy hash-password`"
    )]
    Incomplete,
    /// Checking it would take too long or too much memory.
    #[error(
        "the hash costs m={memory},t={passes},p={lanes}, and no more than m={MAX_MEMORY},t={MAX_PASSES},p={MAX_LANES} is allowed; make one with `entrada proxy hash-password`"
    )]
    TooCostly {
        /// Memory in KiB.
        memory: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// There is nothing to hash.
    #[error("the password is empty")]
    Empty,
    /// Two users are one, as names are compared without case.
    #[error("there is another user of the same name")]
    Twice,
    /// The system has no random numbers or no memory.
    #[error("the password could not be hashed")]
    Hash(#[source] argon2::password_hash::Error),
}

/// The hash of a password as a user's `password_hash` takes it: argon2id in PHC
/// form, with 19 MiB, two passes and one lane (the first choice of OWASP's
/// password storage cheat sheet) and a random salt.
///
/// # Errors
/// For an empty password, and when the system has no random numbers to give.
pub fn hash_password(password: &Secret) -> Result<Secret, PasswordError> {
    if password.is_empty() {
        return Err(PasswordError::Empty);
    }
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT);
    let hash: PasswordHash = argon2
        .hash_password(password.expose().as_bytes())
        .map_err(PasswordError::Hash)?;
    Ok(Secret::new(hash.to_string()))
}

/// Whether a text is a hash that passwords can be checked against.
pub(in crate::proxy) fn check_hash(text: &str) -> Result<(), PasswordError> {
    read(text).map(drop)
}

/// The users of a proxy.
pub(super) struct Passwords {
    users: HashMap<String, User>,
    /// Hashes of nobody's passwords, of the same costs as those of the users: a
    /// stranger must not learn from the time who is a user.
    decoys: Vec<Secret>,
    spread: RandomState,
    checks: Arc<Semaphore>,
}

#[derive(Clone)]
struct User {
    name: String,
    hash: Secret,
    admin: bool,
}

/// Somebody who knew a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) admin: bool,
}

/// Why a password does not count. Strangers are told the same of the first two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unproven {
    NoSuchUser,
    WrongPassword,
    /// Too many passwords wait to be checked.
    Busy,
}

impl Passwords {
    /// # Errors
    /// Which user has no hash that can be used.
    pub(super) fn new(configs: &[UserConfig]) -> Result<Self, (String, PasswordError)> {
        let mut users = HashMap::new();
        let mut decoys = Vec::new();
        for config in configs {
            let wrong = |error| (config.name.clone(), error);
            let hash = read(config.password_hash.expose()).map_err(wrong)?;
            decoys.push(decoy(&hash).map_err(wrong)?);
            let user = User {
                name: config.name.clone(),
                hash: config.password_hash.clone(),
                admin: config.admin,
            };
            if users.insert(config.name.to_lowercase(), user).is_some() {
                return Err(wrong(PasswordError::Twice));
            }
        }
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            users,
            decoys,
            spread: RandomState::new(),
            checks: Arc::new(Semaphore::new((processors / 2).clamp(1, MAX_CHECKS))),
        })
    }

    /// Checks a password, and takes as long for a user that there is as for one
    /// that there is not. Waits for its turn no longer than `patience`.
    ///
    /// # Cancel safety
    /// A check that has begun goes on to its end, and only then gives its turn
    /// back.
    pub(super) async fn check(
        &self,
        name: &str,
        password: &Secret,
        patience: Duration,
    ) -> Result<Known, Unproven> {
        let user = self.users.get(&name.to_lowercase()).cloned();
        let hash = match &user {
            Some(user) => user.hash.clone(),
            None => self.decoy_for(name).ok_or(Unproven::NoSuchUser)?,
        };
        let turn = timeout(patience, Arc::clone(&self.checks).acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or(Unproven::Busy)?;
        let password = password.clone();
        let check = spawn_blocking(move || {
            let fits = verify(&password, &hash);
            drop(turn);
            fits
        });
        let fits = check.await.unwrap_or(false);
        match user {
            Some(User { name, admin, .. }) if fits => Ok(Known { name, admin }),
            Some(_) => Err(Unproven::WrongPassword),
            None => Err(Unproven::NoSuchUser),
        }
    }

    /// Always the same for a name: were costs to differ from one try to the
    /// next, that alone would tell that there is no such user.
    fn decoy_for(&self, name: &str) -> Option<Secret> {
        let count = u64::try_from(self.decoys.len()).ok()?;
        let place = self
            .spread
            .hash_one(name.to_lowercase())
            .checked_rem(count)?;
        self.decoys.get(usize::try_from(place).ok()?).cloned()
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords")
            .field("users", &self.users.len())
            .finish_non_exhaustive()
    }
}

/// The comparison at its end takes the same time wherever two hashes differ.
fn verify(password: &Secret, hash: &Secret) -> bool {
    PasswordHash::new(hash.expose()).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.expose().as_bytes(), &hash)
            .is_ok()
    })
}

fn read(text: &str) -> Result<PasswordHash, PasswordError> {
    let hash = PasswordHash::new(text).map_err(|_| PasswordError::NotAHash)?;
    let is_current = hash.version == Some(Version::V0x13.into());
    if hash.algorithm != argon2::ARGON2ID_IDENT || !is_current {
        return Err(PasswordError::OtherAlgorithm);
    }
    let params = Params::try_from(&hash).map_err(|_| PasswordError::NotAHash)?;
    let long_enough = |output: &Output| output.len() >= MIN_OUTPUT;
    if hash.salt.is_none() || !hash.hash.as_ref().is_some_and(long_enough) {
        return Err(PasswordError::Incomplete);
    }
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    if memory > MAX_MEMORY || passes > MAX_PASSES || lanes > MAX_LANES {
        return Err(PasswordError::TooCostly {
            memory,
            passes,
            lanes,
        });
    }
    Ok(hash)
}

/// A hash of the same cost that no password is known for.
fn decoy(like: &PasswordHash) -> Result<Secret, PasswordError> {
    let random = |length: usize| {
        let mut bytes = vec![0; length];
        aws_lc_rs::rand::fill(&mut bytes)
            .map_err(|_| PasswordError::Hash(argon2::password_hash::Error::Crypto))?;
        Ok(bytes)
    };
    let salt = random(like.salt.as_ref().map_or(16, |salt| salt.len()))?;
    let output = random(like.hash.as_ref().map_or(32, Output::len))?;
    let decoy = PasswordHash {
        salt: Some(Salt::new(&salt).map_err(|_| PasswordError::Incomplete)?),
        hash: Some(Output::new(&output).map_err(|_| PasswordError::Incomplete)?),
        ..like.clone()
    };
    Ok(Secret::new(decoy.to_string()))
}

#[cfg(test)]
mod tests;
