//! The model: what the shop holds, and what each operation has to be answered.
//!
//! It knows products and orders by their place in a list and keys by a number, and never waits, fails or forgets. Time is
//! what the operations let pass.

use std::collections::BTreeMap;

use orders_client::types::{AbandonOutcome, OrderStatus};

use super::operation::{Caller, Content, Operation, Tag};

/// The largest stock that an operator may set or reach by an adjustment.
pub(super) const MAX_STOCK: i64 = 1_000_000_000;

/// What is comparable of an order: no ids, no times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) order: usize,
    pub(super) status: OrderStatus,
    pub(super) version: i64,
    pub(super) total: i64,
    /// Product, pieces, price of one.
    pub(super) lines: Vec<(usize, i64, i64)>,
    pub(super) was_confirmed: bool,
    pub(super) was_canceled: bool,
}

/// What is comparable of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nobody was asked anything.
    Nothing,
    Order {
        status: u16,
        replayed: bool,
        seen: Seen,
    },
    Abandoned {
        outcome: AbandonOutcome,
        seen: Option<Seen>,
    },
    Product {
        price: i64,
        stock: i64,
        version: i64,
    },
    Movement {
        delta: i64,
    },
    /// The facts are the numbers of the details: product, requested, available, total.
    Refused {
        status: u16,
        code: String,
        facts: Vec<i64>,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Product {
    pub(super) price: i64,
    pub(super) stock: i64,
    pub(super) version: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) seen: Seen,
    pub(super) made_by: Caller,
    key: Option<u8>,
    content: Lines,
    pub(super) window_passed: bool,
}

/// What tells one create from another: pieces of each product, and the total that was expected.
type Lines = (BTreeMap<usize, i64>, Option<i64>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Request {
    Create(Lines),
    Confirm(usize),
    Cancel(usize),
}

impl Request {
    fn scope(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Confirm(_) => "confirm",
            Self::Cancel(_) => "cancel",
        }
    }
}

/// What a key keeps: the request, and its answer unless the request was given up.
#[derive(Debug, Clone)]
struct Kept {
    request: Request,
    answer: Option<(Answer, usize)>,
}

#[derive(Debug, Clone)]
pub(super) struct Shop {
    pub(super) products: Vec<Product>,
    pub(super) orders: Vec<Order>,
    keys: BTreeMap<(&'static str, Caller, u8), Kept>,
    /// Creates that were sent with a key, to be sent again.
    pub(super) sent: Vec<(Caller, u8, Content)>,
    /// How many operations there were.
    steps: usize,
    /// What the last of them has to be answered.
    pub(super) answer: Answer,
    /// The earlier operation to which exactly the same was answered.
    pub(super) same_as: Option<usize>,
}

impl Shop {
    /// With these stocks, at 100 cents each.
    pub(super) fn with_stocks(stocks: &[i64]) -> Self {
        let products = stocks.iter().map(|&stock| Product { price: 100, stock, version: 1 }).collect();
        let (orders, keys, sent) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { products, orders, keys, sent, steps: 0, answer: Answer::Nothing, same_as: None }
    }

    pub(super) fn apply(&mut self, operation: &Operation) {
        self.same_as = None;
        let answered = match operation {
            Operation::Create { caller, key, content } => self.create(*caller, *key, content),
            Operation::Confirm { caller, key, order, tag } => self.confirm(*caller, *key, *order, *tag),
            Operation::Cancel { caller, key, order, tag } => self.cancel(*caller, *key, *order, *tag),
            Operation::Abandon { key, content } => self.abandon(*key, content),
            Operation::Lookup { key } => self.lookup(*key),
            Operation::Adjust { product, delta } => self.adjust(*product, *delta),
            Operation::SetPrice { product, price } => self.edit(*product, Some(*price), None, None, None),
            Operation::SetStock { product, stock, expected, tag } => {
                self.edit(*product, None, Some(*stock), *expected, *tag)
            }
            Operation::LetReservationPass { order } => Ok(self.expire(*order)),
            Operation::LetCancelWindowPass { order } => {
                if let Some(order) = self.orders.get_mut(*order) {
                    order.window_passed = order.seen.was_confirmed;
                }
                Ok(Answer::Nothing)
            }
            Operation::LetKeyExpire { key } => {
                self.keys.retain(|(_, _, kept), _| kept != key);
                Ok(Answer::Nothing)
            }
            Operation::Restart => Ok(Answer::Nothing),
        };
        self.answer = answered.unwrap_or_else(|refusal| refusal);
        self.steps += 1;
    }

    fn create(&mut self, caller: Caller, key: Option<u8>, content: &Content) -> Result<Answer, Answer> {
        if let Some(key) = key {
            self.sent.push((caller, key, content.clone()));
        } else if caller == Caller::Service {
            return Err(refused(400, "invalid_request", &[]));
        }
        let lines = (content.merged(), content.expected_total);
        let request = Request::Create(lines.clone());
        if let Some(answer) = self.replay(caller, key, &request)? {
            return Ok(answer);
        }
        if let Some(made) = self.made_under(caller, key) {
            let seen = self.orders[made].seen.clone();
            return self.same_content(made, &lines).map(|()| Answer::Order { status: 201, replayed: true, seen });
        }
        let seen = self.sell(&lines)?;
        self.orders.push(Order { seen: seen.clone(), made_by: caller, key, content: lines, window_passed: false });
        Ok(self.keep(caller, key, request, Answer::Order { status: 201, replayed: false, seen }))
    }

    fn made_under(&self, caller: Caller, key: Option<u8>) -> Option<usize> {
        key?;
        self.orders.iter().position(|order| order.made_by == caller && order.key == key)
    }

    fn same_content(&self, order: usize, content: &Lines) -> Result<(), Answer> {
        if self.orders[order].content == *content { Ok(()) } else { Err(reused()) }
    }

    fn sell(&mut self, (lines, expected_total): &Lines) -> Result<Seen, Answer> {
        let missing: Vec<_> =
            lines.keys().filter(|product| **product >= self.products.len()).map(|&p| number(p)).collect();
        if !missing.is_empty() {
            return Err(refused(404, "product_not_found", &missing));
        }
        let short = lines.iter().filter(|&(&product, &qty)| self.products[product].stock < qty);
        let short: Vec<_> =
            short.flat_map(|(&product, &qty)| [number(product), qty, self.products[product].stock]).collect();
        if !short.is_empty() {
            return Err(refused(409, "insufficient_stock", &short));
        }
        let lines: Vec<_> = lines.iter().map(|(&product, &qty)| (product, qty, self.products[product].price)).collect();
        let total = lines.iter().map(|(_, qty, price)| qty * price).sum();
        if expected_total.is_some_and(|expected| expected != total) {
            return Err(refused(409, "total_changed", &[total]));
        }
        for &(product, qty, _) in &lines {
            self.move_stock(product, -qty);
        }
        let (order, status) = (self.orders.len(), OrderStatus::Created);
        Ok(Seen { order, status, version: 1, total, lines, was_confirmed: false, was_canceled: false })
    }

    fn confirm(&mut self, caller: Caller, key: u8, order: usize, tag: Tag) -> Result<Answer, Answer> {
        let request = Request::Confirm(order);
        if let Some(answer) = self.replay(caller, Some(key), &request)? {
            return Ok(answer);
        }
        let seen = self.order_at(order, tag)?;
        match seen.status {
            OrderStatus::Created => {
                (seen.status, seen.was_confirmed) = (OrderStatus::Confirmed, true);
                seen.version += 1;
            }
            OrderStatus::Confirmed => {}
            OrderStatus::Canceled => return Err(refused(409, "order_canceled", &[])),
        }
        let seen = seen.clone();
        Ok(self.keep(caller, Some(key), request, Answer::Order { status: 200, replayed: false, seen }))
    }

    fn cancel(&mut self, caller: Caller, key: Option<u8>, order: usize, tag: Tag) -> Result<Answer, Answer> {
        let request = Request::Cancel(order);
        if let Some(answer) = self.replay(caller, key, &request)? {
            return Ok(answer);
        }
        if self.order_at(order, tag)?.status != OrderStatus::Canceled {
            if self.orders[order].window_passed {
                return Err(refused(409, "cancel_window_passed", &[]));
            }
            self.release(order);
        }
        let seen = self.orders[order].seen.clone();
        Ok(self.keep(caller, key, request, Answer::Order { status: 200, replayed: false, seen }))
    }

    fn abandon(&mut self, key: u8, content: &Content) -> Result<Answer, Answer> {
        let (caller, lines) = (Caller::Service, (content.merged(), content.expected_total));
        let request = Request::Create(lines.clone());
        let id = (request.scope(), caller, key);
        if self.keys.get(&id).is_some_and(|kept| kept.request != request) {
            return Err(reused());
        }
        let made = self.made_under(caller, Some(key));
        if let Some(made) = made {
            self.same_content(made, &lines)?;
        }
        self.keys.entry(id).or_insert(Kept { request, answer: None });
        let Some(made) = made else {
            return Ok(Answer::Abandoned { outcome: AbandonOutcome::NeverCreated, seen: None });
        };
        if self.orders[made].seen.status == OrderStatus::Created {
            self.release(made);
        }
        let seen = self.orders[made].seen.clone();
        let confirmed = seen.status == OrderStatus::Confirmed;
        let outcome = if confirmed { AbandonOutcome::Confirmed } else { AbandonOutcome::Canceled };
        Ok(Answer::Abandoned { outcome, seen: Some(seen) })
    }

    fn lookup(&self, key: u8) -> Result<Answer, Answer> {
        let made = self.made_under(Caller::Service, Some(key)).ok_or_else(order_not_found)?;
        Ok(Answer::Order { status: 200, replayed: false, seen: self.orders[made].seen.clone() })
    }

    fn adjust(&mut self, product: usize, delta: i64) -> Result<Answer, Answer> {
        let stock = self.products[product].stock;
        if !(0..=MAX_STOCK).contains(&(stock + delta)) {
            return Err(refused(409, "stock_out_of_range", &[number(product), stock]));
        }
        self.move_stock(product, delta);
        Ok(Answer::Movement { delta })
    }

    fn edit(
        &mut self,
        index: usize,
        price: Option<i64>,
        stock: Option<i64>,
        expected: Option<i64>,
        tag: Tag,
    ) -> Result<Answer, Answer> {
        let product = &mut self.products[index];
        check(tag, product.version)?;
        if expected.is_some_and(|expected| expected != product.stock) {
            return Err(refused(409, "stock_changed", &[number(index), product.stock]));
        }
        product.price = price.unwrap_or(product.price);
        product.stock = stock.unwrap_or(product.stock);
        product.version += 1;
        Ok(Answer::Product { price: product.price, stock: product.stock, version: product.version })
    }

    /// Only what a service made and nobody confirmed expires.
    fn expire(&mut self, order: usize) -> Answer {
        let expires = |made: &Order| made.made_by == Caller::Service && made.seen.status == OrderStatus::Created;
        if self.orders.get(order).is_some_and(expires) {
            self.release(order);
        }
        Answer::Nothing
    }

    fn release(&mut self, order: usize) {
        let seen = &mut self.orders[order].seen;
        (seen.status, seen.was_canceled) = (OrderStatus::Canceled, true);
        seen.version += 1;
        for (product, qty, _) in seen.lines.clone() {
            self.move_stock(product, qty);
        }
    }

    fn move_stock(&mut self, product: usize, delta: i64) {
        let product = &mut self.products[product];
        product.stock += delta;
        product.version += 1;
    }

    fn order_at(&mut self, order: usize, tag: Tag) -> Result<&mut Seen, Answer> {
        let seen = &mut self.orders.get_mut(order).ok_or_else(order_not_found)?.seen;
        check(tag, seen.version)?;
        Ok(seen)
    }

    /// What the request was answered before, under its key.
    fn replay(&mut self, caller: Caller, key: Option<u8>, request: &Request) -> Result<Option<Answer>, Answer> {
        let Some(key) = key else { return Ok(None) };
        match self.keys.get(&(request.scope(), caller, key)) {
            None => Ok(None),
            Some(kept) if kept.request != *request => Err(reused()),
            Some(Kept { answer: None, .. }) => Err(refused(409, "idempotency_key_abandoned", &[])),
            Some(Kept { answer: Some((answer, step)), .. }) => {
                self.same_as = Some(*step);
                let mut answer = answer.clone();
                if let Answer::Order { replayed, .. } = &mut answer {
                    *replayed = true;
                }
                Ok(Some(answer))
            }
        }
    }

    fn keep(&mut self, caller: Caller, key: Option<u8>, request: Request, answer: Answer) -> Answer {
        if let Some(key) = key {
            let kept = Some((answer.clone(), self.steps));
            self.keys.insert((request.scope(), caller, key), Kept { request, answer: kept });
        }
        answer
    }
}

fn check(tag: Tag, version: i64) -> Result<(), Answer> {
    match tag {
        Some(wanted) if wanted != version => Err(refused(412, "precondition_failed", &[])),
        _ => Ok(()),
    }
}

fn number(index: usize) -> i64 {
    i64::try_from(index).unwrap()
}

fn refused(status: u16, code: &str, facts: &[i64]) -> Answer {
    Answer::Refused { status, code: code.to_owned(), facts: facts.to_vec() }
}

fn reused() -> Answer {
    refused(422, "idempotency_key_reused", &[])
}

fn order_not_found() -> Answer {
    refused(404, "order_not_found", &[])
}
