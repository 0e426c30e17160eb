//! The server within another program.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;

use pingpong::{Config, Endpoint, Exit, Server};

#[path = "../../docs/examples/embed.rs"]
mod example;

#[path = "../../docs/examples/seam.rs"]
mod seam;

#[test]
fn the_examples_run() {
    example::main().unwrap();
    seam::main().unwrap();
}

fn bound() -> Server {
    let mut config = Config::default();
    config.listen.addresses = vec!["127.0.0.1:0".parse().unwrap()];
    Server::bind(&config).unwrap()
}

/// Both transports at one port, which is the true one.
#[test]
fn it_tells_where_it_listens() {
    let server = bound();
    let urls: Vec<_> = server
        .addresses()
        .map(|endpoint| {
            let at = endpoint.socket_addr().unwrap();
            assert!(at.ip() == Ipv4Addr::LOCALHOST && at.port() != 0, "{at}");
            endpoint.transport().name()
        })
        .collect();
    assert_eq!(urls, ["tcp", "udp"]);
}

/// A connection that does not close would hold up the drain for its whole timeout; a second stop does
/// not wait for it. Stops before the first turn count as one.
#[test]
fn a_second_stop_ends_it_at_once() {
    let mut server = bound();
    let stopper = server.stopper().unwrap();
    let at = server.addresses().find_map(Endpoint::socket_addr).unwrap();
    let mut client = TcpStream::connect(at).unwrap();
    client.write_all(b"ping\n").unwrap();
    let serving = thread::spawn(move || server.serve().unwrap());
    client.read_exact(&mut [0; 5]).unwrap();
    stopper.stop().unwrap();
    // Its FIN says that the drain has begun.
    assert_eq!(client.read(&mut [0; 5]).unwrap(), 0);
    stopper.clone().stop().unwrap();
    assert_eq!(serving.join().unwrap(), Exit::Aborted);
}

/// Its errors are errors as others are.
#[test]
fn who_cannot_bind_says_why() {
    let server = bound();
    let at = server.addresses().find_map(Endpoint::socket_addr).unwrap();
    let mut config = Config::default();
    config.listen.addresses = vec![at.to_string().parse().unwrap()];
    let error: Box<dyn std::error::Error> = Server::bind(&config).err().unwrap().into();
    assert!(error.to_string().contains("in use"), "{error}");
}
