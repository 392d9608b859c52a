//! Requests that must not get in, as they go over the wire: no client would send most of them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::Service;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::replicas::System;
use crate::report::Journal;

const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// Behind which nothing is found, though the services take some of them for the path of an internal operation.
const PATHS: [&str; 12] = [
    "/internal/customers/1",
    "//internal/customers/1",
    "/internal//customers/1",
    "/%69nternal/customers/1",
    "/internal%2Fcustomers/1",
    "/./internal/customers/1",
    "/customers/../internal/customers/1",
    "/customers/%2e%2e/internal/customers/1",
    "/INTERNAL/customers/1",
    "http://door/internal/customers/1",
    "/metrics",
    "/customers/1;/internal",
];

/// What changes orders, and is for services alone.
const ABANDON: [&str; 3] = ["/internal/orders/abandon", "//internal/orders/abandon", "/%69nternal/orders/abandon"];

/// More than HAProxy lets one address have at one of its ports.
const TOO_MANY: usize = 1_300;

/// Opens more connections than one address may have. Returns how many were closed as they came. Another address is served
/// meanwhile.
///
/// # Errors
///
/// Where that other is not.
pub(super) async fn open_more_than_one_address_may(system: &System, journal: &Journal) -> Result<usize> {
    let edge = edge(system, Service::Customers)?;
    let mut open = Vec::new();
    for _ in 0..TOO_MANY {
        let socket = TcpSocket::new_v4()?;
        // All of 127.0.0.0/8 is this machine.
        socket.bind(SocketAddr::from(([127, 0, 0, 2], 0)))?;
        // One that is closed at once may end before it was there.
        open.extend(socket.connect(edge).await);
    }
    let (status, _) = send(edge, "GET /health HTTP/1.1\r\nHost: door\r\n\r\n").await?;
    if status != 200 {
        journal.violation(format!("while one address has all it may, another is answered {status}"));
    }
    let closed = TOO_MANY - open.iter().filter(|stream| !is_closed(stream)).count();
    if closed == 0 {
        journal.violation(format!("one address has {TOO_MANY} connections"));
    }
    Ok(closed)
}

fn is_closed(stream: &TcpStream) -> bool {
    !matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

fn edge(system: &System, service: Service) -> Result<SocketAddr> {
    system.public_address(service).context("the service is not public")
}

/// Sends them all, with the token that services show each other. Returns how many there were.
///
/// # Errors
///
/// Where the edge proxy cannot be reached. What gets in is a violation.
pub(super) async fn look(system: &System, journal: &Journal) -> Result<usize> {
    let edge = edge(system, Service::Customers)?;
    let orders = self::edge(system, Service::Orders)?;
    let token = system.targets().service_token;
    let head = |method, path| format!("{method} {path} HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {token}\r\n");
    let login = head("POST", "/auth/token") + "Content-Type: application/json\r\n";
    let credentials = r#"{"username":"nobody","password":"wrong"}"#;
    let with_length = |length: usize, body: &str| format!("{login}Content-Length: {length}\r\n\r\n{body}");
    let chunked =
        |body: &str| format!("{login}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let trailing = format!("{credentials}{{}}");
    let unreadable = [
        "NONSENSE\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        head("GET", "/customers/1") + &format!("X-Large: {}\r\n\r\n", "a".repeat(20_000)),
        head("GET", "/customers/1") + "Host: other\r\n\r\n",
    ];
    let refused = [
        // The length alone is enough: nothing of the body is waited for.
        (with_length(100_000_000, ""), 413),
        (chunked(&" ".repeat(100_000)), 413),
        (with_length(trailing.len(), &trailing), 400),
        (with_length(credentials.len(), credentials), 401),
    ];
    let hidden = PATHS.map(|path| (head("GET", path) + "\r\n", 404));
    let tried = unreadable.len() + refused.len() + hidden.len() + ABANDON.len();
    for path in ABANDON {
        expect(orders, &(head("POST", path) + "Content-Length: 2\r\n\r\n{}"), 404, journal).await?;
    }
    for request in unreadable {
        // HAProxy's own page.
        expect(edge, &request, 400, journal).await?;
    }
    for (request, status) in refused.into_iter().chain(hidden) {
        let body = expect(edge, &request, status, journal).await?;
        if !serde_json::from_str::<Value>(&body).is_ok_and(|body| body["message"].is_string()) {
            journal.violation(format!("no error body, but {body:?}: {request:.60?}"));
        }
    }
    Ok(tried)
}

/// Sends a request and gives the body of the answer. Another status than the one expected is a violation.
async fn expect(edge: SocketAddr, request: &str, expected: u16, journal: &Journal) -> Result<String> {
    let answer = timeout(ANSWERED_WITHIN, send(edge, request)).await;
    let (status, body) = answer.unwrap_or_else(|_| Ok(Default::default()))?;
    if status != expected {
        journal.violation(format!("answered {status}, not {expected}: {request:.60?}"));
    }
    Ok(body)
}

/// The status and the body of the answer.
async fn send(edge: SocketAddr, request: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(edge).await.context("cannot reach the edge proxy")?;
    // Whoever is refused early does not get rid of everything.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
                return Ok((status.unwrap_or_default(), body.to_owned()));
            }
        }
        match stream.read(&mut piece).await {
            Ok(length @ 1..) => answer.extend_from_slice(&piece[..length]),
            Ok(0) | Err(_) => return Ok((0, text.into_owned())),
        }
    }
}
