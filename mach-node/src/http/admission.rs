//! How many connections and requests there are, and from where.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What counts as one host: an IPv4 address, or the network of an IPv6 address.
pub(crate) fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

/// Places that hosts take, each up to a share: with connections, or with requests.
#[derive(Debug)]
pub(crate) struct Places {
    limit: usize,
    limit_per_host: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_host: HashMap<IpAddr, usize>,
}

impl Places {
    pub(crate) fn new(limit: usize, limit_per_host: usize) -> Self {
        Self {
            limit,
            limit_per_host,
            taken: Mutex::default(),
        }
    }

    /// One more place for `host`, unless enough are taken.
    pub(crate) fn admit(self: &Arc<Self>, host: IpAddr) -> Option<Admission> {
        let mut taken = self.taken();
        if taken.all >= self.limit {
            return None;
        }
        let of_host = taken.by_host.entry(host).or_default();
        if *of_host >= self.limit_per_host {
            // A limit of zero is the only way to a new entry here.
            taken.by_host.retain(|_, count| *count > 0);
            return None;
        }
        *of_host += 1;
        taken.all += 1;
        Some(Admission {
            places: Arc::clone(self),
            host,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    places: Arc<Places>,
    host: IpAddr,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        if let Some(count) = taken.by_host.get_mut(&self.host) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.by_host.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let connections = Arc::new(Places::new(3, 2));
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = connections.admit(one).unwrap();
        let _second = connections.admit(one).unwrap();
        assert!(connections.admit(one).is_none());
        let third = connections.admit(other).unwrap();
        assert!(connections.admit(other).is_none());
        drop(first);
        assert!(connections.admit(one).is_some());
        drop(third);
        assert_eq!(connections.taken().by_host.len(), 1);
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
