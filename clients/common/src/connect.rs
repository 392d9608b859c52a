//! The connections to the services.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, Url};

/// How long the shared connections wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// And for a whole answer: longer than the slowest operation, create-and-confirm, may take.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It is not where a service can be.
    #[error("{0:?} is no base URL: it has to be as https://orders.example.com")]
    BaseUrl(String),
    /// No TLS can be set up on this machine.
    #[error("the connections cannot be set up")]
    Tls(#[source] reqwest::Error),
}

/// What a client needs to reach the service at `base`: the base URL without a slash at its end, and the connections that
/// all clients of this process share. Nothing is sent.
///
/// # Errors
///
/// Where `base` is no URL of http or https, or no TLS can be set up on this machine.
pub fn connect(base: &str) -> Result<(&str, Client), ConnectError> {
    let is_base = Url::parse(base).is_ok_and(|url| {
        ["http", "https"].contains(&url.scheme()) && url.query().is_none() && url.fragment().is_none()
    });
    if !is_base {
        return Err(ConnectError::BaseUrl(base.to_owned()));
    }
    Ok((base.trim_end_matches('/'), shared().map_err(ConnectError::Tls)?))
}

fn shared() -> reqwest::Result<Client> {
    static SHARED: OnceLock<Client> = OnceLock::new();
    match SHARED.get() {
        Some(shared) => Ok(shared.clone()),
        None => http_client(CONNECT_LIMIT, CALL_LIMIT).map(|made| SHARED.get_or_init(|| made).clone()),
    }
}

/// Connections of one's own: how long to wait for a connection, and for a whole answer. They live no longer than the
/// runtime that uses them, so a test that has a runtime of its own needs its own connections, too.
///
/// # Errors
///
/// Where no TLS can be set up on this machine.
pub fn http_client(connect: Duration, call: Duration) -> reqwest::Result<Client> {
    Client::builder().connect_timeout(connect).timeout(call).redirect(reqwest::redirect::Policy::none()).build()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/here", server.local_addr().unwrap());
        let answered = tokio::spawn(async move {
            let (mut client, _) = server.accept().await.unwrap();
            let mut request = [0; 9];
            client.read_exact(&mut request).await.unwrap();
            client.write_all(b"HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            request
        });
        let answer = http_client(CONNECT_LIMIT, CALL_LIMIT).unwrap().get(url).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.url().path()), (302, "/here"));
        assert_eq!(&answered.await.unwrap(), b"GET /here");
    }

    #[test]
    fn a_base_url_is_taken_with_or_without_a_slash_and_anything_else_is_refused() {
        for base in ["http://127.0.0.1:3001", "http://127.0.0.1:3001/"] {
            assert_eq!(connect(base).unwrap().0, "http://127.0.0.1:3001");
        }
        assert_eq!(connect("https://example.com/shop/").unwrap().0, "https://example.com/shop");
        for base in ["", "127.0.0.1:3001", "localhost:3001", "ftp://example.com", "http://", "http://a?b=c"] {
            assert!(matches!(connect(base), Err(ConnectError::BaseUrl(_))), "{base}");
        }
    }
}
