//! Progress display for long-running steps: spinners on a terminal, plain lines otherwise.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::color;
use crate::workspace::eprint_line;

const REDRAW_INTERVAL: Duration = Duration::from_millis(100);
/// Minimum interval between detail lines of a step when the output is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Progress {
    /// Hidden if standard error is not a terminal.
    bars: MultiProgress,
    steps: Arc<Mutex<BTreeMap<String, Step>>>,
}

struct Step {
    bar: ProgressBar,
    last_line: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { bars: MultiProgress::new(), steps: Arc::default() }
    }

    /// Starts a step. Steps may run concurrently.
    pub(crate) fn start(&self, step: &str, text: &str) {
        let bar = ProgressBar::new_spinner().with_style(spinner_style()).with_prefix(step.to_owned());
        let bar = self.bars.add(bar.with_message(text.to_owned()));
        if self.bars.is_hidden() {
            eprint_line(&format!("{step}: {text}"));
        } else {
            bar.enable_steady_tick(REDRAW_INTERVAL);
        }
        self.lock().insert(step.to_owned(), Step { bar, last_line: Instant::now() });
    }

    pub(crate) fn detail(&self, step: &str, text: &str) {
        let mut steps = self.lock();
        let Some(Step { bar, last_line }) = steps.get_mut(step) else { return };
        bar.set_message(text.trim().to_owned());
        if self.bars.is_hidden() && last_line.elapsed() >= LINE_INTERVAL {
            *last_line = Instant::now();
            eprint_line(&format!("{step}: {}", text.trim()));
        }
    }

    pub(crate) fn finish(&self, step: &str, text: &str) {
        if let Some(Step { bar, .. }) = self.lock().remove(step) {
            bar.finish_and_clear();
        }
        // On a terminal, replace the spinner with a permanent line above later output.
        self.print(&if self.bars.is_hidden() { format!("{step}: {text}") } else { format!("✓ {step:<12} {text}") });
    }

    /// Prints lines above the spinners.
    pub(crate) fn print(&self, text: &str) {
        self.bars.suspend(|| eprint_line(text));
    }

    /// Removes the spinners of unfinished steps.
    pub(crate) fn clear(&self) {
        for Step { bar, .. } in std::mem::take(&mut *self.lock()).into_values() {
            bar.finish_and_clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Step>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spinner_style() -> ProgressStyle {
    let colors = ("{spinner:.cyan}", "{elapsed:.dim}");
    let (spinner, elapsed) = if color::on_stderr() { colors } else { ("{spinner}", "{elapsed}") };
    let template = format!("{spinner} {{prefix:<12}} {{wide_msg}} {elapsed}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
