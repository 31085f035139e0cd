//! Trouble on demand: what the emulator can be told to do wrong, while it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// Switches for trouble. Clones act on the same emulator.
///
/// Faults with a count are used up one at a time, oldest first; others hold until
/// [`clear`](Faults::clear).
#[derive(Clone, Debug)]
pub struct Faults {
    inner: Arc<Inner>,
}

/// How the identity endpoints misbehave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityFault {
    /// Answer 200 with JSON that breaks off.
    Garbage,
    /// Answer 200 with an HTML page, as a captive portal does.
    Html,
    /// Answer properly, but only after this time.
    Slow(Duration),
    /// Accept the request and never answer.
    Stall,
    /// Answer with an HTTP status: 404 and 410 while IMDS restarts, 429 when throttled, 5xx.
    Status {
        /// The HTTP status code, 400 to 599; anything else is answered as 500.
        status: u16,
        /// The `Retry-After` header, in whole seconds.
        retry_after: Option<Duration>,
    },
}

/// The steps of a connection at which the SQL gateway can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GatewayStep {
    /// After accepting the TCP connection, before reading a byte.
    Accept,
    /// In place of the PRELOGIN answer.
    Prelogin,
    /// In place of the TLS handshake's first answer.
    Tls,
    /// In place of the answer to LOGIN7 (or to the token message).
    Login,
    /// In place of the answer to a request.
    Request,
}

/// What goes wrong at a [`GatewayStep`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GatewayFault {
    /// Close the connection in good order (FIN).
    Close,
    /// Send this many bytes of the true answer, then close. At steps without an answer of their
    /// own (accept, TLS) the same as [`Close`](Self::Close).
    CloseAfter(usize),
    /// Send bytes that are not TDS, then close.
    Garbage,
    /// Break the connection (RST).
    Reset,
    /// Say nothing more and keep the connection open.
    Stall,
}

/// Where redirected logins are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redirect {
    /// To the emulator's own second listener, which serves the login.
    Node,
    /// To this server and port, whatever is there; the gateway's own address makes a loop.
    To {
        /// The alternate server's name, as ENVCHANGE 20 carries it.
        server: String,
        /// The alternate server's port.
        port: u16,
    },
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// Whether the identity endpoints should listen, and whether they do.
    identity_wanted: watch::Sender<bool>,
    identity_is: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    identity: Vec<Scheduled<IdentityFault>>,
    gateway: Vec<Scheduled<(GatewayStep, GatewayFault)>>,
    login_errors: Vec<Scheduled<i32>>,
    slow_bytes: Option<Duration>,
    redirect: Option<Redirect>,
}

#[derive(Debug)]
struct Scheduled<T> {
    what: T,
    /// Uses left; `None` means for ever.
    left: Option<u32>,
}

impl Faults {
    pub(super) fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                state: Mutex::default(),
                identity_wanted: watch::channel(true).0,
                identity_is: watch::channel(true).0,
            }),
        }
    }

    /// Ends all faults, redirection included, and has the identity endpoints listen again (see
    /// [`identity_up`](Self::identity_up) for waiting until they do).
    pub fn clear(&self) {
        *self.state() = State::default();
        self.inner.identity_wanted.send_replace(true);
    }

    /// Closes the identity endpoints: their port refuses connections and open ones are cut.
    /// Returns once that is so.
    ///
    /// # Cancel safety
    /// The endpoints go down whether or not this future is awaited to its end.
    pub async fn identity_down(&self) {
        self.switch_identity(false).await;
    }

    /// Opens the identity endpoints again, on the same port. Returns once they listen.
    ///
    /// # Cancel safety
    /// The endpoints come up whether or not this future is awaited to its end.
    pub async fn identity_up(&self) {
        self.switch_identity(true).await;
    }

    /// Makes token requests fail in this way: the next `times` of them, or all if `None`.
    pub fn identity(&self, fault: IdentityFault, times: Option<u32>) {
        self.state().identity.push(Scheduled {
            what: fault,
            left: times,
        });
    }

    /// Makes connections fail in this way when they come to `step`: the next `times` of them, or
    /// all if `None`.
    pub fn gateway(&self, step: GatewayStep, fault: GatewayFault, times: Option<u32>) {
        self.state().gateway.push(Scheduled {
            what: (step, fault),
            left: times,
        });
    }

    /// Answers the next `times` logins (all if `None`) with this error number, such as the
    /// transient 40613, in place of judging them.
    pub fn login_error(&self, number: i32, times: Option<u32>) {
        self.state().login_errors.push(Scheduled {
            what: number,
            left: times,
        });
    }

    /// Sends every byte of new SQL connections by itself, this long after the one before; `None`
    /// ends it.
    pub fn slow_bytes(&self, pause: Option<Duration>) {
        self.state().slow_bytes = pause;
    }

    /// Sends logins at the gateway elsewhere, as Azure's redirect policy does; `None` ends it.
    pub fn redirect(&self, to: Option<Redirect>) {
        self.state().redirect = to;
    }

    pub(super) fn take_identity(&self) -> Option<IdentityFault> {
        take(&mut self.state().identity, |_| true)
    }

    pub(super) fn take_gateway(&self, step: GatewayStep) -> Option<GatewayFault> {
        take(&mut self.state().gateway, |(at, _)| *at == step).map(|(_, fault)| fault)
    }

    pub(super) fn take_login_error(&self) -> Option<i32> {
        take(&mut self.state().login_errors, |_| true)
    }

    pub(super) fn slow_bytes_now(&self) -> Option<Duration> {
        self.state().slow_bytes
    }

    pub(super) fn redirect_now(&self) -> Option<Redirect> {
        self.state().redirect.clone()
    }

    /// What the identity server is told: listen (`true`) or be gone.
    pub(super) fn identity_wanted(&self) -> watch::Receiver<bool> {
        self.inner.identity_wanted.subscribe()
    }

    /// What the identity server reports.
    pub(super) fn identity_is(&self, listening: bool) {
        self.inner.identity_is.send_replace(listening);
    }

    async fn switch_identity(&self, up: bool) {
        self.inner.identity_wanted.send_replace(up);
        let mut is = self.inner.identity_is.subscribe();
        // The sender lives in `self`, so the channel cannot close while we wait.
        let _ = is.wait_for(|now| *now == up).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn take<T: Clone>(from: &mut Vec<Scheduled<T>>, matches: impl Fn(&T) -> bool) -> Option<T> {
    from.retain(|s| s.left != Some(0));
    let found = from.iter_mut().find(|s| matches(&s.what))?;
    if let Some(left) = &mut found.left {
        *left -= 1;
    }
    Some(found.what.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_faults_are_used_up_in_order() {
        let faults = Faults::new();
        faults.login_error(40613, Some(2));
        faults.login_error(40501, Some(1));
        let seen: Vec<_> = std::iter::from_fn(|| faults.take_login_error()).collect();
        assert_eq!(seen, [40613, 40613, 40501]);
    }

    #[test]
    fn a_fault_waits_for_its_step() {
        let faults = Faults::new();
        faults.gateway(GatewayStep::Login, GatewayFault::Reset, Some(1));
        assert_eq!(faults.take_gateway(GatewayStep::Prelogin), None);
        assert_eq!(
            faults.take_gateway(GatewayStep::Login),
            Some(GatewayFault::Reset)
        );
        assert_eq!(faults.take_gateway(GatewayStep::Login), None);
    }

    #[test]
    fn clear_ends_what_has_no_count() {
        let faults = Faults::new();
        faults.identity(IdentityFault::Html, None);
        assert_eq!(faults.take_identity(), Some(IdentityFault::Html));
        assert_eq!(faults.take_identity(), Some(IdentityFault::Html));
        faults.clear();
        assert_eq!(faults.take_identity(), None);
    }
}
