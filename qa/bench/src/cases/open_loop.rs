//! Open-loop latencies at half the maximum rate, measured from the due time to avoid coordinated omission.

use anyhow::Result;

use super::Bench;
use super::shop::{Shop, USUAL};
use crate::load::{Plan, measure};
use crate::results::{Rounds, median};

/// More connections than are in use at half the maximum rate, so that one is free whenever a request is due.
const CONNECTIONS: u16 = 64;
const PERCENTILES: [f64; 6] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.9];
/// Indexes in [`PERCENTILES`] of the 99th percentile, and of the median, which is its baseline.
const P99: usize = 4;
const P50: usize = 0;

/// Measures GET /customers/{id} and POST /orders.
pub(super) async fn open_loop(bench: &Bench) -> Result<()> {
    let shop = Shop::open(bench, "open_loop").await?;
    for (name, load) in [("customer_view", shop.views()), ("order_create", shop.creates())] {
        load.rate(USUAL, bench.each / 2).await?;
        let rate = load.rate(USUAL, bench.each).await? / 2.0;
        let mut rounds = PERCENTILES.map(|_| Vec::new());
        for _ in 0..bench.rounds {
            let latencies = measure(load.clone(), CONNECTIONS, Plan::Rate(rate, bench.each)).await?.latencies;
            rounds.iter_mut().zip(PERCENTILES).for_each(|(values, percentile)| values.push(at(&latencies, percentile)));
        }
        let p99 = Rounds { values: rounds[P99].clone(), baselines: rounds[P50].clone() };
        bench.add(&format!("open_loop/{name}/p99"), "ms", None, &p99);
        let points = PERCENTILES.into_iter().zip(rounds.iter().map(|values| median(values))).collect();
        bench.results.borrow_mut().latencies.push((format!("{name} at {rate:.0} requests/s"), points));
    }
    bench.close(shop.system).await
}

/// Returns a percentile of samples in ascending order.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank below 2^52")]
fn at(ascending: &[f64], percentile: f64) -> f64 {
    let rank = (ascending.len() as f64 * percentile / 100.0).ceil() as usize;
    ascending.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_the_nearest_rank() {
        let samples: Vec<f64> = (1..=1_000).map(f64::from).collect();
        assert_eq!(PERCENTILES.map(|percentile| at(&samples, percentile)), [500.0, 750.0, 900.0, 950.0, 990.0, 999.0]);
        assert!((at(&[7.0], 99.9) - 7.0).abs() < f64::EPSILON);
    }
}
