//! "Is this ours?", answered for any address before anything is read there.

pub(crate) mod huge_table;
mod segments;

pub(crate) use segments::{insert_segment, is_in_reach, is_segment};
