//! What the kernel drops of a socket's datagrams before anybody could receive them.
//!
//! `SO_RXQ_OVFL` tells it only with a later datagram, so the last drops of a burst would wait for
//! the next one. The kernel's table of sockets tells it at once: the column `drops` of
//! `/proc/self/net/udp` and `udp6`, proc_pid_net(5).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::os::fd::AsFd;

use rustix::fs::fstat;

/// How much of the table is read: about 16,000 sockets' lines.
const TABLE_MAX_BYTES: u64 = 2 * 1024 * 1024;

/// How much of it is read at once.
const READ_BYTES: usize = 32 * 1024;

/// Where columns stand in a line of the table.
const INODE: usize = 9;
const DROPS: usize = 12;

/// One socket's count.
#[derive(Debug)]
pub(super) struct DropCount {
    table: File,
    inode: String,
}

impl DropCount {
    /// Opens the table, which is read only when it is asked.
    ///
    /// # Errors
    /// There is none (no /proc), or no descriptor for it.
    pub(super) fn new(socket: &impl AsFd, is_ipv6: bool) -> io::Result<Self> {
        let name = if is_ipv6 { "udp6" } else { "udp" };
        Ok(Self {
            table: File::open(format!("/proc/self/net/{name}"))?,
            inode: fstat(socket)?.st_ino.to_string(),
        })
    }

    /// How many were dropped since the socket was opened, modulo 2^32; `None` where the table does
    /// not tell. Costs time for each UDP socket of the host, and never waits.
    pub(super) fn read(&mut self) -> Option<u32> {
        self.table.rewind().ok()?;
        let mut lines = BufReader::with_capacity(READ_BYTES, (&self.table).take(TABLE_MAX_BYTES));
        let mut line = String::new();
        while lines.read_line(&mut line).ok()? > 0 {
            let mut columns = line.split_ascii_whitespace().skip(INODE);
            if columns.next() == Some(&self.inode) {
                return columns.nth(DROPS - INODE - 1)?.parse().ok();
            }
            line.clear();
        }
        None
    }
}
