//! Both directions of a relay for a client of an older version.
//!
//! ```text
//! client ─► turn ─► Transcoder::requests ─► track ─► server
//! client ◄───────── Transcoder::answers  ◄─ track ◄─ server
//! ```
//!
//! The track sees what the server sees, so that all it knows of 7.4 holds here,
//! too. What either side does not take is kept, and its source not read.

use std::io;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use super::bridge::Bridge;
use super::end::End;
use super::pump::Pump;
use super::track::{Piece, Track};
use crate::session::Scratch;

impl Pump<'_> {
    pub(super) fn poll_up_old(
        &mut self,
        cx: &mut Context<'_>,
        bridge: &mut Bridge,
    ) -> Poll<Result<(), End>> {
        if self.server_broke.is_some() {
            return Poll::Pending;
        }
        if let Err(error) = ready!(self.up.poll_send(cx, self.server)) {
            self.server_broke = Some(error);
            return Poll::Ready(Ok(()));
        }
        let held = std::mem::take(&mut self.up.held);
        if self.rewrite_requests(cx, bridge, &held)? > 0 {
            return Poll::Ready(Ok(()));
        }
        if self.client_ended {
            if bridge.mid_request() && self.up.held.is_empty() {
                let error = io::ErrorKind::UnexpectedEof.into();
                return Poll::Ready(Err(End::ClientBroke(error)));
            }
            return Poll::Pending;
        }
        // A request waits for its turn, and much behind it.
        if self.up.held.len() >= Scratch::LEN {
            return Poll::Pending;
        }
        let mut buffer = Scratch::take();
        let held = self.up.held.len();
        let filled = ready!(self.up.poll_fill(cx, self.client, &mut buffer));
        let filled = filled.map_err(End::ClientBroke)?;
        let read = (filled.length - held) as u64;
        self.meter.traffic.sent.fetch_add(read, Ordering::Relaxed);
        self.client_ended = filled.ended;
        let bytes = buffer.get(..filled.length).unwrap_or_default();
        self.rewrite_requests(cx, bridge, bytes)?;
        Poll::Ready(Ok(()))
    }

    /// Passes on what may be passed on now and holds the rest. How much was taken.
    fn rewrite_requests(
        &mut self,
        cx: &mut Context<'_>,
        bridge: &mut Bridge,
        bytes: &[u8],
    ) -> Result<usize, End> {
        let mut at = 0;
        let fault = loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() || !self.up.is_sent() || self.server_broke.is_some() {
                break None;
            }
            // The track is ahead of the transcoder while the client takes nothing.
            let answers_due = self.track.answers_due() || bridge.passed > 0;
            let outcome = bridge.requests(rest, answers_due);
            let mut packets = bridge.transcoder.to_server().to_vec();
            bridge.transcoder.sent_to_server();
            let scan = self.track.requests(&mut packets);
            let whole = packets.get(..scan.forward).unwrap_or_default();
            if let Err(error) = self.up.send(cx, self.server, whole) {
                self.server_broke = Some(error);
            }
            match (outcome, scan.fault) {
                (_, Some(fault)) => break Some(End::Protocol(fault)),
                (Err(error), None) => break Some(End::Untold(error)),
                (Ok(0), None) => break None,
                (Ok(taken), None) => at += taken,
            }
        };
        self.up.held = bytes.get(at..).unwrap_or_default().to_vec();
        if at > 0 {
            self.meter.moved(&self.track);
        }
        fault.map_or(Ok(at), Err)
    }

    pub(super) fn poll_down_old(
        &mut self,
        cx: &mut Context<'_>,
        bridge: &mut Bridge,
    ) -> Poll<Result<(), End>> {
        ready!(self.down.poll_send(cx, self.client)).map_err(End::ClientBroke)?;
        if bridge.stalled {
            let held = std::mem::take(&mut self.down.held);
            return Poll::Ready(self.rewrite_answers(cx, bridge, &held));
        }
        if self.server_ended {
            return Poll::Ready(Err(End::ServerClosed));
        }
        let mut buffer = Scratch::take();
        let filled = ready!(self.down.poll_fill(cx, self.server, &mut buffer));
        let filled = filled.map_err(End::ServerBroke)?;
        self.server_ended = filled.ended;
        let bytes = buffer.get(..filled.length).unwrap_or_default();
        Poll::Ready(self.rewrite_answers(cx, bridge, bytes))
    }

    /// What of the server's bytes is the client's goes there, in its version, as
    /// much as it takes; the rest is held.
    fn rewrite_answers(
        &mut self,
        cx: &mut Context<'_>,
        bridge: &mut Bridge,
        bytes: &[u8],
    ) -> Result<(), End> {
        let mut at = 0;
        let fault = loop {
            bridge.stalled = !self.down.is_sent();
            if bridge.stalled {
                break None;
            }
            let rest = bytes.get(at..).unwrap_or_default();
            if bridge.passed == 0 {
                match self.track.answer(rest) {
                    Ok(Some(Piece::Pass(length))) => bridge.passed = length,
                    Ok(Some(Piece::Drop(length))) => at += length,
                    Ok(Some(Piece::Replace(length))) => {
                        at += length;
                        // Nothing else is due then, so there is room for all of it.
                        let said = Track::attention_answer(self.spid);
                        if let Err(error) = bridge.transcoder.answers(&said) {
                            break Some(End::Untold(error));
                        }
                        if let Err(end) = self.deliver(cx, bridge) {
                            break Some(end);
                        }
                    }
                    Ok(None) => break None,
                    Err(fault) => break Some(End::ServerFault(fault)),
                }
                continue;
            }
            let piece = rest.get(..bridge.passed).unwrap_or(rest);
            match bridge.transcoder.answers(piece) {
                Ok(taken) => {
                    at += taken;
                    bridge.passed -= taken;
                    // It has made enough.
                    if taken < piece.len()
                        && let Err(end) = self.deliver(cx, bridge)
                    {
                        break Some(end);
                    }
                }
                Err(error) => break Some(End::Untold(error)),
            }
        };
        self.down.held = bytes.get(at..).unwrap_or_default().to_vec();
        let delivered = self.deliver(cx, bridge);
        self.meter.moved(&self.track);
        fault.map_or(delivered, Err)
    }

    /// Sends the client what was made. Only when all before it is sent, or
    /// nothing was made.
    fn deliver(&mut self, cx: &mut Context<'_>, bridge: &mut Bridge) -> Result<(), End> {
        let made = bridge.transcoder.to_client();
        if made.is_empty() {
            return Ok(());
        }
        let received = &self.meter.traffic.received;
        received.fetch_add(made.len() as u64, Ordering::Relaxed);
        let sent = self.down.send(cx, self.client, made);
        bridge.transcoder.sent_to_client();
        sent.map_err(End::ClientBroke)
    }

    /// Forgets what has been followed and is on its way to a client that has gone.
    pub(super) fn forget_passed(&mut self) {
        if let Some(bridge) = &mut self.bridge {
            let passed = std::mem::take(&mut bridge.passed).min(self.down.held.len());
            self.down.held.drain(..passed);
            bridge.stalled = false;
        }
    }

    /// Sends the client all that has come and is its own.
    pub(super) fn poll_delivered(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let Some(mut bridge) = self.bridge.take() else {
            return Poll::Ready(Ok(()));
        };
        let delivered = self.poll_all_delivered(cx, &mut bridge);
        self.bridge = Some(bridge);
        delivered
    }

    fn poll_all_delivered(
        &mut self,
        cx: &mut Context<'_>,
        bridge: &mut Bridge,
    ) -> Poll<Result<(), End>> {
        loop {
            ready!(self.down.poll_send(cx, self.client)).map_err(End::ClientBroke)?;
            if !bridge.stalled {
                return Poll::Ready(Ok(()));
            }
            let held = std::mem::take(&mut self.down.held);
            self.rewrite_answers(cx, bridge, &held)?;
        }
    }
}
