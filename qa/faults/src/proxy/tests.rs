//! Tests of the proxy with an echo server and with a real database.

use std::time::Instant;

use db::{DatabaseSettings, Db, DbError};
use db_testing::TestDatabase;
use diesel_async::{AsyncMysqlConnection, SimpleAsyncConnection};
use tokio::net::TcpListener;

use super::*;

/// Starts an echo server.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

async fn proxy_to_echo() -> Proxy {
    let proxy = Proxy::start().unwrap();
    proxy.set_target(Some(echo().await));
    proxy
}

/// Connects to a proxy, retrying until it listens.
async fn connect(proxy: &Proxy) -> TcpStream {
    loop {
        if let Ok(stream) = TcpStream::connect(proxy.address()).await {
            return stream;
        }
    }
}

async fn exchange(stream: &mut TcpStream, request: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(request).await?;
    let mut response = vec![0; request.len()];
    stream.read_exact(&mut response).await?;
    Ok(response)
}

async fn is_refused(proxy: &Proxy) -> bool {
    TcpStream::connect(proxy.address()).await.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[tokio::test]
async fn bytes_are_forwarded_in_both_directions() {
    let proxy = proxy_to_echo().await;
    let mut stream = connect(&proxy).await;
    assert_eq!(exchange(&mut stream, b"hello").await.unwrap(), b"hello");
}

#[tokio::test]
async fn connections_are_refused_without_target_and_later_accepted_on_the_same_port() {
    let proxy = proxy_to_echo().await;
    for refuse in [true, false] {
        let mut before = connect(&proxy).await;
        assert_eq!(exchange(&mut before, b"a").await.unwrap(), b"a");
        if refuse {
            proxy.set_behaviour(Behaviour::Refuse);
        } else {
            proxy.set_target(None);
        }
        while !is_refused(&proxy).await {}
        let response = exchange(&mut before, b"b").await;
        if refuse {
            assert_eq!(response.unwrap_err().kind(), ErrorKind::ConnectionReset);
        } else {
            assert_eq!(response.unwrap(), b"b", "open connections are not affected");
        }
        proxy.set_behaviour(Behaviour::Pass);
        proxy.set_target(Some(echo().await));
        assert_eq!(exchange(&mut connect(&proxy).await, b"c").await.unwrap(), b"c");
    }
}

#[tokio::test]
async fn cut_resets_only_open_connections() {
    let proxy = proxy_to_echo().await;
    let mut stream = connect(&proxy).await;
    assert_eq!(exchange(&mut stream, b"a").await.unwrap(), b"a");
    proxy.set_behaviour(Behaviour::Cut);
    assert_eq!(stream.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(exchange(&mut connect(&proxy).await, b"b").await.unwrap(), b"b");
}

#[tokio::test]
async fn delay_applies_in_both_directions_until_it_ends() {
    let proxy = proxy_to_echo().await;
    let delay = Duration::from_millis(100);
    proxy.set_behaviour(Behaviour::Delay(delay));
    let mut stream = connect(&proxy).await;
    let begin = Instant::now();
    assert_eq!(exchange(&mut stream, b"a").await.unwrap(), b"a");
    assert!(begin.elapsed() >= delay * 2);
    proxy.set_behaviour(Behaviour::Pass);
    assert_eq!(exchange(&mut stream, b"b").await.unwrap(), b"b");
}

#[tokio::test]
async fn part_of_a_truncated_response_arrives() {
    let proxy = proxy_to_echo().await;
    proxy.set_behaviour(Behaviour::Truncate(40));
    let mut stream = connect(&proxy).await;
    stream.write_all(b"0123456789").await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    assert_eq!(response, b"0123");
}

#[tokio::test]
async fn black_hole_forwards_all_data_when_it_ends() {
    let proxy = proxy_to_echo().await;
    let mut before = connect(&proxy).await;
    assert_eq!(exchange(&mut before, b"a").await.unwrap(), b"a");
    proxy.set_behaviour(Behaviour::BlackHole);
    let mut during = connect(&proxy).await;
    for stream in [&mut before, &mut during] {
        let response = tokio::time::timeout(Duration::from_millis(100), exchange(stream, b"b")).await;
        assert!(response.is_err(), "{response:?}");
    }
    proxy.set_behaviour(Behaviour::Pass);
    for mut stream in [before, during] {
        let mut response = [0];
        stream.read_exact(&mut response).await.unwrap();
        assert_eq!(&response, b"b");
    }
}

/// Returns a database that has a table with one column, and a proxy for the database server.
async fn proxy_to_database() -> (TestDatabase, Proxy, Db) {
    let database = TestDatabase::create().await;
    database.connection().await.batch_execute("CREATE TABLE inserted (id INT PRIMARY KEY)").await.unwrap();
    let proxy = Proxy::start().unwrap();
    let (host, name) = database.url().rsplit_once('@').unwrap().1.split_once('/').unwrap();
    proxy.set_target(Some(tokio::net::lookup_host(host).await.unwrap().next().unwrap()));
    drop(connect(&proxy).await);
    let url = database.url().replace(&format!("{host}/{name}"), &format!("{}/{name}", proxy.address()));
    let db = Db::connect(&DatabaseSettings::from_url(&url).unwrap());
    (database, proxy, db)
}

async fn insert(db: &Db) -> Result<(), DbError> {
    let insert = async |connection: &mut AsyncMysqlConnection| {
        Ok::<_, DbError>(connection.batch_execute("INSERT INTO inserted VALUES (1)").await?)
    };
    db.transaction(insert).await
}

/// Returns whether the row exists, in which case inserting it again fails.
async fn is_inserted(database: &TestDatabase) -> bool {
    let mut connection = database.connection().await;
    connection.batch_execute("INSERT INTO inserted VALUES (1)").await.is_err()
}

#[tokio::test]
async fn connection_is_cut_before_or_after_commit() {
    for (side, committed) in [(CommitSide::Before, false), (CommitSide::After, true)] {
        let (database, proxy, db) = proxy_to_database().await;
        proxy.set_behaviour(Behaviour::CutAtCommit(side, 1));
        let response = insert(&db).await;
        assert!(matches!(response, Err(DbError::OutcomeUnknown)), "{side:?}: {response:?}");
        assert_eq!(proxy.state.borrow().behaviour, Behaviour::Pass, "{side:?}");
        assert_eq!(is_inserted(&database).await, committed, "{side:?}");
    }
}

#[tokio::test]
async fn commit_is_forwarded_by_default() {
    let (database, _proxy, db) = proxy_to_database().await;
    insert(&db).await.unwrap();
    assert!(is_inserted(&database).await);
}

#[test]
fn requested_number_of_commits_is_cut() {
    let mut state = State::default();
    assert_eq!(state.take_commit_cut(COMMIT), None);
    state.behaviour = Behaviour::CutAtCommit(CommitSide::After, 2);
    assert_eq!(state.take_commit_cut(b"\x06\0\0\0\x03BEGIN"), None);
    assert_eq!(state.take_commit_cut(COMMIT), Some(CommitSide::After));
    assert_ne!(state.behaviour, Behaviour::Pass);
    // The client may close a statement in the same chunk; that command has no response.
    assert_eq!(state.take_commit_cut(&[&b"\x05\0\0\0\x19\x01\0\0\0"[..], COMMIT].concat()), Some(CommitSide::After));
    assert_eq!(state.take_commit_cut(COMMIT), None);
    assert_eq!(state.behaviour, Behaviour::Pass);
    assert_eq!(state.at_commit, [0, 2]);
}
