//! A server within another program: on a port of the system's choice, on a thread of its own, and
//! stopped from outside. `cargo run --example embed`

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;

use pingpong::{Config, Endpoint, Exit, Server};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::default();
    config.listen.addresses = vec!["127.0.0.1:0".parse()?];
    let mut server = Server::bind(&config)?;
    let stopper = server.stopper()?;
    let address = server.addresses().find_map(Endpoint::socket_addr);
    let address = address.ok_or("no address")?;
    let serving = thread::spawn(move || server.serve());

    let mut client = BufReader::new(TcpStream::connect(address)?);
    client.get_mut().write_all(b"ping 42\n")?;
    let mut reply = String::new();
    client.read_line(&mut reply)?;
    assert_eq!(reply, "pong 42\n");

    stopper.stop()?;
    let exit = serving.join().map_err(|_| "it panicked")??;
    assert_eq!(exit, Exit::Drained);
    Ok(())
}
