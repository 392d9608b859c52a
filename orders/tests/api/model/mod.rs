//! Model-based test: applies random operations to a running system and to a small model of it. Each response must equal
//! the model's response. At the end, the stocks, prices and orders must equal those of the model, and the data
//! invariants must hold.
//!
//! `shop` is the model, `operation` generates operations, and `system` executes them on the server. A failing sequence
//! is shrunk to a few operations. `PROPTEST_CASES=500` runs more cases. Every run prints `PROPTEST_RNG_SEED`, with
//! which it can be reproduced.

mod operation;
mod shop;
mod system;

use std::env;

use proptest::strategy::{BoxedStrategy, Just, Strategy};
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use tokio::runtime::{Handle, Runtime};

use operation::Operation;
use shop::Shop;
use system::System;

const CASES: u32 = 24;
const MAX_OPERATIONS: usize = 60;
/// Initial stock of each product: two stocks that run out, and one that does not.
const STOCKS: [i64; 3] = [5, 12, 40];

impl ReferenceStateMachine for Shop {
    type State = Self;
    type Transition = Operation;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::with_stocks(&STOCKS)).boxed()
    }

    fn transitions(shop: &Self) -> BoxedStrategy<Operation> {
        operation::operations(shop)
    }

    fn apply(mut shop: Self, operation: &Operation) -> Self {
        shop.apply(operation);
        shop
    }
}

impl StateMachineTest for System {
    type SystemUnderTest = Self;
    type Reference = Shop;

    fn init_test(shop: &Shop) -> Self {
        Handle::current().block_on(Self::start(shop))
    }

    fn apply(mut system: Self, shop: &Shop, operation: Operation) -> Self {
        Handle::current().block_on(system.perform(&operation, shop));
        system
    }

    fn teardown(system: Self, shop: Shop) {
        Handle::current().block_on(system.check(&shop));
    }
}

#[test]
fn random_operations_match_the_model() {
    let runtime = Runtime::new().unwrap();
    let _entered = runtime.enter();
    let config = config();
    eprintln!("PROPTEST_RNG_SEED={}", config.rng_seed);
    let operations = Shop::sequential_strategy(1..=MAX_OPERATIONS);
    let outcome = TestRunner::new(config.clone()).run(&operations, |(shop, operations, seen)| {
        System::test_sequential(config.clone(), shop, operations, seen);
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, (_, operations, _))) => {
            let operations: Vec<_> = operations.iter().map(|operation| format!("  {operation:?}")).collect();
            panic!("{reason}\nafter\n{}\nPROPTEST_RNG_SEED={}", operations.join("\n"), config.rng_seed);
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

fn config() -> Config {
    let mut config = Config { failure_persistence: None, max_shrink_time: 60_000, ..Config::default() };
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    if let RngSeed::Random = config.rng_seed {
        config.rng_seed = RngSeed::Fixed(rand::random());
    }
    // Shrinking is limited by time, not by iterations.
    config.max_shrink_iters = 100_000;
    config
}
