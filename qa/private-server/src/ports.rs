//! Free ports for servers that keep the same port across restarts.

use std::io::{Error, Result};
use std::net::{Ipv4Addr, TcpListener};

/// First port. All are below Linux's ephemeral range, so that no outgoing connection takes one during a restart.
const FIRST: u16 = 20_000;
const END: u16 = 30_000;
/// Number of search offsets. Concurrent processes start at different offsets, so that they rarely collide.
const OFFSETS: u16 = 100;

/// Returns `count` ports on 127.0.0.1 on which no process listens.
///
/// # Errors
/// If too few ports are free.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    let offset = u16::try_from(std::process::id() % u32::from(OFFSETS)).unwrap_or_default();
    let begin = FIRST + offset * ((END - FIRST) / OFFSETS);
    // Keep all listeners open at the same time, so that the ports are distinct.
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
    fn ports_are_distinct_and_not_in_use() {
        let first = free_ports(1).unwrap()[0];
        // If this fails, another process has taken the port in the meantime.
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first));
        let ports = free_ports(20).unwrap();
        assert_eq!(BTreeSet::from_iter(&ports).len(), 20);
        assert!(ports.iter().all(|port| (FIRST..END).contains(port) && *port != first), "{ports:?}");
    }
}
