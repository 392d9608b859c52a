//! Proxy that closes connections to a server in the middle of a response.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Starts a proxy for the server at this base URL, and returns the proxy's base URL. The nth response on each
/// connection is cut off halfway; n varies between connections.
pub(crate) async fn start(base: &str) -> (String, JoinSet<()>) {
    let server: SocketAddr = base.trim_start_matches("http://").parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        let mut number = 0;
        while let Ok((client, _)) = listener.accept().await {
            number += 1;
            connections.spawn(forward(client, server, 1 + number % 17));
        }
    });
    (url, tasks)
}

async fn forward(mut client: TcpStream, server: SocketAddr, whole_responses: usize) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let responses_to_client = async {
        let mut bytes = vec![0; 64 * 1024];
        for _ in 0..whole_responses {
            let Ok(length @ 1..) = from_server.read(&mut bytes).await else { return };
            if to_client.write_all(&bytes[..length]).await.is_err() {
                return;
            }
        }
        let Ok(length) = from_server.read(&mut bytes).await else { return };
        let _ = to_client.write_all(&bytes[..length / 2]).await;
    };
    let requests_to_server = tokio::io::copy(&mut from_client, &mut to_server);
    tokio::select! {
        () = responses_to_client => {}
        _ = requests_to_server => {}
    }
}
