//! Limits, faults and health: what the process allows itself and its clients.
//!
//! Every limit has its unit in its name; the reason for each default stands beside it in
//! `config/leafrank.yaml`. What replies and requests may take in memory together is known from the
//! numbers here ([`Limits::held_bytes_max`]) and is compared with the memory that there is.

use std::time::Duration;

use crate::types::problem::Problem;

/// Time and size limits. Every one has its unit in its name.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long upstream bytes are held back, from the reply's head on.
    pub hold_ms: u64,
    /// Our own computation for one search.
    pub rank_us: u64,
    /// Reply bodies above this stream on untouched (as received, and decoded).
    pub reply_bytes_max: usize,
    /// Request bodies up to this are read to learn from; larger ones stream through unread.
    pub peek_bytes_max: usize,
    /// Request bodies above this get 413; 0 = no limit.
    pub request_bytes_max: u64,
    /// Header block above this gets 431.
    pub header_bytes_max: usize,
    /// Header lines above this get 431.
    pub header_count_max: usize,
    /// A head must arrive within this.
    pub header_timeout: Duration,
    /// A connection silent for this is closed (between requests; upgraded ones excluded).
    pub idle_timeout: Duration,
    /// A request body silent for this ends the request with 408.
    pub body_timeout: Duration,
    /// A client that takes nothing of its reply for this loses its connection.
    pub write_timeout: Duration,
    /// A reply whose body is silent for this is broken off; zero = never.
    pub reply_silence: Duration,
    /// Replies held or copied at a time; past it they pass unranked and unlearned.
    pub in_flight_max: usize,
    /// Requests in flight; one more gets 503.
    pub requests_max: usize,
    /// HTTP/2 streams a connection.
    pub h2_streams_max: u32,
    /// HTTP/2 requests of one connection that were taken back before we looked at them.
    pub h2_resets_max: usize,
    /// Connections of each port.
    pub connections_max: usize,
    /// Memory that the marks are percents of; 0 = what the system allows.
    pub memory_bytes_max: u64,
    /// Above this share of it nothing is personalised.
    pub memory_soft_percent: u64,
    /// Above this share of it new requests get 503.
    pub memory_hard_percent: u64,
    /// What the track API takes.
    pub track: Track,
    /// What is kept to try an edit of the rules on.
    pub preview: Preview,
}

/// Searches on which an edit of the rules can be tried.
#[derive(Clone, Copy, Debug)]
pub struct Preview {
    /// How many; 0 = none.
    pub searches_max: usize,
    /// Bytes of all of them; 0 = none.
    pub bytes_max: usize,
    /// Of the searches of one second so many are kept.
    pub per_second_max: u64,
}

impl Preview {
    /// Is anything kept at all?
    pub fn is_on(&self) -> bool {
        self.searches_max > 0 && self.bytes_max > 0
    }

    /// Bytes that are kept at most.
    fn held_bytes_max(&self) -> usize {
        if self.is_on() { self.bytes_max } else { 0 }
    }
}

/// What the track API and its dialects take.
#[derive(Clone, Copy, Debug)]
pub struct Track {
    /// Events of one request.
    pub items_max: usize,
    /// The same where the request only asks what would happen.
    pub debug_items_max: usize,
    /// Bytes of one body.
    pub bytes_max: usize,
    /// Bytes of all bodies in memory at a time.
    pub held_bytes_max: usize,
    /// How far an event's time may lie back.
    pub age: Duration,
    /// How far it may lie ahead.
    pub ahead: Duration,
    /// Within this an act that two sources tell is one.
    pub join: Duration,
}

/// When a route's own faults switch it off.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// So many within a minute do.
    pub per_minute_max: usize,
    /// Without a fault for so long it comes back; zero = never by itself.
    pub quiet: Duration,
}

/// What readiness means.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    /// Not ready while the shop accepts no connection; without a shop, while Weaviate does not.
    pub ready_needs_upstream: bool,
}

impl Limits {
    /// The longest request body that is forwarded, in bytes; the largest number where there is no
    /// limit.
    pub fn request_bytes_cap(&self) -> u64 {
        if self.request_bytes_max == 0 { u64::MAX } else { self.request_bytes_max }
    }

    /// Bytes that bodies in our hands take at most: each request as read ahead, its reply as
    /// received and as it goes out; what is reported of events; the searches kept for previews.
    pub fn held_bytes_max(&self) -> u64 {
        let one = self.peek_bytes_max.saturating_add(self.reply_bytes_max.saturating_mul(2));
        let kept = self.preview.held_bytes_max();
        let beside = self.track.held_bytes_max.saturating_add(kept);
        let all = self.in_flight_max.saturating_mul(one).saturating_add(beside);
        u64::try_from(all).unwrap_or(u64::MAX)
    }

    /// Compares what bodies may take with the memory that there is.
    ///
    /// # Errors
    /// The sum, with its arithmetic.
    pub fn fit_into(&self, memory_bytes: u64) -> Result<(), Problem> {
        let held = self.held_bytes_max();
        if held <= memory_bytes {
            return Ok(());
        }
        let Self { in_flight_max, peek_bytes_max, reply_bytes_max, track, preview, .. } = self;
        let (track, kept) = (track.held_bytes_max, preview.held_bytes_max());
        Err(Problem {
            key: "limits.in_flight_max".into(),
            expected: format!(
                "no more than the memory limit of {memory_bytes} bytes: lower in_flight_max, \
                 reply_bytes_max or track_held_bytes_max, or raise the limit \
                 (limits.memory_bytes_max, the cgroup's)"
            ),
            ..Problem::with_file(
                "settings",
                format!(
                    "in_flight_max {in_flight_max} × (peek_bytes_max {peek_bytes_max} + 2 × \
                     reply_bytes_max {reply_bytes_max}) + track_held_bytes_max {track} + \
                     preview_bytes_max {kept} = {held} bytes"
                ),
            )
        })
    }
}
