//! What can go wrong at which call.

use std::io;

use rustix::io::Errno;

use super::rng::Rng;

/// A call to the kernel, by the system call that stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `epoll_wait`(2)
    Wait,
    /// `epoll_ctl`(2)
    Register,
    Accept,
    Read,
    Write,
    Shutdown,
    /// `recvmmsg`(2)
    Receive,
    /// `sendmsg`(2)
    Send,
}

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A signal cut it short.
    Interrupted,
    /// The kernel has nothing, or no room, at the moment. What was there comes with a later edge:
    /// the call was a hair too early.
    WouldBlock,
    /// It does one byte, or one datagram, of its work.
    Short,
    /// It fails for good.
    Fails(Errno),
}

use Fault::{Fails, Interrupted, Short, WouldBlock};

impl Call {
    pub const ALL: [Self; 8] = [
        Self::Wait,
        Self::Register,
        Self::Accept,
        Self::Read,
        Self::Write,
        Self::Shutdown,
        Self::Receive,
        Self::Send,
    ];

    /// Those that hurt nobody, and then the others.
    pub const fn faults(self) -> (&'static [Fault], &'static [Fault]) {
        match self {
            Self::Wait => (&[Interrupted], &[]),
            Self::Register => (
                &[],
                &[
                    Fails(Errno::NOMEM),
                    Fails(Errno::NOSPC),
                    Fails(Errno::PERM),
                    Fails(Errno::INVAL),
                ],
            ),
            Self::Accept => (
                &[Interrupted, WouldBlock],
                &[
                    Fails(Errno::CONNABORTED),
                    Fails(Errno::PERM),
                    Fails(Errno::MFILE),
                    Fails(Errno::NFILE),
                    Fails(Errno::NOBUFS),
                    Fails(Errno::NOMEM),
                    Fails(Errno::INVAL),
                ],
            ),
            Self::Read => (
                &[Interrupted, WouldBlock, Short],
                &[
                    Fails(Errno::CONNRESET),
                    Fails(Errno::TIMEDOUT),
                    Fails(Errno::NOBUFS),
                    Fails(Errno::NOMEM),
                    Fails(Errno::INVAL),
                ],
            ),
            Self::Write => (
                &[Interrupted, WouldBlock, Short],
                &[
                    Fails(Errno::CONNRESET),
                    Fails(Errno::PIPE),
                    Fails(Errno::NOBUFS),
                    Fails(Errno::NOMEM),
                    Fails(Errno::PERM),
                    Fails(Errno::INVAL),
                ],
            ),
            Self::Shutdown => (&[], &[Fails(Errno::NOTCONN), Fails(Errno::INVAL)]),
            // recvmmsg(2) comes back with less than is there only where an error cut it short, and
            // that one is told by an event of its own.
            Self::Receive => (
                &[Interrupted, WouldBlock],
                &[
                    Fails(Errno::CONNREFUSED),
                    Fails(Errno::NOBUFS),
                    Fails(Errno::NOMEM),
                    Fails(Errno::INVAL),
                ],
            ),
            Self::Send => (
                &[Interrupted],
                &[
                    WouldBlock,
                    Fails(Errno::NOBUFS),
                    Fails(Errno::NOMEM),
                    Fails(Errno::PERM),
                    Fails(Errno::INVAL),
                    Fails(Errno::IO),
                    Fails(Errno::MSGSIZE),
                ],
            ),
        }
    }

    /// Every one of them.
    pub fn all_faults(self) -> impl Iterator<Item = Fault> {
        let (harmless, harmful) = self.faults();
        harmless.iter().chain(harmful).copied()
    }
}

impl Fault {
    pub fn to_error(self) -> io::Error {
        match self {
            Interrupted => Errno::INTR.into(),
            WouldBlock | Short => Errno::AGAIN.into(),
            Fails(errno) => errno.into(),
        }
    }
}

/// Where the faults of a schedule come from.
#[derive(Clone, Debug)]
pub enum Faults {
    None,
    /// Each call goes wrong once in so many times (0: never), with one of the harmless faults or of
    /// all.
    Drawn {
        one_in: [usize; Call::ALL.len()],
        harmful: bool,
    },
    /// The calls of these numbers go wrong, and no other.
    At(Vec<(usize, Fault)>),
}

impl Faults {
    /// Rates that differ from seed to seed: a fault that comes all the time hides those behind it.
    pub fn drawn(rng: &mut Rng) -> Self {
        let mut one_in = [0; Call::ALL.len()];
        for rate in &mut one_in {
            *rate = rng.pick(&[0, 0, 2, 4, 8, 16]);
        }
        Self::Drawn {
            one_in,
            harmful: rng.one_in(2),
        }
    }

    /// What becomes of the call with this number.
    pub fn next(&self, number: usize, call: Call, rng: &mut Rng) -> Option<Fault> {
        match self {
            Self::None => None,
            Self::Drawn { one_in, harmful } => {
                if !rng.one_in(one_in[call as usize]) {
                    return None;
                }
                let (harmless, rest) = call.faults();
                let choices = harmless.len() + if *harmful { rest.len() } else { 0 };
                (choices > 0).then(|| {
                    let choice = rng.below(choices);
                    harmless.iter().chain(rest).nth(choice).copied()
                })?
            }
            Self::At(faults) => {
                let mut faults = faults.iter().filter(|(at, _)| *at == number);
                faults.next().map(|(_, fault)| *fault)
            }
        }
    }
}
