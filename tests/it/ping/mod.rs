//! `pingpong ping`: in virtual time against a scripted server, and the real program on real
//! sockets.

mod command_line;
mod figures;
mod harness;
mod json;
mod misbehaviour;
mod outcomes;
mod output;
mod pace;
mod places;
mod program;
mod real;
mod summary;
mod world;
