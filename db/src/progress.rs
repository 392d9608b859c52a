//! How far the inserting of generated orders is: a bar on a terminal, a line per tenth elsewhere.

use std::cell::Cell;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

/// Counts orders and shows how many there are and how fast they come.
pub(crate) struct Progress {
    bar: ProgressBar,
    total: u64,
    done: Cell<u64>,
    started: Instant,
}

impl Progress {
    /// Shows that none of `total` orders is done.
    pub(crate) fn of(total: u32) -> Self {
        let style = "{bar:40} {human_pos}/{human_len} orders, {per_sec}, {eta} left";
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(total.into()).with_style(style);
        bar.tick();
        Self { bar, total: total.into(), done: Cell::new(0), started: Instant::now() }
    }

    /// Counts `more` orders.
    pub(crate) fn advance(&self, more: usize) {
        let before = self.done.get();
        let done = before + u64::try_from(more).unwrap_or_default();
        self.done.set(done);
        self.bar.set_position(done);
        if self.bar.is_hidden() && done * 10 / self.total != before * 10 / self.total {
            println!("{done} of {} orders, {:.0} per second", self.total, self.rate());
        }
    }

    /// Leaves one line that says how long it took.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
        let seconds = self.started.elapsed().as_secs_f64();
        println!("inserted {} orders in {seconds:.1} s, {:.0} per second", self.done.get(), self.rate());
    }

    fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "shown without decimals")]
        let done = self.done.get() as f64;
        done / self.started.elapsed().as_secs_f64()
    }
}
