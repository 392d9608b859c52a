//! Who gets in.

use service::testing::credentials_that_get_in;

use crate::harness::{DOCUMENT, Harness, SERVICE_TOKEN, operator_token};

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_the_document_refuses_whom_it_does_not_name() {
    let harness = Harness::start().await;
    let (base, operator) = (harness.url(""), operator_token("ann"));
    let wrong = credentials_that_get_in(DOCUMENT, &base, &operator, SERVICE_TOKEN).await.unwrap();
    assert_eq!(wrong, Vec::<String>::new());
}
