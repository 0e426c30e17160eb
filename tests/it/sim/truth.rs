//! Does the simulated kernel tell the truth? The same script of calls runs on it and on the real
//! kernel, and what both answer is compared, word by word.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pingpong::inside::reactor::bind::{self, BindOptions};
use pingpong::inside::reactor::kernel::{Kernel, Listener, Readiness, Stream, Token};
use pingpong::inside::reactor::os::Os;

use super::kernel::SimKernel;
use super::peer::{Ending, Peer, Reading, Role};
use super::plan::Plan;
use super::puppet::{Puppet, RealPeer, SimPeer};
use super::world::World;

/// One step, of the server's side or of the peer's.
#[derive(Clone, Copy, Debug)]
enum Step {
    Connect,
    Accept,
    Register,
    /// Fetches events until there are none.
    Wait,
    Read(usize),
    Write(&'static [u8]),
    /// Writes until the kernel takes no more.
    Fill,
    Shut,
    Close,
    PeerSends(&'static [u8]),
    PeerSendsUrgent(&'static [u8]),
    /// The peer takes everything that is there.
    PeerTakes,
    PeerShuts,
    PeerCloses,
    PeerResets,
    /// What the peer finds at the end of its stream.
    PeerEnd,
}

use Step::{
    Accept, Close, Connect, Fill, PeerCloses, PeerEnd, PeerResets, PeerSends, PeerSendsUrgent,
    PeerShuts, PeerTakes, Read as Reads, Register, Shut, Wait, Write as Writes,
};

const OPEN: [Step; 4] = [Connect, Accept, Register, Wait];

const SCRIPTS: &[(&str, &[Step])] = &[
    (
        "an edge comes once",
        &[
            PeerSends(b"hello"),
            Wait,
            Reads(2),
            Wait,
            Reads(9),
            Reads(9),
            Wait,
        ],
    ),
    (
        "each meta is an edge, read or not",
        &[
            PeerSends(b"he"),
            Wait,
            PeerSends(b"llo"),
            Wait,
            Reads(9),
            Reads(9),
        ],
    ),
    (
        "data and FIN come as one event",
        &[
            PeerSends(b"hello"),
            PeerShuts,
            Wait,
            Reads(9),
            Reads(9),
            Reads(9),
        ],
    ),
    (
        "FIN is an edge of its own",
        &[
            PeerSends(b"hi"),
            Wait,
            PeerShuts,
            Wait,
            Reads(9),
            Reads(9),
            Wait,
        ],
    ),
    (
        "after the peer's FIN the server may still write",
        &[
            PeerShuts,
            Wait,
            Reads(9),
            Writes(b"pong"),
            PeerTakes,
            Close,
            PeerEnd,
        ],
    ),
    (
        "a reset leaves its data readable, and is told once",
        &[
            PeerSends(b"hi"),
            PeerResets,
            Wait,
            Reads(9),
            Reads(9),
            Reads(9),
            Writes(b"x"),
        ],
    ),
    (
        "a write is told of a reset too",
        &[PeerResets, Wait, Writes(b"x"), Writes(b"x"), Reads(9)],
    ),
    (
        "a write to a peer that is gone brings its reset",
        &[PeerCloses, Wait, Reads(9), Writes(b"x"), Wait, Writes(b"x")],
    ),
    (
        "no room, and room again, is an edge",
        &[Fill, Wait, PeerTakes, Wait, Writes(b"x"), PeerTakes, Wait],
    ),
    (
        "room that nobody missed is no edge",
        &[Writes(b"x"), PeerTakes, Wait],
    ),
    (
        "both FINs hang up",
        &[Shut, Wait, PeerShuts, Wait, Reads(9), Reads(9)],
    ),
    (
        "a close with unread input resets",
        &[PeerSends(b"hello"), Wait, Close, PeerEnd],
    ),
    (
        "a close without is an end",
        &[PeerSends(b"hello"), Wait, Reads(9), Close, PeerEnd],
    ),
    (
        "a FIN is an end",
        &[
            Writes(b"bye"),
            Shut,
            PeerTakes,
            PeerEnd,
            PeerSends(b"more"),
            Wait,
            Reads(9),
        ],
    ),
    (
        "a read stops at the urgent mark",
        &[
            PeerSends(b"ab"),
            PeerSendsUrgent(b"c"),
            PeerSends(b"de"),
            Wait,
            Reads(9),
            Reads(9),
        ],
    ),
];

/// Before it is accepted, a connection can have had its whole life.
const UNACCEPTED: &[(&str, &[Step])] = &[
    (
        "data waits in the backlog",
        &[Connect, PeerSends(b"hi"), Accept, Reads(9), Register, Wait],
    ),
    (
        "data and FIN wait in the backlog",
        &[
            Connect,
            PeerSends(b"hi"),
            PeerShuts,
            Accept,
            Register,
            Reads(9),
            Wait,
            Reads(9),
        ],
    ),
    (
        "who was reset is accepted all the same",
        &[
            Connect,
            PeerSends(b"hi"),
            PeerResets,
            Accept,
            Register,
            Wait,
            Reads(9),
            Reads(9),
        ],
    ),
    ("nobody to accept", &[Accept]),
];

const TOKEN: Token = Token(40);

/// Runs a script, and says what each of the server's steps gave.
fn observe<K: Kernel>(
    kernel: &mut K,
    listener: &mut K::Listener,
    peer: &mut impl Puppet,
    script: &[Step],
) -> Vec<String> {
    let mut stream = None;
    let mut seen = Vec::new();
    for step in script {
        let what = match *step {
            Connect => {
                peer.connect();
                "done".into()
            }
            PeerSends(bytes) => {
                peer.sends(bytes, false);
                "done".into()
            }
            PeerSendsUrgent(bytes) => {
                peer.sends(bytes, true);
                "done".into()
            }
            PeerTakes => {
                peer.takes();
                "done".into()
            }
            PeerShuts => {
                peer.ends(Ending::HalfClose);
                "done".into()
            }
            PeerCloses => {
                peer.ends(Ending::Close);
                "done".into()
            }
            PeerResets => {
                peer.ends(Ending::Reset);
                "done".into()
            }
            PeerEnd => peer.end().into(),
            Wait => events(kernel),
            Close => {
                stream = None;
                "done".into()
            }
            Accept => match listener.accept() {
                Ok((accepted, _)) => {
                    stream = Some(accepted);
                    "accepted".into()
                }
                Err(error) => outcome(Err::<(), _>(error)),
            },
            Register => outcome(kernel.register_stream(stream.as_mut().unwrap(), TOKEN)),
            Reads(len) => {
                let mut buffer = vec![0; len];
                let read = stream.as_mut().unwrap().read(&mut buffer);
                outcome(read.map(|len| buffer[..len].escape_ascii().to_string()))
            }
            Writes(bytes) => outcome(stream.as_mut().unwrap().write(bytes)),
            Fill => outcome(fill(stream.as_mut().unwrap())),
            Shut => outcome(stream.as_mut().unwrap().shutdown_write()),
        };
        seen.push(format!("{step:?}: {what}"));
    }
    seen
}

fn outcome<T: std::fmt::Debug>(outcome: io::Result<T>) -> String {
    match outcome {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// How much fits differs, that it ends does not.
fn fill(stream: &mut impl Stream) -> io::Result<()> {
    loop {
        match stream.write(&[b'x'; 1 << 12]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            outcome => outcome.map(drop)?,
        }
    }
}

/// All that is told of the stream, as one: how many events it takes is the kernel's business.
fn events(kernel: &mut impl Kernel) -> String {
    let mut seen = None::<Readiness>;
    for _ in 0..3 {
        kernel
            .wait(Some(Duration::from_millis(20)), |token, ready| {
                if token == TOKEN {
                    let so_far = seen.unwrap_or_default();
                    seen = Some(Readiness {
                        readable: ready.readable || so_far.readable,
                        writable: ready.writable || so_far.writable,
                        more_than_data: ready.more_than_data || so_far.more_than_data,
                    });
                }
            })
            .unwrap();
    }
    format!("{seen:?}")
}

fn on_the_real_kernel(script: &[Step]) -> Vec<String> {
    let mut kernel = Os::new().unwrap();
    let options = BindOptions {
        backlog: 16,
        ..BindOptions::default()
    };
    let mut listener = bind::tcp_listener("127.0.0.1:0".parse().unwrap(), options).unwrap();
    let mut peer = RealPeer {
        address: listener.local_addr().unwrap(),
        stream: None,
    };
    observe(&mut kernel, &mut listener, &mut peer, script)
}

fn on_the_simulated_kernel(script: &[Step]) -> Vec<String> {
    let mut peer = Peer::scripted(b"", 0, Ending::Ignore);
    peer.next_ns = None;
    if let Role::Stream(peer) = &mut peer.role {
        peer.reading = Reading::Never;
    }
    let mut plan = Plan::calm(1 << 20, vec![peer]);
    plan.config.idle_timeout = None;
    let world = Rc::new(RefCell::new(World::new(plan, Instant::now(), false)));
    world.borrow_mut().is_unchecked = true;
    let mut kernel = SimKernel(Rc::clone(&world));
    let mut listener = kernel.listener(0);
    observe(&mut kernel, &mut listener, &mut SimPeer(world), script)
}

#[test]
fn both_kernels_answer_alike() {
    let opened = SCRIPTS
        .iter()
        .map(|(what, steps)| (what, [&OPEN[..], steps].concat()));
    let unaccepted = UNACCEPTED
        .iter()
        .map(|(what, steps)| (what, steps.to_vec()));
    let mut differences = Vec::new();
    for (what, script) in opened.chain(unaccepted) {
        let real = on_the_real_kernel(&script);
        let simulated = on_the_simulated_kernel(&script);
        for (real, simulated) in real.iter().zip(&simulated) {
            if real != simulated {
                differences.push(format!(
                    "{what}:\n  real      {real}\n  simulated {simulated}"
                ));
            }
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}
