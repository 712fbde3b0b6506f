//! `base/bitmap.rs` and `base/geometry.rs` as they are, against naive searches.
#![no_main]

use flagstone_fuzz::bits::{Op, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|ops: Vec<Op>| run(ops));
