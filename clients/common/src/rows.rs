//! Lists as streams of rows.

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::{Coded, Fault, Retry};

/// Stream of list rows, newest first. Rows that are added concurrently do not affect the stream.
///
/// With [`TryStreamExt`] in scope: `while let Some(row) = rows.try_next().await? { … }`, or
/// `let all: Vec<_> = rows.try_collect().await?`.
pub type Rows<'a, R, E> = BoxStream<'a, Result<R, Fault<E>>>;

/// Page of a list. It may be empty even if more pages follow.
pub struct Page<R> {
    /// Rows of the page.
    pub rows: Vec<R>,
    /// Cursor of the next page.
    pub next_cursor: Option<String>,
    /// Whether more pages follow. An empty page does not mean the end of the list.
    pub has_more: bool,
}

/// Streams a list. `at` sets the cursor of the request; `fetch` requests a page. Generated clients wrap this function
/// in a method of each list.
pub fn rows<'a, L, R, E, F>(
    retry: Retry,
    list: L,
    at: impl Fn(L, String) -> L + Copy + Send + 'a,
    fetch: impl Fn(L) -> F + Copy + Send + Sync + 'a,
) -> Rows<'a, R, E>
where
    L: Clone + Send + Sync + 'a,
    R: Send + 'a,
    E: Coded + Send + 'a,
    F: Future<Output = Result<Page<R>, Fault<E>>> + Send + 'a,
{
    let pages = stream::try_unfold(Some(list), move |list| async move {
        let Some(list) = list else { return Ok(None) };
        let Page { rows, next_cursor, has_more } = retry.repeatable(|| fetch(list.clone())).await?;
        let next = match next_cursor {
            _ if !has_more => None,
            Some(cursor) => Some(at(list, cursor)),
            None => return Err(Fault::Broken),
        };
        Ok(Some((stream::iter(rows).map(Ok), next)))
    });
    pages.try_flatten().boxed()
}
