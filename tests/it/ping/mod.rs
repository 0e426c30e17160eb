//! `pingpong ping`: in virtual time against a scripted server, and the real program on real
//! sockets.

mod belonging;
mod command_line;
mod ends;
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
mod requests;
mod search;
mod strangers;
mod summary;
