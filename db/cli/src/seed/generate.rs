//! What generated customers, products and orders look like. The same size gives the same rows every time.
//!
//! Nothing here knows the database: ids are counted from zero and times from the first order.

use rand::Rng;
use rand::distr::uniform::SampleUniform;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const SEED: u64 = 20_260_101;

/// Orders are spread over one year.
const SPAN_SECONDS: i64 = 365 * 24 * 3600;

/// How long before now that year begins: an hour earlier, so that what follows an order is over by now.
pub(super) const START_SECONDS: i64 = SPAN_SECONDS + 3600;

/// How much to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Orders, each of one to four products.
    pub orders: u32,
    /// Customers that the orders are of.
    pub customers: u32,
    /// Products that the orders are for.
    pub products: u32,
}

impl Size {
    /// A tenth as many customers and a twentieth as many products.
    #[must_use]
    pub fn of_orders(orders: u32) -> Self {
        Self { orders, customers: orders / 10, products: orders / 20 }
    }

    /// At least 10 customers and 10 products: enough of both to choose from.
    #[must_use]
    pub fn with_choice(self) -> Self {
        Self { customers: self.customers.max(10), products: self.products.max(10), ..self }
    }

    /// Orders, customers and products together.
    #[must_use]
    pub fn total(self) -> u64 {
        [self.orders, self.customers, self.products].into_iter().map(u64::from).sum()
    }
}

/// Where an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Created,
    Confirmed,
    Canceled,
    /// Confirmed, and canceled within the 10 minutes in which that is possible.
    ConfirmedThenCanceled,
}

impl Outcome {
    pub(super) fn is_canceled(self) -> bool {
        matches!(self, Self::Canceled | Self::ConfirmedThenCanceled)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Number of the product, from zero.
    pub(super) product: usize,
    pub(super) qty: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Order {
    /// Number of the customer, from zero.
    pub(super) customer: i64,
    pub(super) outcome: Outcome,
    /// Seconds from the start of the year.
    pub(super) created_after: i64,
    /// Seconds until it was confirmed, or canceled without being confirmed.
    pub(super) decided_after: i64,
    /// Seconds from its confirmation until it was canceled.
    pub(super) canceled_after: i64,
    pub(super) external_reference: Option<String>,
    /// In the order of the products, each product once.
    pub(super) items: Vec<Item>,
}

#[derive(Clone, Debug)]
pub(super) struct Product {
    pub(super) sku_prefix: &'static str,
    pub(super) name: String,
    pub(super) price_cents: i64,
    /// What is left on the shelf after all orders.
    pub(super) left: i64,
}

/// Names of customers.
pub(super) fn customers(size: Size) -> impl Iterator<Item = String> {
    let mut rng = generator(1);
    (0..size.customers)
        .map(move |_| format!("{} {} {}", pick(&mut rng, &OWNERS), pick(&mut rng, &TRADES), pick(&mut rng, &FORMS)))
}

/// Products, without what was sold of them.
pub(super) fn products(size: Size) -> impl Iterator<Item = Product> {
    let mut rng = generator(2);
    (0..size.products).map(move |_| {
        let (sku_prefix, thing) = *pick(&mut rng, &THINGS);
        let name = format!("{} {thing} {}", pick(&mut rng, &KINDS), pick(&mut rng, &VARIANTS));
        let price_cents = rng.random_range(1..=3000) * 50 + 490;
        Product { sku_prefix, name, price_cents, left: rng.random_range(0..=2000) }
    })
}

/// Orders, oldest first.
pub(super) fn orders(size: Size) -> impl Iterator<Item = Order> {
    let mut rng = generator(3);
    (0..size.orders).map(move |number| order(&mut rng, size, number.into()))
}

fn order(rng: &mut ChaCha8Rng, size: Size, number: i64) -> Order {
    let outcome = match rng.random_range(0..100) {
        0..70 => Outcome::Confirmed,
        70..90 => Outcome::Created,
        90..95 => Outcome::Canceled,
        _ => Outcome::ConfirmedThenCanceled,
    };
    Order {
        customer: popular(rng, size.customers.into()),
        outcome,
        created_after: evenly(number, size.orders.into()),
        decided_after: rng.random_range(5..900),
        canceled_after: rng.random_range(5..600),
        external_reference: rng.random_bool(0.3).then(|| format!("PO-{:06}", rng.random_range(0..1_000_000))),
        items: items(rng, usize::try_from(size.products).unwrap_or(usize::MAX)),
    }
}

/// One to four products, each once: the smallest catalog has ten, so that four different ones are soon found.
fn items(rng: &mut ChaCha8Rng, products: usize) -> Vec<Item> {
    let count = rng.random_range(1..=4);
    let mut items: Vec<Item> = Vec::with_capacity(count);
    while items.len() < count {
        let product = popular(rng, products);
        if items.iter().all(|item| item.product != product) {
            items.push(Item { product, qty: rng.random_range(1..=12) });
        }
    }
    items.sort_by_key(|item| item.product);
    items
}

/// The smaller of two numbers: low numbers come more often, as some customers and products do.
fn popular<N: SampleUniform + Ord + Default + Copy>(rng: &mut ChaCha8Rng, count: N) -> N {
    rng.random_range(N::default()..count).min(rng.random_range(N::default()..count))
}

/// The time of one of `count` events that follow each other at equal distances.
fn evenly(number: i64, count: i64) -> i64 {
    // In i128, because a year in seconds times any count of orders need not fit.
    let seconds = i128::from(SPAN_SECONDS) * i128::from(number) / i128::from(count.max(1));
    i64::try_from(seconds).unwrap_or(SPAN_SECONDS)
}

/// One stream of numbers per kind of row, so that a kind can change without changing the others.
fn generator(stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    rng.set_stream(stream);
    rng
}

fn pick<'a, T>(rng: &mut ChaCha8Rng, choices: &'a [T]) -> &'a T {
    choices.choose(rng).unwrap_or(&choices[0])
}

const OWNERS: [&str; 24] = [
    "Alder", "Baker", "Castillo", "Dubois", "Ekström", "Fischer", "García", "Hansen", "Ivanova", "Jensen", "Keller",
    "López", "Moreau", "Novak", "Olsen", "Petrov", "Quinn", "Rossi", "Santos", "Tanaka", "Ueda", "Vargas", "Weber",
    "Young",
];
const TRADES: [&str; 20] = [
    "Catering",
    "Cycles",
    "Electric",
    "Farms",
    "Foods",
    "Furniture",
    "Glass",
    "Hardware",
    "Hotels",
    "Instruments",
    "Joinery",
    "Logistics",
    "Marine",
    "Medical",
    "Motors",
    "Packaging",
    "Paper",
    "Print",
    "Textiles",
    "Tooling",
];
const FORMS: [&str; 8] = ["Ltd", "Inc", "GmbH", "SA", "AB", "LLC", "BV", "Group"];
const THINGS: [(&str, &str); 16] = [
    ("DRL", "Drill"),
    ("LMP", "Lamp"),
    ("GLV", "Gloves"),
    ("BIN", "Storage Bin"),
    ("BOX", "Box"),
    ("TPE", "Tape"),
    ("CBL", "Cable"),
    ("SCN", "Scanner"),
    ("CHR", "Chair"),
    ("DSK", "Desk"),
    ("LDR", "Ladder"),
    ("SAW", "Saw"),
    ("PMP", "Pump"),
    ("VLV", "Valve"),
    ("FLT", "Filter"),
    ("MTR", "Motor"),
];
const KINDS: [&str; 12] = [
    "Compact",
    "Industrial",
    "Heavy Duty",
    "Wireless",
    "Steel",
    "Aluminium",
    "Universal",
    "Precision",
    "Portable",
    "Insulated",
    "Adjustable",
    "Standard",
];
const VARIANTS: [&str; 12] = ["S", "M", "L", "XL", "100", "200", "250", "500", "Plus", "Pro", "Basic", "Set"];
