//! The ground floor's files as they are: integers in, integers out, so they compile anywhere.
#![allow(dead_code, reason = "each target looks at a part of each file")]
#![allow(unused_imports, reason = "sync.rs offers more than these files take")]

#[path = "../../src/base/bitmap.rs"]
pub(crate) mod bitmap;
#[path = "../../src/base/geometry.rs"]
pub(crate) mod geometry;
#[path = "../../src/base/size_class.rs"]
pub(crate) mod size_class;
#[path = "../../src/base/sync.rs"]
pub(crate) mod sync;
