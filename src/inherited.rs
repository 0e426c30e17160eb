//! Sockets that are open already when the program begins: systemd's, sd_listen_fds(3), or those of
//! the process that this one replaces.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use listenfd::ListenFd;
use socket2::Socket;

use crate::listen::{Listen, Sockets, StartError};
use crate::reactor::bind::{self, BindOptions};
use crate::reactor::sockets::OsDatagrams;
use crate::reactor::unix;
use crate::reactor::{ADMIN, ADMIN_FILE, OWN_FILE, READY};
use crate::transport::Endpoint;

/// What was inherited.
#[derive(Debug, Default)]
pub struct Inherited {
    /// The sockets.
    pub sockets: Sockets,
    /// Those that were named for the pages of `--admin`.
    pub admin: Sockets,
    /// Where the process that this one replaces waits for a word.
    predecessor: Option<UnixStream>,
}

impl Inherited {
    /// Tells the process that this one replaces that it serves; false where there is none.
    ///
    /// # Errors
    /// That one has gone, or gave up.
    pub fn tell_ready(&mut self) -> io::Result<bool> {
        match self.predecessor.take() {
            Some(mut predecessor) => predecessor.write_all(b"1").map(|()| true),
            None => Ok(false),
        }
    }
}

/// Takes the sockets that the environment (`LISTEN_FDS`) says are there. They are used in place of the addresses of `listen`, whose options they get as far as those
/// are not about opening one.
///
/// # Errors
/// One of them is of a kind that is not served.
pub fn take(listen: &Listen) -> Result<Inherited, StartError> {
    let mut handed = ListenFd::from_env();
    let count = handed.len();
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names = names.split(':').chain(std::iter::repeat(""));
    let mut inherited = Inherited::default();
    for (index, name) in (0..count).zip(names) {
        adopt(&mut handed, (index, name), listen, &mut inherited).map_err(|error| {
            let number = index + 1;
            StartError::new(
                &format!("cannot serve socket {number} of the {count} that LISTEN_FDS names"),
                &error,
            )
        })?;
    }
    Ok(inherited)
}

fn adopt(
    handed: &mut ListenFd,
    (index, name): (usize, &str),
    listen: &Listen,
    inherited: &mut Inherited,
) -> io::Result<()> {
    let Inherited {
        sockets,
        admin,
        predecessor,
    } = inherited;
    let sockets = match name {
        ADMIN | ADMIN_FILE => admin,
        _ => sockets,
    };
    if name == READY {
        let stream = handed.take_unix_listener(index)?;
        *predecessor = stream.map(|it| UnixStream::from(OwnedFd::from(it)));
    } else if let Ok(Some(listener)) = handed.take_tcp_listener(index) {
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
        let listener = unix::adopt_listener(socket, own_file(&at, name));
        sockets.listeners.push((listener, at));
    } else if let Ok(Some(socket)) = handed.take_unix_datagram(index) {
        let socket = unblocked(socket.into())?;
        let at = path_of(&socket)?;
        let datagrams = unix::adopt_datagrams(socket, own_file(&at, name));
        let datagrams = OsDatagrams::Unix(Box::new(datagrams));
        sockets.datagrams.push((datagrams, at));
    } else {
        return Err(io::Error::other(
            "it is no socket of TCP or UDP, and no Unix socket for streams or datagrams",
        ));
    }
    Ok(())
}

/// The file that a Unix socket comes with, if it does.
fn own_file<'a>(at: &'a Endpoint, name: &str) -> Option<&'a Path> {
    match at {
        Endpoint::Unix(path) if matches!(name, OWN_FILE | ADMIN_FILE) => Some(path),
        _ => None,
    }
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
