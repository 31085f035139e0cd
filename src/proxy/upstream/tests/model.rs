//! Clients, servers and time in any order: whatever happens, nobody gets what
//! another has or had, and nothing is lost.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tokio::task::JoinHandle;

use super::*;

#[derive(Clone, Debug)]
enum Event {
    Come(&'static str),
    /// Whoever waits leaves.
    Tire(usize),
    GiveBack(usize),
    GiveBackLasting(usize),
    Break(usize),
    HangUp(usize),
    Refuse(bool),
    SlowLogins(bool),
    Silence(bool),
    Pass(u64),
    Pause(bool),
    Reconnect,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        12 => prop_oneof![Just("a"), Just("b"), Just("c")].prop_map(Event::Come),
        2 => any::<usize>().prop_map(Event::Tire),
        8 => any::<usize>().prop_map(Event::GiveBack),
        1 => any::<usize>().prop_map(Event::GiveBackLasting),
        2 => any::<usize>().prop_map(Event::Break),
        2 => any::<usize>().prop_map(Event::HangUp),
        1 => any::<bool>().prop_map(Event::Refuse),
        1 => any::<bool>().prop_map(Event::SlowLogins),
        1 => any::<bool>().prop_map(Event::Silence),
        4 => (0..400u64).prop_map(Event::Pass),
        1 => any::<bool>().prop_map(Event::Pause),
        1 => Just(Event::Reconnect),
    ];
    prop::collection::vec(event, 1..60)
}

/// What clients have, as an onlooker sees it.
struct Model {
    world: World,
    max: usize,
    waiting: Vec<(&'static str, JoinHandle<Result<Lease, LeaseError>>)>,
    held: Vec<(&'static str, Lease)>,
}

impl Model {
    async fn happen(&mut self, event: Event) {
        let world = &self.world;
        match event {
            Event::Come(word) => self.waiting.push((word, world.waiter(word))),
            Event::Tire(at) => {
                if let Some((_, task)) = pick(&mut self.waiting, at) {
                    task.abort();
                }
            }
            Event::GiveBack(at) => {
                if let Some((_, lease)) = pick(&mut self.held, at) {
                    lease.give_back(Condition::AtRest);
                }
            }
            Event::GiveBackLasting(at) => {
                if let Some((_, lease)) = pick(&mut self.held, at) {
                    lease.give_back(Condition::Lasting);
                }
            }
            Event::Break(at) => drop(pick(&mut self.held, at)),
            Event::HangUp(at) => {
                let sessions = world.server.sessions.lock().unwrap().clone();
                if !sessions.is_empty() {
                    sessions[at % sessions.len()].hang_up.cancel();
                }
            }
            Event::Refuse(refuses) => world.manner(|m| m.refuses = refuses),
            Event::SlowLogins(slow) => world.manner(|m| {
                m.login_takes = Duration::from_secs(if slow { 20 } else { 0 });
            }),
            Event::Silence(silent) => {
                world.manner(|m| m.answer = silent.then_some(Answer::Silence));
            }
            Event::Pass(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            Event::Pause(paused) => world.pool.set_paused(paused),
            Event::Reconnect => world.pool.reconnect(),
        }
        world.quiet().await;
        self.collect().await;
        self.check();
    }

    /// Takes what has been handed out, and looks at it.
    async fn collect(&mut self) {
        let (done, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, task)| task.is_finished());
        self.waiting = waiting;
        let done: Vec<_> = done;
        for (word, task) in done {
            let Ok(lease) = task.await.unwrap() else {
                continue;
            };
            assert_eq!(lease.told().database, word, "another's login properties");
            let served = self.world.server.served(lease.told().spid);
            let mut requests = served.requests.lock().unwrap();
            let fresh = lease.origin() == Origin::Cold;
            let last = requests.last().map(|request| request.status);
            let reset = last.is_some_and(|s| s.contains(PacketStatus::RESET_CONNECTION));
            assert!(fresh || reset || requests.is_empty(), "what another left");
            requests.clear();
            // What its user leaves behind, until a reset comes after it.
            requests.push(Message {
                packet_type: PacketType::SQL_BATCH,
                status: PacketStatus::NORMAL,
                spid: 0,
                payload: Vec::new(),
            });
            drop(requests);
            self.held.push((word, lease));
        }
    }

    fn check(&self) {
        let view = self.world.view();
        let spids: BTreeSet<u16> = self.held.iter().map(|(_, l)| l.told().spid).collect();
        assert_eq!(spids.len(), self.held.len(), "one session for two clients");
        assert_eq!(view.in_use, self.held.len());
        assert!(view.in_use + view.idle + view.resetting + view.opening <= self.max);
        let ended: u64 = view.closed.values().sum::<u64>();
        let open = view.idle + view.in_use + view.resetting;
        assert_eq!(view.opened, open as u64 + ended);
        let hung_up = |lease: &Lease| {
            let served = self.world.server.served(lease.told().spid);
            served.gone.is_cancelled()
        };
        let dead = self.held.iter().filter(|(_, lease)| hung_up(lease)).count();
        assert_eq!(self.world.server.alive() + dead, open, "a socket is left");
    }

    /// Everybody leaves, and the proxy ends.
    async fn end(mut self) {
        for (_, task) in self.waiting.drain(..) {
            task.abort();
        }
        self.held.clear();
        self.world.quiet().await;
        self.world.pool.end();
        self.world.tasks.close();
        self.world.tasks.wait().await;
        self.world.quiet().await;
        let view = self.world.view();
        assert_eq!(view.opened, view.closed.values().sum::<u64>());
        assert_eq!(
            (
                view.idle,
                view.in_use,
                view.resetting,
                view.opening,
                view.waiting
            ),
            (0, 0, 0, 0, 0)
        );
        assert_eq!(self.world.server.alive(), 0);
    }
}

fn pick<T>(from: &mut Vec<T>, at: usize) -> Option<T> {
    (!from.is_empty()).then(|| from.remove(at % from.len()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nobody_gets_what_another_has_and_nothing_is_lost(
        events in events(),
        max in 1..4usize,
        min_idle in 0..2usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let world = world(PoolConfig { max, min_idle, queue: 3, ..config() });
            let mut model = Model { world, max, waiting: Vec::new(), held: Vec::new() };
            for event in events {
                model.happen(event).await;
            }
            model.end().await;
        });
    }
}
