//! A bounded queue between threads: one mutex, two conditions, nothing clever.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};

/// Values on their way from any thread to any thread.
#[derive(Debug)]
pub struct Queue<T> {
    values: Mutex<(VecDeque<T>, usize)>,
    limit: usize,
    filled: Condvar,
    emptied: Condvar,
}

impl<T> Queue<T> {
    /// A queue of at most `limit` values, which ends when `senders` threads have called
    /// [`Queue::end`].
    pub fn new(limit: usize, senders: usize) -> Queue<T> {
        Queue {
            values: Mutex::new((VecDeque::new(), senders)),
            limit,
            filled: Condvar::new(),
            emptied: Condvar::new(),
        }
    }

    /// Appends a value, once there is room.
    pub fn send(&self, value: T) {
        let mut values = self.values.lock().expect("no thread panicked");
        while values.0.len() == self.limit {
            values = self.emptied.wait(values).expect("no thread panicked");
        }
        values.0.push_back(value);
        drop(values);
        self.filled.notify_one();
    }

    /// Appends a value if there is room, or returns it.
    pub fn try_send(&self, value: T) -> Option<T> {
        let mut values = self.values.lock().expect("no thread panicked");
        if values.0.len() == self.limit {
            return Some(value);
        }
        values.0.push_back(value);
        None
    }

    /// One sender has sent its last value.
    pub fn end(&self) {
        self.values.lock().expect("no thread panicked").1 -= 1;
        self.filled.notify_all();
    }

    /// The oldest value, once there is one; `None` after the end.
    pub fn receive(&self) -> Option<T> {
        let mut values = self.values.lock().expect("no thread panicked");
        loop {
            if let Some(value) = values.0.pop_front() {
                drop(values);
                self.emptied.notify_one();
                return Some(value);
            }
            if values.1 == 0 {
                return None;
            }
            values = self.filled.wait(values).expect("no thread panicked");
        }
    }

    /// The oldest value, if there is one now.
    pub fn try_receive(&self) -> Option<T> {
        let value = self
            .values
            .lock()
            .expect("no thread panicked")
            .0
            .pop_front();
        self.emptied.notify_one();
        value
    }
}
