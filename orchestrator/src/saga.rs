//! Runs a saga: its steps forward and, where one fails, backward.
//!
//! What the steps do, and how often they try, is the saga's own part. Nothing here knows HTTP.

use tokio::time::Instant;

/// A piece of work in steps that can be taken back.
pub(crate) trait Saga {
    /// Names a step.
    type Step: Copy + 'static;
    /// Why a step failed.
    type Cause;

    /// The steps, in the order in which they are carried out.
    const STEPS: &'static [Self::Step];

    /// Carries a step out, or finds that an earlier run of the same saga did.
    async fn run(&mut self, step: Self::Step, until: Instant) -> Result<(), Halt<Self::Cause>>;

    /// Takes back what a step did or may have done. Has to be right also where it did nothing.
    async fn undo(&mut self, step: Self::Step, until: Instant) -> Undo<Self::Cause>;
}

/// How a step failed.
pub(crate) struct Halt<C> {
    /// How often it was tried.
    pub(crate) attempts: u32,
    pub(crate) cause: C,
    pub(crate) then: Then,
}

/// What has to be taken back after a failure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The earlier steps; the failed one did nothing.
    UndoEarlier,
    /// The earlier steps, and what the failed one may have done.
    UndoThisToo,
    /// Nothing: it stays as the step found it.
    Leave(Undone),
}

/// What came of taking one step back.
pub(crate) enum Undo<C> {
    /// There was nothing.
    Nothing,
    /// There was nothing, and this is why the saga has to fail.
    Explained(C),
    /// It is taken back.
    Done,
    /// It could not be reached.
    Failed,
    /// It is final: the saga's work turned out to be done.
    Completed,
}

/// What is left of a saga that failed, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Undone {
    /// Nothing was done.
    Nothing,
    /// What was done is taken back.
    Done,
    /// Something may be left.
    Pending,
}

/// Why and where a saga failed, and what is left of it.
pub(crate) struct Failed<S, C> {
    pub(crate) step: S,
    /// How often that step was tried.
    pub(crate) attempts: u32,
    pub(crate) cause: C,
    pub(crate) undone: Undone,
}

/// When to stop going forward, and when to stop going back.
#[derive(Clone, Copy)]
pub(crate) struct Deadlines {
    pub(crate) forward: Instant,
    pub(crate) undo: Instant,
}

/// Carries every step out, or takes back what was done.
pub(crate) async fn run<S: Saga>(saga: &mut S, deadlines: Deadlines) -> Result<(), Failed<S::Step, S::Cause>> {
    for (index, &step) in S::STEPS.iter().enumerate() {
        let Err(Halt { attempts, cause, then }) = saga.run(step, deadlines.forward).await else { continue };
        let left = match then {
            Then::UndoEarlier => unwind(saga, &S::STEPS[..index], cause, deadlines.undo).await,
            Then::UndoThisToo => unwind(saga, &S::STEPS[..=index], cause, deadlines.undo).await,
            Then::Leave(undone) => Some((undone, cause)),
        };
        return left.map_or(Ok(()), |(undone, cause)| Err(Failed { step, attempts, cause, undone }));
    }
    Ok(())
}

/// Takes the steps back, the last one first. Gives what is left and why the saga failed; none where the work turned out
/// to be done.
async fn unwind<S: Saga>(
    saga: &mut S,
    steps: &[S::Step],
    mut cause: S::Cause,
    until: Instant,
) -> Option<(Undone, S::Cause)> {
    let mut undone = Undone::Nothing;
    for &step in steps.iter().rev() {
        match saga.undo(step, until).await {
            Undo::Completed => return None,
            Undo::Nothing => {}
            Undo::Explained(found) => cause = found,
            Undo::Done => undone = undone.max(Undone::Done),
            Undo::Failed => undone = Undone::Pending,
        }
    }
    Some((undone, cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three steps that write down what happens to them. One fails as told; one cannot be taken back as told.
    struct Recorded {
        fails: Option<(u8, Then)>,
        stuck: Option<u8>,
        final_since: Option<u8>,
        explains: Option<u8>,
        done: Vec<u8>,
        log: Vec<String>,
    }

    impl Recorded {
        fn new(fails: Option<(u8, Then)>) -> Self {
            Self { fails, stuck: None, final_since: None, explains: None, done: Vec::new(), log: Vec::new() }
        }

        async fn outcome(&mut self) -> Result<(), (u8, Undone)> {
            self.run().await.map_err(|failed| (failed.step, failed.undone))
        }

        async fn run(&mut self) -> Result<(), Failed<u8, &'static str>> {
            let now = Instant::now();
            run(self, Deadlines { forward: now, undo: now }).await
        }
    }

    impl Saga for Recorded {
        type Step = u8;
        type Cause = &'static str;
        const STEPS: &'static [u8] = &[1, 2, 3];

        async fn run(&mut self, step: u8, _: Instant) -> Result<(), Halt<&'static str>> {
            self.log.push(format!("run {step}"));
            match self.fails {
                Some((failing, then)) if failing == step => {
                    if then == Then::UndoThisToo {
                        self.done.push(step);
                    }
                    Err(Halt { attempts: 1, cause: "it failed", then })
                }
                _ => {
                    self.done.push(step);
                    Ok(())
                }
            }
        }

        async fn undo(&mut self, step: u8, _: Instant) -> Undo<&'static str> {
            self.log.push(format!("undo {step}"));
            if self.explains == Some(step) {
                return Undo::Explained("it was never possible");
            }
            if self.stuck == Some(step) {
                return Undo::Failed;
            }
            if self.final_since == Some(step) {
                return Undo::Completed;
            }
            let before = self.done.len();
            self.done.retain(|done| *done != step);
            if self.done.len() < before { Undo::Done } else { Undo::Nothing }
        }
    }

    #[tokio::test]
    async fn every_step_runs_once_and_in_order() {
        let mut saga = Recorded::new(None);
        assert_eq!(saga.outcome().await, Ok(()));
        assert_eq!(saga.log, ["run 1", "run 2", "run 3"]);
    }

    #[tokio::test]
    async fn whichever_step_fails_nothing_is_left() {
        for then in [Then::UndoEarlier, Then::UndoThisToo] {
            for failing in 1..=3 {
                let mut saga = Recorded::new(Some((failing, then)));
                let undone = if failing == 1 && then == Then::UndoEarlier { Undone::Nothing } else { Undone::Done };
                assert_eq!(saga.outcome().await, Err((failing, undone)));
                assert_eq!(saga.done, [] as [u8; 0]);
            }
        }
    }

    #[tokio::test]
    async fn steps_are_taken_back_the_last_one_first() {
        let mut saga = Recorded::new(Some((3, Then::UndoThisToo)));
        assert_eq!(saga.outcome().await, Err((3, Undone::Done)));
        assert_eq!(saga.log[3..], ["undo 3", "undo 2", "undo 1"]);
    }

    #[tokio::test]
    async fn a_step_that_did_nothing_is_not_taken_back() {
        let mut saga = Recorded::new(Some((3, Then::UndoEarlier)));
        assert_eq!(saga.outcome().await, Err((3, Undone::Done)));
        assert_eq!(saga.log, ["run 1", "run 2", "run 3", "undo 2", "undo 1"]);
    }

    #[tokio::test]
    async fn a_step_that_cannot_be_taken_back_does_not_keep_the_earlier_ones() {
        let mut saga = Recorded { stuck: Some(2), ..Recorded::new(Some((3, Then::UndoEarlier))) };
        assert_eq!(saga.outcome().await, Err((3, Undone::Pending)));
        assert_eq!(saga.done, [2]);
    }

    #[tokio::test]
    async fn work_that_turns_out_to_be_done_is_a_success() {
        let mut saga = Recorded { final_since: Some(2), ..Recorded::new(Some((3, Then::UndoEarlier))) };
        assert_eq!(saga.outcome().await, Ok(()));
        assert_eq!(saga.done, [1, 2]);
    }

    #[tokio::test]
    async fn what_is_found_out_on_the_way_back_tells_why() {
        let mut saga = Recorded { explains: Some(3), ..Recorded::new(Some((3, Then::UndoThisToo))) };
        let failed = saga.run().await.err().unwrap();
        assert_eq!((failed.cause, failed.undone), ("it was never possible", Undone::Done));
        assert_eq!(saga.log[3..], ["undo 3", "undo 2", "undo 1"]);
    }

    #[tokio::test]
    async fn what_belongs_to_somebody_else_is_left_alone() {
        let mut saga = Recorded::new(Some((3, Then::Leave(Undone::Nothing))));
        assert_eq!(saga.outcome().await, Err((3, Undone::Nothing)));
        assert_eq!(saga.done, [1, 2]);
    }
}
