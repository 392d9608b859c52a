//! HTTP connections to the services.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, Url};

/// Connect timeout of the shared connection pool.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Timeout for a complete call. It exceeds the maximum duration of the slowest operation, create-and-confirm.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Error while creating a client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Invalid base URL.
    #[error("invalid base URL {0:?}: expected a URL such as https://orders.example.com")]
    BaseUrl(String),
    /// TLS cannot be initialized.
    #[error("cannot initialize the HTTP client")]
    Tls(#[source] reqwest::Error),
}

/// Returns the base URL without a trailing slash, and the connection pool that all clients in the process share. Sends
/// no requests.
///
/// # Errors
///
/// Returns an error if `base` is not an http or https URL, or TLS cannot be initialized.
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
        None => http_client(CONNECT_LIMIT, CALL_LIMIT).map(|client| SHARED.get_or_init(|| client).clone()),
    }
}

/// Creates a separate connection pool with a connect timeout and a timeout for a complete call. Connections are bound
/// to the runtime that uses them, so a test with its own runtime needs its own pool.
///
/// The base URL is where requests go: proxy variables (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`) have no effect.
///
/// # Errors
///
/// Returns an error if TLS cannot be initialized.
pub fn http_client(connect: Duration, call: Duration) -> reqwest::Result<Client> {
    let client = Client::builder().connect_timeout(connect).timeout(call);
    client.no_proxy().redirect(reqwest::redirect::Policy::none()).build()
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
    fn a_base_url_is_accepted_with_or_without_a_slash_and_others_are_rejected() {
        for base in ["http://127.0.0.1:3001", "http://127.0.0.1:3001/"] {
            assert_eq!(connect(base).unwrap().0, "http://127.0.0.1:3001");
        }
        assert_eq!(connect("https://example.com/shop/").unwrap().0, "https://example.com/shop");
        for base in ["", "127.0.0.1:3001", "localhost:3001", "ftp://example.com", "http://", "http://a?b=c"] {
            assert!(matches!(connect(base), Err(ConnectError::BaseUrl(_))), "{base}");
        }
    }
}
