//! Ports of this machine for servers that are restarted on them.

use std::io::{Error, Result};
use std::net::{Ipv4Addr, TcpListener};

/// Below those that Linux gives to connections: while the server of a port restarts, no connection takes it.
const FIRST: u16 = 20_000;
const END: u16 = 30_000;
/// Those who look at the same time begin at one of these many places.
const PLACES: u16 = 100;

/// So many ports of 127.0.0.1 on which nobody listens now; an error where there are too few.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    let place = u16::try_from(std::process::id() % u32::from(PLACES)).unwrap_or_default();
    let begin = FIRST + place * ((END - FIRST) / PLACES);
    // All are open at once, so that they differ.
    let open = (begin..END).chain(FIRST..begin).filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    let open: Vec<_> = open.take(count).collect();
    if open.len() < count {
        return Err(Error::other(format!("fewer than {count} ports from {FIRST} to {END} are free")));
    }
    open.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_differ_and_leave_out_those_that_are_taken() {
        let first = free_ports(1).unwrap()[0];
        // If this fails, somebody else has just taken it.
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first));
        let ports = free_ports(20).unwrap();
        assert_eq!(BTreeSet::from_iter(&ports).len(), 20);
        assert!(ports.iter().all(|port| (FIRST..END).contains(port) && *port != first), "{ports:?}");
    }
}
