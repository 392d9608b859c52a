//! Whether the answers under one key agree.

use super::Findings;
use crate::history::{History, Record, Sent};
use crate::operation::Operation;

const SAME_ORDER: &str = "every success under one key shows the same order";
const SAME_BYTES: &str = "every success under one key has the same bytes";
const MARKED: &str = "every success under one key but the first says Idempotent-Replayed: true";
const STAYS: &str = "what succeeded under a key is answered so again";
const ONE_CONTENT: &str = "a key is good for one content";
const REUSED: &str = "only where a key came with other content before is it refused as reused";

pub(super) fn check(history: &History, findings: &mut Findings) {
    for record in history.records.iter().filter(|record| record.key.is_some()) {
        check_same(record, findings);
        check_marked(record, findings);
        check_stays(record, findings);
        check_content(record, findings);
    }
}

fn check_same(record: &Record, findings: &mut Findings) {
    let successes: Vec<_> =
        record.acknowledged().filter_map(|sent| Some((sent, sent.outcome.as_ref().ok()?))).collect();
    let Some((first_sent, first)) = successes.first() else { return };
    for (sent, told) in &successes[1..] {
        findings.unless(told.seen == first.seen, SAME_ORDER, || {
            format!("{} was told of {:?}, and then of {:?}", record.name(), first.seen, told.seen)
        });
        // Each sender of a saga names a piece of work of its own, and is told of it.
        let alike = sent.sender != first_sent.sender || told.digest == first.digest;
        findings.unless(alike, SAME_BYTES, || {
            format!("{} was answered {}, and then {}", record.name(), text(first_sent), text(sent))
        });
    }
}

fn text(sent: &Sent) -> String {
    sent.body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned()).unwrap_or_default()
}

/// The orchestrator does not tell.
fn check_marked(record: &Record, findings: &mut Findings) {
    if record.operation() == Operation::OrderCreateAndConfirm {
        return;
    }
    let first_times = record.acknowledged().filter(|sent| !sent.is_replay()).count();
    findings.unless(first_times <= 1, MARKED, || {
        format!("{} was told {first_times} times that it was carried out just now", record.name())
    });
}

fn check_stays(record: &Record, findings: &mut Findings) {
    for later in &record.sends {
        let Some((status @ 400..500, code)) = later.refusal() else { continue };
        let told = record.acknowledged().any(|sent| sent.request == later.request && sent.ended < later.started);
        let kept = !told || code == "idempotency_in_progress";
        findings.unless(kept, STAYS, || format!("{} succeeded, and then was refused: {status} {code}", record.name()));
    }
}

fn check_content(record: &Record, findings: &mut Findings) {
    let mut succeeded: Vec<_> = record.acknowledged().map(|sent| sent.request).collect();
    succeeded.sort_unstable();
    succeeded.dedup();
    findings.unless(succeeded.len() <= 1, ONE_CONTENT, || {
        format!("{} succeeded with {} contents", record.name(), succeeded.len())
    });
    for sent in &record.sends {
        if !matches!(sent.refusal(), Some((_, "idempotency_key_reused"))) {
            continue;
        }
        let other_came = record.sends.iter().any(|other| other.request != sent.request && other.started < sent.ended);
        findings.unless(other_came, REUSED, || format!("{} was refused as reused", record.name()));
    }
}
