//! The skeleton of a turn, which every program on this reactor shares.

use std::io;
use std::time::{Duration, Instant};

use super::kernel::{Kernel, Signal};

/// A program that does all its work in turns of one loop.
///
/// A turn has two readings of the time: when it began, which the program is told, and *now*, which
/// it asks the kernel for where a deadline starts or ends. A deadline ends only for whom the kernel
/// has nothing left to tell: the clock may be newer than the events, as a process can stand still
/// (SIGSTOP, a frozen container), and as one wait fetches so many events at most.
pub trait Program {
    /// What it runs on.
    type Kernel: Kernel;
    /// How it can end.
    type Exit;

    /// The kernel.
    fn kernel(&mut self) -> &mut Self::Kernel;

    /// How long the next wait may sleep: not at all while there is work left, else until the next
    /// deadline; `None` is until the kernel tells of something.
    fn sleep(&mut self) -> Option<Duration>;

    /// Waits so long at most, and latches what the kernel tells. No other IO happens in here.
    ///
    /// # Errors
    /// The kernel can no longer wait for events.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// A turn begins.
    fn begin(&mut self, now: Instant);

    /// Does what a signal asks for.
    fn obey(&mut self, signal: Signal) -> Option<Self::Exit>;

    /// Works, in its phases, under their budgets.
    fn work(&mut self) -> Option<Self::Exit>;

    /// One turn of the loop.
    ///
    /// # Errors
    /// The kernel can no longer wait for events.
    fn turn(&mut self) -> io::Result<Option<Self::Exit>> {
        let timeout = self.sleep();
        self.wait(timeout)?;
        let now = self.kernel().now();
        self.begin(now);
        while let Some(signal) = self.kernel().next_signal() {
            if let Some(exit) = self.obey(signal) {
                return Ok(Some(exit));
            }
        }
        Ok(self.work())
    }

    /// Turns until the end.
    ///
    /// # Errors
    /// The kernel can no longer wait for events.
    fn run(&mut self) -> io::Result<Self::Exit> {
        loop {
            if let Some(exit) = self.turn()? {
                return Ok(exit);
            }
        }
    }
}
