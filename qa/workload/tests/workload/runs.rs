//! Runs a load on a correct system: the verifier must report no findings.

use std::collections::BTreeSet;

use crate::proxy;
use crate::system::{System, count, history};

#[tokio::test(flavor = "multi_thread")]
async fn correct_system_has_no_findings() {
    let system = System::start().await;
    let history = history(&system.targets, 8, 500).await;
    assert_eq!(history.verify(system.database.url()).await.unwrap(), [] as [String; 0]);
    let progress = history.progress();
    assert_eq!(progress.operations, history.operations() as u64);
    assert_eq!(progress.requests(), history.requests() as u64);
    assert_eq!((progress.in_flight, progress.unknown), (0, 0));
    let operations: BTreeSet<&str> = progress.outcomes.keys().map(|(operation, _)| *operation).collect();
    for (operation, outcome) in [
        ("order_create", "201"),
        ("order_create", "201 replayed"),
        ("order_create", "422 idempotency_key_reused"),
        ("order_confirm", "200"),
        ("order_cancel", "200"),
        ("order_create_and_confirm", "201"),
        ("product_update", "200"),
        ("stock_adjustment_create", "201"),
        ("customer_create", "201"),
    ] {
        assert!(count(progress, operation, outcome) > 0, "{operation} never returned {outcome}: {operations:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_requests_are_retried_and_nothing_is_lost() {
    let system = System::start().await;
    let mut targets = system.targets.clone();
    let mut proxies = Vec::new();
    for base in [&mut targets.customers, &mut targets.orders, &mut targets.orchestrator] {
        let (url, proxy) = proxy::start(base).await;
        *base = url;
        proxies.push(proxy);
    }
    let history = history(&targets, 6, 400).await;
    assert_eq!(history.verify(system.database.url()).await.unwrap(), [] as [String; 0]);
    let progress = history.progress();
    assert!(progress.retries > 0 && count(progress, "order_create", "broken") > 0, "{progress}");
    assert_eq!(progress.requests(), history.requests() as u64);
}
