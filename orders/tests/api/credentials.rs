//! Authentication and authorization of every operation.

use common_server::testing::access_violations;

use crate::harness::{DOCUMENT, Harness, SERVICE_TOKEN, auth};

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_accepts_only_documented_credentials() {
    let harness = Harness::start().await;
    let wrong = access_violations(DOCUMENT, &harness.url(""), auth().tokens(), SERVICE_TOKEN).await.unwrap();
    assert_eq!(wrong, Vec::<String>::new());
}
