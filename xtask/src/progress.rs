//! What the user sees while something takes time: spinners on a terminal, plain lines elsewhere, and for `--detach` a
//! relay from the process in the background to the one in the foreground.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

const REDRAW_EVERY: Duration = Duration::from_millis(100);
/// How often a step says in a log that it goes on.
const LINE_EVERY: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<Output>>);

enum Output {
    Spinners(MultiProgress, BTreeMap<String, ProgressBar>),
    /// With the time of the last line of each step that is running.
    Lines(BTreeMap<String, Instant>),
    /// To the process that reads [`Progress::replay`].
    Relay,
}

/// What a relayed line means. The words are only ever read by the same build of this program.
const START: &str = "start";
const DETAIL: &str = "detail";
const DONE: &str = "done";
const SAY: &str = "say";
const READY: &str = "ready";

impl Progress {
    pub(crate) fn new(relay: bool) -> Self {
        let output = if relay {
            Output::Relay
        } else if io::stderr().is_terminal() {
            Output::Spinners(MultiProgress::new(), BTreeMap::new())
        } else {
            Output::Lines(BTreeMap::new())
        };
        Self(Arc::new(Mutex::new(output)))
    }

    /// A step has begun. Several may run at the same time.
    pub(crate) fn start(&self, step: &str, text: &str) {
        self.with(|output| match output {
            Output::Spinners(all, bars) => {
                let bar = all.add(ProgressBar::new_spinner().with_style(spinner_style()));
                bar.set_prefix(step.to_owned());
                bar.set_message(text.to_owned());
                bar.enable_steady_tick(REDRAW_EVERY);
                bars.insert(step.to_owned(), bar);
            }
            Output::Lines(steps) => {
                steps.insert(step.to_owned(), Instant::now());
                put(&format!("{step}: {text}"));
            }
            Output::Relay => relay(START, step, text),
        });
    }

    /// A step that is running does this now. Where it cannot be overwritten later, only shown now and then.
    pub(crate) fn detail(&self, step: &str, text: &str) {
        self.with(|output| match output {
            Output::Spinners(_, bars) => {
                if let Some(bar) = bars.get(step) {
                    bar.set_message(text.trim().to_owned());
                }
            }
            Output::Lines(steps) => {
                let last = steps.get_mut(step).filter(|last| last.elapsed() >= LINE_EVERY);
                if let Some(last) = last {
                    *last = Instant::now();
                    put(&format!("{step}: {}", text.trim()));
                }
            }
            Output::Relay => relay(DETAIL, step, text),
        });
    }

    /// A step has ended well.
    pub(crate) fn done(&self, step: &str, text: &str) {
        self.with(|output| match output {
            Output::Spinners(all, bars) => {
                if let Some(bar) = bars.remove(step) {
                    bar.finish_and_clear();
                }
                // A line of its own: it stays when the log goes on below.
                all.suspend(|| put(&format!("✓ {step:<12} {text}")));
            }
            Output::Lines(steps) => {
                steps.remove(step);
                put(&format!("{step}: {text}"));
            }
            Output::Relay => relay(DONE, step, text),
        });
    }

    /// Something worth keeping on the screen; may have several lines.
    pub(crate) fn say(&self, text: &str) {
        self.with(|output| match output {
            Output::Spinners(all, _) => all.suspend(|| put(text)),
            Output::Lines(_) => put(text),
            Output::Relay => text.lines().for_each(|line| relay(SAY, "", line)),
        });
    }

    /// Removes the spinners of steps that were given up.
    pub(crate) fn clear(&self) {
        self.with(|output| {
            if let Output::Spinners(_, bars) = output {
                for bar in std::mem::take(bars).into_values() {
                    bar.finish_and_clear();
                }
            }
        });
    }

    /// Tells the process in the foreground that it may end.
    pub(crate) fn ready(&self) {
        self.with(|output| {
            if matches!(output, Output::Relay) {
                relay(READY, "", "");
            }
        });
    }

    /// Shows a line that another process relayed. True when that process is ready.
    pub(crate) fn replay(&self, line: &str) -> bool {
        let mut parts = line.splitn(3, '\t');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(START), Some(step), Some(text)) => self.start(step, text),
            (Some(DETAIL), Some(step), Some(text)) => self.detail(step, text),
            (Some(DONE), Some(step), Some(text)) => self.done(step, text),
            (Some(SAY), Some(_), Some(text)) => self.say(text),
            (Some(READY), Some(_), Some(_)) => return true,
            // An error message, or what the runtime says when it panics.
            _ => {
                self.clear();
                self.say(line);
            }
        }
        false
    }

    fn with(&self, act: impl FnOnce(&mut Output)) {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Like `eprintln!`, but does not panic when the terminal is gone.
fn put(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn relay(word: &str, step: &str, text: &str) {
    put(&format!("{word}\t{step}\t{text}"));
}

fn spinner_style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner:.cyan} {prefix:<12} {wide_msg} {elapsed:.dim}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}
