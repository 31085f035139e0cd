//! What systemd is told, and the sockets that it hands over. Without it, nobody
//! is told anything.

#[cfg(unix)]
pub(super) use under_unix::{Systemd, sockets};

#[cfg(not(unix))]
pub(super) use elsewhere::{Systemd, sockets};

#[cfg(unix)]
mod under_unix {
    use std::io;
    use std::time::Duration;

    use listenfd::ListenFd;
    use sd_notify::NotifyState;
    use tokio::time::{Interval, MissedTickBehavior, interval};

    use super::super::signals::{Signal, Signals};
    use crate::cli::exit::{Exit, Failure};
    use crate::proxy::{Inherited, InheritedSocket, Proxy};

    /// How often the status is told anew.
    const STATUS_EVERY: Duration = Duration::from_secs(10);

    /// The service manager.
    pub(in crate::cli::proxy) struct Systemd {
        beat: Interval,
        watched: bool,
    }

    impl Systemd {
        /// Tells that the service is ready.
        pub(in crate::cli::proxy) fn ready(proxy: &Proxy) -> Self {
            tell(&[NotifyState::Ready, NotifyState::Status(&status(proxy))]);
            let watchdog = sd_notify::watchdog_enabled();
            // Half of what is allowed, as sd_watchdog_enabled(3) recommends.
            let every = watchdog.map_or(STATUS_EVERY, |allowed| (allowed / 2).min(STATUS_EVERY));
            let mut beat = interval(every.max(Duration::from_millis(1)));
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Self {
                beat,
                watched: watchdog.is_some(),
            }
        }

        /// Waits for a signal, and tells meanwhile how things are.
        pub(in crate::cli::proxy) async fn or_signal(
            &mut self,
            proxy: &Proxy,
            signals: &mut Signals,
        ) -> Signal {
            loop {
                tokio::select! {
                    signal = signals.next() => return signal,
                    _ = self.beat.tick() => {
                        let status = status(proxy);
                        let status = NotifyState::Status(&status);
                        if self.watched {
                            tell(&[NotifyState::Watchdog, status]);
                        } else {
                            tell(&[status]);
                        }
                    }
                }
            }
        }

        /// Type=notify-reload needs the time with it.
        pub(in crate::cli::proxy) fn reloading(&self) {
            match NotifyState::monotonic_usec_now() {
                Ok(now) => tell(&[NotifyState::Reloading, now]),
                Err(error) => tracing::warn!(%error, "cannot tell the time of the reload"),
            }
        }

        pub(in crate::cli::proxy) fn reloaded(&self, proxy: &Proxy) {
            tell(&[NotifyState::Ready, NotifyState::Status(&status(proxy))]);
        }

        pub(in crate::cli::proxy) fn stopping(&self) {
            tell(&[
                NotifyState::Stopping,
                NotifyState::Status("clients may finish"),
            ]);
        }
    }

    /// The sockets that were handed over, by their names.
    pub(in crate::cli::proxy) fn sockets() -> Result<Inherited, Failure> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut given = ListenFd::from_env();
        let mut inherited = Inherited::none();
        let mut names = names.split(':');
        for index in 0..given.len() {
            // What sd_listen_fds(3) calls those without a name.
            let name = names
                .next()
                .filter(|name| !name.is_empty())
                .unwrap_or("unknown");
            let socket = socket(&mut given, index).and_then(|socket| match socket {
                Some(socket) => inherited.add(name, socket),
                None => Ok(()),
            });
            socket.map_err(|error| {
                let what =
                    format!("the socket `{name}` that was handed over cannot be used: {error}");
                Failure::new(Exit::Usage, what)
            })?;
        }
        Ok(inherited)
    }

    fn socket(given: &mut ListenFd, index: usize) -> io::Result<Option<InheritedSocket>> {
        match given.take_tcp_listener(index) {
            Ok(socket) => Ok(socket.map(InheritedSocket::Tcp)),
            Err(_) => Ok(given.take_unix_listener(index)?.map(InheritedSocket::Unix)),
        }
    }

    fn status(proxy: &Proxy) -> String {
        match proxy.clients() {
            1 => "1 client".to_owned(),
            clients => format!("{clients} clients"),
        }
    }

    /// A manager that cannot be reached is no reason to stop serving.
    fn tell(what: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(what) {
            tracing::debug!(%error, "cannot tell systemd");
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use super::super::signals::{Signal, Signals};
    use crate::cli::exit::Failure;
    use crate::proxy::{Inherited, Proxy};

    pub(in crate::cli::proxy) struct Systemd;

    impl Systemd {
        pub(in crate::cli::proxy) fn ready(_: &Proxy) -> Self {
            Self
        }

        pub(in crate::cli::proxy) async fn or_signal(
            &mut self,
            _: &Proxy,
            signals: &mut Signals,
        ) -> Signal {
            signals.next().await
        }

        pub(in crate::cli::proxy) fn reloading(&self) {}

        pub(in crate::cli::proxy) fn reloaded(&self, _: &Proxy) {}

        pub(in crate::cli::proxy) fn stopping(&self) {}
    }

    pub(in crate::cli::proxy) fn sockets() -> Result<Inherited, Failure> {
        Ok(Inherited::none())
    }
}
