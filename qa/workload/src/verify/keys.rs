//! Checks that all responses with the same idempotency key are consistent.

use super::Findings;
use crate::history::{History, Record};
use crate::outcome::Success;
use crate::request::Request;

const SAME_ORDER: &str = "all successful responses under one key return the same order";
const SAME_BYTES: &str = "all successful responses under one key have the same bytes";
const MARKED: &str = "all successful responses under one key except the first have Idempotent-Replayed: true";
const STAYS: &str = "a request that succeeded under a key succeeds again";
const ONE_CONTENT: &str = "a key is bound to one request content";
const REUSED: &str = "a key is rejected as reused only after a request with other content";

pub(super) fn check(history: &History, findings: &mut Findings) {
    for record in history.records.iter().filter(|record| record.key.is_some()) {
        check_successes(record, findings);
        for sent in &record.sends {
            let Some((status, error)) = sent.error() else { continue };
            let code = error.code.as_str();
            let acknowledged = record.acknowledged().any(|one| one.request == sent.request && one.ended < sent.started);
            let stays = !acknowledged || status >= 500 || code == "idempotency_in_progress";
            findings.unless(stays, STAYS, format_args!("{record} succeeded, but was then rejected: {status} {code}"));
            let mut others = record.sends.iter().filter(|other| other.request != sent.request);
            let is_reuse = code != "idempotency_key_reused" || others.any(|other| other.started < sent.ended);
            findings.unless(is_reuse, REUSED, format_args!("{record} was rejected as reused"));
        }
    }
}

fn check_successes(record: &Record, findings: &mut Findings) {
    let mut successes = record.sends.iter().filter_map(|sent| Some((sent, sent.outcome.as_ref().ok()?)));
    let Some((first, Success { observed, body, .. })) = successes.next() else { return };
    for (sent, success) in successes {
        let both = (observed, &success.observed);
        findings.unless(both.0 == both.1, SAME_ORDER, format_args!("{record} returned {both:?}"));
        // Each sender of a saga has its own correlation ID, which its response contains.
        let is_equal = sent.sender != first.sender || success.body == *body;
        let [one, other] = [body, &success.body].map(|body| String::from_utf8_lossy(body));
        findings.unless(is_equal, SAME_BYTES, format_args!("{record} returned first {one}, then {other}"));
        let one_content = sent.request == first.request;
        findings.unless(one_content, ONE_CONTENT, format_args!("{record} succeeded with different contents"));
    }
    // The orchestrator does not mark replayed responses.
    let executed = record.acknowledged().filter(|sent| !sent.is_replay()).count();
    let marked = executed <= 1 || matches!(record.request(), Request::CreateAndConfirm(_));
    let violation = format_args!("{record} has {executed} successful responses without Idempotent-Replayed");
    findings.unless(marked, MARKED, violation);
}
