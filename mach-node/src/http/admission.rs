//! How many connections there are, and from where.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What counts as one host: an IPv4 address, or the network of an IPv6 address.
pub(super) fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

/// All connections of a server.
#[derive(Debug)]
pub(super) struct Connections {
    limit: usize,
    limit_per_host: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_host: HashMap<IpAddr, usize>,
}

impl Connections {
    pub(super) fn new(limit: usize, limit_per_host: usize) -> Self {
        Self {
            limit,
            limit_per_host,
            open: Mutex::default(),
        }
    }

    /// Lets one more connection in, unless there are enough.
    pub(super) fn admit(self: &Arc<Self>, host: IpAddr) -> Option<Admission> {
        let mut open = self.open();
        if open.all >= self.limit {
            return None;
        }
        let of_host = open.by_host.entry(host).or_default();
        if *of_host >= self.limit_per_host {
            // A limit of zero is the only way to a new entry here.
            open.by_host.retain(|_, count| *count > 0);
            return None;
        }
        *of_host += 1;
        open.all += 1;
        Some(Admission {
            connections: Arc::clone(self),
            host,
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a connection, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Admission {
    connections: Arc<Connections>,
    host: IpAddr,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.all = open.all.saturating_sub(1);
        if let Some(count) = open.by_host.get_mut(&self.host) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_host.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let connections = Arc::new(Connections::new(3, 2));
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = connections.admit(one).unwrap();
        let _second = connections.admit(one).unwrap();
        assert!(connections.admit(one).is_none());
        let third = connections.admit(other).unwrap();
        assert!(connections.admit(other).is_none());
        drop(first);
        assert!(connections.admit(one).is_some());
        drop(third);
        assert_eq!(connections.open().by_host.len(), 1);
    }

    #[test]
    fn a_host_has_one_network() {
        let hosts = ["2001:db8::1", "2001:db8::ffff:1"].map(|text| host(text.parse().unwrap()));
        assert_eq!(hosts[0], hosts[1]);
        assert_ne!(hosts[0], host("2001:db8:0:1::1".parse().unwrap()));
        // An IPv4 client of a listener on both protocols.
        let mapped = host("::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(mapped, IpAddr::from([10, 0, 0, 1]));
    }
}
