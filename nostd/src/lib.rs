//! Proof that `proto` and `lab` need no std: a static library with a panic handler and an allocator of its own.
//!
//! If any crate under them linked std, its panic handler would collide with the one below and the build would fail.
#![no_std]

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

use tidegate_lab as _;
use tidegate_proto::net::{Stack, StackConfig};
use tidegate_proto::time::Instant;

/// Makes a stack, so that the linker has something to keep.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_nostd_probe() -> usize {
    Stack::new(StackConfig::default(), [0; 32], Instant::ZERO).population().connections
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

struct Nowhere;

// SAFETY: an allocator that always refuses hands out no memory, so it cannot hand out wrong memory. The library is
// linked, never run.
unsafe impl GlobalAlloc for Nowhere {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Nowhere = Nowhere;
