//! Values the arena drops; sessions.

use super::*;

/// Writes its number down when it is dropped; panics too, if it should.
struct Noted(u32, Arc<Mutex<Vec<u32>>>, bool);

impl Drop for Noted {
    fn drop(&mut self) {
        self.1
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .push(self.0);
        assert!(!self.2, "expected");
    }
}

#[test]
fn owned_values_are_dropped_in_reverse_at_reset_scope_end_and_drop() {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let noted = |n| Noted(n, notes.clone(), false);
    let take = || std::mem::take(&mut *notes.lock().unwrap());
    let mut arena = arena();
    for n in 0..3 {
        assert_eq!(arena.alloc_owned(noted(n)).0, n);
    }
    arena.scope(|mut inner| {
        inner.alloc_owned(noted(10));
        inner.scope(|innermost| {
            innermost.alloc_owned(noted(20));
            innermost.alloc_owned(noted(21));
        });
        assert_eq!(take(), [21, 20]);
        inner.try_alloc_owned(noted(11)).unwrap();
    });
    assert_eq!(take(), [11, 10]);
    arena.reset();
    assert_eq!(take(), [2, 1, 0]);
    arena.reset();
    assert!(take().is_empty(), "nothing twice");
    arena.alloc_owned(noted(5));
    drop(arena.alloc_box(noted(6)));
    assert_eq!(take(), [6]);
    let inner = ArenaBox::into_inner(arena.alloc_box(noted(7)));
    ArenaBox::leak(arena.alloc_box(noted(8)));
    drop(inner);
    drop(arena);
    assert_eq!(take(), [7, 5]);
}

#[test]
fn a_drop_that_panics_spares_the_others() {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let take = || std::mem::take(&mut *notes.lock().unwrap_or_else(|e| e.into_inner()));
    let fill = |arena: &Arena, from: u32| {
        for n in from..from + 4 {
            arena.alloc_owned(Noted(n, notes.clone(), n == from + 2));
        }
    };
    let mut arena = arena();
    fill(&arena, 0);
    assert!(catch_unwind(AssertUnwindSafe(|| arena.reset())).is_err());
    assert_eq!(take(), [3, 2, 1, 0]);
    arena.reset();
    assert_eq!((take(), arena.used_bytes()), (vec![], 0));

    let scope = |arena: &mut Arena| arena.scope(|inner| fill(&inner, 10));
    assert!(catch_unwind(AssertUnwindSafe(|| scope(&mut arena))).is_err());
    assert_eq!((take(), arena.used_bytes()), (vec![13, 12, 11, 10], 0));

    fill(&arena, 20);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(arena))).is_err());
    assert_eq!(take(), [23, 22, 21, 20]);
}

// ---- Sessions -----------------------------------------------------------------------------------

#[test]
fn a_session_mixes_with_allocations_through_the_arena() {
    let arena = arena();
    let mut list = ArenaVec::new_in(&arena);
    list.push(arena.alloc(0u64));
    let mut session = arena.session();
    for i in 1..5000 {
        list.push(session.alloc(i));
        if i % 100 == 0 {
            arena.alloc_str("meanwhile");
            session.alloc_str("text");
            session.alloc_slice_copy(&[i; 3]);
        }
    }
    drop(session);
    list.push(arena.alloc(5000));
    assert!(list.iter().enumerate().all(|(i, n)| **n == i as u64));
}

#[test]
fn sessions_within_sessions() {
    let arena = arena();
    let mut kept = Vec::new();
    let mut first = arena.session();
    for i in 0..300u64 {
        kept.push(first.alloc(i * 3));
        let mut second = arena.session();
        kept.push(second.alloc(i * 3 + 1));
        drop(second);
        kept.push(arena.alloc(i * 3 + 2));
    }
    drop(first);
    assert!(kept.iter().enumerate().all(|(i, n)| **n == i as u64));
    assert!(arena.capacity_bytes() <= 64 << 10);
}

#[test]
fn a_forgotten_session_costs_a_chunk_and_nothing_else() {
    let mut arena = arena();
    for round in 0..50u64 {
        let mut session = arena.session();
        let kept: Vec<&mut u64> = (0..100).map(|i| session.alloc(i + round)).collect();
        std::mem::forget(session);
        let after: Vec<&mut u64> = (0..100).map(|i| arena.alloc(!i)).collect();
        assert!(
            kept.iter()
                .enumerate()
                .all(|(i, n)| **n == i as u64 + round)
        );
        assert!(after.iter().enumerate().all(|(i, n)| **n == !(i as u64)));
        arena.reset();
    }
    assert!(arena.capacity_bytes() <= 64 << 10);
}

#[test]
fn a_session_obeys_the_limit() {
    let arena = Arena::builder()
        .pages(&PAGES)
        .limit_bytes(4096)
        .build()
        .unwrap();
    let mut session = arena.session();
    let kept: Vec<&mut u64> = (0..508).map(|i| session.alloc(i)).collect();
    let refused = AllocError::OwnerLimit { limit_bytes: 4096 };
    assert_eq!(session.try_alloc(1u64), Err(refused));
    let mut made = 0;
    assert_eq!(session.try_alloc_with(|| made += 1), Ok(&mut ()));
    let large = session.try_alloc_with(|| {
        made += 1;
        1u64
    });
    assert_eq!(
        (large, made),
        (Err(refused), 1),
        "refused before it is made"
    );
    assert_eq!(session.try_alloc_str("text"), Err(refused));
    assert_eq!(session.try_alloc_str("").map(|s| s.len()), Ok(0));
    assert_eq!(session.try_alloc_slice_copy(&[1u32, 2]), Err(refused));
    assert!(kept.iter().enumerate().all(|(i, n)| **n == i as u64));
    let panicked = catch_unwind(AssertUnwindSafe(|| *session.alloc(1u64)));
    assert!(panicked.is_err());
    drop(session);
    assert_eq!(arena.used_bytes(), 508 * 8);
}

#[test]
fn a_session_closure_may_use_the_arena() {
    let arena = dense::<16>();
    let mut session: Session<'_, 16> = arena.session();
    let list = session.alloc_with(|| Cons(1, Some(arena.alloc(Cons(2, None)))));
    assert_eq!((list.0, list.1.unwrap().0), (1, 2));
    assert_eq!(core::ptr::from_ref(session.alloc(1u8)).addr() % 16, 0);
    assert_eq!(session.alloc(()), &mut ());
}

#[test]
fn a_coerced_box_drops_its_value_once() {
    let arena = arena();
    let token = Arc::new(());
    let pair = arena.alloc_box([token.clone(), token.clone()]);
    let slice: ArenaBox<[Arc<()>]> = ArenaBox::coerce(pair, |pair| pair);
    assert_eq!((slice.len(), Arc::strong_count(&token)), (2, 3));
    drop(slice);
    assert_eq!(Arc::strong_count(&token), 1);
    let mut count = 0;
    let counter = arena.alloc_box(|| count += 1);
    let mut counter: ArenaBox<dyn FnMut()> = ArenaBox::coerce(counter, |counter| counter);
    counter();
    drop(counter);
    assert_eq!(count, 1);
    // A plain reference coerces by itself.
    let shown: &mut dyn fmt::Display = arena.alloc(7);
    assert_eq!(shown.to_string(), "7");
}

#[test]
fn formatted_text_takes_its_own_bytes_only() {
    let arena = arena();
    let mut bytes = 0;
    // Across the ends of chunks, where there is no room to start with.
    for number in 0..400 {
        let text = arena.alloc_fmt(format_args!("{number}: {:>1$}", "", number % 100));
        assert_eq!(text.len(), number.to_string().len() + 2 + number % 100);
        bytes += text.len();
    }
    assert!(arena.used_bytes() - bytes < 100 * arena.stats().chunks);
}
