//! Stopping a program from another thread, without a signal.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use mio::{Registry, Waker};

use super::kernel::{Signal, Token};

#[derive(Debug)]
pub(super) struct Asked {
    waker: Waker,
    /// How often it was asked to stop and has not been told.
    stops: AtomicU32,
}

impl Asked {
    /// Nobody has asked yet. Its event comes with this token.
    ///
    /// # Errors
    /// As eventfd(2).
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        Ok(Self {
            waker: Waker::new(registry, mio::Token(token.0))?,
            stops: AtomicU32::new(0),
        })
    }

    pub(super) fn take(&self) -> Option<Signal> {
        let one_less = |stops: u32| stops.checked_sub(1);
        let taken = self.stops.fetch_update(Relaxed, Relaxed, one_less);
        taken.is_ok().then_some(Signal::Stop)
    }
}

/// Stops a program from any thread, as SIGTERM would: once asks for a graceful stop, and once more,
/// in a later turn of its loop, for an end at once.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<Asked>);

impl Stopper {
    pub(super) fn new(asked: Arc<Asked>) -> Self {
        Self(asked)
    }

    /// Asks it to stop, and does not wait for that.
    ///
    /// # Errors
    /// It could not be woken: write(2) on its eventfd(2).
    pub fn stop(&self) -> io::Result<()> {
        self.0.stops.fetch_add(1, Relaxed);
        self.0.waker.wake()
    }
}
