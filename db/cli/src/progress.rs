//! Progress display for the insertion of generated rows: a progress bar on a terminal, otherwise one line per 10%.

use std::cell::Cell;
use std::time::Instant;

use db_cli::seed::Size;
use indicatif::{ProgressBar, ProgressStyle};

/// Counts inserted customers, products and orders, and shows progress and rate.
pub(crate) struct Progress {
    bar: ProgressBar,
    size: Size,
    done: Cell<u64>,
    started: Instant,
}

impl Progress {
    /// Shows an empty progress bar for `size`.
    pub(crate) fn of(size: Size) -> Self {
        let style = "{bar:40} {human_pos}/{human_len} customers, products and orders, {per_sec}, {eta} left";
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(size.total()).with_style(style);
        bar.tick();
        Self { bar, size, done: Cell::new(0), started: Instant::now() }
    }

    /// Adds `more` customers, products or orders.
    pub(crate) fn advance(&self, more: usize) {
        let (before, total) = (self.done.get(), self.size.total());
        let done = before + u64::try_from(more).unwrap_or_default();
        self.done.set(done);
        self.bar.set_position(done);
        if self.bar.is_hidden() && done * 10 / total != before * 10 / total {
            println!("{done} of {total} customers, products and orders, {:.0} per second", self.rate(done));
        }
    }

    /// Replaces the bar with a one-line summary: number of rows, duration and rate.
    pub(crate) fn finish(&self, rows: usize) {
        self.bar.finish_and_clear();
        let Size { orders, customers, products } = self.size;
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = self.rate(u64::try_from(rows).unwrap_or(u64::MAX));
        println!(
            "inserted {orders} orders, {customers} customers and {products} products: {rows} rows in {seconds:.1} s, \
             {rate:.0} rows/s"
        );
    }

    fn rate(&self, done: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "shown without decimals")]
        let done = done as f64;
        done / self.started.elapsed().as_secs_f64()
    }
}
