//! A line to a server that is cut now and then, before an answer has come through.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A proxy before the server at this base URL, and its own base URL. Of each connection the nth answer is cut halfway,
/// where n is another one for each connection.
pub(crate) async fn before(base: &str) -> (String, JoinSet<()>) {
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

async fn forward(mut client: TcpStream, server: SocketAddr, answers: usize) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let answering = async {
        let mut bytes = vec![0; 64 * 1024];
        for _ in 0..answers {
            let Ok(length @ 1..) = from_server.read(&mut bytes).await else { return };
            if to_client.write_all(&bytes[..length]).await.is_err() {
                return;
            }
        }
        let Ok(length) = from_server.read(&mut bytes).await else { return };
        let _ = to_client.write_all(&bytes[..length / 2]).await;
    };
    let asking = tokio::io::copy(&mut from_client, &mut to_server);
    tokio::select! {
        () = answering => {}
        _ = asking => {}
    }
}
