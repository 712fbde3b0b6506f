//! Ten thousand arenas that hold little each.

use super::*;

/// Resident bytes of this process; `None` where there is no `/proc`.
fn resident_bytes() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// Runs alone in a process of its own: see below.
#[test]
#[ignore = "measures its process; run by ten_thousand_arenas_stay_small"]
fn ten_thousand_arenas_alone() {
    const COUNT: usize = 10_000;
    let mut arenas: Vec<Arena> = Vec::with_capacity(COUNT);
    arenas.resize_with(COUNT, Arena::new);
    let before = resident_bytes();
    for (i, arena) in arenas.iter().enumerate() {
        arena.alloc([i as u64; 4]);
    }
    let claimed: usize = arenas.iter().map(Arena::capacity_bytes).sum();
    let each = claimed / COUNT + size_of::<Arena>();
    println!("claimed per arena: {each} bytes");
    assert!(each < 8192);
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        let each = (after - before) / COUNT + size_of::<Arena>();
        println!("resident per arena: {each} bytes");
        assert!(each < 8192);
    }
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn ten_thousand_arenas_stay_small() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "footprint::ten_thousand_arenas_alone",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    assert!(
        output.status.success() && text.contains("per arena"),
        "{output:?}"
    );
}
