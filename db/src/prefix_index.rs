//! The `*_prefixes` tables: written with the row they belong to, read by a search.
//!
//! A search by one word is one range of the primary key, newest row first, and reads no more than the page it fills,
//! whatever the size of the table. A search by more words takes its candidates from one of them, the rarest as far as
//! 200 entries of each can tell, and looks up the others. Two common words may meet nowhere, so it looks at no more
//! than 200 candidates, says how far it came, and leaves going on to the next page.

use std::ops::Range;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncMysqlConnection, RunQueryDsl};

use crate::cached::CachedStatement;
use crate::error::DbError;
use crate::insert::Insert;
use crate::search::{prefixes, query_words};

/// One of the tables.
#[derive(Debug, Clone, Copy)]
pub struct PrefixIndex {
    table: &'static str,
    owner: &'static str,
}

/// Which customers have which words in their name and email address.
pub const CUSTOMERS: PrefixIndex = PrefixIndex { table: "customer_prefixes", owner: "customer_id" };
/// Which products have which words in their sku and name.
pub const PRODUCTS: PrefixIndex = PrefixIndex { table: "product_prefixes", owner: "product_id" };

/// The most candidates that a search by several words looks at.
const MAX_CANDIDATES: usize = 200;

/// What one page of a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hits {
    /// The ids, highest first.
    pub ids: Vec<i64>,
    /// Below which id the search goes on; none at its end. It may go on though this page is short or even empty.
    pub next: Option<i64>,
}

#[derive(QueryableByName)]
struct OwnerId {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

impl PrefixIndex {
    /// Makes the row findable by these texts and by nothing else. Without texts it is not found any more.
    ///
    /// # Errors
    ///
    /// Any [`DbError`] of a write.
    pub async fn replace(&self, connection: &mut AsyncMysqlConnection, id: i64, texts: &[&str]) -> Result<(), DbError> {
        let Self { table, owner } = self;
        let delete = format!("DELETE FROM {table} WHERE {owner} = ?");
        diesel::sql_query(delete).bind::<BigInt, _>(id).cached().execute(connection).await?;
        self.insert(connection, id, texts).await
    }

    /// Makes a row that is in no index yet findable by these texts.
    ///
    /// # Errors
    ///
    /// Any [`DbError`] of a write.
    pub async fn insert(&self, connection: &mut AsyncMysqlConnection, id: i64, texts: &[&str]) -> Result<(), DbError> {
        let Self { table, owner } = self;
        let prefixes = prefixes(texts);
        let mut insert = Insert::into(&format!("{table} (prefix, {owner})"));
        for prefix in &prefixes {
            insert.row(&[prefix.as_str().into(), id.into()]);
        }
        insert.run(connection).await
    }

    /// The rows with ids below `before` in which every word of `search` begins a word: at most `limit` of them, or those
    /// among the next 200 candidates. A search without any letter or digit finds nothing.
    ///
    /// # Errors
    ///
    /// Any [`DbError`] of a plain read.
    pub async fn find(
        &self,
        connection: &mut AsyncMysqlConnection,
        search: &str,
        before: i64,
        limit: usize,
    ) -> Result<Hits, DbError> {
        let words = query_words(search);
        match words.as_slice() {
            [] => Ok(Hits { ids: Vec::new(), next: None }),
            [word] => self.intersection(connection, (word, &[]), 0..before, limit).await,
            words => self.find_all(connection, words, before, limit).await,
        }
    }

    async fn find_all(
        &self,
        connection: &mut AsyncMysqlConnection,
        words: &[String],
        before: i64,
        limit: usize,
    ) -> Result<Hits, DbError> {
        let (mut down_to, mut first) = (i64::MAX, "");
        for word in words {
            (down_to, first) = (down_to, first).min((self.selectivity_bound(connection, word, before).await?, word));
        }
        let others: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != first).collect();
        let hits = self.intersection(connection, (first, &others), down_to..before, limit).await?;
        Ok(Hits { next: hits.next.or(Some(down_to).filter(|id| *id > 0)), ..hits })
    }

    /// Returns the id of this word's 200th candidate: the lower, the rarer the word. 0 if it has fewer.
    async fn selectivity_bound(
        &self,
        connection: &mut AsyncMysqlConnection,
        word: &str,
        before: i64,
    ) -> Result<i64, DbError> {
        let Self { table, owner } = self;
        let select = format!(
            "SELECT {owner} AS id FROM {table} FORCE INDEX (PRIMARY) WHERE prefix = ? AND {owner} < ? \
             ORDER BY {owner} DESC LIMIT 1 OFFSET {}",
            MAX_CANDIDATES - 1,
        );
        let query = diesel::sql_query(select).bind::<Text, _>(word).bind::<BigInt, _>(before);
        let last: Option<OwnerId> = query.cached().get_result(connection).await.optional()?;
        Ok(last.map_or(0, |row| row.id))
    }

    /// Returns the rows of `ids` that have all these words, newest first.
    ///
    /// The hints leave the server no choice: it walks down the first word and looks up the others, candidate by
    /// candidate. Left to itself it may take a word that half of the table has, or sort.
    async fn intersection(
        &self,
        connection: &mut AsyncMysqlConnection,
        (first, others): (&str, &[&str]),
        ids: Range<i64>,
        limit: usize,
    ) -> Result<Hits, DbError> {
        let Self { table, owner } = self;
        let mut select = format!("SELECT p.{owner} AS id FROM {table} p FORCE INDEX (PRIMARY)");
        for n in 0..others.len() {
            let join = format!(" STRAIGHT_JOIN {table} q{n} FORCE INDEX (PRIMARY) ON q{n}.{owner} = p.{owner}");
            select.push_str(&format!("{join} AND q{n}.prefix = ?"));
        }
        select.push_str(&format!(
            " WHERE p.prefix = ? AND p.{owner} >= ? AND p.{owner} < ? ORDER BY p.{owner} DESC LIMIT ?"
        ));
        let mut query = diesel::sql_query(select).into_boxed();
        for word in others {
            query = query.bind::<Text, _>(*word);
        }
        let query = query.bind::<Text, _>(first).bind::<BigInt, _>(ids.start).bind::<BigInt, _>(ids.end);
        let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let rows: Vec<OwnerId> = query.bind::<BigInt, _>(one_more).cached().load(connection).await?;
        let found = rows.len();
        let ids: Vec<i64> = rows.into_iter().take(limit).map(|row| row.id).collect();
        Ok(Hits { next: ids.last().copied().filter(|_| found > limit), ids })
    }
}
