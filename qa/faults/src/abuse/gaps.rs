//! Requests that the edge proxy must reject, sent as raw bytes because HTTP clients cannot send most of them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::report::Journal;
use crate::system::System;

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

/// Paths that must return 404, although the services would route some of them to an internal operation.
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
    "http://edge/internal/customers/1",
    "/metrics",
    "/customers/1;/internal",
];

/// Paths of an internal operation that modifies orders.
const ABANDON: [&str; 3] = ["/internal/orders/abandon", "//internal/orders/abandon", "/%69nternal/orders/abandon"];

/// Number of connections that exceeds HAProxy's limit per address and port.
const TOO_MANY: usize = 1_300;

/// Opens too many connections from one address, and returns how many were closed. Others must be served meanwhile.
pub(super) async fn exceed_connection_limit(system: &System, journal: &Journal) -> Result<usize> {
    let [edge, ..] = system.public;
    let mut open = Vec::new();
    for _ in 0..TOO_MANY {
        let socket = TcpSocket::new_v4()?;
        // All addresses in 127.0.0.0/8 are local.
        socket.bind(SocketAddr::from(([127, 0, 0, 2], 0)))?;
        // Connecting may fail if the server closes the connection immediately.
        open.extend(socket.connect(edge).await);
    }
    let (status, _) = send(edge, "GET /health HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n").await?;
    if status != 200 {
        journal.violation(format!("while one address is at its connection limit, another gets status {status}"));
    }
    let closed = TOO_MANY - open.iter().filter(|stream| !is_closed(stream)).count();
    if closed == 0 {
        journal.violation(format!("one address can open {TOO_MANY} connections"));
    }
    Ok(closed)
}

fn is_closed(stream: &TcpStream) -> bool {
    !matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Sends all forbidden requests, with the service token if to a path, and returns their number. All must be rejected.
pub(super) async fn send_forbidden_requests(system: &System, journal: &Journal) -> Result<usize> {
    let [customers, orders, _] = system.public;
    let token = system.targets().service_token;
    let head = |method, path| {
        format!("{method} {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n")
    };
    let login = head("POST", "/auth/token") + "Content-Type: application/json\r\n";
    let credentials = r#"{"username":"nobody","password":"wrong"}"#;
    let with_length = |length: usize, body: &str| format!("{login}Content-Length: {length}\r\n\r\n{body}");
    let chunk = " ".repeat(100_000);
    let trailing = format!("{credentials}{{}}");
    // HAProxy itself rejects these requests, with its own error page.
    let unreadable = [
        "NONSENSE\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        head("GET", "/customers/1") + &format!("X-Large: {}\r\n\r\n", "a".repeat(20_000)),
        head("GET", "/customers/1") + "Host: other\r\n\r\n",
    ];
    let refused = [
        // Rejected because of the Content-Length alone; the body is not sent.
        (customers, with_length(100_000_000, ""), 413),
        (customers, format!("{login}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{chunk}\r\n0\r\n\r\n", chunk.len()), 413),
        (customers, with_length(trailing.len(), &trailing), 400),
        (customers, with_length(credentials.len(), credentials), 401),
    ];
    let hidden = PATHS.map(|path| (customers, head("GET", path) + "\r\n", 404));
    let changing = ABANDON.map(|path| (orders, head("POST", path) + "Content-Length: 2\r\n\r\n{}", 404));
    let sent = unreadable.len() + refused.len() + hidden.len() + changing.len();
    for request in unreadable {
        expect(customers, &request, 400, journal).await?;
    }
    for (edge, request, status) in refused.into_iter().chain(hidden).chain(changing) {
        let body = expect(edge, &request, status, journal).await?;
        if !serde_json::from_str::<Value>(&body).is_ok_and(|body| body["message"].is_string()) {
            journal.violation(format!("body {body:?} is not an error body: {request:.60?}"));
        }
    }
    Ok(sent)
}

/// Sends a request and returns the response body. An unexpected status is a violation.
async fn expect(edge: SocketAddr, request: &str, expected: u16, journal: &Journal) -> Result<String> {
    let (status, body) = send(edge, request).await?;
    if status != expected {
        journal.violation(format!("status {status}, not {expected}: {request:.60?}"));
    }
    Ok(body)
}

/// Sends a request and returns the status and body of the response. Without a response, the status is 0.
async fn send(edge: SocketAddr, request: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(edge).await.context("cannot reach the edge proxy")?;
    let mut response = Vec::new();
    let _ = timeout(RESPONSE_TIMEOUT, async {
        // A request that is rejected early is not sent completely, and a connection reset may follow the response.
        let _ = stream.write_all(request.as_bytes()).await;
        stream.read_to_end(&mut response).await
    })
    .await;
    let response = String::from_utf8_lossy(&response);
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.unwrap_or_default(), body.to_owned()))
}
