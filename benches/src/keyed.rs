//! Slabs: many values of one type, held by handle or by key.
//!
//! `slab` and `slotmap` hand out keys and grow by moving everything; `sharded-slab` may be shared
//! between threads and pays for it. The handles of `Slab` are compared with boxes, which is what
//! they replace.

use std::hint::black_box;
use std::mem::replace;

use flagstone::{Slab, Slot};

use crate::Random;
use crate::interleave::Row;

/// 40 bytes: a node with two links and a payload.
type Value = [u64; 5];

/// One value at a time. Slabs live as long as the row, so that nobody's fields end up in registers
/// for good, and every value is looked at where it lies.
pub fn pair_row<'a>(count: usize) -> Row<'a> {
    let mut row = Row::new("slot: alloc, use, drop, one live", count);
    let numbers = move || 0..count as u64;
    let slab = Slab::<Value>::new();
    row.ours("flagstone Slab", move || {
        let one = |index| use_it(&slab.alloc([index; 5]));
        numbers().map(one).fold(0, u64::wrapping_add)
    });
    row.peer("Box, system malloc", move || {
        let one = |index| use_it(&Box::new([index; 5]));
        numbers().map(one).fold(0, u64::wrapping_add)
    });
    let mut peer = slab::Slab::<Value>::new();
    row.peer("slab", move || {
        let mut one = |index| {
            let key = peer.insert([index; 5]);
            let word = use_it(&peer[key]);
            peer.remove(key);
            word
        };
        numbers().map(&mut one).fold(0, u64::wrapping_add)
    });
    let mut map = slotmap::SlotMap::<slotmap::DefaultKey, Value>::new();
    row.peer("slotmap", move || {
        let mut one = |index| {
            let key = map.insert([index; 5]);
            let word = use_it(&map[key]);
            map.remove(key);
            word
        };
        numbers().map(&mut one).fold(0, u64::wrapping_add)
    });
    row
}

/// The same without a look at the value while it lives: only the handle or key is kept honest, and
/// a keyed peer's value may never reach memory.
pub fn blind_pair_row<'a>(count: usize) -> Row<'a> {
    let mut row = Row::new("slot: alloc and drop, one live", count);
    let numbers = move || 0..count as u64;
    let slab = Slab::<Value>::new();
    row.ours("flagstone Slab", move || {
        let one = |index| black_box(slab.alloc([index; 5]))[4];
        numbers().map(one).fold(0, u64::wrapping_add)
    });
    row.peer("slab", move || {
        let mut slab = slab::Slab::<Value>::new();
        let mut one = |index| {
            let key = black_box(slab.insert([index; 5]));
            slab.remove(key)[4]
        };
        numbers().map(&mut one).fold(0, u64::wrapping_add)
    });
    row.peer("slotmap", move || {
        let mut map = slotmap::SlotMap::<slotmap::DefaultKey, Value>::new();
        let mut one = |index| {
            let key = black_box(map.insert([index; 5]));
            map.remove(key).expect("live")[4]
        };
        numbers().map(&mut one).fold(0, u64::wrapping_add)
    });
    row
}

/// The last word of a value, read where it lies.
fn use_it(value: &Value) -> u64 {
    black_box(value)[4]
}

/// Many live values, of which a random one is replaced each time: the new one is made first.
pub fn churn_row<'a>(live: usize) -> Row<'a> {
    let mut random = Random::new(5);
    let order: Vec<usize> = (0..live).map(|_| random.below(live)).collect();
    let orders = std::iter::repeat_n(order, 4).collect::<Vec<_>>();
    let [a, b, c, d]: [Vec<usize>; 4] = orders.try_into().expect("four");
    let mut row = Row::new(format!("slot: alloc and drop, {live} live"), live);
    let numbers = move || (0..live as u64).map(|index| [index; 5]);
    // Handles borrow their slab, and the row owns both.
    let slab: &Slab<Value> = Box::leak(Box::new(Slab::new()));
    let mut held: Vec<Slot<'_, Value>> = numbers().map(|value| slab.alloc(value)).collect();
    row.ours("flagstone Slab", move || {
        let one = |(&at, value): (&usize, Value)| {
            let old = replace(&mut held[at], slab.alloc(value));
            old[4]
        };
        a.iter().zip(numbers()).map(one).fold(0, mix)
    });
    let mut boxes: Vec<_> = numbers().map(Box::new).collect();
    row.peer("Box, system malloc", move || {
        let one = |(&at, value): (&usize, Value)| {
            let old = replace(&mut boxes[at], Box::new(value));
            old[4]
        };
        b.iter().zip(numbers()).map(one).fold(0, mix)
    });
    let mut peer = slab::Slab::<Value>::new();
    let mut keys: Vec<_> = numbers().map(|value| peer.insert(value)).collect();
    row.peer("slab", move || {
        let one = |(&at, value): (&usize, Value)| {
            let old = replace(&mut keys[at], peer.insert(value));
            peer.remove(old)[4]
        };
        c.iter().zip(numbers()).map(one).fold(0, mix)
    });
    let mut map = slotmap::SlotMap::<slotmap::DefaultKey, Value>::new();
    let mut names: Vec<_> = numbers().map(|value| map.insert(value)).collect();
    row.peer("slotmap", move || {
        let one = |(&at, value): (&usize, Value)| {
            let old = replace(&mut names[at], map.insert(value));
            map.remove(old).expect("live")[4]
        };
        d.iter().zip(numbers()).map(one).fold(0, mix)
    });
    row
}

/// Handles that may be dropped on any thread, one at a time. `sharded-slab` takes the value out by
/// its key, which is its quickest way.
pub fn owned_row<'a>(count: usize) -> Row<'a> {
    let mut row = Row::new("owned: alloc, use, drop, one live", count);
    let numbers = move || 0..count as u64;
    let slab = Slab::<Value>::new();
    row.ours("flagstone OwnedSlot", move || {
        let one = |index| use_it(&slab.alloc_owned([index; 5]));
        numbers().map(one).fold(0, u64::wrapping_add)
    });
    let sharded = sharded_slab::Slab::<Value>::new();
    row.peer("sharded-slab (Sync)", move || {
        let one = |index| {
            let key = sharded.insert([index; 5]).expect("room");
            use_it(&sharded.take(key).expect("live"))
        };
        numbers().map(one).fold(0, u64::wrapping_add)
    });
    row
}

/// Many keyed values: insert all, read in random order, remove all in that order.
pub fn keyed_row<'a>(count: usize) -> Row<'a> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut random = Random::new(4);
    for index in (1..count).rev() {
        order.swap(index, random.below(index + 1));
    }
    let orders = std::iter::repeat_n(order, 4).collect::<Vec<_>>();
    let [a, b, c, d]: [Vec<usize>; 4] = orders.try_into().expect("four");
    let mut row = Row::new(format!("keys: put, get, remove, {count}"), count);
    let mut ours = Slab::<Value>::new();
    row.ours("flagstone Slab", move || {
        let keys: Vec<_> = (0..count as u64)
            .map(|index| ours.insert([index; 5]))
            .collect();
        let sum = a
            .iter()
            .map(|&at| ours.get(keys[at]).expect("live")[4])
            .fold(0, mix);
        a.iter()
            .map(|&at| ours.remove(keys[at]).expect("live")[4])
            .fold(sum, mix)
    });
    let mut peer = slab::Slab::<Value>::new();
    row.peer("slab", move || {
        let keys: Vec<_> = (0..count as u64)
            .map(|index| peer.insert([index; 5]))
            .collect();
        let sum = b.iter().map(|&at| peer[keys[at]][4]).fold(0, mix);
        b.iter().map(|&at| peer.remove(keys[at])[4]).fold(sum, mix)
    });
    let mut map = slotmap::SlotMap::<slotmap::DefaultKey, Value>::new();
    row.peer("slotmap", move || {
        let keys: Vec<_> = (0..count as u64)
            .map(|index| map.insert([index; 5]))
            .collect();
        let sum = c.iter().map(|&at| map[keys[at]][4]).fold(0, mix);
        c.iter()
            .map(|&at| map.remove(keys[at]).expect("live")[4])
            .fold(sum, mix)
    });
    let sharded = sharded_slab::Slab::<Value>::new();
    row.peer("sharded-slab (Sync)", move || {
        let insert = |index| sharded.insert([index; 5]).expect("room");
        let keys: Vec<_> = (0..count as u64).map(insert).collect();
        let sum = d
            .iter()
            .map(|&at| sharded.get(keys[at]).expect("live")[4])
            .fold(0, mix);
        d.iter()
            .map(|&at| sharded.take(keys[at]).expect("live")[4])
            .fold(sum, mix)
    });
    row
}

fn mix(sum: u64, word: u64) -> u64 {
    sum.wrapping_mul(31).wrapping_add(word)
}
