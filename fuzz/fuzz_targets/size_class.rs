//! `base/size_class.rs` as it is, against a search of its table.
#![no_main]

use flagstone_fuzz::sizes::run;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|pairs: Vec<(u32, u8)>| pairs.into_iter().for_each(|(size, align)| run(size, align)));
