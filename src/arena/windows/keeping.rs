//! What a reset and a trim do with the chunks of an arena, and the end of an arena.
//!
//! I1: chunks are given back to the pages only from the root's spare list: nothing in them is alive
//!     and no window refers to them (state.rs, I2).
//! I2: owned values are dropped before anything of the memory they lie in changes.

use crate::arena::windows::bumping::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, merged_bytes};
use crate::arena::windows::chunk::{CHUNK_END_ALIGN, Chunk, ChunkList};
use crate::arena::windows::owned::OwnedList;
use crate::arena::windows::state::State;

/// A reset that follows recent rounds keeps this much in any case: less than a unit of the pages is
/// not worth taking again.
const RECENT_BYTES_MIN: usize = 64 << 10;
/// A reset that follows recent rounds keeps this many times what they used: chunks that double from
/// a page come to 3.3 times what is used at worst, so a steady round never gives anything back.
const RECENT_FACTOR: usize = 4;
/// By this part the memory of a large round fades with each reset: a round in the hundred that is
/// large keeps a quarter of its chunks for the next one.
const RECENT_FADES_BY: usize = 64;

/// What a reset keeps, as the builder said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeping {
    /// The most bytes of chunks.
    pub(crate) bytes_max: usize,
    /// Follows what recent rounds used.
    pub(crate) recent: bool,
    /// Replaces the chunks of a round that took several by one as large as all of them.
    pub(crate) merge: bool,
}

impl Keeping {
    /// Everything, as it is.
    pub(crate) const ALL: Keeping = Keeping {
        bytes_max: usize::MAX,
        recent: false,
        merge: false,
    };
}

impl State {
    /// Drops the owned values, newest first, and frees everything else; keeps chunks by policy.
    /// When a drop panics, the other values are dropped all the same, then the panic goes on and
    /// the memory stays in use until the next reset.
    #[inline]
    pub(crate) fn reset(&mut self) {
        match self.settled.get() {
            // The round needed nothing but what the last reset left (I6): the same again. What is
            // spare is then not worth a look at the pressure each time.
            Some(chunk) if self.owned.is_empty() => self.open_again(chunk),
            _ => self.reset_slow(),
        }
    }

    #[inline(always)]
    fn open_again(&self, chunk: Chunk) {
        self.note_high_water(self.used_bytes());
        self.set_window(chunk.open());
        self.abandoned_bytes.set(0);
    }

    #[cold]
    #[inline(never)]
    fn reset_slow(&mut self) {
        let is_pressed = self.root().is_pressed();
        let keep_bytes = self.keep_bytes();
        match self.opened.get() {
            Some(chunk)
                if self.owned.is_empty()
                    && !is_pressed
                    && self.capacity_bytes.get() <= keep_bytes =>
            {
                self.open_again(chunk);
            }
            _ => self.reset_all(is_pressed, keep_bytes),
        }
    }

    /// Not inlined: what it saves on the stack is most of the shorter way's cost.
    #[inline(never)]
    fn reset_all(&mut self, is_pressed: bool, keep_bytes: usize) {
        self.owned.drop_until(&OwnedList::new());
        self.note_high_water(self.used_bytes());
        let round_bytes: usize = self.in_use.iter().map(Chunk::bytes).sum();
        let is_several = self.in_use.iter().nth(1).is_some();
        self.clear();
        if self.home.chunk.is_some() {
            let keep_bytes = if is_pressed { 0 } else { keep_bytes };
            self.root().release_spare(keep_bytes);
        } else if self.keeping.merge && is_several && !is_pressed {
            self.open_merged(merged_bytes(round_bytes, keep_bytes));
        } else {
            self.release_spare(keep_bytes);
            self.open_largest(is_pressed);
        }
    }

    /// The most bytes of chunks that this reset keeps. Called once at each slow reset.
    fn keep_bytes(&self) -> usize {
        if !self.keeping.recent {
            return self.keeping.bytes_max;
        }
        let faded = self.recent_bytes.get() - self.recent_bytes.get() / RECENT_FADES_BY;
        self.recent_bytes.set(faded.max(self.used_bytes()));
        let recent = self.recent_bytes.get().saturating_mul(RECENT_FACTOR);
        recent.max(RECENT_BYTES_MIN).min(self.keeping.bytes_max)
    }

    /// Says which chunk this reset opened, or that it is not the only one in use any more (I6).
    pub(crate) fn set_opened(&self, opened: Option<Chunk>) {
        // Twice a chunk's bytes: a round that needs it alone leaves at most half unused.
        let is_settled = |chunk: &Chunk| {
            self.capacity_bytes.get() <= 2 * chunk.bytes()
                && !(self.keeping.recent && chunk.bytes() > RECENT_BYTES_MIN)
        };
        self.opened.set(opened);
        self.settled.set(opened.filter(is_settled));
    }

    /// Gives back every chunk that holds nothing. Returns the bytes.
    pub(crate) fn trim(&mut self) -> usize {
        if self.used_bytes() == 0 {
            self.clear();
        }
        self.release_spare(0)
    }

    /// Every chunk becomes spare, of the root; the newest, which are the largest, come first.
    pub(crate) fn clear(&self) {
        let root = self.root();
        self.set_opened(None);
        if self.in_use.head().is_some() {
            root.set_opened(None);
        }
        self.in_use.append(&root.spare);
        root.spare.append(&self.in_use);
        self.reopen_home();
    }

    /// Makes the largest regular spare chunk the window, so that the next round of the same size
    /// starts without a slow step. With `alone` the others go back.
    fn open_largest(&self, alone: bool) {
        let regular = self
            .spare
            .iter()
            .filter(|chunk| chunk.bytes() <= CHUNK_BYTES_MAX);
        // Of equals the first: the newest.
        let largest = regular.reduce(|best, chunk| match chunk.bytes() > best.bytes() {
            true => chunk,
            false => best,
        });
        if let Some(chunk) = largest {
            self.spare.remove(chunk);
            chunk.set_used();
            self.use_chunk(chunk);
            self.set_window(chunk.open());
        }
        if alone {
            self.release_spare(0);
        }
        self.set_opened(largest);
    }

    /// Makes one chunk of `bytes` the window, in place of all others. When there is none to be had
    /// the arena is left with nothing, and takes what it needs as a new one would.
    fn open_merged(&self, bytes: usize) {
        self.release_spare(0);
        if bytes < CHUNK_BYTES_MIN {
            return;
        }
        if let Ok(chunk) = self.take_chunk(bytes, CHUNK_END_ALIGN) {
            // `open_again` will widen its window without a word.
            chunk.set_used();
            self.use_chunk(chunk);
            self.set_window(chunk.open());
            self.set_opened(Some(chunk));
        }
    }

    /// Gives spare chunks back to the pages until at most `keep_bytes` are left. Returns the bytes.
    pub(crate) fn release_spare(&self, keep_bytes: usize) -> usize {
        if keep_bytes == usize::MAX {
            return 0;
        }
        let all = ChunkList::new();
        all.append(&self.spare);
        let (mut kept, mut released) = (0usize, 0usize);
        let keep = ChunkList::new();
        while let Some(chunk) = all.pop() {
            let bytes = chunk.bytes();
            if bytes <= keep_bytes - kept {
                kept += bytes;
                keep.push(chunk);
            } else {
                released += bytes;
                self.capacity_bytes.set(self.capacity_bytes.get() - bytes);
                // SAFETY: spare, so nothing in it is alive and no window refers to it (I1).
                unsafe { chunk.release(self.pages()) };
            }
        }
        // Popping and pushing turned the order round; once more puts the newest first again.
        while let Some(chunk) = keep.pop() {
            self.spare.push(chunk);
        }
        released
    }

    /// Remembers that so many bytes were in use at once.
    #[inline(always)]
    pub(crate) fn note_high_water(&self, used_bytes: usize) {
        if used_bytes > self.high_water_bytes.get() {
            self.high_water_bytes.set(used_bytes);
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        struct Finish<'a>(&'a State);
        impl Drop for Finish<'_> {
            fn drop(&mut self) {
                match self.0.parent() {
                    Some(parent) => self.0.give_back(parent),
                    None => {
                        self.0.clear();
                        self.0.release_spare(0);
                    }
                }
            }
        }
        let finish = Finish(self);
        finish.0.owned.drop_until(&OwnedList::new());
    }
}
