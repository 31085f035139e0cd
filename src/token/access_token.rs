//! An access token, and how long it is good for.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::claims::Claims;
use super::schedule;
use crate::secret::Secret;

/// A bearer token and its times.
///
/// Clones share one allocation, so cloning copies no secret; the text is wiped
/// when the last clone is dropped. `Debug` shows the times and the length only.
///
/// The end of validity is kept twice: as a [`tokio::time::Instant`], which
/// decides (it neither jumps nor depends on the machine's clock being right
/// later on), and as wall-clock time, which is for people to read. A machine
/// that was suspended may therefore believe a token for longer than its issuer
/// does; the login that it is refused in is what mends that
/// ([`TokenSlot::replace`](super::TokenSlot::replace)).
///
/// ```
/// use std::time::Duration;
/// use entrada::token::AccessToken;
///
/// let token = AccessToken::new("eyJ...", Duration::from_secs(3600));
/// assert!(token.is_valid_for(Duration::from_secs(3000)));
/// assert!(!token.is_valid_for(Duration::from_secs(4000)));
/// assert!(!format!("{token:?}").contains("eyJ"));
/// ```
#[derive(Clone)]
pub struct AccessToken(Arc<Inner>);

impl AccessToken {
    /// A token that is valid for `lifetime` from now.
    ///
    /// Lifetimes over 400 days are cut to that.
    #[must_use]
    pub fn new(secret: impl Into<Secret>, lifetime: Duration) -> Self {
        Self::build(secret.into(), lifetime, None)
    }

    /// A token that is valid until a moment of wall-clock time.
    ///
    /// A moment in the past gives a token that is valid for no time at all.
    #[must_use]
    pub fn expiring(secret: impl Into<Secret>, expires_on: SystemTime) -> Self {
        let lifetime = expires_on.duration_since(SystemTime::now());
        Self::build(secret.into(), lifetime.unwrap_or_default(), None)
    }

    /// The same token, to be refreshed `refresh_in` from now instead of at the
    /// time that follows from its lifetime. This is the `refresh_in` of Entra's
    /// replies; it never moves the refresh past the last minutes of validity.
    #[must_use]
    pub fn with_refresh_in(self, refresh_in: Duration) -> Self {
        Self::build(self.0.secret.clone(), self.remaining(), Some(refresh_in))
    }

    /// The token itself.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.0.secret
    }

    /// When this process received the token.
    #[must_use]
    pub fn obtained_at(&self) -> Instant {
        self.0.obtained_at
    }

    /// When the token ends, on the clock that decides.
    #[must_use]
    pub fn expires_at(&self) -> Instant {
        self.0.expires_at
    }

    /// When the token ends, in wall-clock time.
    #[must_use]
    pub fn expires_on(&self) -> SystemTime {
        self.0.expires_on
    }

    /// When a cache should begin to look for a successor: after `refresh_in` if
    /// the issuer gave one, else after half of a lifetime of over two hours,
    /// else ten minutes before the end.
    #[must_use]
    pub fn refresh_at(&self) -> Instant {
        self.0.refresh_at
    }

    /// How long the token is still valid: zero if it has ended.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.expires_at.saturating_duration_since(Instant::now())
    }

    /// Whether the token is valid now and for `time` longer.
    #[must_use]
    pub fn is_valid_for(&self, time: Duration) -> bool {
        self.0.is_valid_for(time)
    }

    /// What the token says about itself, for display: nothing here is verified.
    ///
    /// `None` if the token is not a JWT, which it need not be.
    #[must_use]
    pub fn claims(&self) -> Option<Claims> {
        Claims::decode(self.0.secret.expose())
    }

    pub(super) fn from_inner(inner: Arc<Inner>) -> Self {
        Self(inner)
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// Whether both are the same token, however they came here.
    pub(super) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.secret == other.0.secret
    }

    fn build(secret: Secret, lifetime: Duration, refresh_in: Option<Duration>) -> Self {
        // Beyond this, adding to an `Instant` could overflow on some platform.
        let lifetime = lifetime.min(MAX_LIFETIME);
        let now = Instant::now();
        Self(Arc::new(Inner {
            secret,
            obtained_at: now,
            expires_at: now + lifetime,
            expires_on: SystemTime::now() + lifetime,
            refresh_at: now + schedule::refresh_after(lifetime, refresh_in),
        }))
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("secret", &self.0.secret)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

/// The shared part, which a [`TokenSlot`](super::TokenSlot) points at directly.
pub(super) struct Inner {
    secret: Secret,
    obtained_at: Instant,
    expires_at: Instant,
    expires_on: SystemTime,
    refresh_at: Instant,
}

impl Inner {
    pub(super) fn is_valid_for(&self, time: Duration) -> bool {
        self.expires_at.saturating_duration_since(Instant::now()) > time
    }
}

/// The longest lifetime that is believed.
pub(super) const MAX_LIFETIME: Duration = Duration::from_secs(400 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn validity_follows_the_tokio_clock() {
        let token = AccessToken::new("t", Duration::from_secs(600));
        assert!(token.is_valid_for(Duration::from_secs(599)));
        assert!(!token.is_valid_for(Duration::from_secs(600)));
        tokio::time::advance(Duration::from_secs(601)).await;
        assert_eq!(token.remaining(), Duration::ZERO);
        assert!(!token.is_valid_for(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn an_absurd_lifetime_does_not_overflow() {
        let token = AccessToken::new("t", Duration::MAX);
        assert_eq!(token.remaining(), MAX_LIFETIME);
        let past = AccessToken::expiring("t", SystemTime::UNIX_EPOCH);
        assert_eq!(past.remaining(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn refresh_in_moves_the_refresh_but_not_past_the_margin() {
        let hours = |h: u64| Duration::from_secs(h * 3600);
        let token = AccessToken::new("t", hours(24));
        assert_eq!(token.refresh_at() - token.obtained_at(), hours(12));
        let early = token.clone().with_refresh_in(hours(2));
        assert_eq!(early.refresh_at() - early.obtained_at(), hours(2));
        let late = token.with_refresh_in(hours(30));
        assert!(late.refresh_at() < late.expires_at());
    }

    #[test]
    fn debug_shows_no_token() {
        let token = AccessToken::new("MARKER-a-secret", Duration::from_secs(60));
        assert!(!format!("{token:?} {token:#?}").contains("MARKER"));
    }
}
