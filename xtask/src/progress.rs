//! Progress of steps that take time: spinners on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::color;
use crate::workspace::complain;

const REDRAW_EVERY: Duration = Duration::from_millis(100);
/// How often a step reports its details where lines cannot be overwritten.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The steps that are running.
#[derive(Clone)]
pub(crate) struct Progress {
    /// Hidden where standard error is no terminal.
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

    /// Begins a step. Several may run at the same time.
    pub(crate) fn start(&self, step: &str, text: &str) {
        let bar = ProgressBar::new_spinner().with_style(spinner_style()).with_prefix(step.to_owned());
        let bar = self.bars.add(bar.with_message(text.to_owned()));
        if self.bars.is_hidden() {
            complain(&format!("{step}: {text}"));
        } else {
            bar.enable_steady_tick(REDRAW_EVERY);
        }
        self.lock().insert(step.to_owned(), Step { bar, last_line: Instant::now() });
    }

    /// Shows the current work of a step.
    pub(crate) fn detail(&self, step: &str, text: &str) {
        let mut steps = self.lock();
        let Some(Step { bar, last_line }) = steps.get_mut(step) else { return };
        bar.set_message(text.trim().to_owned());
        if self.bars.is_hidden() && last_line.elapsed() >= LINE_EVERY {
            *last_line = Instant::now();
            complain(&format!("{step}: {}", text.trim()));
        }
    }

    /// Ends a step that has succeeded.
    pub(crate) fn done(&self, step: &str, text: &str) {
        if let Some(Step { bar, .. }) = self.lock().remove(step) {
            bar.finish_and_clear();
        }
        // On a terminal it is a line of its own, which stays when the log goes on below.
        self.say(&if self.bars.is_hidden() { format!("{step}: {text}") } else { format!("✓ {step:<12} {text}") });
    }

    /// Prints lines that stay.
    pub(crate) fn say(&self, text: &str) {
        self.bars.suspend(|| complain(text));
    }

    /// Removes the spinners of steps that were given up.
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
    let colours = ("{spinner:.cyan}", "{elapsed:.dim}");
    let (spinner, elapsed) = if color::on_stderr() { colours } else { ("{spinner}", "{elapsed}") };
    let template = format!("{spinner} {{prefix:<12}} {{wide_msg}} {elapsed}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
