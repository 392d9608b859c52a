//! Fast version of the fuzz targets: mutates valid inputs at random, with a seed that is printed.

use std::path::{Path, PathBuf};
use std::{fs, thread};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::TARGETS;

const ROUNDS: usize = 2_000;

/// Returns the valid inputs for a target.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let valid: &[&str] = match name {
        "body" => &[
            r#"{"customer_id":1,"items":[{"product_id":2,"qty":3}],"expected_total_cents":7,"external_reference":"PO-1"}"#,
            r#"{"customer_id":1,"items":[{"product_id":2,"qty":3}],"idempotency_key":"abc-123","correlation_id":"req-789"}"#,
            r#"{"username":"admin","password":"admin"}"#,
            r#"{"username":"ann","password":"correct horse battery","role":"viewer"}"#,
            r#"{"role":"admin","active":false,"password":"correct horse battery"}"#,
            r#"{"current_password":"admin","new_password":"correct horse battery"}"#,
            r#"{"name":"ACME","email":"ops@acme.com","phone":"+49 30 1"}"#,
            r#"{"sku":"A-1","name":"A thing","price_cents":129900,"stock":5}"#,
            r#"{"delta":-2,"reason":"broken","reference":"B-7"}"#,
            r#"{"create_key":"abc","order":{"customer_id":1,"items":[{"product_id":2,"qty":3}]}}"#,
        ],
        "query" => &[
            "search=acme&cursor=&limit=20",
            "status=CREATED&from=2026-01-01T00:00:00Z&to=2026-12-31T23:59:59.999999Z&customer_id=1&external_reference=PO-1",
            "create_key=abc&principal=service",
        ],
        "headers" => &["abc-123\0\"abc-123\"\0\"v1\", W/\"v2\"", "key\0key\0*"],
        "caller" => &["Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2ln\0req-789\x00\
             00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\0vendor=1\x001.2.3.4, 10.0.0.1"],
        "cursor" => &["AAAAAAAAAAEAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAA"],
        _ => return events(),
    };
    valid.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Returns the example events for the Lambda function.
fn events() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../orchestrator/events");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect();
    assert!(!files.is_empty());
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Returns an input in which a few bytes are changed, removed, repeated, or replaced with bytes from another input.
fn mutated(seeds: &[Vec<u8>], random: &mut ChaCha12Rng) -> Vec<u8> {
    let mut bytes = seeds[random.random_range(0..seeds.len())].clone();
    for _ in 0..random.random_range(0..8) {
        let at = random.random_range(0..=bytes.len());
        let end = random.random_range(at..=bytes.len());
        let piece = match random.random_range(0..4) {
            0 => vec![random.random()],
            1 => Vec::new(),
            2 => bytes[at..end].repeat(2),
            _ => {
                let other = &seeds[random.random_range(0..seeds.len())];
                other[random.random_range(0..=other.len())..].to_vec()
            }
        };
        bytes.splice(at..end, piece);
        bytes.truncate(128 * 1024);
    }
    bytes
}

/// Prints the input when a target panics.
struct PrintOnPanic<'b>(&'b [u8]);

impl Drop for PrintOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("input: {}", self.0.escape_ascii());
        }
    }
}

fn run(name: &str) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    let (seeds, mut random) = (seeds(name), ChaCha12Rng::seed_from_u64(seed));
    let more: Vec<_> = (0..ROUNDS).map(|_| mutated(&seeds, &mut random)).collect();
    for bytes in seeds.iter().chain(&more) {
        let input = PrintOnPanic(bytes);
        target(input.0);
    }
}

#[test]
fn any_body_is_accepted_or_rejected() {
    run("body");
}

#[test]
fn any_query_is_accepted_or_rejected() {
    run("query");
}

#[test]
fn any_headers_are_accepted_or_rejected() {
    run("headers");
}

#[test]
fn forged_credentials_are_rejected() {
    run("caller");
}

#[test]
fn only_issued_cursors_are_accepted() {
    run("cursor");
}

#[test]
fn any_event_gets_a_response_or_is_not_http() {
    run("event");
}
