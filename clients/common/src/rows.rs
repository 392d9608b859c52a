//! A list as a stream of its rows.

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::{Coded, Fault, Retry};

/// The rows of a list, newest first. Rows that are added meanwhile do not disturb it.
///
/// With [`TryStreamExt`] in scope: `while let Some(row) = rows.try_next().await? { … }`, or
/// `let all: Vec<_> = rows.try_collect().await?`.
pub type Rows<'a, R, E> = BoxStream<'a, Result<R, Fault<E>>>;

/// One page of a list. It may be empty although the list goes on.
pub struct Page<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// Asks for the next page.
    pub next_cursor: Option<String>,
    /// Whether there is one. Only this tells the end of the list.
    pub has_more: bool,
}

/// Walks through a list: `at` moves it on to a cursor, `fetch` asks for the page there. The generated clients have it as
/// a method of each list.
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
