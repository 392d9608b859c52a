//! Prefix search: results, pagination, and cost per page.

use db::Connection;
use db::prefix_index::{CUSTOMERS, Hits};
use db_testing::TestDatabase;
use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

const LIMIT: usize = 20;

/// Number of reads allowed for querying the counters themselves.
const SLACK: i64 = 20;

/// Inserts customers with these ids and prefixes: all have `all`, each has `even` or `odd`, and every 700th has `rare`.
async fn fill(connection: &mut Connection, ids: std::ops::RangeInclusive<i64>) {
    let rows: Vec<String> = ids.clone().map(|id| format!("({id}, '', '')")).collect();
    let (first, last) = ids.into_inner();
    let words = [("all", "TRUE"), ("even", "id % 2 = 0"), ("odd", "id % 2 = 1"), ("rare", "id % 700 = 0")];
    let mut statements = format!("INSERT INTO customers (id, name, email) VALUES {};", rows.join(", "));
    for (word, condition) in words {
        let condition = format!("id BETWEEN {first} AND {last} AND {condition}");
        let select = format!("SELECT '{word}', id FROM customers WHERE {condition}");
        statements.push_str(&format!("INSERT INTO customer_prefixes (prefix, customer_id) {select};"));
    }
    connection.batch_execute(&statements).await.unwrap();
}

#[derive(QueryableByName)]
struct Counter {
    #[diesel(sql_type = Text, column_name = "Value")]
    value: String,
}

/// Returns the number of rows and index entries read by this session so far.
async fn reads(connection: &mut Connection) -> i64 {
    let counters = diesel::sql_query("SHOW SESSION STATUS LIKE 'Handler\\_read%'");
    let counters: Vec<Counter> = counters.load(connection).await.unwrap();
    counters.iter().map(|counter| counter.value.parse::<i64>().unwrap()).sum()
}

/// Returns the first page and the number of reads for it.
async fn cost(connection: &mut Connection, search: &str) -> (Hits, i64) {
    let (before, between) = (reads(connection).await, reads(connection).await);
    let hits = CUSTOMERS.find(connection, search, i64::MAX, LIMIT).await.unwrap();
    let after = reads(connection).await;
    (hits, after - between - (between - before))
}

/// Returns all ids that a search finds, and the number of empty pages.
async fn walk(connection: &mut Connection, search: &str, limit: usize) -> (Vec<i64>, usize) {
    let (mut found, mut empty, mut before) = (Vec::new(), 0, i64::MAX);
    loop {
        let Hits { ids, next } = CUSTOMERS.find(connection, search, before, limit).await.unwrap();
        assert!(ids.len() <= limit);
        empty += usize::from(ids.is_empty());
        found.extend(ids);
        let Some(next) = next else { return (found, empty) };
        assert!(next < before, "{search}: the next page does not advance");
        before = next;
    }
}

#[tokio::test]
async fn page_cost_is_independent_of_table_size() {
    let database = TestDatabase::create().await;
    let mut connection = database.connection().await;
    let mut size = 0;
    for next_size in [300, 3_000, 12_000] {
        fill(&mut connection, size + 1..=next_size).await;
        size = next_size;
        let bounds = [
            // One page and one additional row.
            ("even", 21),
            // In addition, 200 entries for each word, and one lookup per candidate.
            ("even all", 400 + 2 * 21),
            // No match: all 200 candidates are examined.
            ("even odd", 400 + 400),
            ("even odd all", 600 + 600),
            // A rare word: either word may be scanned first.
            ("rare even", 400 + 3 * 20),
        ];
        for (search, bound) in bounds {
            let (hits, reads) = cost(&mut connection, search).await;
            assert!(reads <= bound + SLACK, "{size} customers, {search}: {reads} reads");
            assert_eq!(hits.ids.is_empty(), search.contains("odd") || (search.contains("rare") && size < 700));
        }
    }
}

#[tokio::test]
async fn every_row_is_found_once_for_any_page_size() {
    let database = TestDatabase::create().await;
    let mut connection = database.connection().await;
    fill(&mut connection, 1..=4_500).await;
    let ids = |wanted: fn(&i64) -> bool| (1..=4_500).rev().filter(wanted).collect::<Vec<_>>();
    assert_eq!(walk(&mut connection, "od", 1_000).await, (Vec::new(), 1), "only stored prefixes are found");
    assert_eq!(walk(&mut connection, "odd", 100).await, (ids(|id| id % 2 == 1), 0));
    assert_eq!(walk(&mut connection, "all odd", 100).await, (ids(|id| id % 2 == 1), 0));
    assert_eq!(walk(&mut connection, "rare all even", 2).await, (ids(|id| id % 700 == 0), 0));
    assert_eq!(walk(&mut connection, "even odd", 20).await, (Vec::new(), 12), "2,250 candidates are twelve pages");
    assert_eq!(walk(&mut connection, "even nothing", 20).await, (Vec::new(), 1));
    assert_eq!(walk(&mut connection, " %", 20).await, (Vec::new(), 1));
}

#[tokio::test]
async fn exactly_full_last_page_has_no_next_page() {
    let database = TestDatabase::create().await;
    let mut connection = database.connection().await;
    fill(&mut connection, 1..=40).await;
    for search in ["even", "even all"] {
        let hits = CUSTOMERS.find(&mut connection, search, i64::MAX, 20).await.unwrap();
        assert_eq!((hits.ids.len(), hits.next), (20, None), "{search}");
        let hits = CUSTOMERS.find(&mut connection, search, i64::MAX, 19).await.unwrap();
        assert_eq!((hits.ids.len(), hits.next), (19, Some(4)), "{search}");
    }
}
