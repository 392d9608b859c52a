//! Prefix index for search, stored in the `*_prefixes` tables.
//!
//! A search for one word scans one range of the primary key, newest row first, and reads one page regardless of the
//! size of the table. A search for several words scans the most selective word, estimated from the first 200 entries of
//! each, and looks up the others. The intersection of two common words may be empty, so a page examines at most 200
//! candidates and returns where the next page continues.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncMysqlConnection, RunQueryDsl};

use crate::cached::CachedStatement;
use crate::error::DbError;
use crate::insert::Insert;
use crate::search::{prefixes, query_words};

/// Prefix index of one table.
#[derive(Debug, Clone, Copy)]
pub struct PrefixIndex {
    table: &'static str,
    /// Column with the id of the indexed row.
    owner: &'static str,
}

/// Index of customers by the words in their name and email address.
pub const CUSTOMERS: PrefixIndex = PrefixIndex { table: "customer_prefixes", owner: "customer_id" };
/// Index of products by the words in their SKU and name.
pub const PRODUCTS: PrefixIndex = PrefixIndex { table: "product_prefixes", owner: "product_id" };

/// Maximum number of candidates that one page of a multi-word search examines.
const MAX_CANDIDATES: usize = 200;

/// One page of search results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hits {
    /// Matching ids in descending order.
    pub ids: Vec<i64>,
    /// The next page continues below this id; `None` on the last page. It may be set even if this page is short or
    /// empty.
    pub next: Option<i64>,
}

#[derive(QueryableByName)]
struct OwnerId {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

#[derive(QueryableByName)]
struct Entry {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    prefix: String,
}

impl PrefixIndex {
    /// Replaces the index entries of a row by those for `texts`. Without texts, removes the row from the index.
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

    /// Inserts the index entries for `texts` of a row that has none.
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

    /// Replaces the index entries of those of these rows whose entries are not the ones for their texts, and returns
    /// the ids of these. There must be at least one, and they must be locked.
    ///
    /// # Errors
    ///
    /// Any [`DbError`] of a write.
    pub async fn rebuild(
        &self,
        connection: &mut AsyncMysqlConnection,
        rows: &[(i64, Vec<&str>)],
    ) -> Result<BTreeSet<i64>, DbError> {
        let Self { table, owner } = self;
        let ids: Vec<_> = rows.iter().map(|(id, _)| id.to_string()).collect();
        let select = format!("SELECT {owner} AS id, prefix FROM {table} WHERE {owner} IN ({})", ids.join(", "));
        let entries: Vec<Entry> = diesel::sql_query(select).load(connection).await?;
        let mut stored = BTreeMap::<i64, BTreeSet<String>>::new();
        for Entry { id, prefix } in entries {
            stored.entry(id).or_default().insert(prefix);
        }
        let mut replaced = BTreeSet::new();
        for (id, texts) in rows {
            if stored.remove(id).unwrap_or_default() != prefixes(texts) {
                self.replace(connection, *id, texts).await?;
                replaced.insert(*id);
            }
        }
        Ok(replaced)
    }

    /// Returns the rows with ids below `before` that contain every word of `search` as a word prefix: at most `limit`
    /// rows, and for several words at most those among the next 200 candidates. A search without letters and digits has
    /// no hits.
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

    /// Returns the id of the 200th candidate for this word, or 0 if it has fewer. The lower the id, the more selective
    /// the word.
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
        let bound: Option<OwnerId> = query.cached().get_result(connection).await.optional()?;
        Ok(bound.map_or(0, |row| row.id))
    }

    /// Returns the rows in `ids` that have all these words, newest first.
    ///
    /// The hints fix the query plan: scan the first word and look up the others per candidate. Without them the
    /// optimizer may scan a word that half of the rows have, or sort.
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
