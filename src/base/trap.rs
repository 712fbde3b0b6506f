//! Where the crate gives up: one line, then an abort, or a panic where unwinding is allowed.
//!
//! Messages are constant text with numbers behind it, written without allocating, so that they can
//! be printed from inside an allocator. Tests match them. On Unix they go straight to the file: the
//! stream's lock may be held by a thread that waits, or that is gone in a forked child, and an
//! abort must not hang.

use crate::base::error::AllocError;

/// Reports misuse found where unwinding is forbidden (the `Allocator` contract) and aborts.
/// Prints `flagstone: <message>: 0x<address>` to standard error when there is one.
#[cold]
#[inline(never)]
pub(crate) fn misuse(message: &'static str, address: usize) -> ! {
    abort(message, address)
}

/// The panic of the infallible twin of a `try_` method.
///
/// # Panics
/// Always, with the error's text.
#[cold]
#[inline(never)]
#[track_caller]
pub(crate) fn refused(error: AllocError) -> ! {
    panic!("flagstone: {error}")
}

/// What the infallible twin of a `try_` method returns.
///
/// # Panics
/// With the error's text.
#[inline(always)]
pub(crate) fn or_refuse<T>(result: Result<T, AllocError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => refused(error),
    }
}

#[cfg(feature = "std")]
fn abort(message: &'static str, address: usize) -> ! {
    use std::io::Write as _;
    // A fixed buffer: one write, one line, no allocation. 200 bytes hold the longest message.
    let mut line = [0u8; 200];
    let mut rest = &mut line[..];
    // A message cut short is still better than none, so an overlong line is no error here.
    let _ = writeln!(rest, "flagstone: {message}: {address:#x}");
    let unused = rest.len();
    let written = line.len() - unused;
    print(&line[..written]);
    std::process::abort()
}

#[cfg(all(unix, feature = "std"))]
fn print(line: &[u8]) {
    // SAFETY: the buffer is as long as it says. What cannot be written is lost: an abort follows.
    let _ = unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
}

#[cfg(all(not(unix), feature = "std"))]
fn print(line: &[u8]) {
    use std::io::Write as _;
    let _ = std::io::stderr().write_all(line);
}

#[cfg(not(feature = "std"))]
fn abort(message: &'static str, address: usize) -> ! {
    /// A panic while a panic unwinds aborts: the only abort there is in `core`.
    struct AbortOnUnwind;
    impl Drop for AbortOnUnwind {
        fn drop(&mut self) {
            panic!("flagstone: misuse cannot be unwound");
        }
    }
    let _guard = AbortOnUnwind;
    panic!("flagstone: {message}: {address:#x}")
}
