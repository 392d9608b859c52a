//! Fake server that sends prepared responses in sequence and then stops listening.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use client_common::Outbound;
use orders_client::Client;

/// Response to one request.
pub(crate) enum Answer {
    /// Sends these bytes and closes the connection.
    Bytes(String),
    /// Sends nothing and keeps the connection open.
    Silence,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::with_headers(status, "", body)
    }

    pub(crate) fn with_headers(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Bytes(format!(
            "HTTP/1.1 {status} Any\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n{headers}\r\n{body}"
        ))
    }

    pub(crate) fn error(status: u16, code: &str) -> Self {
        let headers = if status == 503 { "Retry-After: 0\r\n" } else { "" };
        Self::with_headers(status, headers, &format!(r#"{{"request_id":"r","error_code":"{code}","message":"m"}}"#))
    }

    /// Truncated success response.
    pub(crate) fn truncated() -> Self {
        Self::Bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":".to_owned())
    }
}

pub(crate) struct Server {
    base: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) async fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<_> = answers.into_iter().collect();
        tokio::spawn(serve(listener, answers, Arc::clone(&seen)));
        Self { base, seen }
    }

    /// Returns the raw text of all requests received so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn client(&self, outbound: Outbound) -> Client {
        Client::connect(&self.base, outbound).unwrap()
    }
}

async fn serve(listener: TcpListener, answers: Vec<Answer>, seen: Arc<Mutex<Vec<String>>>) {
    let mut silent = Vec::new();
    for answer in answers {
        let (mut connection, _) = listener.accept().await.unwrap();
        let request = read(&mut connection).await;
        seen.lock().unwrap().push(request);
        match answer {
            Answer::Bytes(bytes) => connection.write_all(bytes.as_bytes()).await.unwrap(),
            Answer::Silence => silent.push(connection),
        }
    }
    drop(listener);
    // Keep silent connections open until the test ends.
    if !silent.is_empty() {
        std::future::pending::<()>().await;
    }
}

async fn read(connection: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() >= content_length(head)
        {
            return text;
        }
        if connection.read_buf(&mut request).await.unwrap() == 0 {
            panic!("the client disconnected after {text:?}");
        }
    }
}

fn content_length(head: &str) -> usize {
    let of =
        |line: &str| line.to_lowercase().strip_prefix("content-length:").map(|value| value.trim().parse().unwrap());
    head.lines().find_map(of).unwrap_or(0)
}
