//! A pool whose memory is refused, at every allocation in turn: nothing is lost, handed out twice,
//! dirty or old, nothing panics, and afterwards the pool is as good as any.
//!
//! In a process of its own, whose allocator refuses by number what one thread asks for. The objects
//! own no memory, so the pool is the only one to ask. Magazines lie on the process's pages, where
//! another pool takes all room there is. Each run is on a new thread, where the pool has no shard
//! yet. What has no `try_` form is done with memory: `leak_suspects` answers with a `Vec`, and a
//! new thread takes some itself.
#![cfg(all(feature = "std", not(miri)))]

mod allocator;
mod object;

use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use flagstone::pages::{HeapSource, MmapSource, Pages};
use flagstone::{Aging, LeakCheck, LocalHandle, Mode, Pool, PoolBuilder, Pooled};

use allocator::{Refusal, refused_in, with_memory};
use object::{Object, begin_generation, check_all_dropped};

/// More than a shard holds.
const MANY: usize = 300;

/// The objects' figures are the process's, so the tests take turns.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    let turn = TURN.lock();
    // The pool's own part of the costs is measured once per process, on a pool that needs memory.
    let pool = Pool::builder(Object::new).build();
    drop(pool.get());
    println!("{}", pool.advice());
    turn.unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Guards, with room for as many as anybody here holds.
struct Held<'p>(Vec<Pooled<'p, Object>>);

impl<'p> Held<'p> {
    /// Takes objects until there are so many, or one is refused.
    fn take(&mut self, pool: &'p Pool<Object>, count: usize) {
        while self.0.len() < count {
            let Some(mut object) = pool.try_get() else {
                return;
            };
            object.take();
            self.0.push(object);
        }
    }
}

/// Gets and puts, one by one and many at once.
fn get_and_put<'p>(pool: &'p Pool<Object>, held: &mut Held<'p>) {
    held.take(pool, MANY);
    held.0.clear();
    held.take(pool, MANY / 2);
    held.0.truncate(MANY / 3);
    if let Some(mut many) = pool.try_get_many(70) {
        many.iter_mut().for_each(|object| object.take());
    }
    if let Some(mut object) = pool.get_timeout(Duration::ZERO) {
        object.take();
    }
    if let Ok(mut object) = pool.try_get_with(|| Ok::<_, ()>(Object::new())) {
        object.take();
    }
    pool.put(Object::new());
    if let Some(object) = held.0.pop() {
        drop(object.detach());
    }
    if let Some(object) = held.0.pop() {
        object.discard();
    }
}

fn retire(pool: &Pool<Object>) {
    begin_generation();
    pool.new_generation();
}

/// Through a handle, which has a shard of its own, or none.
fn use_locally(pool: &Pool<Object>, shrink: impl Fn(&LocalHandle<'_, Object>)) {
    let Ok(local) = pool.try_local() else {
        return;
    };
    for round in 0..3 {
        let mut held = [const { None }; MANY];
        for place in &mut held {
            *place = local.try_get();
            place.iter_mut().for_each(|object| object.take());
        }
        if round == 1 {
            shrink(&local);
        }
    }
}

/// All there is to do with a pool, by one thread.
fn use_up<'p>(pool: &'p Pool<Object>, held: &mut Held<'p>) {
    _ = pool.try_prefill(20);
    get_and_put(pool, held);
    retire(pool);
    pool.put(Object::new());
    get_and_put(pool, held);
    use_locally(pool, |_| assert!(pool.trim(100) <= MANY));
    pool.trim(50);
    get_and_put(pool, held);
    pool.tick();
    held.0.clear();
    pool.tick();
    use_locally(pool, |_| retire(pool));
    assert!(with_memory(|| pool.leak_suspects()).len() <= 2 * MANY);
    get_and_put(pool, held);
    pool.clear();
    get_and_put(pool, held);
    _ = pool.try_prefill(100);
    held.0.clear();
}

/// One run, with the allocator refusing so; how often it did, and how many events there were.
fn run(build: fn() -> PoolBuilder<Object>, refusal: Refusal) -> (usize, usize) {
    object::reset();
    let pool = build().build();
    let refused = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut held = Held(Vec::with_capacity(MANY));
            refused_in(refusal, || use_up(&pool, &mut held))
        });
        thread.join().expect("no panic, and all guards are gone")
    });
    let events = object::be_plentiful();
    let stats = pool.stats();
    let there = object::alive();
    assert_eq!((stats.outstanding, stats.idle), (0, there), "{refusal:?}");
    // As good as any.
    let mut held = Held(Vec::with_capacity(MANY));
    held.take(&pool, MANY);
    assert_eq!(held.0.len(), MANY, "{refusal:?}");
    held.0.clear();
    assert_eq!(pool.stats().outstanding, 0);
    drop(held);
    // What ends needs no memory.
    refused_in(Refusal::From(0), || drop(pool));
    check_all_dropped();
    (refused, events)
}

/// Refuses each allocation that a run asks for: it alone, with all later ones, with each so many.
fn refuse_each(build: fn() -> PoolBuilder<Object>) {
    let _turn = turn();
    for refuse in [Refusal::From, Refusal::Only] {
        let asked = (0..10_000).take_while(|nth| run(build, refuse(*nth)).0 > 0);
        let asked = asked.count();
        assert!((4..10_000).contains(&asked), "{asked}");
    }
    for nth in 1..20 {
        assert!(run(build, Refusal::Every(nth)).0 > 0, "{nth}");
    }
}

#[test]
fn any_refusal_is_an_answer() {
    refuse_each(|| Pool::builder(Object::new).mode(Mode::Always));
}

#[test]
fn any_refusal_is_an_answer_while_costs_are_measured() {
    refuse_each(|| Pool::builder(Object::new).idle(0..=1000));
}

#[test]
fn any_refusal_is_an_answer_with_short_magazines_and_two_generations() {
    refuse_each(|| {
        Pool::builder(Object::new)
            .mode(Mode::Always)
            .aging(Aging::TwoGeneration)
            .idle(10..=100)
    });
}

#[test]
fn any_refusal_is_an_answer_while_every_object_is_looked_out_for() {
    refuse_each(|| {
        Pool::builder(Object::new)
            .leak_check(LeakCheck::Every)
            .leak_after(Duration::ZERO)
            .max_live(2 * MANY)
    });
}

#[test]
fn any_refusal_is_an_answer_where_slots_come_from_the_same_allocator() {
    refuse_each(|| {
        let pages: &'static Pages = Box::leak(Box::new(Pages::new(&HeapSource)));
        Pool::builder(Object::new).mode(Mode::Always).pages(pages)
    });
}

/// Runs with no room for magazines, from one moment on for a while or to the end.
fn scarce_from_each(build: fn() -> PoolBuilder<Object>) {
    let _turn = turn();
    for length in [50, usize::MAX / 2] {
        let mut moments = (0..).step_by(73);
        let is_over = |from: usize| {
            object::be_scarce(from..from + length);
            let (_, events) = run(build, Refusal::None);
            events <= from
        };
        assert!(moments.any(is_over));
    }
}

#[test]
fn no_room_for_magazines_is_an_answer() {
    scarce_from_each(|| {
        let pages: &'static Pages = Box::leak(Box::new(Pages::new(&MmapSource)));
        Pool::builder(Object::new).mode(Mode::Always).pages(pages)
    });
}

#[test]
fn no_room_for_magazines_nor_objects_is_an_answer() {
    scarce_from_each(|| {
        Pool::builder(Object::new)
            .mode(Mode::Always)
            .aging(Aging::TwoGeneration)
            .idle(10..=100)
    });
}
