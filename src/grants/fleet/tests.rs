use std::cell::Cell;
use std::future::pending;

use super::*;

fn outcomes<T, E>(ended: Vec<Ended<T, E>>) -> Vec<Outcome<T, E>> {
    ended.into_iter().map(|one| one.outcome).collect()
}

fn jobs(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

#[tokio::test(start_paused = true)]
async fn never_more_than_so_many_run_and_the_order_is_kept() {
    let running = Cell::new(0);
    let most = Cell::new(0);
    let work = async |seconds: &u64, _: &Point| {
        running.set(running.get() + 1);
        most.set(most.get().max(running.get()));
        sleep(Duration::from_secs(*seconds)).await;
        running.set(running.get() - 1);
        if seconds.is_multiple_of(2) {
            Ok(*seconds)
        } else {
            Err(*seconds)
        }
    };
    let mut seen = Vec::new();
    let watch = |event: Event<'_, u64, u64>| {
        seen.push(match event {
            Event::Began(at) => (at, false),
            Event::Ended(at, _) => (at, true),
        });
    };
    let fleet = Fleet::new().jobs(jobs(3));
    let ended = fleet.run(&[9, 2, 4, 1, 6], work, watch).await;
    assert_eq!(most.get(), 3);
    assert_eq!(
        outcomes(ended),
        [
            Outcome::Failed(9),
            Outcome::Done(2),
            Outcome::Done(4),
            Outcome::Failed(1),
            Outcome::Done(6)
        ]
    );
    let at = |what| seen.iter().position(|one| *one == what).unwrap();
    assert_eq!(seen.len(), 10);
    for place in 0..5 {
        assert!(at((place, false)) < at((place, true)), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_given_up_and_the_others_go_on() {
    let work = async |seconds: &u64, _: &Point| {
        sleep(Duration::from_secs(*seconds)).await;
        Ok::<_, ()>(*seconds)
    };
    let limit = Duration::from_secs(5);
    let fleet = Fleet::new().jobs(jobs(1)).deadline(limit);
    let ended = fleet.run(&[1, 60, 2], work, |_| {}).await;
    assert_eq!(ended[1].took, limit);
    assert_eq!(
        outcomes(ended),
        [Outcome::Done(1), Outcome::TimedOut(limit), Outcome::Done(2)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_up_what_runs_and_begins_nothing() {
    let stop = CancellationToken::new();
    let work = async |at: &usize, point: &Point| match at {
        0 => Ok(0),
        1 => {
            // Committing when it is told to stop.
            point.of_no_return();
            sleep(Duration::from_secs(3)).await;
            Ok(1)
        }
        2 => {
            point.of_no_return();
            pending().await
        }
        3 => {
            stop.cancel();
            pending().await
        }
        _ => Err(()),
    };
    let fleet = Fleet::new().jobs(jobs(4)).stop_on(stop.clone());
    let ended = fleet.run(&[0, 1, 2, 3, 4], work, |_| {}).await;
    assert_eq!(
        outcomes(ended)[..4],
        [
            Outcome::Done(0),
            Outcome::Done(1),
            Outcome::InDoubt,
            Outcome::Interrupted
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_nothing_is_begun_if_so_wanted() {
    let work = async |wait: &u64, _: &Point| {
        sleep(Duration::from_secs(*wait)).await;
        if *wait == 1 { Err(()) } else { Ok(()) }
    };
    let fleet = Fleet::new().jobs(jobs(2)).fail_fast(true);
    let ended = fleet.run(&[9, 1, 1, 0], work, |_| {}).await;
    assert_eq!(
        outcomes(ended),
        [
            Outcome::Done(()),
            Outcome::Failed(()),
            Outcome::NotBegun,
            Outcome::NotBegun
        ]
    );
}
