//! `ArenaHashMap`: hashbrown's map, but for its destructor.

use std::collections::HashMap;

use flagstone::ArenaHashMap;

use super::vec_model::panic_of;
use super::*;

#[test]
fn random_operations_agree_with_std() {
    let rounds = if cfg!(miri) { 3 } else { 40 };
    let mut random = Random::new(1);
    for _ in 0..rounds {
        let arena = arena();
        let (mut ours, mut std) = (ArenaHashMap::new_in(&arena), HashMap::new());
        for number in 0..300 {
            let key = random.below(60) as u64;
            match random.below(8) {
                0..=3 => assert_eq!(ours.insert(key, number), std.insert(key, number)),
                4 => assert_eq!(ours.remove(&key), std.remove(&key)),
                5 => {
                    *ours.entry(key).or_insert(7) += 1;
                    *std.entry(key).or_insert(7) += 1;
                }
                6 if random.below(20) == 0 => {
                    ours.retain(|_, value| *value % 2 == 0);
                    std.retain(|_, value| *value % 2 == 0);
                }
                6 => ours.shrink_to_fit(),
                _ => assert_eq!(ours.get(&key), std.get(&key)),
            }
            arena.alloc_str("between");
        }
        let mut pairs: Vec<_> = ours.into_iter().collect();
        let mut expected: Vec<_> = std.into_iter().collect();
        pairs.sort_unstable();
        expected.sort_unstable();
        assert_eq!(pairs, expected);
    }
}

/// A tree of maps that lies in the arena, and is alive, unused, when the arena is reset.
struct Folder<'a> {
    files: ArenaHashMap<'a, &'a str, usize>,
    folders: ArenaHashMap<'a, &'a str, &'a Folder<'a>>,
}

#[test]
fn maps_lie_in_the_arena() {
    let mut arena = arena();
    for round in 0..3 {
        let leaf = arena.alloc(Folder {
            files: ArenaHashMap::from_iter_in(
                (0..50).map(|n| (&*arena.alloc_fmt(format_args!("{n}")), n)),
                &arena,
            ),
            folders: ArenaHashMap::new_in(&arena),
        });
        let root = arena.alloc(Folder {
            files: ArenaHashMap::with_capacity_in(10, &arena),
            folders: ArenaHashMap::new_in(&arena),
        });
        root.folders.insert("leaf", leaf);
        root.files.extend([("a", 1), ("b", 2)]);
        assert_eq!(root.folders["leaf"].files["49"], 49, "round {round}");
        assert_eq!((root.files.len(), root.files.capacity() >= 10), (2, true));
        assert!(!std::mem::needs_drop::<Folder<'_>>());
        let kept = ArenaHashMap::<u8, u8>::new_in(&arena);
        let _unused = (leaf, kept);
        arena.reset();
    }
}

#[test]
fn a_map_taken_out_gives_its_table_back() {
    let arena = arena();
    let mut map: ArenaHashMap<'_, u32, u32> = ArenaHashMap::new_in(&arena);
    map.insert(1, 2);
    let used = arena.used_bytes();
    assert!(used > 0);
    let inner = std::mem::replace(&mut *map, hashbrown::HashMap::new_in(&arena));
    assert_eq!(inner[&1], 2);
    drop(inner);
    assert_eq!((arena.used_bytes(), map.len()), (0, 0));
    map.insert(3, 4);
    assert_eq!(map.into_inner().drain().next(), Some((3, 4)));
    assert_eq!(arena.used_bytes(), 0);
}

#[test]
fn limits_are_named() {
    let arena = Arena::builder()
        .pages(&PAGES)
        .limit_bytes(4096)
        .build()
        .unwrap();
    let limit = AllocError::OwnerLimit { limit_bytes: 4096 };
    let mut map = ArenaHashMap::new_in(&arena);
    assert_eq!(map.try_reserve(1000), Err(limit));
    assert_eq!(map.try_reserve(usize::MAX), Err(AllocError::LayoutTooLarge));
    assert_eq!(map.try_extend((0..1000u64).map(|n| (n, n))), Err(limit));
    // No announcement: as many as there is room for.
    let pairs = (0..1000u64).filter(|n| *n < 1000).map(|n| (n, n));
    assert_eq!(map.try_extend(pairs), Err(limit));
    assert!(
        map.len() >= 56 && map.iter().all(|(key, value)| key == value),
        "{}",
        map.len()
    );
    let made: Result<ArenaHashMap<'_, u64, u64>, _> =
        ArenaHashMap::try_with_capacity_in(1000, &arena);
    assert_eq!(made, Err(limit));
    let panicked = panic_of(|| map.extend((0..1000).map(|n| (n, n))));
    assert_eq!(panicked, format!("flagstone: {limit}"));
    *map.get_mut(&7).unwrap() += 1;
    assert_eq!(map[&7], 8);
}

#[test]
fn traits() {
    let arena = dense::<1>();
    let mut map =
        ArenaHashMap::<_, _, hashbrown::DefaultHashBuilder, 1>::from_iter_in([(1, 'a')], &arena);
    assert_eq!(format!("{map:?}"), "{1: 'a'}");
    for (key, value) in &mut map {
        assert_eq!((*key, std::mem::replace(value, 'b')), (1, 'a'));
    }
    assert!((&map).into_iter().eq([(&1, &'b')]));
    let hasher = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
    let mut other = ArenaHashMap::with_hasher_in(hasher, &arena);
    other.insert("x", 1);
    assert_eq!((other.arena().used_bytes() > 0, other["x"]), (true, 1));
    let twin = ArenaHashMap::from_iter_in([(1, 'b')], &arena);
    assert_eq!(map, twin);
}
