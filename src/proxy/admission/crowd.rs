//! How many clients there are, in all and of each peer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::peer::{Peer, Who};
use crate::proxy::config::LimitsConfig;

/// So many more clients than allowed are listened to at a time, only to be told
/// why they are turned away: TDS has no way to say so before LOGIN7.
const SPARE: usize = 32;

/// Counts the clients of a proxy.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Crowd {
    counts: Mutex<Counts>,
}

/// A client's place; given up when dropped.
#[derive(Debug)]
pub(in crate::proxy) struct Seat {
    crowd: Arc<Crowd>,
    kind: Kind,
    who: Option<Who>,
}

/// Which bound a client is beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Excess {
    /// Of all clients.
    All { limit: usize },
    /// Of the clients of one peer.
    OfPeer { limit: usize },
}

#[derive(Debug, Default)]
struct Counts {
    admissible: usize,
    spare: usize,
    peers: HashMap<Who, usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Admissible,
    Spare,
}

impl Crowd {
    /// A place for a client of whom nothing is known yet; `None` when there is
    /// not even one to say no from.
    pub(in crate::proxy) fn enter(
        self: &Arc<Self>,
        limits: &LimitsConfig,
    ) -> Option<(Seat, Option<Excess>)> {
        let limit = limits.connections;
        let mut counts = self.lock();
        let (kind, excess) = if counts.admissible < limit {
            counts.admissible += 1;
            (Kind::Admissible, None)
        } else if counts.spare < SPARE {
            counts.spare += 1;
            (Kind::Spare, Some(Excess::All { limit }))
        } else {
            return None;
        };
        let seat = Seat {
            crowd: Arc::clone(self),
            kind,
            who: None,
        };
        Some((seat, excess))
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Counts the client for its peer. `None` when its peer has too many and
    /// there is no place to say so from.
    pub(in crate::proxy) fn of(
        mut self,
        peer: &Peer,
        limits: &LimitsConfig,
    ) -> Option<(Self, Option<Excess>)> {
        // On this machine many programs can be one user, and whoever wants to be
        // in their way has better means.
        let limit = match limits.connections_per_peer {
            Some(limit) => limit,
            None if peer.is_on_loopback() => return Some((self, None)),
            None => limits.connections_per_machine(),
        };
        if self.kind == Kind::Spare {
            return Some((self, None));
        }
        let crowd = Arc::clone(&self.crowd);
        let mut counts = crowd.lock();
        let who = peer.who();
        let count = counts.peers.entry(who).or_default();
        if *count < limit {
            *count += 1;
            self.who = Some(who);
            return Some((self, None));
        }
        if limit == 0 {
            counts.peers.remove(&who);
        }
        if counts.spare >= SPARE {
            // The lock is let go before the seat is, which takes it.
            drop(counts);
            return None;
        }
        counts.admissible -= 1;
        counts.spare += 1;
        self.kind = Kind::Spare;
        drop(counts);
        Some((self, Some(Excess::OfPeer { limit })))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.crowd.lock();
        match self.kind {
            Kind::Admissible => counts.admissible -= 1,
            Kind::Spare => counts.spare -= 1,
        }
        let Some(who) = self.who else { return };
        if let Some(count) = counts.peers.get_mut(&who) {
            *count -= 1;
            if *count == 0 {
                counts.peers.remove(&who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(all: usize, per_peer: Option<usize>) -> LimitsConfig {
        LimitsConfig {
            connections: all,
            connections_per_peer: per_peer,
            ..LimitsConfig::default()
        }
    }

    fn peer(last: u8) -> Peer {
        Peer::tcp(([192, 0, 2, last], 1).into())
    }

    #[test]
    fn beyond_the_bound_some_are_told_and_the_rest_are_not_heard() {
        let crowd = Arc::new(Crowd::default());
        let limits = limits(2, None);
        let first = crowd.enter(&limits).unwrap();
        assert_eq!(first.1, None);
        let _second = crowd.enter(&limits).unwrap();
        let told: Vec<_> = std::iter::from_fn(|| crowd.enter(&limits)).collect();
        assert_eq!(told.len(), SPARE);
        assert!(told.iter().all(|it| it.1 == Some(Excess::All { limit: 2 })));
        drop(first);
        assert_eq!(crowd.enter(&limits).unwrap().1, None);
        drop(told);
        let (seat, excess) = crowd.enter(&limits).unwrap();
        assert_eq!(excess, None);
        drop(seat);
    }

    #[test]
    fn each_peer_has_a_bound_of_its_own() {
        let crowd = Arc::new(Crowd::default());
        let limits = limits(100, Some(1));
        let enter = |last| {
            let (seat, _) = crowd.enter(&limits).unwrap();
            seat.of(&peer(last), &limits).unwrap()
        };
        let one = enter(1);
        let two = enter(2);
        let more = enter(1);
        assert_eq!((one.1, two.1), (None, None));
        assert_eq!(more.1, Some(Excess::OfPeer { limit: 1 }));
        drop(one);
        assert_eq!(enter(1).1, None);
        drop((two, more));
        let counts = crowd.lock();
        assert_eq!((counts.admissible, counts.spare), (0, 0));
        assert!(counts.peers.is_empty(), "nothing is remembered of the gone");
    }

    #[test]
    fn another_machine_has_a_bound_by_default_and_this_one_has_none() {
        for (all, per_machine) in [(10_000, 1000), (200, 20), (50, 10)] {
            let crowd = Arc::new(Crowd::default());
            let limits = limits(all, None);
            let enter = |peer: &Peer| crowd.enter(&limits).unwrap().0.of(peer, &limits).unwrap();
            let far: Vec<_> = (0..per_machine).map(|_| enter(&peer(1))).collect();
            assert!(far.iter().all(|it| it.1.is_none()));
            let excess = Excess::OfPeer { limit: per_machine };
            assert_eq!(enter(&peer(1)).1, Some(excess));
            assert_eq!(enter(&peer(2)).1, None);
            let here = Peer::tcp(([127, 0, 0, 1], 1).into());
            let near: Vec<_> = (far.len() + 1..all).map(|_| enter(&here)).collect();
            assert!(near.iter().all(|it| it.1.is_none()), "{all}");
        }
    }

    #[test]
    fn a_peer_with_too_many_does_not_use_up_the_places_of_others() {
        let crowd = Arc::new(Crowd::default());
        let limits = limits(100, Some(0));
        let mut kept = Vec::new();
        for _ in 0..200 {
            let (seat, _) = crowd.enter(&limits).unwrap();
            kept.extend(seat.of(&peer(1), &limits));
        }
        assert_eq!(kept.len(), SPARE);
        let counts = crowd.lock();
        assert_eq!((counts.admissible, counts.peers.len()), (0, 0));
    }
}
