//! The model test of `tests/model/slab.rs`, driven by the fuzzer.
#![no_main]

use flagstone_fuzz::model::slab::{Op, run};
use flagstone_fuzz::{Step, operations};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|steps: Vec<Step<Op>>| run(operations(steps)));
