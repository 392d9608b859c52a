//! Service readiness probe.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends `GET /ready` over a new connection, and returns the status, or `None` if there is no response.
pub async fn ready_status(address: SocketAddr) -> Option<u16> {
    timeout(RESPONSE_TIMEOUT, status_line(address)).await.ok()?.ok().flatten()
}

async fn status_line(address: SocketAddr) -> io::Result<Option<u16>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut start = *b"HTTP/1.1 200";
    stream.read_exact(&mut start).await?;
    let code = start.strip_prefix(b"HTTP/1.1 ").and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
    Ok(code)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn status_of(response: &'static [u8]) -> Option<u16> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4];
            stream.read_exact(&mut request).await.unwrap();
            assert_eq!(&request, b"GET ");
            stream.write_all(response).await.unwrap();
        };
        tokio::join!(ready_status(address), server).0
    }

    #[tokio::test]
    async fn status_of_the_response_is_returned() {
        assert_eq!(status_of(b"HTTP/1.1 200 OK\r\n\r\n").await, Some(200));
        assert_eq!(status_of(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await, Some(503));
        assert_eq!(status_of(b"SSH-2.0-OpenSSH_9.2\r\n").await, None);
    }
}
