//! Ports and readiness: is a port free, does a service answer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::services::{SERVICES, Settings};

const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Refuses ports that somebody else listens on, naming the setting that moves them.
pub(crate) fn check_ports(settings: &Settings) -> Result<()> {
    let host = settings.host;
    for service in &SERVICES {
        let (port, variable) = (settings.port(service), service.port_variable);
        match TcpListener::bind((host, port)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
                "port {port} for {} is taken: end the program that listens there, or set {variable} to another port",
                service.name
            ),
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("cannot listen on port {port} of {host} for {}: set HOST or {variable}", service.name)
                });
            }
        }
    }
    Ok(())
}

/// Ports of this machine on which nobody listens.
pub(crate) fn free_ports(count: usize) -> Result<Vec<u16>> {
    // All are open at once, so that they differ.
    let listeners = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<Vec<_>>>();
    let ports = listeners.and_then(|listeners| listeners.iter().map(|open| Ok(open.local_addr()?.port())).collect());
    ports.context("no free port")
}

/// The status that `GET /ready` gives, `None` when there is no answer.
pub(crate) fn status(address: SocketAddr) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN).ok()?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
    let request = format!("GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    // "HTTP/1.1 200"
    let mut start = [0; 12];
    stream.read_exact(&mut start).ok()?;
    std::str::from_utf8(start.strip_prefix(b"HTTP/1.1 ")?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn answer_once(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(&request, b"GET ");
            stream.write_all(answer).unwrap();
        });
        address
    }

    #[test]
    fn reads_the_status_of_an_answer() {
        let address = answer_once(b"HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(status(address), Some(200));
        let address = answer_once(b"HTTP/1.1 503 Service Unavailable\r\n\r\n");
        assert_eq!(status(address), Some(503));
        let address = answer_once(b"SSH-2.0-OpenSSH_9.2\r\n");
        assert_eq!(status(address), None);
    }

    #[test]
    fn a_taken_port_is_named_with_its_setting() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        let get = |name: &str| match name {
            "ORDERS_PORT" => Some(port.clone()),
            // Any free port: the real ones may be in use by an `up`.
            "CUSTOMERS_PORT" | "ORCHESTRATOR_PORT" => Some("0".to_owned()),
            _ => None,
        };
        let settings = Settings::read(get).unwrap();
        let message = check_ports(&settings).unwrap_err().to_string();
        assert!(message.starts_with(&format!("port {port} for orders is taken")), "{message}");
        assert!(message.contains("ORDERS_PORT"), "{message}");
        drop(taken);
        check_ports(&settings).unwrap();
    }
}
