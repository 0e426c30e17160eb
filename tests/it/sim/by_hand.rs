//! A server on the simulated kernel whose turns a test makes one by one, to see what each does. The
//! checks of schedules are off.

use std::cell::{Ref, RefCell, RefMut};
use std::rc::Rc;
use std::time::Instant;

use pingpong::inside::reactor::kernel::Signal;
use pingpong::inside::reactor::program::Program;
use pingpong::inside::server::{Exit, Server};
use pingpong::inside::transport::Endpoint;

use super::kernel::SimKernel;
use super::plan::{MS, Plan};
use super::world::World;

/// A kernel to which nothing happens any more has the operator stop the server: so there is always
/// something to come.
const END_MS: u64 = 15_000;

pub struct ByHand {
    world: Rc<RefCell<World>>,
    pub server: Server<SimKernel>,
}

impl ByHand {
    /// A server with these signals to come, each at its millisecond.
    pub fn new(plan: Plan, signals: &[(u64, Signal)]) -> Self {
        let mut world = World::new(plan.clone(), Instant::now(), false);
        world.is_unchecked = true;
        let end = (END_MS, Signal::Unused("the end"));
        let signals = signals.iter().chain([&end]);
        world.signals_to_come = signals.map(|(ms, it)| (ms * MS, *it)).collect();
        let world = Rc::new(RefCell::new(world));
        let kernel = SimKernel(Rc::clone(&world));
        let listeners =
            (0..plan.listeners).map(|id| (kernel.listener(id), Endpoint::Tcp(World::bound(id))));
        let listeners = listeners.collect();
        let ports =
            (0..plan.ports).map(|id| (kernel.datagrams(id), Endpoint::Udp(World::bound(id))));
        let ports = ports.collect();
        let server = Server::with_sizes(kernel, plan.config, plan.sizes, listeners, ports);
        Self {
            world,
            server: server.unwrap(),
        }
    }

    pub fn turn(&mut self) -> Option<Exit> {
        self.server.turn().unwrap()
    }

    pub fn world(&self) -> Ref<'_, World> {
        self.world.borrow()
    }

    pub fn world_mut(&mut self) -> RefMut<'_, World> {
        self.world.borrow_mut()
    }

    pub fn now_ms(&self) -> u64 {
        self.world().now_ns / MS
    }

    /// Makes turns until one of them ends it: how, and in which millisecond.
    pub fn end(&mut self) -> Option<(Exit, u64)> {
        while self.now_ms() < END_MS {
            if let Some(exit) = self.turn() {
                return Some((exit, self.now_ms()));
            }
        }
        None
    }
}
