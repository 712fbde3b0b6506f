//! The size classes against a search of their table.

use crate::base::size_class::{CLASS_BYTES, CLASS_BYTES_MAX, class_of};

/// The class of a pair is the smallest whose slots hold it at its alignment.
pub fn run(size: u32, align_log2: u8) {
    let (size, align) = (
        size as usize % (CLASS_BYTES_MAX * 2) + 1,
        1_usize << (align_log2 % 23),
    );
    let holds = |bytes: &u32| *bytes as usize >= size && *bytes as usize % align == 0;
    let expected = CLASS_BYTES.iter().position(holds);
    assert_eq!(class_of(size, align), expected, "size {size} align {align}");
}
