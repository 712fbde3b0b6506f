//! One line that says what is going on: rewritten in place on a terminal, printed now and then
//! into a file.
//!
//! - I1: it goes to standard error, so that standard output holds the tables alone.
//! - I2: it costs nothing between its updates but a look at the clock.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// On a terminal: as often as an eye can follow.
const TERMINAL_PERIOD: Duration = Duration::from_millis(100);

/// In a file: enough to see that it lives.
const FILE_PERIOD: Duration = Duration::from_secs(5);

/// The line.
pub(crate) struct Progress {
    on_terminal: bool,
    start: Instant,
    shown: Option<Instant>,
    /// Share of the whole run before the current phase, and the phase's own share.
    before: f64,
    share: f64,
    phase: String,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        Progress {
            on_terminal: std::io::stderr().is_terminal(),
            start: Instant::now(),
            shown: None,
            before: 0.0,
            share: 0.0,
            phase: String::new(),
        }
    }

    /// Begins a phase that is so much of the whole run, 0 to 1.
    pub(crate) fn phase(&mut self, name: String, share: f64) {
        self.before += self.share;
        self.share = share;
        self.phase = name;
        self.shown = None;
    }

    /// Within the phase, 0 to 1, and what is at work.
    pub(crate) fn show(&mut self, done: f64, detail: &str) {
        let period = if self.on_terminal {
            TERMINAL_PERIOD
        } else {
            FILE_PERIOD
        };
        if self.shown.is_some_and(|shown| shown.elapsed() < period) {
            return;
        }
        self.shown = Some(Instant::now());
        let percent = (self.before + self.share * done) * 100.0;
        let seconds = self.start.elapsed().as_secs();
        let line = format!("[{percent:3.0} %, {seconds:2} s] {}: {detail}", self.phase);
        let (before, after) = if self.on_terminal {
            ("\r\x1b[2K", "")
        } else {
            ("", "\n")
        };
        // A progress line that cannot be written is no reason to stop.
        let _ = write!(std::io::stderr(), "{before}{line}{after}");
    }

    /// Takes the line away.
    pub(crate) fn finish(&mut self) {
        if self.on_terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}
