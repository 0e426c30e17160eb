//! The real program on loopback, held to what it promises.

mod admission;
mod advice;
mod command_line;
mod exhaustion;
mod floods;
mod free_port;
mod frozen;
mod help;
mod keepalive;
mod limits;
mod log;
mod log_places;
mod log_storms;
mod memory;
mod one_for_both;
mod refused;
mod report;
mod signals;
mod sockets;
mod start;
mod stop;
mod systemd;
mod tcp;
mod turns;
mod udp;
mod udp_kernel;
mod udp_network;
mod udp_options;
mod unix;
#[cfg(feature = "upgrade")]
mod upgrade;
#[cfg(feature = "upgrade")]
mod upgrade_load;
mod why_not;
