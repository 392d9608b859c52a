//! The load at work on a sound system.

use std::collections::BTreeSet;

use crate::proxy;
use crate::system::{System, answers, history};

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_system_leaves_nothing_to_complain_about() {
    let system = System::start().await;
    let history = history(&system.targets, 8, 500).await;
    assert_eq!(history.verify(system.database.url()).await.unwrap(), [] as [String; 0]);
    let progress = history.progress();
    assert_eq!(progress.operations, history.operations() as u64);
    assert_eq!(progress.requests(), history.requests() as u64);
    assert_eq!((progress.in_flight, progress.unknown), (0, 0));
    let operations: BTreeSet<&str> = progress.answers.keys().map(|(operation, _)| *operation).collect();
    for (operation, answer) in [
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
        assert!(answers(progress, operation, answer) > 0, "{operation} was never answered {answer}: {operations:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_off_is_sent_again_and_nothing_is_lost() {
    let system = System::start().await;
    let mut targets = system.targets.clone();
    let mut proxies = Vec::new();
    for base in [&mut targets.customers, &mut targets.orders, &mut targets.orchestrator] {
        let (url, proxy) = proxy::before(base).await;
        *base = url;
        proxies.push(proxy);
    }
    let history = history(&targets, 6, 400).await;
    assert_eq!(history.verify(system.database.url()).await.unwrap(), [] as [String; 0]);
    let progress = history.progress();
    assert!(progress.retries > 0 && answers(progress, "order_create", "broken") > 0, "{progress}");
    assert_eq!(progress.requests(), history.requests() as u64);
}
