//! Deterministic generator of customers, products and orders: the same size produces the same data.
//!
//! The generator does not depend on the database: ids start at zero, and times are relative to the start of the period.

use rand::Rng;
use rand::distr::uniform::SampleUniform;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const SEED: u64 = 20_260_101;

/// Period over which orders are spread: one year.
const SPAN_SECONDS: i64 = 365 * 24 * 3600;

/// Age of the start of the period. It exceeds the period by one hour, so that confirmations and cancellations are in
/// the past.
pub(super) const START_SECONDS: i64 = SPAN_SECONDS + 3600;

/// Amount of data to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Number of orders, each with one to four products.
    pub orders: u32,
    /// Number of customers.
    pub customers: u32,
    /// Number of products.
    pub products: u32,
}

impl Size {
    /// Returns a size with a tenth as many customers and a twentieth as many products as orders.
    #[must_use]
    pub fn of_orders(orders: u32) -> Self {
        Self { orders, customers: orders / 10, products: orders / 20 }
    }

    /// Raises the size to at least 10 customers and 10 products, so that orders vary.
    #[must_use]
    pub fn with_minimum(self) -> Self {
        Self { customers: self.customers.max(10), products: self.products.max(10), ..self }
    }

    /// Returns the sum of orders, customers and products.
    #[must_use]
    pub fn total(self) -> u64 {
        [self.orders, self.customers, self.products].into_iter().map(u64::from).sum()
    }
}

/// Final state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Created,
    Confirmed,
    Canceled,
    /// Confirmed, then canceled within the 10-minute cancellation window.
    ConfirmedThenCanceled,
}

impl Outcome {
    pub(super) fn is_canceled(self) -> bool {
        matches!(self, Self::Canceled | Self::ConfirmedThenCanceled)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Index of the product, from zero.
    pub(super) product: usize,
    pub(super) qty: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Order {
    /// Index of the customer, from zero.
    pub(super) customer: i64,
    pub(super) outcome: Outcome,
    /// Seconds from the start of the period to the creation.
    pub(super) created_after: i64,
    /// Seconds from the creation to the confirmation, or to the cancellation of an unconfirmed order.
    pub(super) decided_after: i64,
    /// Seconds from the confirmation to the cancellation.
    pub(super) canceled_after: i64,
    pub(super) external_reference: Option<String>,
    /// Items sorted by product, each product at most once.
    pub(super) items: Vec<Item>,
}

#[derive(Clone, Debug)]
pub(super) struct Product {
    pub(super) sku_prefix: &'static str,
    pub(super) name: String,
    pub(super) price_cents: i64,
    /// Remaining stock, before canceled orders are restocked.
    pub(super) unsold: i64,
}

/// Generates customer names.
pub(super) fn customers(size: Size) -> impl Iterator<Item = String> {
    let mut rng = generator(1);
    (0..size.customers).map(move |_| {
        format!("{} {} {}", pick(&mut rng, &SURNAMES), pick(&mut rng, &TRADES), pick(&mut rng, &LEGAL_FORMS))
    })
}

/// Generates products.
pub(super) fn products(size: Size) -> impl Iterator<Item = Product> {
    let mut rng = generator(2);
    (0..size.products).map(move |_| {
        let (sku_prefix, article) = *pick(&mut rng, &ARTICLES);
        let name = format!("{} {article} {}", pick(&mut rng, &QUALITIES), pick(&mut rng, &VARIANTS));
        let price_cents = rng.random_range(1..=3000) * 50 + 490;
        Product { sku_prefix, name, price_cents, unsold: rng.random_range(0..=2000) }
    })
}

/// Generates orders, oldest first.
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
        customer: skewed(rng, size.customers.into()),
        outcome,
        created_after: evenly_spaced(number, size.orders.into()),
        decided_after: rng.random_range(5..900),
        canceled_after: rng.random_range(5..600),
        external_reference: rng.random_bool(0.3).then(|| format!("PO-{:06}", rng.random_range(0..1_000_000))),
        items: items(rng, usize::try_from(size.products).unwrap_or(usize::MAX)),
    }
}

/// Generates one to four items with distinct products. The loop ends quickly, because a catalog has at least ten
/// products.
fn items(rng: &mut ChaCha8Rng, products: usize) -> Vec<Item> {
    let count = rng.random_range(1..=4);
    let mut items: Vec<Item> = Vec::with_capacity(count);
    while items.len() < count {
        let product = skewed(rng, products);
        if items.iter().all(|item| item.product != product) {
            items.push(Item { product, qty: rng.random_range(1..=12) });
        }
    }
    items.sort_by_key(|item| item.product);
    items
}

/// Returns the smaller of two random numbers below `count`. Low numbers are more frequent, like popular products.
fn skewed<N: SampleUniform + Ord + Default + Copy>(rng: &mut ChaCha8Rng, count: N) -> N {
    rng.random_range(N::default()..count).min(rng.random_range(N::default()..count))
}

/// Returns the time in seconds of event `number` of `count` evenly spaced events.
fn evenly_spaced(number: i64, count: i64) -> i64 {
    // Use i128, because the product of the seconds in a year and the number of orders may overflow i64.
    let seconds = i128::from(SPAN_SECONDS) * i128::from(number) / i128::from(count.max(1));
    i64::try_from(seconds).unwrap_or(SPAN_SECONDS)
}

/// Returns a random number generator with a separate stream for each kind of row, so that a change to one kind does not
/// affect the others.
fn generator(stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    rng.set_stream(stream);
    rng
}

fn pick<'a, T>(rng: &mut ChaCha8Rng, choices: &'a [T]) -> &'a T {
    choices.choose(rng).unwrap_or(&choices[0])
}

const SURNAMES: [&str; 24] = [
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
const LEGAL_FORMS: [&str; 8] = ["Ltd", "Inc", "GmbH", "SA", "AB", "LLC", "BV", "Group"];
const ARTICLES: [(&str, &str); 16] = [
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
const QUALITIES: [&str; 12] = [
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
