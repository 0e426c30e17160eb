//! The real program on loopback, held to what it promises.

mod exhaustion;
mod floods;
mod limits;
mod log;
mod log_places;
mod log_storms;
mod memory;
mod start;
mod stop;
mod tcp;
mod turns;
mod udp;
