//! What a proxy does to connections, seen by a client in front of an echo and in front of a real database.

use std::time::Instant;

use db::{DatabaseSettings, Db, DbError};
use db_testing::TestDatabase;
use diesel_async::{AsyncMysqlConnection, SimpleAsyncConnection};
use tokio::net::TcpListener;

use super::*;

/// Answers every byte with the same byte.
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

/// The moment in which a proxy begins to listen is not told.
async fn connect(proxy: &Proxy) -> TcpStream {
    loop {
        if let Ok(stream) = TcpStream::connect(proxy.address()).await {
            return stream;
        }
    }
}

async fn ask(stream: &mut TcpStream, question: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(question).await?;
    let mut answer = vec![0; question.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

async fn is_refused(proxy: &Proxy) -> bool {
    TcpStream::connect(proxy.address()).await.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[tokio::test]
async fn bytes_pass_both_ways() {
    let proxy = proxy_to_echo().await;
    let mut stream = connect(&proxy).await;
    assert_eq!(ask(&mut stream, b"hello").await.unwrap(), b"hello");
}

#[tokio::test]
async fn without_a_target_connections_are_refused_and_later_accepted_on_the_same_port() {
    let proxy = proxy_to_echo().await;
    for refuse in [true, false] {
        let mut before = connect(&proxy).await;
        assert_eq!(ask(&mut before, b"a").await.unwrap(), b"a");
        if refuse {
            proxy.behave(Behaviour::Refuse);
        } else {
            proxy.set_target(None);
        }
        while !is_refused(&proxy).await {}
        let answer = ask(&mut before, b"b").await;
        if refuse {
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::ConnectionReset);
        } else {
            assert_eq!(answer.unwrap(), b"b", "what is open stays open");
        }
        proxy.behave(Behaviour::Pass);
        proxy.set_target(Some(echo().await));
        assert_eq!(ask(&mut connect(&proxy).await, b"c").await.unwrap(), b"c");
    }
}

#[tokio::test]
async fn a_cut_resets_what_is_open_and_nothing_else() {
    let proxy = proxy_to_echo().await;
    let mut stream = connect(&proxy).await;
    assert_eq!(ask(&mut stream, b"a").await.unwrap(), b"a");
    proxy.behave(Behaviour::Cut);
    assert_eq!(stream.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(ask(&mut connect(&proxy).await, b"b").await.unwrap(), b"b");
}

#[tokio::test]
async fn a_delay_counts_in_both_directions_and_ends() {
    let proxy = proxy_to_echo().await;
    let delay = Duration::from_millis(100);
    proxy.behave(Behaviour::Delay(delay));
    let mut stream = connect(&proxy).await;
    let begin = Instant::now();
    assert_eq!(ask(&mut stream, b"a").await.unwrap(), b"a");
    assert!(begin.elapsed() >= delay * 2);
    proxy.behave(Behaviour::Pass);
    assert_eq!(ask(&mut stream, b"b").await.unwrap(), b"b");
}

#[tokio::test]
async fn of_a_truncated_answer_a_part_arrives() {
    let proxy = proxy_to_echo().await;
    proxy.behave(Behaviour::Truncate(40));
    let mut stream = connect(&proxy).await;
    stream.write_all(b"0123456789").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"0123");
}

#[tokio::test]
async fn a_black_hole_says_nothing_and_gives_everything_back_at_its_end() {
    let proxy = proxy_to_echo().await;
    let mut before = connect(&proxy).await;
    assert_eq!(ask(&mut before, b"a").await.unwrap(), b"a");
    proxy.behave(Behaviour::BlackHole);
    let mut within = connect(&proxy).await;
    for stream in [&mut before, &mut within] {
        let answer = tokio::time::timeout(Duration::from_millis(100), ask(stream, b"b")).await;
        assert!(answer.is_err(), "{answer:?}");
    }
    proxy.behave(Behaviour::Pass);
    for mut stream in [before, within] {
        let mut answer = [0];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"b");
    }
}

/// A database with a table of one column, and a proxy in front of it.
async fn proxy_to_database() -> (TestDatabase, Proxy, Db) {
    let database = TestDatabase::create().await;
    database.connection().await.batch_execute("CREATE TABLE made (id INT PRIMARY KEY)").await.unwrap();
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
        Ok::<_, DbError>(connection.batch_execute("INSERT INTO made VALUES (1)").await?)
    };
    db.transaction(insert).await
}

/// Inserting it again says so.
async fn is_made(database: &TestDatabase) -> bool {
    let mut connection = database.connection().await;
    connection.batch_execute("INSERT INTO made VALUES (1)").await.is_err()
}

#[tokio::test]
async fn a_connection_is_cut_on_either_side_of_commit() {
    for (side, made) in [(CommitSide::Before, false), (CommitSide::After, true)] {
        let (database, proxy, db) = proxy_to_database().await;
        proxy.behave(Behaviour::CutAtCommit(side, 1));
        let answer = insert(&db).await;
        assert!(matches!(answer, Err(DbError::OutcomeUnknown)), "{side:?}: {answer:?}");
        assert_eq!(proxy.state.borrow().behaviour, Behaviour::Pass, "{side:?}");
        assert_eq!(is_made(&database).await, made, "{side:?}");
    }
}

#[tokio::test]
async fn a_commit_that_is_not_to_be_cut_passes() {
    let (database, _proxy, db) = proxy_to_database().await;
    insert(&db).await.unwrap();
    assert!(is_made(&database).await);
}

#[test]
fn as_many_commits_are_cut_as_were_asked_for() {
    let mut state = State::default();
    assert_eq!(state.take_commit(COMMIT), None);
    state.behaviour = Behaviour::CutAtCommit(CommitSide::After, 2);
    assert_eq!(state.take_commit(b"\x06\0\0\0\x03BEGIN"), None);
    assert_eq!(state.take_commit(COMMIT), Some(CommitSide::After));
    assert_ne!(state.behaviour, Behaviour::Pass);
    // A statement may be closed before, which has no answer.
    assert_eq!(state.take_commit(&[&b"\x05\0\0\0\x19\x01\0\0\0"[..], COMMIT].concat()), Some(CommitSide::After));
    assert_eq!(state.take_commit(COMMIT), None);
    assert_eq!(state.behaviour, Behaviour::Pass);
    assert_eq!(state.at_commit, [0, 2]);
}
