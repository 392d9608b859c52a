//! libFuzzer program: runs the target that FUZZ_TARGET names, or lists all targets if the variable is not set.

#![no_main]

use std::process::exit;
use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let target = fuzz::TARGETS.iter().find(|(name, _)| *name == wanted);
    target.map_or_else(
        || {
            fuzz::TARGETS.iter().for_each(|(name, _)| println!("{name}"));
            exit(i32::from(!wanted.is_empty()))
        },
        |(_, target)| *target,
    )
});

libfuzzer_sys::fuzz_target!(init: { LazyLock::force(&TARGET); }, |bytes: &[u8]| TARGET(bytes));
