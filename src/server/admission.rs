//! Who may talk to the server, and how many at once from one place.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::counters::RefusedReason;

/// How much of an IPv6 address names a client: a host has a whole network of such a size to choose
/// addresses from, RFC 4291 section 2.5.4.
const IPV6_CLIENT_BITS: u32 = 64;

/// The networks whose hosts may talk. Without any, everybody may.
#[derive(Clone, Debug, Default)]
pub struct Allowed(pub Vec<IpNet>);

impl Allowed {
    /// Whether a host may talk. One that has no IP address came over a Unix socket, whose file says
    /// who may.
    #[inline]
    pub fn has(&self, ip: Option<IpAddr>) -> bool {
        self.0.is_empty() || ip.is_none_or(|ip| self.names(ip))
    }

    fn names(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|network| network.contains(&ip))
    }
}

/// Who is let in.
#[derive(Debug)]
pub struct Admission {
    allowed: Allowed,
    max_per_client: Option<usize>,
    /// How many connections each client has, where that is limited: no more entries than
    /// connections. A tree, as nobody can make it slow by the addresses that he comes from.
    clients: BTreeMap<u128, usize>,
}

impl Admission {
    /// Nobody is there yet.
    pub fn new(allowed: Allowed, max_per_client: Option<usize>) -> Self {
        Self {
            allowed,
            max_per_client,
            clients: BTreeMap::new(),
        }
    }

    /// Lets a connection in, or says why not.
    ///
    /// # Errors
    /// Why not.
    pub fn enter(&mut self, ip: Option<IpAddr>) -> Result<(), RefusedReason> {
        if !self.allowed.has(ip) {
            return Err(RefusedReason::Allow);
        }
        let (Some(ip), Some(max)) = (ip, self.max_per_client) else {
            return Ok(());
        };
        let count = self.clients.entry(client(ip)).or_default();
        if *count >= max {
            return Err(RefusedReason::PerClient);
        }
        *count += 1;
        Ok(())
    }

    /// A connection that was let in has gone.
    pub fn leave(&mut self, ip: Option<IpAddr>) {
        let Some(client) = ip.filter(|_| self.max_per_client.is_some()).map(client) else {
            return;
        };
        let Some(count) = self.clients.get_mut(&client) else {
            return debug_assert!(false, "{client:x} leaves and was not there");
        };
        *count -= 1;
        if *count == 0 {
            self.clients.remove(&client);
        }
    }
}

/// An IPv4 address, in its IPv6 form, or the network of an IPv6 one.
fn client(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits() >> IPV6_CLIENT_BITS << IPV6_CLIENT_BITS,
    }
}
