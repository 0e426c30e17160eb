//! Why the server could not start: what, and what to do about it.

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;

use rustix::io::Errno;

use crate::address::HostPort;

/// The first port that everybody may have, where `net.ipv4.ip_unprivileged_port_start` cannot be
/// read: ip(7).
const UNPRIVILEGED_PORT_START: u16 = 1024;

/// Flags of an IPv6 address in /proc/net/if_inet6, rtnetlink(7): nobody has been heard to have it
/// too, so far; somebody has.
const IFA_F_TENTATIVE: u32 = 0x40;
const IFA_F_DADFAILED: u32 = 0x08;

/// Why the server could not start, in one line.
#[derive(Debug)]
pub struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

impl StartError {
    /// What could not be done, and the system's reason.
    #[must_use]
    pub fn new(what: &str, error: &io::Error) -> Self {
        Self(format!("{what}: {error}{}", about_descriptors(error)))
    }

    /// What could not be done, and what to do about it.
    #[must_use]
    pub fn told(what: String) -> Self {
        Self(what)
    }

    /// An address whose host could not be understood or looked up.
    pub(crate) fn no_such_host(address: &HostPort, error: &io::Error) -> Self {
        Self(match error.kind() {
            // It was no name, so there was nothing to look up.
            io::ErrorKind::InvalidInput => format!("cannot listen on {address}: {error}"),
            _ => format!(
                "cannot look up {address}: {error}; \
                 check the name, or give an IP address with --listen"
            ),
        })
    }

    /// A Unix socket that could not be opened at its path.
    pub(crate) fn unix_not_opened(path: &Path, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "; somebody listens there: stop that program, or choose another path"
            }
            io::ErrorKind::AlreadyExists => {
                "; it is no socket, so it stays: choose another path, or remove it yourself"
            }
            io::ErrorKind::NotFound => "; the folder has to be there before",
            io::ErrorKind::InvalidInput => "; a socket's path has 107 bytes at most, unix(7)",
            io::ErrorKind::PermissionDenied => {
                "; this user may not make or replace that file: change the folder's permissions, \
                 or choose another path"
            }
            _ => about_descriptors(error),
        };
        Self(format!(
            "cannot listen on unix:{}: {error}{advice}",
            path.display()
        ))
    }

    /// A socket that could not be opened at its address.
    pub(crate) fn not_opened(
        url: &str,
        at: SocketAddr,
        error: &io::Error,
        reuse_port: bool,
    ) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse if reuse_port => {
                "; stop the program that has it, or have it share the port too: \
                 all of one user, each with SO_REUSEPORT"
                    .into()
            }
            io::ErrorKind::AddrInUse => {
                "; stop the program that has it, choose another port with --listen, \
                 or share it with --reuse-port"
                    .into()
            }
            io::ErrorKind::PermissionDenied => about_permission(at.port()),
            io::ErrorKind::AddrNotAvailable => about_absence(at),
            _ => about_the_rest(at, error),
        };
        Self(format!("cannot listen on {url}: {error}{advice}"))
    }
}

fn about_permission(port: u16) -> String {
    let start = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let start = start.ok().and_then(|text| text.trim().parse().ok());
    let start = start.unwrap_or(UNPRIVILEGED_PORT_START);
    // Port 0 is the kernel's choice, which is never one of those.
    if port != 0 && port < start {
        format!(
            "; ports below {start} are for root or CAP_NET_BIND_SERVICE: \
             choose another with --listen"
        )
    } else {
        "; a security policy of this host or container forbids it (SELinux, AppArmor, seccomp): \
         change that, or choose another address with --listen"
            .into()
    }
}

fn about_absence(at: SocketAddr) -> String {
    let table = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let flags = match at {
        SocketAddr::V6(at) => flags_of(&table, *at.ip(), at.scope_id()),
        SocketAddr::V4(_) => None,
    };
    match flags {
        Some(flags) if flags & IFA_F_DADFAILED != 0 => {
            "; another host has this address too (duplicate address detection failed): \
             choose another with --listen"
        }
        Some(flags) if flags & IFA_F_TENTATIVE != 0 => {
            "; the address is still being checked for duplicates (tentative): \
             try again in a few seconds"
        }
        _ => "; this host has no such address: choose another with --listen",
    }
    .into()
}

/// The flags of one of this host's IPv6 addresses: lines of address, index, prefix length, scope,
/// flags and name, all but the name in hexadecimal without a prefix.
fn flags_of(if_inet6: &str, ip: Ipv6Addr, scope_id: u32) -> Option<u32> {
    if_inet6.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?;
        let index = u32::from_str_radix(fields.next()?, 16).ok()?;
        let flags = u32::from_str_radix(fields.nth(2)?, 16).ok()?;
        let is_it = address == ip.to_bits() && (scope_id == 0 || index == scope_id);
        is_it.then_some(flags)
    })
}

fn about_the_rest(at: SocketAddr, error: &io::Error) -> String {
    match (Errno::from_io_error(error), at) {
        (Some(Errno::INVAL), SocketAddr::V6(at))
            if at.ip().is_unicast_link_local() && at.scope_id() == 0 =>
        {
            format!("; {}", crate::address::interface_is_missing(*at.ip()))
        }
        (Some(Errno::NODEV), _) => "; this host has no such network interface".into(),
        (Some(Errno::AFNOSUPPORT), SocketAddr::V6(_)) => {
            "; this host has no IPv6: give an IPv4 address with --listen".into()
        }
        (Some(Errno::AFNOSUPPORT), SocketAddr::V4(_)) => {
            "; this host has no IPv4: give an IPv6 address with --listen".into()
        }
        _ => about_descriptors(error).into(),
    }
}

fn about_descriptors(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => "; raise the limit with ulimit -n, or LimitNOFILE= in a systemd unit",
        Some(Errno::NFILE) => "; this whole host has no more: see the sysctl fs.file-max",
        _ => "",
    }
}
