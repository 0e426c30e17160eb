//! Unix sockets: a file each, streams and datagrams. unix(7)

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::net::{RecvFlags, SendFlags, SocketAddrUnix, recvfrom, sendto};
use socket2::{Domain, SockAddr, Socket, Type};

use super::kernel::{Correspondent, Datagrams, RecvMeta, RecvSlots, SLOTS_PER_CALL, Transmit};
use super::sockets::OsListener;

/// What a Unix datagram socket's name has behind the stream socket's.
pub const DATAGRAM_SUFFIX: &str = ".dgram";

/// The file that a socket has made. It goes when this does, unless somebody else's socket has its
/// place by then, or has taken it over.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Its device and inode.
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    /// The file at `path`, as it is now.
    fn new(path: &Path) -> Self {
        Self {
            path: path.into(),
            identity: identity(path),
        }
    }

    /// It stays when this goes.
    pub(super) fn keep(&mut self) {
        self.identity = None;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && self.identity == identity(&self.path) {
            // Who started it may not have left it the right to remove a file. The next one finds
            // that nobody listens.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let about = fs::symlink_metadata(path).ok()?;
    Some((about.dev(), about.ino()))
}

/// Opens a Unix socket for streams at `path`, with these permissions. A file that a socket of the
/// past has left there is replaced.
///
/// # Errors
/// As socket(2), bind(2), listen(2) and chmod(2); `AddrInUse`: somebody listens there;
/// `AlreadyExists`: there is another kind of file.
pub fn listener(path: &Path, mode: u32, backlog: i32) -> io::Result<OsListener> {
    let (socket, file) = bound(path, Type::STREAM, mode)?;
    socket.listen(backlog)?;
    Ok(OsListener::new(socket).with_file(file))
}

/// Opens a Unix socket for datagrams at `path`.
///
/// # Errors
/// As for [`listener`].
pub fn datagrams(path: &Path, mode: u32) -> io::Result<UnixDatagrams> {
    let (socket, file) = bound(path, Type::DGRAM, mode)?;
    let mut datagrams = UnixDatagrams::new(socket);
    datagrams.file = Some(file);
    Ok(datagrams)
}

/// A listening Unix socket that somebody else has opened, with its file, where that comes with it.
#[must_use]
pub fn adopt_listener(socket: Socket, file: Option<&Path>) -> OsListener {
    let listener = OsListener::new(socket);
    match file {
        Some(path) => listener.with_file(SocketFile::new(path)),
        None => listener,
    }
}

/// The same for datagrams.
#[must_use]
pub fn adopt_datagrams(socket: Socket, file: Option<&Path>) -> UnixDatagrams {
    let mut datagrams = UnixDatagrams::new(socket);
    datagrams.file = file.map(SocketFile::new);
    datagrams
}

fn bound(path: &Path, kind: Type, mode: u32) -> io::Result<(Socket, SocketFile)> {
    let name = SockAddr::unix(path)?;
    remove_stale(path, &name, kind)?;
    let socket = Socket::new(Domain::UNIX, kind.nonblocking(), None)?;
    // bind(2) makes the file with the socket's own mode, less the umask: so it is at no time open to
    // more than those who are meant.
    fchmod(&socket, Mode::from_raw_mode(mode))?;
    socket.bind(&name)?;
    let file = SocketFile::new(path);
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok((socket, file))
}

/// Removes what a server of the past has left at `path`, if nobody listens there.
fn remove_stale(path: &Path, name: &SockAddr, kind: Type) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(about) if !about.file_type().is_socket() => {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        outcome => outcome?,
    };
    let probe = Socket::new(Domain::UNIX, kind.nonblocking(), None)?;
    match probe.connect(name) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// A Unix socket for datagrams.
#[derive(Debug)]
pub struct UnixDatagrams {
    socket: Socket,
    file: Option<SocketFile>,
    /// Who sent what was received last, by slot.
    senders: [Option<SocketAddrUnix>; SLOTS_PER_CALL],
}

impl UnixDatagrams {
    /// A bound socket that does not block.
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            socket,
            file: None,
            senders: [const { None }; SLOTS_PER_CALL],
        }
    }

    /// What the poll watches.
    pub(super) fn raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// It has made a file.
    #[cfg(feature = "upgrade")]
    pub(super) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Who comes after this process has the file now.
    pub(super) fn keep_file(&mut self) {
        if let Some(file) = &mut self.file {
            file.keep();
        }
    }

    fn receive_one(&mut self, slots: &mut RecvSlots, index: usize) -> io::Result<()> {
        let start = index * slots.slot_bytes;
        let slot = slots.bytes.get_mut(start..start + slots.slot_bytes);
        // The flag asks for its true length, also where the slot is shorter.
        let (received, whole_bytes, sender) =
            recvfrom(&self.socket, slot.unwrap_or_default(), RecvFlags::TRUNC)?;
        let sender = sender.and_then(|sender| SocketAddrUnix::try_from(sender).ok());
        let sender = sender.filter(|sender| !sender.is_unnamed());
        let source = match (&sender, u8::try_from(index)) {
            (Some(_), Ok(slot)) => Correspondent::Slot(slot),
            _ => Correspondent::Unnamed,
        };
        self.senders[index] = sender;
        slots.info[index] = RecvMeta {
            source,
            dst_ip: None,
            len_bytes: received,
            segment_bytes: received,
            is_cut: received < whole_bytes,
        };
        Ok(())
    }
}

impl AsFd for UnixDatagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Datagrams for UnixDatagrams {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        super::sockets::inet_name(&self.socket)
    }

    fn receive(&mut self, slots: &mut RecvSlots, most: usize) -> io::Result<usize> {
        for index in 0..most.min(SLOTS_PER_CALL) {
            match self.receive_one(slots, index) {
                Ok(()) => {}
                Err(error) if index == 0 => return Err(error),
                Err(_) => return Ok(index),
            }
        }
        Ok(most)
    }

    fn send(&mut self, transmit: &Transmit<'_>) -> io::Result<()> {
        let Correspondent::Slot(slot) = transmit.destination else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        let sender = self.senders.get(usize::from(slot)).and_then(Option::as_ref);
        let sender = sender.ok_or(io::ErrorKind::AddrNotAvailable)?;
        sendto(&self.socket, transmit.bytes, SendFlags::NOSIGNAL, sender)?;
        Ok(())
    }

    fn max_segments(&self) -> usize {
        1
    }

    /// None: who sends to a full one waits, or is told.
    fn kernel_drops(&mut self) -> Option<u32> {
        None
    }
}
