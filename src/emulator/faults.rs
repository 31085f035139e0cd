//! Trouble on demand: what the emulator can be told to do wrong, while it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::fault_kinds::Fault;
use super::sessions::Sessions;
use super::{
    Clock, DatabaseState, EntraFault, FaultSpec, GatewayFault, GatewayStep, IdentityFault,
    Platform, Redirect, VaultFault,
};

/// Switches for trouble. Clones act on the same emulator.
///
/// Faults with a count are used up one at a time, oldest first; those that last for a time end by
/// the emulator's [`Clock`]; others hold until [`clear`](Faults::clear) or
/// [`remove`](Faults::remove).
#[derive(Clone, Debug)]
pub struct Faults {
    inner: Arc<Inner>,
}

/// Names one fault of one emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FaultId(pub u64);

/// A fault that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveFault {
    /// For [`Faults::remove`].
    pub id: FaultId,
    /// What goes wrong; with the number of times that is left, not the one it began with.
    pub spec: FaultSpec,
    /// How often it has happened.
    pub happened: u32,
    /// When it ends, in milliseconds since 1970 by the emulator's clock.
    pub ends_at: Option<i64>,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    sessions: Sessions,
    state: Mutex<State>,
    /// Whether the identity endpoints should listen, and whether they do.
    identity_wanted: watch::Sender<bool>,
    identity_is: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    last_id: u64,
    active: Vec<Active>,
}

#[derive(Debug)]
struct Active {
    fault: ActiveFault,
    /// How often it could have happened.
    seen: u32,
}

impl Faults {
    pub(super) fn new(clock: Clock, sessions: Sessions) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                sessions,
                state: Mutex::default(),
                identity_wanted: watch::channel(true).0,
                identity_is: watch::channel(true).0,
            }),
        }
    }

    /// Begins a fault. A failover, and a database that is no longer online, end open sessions, as
    /// these do in Azure; the sessions are on their way out when this returns.
    pub fn add(&self, spec: &FaultSpec) -> FaultId {
        let id = self.push(spec);
        match &spec.kind {
            Fault::Failover => {
                self.inner.sessions.kill(|_| true);
            }
            Fault::Database(name, state) if *state != DatabaseState::Online => {
                let here = |database: &str| database.eq_ignore_ascii_case(name);
                self.inner.sessions.kill(|session| here(&session.database));
            }
            Fault::IdentityDown => {
                self.inner.identity_wanted.send_replace(false);
            }
            _ => {}
        }
        id
    }

    /// The faults in force, oldest first.
    #[must_use]
    pub fn active(&self) -> Vec<ActiveFault> {
        let now = self.inner.clock.now_millis();
        let mut state = self.state();
        state.active.retain(|active| !active.is_over(now));
        let all = state.active.iter();
        all.map(|active| active.fault.clone()).collect()
    }

    /// Ends a fault; false if it was over already.
    pub fn remove(&self, id: FaultId) -> bool {
        let had = self.active().iter().any(|fault| fault.id == id);
        self.drop_where(|fault| fault.id == id);
        had
    }

    /// Ends all faults, redirection included, and has the identity endpoints listen again (see
    /// [`identity_up`](Self::identity_up) for waiting until they do).
    pub fn clear(&self) {
        self.drop_where(|_| true);
    }

    /// Closes the identity endpoints: their port refuses connections and open ones are cut.
    /// Returns once that is so.
    ///
    /// # Cancel safety
    /// The endpoints go down whether or not this future is awaited to its end.
    pub async fn identity_down(&self) {
        if !self.is_down() {
            self.add(&FaultSpec::identity_down());
        }
        self.identity_becomes(false).await;
    }

    /// Opens the identity endpoints again, on the same port. Returns once they listen.
    ///
    /// # Cancel safety
    /// The endpoints come up whether or not this future is awaited to its end.
    pub async fn identity_up(&self) {
        self.drop_where(|fault| fault.spec.kind == Fault::IdentityDown);
        self.identity_becomes(true).await;
    }

    /// Makes token requests fail in this way: the next `times` of them, or all if `None`.
    pub fn identity(&self, fault: IdentityFault, times: Option<u32>) {
        self.add(&FaultSpec::identity(fault).maybe_times(times));
    }

    /// Makes connections fail in this way when they come to `step`: the next `times` of them, or
    /// all if `None`.
    pub fn gateway(&self, step: GatewayStep, fault: GatewayFault, times: Option<u32>) {
        self.add(&FaultSpec::gateway(step, fault).maybe_times(times));
    }

    /// Answers the next `times` logins (all if `None`) with this error number, such as the
    /// transient 40613, once they have proved who they are.
    pub fn login_error(&self, number: i32, times: Option<u32>) {
        self.add(&FaultSpec::login_error(number).maybe_times(times));
    }

    /// Answers the next `times` requests (all if `None`) with this error number in place of running
    /// them. The connection ends after it if the error's class is 20 or more.
    pub fn request_error(&self, number: i32, times: Option<u32>) {
        self.add(&FaultSpec::request_error(number).maybe_times(times));
    }

    /// Sends every byte of new SQL connections by itself, this long after the one before; `None`
    /// ends it.
    pub fn slow_bytes(&self, pause: Option<Duration>) {
        self.drop_where(|fault| matches!(fault.spec.kind, Fault::SlowBytes(_)));
        if let Some(pause) = pause {
            self.add(&FaultSpec::slow_bytes(pause));
        }
    }

    /// Sends logins at the gateway elsewhere, as Azure's redirect policy does; `None` ends it.
    pub fn redirect(&self, to: Option<Redirect>) {
        self.drop_where(|fault| matches!(fault.spec.kind, Fault::Redirect(_)));
        if let Some(to) = to {
            self.add(&FaultSpec::redirect(to));
        }
    }

    /// Sets the state of a database, in place of the one that it was in, until another is set.
    /// [`add`](Self::add) takes [`FaultSpec::database`] for states that pass.
    pub fn database(&self, name: &str, state: DatabaseState) {
        self.drop_where(|fault| is_state_of(&fault.spec.kind, name));
        if state != DatabaseState::Online {
            self.add(&FaultSpec::database(name, state));
        }
    }

    /// The state that a database is in.
    #[must_use]
    pub fn database_state(&self, name: &str) -> DatabaseState {
        let found = self.active().into_iter().find_map(|fault| {
            let of_this = is_state_of(&fault.spec.kind, name);
            match fault.spec.kind {
                Fault::Database(_, state) if of_this => Some(state),
                _ => None,
            }
        });
        found.unwrap_or_default()
    }

    /// The fault for a token request at this platform. `challenge`: whether the request is one that
    /// Azure Arc answers with a challenge.
    pub(super) fn take_identity(
        &self,
        platform: Platform,
        challenge: bool,
    ) -> Option<IdentityFault> {
        let fits = |fault: &Fault| match fault {
            Fault::Identity(at, IdentityFault::ArcChallenge(_)) => {
                challenge && at.is_none_or(|at| at == platform)
            }
            Fault::Identity(at, _) => at.is_none_or(|at| at == platform),
            _ => false,
        };
        let taken = self.take(fits)?;
        match taken.spec.kind {
            Fault::Identity(_, IdentityFault::Booting) => {
                let early = taken.spec.times.is_none_or(|left| taken.happened <= left);
                Some(IdentityFault::Status {
                    status: if early { 404 } else { 500 },
                    retry_after: None,
                })
            }
            Fault::Identity(_, fault) => Some(fault),
            _ => None,
        }
    }

    pub(super) fn take_entra(&self) -> Option<EntraFault> {
        let taken = self.take(|fault| matches!(fault, Fault::Entra(_)))?;
        match taken.spec.kind {
            Fault::Entra(fault) => Some(fault),
            _ => None,
        }
    }

    /// `with_token`: whether the request has one; those without are challenged, and only then come
    /// the ones that can be forbidden.
    pub(super) fn take_vault(&self, with_token: bool) -> Option<VaultFault> {
        let fits = |fault: &Fault| match fault {
            Fault::Vault(VaultFault::Forbidden) => with_token,
            Fault::Vault(_) => true,
            _ => false,
        };
        let taken = self.take(fits)?;
        match taken.spec.kind {
            Fault::Vault(fault) => Some(fault),
            _ => None,
        }
    }

    pub(super) fn take_gateway(&self, step: GatewayStep) -> Option<GatewayFault> {
        let at_step = |fault: &Fault| matches!(fault, Fault::Gateway(at, _) if *at == step);
        match self.take(at_step)?.spec.kind {
            Fault::Gateway(_, fault) => Some(fault),
            _ => None,
        }
    }

    /// The error for a login to this database, if it is to fail.
    pub(super) fn take_login_error(&self, database: &str) -> Option<i32> {
        let fails = |fault: &Fault| match fault {
            Fault::LoginError(_) | Fault::Failover => true,
            other => is_state_of(other, database),
        };
        match self.take(fails)?.spec.kind {
            Fault::LoginError(number) => Some(number),
            Fault::Failover => Some(NOT_AVAILABLE),
            Fault::Database(_, state) => match state {
                DatabaseState::AllowanceUsedUp => Some(42119),
                DatabaseState::Offline => Some(4060),
                DatabaseState::Paused | DatabaseState::Resuming => Some(NOT_AVAILABLE),
                DatabaseState::Online => None,
            },
            _ => None,
        }
    }

    pub(super) fn take_request_error(&self) -> Option<i32> {
        match self
            .take(|fault| matches!(fault, Fault::RequestError(_)))?
            .spec
            .kind
        {
            Fault::RequestError(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn take_slow_bytes(&self) -> Option<Duration> {
        match self
            .take(|fault| matches!(fault, Fault::SlowBytes(_)))?
            .spec
            .kind
        {
            Fault::SlowBytes(pause) => Some(pause),
            _ => None,
        }
    }

    pub(super) fn take_redirect(&self) -> Option<Redirect> {
        match self
            .take(|fault| matches!(fault, Fault::Redirect(_)))?
            .spec
            .kind
        {
            Fault::Redirect(to) => Some(to),
            _ => None,
        }
    }

    /// What the identity server is told: listen (`true`) or be gone.
    pub(super) fn identity_wanted(&self) -> watch::Receiver<bool> {
        self.inner.identity_wanted.subscribe()
    }

    /// What the identity server reports.
    pub(super) fn identity_is(&self, listening: bool) {
        self.inner.identity_is.send_replace(listening);
    }

    async fn identity_becomes(&self, up: bool) {
        let mut is = self.inner.identity_is.subscribe();
        // The sender lives in `self`, so the channel cannot close while we wait.
        let _ = is.wait_for(|now| *now == up).await;
    }

    fn is_down(&self) -> bool {
        !*self.inner.identity_wanted.borrow()
    }

    fn push(&self, spec: &FaultSpec) -> FaultId {
        // A paused database begins to resume when somebody comes.
        let waits = matches!(spec.kind, Fault::Database(_, DatabaseState::Paused));
        let ends_at = (!waits).then(|| self.end_of(spec)).flatten();
        let mut state = self.state();
        state.last_id += 1;
        let id = FaultId(state.last_id);
        state.active.push(Active {
            fault: ActiveFault {
                id,
                spec: spec.clone(),
                happened: 0,
                ends_at,
            },
            seen: 0,
        });
        id
    }

    fn end_of(&self, spec: &FaultSpec) -> Option<i64> {
        let lasting = i64::try_from(spec.lasting?.as_millis()).unwrap_or(i64::MAX);
        Some(self.inner.clock.now_millis().saturating_add(lasting))
    }

    fn drop_where(&self, ends: impl Fn(&ActiveFault) -> bool) {
        let mut state = self.state();
        state.active.retain(|active| !ends(&active.fault));
        let down = |active: &Active| active.fault.spec.kind == Fault::IdentityDown;
        let up = !state.active.iter().any(down);
        drop(state);
        self.inner.identity_wanted.send_if_modified(|wanted| {
            let changes = up && !*wanted;
            *wanted |= up;
            changes
        });
    }

    /// Uses the oldest fault that fits up by one, and says how it stands then.
    fn take(&self, fits: impl Fn(&Fault) -> bool) -> Option<ActiveFault> {
        let now = self.inner.clock.now_millis();
        let mut state = self.state();
        state.active.retain(|active| !active.is_over(now));
        let mut all = state.active.iter_mut();
        let taken = all.find_map(|active| {
            let due = fits(&active.fault.spec.kind) && active.comes_due();
            due.then_some(active)
        })?;
        let fault = &mut taken.fault;
        fault.happened = fault.happened.saturating_add(1);
        if let Some(left) = &mut fault.spec.times {
            *left -= 1;
        }
        if fault.ends_at.is_none() {
            fault.ends_at = self.end_of(&fault.spec);
        }
        Some(fault.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a database that will be back.
const NOT_AVAILABLE: i32 = 40613;

impl Active {
    fn is_over(&self, now: i64) -> bool {
        self.fault.spec.times == Some(0) || self.fault.ends_at.is_some_and(|end| end <= now)
    }

    /// Whether it happens this time.
    fn comes_due(&mut self) -> bool {
        self.seen = self.seen.wrapping_add(1);
        self.fault
            .spec
            .every
            .is_none_or(|every| self.seen.is_multiple_of(every))
    }
}

fn is_state_of(fault: &Fault, database: &str) -> bool {
    matches!(fault, Fault::Database(name, _) if name.eq_ignore_ascii_case(database))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults() -> (Faults, Clock) {
        let clock = Clock::new();
        clock.freeze();
        (Faults::new(clock.clone(), Sessions::default()), clock)
    }

    fn add(faults: &Faults, words: &str) -> FaultId {
        faults.add(&words.parse().unwrap())
    }

    #[test]
    fn counted_faults_are_used_up_in_order() {
        let (faults, _) = faults();
        faults.login_error(40613, Some(2));
        faults.login_error(40501, Some(1));
        let seen: Vec<_> = std::iter::from_fn(|| faults.take_login_error("x")).collect();
        assert_eq!(seen, [40613, 40613, 40501]);
        assert!(faults.active().is_empty());
    }

    #[test]
    fn a_fault_waits_for_its_step() {
        let (faults, _) = faults();
        faults.gateway(GatewayStep::Login, GatewayFault::Reset, Some(1));
        assert_eq!(faults.take_gateway(GatewayStep::Prelogin), None);
        assert_eq!(
            faults.take_gateway(GatewayStep::Login),
            Some(GatewayFault::Reset)
        );
        assert_eq!(faults.take_gateway(GatewayStep::Login), None);
    }

    #[test]
    fn clear_ends_what_has_no_count_and_remove_ends_one() {
        let (faults, _) = faults();
        faults.identity(IdentityFault::Html, None);
        let second = add(&faults, "identity:stall");
        assert_eq!(
            faults.take_identity(Platform::Imds, false),
            Some(IdentityFault::Html)
        );
        assert_eq!(
            faults.take_identity(Platform::Imds, false),
            Some(IdentityFault::Html)
        );
        assert!(faults.remove(second) && !faults.remove(second));
        faults.clear();
        assert_eq!(faults.take_identity(Platform::Imds, false), None);
    }

    #[test]
    fn a_time_ends_by_the_clock() {
        let (faults, clock) = faults();
        add(&faults, "login-error:40613@30s");
        assert_eq!(faults.take_login_error("x"), Some(40613));
        clock.advance(Duration::from_millis(29_999));
        assert_eq!(faults.take_login_error("x"), Some(40613));
        clock.advance(Duration::from_millis(1));
        assert_eq!(faults.take_login_error("x"), None);
    }

    #[test]
    fn every_third_is_the_third_and_the_sixth() {
        let (faults, _) = faults();
        add(&faults, "redirect/3*2");
        let seen: Vec<_> = (0..9).map(|_| faults.take_redirect().is_some()).collect();
        let at: Vec<_> = seen.iter().enumerate().filter(|(_, is)| **is).collect();
        assert_eq!(at, [(2, &true), (5, &true)]);
    }

    #[test]
    fn a_paused_database_resumes_from_the_first_login_on() {
        let (faults, clock) = faults();
        add(&faults, "database:Orders:paused@60s");
        clock.advance(Duration::from_secs(3600));
        assert_eq!(faults.take_login_error("other"), None);
        assert_eq!(faults.take_login_error("orders"), Some(40613));
        clock.advance(Duration::from_secs(59));
        assert_eq!(faults.take_login_error("orders"), Some(40613));
        assert_eq!(faults.database_state("orders"), DatabaseState::Paused);
        clock.advance(Duration::from_secs(1));
        assert_eq!(faults.take_login_error("orders"), None);
        assert_eq!(faults.database_state("orders"), DatabaseState::Online);
    }

    #[test]
    fn a_new_state_replaces_the_old_one() {
        let (faults, _) = faults();
        faults.database("a", DatabaseState::Offline);
        faults.database("A", DatabaseState::AllowanceUsedUp);
        assert_eq!(faults.take_login_error("a"), Some(42119));
        faults.database("a", DatabaseState::Online);
        assert_eq!(
            (faults.take_login_error("a"), faults.active()),
            (None, vec![])
        );
    }

    #[test]
    fn a_platforms_fault_waits_for_its_endpoint_and_a_challenges_for_the_challenge() {
        let (faults, _) = faults();
        add(&faults, "arc:symlink*1");
        add(&faults, "app-service:html*1");
        assert_eq!(faults.take_identity(Platform::Imds, false), None);
        assert_eq!(faults.take_identity(Platform::Arc, false), None);
        let symlink = IdentityFault::ArcChallenge(super::super::ArcChallenge::Symlink);
        assert_eq!(faults.take_identity(Platform::Arc, true), Some(symlink));
        let html = Some(IdentityFault::Html);
        assert_eq!(faults.take_identity(Platform::AppService, false), html);
        assert!(faults.active().is_empty());
    }

    #[test]
    fn a_booting_machine_has_no_endpoint_first_and_then_a_broken_one() {
        let (faults, _) = faults();
        add(&faults, "identity:booting*5");
        let statuses: Vec<_> =
            std::iter::from_fn(|| match faults.take_identity(Platform::Imds, false)? {
                IdentityFault::Status { status, .. } => Some(status),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(statuses, [404, 404, 500, 500, 500]);
    }
}
