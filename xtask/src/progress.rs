//! Progress of steps that take time: spinners on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
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
    terminal: Option<MultiProgress>,
    steps: Arc<Mutex<BTreeMap<String, Step>>>,
}

struct Step {
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { terminal: io::stderr().is_terminal().then(MultiProgress::new), steps: Arc::default() }
    }

    /// Begins a step. Several may run at the same time.
    pub(crate) fn start(&self, step: &str, text: &str) {
        let bar = self.terminal.as_ref().map(|all| {
            let bar = all.add(ProgressBar::new_spinner().with_style(spinner_style()));
            bar.set_prefix(step.to_owned());
            bar.set_message(text.to_owned());
            bar.enable_steady_tick(REDRAW_EVERY);
            bar
        });
        if bar.is_none() {
            complain(&format!("{step}: {text}"));
        }
        self.lock().insert(step.to_owned(), Step { bar, last_line: Instant::now() });
    }

    /// Shows the current work of a step.
    pub(crate) fn detail(&self, step: &str, text: &str) {
        let mut steps = self.lock();
        let Some(Step { bar, last_line }) = steps.get_mut(step) else { return };
        if let Some(bar) = bar {
            bar.set_message(text.trim().to_owned());
        } else if last_line.elapsed() >= LINE_EVERY {
            *last_line = Instant::now();
            complain(&format!("{step}: {}", text.trim()));
        }
    }

    /// Ends a step that has succeeded.
    pub(crate) fn done(&self, step: &str, text: &str) {
        let running = self.lock().remove(step);
        if let Some(bar) = running.and_then(|step| step.bar) {
            bar.finish_and_clear();
        }
        match self.terminal {
            // A line of its own: it stays when the log goes on below.
            Some(_) => self.say(&format!("✓ {step:<12} {text}")),
            None => self.say(&format!("{step}: {text}")),
        }
    }

    /// Prints lines that stay.
    pub(crate) fn say(&self, text: &str) {
        match &self.terminal {
            Some(all) => all.suspend(|| complain(text)),
            None => complain(text),
        }
    }

    /// Removes the spinners of steps that were given up.
    pub(crate) fn clear(&self) {
        for step in std::mem::take(&mut *self.lock()).into_values() {
            if let Some(bar) = step.bar {
                bar.finish_and_clear();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Step>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spinner_style() -> ProgressStyle {
    let template = if color::on_stderr() {
        "{spinner:.cyan} {prefix:<12} {wide_msg} {elapsed:.dim}"
    } else {
        "{spinner} {prefix:<12} {wide_msg} {elapsed}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
