//! Draws a fragmented heap, before and after `trim`: `cargo run --example heap_map [FOLDER]`.
//!
//! Prints both pictures as text, and writes them as SVG files into the folder if one is named.

use std::alloc::Layout;
use std::ptr::NonNull;

use flagstone::{AllocError, Heap};

/// Blocks of one size; dropped by `free`, not by themselves.
struct Blocks {
    layout: Layout,
    starts: Vec<NonNull<u8>>,
}

impl Blocks {
    fn allocate(heap: &Heap, bytes: usize, count: usize) -> Result<Blocks, AllocError> {
        let layout = Layout::from_size_align(bytes, 8).map_err(|_| AllocError::LayoutTooLarge)?;
        let allocate = |_| heap.allocate(layout).map(NonNull::cast);
        let starts = (0..count).map(allocate).collect::<Result<_, _>>()?;
        Ok(Blocks { layout, starts })
    }

    /// Frees the blocks whose number is chosen.
    fn free(&mut self, heap: &Heap, chosen: impl Fn(usize) -> bool) {
        let mut number = 0;
        self.starts.retain(|start| {
            let free = chosen(number);
            number += 1;
            if free {
                // SAFETY: allocated with this layout, and forgotten here.
                unsafe { heap.deallocate(*start, self.layout) };
            }
            !free
        });
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map(std::path::PathBuf::from);
    let heap = Heap::new();
    let mut small = Blocks::allocate(&heap, 64, 6000)?;
    let mut middle = Blocks::allocate(&heap, 1500, 300)?;
    let mut large = Blocks::allocate(&heap, 150 << 10, 4)?;
    // What a busy afternoon leaves: most small blocks gone, some everywhere still in use.
    small.free(&heap, |number| {
        !(1000..2200).contains(&number) && number % 97 != 0
    });
    middle.free(&heap, |number| number % 40 != 0);
    large.free(&heap, |number| number % 2 == 0);

    println!("before trim\n{}", heap.map());
    let before = heap.map().to_svg();
    let bytes = heap.trim();
    println!(
        "after trim, which gave {} KiB back\n{}",
        bytes >> 10,
        heap.map()
    );
    if let Some(folder) = folder {
        std::fs::write(folder.join("heap_before.svg"), before)?;
        std::fs::write(folder.join("heap_after.svg"), heap.map().to_svg())?;
        println!(
            "wrote heap_before.svg and heap_after.svg to {}",
            folder.display()
        );
    }
    for blocks in [&mut small, &mut middle, &mut large] {
        blocks.free(&heap, |_| true);
    }
    Ok(())
}
