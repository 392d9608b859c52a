//! What is asked of lists. The words are those of generated rows, so that each finds the same number of rows for a page
//! at every size, unless its name says otherwise.

use harness::Service;

/// Which page.
pub(crate) enum Place {
    First,
    /// The last that is full.
    Last,
}

/// A list and a page of it.
pub(crate) struct Question {
    /// What it is called.
    pub(crate) case: &'static str,
    /// Whose rows there are many of.
    pub(crate) rows: &'static str,
    pub(crate) service: Service,
    pub(crate) path: &'static str,
    /// The query, with `{}` for each row of `sql`.
    pub(crate) filter: &'static str,
    pub(crate) sql: Option<&'static str>,
    pub(crate) place: Place,
}

/// Of customers, products and orders.
pub(crate) const ALL: &[Question] = &[
    customers("customers/first", ""),
    customers("customers/last", "").last(),
    customers("customers/word-of-all", "search=orders"),
    customers("customers/word-of-all-last", "search=orders").last(),
    customers("customers/common-word", "search=gmbh"),
    customers("customers/rare-word", "search=northwind"),
    customers("customers/one-letter", "search=a"),
    customers("customers/two-words", "search=orders+gmbh"),
    customers("customers/two-rare-words", "search=northwind+trading"),
    customers("customers/two-words-that-meet-seldom", "search=alder+catering"),
    customers("customers/two-words-that-never-meet", "search=ltd+gmbh"),
    customers("customers/no-word", "search=zzz"),
    products("products/first", ""),
    products("products/last", "").last(),
    products("products/common-word", "search=drill"),
    products("products/common-word-last", "search=steel").last(),
    products("products/rare-word", "search=cordless"),
    products("products/one-letter", "search=s"),
    products("products/two-words", "search=steel+s"),
    products("products/two-words-that-never-meet", "search=drill+lamp"),
    products("products/no-word", "search=zzz"),
    orders("orders/first", ""),
    orders("orders/last", "").last(),
    orders("orders/oldest", "to={}").with("SELECT DATE_FORMAT(created_at, '%Y-%m-%dT%TZ') FROM orders WHERE id = 20"),
    orders("orders/status", "status=CANCELED"),
    orders("orders/status-last", "status=CANCELED").last(),
    orders("orders/customer", "customer_id={}")
        .with("SELECT customer_id FROM orders GROUP BY customer_id HAVING COUNT(*) = 2 LIMIT 1"),
    orders("orders/reference", "external_reference={}").with(
        "SELECT external_reference FROM orders WHERE external_reference IS NOT NULL \
         GROUP BY external_reference HAVING COUNT(*) = 1 LIMIT 1",
    ),
    orders("orders/from-to", "from={}&to={}").with(WINDOW),
    orders("orders/status-from-to", "status=CONFIRMED&from={}&to={}").with(WINDOW),
];

/// The moments of two orders with 49 between them.
const WINDOW: &str = "SELECT DATE_FORMAT(created_at, '%Y-%m-%dT%TZ') FROM orders WHERE id IN (300, 350) ORDER BY id";

const fn customers(case: &'static str, filter: &'static str) -> Question {
    ask(case, "customers", Service::Customers, filter)
}

const fn products(case: &'static str, filter: &'static str) -> Question {
    ask(case, "products", Service::Orders, filter)
}

const fn orders(case: &'static str, filter: &'static str) -> Question {
    ask(case, "orders", Service::Orders, filter)
}

const fn ask(case: &'static str, path: &'static str, service: Service, filter: &'static str) -> Question {
    Question { case, rows: path, service, path, filter, sql: None, place: Place::First }
}

impl Question {
    const fn last(self) -> Self {
        Self { place: Place::Last, ..self }
    }

    const fn with(self, sql: &'static str) -> Self {
        Self { sql: Some(sql), ..self }
    }
}
