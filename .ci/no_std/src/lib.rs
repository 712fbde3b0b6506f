//! Links the crate without std: a second panic handler in the tree would be a compile error. What a
//! program without an allocator may use is used, so that the linker wants all of it.
#![no_std]

use core::panic::PanicInfo;

pub use flagstone::AllocError;
use flagstone::StaticPool;

static FRAMES: StaticPool<[u8; 64], 4> = StaticPool::new(|| [0; 64]);

/// Takes a frame, writes to it, and gives it back, or away for good: one of each. Answers how many
/// are in use then, which is none.
#[unsafe(no_mangle)]
pub extern "C" fn flagstone_use_a_frame(byte: u8) -> usize {
    if let Some(mut frame) = FRAMES.try_get() {
        frame[0] = byte;
    }
    if let Some(frame) = FRAMES.try_get() {
        frame.discard();
    }
    FRAMES.in_use()
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

#[cfg(feature = "alloc")]
mod memory {
    use core::alloc::{GlobalAlloc, Layout};

    /// Has nothing to give; only the build counts.
    struct Nothing;

    // SAFETY: it never returns memory.
    unsafe impl GlobalAlloc for Nothing {
        unsafe fn alloc(&self, _: Layout) -> *mut u8 {
            core::ptr::null_mut()
        }

        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
    }

    #[global_allocator]
    static NOTHING: Nothing = Nothing;
}
