//! Literal values in INSERT statements are stored unchanged.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use db::DbError;
use db::clock::inserted_ids;
use db::insert::Insert;
use db::schema::{customers, products};
use db_testing::TestDatabase;
use diesel::prelude::*;
use diesel::sql_types::{Binary, Datetime};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Quotes, escape sequences, wildcards, and characters of every UTF-8 length.
const CHARACTERS: [char; 16] =
    ['\'', '"', '\\', '`', '\0', '\n', '\r', '\u{1a}', '%', '_', ';', '-', 'a', 'é', '訂', '😀'];

#[tokio::test]
async fn texts_are_escaped_and_round_trip() {
    let database = TestDatabase::create().await;
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut text = || -> String { (0..rng.random_range(0..40)).map(|_| CHARACTERS[rng.random_range(0..16)]).collect() };
    let names: Vec<String> = (0..300).map(|_| text()).collect();
    let mut insert = Insert::into("customers (name, email, phone)");
    for name in &names {
        insert.row(&[name.as_str().into(), "'; DROP TABLE customers; --".into(), None::<&str>.into()]);
    }
    let rows = database.db().transaction(async |connection| {
        insert.run(connection).await?;
        let columns = customers::table.select((customers::name, customers::email)).order(customers::id);
        Ok::<Vec<(String, String)>, DbError>(columns.load(connection).await?)
    });
    let rows = rows.await.unwrap();
    assert!(rows.iter().all(|(_, email)| email == "'; DROP TABLE customers; --"));
    assert_eq!(rows.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), names);
}

#[derive(QueryableByName)]
struct Sample {
    #[diesel(sql_type = Binary)]
    bytes: Vec<u8>,
    #[diesel(sql_type = Datetime)]
    at: NaiveDateTime,
}

#[tokio::test]
async fn bytes_and_times_round_trip() {
    let database = TestDatabase::create().await;
    let mut connection = database.connection().await;
    let table = "CREATE TABLE samples (id BIGINT PRIMARY KEY, bytes MEDIUMBLOB NOT NULL, at DATETIME(6) NOT NULL)";
    connection.batch_execute(table).await.unwrap();
    let midnight = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap().and_time(NaiveTime::MIN);
    // Empty, quotes and escapes, every byte value, invalid UTF-8.
    let bytes = [vec![], b"'; \\ \"\0 {}".to_vec(), (0..=255).collect(), vec![b'a', 0xff]];
    let times = [0, 1, 1_000_000, 86_399_999_999].map(|micros| midnight + TimeDelta::microseconds(micros));
    let mut insert = Insert::into("samples (id, bytes, at)");
    for (id, (bytes, at)) in (0_i64..).zip(bytes.iter().zip(times)) {
        insert.row(&[id.into(), bytes.as_slice().into(), at.into()]);
    }
    insert.run(&mut connection).await.unwrap();
    let query = diesel::sql_query("SELECT bytes, at FROM samples ORDER BY id");
    let stored: Vec<Sample> = query.load(&mut connection).await.unwrap();
    assert_eq!(Vec::from_iter(stored.iter().map(|row| row.bytes.clone())), bytes);
    assert_eq!(Vec::from_iter(stored.iter().map(|row| row.at)), times);
}

#[tokio::test]
async fn inserted_ids_use_the_increment_of_the_session() {
    let database = TestDatabase::create().await;
    let ids = database.db().transaction(async |connection| {
        connection.batch_execute("SET SESSION auto_increment_increment = 5").await?;
        let mut insert = Insert::into("products (sku, name, price_cents, stock)");
        for sku in ["A", "B", "C"] {
            insert.row(&[sku.into(), sku.into(), 1.into(), 1.into()]);
        }
        insert.run(connection).await?;
        let returned = Vec::from_iter(inserted_ids(connection, 3).await?);
        let stored: Vec<i64> = products::table.select(products::id).order(products::sku).load(connection).await?;
        Ok::<_, DbError>((returned, stored))
    });
    let (returned, stored) = ids.await.unwrap();
    assert_eq!(returned, stored);
    assert_eq!(returned[1] - returned[0], 5);
}
