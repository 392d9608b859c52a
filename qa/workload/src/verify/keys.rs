//! Whether the answers under one key agree.

use super::Findings;
use crate::history::{History, Record, Sent};
use crate::request::Request;

const SAME_ORDER: &str = "every success under one key shows the same order";
const SAME_BYTES: &str = "every success under one key has the same bytes";
const MARKED: &str = "every success under one key but the first says Idempotent-Replayed: true";
const STAYS: &str = "what succeeded under a key is answered so again";
const ONE_CONTENT: &str = "a key is good for one content";
const REUSED: &str = "only where a key came with other content before is it refused as reused";

pub(super) fn check(history: &History, findings: &mut Findings) {
    for record in history.records.iter().filter(|record| record.key.is_some()) {
        check_same(record, findings);
        check_refusals(record, findings);
    }
}

fn check_same(record: &Record, findings: &mut Findings) {
    let Some(first) = record.acknowledged().next() else { return };
    for sent in record.acknowledged().skip(1) {
        let seen = (first.seen(), sent.seen());
        findings.unless(seen.0 == seen.1, SAME_ORDER, format_args!("{record} was told of {seen:?}"));
        // Each sender of a saga names a piece of work of its own, which its answer repeats.
        let alike = sent.sender != first.sender || sent.body == first.body;
        let [one, other] = [text(first), text(sent)];
        findings.unless(alike, SAME_BYTES, format_args!("{record} was answered {one}, and then {other}"));
        let one_content = sent.request == first.request;
        findings.unless(one_content, ONE_CONTENT, format_args!("{record} succeeded with several contents"));
    }
    // The orchestrator does not mark replays.
    let executed = record.acknowledged().filter(|sent| !sent.is_replay()).count();
    let marked = executed <= 1 || matches!(record.request(), Request::CreateAndConfirm(_));
    findings.unless(marked, MARKED, format_args!("{record} was told {executed} times that it was executed just now"));
}

fn text(sent: &Sent) -> String {
    sent.body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned()).unwrap_or_default()
}

fn check_refusals(record: &Record, findings: &mut Findings) {
    for sent in &record.sends {
        let Some((status, code)) = sent.refusal() else { continue };
        let acknowledged = record.acknowledged().any(|one| one.request == sent.request && one.ended < sent.started);
        let stays = !acknowledged || status >= 500 || code == "idempotency_in_progress";
        findings.unless(stays, STAYS, format_args!("{record} succeeded, and then was refused: {status} {code}"));
        let other_came = record.sends.iter().any(|other| other.request != sent.request && other.started < sent.ended);
        let is_reuse = code != "idempotency_key_reused" || other_came;
        findings.unless(is_reuse, REUSED, format_args!("{record} was refused as reused"));
    }
}
