//! One schedule: a plan, run on the server that ships, from its start to its end.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Instant;

use pingpong::inside::reactor::program::Program;
use pingpong::inside::server::{Exit, Server};
use pingpong::inside::transport::Endpoint;

use super::faults::Call;
use super::kernel::SimKernel;
use super::plan::Plan;
use super::socket::PortSocket;
use super::world::{Stats, World};

/// The most that a client can cost, whatever it sends.
pub const CONNECTION_MAX_BYTES: usize = 256 * 1024;

/// No schedule takes more turns: their peers have little to say.
const TURNS_MAX: usize = 100_000;

/// How a schedule ended.
#[derive(Debug)]
pub struct Outcome {
    pub stats: Stats,
    pub calls: Vec<Call>,
    pub violation: Option<String>,
    pub trace: Vec<String>,
}

/// The clock of all schedules starts at one time, so that a trace does not depend on when it was
/// made.
fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(Instant::now)
}

/// Runs a plan.
pub fn run(plan: Plan, is_traced: bool) -> Outcome {
    let mut world = run_world(plan, is_traced);
    Outcome {
        stats: world.stats,
        calls: std::mem::take(&mut world.calls),
        violation: world.violation.take(),
        trace: world.trace.take().unwrap_or_default(),
    }
}

/// Runs a plan, and leaves the world as it is then.
pub fn run_world(plan: Plan, is_traced: bool) -> World {
    let world = Rc::new(RefCell::new(World::new(plan, base(), is_traced)));
    let panicked = catch_unwind(AssertUnwindSafe(|| serve(&world))).err();
    let world = Rc::into_inner(world).expect("the server is dropped, and its sockets with it");
    let mut world = world.into_inner();
    if let Some(panic) = panicked {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("something")
            .to_owned();
        world.violated(format_args!("the server panicked: {text}"));
    }
    world
}

fn serve(world: &Rc<RefCell<World>>) {
    let kernel = SimKernel(Rc::clone(world));
    let plan = world.borrow().plan.clone();
    let listeners =
        (0..plan.listeners).map(|id| (kernel.listener(id), Endpoint::Tcp(World::bound(id))));
    let listeners = listeners.collect();
    let ports = (0..plan.ports).map(|id| (kernel.datagrams(id), Endpoint::Udp(World::bound(id))));
    let ports = ports.collect();
    let server = Server::with_sizes(kernel, plan.config.clone(), plan.sizes, listeners, ports);
    let Ok(mut server) = server else {
        return world.borrow_mut().violated(format_args!("no start"));
    };
    let exit = turns(world, &mut server, &plan);
    check_counters(world, &server, exit);
    world.borrow_mut().is_over = true;
    drop(server);
    let world = &mut *world.borrow_mut();
    world.check_waits();
    let left = world.open_descriptors();
    if left > 0 {
        world.violated(format_args!("{left} descriptors are left open"));
    }
}

fn turns(world: &Rc<RefCell<World>>, server: &mut Server<SimKernel>, plan: &Plan) -> Option<Exit> {
    // A reply can be five times as long as its message, behind a line as long as it may be.
    let kept_max = plan.config.rules.max_message_bytes + 6 * plan.sizes.window_bytes + 64;
    // It is kept in whole pages.
    let kept_max = kept_max.next_multiple_of(4096).min(CONNECTION_MAX_BYTES);
    for _ in 0..TURNS_MAX {
        let exit = server.turn();
        let world = &mut *world.borrow_mut();
        let Ok(exit) = exit else {
            world.violated(format_args!("the server gave up"));
            return None;
        };
        world.check_end(exit);
        let (live, open) = (server.connections(), world.open_conns());
        if live != open {
            world.violated(format_args!("{open} open descriptors, {live} connections"));
        }
        if live > plan.config.max_connections {
            world.violated(format_args!("{live} connections are more than allowed"));
        }
        let kept = server.kept_bytes().max().unwrap_or(0);
        world.stats.kept_max_bytes = world.stats.kept_max_bytes.max(kept);
        if kept > kept_max {
            world.violated(format_args!("a connection owns {kept} bytes"));
        }
        if exit.is_some() || world.violation.is_some() {
            return exit;
        }
    }
    world
        .borrow_mut()
        .violated(format_args!("no end after {TURNS_MAX} turns"));
    None
}

/// What the server counted is what the kernel saw.
fn check_counters(world: &Rc<RefCell<World>>, server: &Server<SimKernel>, exit: Option<Exit>) {
    let world = &mut *world.borrow_mut();
    let counters = server.counters();
    let (mut closed, mut dropped, mut unregistered, mut timed_out) = (0, 0, 0, 0);
    counters.each(|name, label, count| match (name, label) {
        ("connections_closed_total", label) => {
            closed += count;
            if label.is_some_and(|(_, reason)| reason == "idle_timeout") {
                timed_out = count;
            }
        }
        ("datagrams_dropped_total", _) => dropped += count,
        ("accept_errors_total", Some((_, "register"))) => unregistered += count,
        _ => {}
    });
    let ports = &world.ports;
    let sum = |of: fn(&super::socket::Conn) -> usize| -> u64 {
        world.conns.iter().map(|conn| of(conn) as u64).sum()
    };
    let live = server.connections() as u64;
    let sum_lost =
        |lost: fn(&PortSocket) -> u32| ports.iter().map(|port| u64::from(lost(port))).sum::<u64>();
    let pairs = [
        (
            "accepted",
            counters.accepted + unregistered,
            world.stats.accepted,
        ),
        ("closed", closed + live, counters.accepted),
        (
            "bytes received",
            counters.tcp.received_bytes,
            sum(|conn| conn.read_len),
        ),
        (
            "bytes sent",
            counters.tcp.sent_bytes,
            sum(|conn| conn.outgoing.len()),
        ),
        ("messages", counters.tcp.messages, {
            // A line that is refused before its end counts only where its end was there too.
            let certain = sum(|conn| usize::try_from(conn.reference.messages).unwrap_or(0));
            let refused = sum(|conn| usize::from(conn.reference.is_bad));
            counters.tcp.messages.clamp(certain, certain + refused)
        }),
        (
            "timed out",
            // Who was on the way out during a drain may have timed out as well.
            timed_out.min(world.stats.timed_out),
            world.stats.timed_out,
        ),
        (
            "replies on streams",
            counters.tcp.replies,
            sum(|conn| usize::try_from(conn.reference.replies).unwrap_or(0)),
        ),
        (
            "datagrams",
            counters.udp.messages,
            ports.iter().map(|port| port.received).sum(),
        ),
        (
            "replies",
            counters.udp.replies,
            ports.iter().map(|port| port.sent).sum(),
        ),
        (
            "drops",
            counters.udp.replies + dropped,
            counters.udp.messages + sum_lost(|port| port.lost_told.max(port.lost_at_report)),
        ),
        ("turns", counters.loop_turns, world.stats.waits as u64),
    ];
    for (what, counted, seen) in pairs {
        if counted != seen && world.violation.is_none() {
            world.violated(format_args!(
                "{what}: {counted} counted, {seen} seen ({exit:?})"
            ));
        }
    }
}
