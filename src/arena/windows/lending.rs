//! Lending and coming back: sessions and claims take the window of an arena for a while, scopes and
//! checkpoints remember it.
//!
//! I1: a lent window is nobody else's: the arena's own is empty or another chunk's until it comes
//!     back. One that never does is lost until the reset, and nothing else is.
//! I2: what a savepoint remembers stays as it was until the arena is rewound to it: blocks below
//!     its low end do not move (none of them ends at the low end), and its chunk does not become
//!     spare.
//! I3: a claim gives everything it took to its root, and then its home to its parent.

use core::ptr::NonNull;

use crate::arena::windows::chunk::{Chunk, End, Window};
use crate::arena::windows::keeping::Keeping;
use crate::arena::windows::owned::OwnedList;
use crate::arena::windows::state::State;

/// What a scope has to come back to.
#[derive(Debug)]
pub(crate) struct Savepoint {
    window: Window,
    newest: Option<Chunk>,
    owned: OwnedList,
    payload_bytes: usize,
    abandoned_bytes: usize,
    open_scopes: usize,
}

impl State {
    /// Takes the window for a session. What it holds counts as used until it comes back.
    pub(crate) fn lend_window(&self) -> Window {
        let window = self.window();
        self.set_window(Window::EMPTY);
        window
    }

    /// Takes a session's window back; if allocations made another one meanwhile, the roomier stays.
    /// Not inlined, so that the drop of a session is small enough to be, also where a panic passes:
    /// else its address would be taken there and its ends would live in memory.
    #[inline(never)]
    pub(crate) fn return_window(&self, lo: NonNull<u8>, hi: NonNull<u8>, chunk: Option<Chunk>) {
        let window = Window { lo, hi, chunk };
        let current = self.window();
        if current.chunk.is_none() || window.room() > current.room() {
            self.abandon(current);
            self.set_window(window);
        } else {
            self.abandon(window);
        }
    }

    /// An arena that starts with this one's window, and must end before it.
    pub(crate) fn lend(&self) -> State {
        let mut claim = State::new(None, usize::MAX, Keeping::ALL);
        let home = self.lend_window();
        claim.parent = Some(NonNull::from(self));
        claim.settle_in(home);
        claim
    }

    /// Starts an arena in a window of somebody else's (I7 of state.rs).
    pub(crate) fn settle_in(&mut self, home: Window) {
        self.home = home;
        self.reopen_home();
    }

    /// Makes the home the window, whole. What was in it is gone.
    pub(crate) fn reopen_home(&self) {
        if let Some(chunk) = self.home.chunk {
            chunk.set_used();
        }
        // Its blocks are parted from what lies below, as a scope's are (`save`): the parent's last
        // block, or whatever ends where a buffer begins. Without room for that there is no window.
        let parted = self.home.carve(1, 1, End::Up);
        let window = parted.map_or(Window::EMPTY, |(_, window)| window);
        self.set_window(window);
        self.payload_bytes.set(self.home.room());
        self.abandoned_bytes.set(self.home.room() - window.room());
        self.open_scopes.set(0);
    }

    /// The end of a claim: nothing in it is alive any more.
    pub(crate) fn give_back(&self, parent: &State) {
        let beyond = self.payload_bytes.get() - self.home.room();
        let root = self.root();
        root.note_high_water(root.used_bytes() + beyond);
        self.clear();
        if self.home.chunk.is_some() {
            parent.return_window(self.home.lo, self.home.hi, self.home.chunk);
        }
    }

    /// Opens a scope: blocks made so far do not resize in place until [`State::rewind`]. One byte
    /// that belongs to nobody parts them from those of the scope, so that none of them is the last
    /// of the low end, without a test wherever a block is resized. Where there is no room for it,
    /// there is none to grow into either.
    pub(crate) fn save(&self) -> Savepoint {
        let window = self.window();
        let open_scopes = self.open_scopes.get();
        self.open_scopes.set(open_scopes + 1);
        let savepoint = Savepoint {
            window,
            newest: self.in_use.head(),
            owned: self.owned.copy(),
            payload_bytes: self.payload_bytes.get(),
            abandoned_bytes: self.abandoned_bytes.get(),
            open_scopes,
        };
        if let Some((_, parted)) = window.carve(1, 1, End::Up) {
            self.set_window(parted);
            self.abandoned_bytes.set(savepoint.abandoned_bytes + 1);
        }
        savepoint
    }

    /// The same for whoever may never come back to it, or may be in the middle of a closure that
    /// fails: the next reset clears the count of open scopes, and the newest chunk stays in use
    /// until then or a rewind, because the savepoint counts from it.
    pub(crate) fn save_unguarded(&self) -> Savepoint {
        self.set_opened(None);
        if let Some(newest) = self.in_use.head() {
            newest.set_marked();
        }
        self.save()
    }

    /// Closes an open scope and those opened since: owned values made since are dropped, newest
    /// first, then everything made since is gone. Panics when a drop does, after all of that.
    ///
    /// # Safety
    /// The savepoint is of this arena, which was not reset or rewound to an earlier one since, and
    /// nothing made since is used any more. No session or claim is open, nor was one at it.
    pub(crate) unsafe fn rewind(&self, savepoint: &Savepoint) {
        struct Finish<'a>(&'a State, &'a Savepoint);
        impl Drop for Finish<'_> {
            fn drop(&mut self) {
                self.0.forget_since(self.1);
            }
        }
        let finish = Finish(self, savepoint);
        finish.0.owned.drop_until(&savepoint.owned);
    }

    fn forget_since(&self, savepoint: &Savepoint) {
        self.note_high_water(self.used_bytes());
        let root = self.root();
        while self.in_use.head() != savepoint.newest {
            let Some(chunk) = self.in_use.pop() else {
                break;
            };
            root.set_opened(None);
            root.spare.push(chunk);
        }
        if let Some(chunk) = savepoint.window.chunk {
            chunk.set_used();
        }
        self.open_scopes.set(savepoint.open_scopes);
        self.set_window(savepoint.window);
        self.payload_bytes.set(savepoint.payload_bytes);
        self.abandoned_bytes.set(savepoint.abandoned_bytes);
    }
}
