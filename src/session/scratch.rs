//! Buffers that are borrowed for a moment, so that idle connections hold none.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// A buffer of 64 KiB with whatever its last user left in it. Dropping it gives
/// it back to the thread that drops it.
pub(crate) struct Scratch(Box<[u8]>);

/// As many free buffers are kept per thread; more are of use only while many
/// slow connections hold one each.
const KEPT: usize = 8;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

impl Scratch {
    /// Length in bytes.
    pub(crate) const LEN: usize = 64 * 1024;

    /// One that is free, or a new one.
    pub(crate) fn take() -> Self {
        let free = FREE.with_borrow_mut(Vec::pop);
        Self(free.unwrap_or_else(|| vec![0; Self::LEN].into_boxed_slice()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        // At the thread's end there is nothing to give it back to.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(buffer);
            }
        });
    }
}

impl Deref for Scratch {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scratch({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again() {
        let mut first = Scratch::take();
        first[7] = 77;
        let place = first.as_ptr();
        drop(first);
        let again = Scratch::take();
        assert_eq!((again.as_ptr(), again[7]), (place, 77));
        assert_ne!(Scratch::take().as_ptr(), place);
        let many: Vec<Scratch> = (0..20).map(|_| Scratch::take()).collect();
        drop(many);
        assert_eq!(FREE.with_borrow(Vec::len), KEPT);
    }
}
