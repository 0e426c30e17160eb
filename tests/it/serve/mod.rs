//! The real program on loopback, held to what it promises.

mod command_line;
mod exhaustion;
mod floods;
mod limits;
mod log;
mod memory;
mod signals;
mod start;
mod stop;
mod tcp;
mod turns;
mod udp;
