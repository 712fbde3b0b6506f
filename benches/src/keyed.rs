//! Slabs: many values of one type, held by handle or by key.
//!
//! `slab` and `slotmap` hand out keys and grow by moving everything; `sharded-slab` may be shared
//! between threads and pays for it. The handles of `Slab` are compared with boxes, which is what
//! they replace.

use std::hint::black_box;

use flagstone::Slab;

use crate::Random;
use crate::interleave::Row;

/// 40 bytes: a node with two links and a payload.
type Value = [u64; 5];

/// One handle at a time.
pub fn pair_row<'a>(count: usize) -> Row<'a> {
    let mut row = Row::new("slot: alloc and drop, one live", count);
    let slab = Slab::<Value>::new();
    row.ours("flagstone Slab", move || {
        let one = |index| black_box(slab.alloc([index; 5]))[4];
        (0..count as u64).map(one).fold(0, u64::wrapping_add)
    });
    row.peer("Box, system malloc", move || {
        let one = |index| black_box(Box::new([index; 5]))[4];
        (0..count as u64).map(one).fold(0, u64::wrapping_add)
    });
    row.peer("slab", move || {
        let mut slab = slab::Slab::<Value>::new();
        let mut one = |index| {
            let key = black_box(slab.insert([index; 5]));
            slab.remove(key)[4]
        };
        (0..count as u64).map(&mut one).fold(0, u64::wrapping_add)
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
