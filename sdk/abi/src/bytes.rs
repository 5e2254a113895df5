//! Bytes that cross the border: borrowed ones are looked at, owned ones are
//! given back exactly once, and both sides count.
//!
//! Unsafe, because a length and a pointer from another compiler become a slice
//! here; nothing but this file, `host` and `export` does that.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::tables::{Buffer, Slice};

/// Bytes that cannot be what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadBytes {
    /// A length without bytes.
    Null(usize),
    /// More than allowed here.
    TooLong {
        /// The length claimed.
        length: usize,
        /// The most allowed.
        limit: usize,
    },
}

impl std::fmt::Display for BadBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null(length) => write!(f, "{length} bytes at a null pointer"),
            Self::TooLong { length, limit } => {
                write!(f, "{length} bytes where at most {limit} are allowed")
            }
        }
    }
}

impl std::error::Error for BadBytes {}

impl Slice {
    /// Lends bytes for one call.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            data: bytes.as_ptr(),
            length: bytes.len(),
        }
    }

    /// # Safety
    /// `data` is null or points to `length` bytes that live and do not change
    /// during `'a`.
    pub(crate) unsafe fn read<'a>(self, limit: usize) -> Result<&'a [u8], BadBytes> {
        check(self.data, self.length, limit)?;
        if self.length == 0 {
            return Ok(&[]);
        }
        // SAFETY: not null, and the caller promises the rest.
        Ok(unsafe { std::slice::from_raw_parts(self.data, self.length) })
    }
}

fn check(data: *const u8, length: usize, limit: usize) -> Result<(), BadBytes> {
    if length > limit.min(isize::MAX as usize) {
        Err(BadBytes::TooLong { length, limit })
    } else if data.is_null() && length > 0 {
        Err(BadBytes::Null(length))
    } else {
        Ok(())
    }
}

/// How many buffers came and went. The two are equal when nobody holds one.
#[derive(Debug, Default)]
pub struct BufferCount {
    pub(crate) received: AtomicU64,
    pub(crate) released: AtomicU64,
}

impl BufferCount {
    /// Buffers that arrived with something to give back.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    /// Buffers that were given back.
    pub fn released(&self) -> u64 {
        self.released.load(Ordering::SeqCst)
    }
}

/// An owned buffer of the other side; given back when dropped.
#[derive(Debug)]
pub struct Received {
    raw: Buffer,
    count: Arc<BufferCount>,
}

impl Received {
    /// # Safety
    /// `raw` came from the other side just now and obeys the header: `data` is
    /// null or points to `length` bytes until `release` is called, which
    /// nobody else does and which may be called from any thread.
    pub(crate) unsafe fn take(raw: Buffer, count: &Arc<BufferCount>) -> Self {
        if raw.release.is_some() {
            count.received.fetch_add(1, Ordering::SeqCst);
        }
        Self {
            raw,
            count: count.clone(),
        }
    }

    /// The bytes, if there are at most `limit`.
    ///
    /// # Errors
    /// [`BadBytes`] if they cannot be what they say.
    pub fn bytes(&self, limit: usize) -> Result<&[u8], BadBytes> {
        let view = Slice {
            data: self.raw.data,
            length: self.raw.length,
        };
        // SAFETY: `take` was promised that they live until `release`, which is
        // called by `drop` only.
        unsafe { view.read(limit) }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Some(release) = self.raw.release.take() {
            // SAFETY: `take` was promised that this is the one call.
            unsafe { release(self.raw.owner, self.raw.data, self.raw.length) };
            self.count.released.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Buffers this side has given away, and those it got back.
pub(crate) static GIVEN: AtomicU64 = AtomicU64::new(0);
pub(crate) static BACK: AtomicU64 = AtomicU64::new(0);

/// Any bytes, as an owned buffer for the other side.
pub(crate) fn give(bytes: Box<dyn AsRef<[u8]> + Send>) -> Buffer {
    let view = Slice::of((*bytes).as_ref());
    if view.length == 0 {
        return Buffer {
            data: std::ptr::null(),
            length: 0,
            owner: std::ptr::null_mut(),
            release: None,
        };
    }
    GIVEN.fetch_add(1, Ordering::SeqCst);
    // Boxed twice, because the owner must be one plain pointer.
    let owner = Box::into_raw(Box::new(bytes));
    Buffer {
        data: view.data,
        length: view.length,
        owner: owner.cast(),
        release: Some(take_back),
    }
}

unsafe extern "C" fn take_back(owner: *mut c_void, _: *const u8, _: usize) {
    if owner.is_null() {
        return;
    }
    // SAFETY: `give` made this pointer, and the contract has it come back once.
    let bytes = unsafe { Box::from_raw(owner.cast::<Box<dyn AsRef<[u8]> + Send>>()) };
    // A destructor may panic; the border must not see it.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(bytes)));
    BACK.fetch_add(1, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_given_back_once_whether_or_not_it_was_read() {
        let count = Arc::new(BufferCount::default());
        for read in [true, false] {
            let raw = give(Box::new(b"seven b".to_vec()));
            // SAFETY: made above, passed on once.
            let received = unsafe { Received::take(raw, &count) };
            if read {
                assert_eq!(received.bytes(7), Ok(&b"seven b"[..]));
                assert!(received.bytes(6).is_err());
            }
        }
        assert_eq!((count.received(), count.released()), (2, 2));
    }

    #[test]
    fn impossible_bytes_are_refused_unread() {
        let lie = Slice {
            data: std::ptr::null(),
            length: 5,
        };
        // SAFETY: null is allowed.
        assert_eq!(unsafe { lie.read(100) }, Err(BadBytes::Null(5)));
        let huge = Slice {
            data: b"x".as_ptr(),
            length: usize::MAX,
        };
        // SAFETY: refused for its length before it is read.
        assert!(unsafe { huge.read(usize::MAX) }.is_err());
        let nothing = Slice {
            data: std::ptr::null(),
            length: 0,
        };
        // SAFETY: null is allowed.
        assert_eq!(unsafe { nothing.read(0) }, Ok(&[][..]));
    }
}
