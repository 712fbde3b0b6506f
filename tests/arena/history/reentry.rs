//! User code that runs in the middle of an allocation: it uses the arena in every way, then ends
//! well, with an error, or with a panic.

use std::cell::RefCell;

use crate::*;

/// How the user's code ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Well,
    Error,
    Panic,
}

/// Ways in which [`Witness::user_code`] uses the arena.
const WAYS: usize = 10;
/// What the forms put into the arena themselves.
const MADE: u64 = 0x0123_4567_89ab_cdef;

/// Remembers what was handed out, where, and its bytes.
struct Witness<'a, const M: usize> {
    arena: &'a Arena<M>,
    way: usize,
    end: End,
    seen: RefCell<Vec<(usize, Vec<u8>)>>,
    fill: Cell<u8>,
}

impl<'a, const M: usize> Witness<'a, M> {
    fn keep<T: Copy>(&self, values: &'a [T]) {
        let ptr = values.as_ptr().cast::<u8>();
        assert!(ptr.addr() % align_of::<T>() == 0);
        // SAFETY: values without padding, alive and not changed as long as the arena.
        let bytes = unsafe { core::slice::from_raw_parts(ptr, size_of_val(values)) };
        let snapshot = (bytes.as_ptr().expose_provenance(), bytes.to_vec());
        self.seen.borrow_mut().push(snapshot);
    }

    fn fill(&self) -> u64 {
        self.fill.set(self.fill.get().wrapping_add(1));
        u64::from_ne_bytes([self.fill.get(); 8])
    }

    /// What a careless user writes into a closure.
    fn user_code(&self) -> Result<u64, fmt::Error> {
        let (arena, fill) = (self.arena, self.fill());
        match self.way {
            0 => self.keep(arena.alloc([fill])),
            1 => self.keep(arena.alloc_str("between").as_bytes()),
            2 => self.keep(arena.alloc_slice_copy(&[fill; 300])),
            3 => self.keep(arena.alloc_slice_fill_copy(1200, fill)),
            4 => {
                let mut session = arena.session();
                self.keep(session.alloc([fill; 3]));
                self.keep(session.alloc_str("session").as_bytes());
            }
            5 => {
                let mut session = arena.session();
                self.keep(session.alloc([fill; 3]));
                std::mem::forget(session);
            }
            6 => {
                let mut list = ArenaVec::new_in(arena);
                list.extend((0..40).map(|_| fill));
                self.keep(list.into_slice());
            }
            7 => {
                assert!(arena.alloc_try_with(|| Err::<[u64; 5], ()>(())).is_err());
                assert!(arena.alloc_try_with(|| Err::<[u64; 700], ()>(())).is_err());
                self.keep(arena.alloc([fill; 2]));
            }
            8 => self.keep(arena.alloc_with(|| [*arena.alloc(fill), fill])),
            _ => {}
        }
        match self.end {
            End::Well => Ok(MADE),
            End::Error => Err(fmt::Error),
            End::Panic => panic!("expected"),
        }
    }

    /// The user's code where there is no way to return an error.
    fn made(&self) -> u64 {
        self.user_code().unwrap_or(MADE)
    }

    /// Everything is where it was and as it was, and nothing overlaps.
    fn check(&self) {
        let mut seen = self.seen.borrow().clone();
        for (address, bytes) in &seen {
            let ptr = core::ptr::with_exposed_provenance::<u8>(*address);
            // SAFETY: `keep` saw a live slice of so many bytes there.
            let now = unsafe { core::slice::from_raw_parts(ptr, bytes.len()) };
            assert!(now == bytes, "contents changed");
        }
        seen.sort_by_key(|(address, _)| *address);
        for pair in seen.windows(2) {
            assert!(pair[0].0 + pair[0].1.len() <= pair[1].0, "overlap");
        }
        let bytes: usize = seen.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(self.arena.used_bytes() >= bytes);
        assert!(self.arena.capacity_bytes() >= self.arena.used_bytes());
    }
}

/// Its clone and its text are user code; it has no padding.
struct Evil<'w, 'a, const M: usize>(&'w Witness<'a, M>, u64);

impl<const M: usize> Clone for Evil<'_, '_, M> {
    fn clone(&self) -> Self {
        Evil(self.0, self.0.made())
    }
}

impl<const M: usize> fmt::Display for Evil<'_, '_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("some text ")?;
        let made = self.0.user_code()?;
        write!(f, "{made}")
    }
}

/// An iterator of five values that lies about its length, or not.
struct Numbers<'w, 'a, const M: usize>(&'w Witness<'a, M>, usize, usize);

impl<const M: usize> Iterator for Numbers<'_, '_, M> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.1 = self.1.checked_sub(1)?;
        self.0.user_code().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.2, None)
    }
}

/// Forms that run user code. Each puts what it made under the witness's eyes.
const FORMS: usize = 18;

fn single<'a, const M: usize>(w: &Witness<'a, M>, form: usize) {
    let a = w.arena;
    match form {
        0 => w.keep(core::slice::from_ref(a.alloc_with(|| w.made()))),
        1 => w.keep(a.try_alloc_with(|| [w.made(); 3]).unwrap()),
        2 => {
            let made = a.alloc_try_with(|| w.user_code().map(|n| [n; 2]));
            made.into_iter().for_each(|n| w.keep(n));
        }
        3 => {
            // Above a quarter of the first chunks: a span of its own.
            let made = a.try_alloc_try_with(|| w.user_code().map(|n| [n; 600]));
            made.unwrap().into_iter().for_each(|n| w.keep(n));
        }
        4 => w.keep(a.session().alloc_with(|| [w.made(); 4])),
        5 => w.keep(a.alloc_slice_fill_with(4, |_| w.made())),
        6 => w.keep(a.try_alloc_slice_fill_with(3, |_| w.made() as u8).unwrap()),
        7 => {
            let evil = [Evil(w, 1), Evil(w, 2)];
            let clones = a.alloc_slice_clone(&evil);
            w.keep(core::slice::from_ref(&clones[1].1));
            assert!(clones.iter().all(|clone| clone.1 == MADE));
        }
        _ => {
            let clones = a.try_alloc_slice_fill_clone(3, &Evil(w, 1)).unwrap();
            w.keep(core::slice::from_ref(&clones[2].1));
            assert!(clones.iter().all(|clone| clone.1 == MADE));
        }
    }
}

fn growing<'a, const M: usize>(w: &Witness<'a, M>, form: usize) {
    let a = w.arena;
    match form {
        9 => w.keep(a.alloc_from_iter(Numbers(w, 5, 0))),
        10 => w.keep(a.alloc_from_iter(Numbers(w, 5, 9))),
        11 => w.keep(a.try_alloc_from_iter(Numbers(w, 5, 5)).unwrap()),
        12 => {
            let text = a.alloc_fmt(format_args!("<{}|{}>", Evil(w, 0), Evil(w, 0)));
            assert_eq!(*text, *format!("<some text {MADE}|some text {MADE}>"));
            w.keep(text.as_bytes());
        }
        13 => w.keep(
            a.try_alloc_fmt(format_args!("{}", Evil(w, 0)))
                .unwrap()
                .as_bytes(),
        ),
        14 => {
            let mut list = ArenaVec::with_capacity_in(2, a);
            list.push(MADE);
            list.extend(Numbers(w, 5, 1));
            assert!(list.iter().all(|n| *n == MADE));
            w.keep(list.into_slice());
        }
        15 => {
            let mut list = ArenaVec::with_capacity_in(8, a);
            list.extend([1, MADE, 2, MADE]);
            list.retain(|n| w.made() == *n);
            assert_eq!(list, [MADE, MADE]);
            w.keep(list.into_slice());
        }
        16 => {
            let mut text = ArenaString::new_in(a);
            text.extend(Numbers(w, 5, 0).map(|n| if n == MADE { 'ß' } else { 'x' }));
            assert!(text.chars().all(|c| c == 'ß'));
            w.keep(text.into_str().as_bytes());
        }
        _ => {
            let mut list = allocator_api2::vec::Vec::new_in(a);
            list.extend(Numbers(w, 5, 2));
            w.keep(allocator_api2::vec::Vec::leak(list));
        }
    }
}

/// A witness of `arena`, of which `before` bytes are used already.
fn try_one<const M: usize>(arena: &Arena<M>, form: usize, way: usize, end: End, before: usize) {
    arena.alloc_slice_fill_copy(before, 0u8);
    let w = Witness {
        arena,
        way,
        end,
        seen: RefCell::default(),
        fill: Cell::new(0),
    };
    w.keep(arena.alloc([w.fill(); 2]));
    let ended = catch_unwind(AssertUnwindSafe(|| match form {
        0..=8 => single(&w, form),
        _ => growing(&w, form),
    }));
    // Formatting turns an error into a panic, and forms without one ignore it.
    match end {
        End::Well => ended.unwrap(),
        End::Panic => assert!(ended.is_err()),
        End::Error => assert_eq!(ended.is_err(), form == 12 || form == 13),
    }
    for _ in 0..20 {
        w.keep(arena.alloc([w.fill(); 3]));
        w.keep(arena.alloc_str("after").as_bytes());
    }
    w.check();
}

#[test]
fn user_code_may_use_the_arena_in_every_form() {
    fn all<const M: usize>() {
        // A first chunk has 4064 bytes: nothing, little and hardly anything of it is free.
        let befores: &[usize] = if cfg!(miri) { &[0] } else { &[0, 3900, 4030] };
        let all = (0..FORMS).flat_map(|form| (0..WAYS).map(move |way| (form, way)));
        // A few of each for an interpreter.
        let chosen = all.filter(|(form, way)| !cfg!(miri) || (form * 3 + way) % 9 == 0);
        for (form, way) in chosen {
            for end in [End::Well, End::Error, End::Panic] {
                for &before in befores {
                    println!("{M} form {form} way {way} {end:?} {before}");
                    try_one(&dense::<M>(), form, way, end, before);
                }
            }
        }
    }
    all::<8>();
    if !cfg!(miri) {
        all::<1>();
        all::<16>();
    }
}

// ---- Errors, again and again --------------------------------------------------------------------

/// Fails for a value of `N` bytes in an arena that has `before` bytes of chunks in use.
fn fail<const N: usize>(arena: &Arena) {
    let failed = arena.alloc_try_with(|| Err::<[u8; N], u8>(7));
    assert_eq!(failed.map(|_| ()), Err(7));
    let failed = arena.try_alloc_try_with(|| Err::<[u8; N], u8>(8));
    assert_eq!(failed.map(|failed| failed.map(|_| ())), Ok(Err(8)));
}

#[test]
#[cfg_attr(miri, ignore = "megabytes on the stack of an interpreter")]
fn failing_again_and_again_takes_nothing_more() {
    #[repr(align(4096))]
    struct Wide(#[expect(dead_code, reason = "for its size")] [u8; 5000]);
    let mut arena = arena();
    let round = |arena: &Arena| {
        fail::<8>(arena);
        fail::<1000>(arena);
        fail::<3000>(arena);
        fail::<20_000>(arena);
        fail::<70_000>(arena);
        fail::<300_000>(arena);
        assert!(arena.alloc_try_with(|| Err::<Wide, ()>(())).is_err());
    };
    for before in [0, 1, 4000, 100_000] {
        arena.alloc_slice_fill_copy(before, 1u8);
        // Alignment may cost its padding the first time in each of two chunks.
        round(&arena);
        round(&arena);
        let first = (arena.used_bytes(), arena.capacity_bytes());
        for _ in 0..100 {
            round(&arena);
        }
        assert_eq!((arena.used_bytes(), arena.capacity_bytes()), first);
        arena.reset();
        arena.trim();
    }
}
