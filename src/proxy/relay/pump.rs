//! Both directions of a relay, polled by one task.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::bridge::Bridge;
use super::end::End;
use super::flow::Flow;
use super::track::{Fault, Piece, Track};
use crate::proxy::registry::Traffic;
use crate::proxy::stats::Stats;
use crate::session::{Scratch, SessionStream};

/// How long the server may be silent while it owes an answer to a client that
/// has closed its half: it has most likely gone altogether.
const DESERTED: Duration = Duration::from_secs(10);

/// Moves bytes both ways, and knows at any time where both sides stand.
///
/// While a client is idle nothing is held for it: reading borrows a buffer of
/// the thread for the time of one poll, and only what the receiver does not take
/// then is kept. As long as something is kept, that direction is not read.
pub(super) struct Pump<'a> {
    pub(super) client: &'a mut SessionStream,
    pub(super) server: &'a mut SessionStream,
    pub(super) track: Track,
    pub(super) up: Flow,
    pub(super) down: Flow,
    /// The session's number at the server.
    pub(super) spid: u16,
    /// Set when writing to the server failed: what it said last is still read.
    pub(super) server_broke: Option<io::Error>,
    /// Only a client of an older version has one: what others send and get is
    /// never rewritten.
    pub(super) bridge: Option<Box<Bridge>>,
    pub(super) meter: Meter<'a>,
    /// Bytes of the client's are held that nobody has looked at yet.
    early: bool,
    pub(super) client_ended: bool,
    pub(super) server_ended: bool,
    /// The longest silence between requests.
    idle: Option<Duration>,
    clock: Option<Pin<Box<Sleep>>>,
}

/// Counts what passes.
pub(super) struct Meter<'a> {
    pub(super) traffic: &'a Traffic,
    stats: &'a Stats,
    requests: u64,
    answers: u64,
    /// When a request went out that has no answer yet.
    asked: Option<Instant>,
    /// When something last moved.
    moved: Instant,
}

impl<'a> Pump<'a> {
    /// `early` is what the client sent behind its login; `packet_size` is the
    /// one agreed on with both.
    pub(super) fn new(
        client: &'a mut SessionStream,
        server: &'a mut SessionStream,
        packet_size: usize,
        early: Vec<u8>,
        (traffic, stats): (&'a Traffic, &'a Stats),
    ) -> Self {
        let mut up = Flow::new(!server.is_plain());
        traffic
            .sent
            .fetch_add(early.len() as u64, Ordering::Relaxed);
        let has_early = !early.is_empty();
        up.held = early;
        Self {
            client,
            server,
            track: Track::new(packet_size),
            up,
            down: Flow::default(),
            spid: 0,
            server_broke: None,
            bridge: None,
            meter: Meter {
                traffic,
                stats,
                requests: 0,
                answers: 0,
                asked: None,
                moved: Instant::now(),
            },
            early: has_early,
            client_ended: false,
            server_ended: false,
            idle: None,
            clock: None,
        }
    }

    /// Ends a client that says nothing between requests for so long.
    pub(super) fn idle_after(mut self, idle: Option<Duration>) -> Self {
        self.idle = idle;
        self
    }

    /// Relays until one side is done.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let up = self.poll_up(cx);
            if let Poll::Ready(Err(end)) = up {
                return Poll::Ready(end);
            }
            let down = self.poll_down(cx);
            if let Poll::Ready(Err(end)) = down {
                return Poll::Ready(end);
            }
            if self.client_ended && self.is_done() {
                return Poll::Ready(End::Left);
            }
            if up.is_pending() && down.is_pending() {
                return match self.server_broke.take() {
                    Some(error) => Poll::Ready(End::ServerBroke(error)),
                    None => self.poll_clock(cx),
                };
            }
        }
    }

    /// Whether nothing is left to be done for a client that sends no more.
    fn is_done(&self) -> bool {
        let is_waiting = |bridge: &Bridge| bridge.stalled || bridge.mid_request();
        let is_waiting = self.bridge.as_deref().is_some_and(is_waiting);
        let all_sent = self.up.held.is_empty() && self.down.is_sent() && !is_waiting;
        all_sent && self.track.at_rest()
    }

    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        if let Some(mut bridge) = self.bridge.take() {
            let up = self.poll_up_old(cx, &mut bridge);
            self.bridge = Some(bridge);
            return up;
        }
        if self.server_broke.is_some() {
            return Poll::Pending;
        }
        if let Err(error) = ready!(self.up.poll_send(cx, self.server)) {
            self.server_broke = Some(error);
            return Poll::Ready(Ok(()));
        }
        if std::mem::take(&mut self.early) {
            let mut early = std::mem::take(&mut self.up.held);
            return Poll::Ready(self.pass_requests(cx, &mut early));
        }
        if self.client_ended {
            return Poll::Pending;
        }
        let mut buffer = Scratch::take();
        let held = self.up.held.len();
        let filled = match ready!(self.up.poll_fill(cx, self.client, &mut buffer)) {
            Ok(filled) => filled,
            Err(error) => return Poll::Ready(Err(End::ClientBroke(error))),
        };
        let read = (filled.length - held) as u64;
        self.meter.traffic.sent.fetch_add(read, Ordering::Relaxed);
        let bytes = buffer.get_mut(..filled.length).unwrap_or_default();
        self.pass_requests(cx, bytes)?;
        if filled.ended {
            if self.track.mid_request() || !self.up.held.is_empty() {
                let error = io::ErrorKind::UnexpectedEof.into();
                return Poll::Ready(Err(End::ClientBroke(error)));
            }
            self.client_ended = true;
        }
        Poll::Ready(Ok(()))
    }

    fn pass_requests(&mut self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Result<(), End> {
        let scan = self.track.requests(bytes);
        let (whole, rest) = bytes.split_at(scan.forward.min(bytes.len()));
        self.up.held = rest.to_vec();
        if let Err(error) = self.up.send(cx, self.server, whole) {
            self.server_broke = Some(error);
        }
        self.meter.moved(&self.track);
        match scan.fault {
            Some(fault) => Err(End::Protocol(fault)),
            None => Ok(()),
        }
    }

    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        if let Some(mut bridge) = self.bridge.take() {
            let down = self.poll_down_old(cx, &mut bridge);
            self.bridge = Some(bridge);
            return down;
        }
        ready!(self.down.poll_send(cx, self.client)).map_err(End::ClientBroke)?;
        if self.server_ended {
            return Poll::Ready(Err(End::ServerClosed));
        }
        let mut buffer = Scratch::take();
        let filled = ready!(self.down.poll_fill(cx, self.server, &mut buffer));
        let filled = filled.map_err(End::ServerBroke)?;
        self.server_ended = filled.ended;
        let bytes = buffer.get(..filled.length).unwrap_or_default();
        let (passed, edited, fault) = self.answers(bytes);
        let out = edited.as_deref().unwrap_or(passed);
        let count = out.len() as u64;
        self.meter
            .traffic
            .received
            .fetch_add(count, Ordering::Relaxed);
        let sent = self.down.send(cx, self.client, out);
        sent.map_err(End::ClientBroke)?;
        self.meter.moved(&self.track);
        Poll::Ready(match fault {
            Some(fault) => Err(End::ServerFault(fault)),
            None => Ok(()),
        })
    }

    /// What of the server's bytes is the client's: a beginning of them as it
    /// stands, or something else in the place of it.
    fn answers<'b>(&mut self, bytes: &'b [u8]) -> (&'b [u8], Option<Vec<u8>>, Option<Fault>) {
        let (mut at, mut edited) = (0, None);
        let fault = loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let piece = match self.track.answer(rest) {
                Ok(Some(piece)) => piece,
                Ok(None) => {
                    self.down.held = rest.to_vec();
                    break None;
                }
                Err(fault) => break Some(fault),
            };
            let (Piece::Pass(length) | Piece::Drop(length) | Piece::Replace(length)) = piece;
            let taken = rest.get(..length).unwrap_or(rest);
            if let (Piece::Pass(_), Some(edited)) = (piece, &mut edited) {
                Vec::extend_from_slice(edited, taken);
            } else if !matches!(piece, Piece::Pass(_)) {
                let before = bytes.get(..at).unwrap_or_default();
                let edited = edited.get_or_insert_with(|| before.to_vec());
                if let Piece::Replace(_) = piece {
                    edited.extend(Track::attention_answer(self.spid));
                }
            }
            at += taken.len();
        };
        (bytes.get(..at).unwrap_or_default(), edited, fault)
    }

    /// Looks at the clock if there is something to wait for.
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let limit = match (self.client_ended, self.idle) {
                (true, _) => DESERTED,
                (false, Some(idle)) => idle,
                (false, None) => return Poll::Pending,
            };
            let Some(deadline) = self.meter.moved.checked_add(limit) else {
                return Poll::Pending;
            };
            let clock = self
                .clock
                .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            // Set anew only when it has run out: most bytes need no clock.
            if deadline < clock.deadline() || clock.is_elapsed() {
                clock.as_mut().reset(deadline);
            }
            ready!(clock.as_mut().poll(cx));
            if Instant::now() < deadline {
                continue;
            }
            if self.client_ended {
                return Poll::Ready(End::Deserted);
            }
            if !self.track.answers_due() {
                return Poll::Ready(End::Idle);
            }
            // The client waits for the server; that is no idleness of its own.
            self.meter.moved = Instant::now();
        }
    }
}

impl Meter<'_> {
    /// Takes note of messages that have ended or begun, and of the time.
    pub(super) fn moved(&mut self, track: &Track) {
        self.moved = Instant::now();
        let requests = track.requests - self.requests;
        if requests > 0 {
            self.requests = track.requests;
            self.traffic.requests.fetch_add(requests, Ordering::Relaxed);
            self.asked.get_or_insert(self.moved);
        }
        if track.answers > self.answers {
            self.answers = track.answers;
            if let Some(asked) = self.asked.take() {
                self.stats.first_byte(self.moved - asked);
            }
        }
    }
}
