//! Anonymous mappings of the operating system, through memmap2, its clock and its number of this
//! process; nothing at all where there are none (other systems, Miri, no `std`), so that the code
//! above needs no conditions.
//!
//! Ranges are passed on as they come: `source.rs` checks them first.

#[cfg(not(all(unix, feature = "std", not(miri))))]
pub(crate) use none::{Map, clock_ms, process_number};
#[cfg(all(unix, feature = "std", not(miri)))]
pub(crate) use os::{Map, clock_ms, process_number};

#[cfg(all(unix, feature = "std", not(miri)))]
mod os {
    use core::ptr::NonNull;

    use memmap2::{MmapOptions, MmapRaw, UncheckedAdvice};

    use crate::base::geometry::PAGE_BYTES;

    /// One mapping; unmapped when dropped.
    #[derive(Debug)]
    pub(crate) struct Map(MmapRaw);

    impl Map {
        /// Whether pages are 4 KiB, which everything above counts on.
        pub(crate) fn is_available() -> bool {
            // SAFETY: sysconf reads a constant of the system.
            let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
            usize::try_from(bytes) == Ok(PAGE_BYTES)
        }

        /// Reserves without charging swap, so that address space can be taken by the gigabyte.
        /// `None` where the system refuses.
        pub(crate) fn reserve(bytes: usize) -> Option<Map> {
            let mut options = MmapOptions::new();
            let options = options.len(bytes).no_reserve_swap();
            let map = keeping_errno(|| options.map_anon().ok())?;
            Some(Map(MmapRaw::from(map)))
        }

        pub(crate) fn base(&self) -> NonNull<u8> {
            NonNull::new(self.0.as_mut_ptr()).unwrap_or(NonNull::dangling())
        }

        pub(crate) fn bytes(&self) -> usize {
            self.0.len()
        }

        /// `MADV_DONTNEED`: frees the pages at once and makes them read as zero (on Linux;
        /// elsewhere it is a hint, so nothing is promised). The system's answer is not believed:
        /// emulators (qemu-user before 7.1) and filters say that it is done and do nothing. Where
        /// it is not done, all is as it was: a caller may count on zeroes that lay there.
        ///
        /// # Safety
        /// The range lies in the map and consists of whole pages whose contents nobody needs.
        pub(crate) unsafe fn purge(&self, offset: usize, bytes: usize) -> bool {
            let advice = UncheckedAdvice::DontNeed;
            // SAFETY: the caller's promise; here and below.
            let mark = unsafe { self.base().add(offset) };
            // SAFETY: as above; the memory is the system's, which initialised it.
            let before = unsafe { mark.read_volatile() };
            // SAFETY: as above.
            unsafe { mark.write_volatile(1) };
            // SAFETY: as above.
            let call = || unsafe { self.0.unchecked_advise_range(advice, offset, bytes) };
            let answer = keeping_errno(call).is_ok();
            // SAFETY: as above.
            let is_done = unsafe { mark.read_volatile() } == 0;
            if !is_done {
                // SAFETY: as above.
                unsafe { mark.write_volatile(before) };
            }
            let promises = cfg!(any(target_os = "linux", target_os = "android"));
            answer && is_done && promises
        }

        /// Makes the map longer, at other addresses if need be (`mremap`). Whether it is now;
        /// nothing changed otherwise.
        ///
        /// # Safety
        /// Nobody uses a pointer into the map meanwhile, or afterwards if it moved.
        pub(crate) unsafe fn resize(&mut self, bytes: usize) -> bool {
            // SAFETY: the caller's promise; the map is anonymous, so no file ends inside it.
            keeping_errno(|| unsafe { resize(&mut self.0, bytes) })
        }

        /// Asks for transparent huge pages; whether the system knows them.
        pub(crate) fn advise_huge(&self, offset: usize, bytes: usize) -> bool {
            keeping_errno(|| advise_huge(&self.0, offset, bytes))
        }
    }

    /// Leaves the thread's `errno` as it was: what is refused here may be had some other way, and
    /// an allocation that succeeds has no error to tell of.
    fn keeping_errno<R>(call: impl FnOnce() -> R) -> R {
        // SAFETY: the thread's own, for as long as it runs, and an integer; here and below.
        let before = errno().map(|place| (place, unsafe { *place }));
        let result = call();
        if let Some((place, value)) = before {
            // SAFETY: as above.
            unsafe { *place = value };
        }
        result
    }

    /// Where the thread's `errno` lies, where that is known.
    #[cfg(target_os = "linux")]
    fn errno() -> Option<*mut libc::c_int> {
        // SAFETY: answers with an address.
        Some(unsafe { libc::__errno_location() })
    }

    #[cfg(target_vendor = "apple")]
    fn errno() -> Option<*mut libc::c_int> {
        // SAFETY: answers with an address.
        Some(unsafe { libc::__error() })
    }

    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    fn errno() -> Option<*mut libc::c_int> {
        None
    }

    /// Milliseconds of a clock that only goes forward. Read directly, since `Instant` has no
    /// constant origin.
    pub(crate) fn clock_ms() -> Option<usize> {
        let mut now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: an out pointer to a local.
        let done = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
        let seconds = usize::try_from(now.tv_sec).ok().filter(|_| done == 0)?;
        let rest = usize::try_from(now.tv_nsec).ok()? / 1_000_000;
        seconds.checked_mul(1000)?.checked_add(rest)
    }

    /// This process's number: another one in a forked child, and never 0.
    pub(crate) fn process_number() -> usize {
        // SAFETY: asks the system, and cannot fail.
        unsafe { libc::getpid() as usize }
    }

    /// # Safety
    /// As for [`Map::resize`].
    #[cfg(target_os = "linux")]
    unsafe fn resize(map: &mut MmapRaw, bytes: usize) -> bool {
        let options = memmap2::RemapOptions::new().may_move(true);
        // SAFETY: the caller's promise.
        unsafe { map.remap(bytes, options) }.is_ok()
    }

    /// # Safety
    /// None: it does nothing.
    #[cfg(not(target_os = "linux"))]
    unsafe fn resize(_map: &mut MmapRaw, _bytes: usize) -> bool {
        false
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn advise_huge(map: &MmapRaw, offset: usize, bytes: usize) -> bool {
        map.advise_range(memmap2::Advice::HugePage, offset, bytes)
            .is_ok()
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn advise_huge(_map: &MmapRaw, _offset: usize, _bytes: usize) -> bool {
        false
    }
}

#[cfg(not(all(unix, feature = "std", not(miri))))]
mod none {
    use core::ptr::NonNull;

    /// No clock: nothing is purged by and by.
    pub(crate) fn clock_ms() -> Option<usize> {
        None
    }

    /// No processes but this one.
    pub(crate) fn process_number() -> usize {
        1
    }

    /// A mapping that cannot exist.
    #[derive(Debug)]
    pub(crate) enum Map {}

    impl Map {
        pub(crate) fn is_available() -> bool {
            false
        }

        pub(crate) fn reserve(_bytes: usize) -> Option<Map> {
            None
        }

        pub(crate) fn base(&self) -> NonNull<u8> {
            match *self {}
        }

        pub(crate) fn bytes(&self) -> usize {
            match *self {}
        }

        /// # Safety
        /// None: it cannot be called.
        pub(crate) unsafe fn purge(&self, _offset: usize, _bytes: usize) -> bool {
            match *self {}
        }

        /// # Safety
        /// None: it cannot be called.
        pub(crate) unsafe fn resize(&mut self, _bytes: usize) -> bool {
            match *self {}
        }

        pub(crate) fn advise_huge(&self, _offset: usize, _bytes: usize) -> bool {
            match *self {}
        }
    }
}
