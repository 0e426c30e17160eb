//! Sockets that are open already when the program begins: systemd's, sd_listen_fds(3), or those of
//! the process that this one replaces.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use socket2::Socket;

use crate::listen::{Listen, Sockets, StartError};
use crate::reactor::bind::{self, BindOptions};
use crate::reactor::os::OsDatagrams;
use crate::reactor::unix;
use crate::transport::Endpoint;

/// Takes the sockets that the environment (`LISTEN_FDS`) says are there; `None` where it speaks of
/// none. They are used in place of the addresses of `listen`, whose options they get as far as those
/// are not about opening one.
///
/// # Errors
/// One of them is of a kind that is not served.
pub fn sockets(listen: &Listen) -> Result<Option<Sockets>, StartError> {
    let mut handed = ListenFd::from_env();
    let count = handed.len();
    let mut sockets = Sockets::default();
    for index in 0..count {
        adopt(&mut handed, index, listen, &mut sockets).map_err(|error| {
            let number = index + 1;
            StartError::new(
                &format!("cannot serve socket {number} of the {count} that LISTEN_FDS names"),
                &error,
            )
        })?;
    }
    Ok((count > 0).then_some(sockets))
}

fn adopt(
    handed: &mut ListenFd,
    index: usize,
    listen: &Listen,
    sockets: &mut Sockets,
) -> io::Result<()> {
    if let Ok(Some(listener)) = handed.take_tcp_listener(index) {
        let socket = listening(listener.into())?;
        let at = inet(&socket)?;
        let listener = bind::adopt_tcp(socket);
        sockets.listeners.push((listener, Endpoint::Tcp(at)));
    } else if let Ok(Some(socket)) = handed.take_udp_socket(index) {
        let socket = unblocked(socket.into())?;
        let at = inet(&socket)?;
        let options = BindOptions {
            receive_buffer_bytes: listen.udp_buffer_bytes,
            ..BindOptions::default()
        };
        let datagrams = OsDatagrams::Udp(bind::adopt_udp(socket, at, options)?);
        sockets.datagrams.push((datagrams, Endpoint::Udp(at)));
    } else if let Ok(Some(listener)) = handed.take_unix_listener(index) {
        let socket = listening(listener.into())?;
        let at = path_of(&socket)?;
        sockets.listeners.push((unix::adopt_listener(socket), at));
    } else if let Ok(Some(socket)) = handed.take_unix_datagram(index) {
        let socket = unblocked(socket.into())?;
        let at = path_of(&socket)?;
        let datagrams = OsDatagrams::Unix(Box::new(unix::adopt_datagrams(socket)));
        sockets.datagrams.push((datagrams, at));
    } else {
        return Err(io::Error::other(
            "it is no socket of TCP or UDP, and no Unix socket for streams or datagrams",
        ));
    }
    Ok(())
}

fn unblocked(fd: OwnedFd) -> io::Result<Socket> {
    let socket = Socket::from(fd);
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn listening(fd: OwnedFd) -> io::Result<Socket> {
    let socket = unblocked(fd)?;
    if !socket.is_listener()? {
        return Err(io::Error::other(
            "it is one connection, where a listening socket is served: in its unit, Accept=no",
        ));
    }
    Ok(socket)
}

fn inet(socket: &Socket) -> io::Result<SocketAddr> {
    let name = socket.local_addr()?;
    name.as_socket()
        .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// An abstract name is shown as systemd writes it, with an @; one without a name is "?".
fn path_of(socket: &Socket) -> io::Result<Endpoint> {
    let name = socket.local_addr()?;
    let path = name.as_pathname().map(Into::into);
    let shown = name.as_abstract_namespace().map(|name| {
        let name = String::from_utf8_lossy(name);
        format!("@{name}").into()
    });
    Ok(Endpoint::Unix(path.or(shown).unwrap_or_else(|| "?".into())))
}
