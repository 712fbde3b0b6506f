//! `Slab<T>` through its public doors: handles, keys, owned handles, odd types, panics.

mod common;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::random::Random;
use flagstone::pages::{HeapSource, Pages};
use flagstone::{AllocError, Key, OwnedSlot, Slab, Slot};

/// The program of the API document.
#[test]
fn the_documented_program() {
    let mut slab: Slab<[u64; 8]> = Slab::new();
    {
        let mut a = slab.alloc([1; 8]);
        a[0] = 2;
    }
    let key = slab.insert([3; 8]);
    assert_eq!(slab.get(key), Some(&[3; 8]));
    assert!(slab.contains(key));
    assert_eq!(slab.get_mut(key).map(|value| value[0]), Some(3));
    assert_eq!(slab.iter().count(), 1);
    for item in slab.iter() {
        assert_eq!(item, &[3; 8]);
    }
    assert_eq!(slab.remove(key), Some([3; 8]));
    assert!(!slab.contains(key) && slab.remove(key).is_none());
}

#[test]
fn handles_and_keys_are_small() {
    assert_eq!(size_of::<Slot<'_, u8>>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Slot<'_, u8>>>(), size_of::<usize>());
    assert_eq!(size_of::<OwnedSlot<u8>>(), size_of::<usize>());
    assert_eq!(size_of::<Key>(), 8);
    assert_eq!(size_of::<Option<Key>>(), 8);
}

#[test]
fn auto_traits() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<Slab<u64>>();
    send::<OwnedSlot<Cell<u8>>>();
    sync::<OwnedSlot<u64>>();
}

/// Counts its drops.
struct Counted<'a>(&'a Cell<usize>);
impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn every_value_is_dropped_exactly_once() {
    let drops = Cell::new(0);
    let mut slab = Slab::new();
    let kept = slab.insert(Counted(&drops));
    let removed = slab.insert(Counted(&drops));
    drop(slab.alloc(Counted(&drops)));
    assert_eq!(drops.get(), 1);
    std::mem::forget(Slot::into_inner(slab.alloc(Counted(&drops))));
    assert_eq!(drops.get(), 1);
    drop(slab.remove(removed));
    assert_eq!(drops.get(), 2);
    assert!(slab.contains(kept));
    std::mem::forget(slab.alloc(Counted(&drops)));
    drop(slab);
    assert_eq!(
        drops.get(),
        3,
        "the keyed value; the forgotten one is leaked, not dropped"
    );
}

#[test]
fn keys_of_removed_values_stay_dead_when_their_place_is_used_again() {
    let mut slab = Slab::new();
    let mut dead: Vec<Key> = Vec::new();
    for round in 0..1000u32 {
        let key = slab.insert(round);
        assert!(!dead.contains(&key));
        assert_eq!(slab.get(key), Some(&round));
        assert!(
            dead.iter()
                .rev()
                .take(20)
                .all(|key| slab.get(*key).is_none())
        );
        assert_eq!(slab.remove(key), Some(round));
        dead.push(key);
    }
    assert!(slab.is_empty());
}

/// A random stream of inserts and removes against a `HashMap`, iteration included.
#[test]
fn keyed_values_against_a_hash_map() {
    let mut slab: Slab<String> = Slab::new();
    let mut oracle: std::collections::HashMap<Key, String> = Default::default();
    let mut random = Random::new(11);
    for step in 0..30_000u64 {
        let grow = (step / 5000) % 2 == 0;
        if random.below(10) < if grow { 7 } else { 3 } || oracle.is_empty() {
            let value = format!("value {step}");
            oracle.insert(slab.insert(value.clone()), value);
        } else {
            let at = random.below(oracle.len().min(16));
            let key = *oracle.keys().nth(at).unwrap();
            assert_eq!(slab.remove(key), oracle.remove(&key));
        }
        assert_eq!(slab.len(), oracle.len());
        if step % 1000 == 0 {
            let mut ours: Vec<&String> = slab.iter().collect();
            let mut theirs: Vec<&String> = oracle.values().collect();
            ours.sort();
            theirs.sort();
            assert_eq!(ours, theirs);
            assert!(
                oracle
                    .iter()
                    .all(|(key, value)| slab.get(*key) == Some(value))
            );
        }
    }
}

#[test]
fn values_keep_their_addresses_while_others_come_and_go() {
    let slab = Slab::new();
    let key = slab.insert(7u64);
    let first: *const u64 = slab.get(key).unwrap();
    let mut held = Vec::new();
    for number in 0..100_000u64 {
        held.push(slab.alloc(number));
        if number % 3 == 0 {
            drop(held.swap_remove((number as usize * 7) % held.len()));
        }
    }
    assert!(std::ptr::eq(first, slab.get(key).unwrap()));
    let mut seen: Vec<u64> = held.iter().map(|slot| **slot).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), held.len());
}

#[test]
fn zero_sized_over_aligned_and_large_values() {
    #[repr(align(4096))]
    struct Page([u8; 100]);
    #[repr(align(65536))]
    struct Unit(u8);
    let nothing = Slab::new();
    let units: Vec<_> = (0..1000).map(|_| nothing.alloc(())).collect();
    assert_eq!(units.len(), 1000);
    let pages = Slab::new();
    for slot in (0..50)
        .map(|n| pages.alloc(Page([n; 100])))
        .collect::<Vec<_>>()
    {
        assert_eq!((&raw const *slot).addr() % 4096, 0);
        assert!(slot.0.iter().all(|byte| *byte == slot.0[0]));
    }
    let aligned = Slab::new();
    let slots: Vec<_> = (0..20).map(|n| aligned.alloc(Unit(n))).collect();
    for (number, slot) in slots.iter().enumerate() {
        assert_eq!((&raw const **slot).addr() % 65536, 0);
        assert_eq!(slot.0 as usize, number);
    }
    let large: Slab<[u8; 1 << 20]> = Slab::new();
    let keys: Vec<_> = (0..3u8).map(|n| large.insert([n; 1 << 20])).collect();
    assert!(
        keys.iter()
            .zip(0..)
            .all(|(key, n)| large.get(*key).unwrap().iter().all(|b| *b == n))
    );
}

#[test]
fn owned_handles_outlive_the_slab_and_drop_on_any_thread() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Shared(u64);
    impl Drop for Shared {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::Relaxed);
        }
    }
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(&HeapSource)));
    let slab = Slab::with_pages(pages);
    let mut threads = Vec::new();
    for round in 0..8u64 {
        let owned: Vec<_> = (0..500)
            .map(|n| slab.alloc_owned(Shared(round * 500 + n)))
            .collect();
        threads.push(std::thread::spawn(move || {
            let sum = owned.iter().map(|slot| slot.0).sum::<u64>();
            drop(owned);
            sum
        }));
    }
    let late = slab.alloc_owned(Shared(1 << 40));
    let sums: u64 = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(sums, (0..4000).sum::<u64>());
    assert_eq!(DROPS.load(Ordering::Relaxed), 4000);
    slab.trim();
    assert!(
        slab.active_bytes() <= 64 << 10,
        "only the slab of `late` is left"
    );
    drop(slab);
    assert_eq!(late.0, 1 << 40);
    assert_ne!(pages.stats().active, 0);
    assert_eq!(OwnedSlot::into_inner(late).0, 1 << 40);
    assert_eq!(pages.stats().active, 0);
    assert_eq!(DROPS.load(Ordering::Relaxed), 4001);
}

/// Freed slots wait for reuse, whoever had them, and `trim` gives their spans back.
#[test]
fn slots_of_dropped_and_removed_values_are_used_again_and_trimmed() {
    let mut slab = Slab::new();
    assert_eq!(slab.trim(), 0);
    let keys: Vec<Key> = (0..3000u64).map(|number| slab.insert(number)).collect();
    let handles: Vec<_> = (0..3000).map(|number| slab.alloc_owned(number)).collect();
    let full = slab.active_bytes();
    for key in &keys[1..] {
        slab.remove(*key);
    }
    drop(handles);
    let again: Vec<_> = (0..5999).map(|number| slab.alloc(number)).collect();
    assert_eq!(slab.active_bytes(), full, "no new span while slots wait");
    assert!(again.iter().zip(0..).all(|(slot, number)| **slot == number));
    drop(again);
    assert!(slab.trim() > 0 && slab.active_bytes() <= 64 << 10);
    assert_eq!(slab.get(keys[0]), Some(&0));
    slab.remove(keys[0]);
    slab.trim();
    assert_eq!(slab.active_bytes(), 0);
    let key = slab.insert(7);
    assert_eq!(slab.get(key), Some(&7));
}

#[test]
fn drops_may_use_the_slab_again() {
    struct Nested<'a>(&'a Slab<u64>, RefCell<Option<Slot<'a, u64>>>);
    impl Drop for Nested<'_> {
        fn drop(&mut self) {
            let slot = self.0.alloc(5);
            self.1.borrow_mut().take();
            assert_eq!(*slot, 5);
        }
    }
    let inner = Slab::new();
    let outer = Slab::new();
    for _ in 0..1000 {
        drop(outer.alloc(Nested(&inner, RefCell::new(Some(inner.alloc(1))))));
    }
}

#[test]
fn a_panicking_drop_loses_nothing() {
    struct Bomb<'a>(#[expect(dead_code, reason = "dropped")] Counted<'a>, bool);
    impl Drop for Bomb<'_> {
        fn drop(&mut self) {
            assert!(!self.1, "bomb");
        }
    }
    let drops = Cell::new(0);
    let slab = Slab::new();
    for _ in 0..200 {
        let slot = slab.alloc(Bomb(Counted(&drops), true));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(slot))).is_err());
    }
    assert_eq!(drops.get(), 200);
    assert!(
        slab.active_bytes() <= 4096,
        "the slots of panicking drops are used again"
    );
    for armed in [false, true, false, false] {
        slab.insert(Bomb(Counted(&drops), armed));
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(slab))).is_err());
    assert_eq!(drops.get(), 204);
}

#[test]
fn refusal_names_the_limit_and_gives_the_value_back() {
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(&HeapSource)));
    pages.set_limit(Some(64 << 10));
    let slab: Slab<Rc<[u8; 1000]>> = Slab::with_pages(pages);
    let big: Slab<[u8; 8000]> = Slab::with_pages(pages);
    let kept = slab.try_insert(Rc::new([1; 1000])).unwrap();
    let refusal = big.try_alloc([2; 8000]).err().unwrap();
    assert_eq!(
        refusal.error,
        AllocError::PagesLimit {
            limit_bytes: 64 << 10
        }
    );
    assert_eq!(refusal.value, [2; 8000]);
    assert_eq!(big.try_insert([3; 8000]).unwrap_err().value, [3; 8000]);
    assert!(big.try_alloc_owned([4; 8000]).is_err() && big.is_empty());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(big.alloc([5; 8000])))).is_err());
    pages.set_limit(None);
    assert_eq!(big.alloc([6; 8000])[0], 6);
    assert_eq!(slab.get(kept).unwrap()[0], 1);
}

#[test]
fn a_slab_moves_with_its_values() {
    let slab = Slab::new();
    let keys: Vec<Key> = (0..5000u64).map(|n| slab.insert(n)).collect();
    let mut slab = std::thread::spawn(move || slab).join().unwrap();
    assert!(
        keys.iter()
            .zip(0..)
            .all(|(key, n)| slab.remove(*key) == Some(n))
    );
}
