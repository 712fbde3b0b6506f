//! What a burst leaves in memory: a pool that takes thousands of objects at once and then few gives
//! its pages back to the system in some ticks. By the resident pages the system counts.

use std::time::Duration;

use flagstone::pages::{MmapSource, Pages};
use flagstone::{Aging, Keep, Pool};

use crate::common::steady::steady;
use crate::{resident, turn};

const OBJECTS: usize = 4000;
type Buffer = [u8; 16 << 10];

/// Bytes above the start: at the spike, then after 1, 2 and 10 ticks of an idle pool.
fn spike(aging: Aging) -> [usize; 4] {
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(&MmapSource)));
    pages.set_purge_delay(Some(Duration::ZERO));
    let pool: Pool<Buffer, _> = steady(Pool::builder(|| [0; 16 << 10]))
        .recycle_with(|_| Keep::Yes)
        .idle(0..=OBJECTS)
        .aging(aging)
        .pages(pages)
        .build();
    let start = resident();
    let mut held: Vec<_> = (0..OBJECTS).map(|_| pool.get()).collect();
    held.iter_mut().for_each(|buffer| buffer.fill(1));
    drop(held);
    let mut figures = [resident() - start, 0, 0, 0];
    for tick in 1..=10 {
        pool.tick();
        // The work that is left.
        pool.get().fill(2);
        let place = match tick {
            1 => 1,
            2 => 2,
            10 => 3,
            _ => continue,
        };
        // What was released last waits for the next release otherwise.
        pages.trim();
        figures[place] = resident().saturating_sub(start);
    }
    assert_eq!(pool.stats().creates, OBJECTS as u64);
    figures
}

#[test]
fn a_burst_is_forgotten_in_a_few_ticks() {
    let _turn = turn();
    let kept = 2 << 20;
    let [peak, one, two, ten] = spike(Aging::LowWater);
    println!("low water: {peak} bytes, after 1, 2, 10 ticks: {one}, {two}, {ten}");
    assert!(peak >= OBJECTS * size_of::<Buffer>());
    // The first interval had the burst in it. A thread's magazine stays.
    assert!(two < peak / 3 && ten < kept, "{peak}: {one}, {two}, {ten}");
    let [peak, one, two, ten] = spike(Aging::TwoGeneration);
    println!("two generations: {peak} bytes, after 1, 2, 10 ticks: {one}, {two}, {ten}");
    assert!(two < peak / 16 && ten < kept, "{peak}: {one}, {two}, {ten}");
    let [peak, .., ten] = spike(Aging::Never);
    println!("never: {peak} bytes, after 10 ticks: {ten}");
    assert!(ten > peak / 10 * 9, "{peak}: {ten}");
}

/// glibc returns memory only from the end of a heap: what a pool itself allocated for a burst must
/// not stay behind the burst's buffers. (The small buffers of before keep their places.)
#[cfg(target_env = "gnu")]
#[test]
fn a_trim_leaves_nothing_behind_what_objects_owned() {
    let _turn = turn();
    let pool: Pool<Vec<u8>, _> = steady(Pool::builder(|| vec![1; 16 << 10]))
        .recycle_with(|_| Keep::Yes)
        .idle(0..=2 * OBJECTS)
        .build();
    let start = resident();
    drop(pool.get_many(OBJECTS));
    let full = resident().saturating_sub(start);
    assert_eq!((pool.stats().idle, pool.trim(0)), (OBJECTS as u64, OBJECTS));
    let left = resident().saturating_sub(start);
    println!("{full} bytes, after a trim {left}");
    assert!(full > OBJECTS * (16 << 10) / 10 * 9, "{full}");
    assert!(left < full / 10, "{left} of {full}");
}

#[test]
fn a_pool_without_room_for_magazines_drops_and_goes_on() {
    let _turn = turn();
    let pages: &'static Pages = Box::leak(Box::new(Pages::new(&MmapSource)));
    let pool = steady(Pool::builder(|| 0_u64))
        .recycle_with(|_| Keep::Yes)
        .pages(pages)
        .build();
    // Magazines of all pools lie there.
    Pages::global().trim();
    Pages::global().set_limit(Some(0));
    for _ in 0..3 {
        drop(pool.get_many(300));
    }
    drop(pool.local().get());
    let stats = pool.stats();
    assert_eq!(
        (stats.outstanding, stats.idle, stats.shards),
        (0, 0, 0),
        "{stats}"
    );
    assert_eq!(stats.drops.full, 901, "{stats}");
    Pages::global().set_limit(None);
    drop(pool.get_many(300));
    let stats = pool.stats();
    assert_eq!(
        (stats.outstanding, stats.idle, stats.shards),
        (0, 300, 1),
        "{stats}"
    );
}
