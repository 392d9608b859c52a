//! Whether the answers under one key agree.

use super::Findings;
use crate::history::{History, Record};
use crate::outcome::Success;
use crate::request::Request;

const SAME_ORDER: &str = "every success under one key shows the same order";
const SAME_BYTES: &str = "every success under one key has the same bytes";
const MARKED: &str = "every success under one key but the first says Idempotent-Replayed: true";
const STAYS: &str = "what succeeded under a key is answered so again";
const ONE_CONTENT: &str = "a key is good for one content";
const REUSED: &str = "only where a key came with other content before is it refused as reused";

pub(super) fn check(history: &History, findings: &mut Findings) {
    for record in history.records.iter().filter(|record| record.key.is_some()) {
        check_successes(record, findings);
        for sent in &record.sends {
            let Some((status, refusal)) = sent.refusal() else { continue };
            let code = refusal.code.as_str();
            let acknowledged = record.acknowledged().any(|one| one.request == sent.request && one.ended < sent.started);
            let stays = !acknowledged || status >= 500 || code == "idempotency_in_progress";
            findings.unless(stays, STAYS, format_args!("{record} succeeded, and then was refused: {status} {code}"));
            let mut others = record.sends.iter().filter(|other| other.request != sent.request);
            let is_reuse = code != "idempotency_key_reused" || others.any(|other| other.started < sent.ended);
            findings.unless(is_reuse, REUSED, format_args!("{record} was refused as reused"));
        }
    }
}

fn check_successes(record: &Record, findings: &mut Findings) {
    let mut successes = record.sends.iter().filter_map(|sent| Some((sent, sent.outcome.as_ref().ok()?)));
    let Some((first, Success { seen, body, .. })) = successes.next() else { return };
    for (sent, success) in successes {
        let both = (seen, &success.seen);
        findings.unless(both.0 == both.1, SAME_ORDER, format_args!("{record} was told of {both:?}"));
        // Each sender of a saga names a piece of work of its own, which its answer repeats.
        let alike = sent.sender != first.sender || success.body == *body;
        let [one, other] = [body, &success.body].map(|body| String::from_utf8_lossy(body));
        findings.unless(alike, SAME_BYTES, format_args!("{record} was answered {one}, and then {other}"));
        let one_content = sent.request == first.request;
        findings.unless(one_content, ONE_CONTENT, format_args!("{record} succeeded with several contents"));
    }
    // The orchestrator does not mark replays.
    let executed = record.acknowledged().filter(|sent| !sent.is_replay()).count();
    let marked = executed <= 1 || matches!(record.request(), Request::CreateAndConfirm(_));
    findings.unless(marked, MARKED, format_args!("{record} was told {executed} times that it was executed just now"));
}
