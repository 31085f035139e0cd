//! One client, from its first byte to its last.
//!
//! ```text
//! enter ─► greet ─► admit ─► lease ─► answer ─► relay ─► give back
//!          └────────── any of these may end it ───────┘
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::access_log;
use super::admin_db;
use super::admission::{Admitted, Denial, Peer, Route};
use super::client::{ClientSocket, GreetError, Greeted, greet};
use super::config::{ListenerConfig, TlsMode};
use super::refusal::{self, Refusal};
use super::registry::{Entry, Guest, Phase};
use super::relay::{self, Bridge, End};
use super::shared::{Live, Shared};
use super::stats::{LoginOutcome, LoginStep, LoginWatch};
use super::targets::TargetEntry;
use super::upstream::{Condition, Lease, LeaseError};
use crate::session::LoginInfo;
use crate::session::SessionStream;
use crate::tds::{Collation, Login7, TdsVersion};
use crate::transcode::{OldVersion, Settings};

/// The most bytes that are kept of what a client sends before its login is
/// answered. No client has a reason to send any.
const EARLY: usize = 16 * 1024;

/// Lets a client in: from its first byte to the answer to its LOGIN7. `None` if
/// it has gone, unserved or served by the admin database.
///
/// # Cancel safety
/// Dropping the future closes the client's connection and its session.
pub(super) async fn arrive(
    socket: ClientSocket,
    listener: &Arc<str>,
    shared: Arc<Shared>,
) -> Option<Stay> {
    let visit = Visit {
        guest: shared.registry.enter(listener, socket.peer().to_string()),
        shared,
        word: "panicked",
    };
    let (guest, shared) = (&visit.guest, &visit.shared);
    let connected = tokio::select! {
        () = guest.kill.asked() => Err(cut(shared)),
        connected = connect(socket, guest, shared) => connected,
    };
    match connected {
        Ok(connected) => Some(Stay {
            visit,
            connected: Box::new(connected),
        }),
        Err(end) => {
            visit.ended(&end);
            None
        }
    }
}

/// A client that is in, which is nearly always idle: what is kept of it until it
/// leaves is as little as can be.
pub(super) struct Stay {
    visit: Visit,
    connected: Box<Connected>,
}

impl Stay {
    /// Relays until the client leaves.
    ///
    /// # Cancel safety
    /// As of [`arrive`].
    pub(super) async fn relay(self) {
        let Self { visit, connected } = self;
        let (guest, shared) = (&visit.guest, &visit.shared);
        let end = tokio::select! {
            () = guest.kill.asked() => cut(shared),
            end = relayed(connected, guest, shared) => end,
        };
        visit.ended(&end);
    }
}

/// A client's time here. The log and the numbers are told of its end, however
/// that comes about.
struct Visit {
    guest: Guest,
    shared: Arc<Shared>,
    word: &'static str,
}

impl Visit {
    fn ended(mut self, end: &End) {
        self.word = end.word();
        let guest = &self.guest;
        if end.is_servers() {
            let known = guest.known();
            let target = &known.target;
            tracing::warn!(id = guest.id, target_name = target, "{end}");
            self.shared
                .stats
                .recent_error(format!("session of target `{target}`: {end}"));
        } else if end.is_breach() {
            tracing::warn!(id = guest.id, peer = guest.peer, "{end}");
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if matches!(self.guest.known().state, Phase::Relaying | Phase::Admin) {
            let took = self.guest.started.elapsed();
            self.shared.stats.session_ended(self.word, took);
        }
        access_log::left(&self.guest, self.word);
    }
}

/// How a client ends that was asked to.
fn cut(shared: &Shared) -> End {
    if shared.draining.is_cancelled() {
        End::Drained
    } else {
        End::Killed
    }
}

/// A client that has been told that it is in.
struct Connected {
    stream: SessionStream,
    lease: Lease,
    early: Vec<u8>,
    idle: Option<Duration>,
    /// For a client of an older version; the bytes of all others pass as they are.
    bridge: Option<Box<Bridge>>,
}

async fn relayed(mut connected: Box<Connected>, entry: &Entry, shared: &Shared) -> End {
    let meters = (entry, &shared.stats);
    let early = std::mem::take(&mut connected.early);
    let bridge = connected.bridge.take();
    let Connected {
        stream,
        lease,
        idle,
        ..
    } = &mut *connected;
    let outcome = relay::run(stream, lease, early, bridge, *idle, meters).await;
    let Connected { stream, lease, .. } = *connected;
    // The client is gone before its session serves another.
    drop(stream);
    if let Some(condition) = outcome.session {
        lease.give_back(condition);
    }
    outcome.end
}

/// From the first byte to the answer to LOGIN7.
async fn connect(socket: ClientSocket, entry: &Entry, shared: &Shared) -> Result<Connected, End> {
    let live = shared.live.load_full();
    let (Some(listener), Some(tls)) = (live.listener(&entry.listener), live.tls(&entry.listener))
    else {
        return Err(End::Unserved("no-listener"));
    };
    let mut watch = shared.stats.login(&entry.listener);
    let peer = socket.peer().clone();
    let within = live.config.limits.login_timeout;
    let greeted = match greet(socket, tls, within).await {
        Ok(greeted) => greeted,
        Err(error) => {
            error.log(entry.id, &entry.listener, &entry.peer);
            watch.done(outcome_of(&error));
            return Err(End::Unserved(error.reason()));
        }
    };
    watch.step(LoginStep::Greet);
    learn_login(entry, &greeted);
    let current = shared.live.load_full();
    let login = Login {
        greeted,
        live: &current,
        before: (!Arc::ptr_eq(&live, &current)).then_some((&live, listener)),
        entry,
        shared,
        within,
    };
    login.admitted(&peer, watch).await
}

/// A client that waits for the answer to its LOGIN7, and what decides about it.
struct Login<'a> {
    greeted: Greeted,
    live: &'a Live,
    /// The configuration that it connected under, if another has replaced it.
    before: Option<(&'a Live, &'a ListenerConfig)>,
    entry: &'a Entry,
    shared: &'a Shared,
    /// The time for each answer to it.
    within: Duration,
}

impl<'a> Login<'a> {
    async fn admitted(mut self, peer: &Peer, mut watch: LoginWatch<'_>) -> Result<Connected, End> {
        let Some(listener) = self.listener() else {
            self.refuse(&refusal::of_reload()).await;
            watch.done(LoginOutcome::Denied);
            return Err(End::Unserved("reloaded"));
        };
        let admitted = match self.admit(listener, peer).await {
            Ok(admitted) => admitted,
            Err(denial) => {
                self.shared.stats.denied(denial.reason());
                self.refuse(&refusal::of_denial(&denial)).await;
                watch.done(LoginOutcome::Denied);
                return Err(End::Unserved(denial.reason()));
            }
        };
        watch.step(LoginStep::Admit);
        let Route::Target { target, database } = admitted.route else {
            watch.done(LoginOutcome::Accepted);
            let served = admin_db::serve(
                self.greeted,
                admitted.user,
                self.live,
                self.entry,
                self.shared,
            );
            return Err(End::Admin(served.await.word()));
        };
        self.entry.learn(|known| known.login = admitted.user);
        let version = self.greeted.login.tds_version;
        if version < TdsVersion::V7_1 {
            tracing::warn!(id = self.entry.id, peer = self.entry.peer, %version, "a client speaks too old a version of TDS");
            self.refuse(&refusal::of_version(version)).await;
            watch.done(LoginOutcome::Protocol);
            return Err(End::Unserved("old-version"));
        }
        self.connected(&target, database.as_deref(), watch).await
    }

    /// Its listener as it is now, if it may still come in there as it did.
    fn listener(&self) -> Option<&'a ListenerConfig> {
        let now = self.live.listener(&self.entry.listener)?;
        let Some((_, before)) = self.before else {
            return Some(now);
        };
        let is_covered = match now.tls.mode {
            TlsMode::Off | TlsMode::Optional => true,
            TlsMode::Required => self.greeted.encrypted,
            TlsMode::Strict => before.tls.mode == TlsMode::Strict,
        };
        is_covered.then_some(now)
    }

    /// A client that was on its way while the configuration was replaced is to
    /// be welcome by both: what lets it in now may rely on its not having got as
    /// far as connecting, and what let it in then may have been taken away.
    fn admit(
        &self,
        listener: &ListenerConfig,
        peer: &Peer,
    ) -> impl Future<Output = Result<Admitted, Denial>> {
        let (login, encrypted) = (&self.greeted.login, self.greeted.encrypted);
        let (now, before) = (self.live, self.before);
        async move {
            if let Some((live, listener)) = before {
                let gate = &live.gate;
                gate.admit(live, listener, peer, login, encrypted).await?;
            }
            let gate = &now.gate;
            gate.admit(now, listener, peer, login, encrypted).await
        }
    }

    /// Gets a session and answers.
    async fn connected(
        mut self,
        target: &Arc<TargetEntry>,
        database: Option<&str>,
        mut watch: LoginWatch<'_>,
    ) -> Result<Connected, End> {
        self.entry.learn(|known| {
            known.state = Phase::Waiting;
            known.target.clone_from(&target.name);
            known.identity = target.identity();
        });
        let mut early = Vec::new();
        let asked = Instant::now();
        let lease = tokio::select! {
            lease = self.shared.upstreams.lease(target, &self.greeted.login, database) => lease,
            end = leaves(&mut self.greeted.stream, &mut early) => return Err(end),
        };
        watch.step(LoginStep::Lease);
        let lease = match lease {
            Ok(lease) => lease,
            Err(error) => {
                self.report(&error);
                self.refuse(&refusal::of_lease(&error, &target.identity()))
                    .await;
                watch.done(LoginOutcome::Failed);
                return Err(End::Unserved("no-session"));
            }
        };
        let stats = &self.shared.stats;
        stats.lease(&target.name, lease.origin().word(), asked.elapsed());
        // A secret may have led elsewhere while the session was opened.
        self.entry.learn(|known| known.identity = target.identity());
        let connected = self.answer(lease, early).await?;
        watch.done(LoginOutcome::Accepted);
        Ok(connected)
    }

    /// Repeats to the client what the server said at the session's login.
    async fn answer(self, lease: Lease, early: Vec<u8>) -> Result<Connected, End> {
        let Greeted {
            mut stream,
            mut front,
            login,
            ..
        } = self.greeted;
        let info = lease.told();
        let limits = &self.live.config.limits;
        let bridge = bridge(login.tds_version, &info, limits.transcode_buffer);
        // The session's own packet size, so that no packet is ever cut anew.
        if let Err(error) = front.accept(&info, info.packet_size) {
            tracing::error!(id = self.entry.id, error = %refusal::chain(&error), "the login's answer cannot be written");
            lease.give_back(Condition::AtRest);
            return Err(End::Unserved("no-answer"));
        }
        let answer = front.take_output();
        if let Err(error) = send(&mut stream, &answer, self.within).await {
            lease.give_back(Condition::AtRest);
            return Err(End::ClientBroke(error));
        }
        self.entry
            .learn(|known| known.database.clone_from(&info.database));
        if bridge.is_some() {
            let version = login.tds_version.round_down();
            self.shared.stats.transcoded(&version.to_string());
        }
        self.shared.registry.is_in(self.entry, info.spid);
        let mut sent_behind = front.into_rest();
        sent_behind.extend(early);
        Ok(Connected {
            stream,
            lease,
            early: sent_behind,
            idle: limits.idle_timeout,
            bridge,
        })
    }

    async fn refuse(&mut self, refusal: &Refusal) {
        let Greeted { stream, front, .. } = &mut self.greeted;
        let written = front.refuse_with(&refusal.error, &refusal.others);
        if written.is_ok()
            && send(stream, &front.take_output(), self.within)
                .await
                .is_ok()
        {
            relay::farewell(stream).await;
        }
    }

    /// A failed login at the server is for the people who run the proxy, too.
    fn report(&self, error: &LeaseError) {
        let text = refusal::chain(error);
        tracing::warn!(id = self.entry.id, peer = self.entry.peer, error = %text, "no session for a client");
        self.shared.stats.recent_error(text);
    }
}

/// What a client of that version needs between itself and its session.
fn bridge(version: TdsVersion, info: &LoginInfo, hold_limit: usize) -> Option<Box<Bridge>> {
    let collation = <[u8; 5]>::try_from(&info.collation[..]);
    let settings = Settings {
        version: OldVersion::of(version)?,
        client_packet_size: info.packet_size,
        server_packet_size: info.packet_size,
        collation: collation.map_or(Collation::SQL_LATIN1_GENERAL_CP1_CI_AS, Collation),
        hold_limit,
    };
    Some(Box::new(Bridge::new(&settings)))
}

/// Ends when a client leaves that should wait. What it sends is kept, as much as
/// there may be; with more it just waits.
async fn leaves(stream: &mut SessionStream, early: &mut Vec<u8>) -> End {
    let mut buffer = [0; 512];
    while early.len() < EARLY {
        match stream.read(&mut buffer).await {
            Ok(0) => return End::Unserved("left-waiting"),
            Ok(count) => early.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) => return End::ClientBroke(error),
        }
    }
    std::future::pending().await
}

async fn send(stream: &mut SessionStream, bytes: &[u8], within: Duration) -> std::io::Result<()> {
    timeout(within, async {
        stream.write_all(bytes).await?;
        stream.flush().await
    })
    .await?
}

fn learn_login(entry: &Entry, greeted: &Greeted) {
    let login: &Login7 = &greeted.login;
    entry.learn(|known| {
        known.login.clone_from(&login.user_name);
        known.application.clone_from(&login.app_name);
        known.host.clone_from(&login.host_name);
        known.database.clone_from(&login.database);
        known.tds_version = login.tds_version.to_string();
        known.encrypted = greeted.encrypted;
    });
}

fn outcome_of(error: &GreetError) -> LoginOutcome {
    match error {
        GreetError::TooSlow { .. } => LoginOutcome::TimedOut,
        GreetError::Closed | GreetError::Silent | GreetError::Io { .. } => LoginOutcome::Abandoned,
        _ => LoginOutcome::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of the future that a function returns.
    fn future_size<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    /// Ten thousand idle clients are what a proxy is for: something that only an
    /// arrival or an end needs must not become part of what each of them holds.
    #[test]
    fn an_idle_client_holds_little() {
        let parts = [
            ("its task", future_size(Stay::relay), 704),
            ("its streams and its session", size_of::<Connected>(), 256),
            ("its place in the registry", size_of::<Entry>(), 160),
            ("what an older one has beside", size_of::<Bridge>(), 1024),
        ];
        for (what, size, bound) in parts {
            assert!(
                size <= bound,
                "{what} takes {size} bytes, more than {bound}; docs/benchmarks.md has the account"
            );
        }
    }
}
