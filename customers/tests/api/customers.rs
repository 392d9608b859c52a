//! What may be done to a customer.

use customers_client::types::{CustomerInput, CustomerInputPhone};
use insta::assert_json_snapshot;

use crate::harness::{Harness, make, refusal, refused};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_customer_is_answered_with_its_place_and_version() {
    let harness = Harness::start().await;
    let client = harness.operator().await;
    let input = CustomerInput::builder()
        .name("ACME")
        .email("Ops@acme.com")
        .phone("+1 555 0100".parse::<CustomerInputPhone>().unwrap());
    let answer = client.customer_create().body(input).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let id = answer.id;
    assert_eq!(answer.headers()["location"], format!("/customers/{id}"));
    assert_eq!(answer.headers()["etag"], "\"v1\"");
    let redactions = [("id", "ID"), ("created_at", "TIME"), ("updated_at", "TIME")];
    let mut body = serde_json::to_value(&*answer).unwrap();
    for (field, word) in redactions {
        body[field] = word.into();
    }
    assert_json_snapshot!(body);
    assert_eq!(client.customer_view().id(id).send().await.unwrap().into_inner(), answer.into_inner());
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_any_language_comes_back_as_it_was_given() {
    let harness = Harness::start().await;
    let client = harness.operator().await;
    for (n, name) in ["Żółć & Söhne", "株式会社", "🦀 \"quoted\" 'n' \\ %_", "e\u{301}", " spaced "].iter().enumerate()
    {
        let made = make(&client, name, &format!("n{n}@example.com")).await;
        assert_eq!(client.customer_view().id(made.id).send().await.unwrap().name, *name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_address_belongs_to_one_customer_whatever_its_case() {
    let harness = Harness::start().await;
    let client = harness.operator().await;
    let first = make(&client, "First", "ops@acme.com").await;
    let second = make(&client, "Second", "other@acme.com").await;
    let same = CustomerInput::builder().name("Third").email("OPS@acme.COM");
    assert_eq!(refusal(client.customer_create().body(same.clone()).send().await), refused(409, "email_taken"));
    assert_eq!(refusal(client.customer_update().id(second.id).body(same).send().await), refused(409, "email_taken"));
    let own = CustomerInput::builder().name("First").email("OPS@ACME.com");
    assert_eq!(client.customer_update().id(first.id).body(own).send().await.unwrap().email, "OPS@ACME.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_a_customer_replaces_all_of_it() {
    let harness = Harness::start().await;
    let client = harness.operator().await;
    let input =
        CustomerInput::builder().name("Old").email("old@acme.com").phone("1".parse::<CustomerInputPhone>().unwrap());
    let made = client.customer_create().body(input).send().await.unwrap().into_inner();
    let new = CustomerInput::builder().name("New").email("new@acme.com");
    let answer = client.customer_update().id(made.id).body(new).send().await.unwrap();
    assert_eq!(answer.headers()["etag"], "\"v2\"");
    assert_eq!((answer.name.as_str(), answer.email.as_str(), &answer.phone), ("New", "new@acme.com", &None));
    assert_eq!((answer.version, answer.created_at), (2, made.created_at));
    assert!(answer.updated_at > made.updated_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_holds_only_for_the_version_that_the_caller_saw() {
    let harness = Harness::start().await;
    let client = harness.operator().await;
    let made = make(&client, "A", "a@acme.com").await;
    let input = || CustomerInput::builder().name("B").email("a@acme.com");
    let update = |tag: &str| client.customer_update().id(made.id).if_match(tag).body(input()).send();
    assert_eq!(update("\"v1\"").await.unwrap().version, 2);
    for stale in ["\"v1\"", "\"other\"", "W/\"v2\"", "\"v1\", \"v3\""] {
        assert_eq!(refusal(update(stale).await), refused(412, "precondition_failed"), "{stale}");
    }
    assert_eq!(update("\"v9\", \"v2\"").await.unwrap().version, 3);
    assert_eq!(update("*").await.unwrap().version, 4);
    let delete = |tag: &str| client.customer_delete().id(made.id).if_match(tag).send();
    assert_eq!(refusal(delete("\"v3\"").await), refused(412, "precondition_failed"));
    assert_eq!(delete("\"v4\"").await.unwrap().status(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_customer_is_gone_and_its_address_is_free() {
    let harness = Harness::start().await;
    let client = harness.operator().await;
    let made = make(&client, "Gone", "gone@acme.com").await;
    assert_eq!(client.customer_delete().id(made.id).send().await.unwrap().status(), 204);
    let gone = refused(404, "customer_not_found");
    assert_eq!(refusal(client.customer_view().id(made.id).send().await), gone);
    assert_eq!(refusal(client.customer_delete().id(made.id).send().await), gone);
    let input = CustomerInput::builder().name("Gone").email("gone@acme.com");
    assert_eq!(refusal(client.customer_update().id(made.id).body(input).send().await), gone);
    assert_eq!(refusal(harness.service().internal_customer_view().id(made.id).send().await), gone);
    assert!(client.customer_list().send().await.unwrap().data.is_empty());
    assert!(client.customer_list().search("gone").send().await.unwrap().data.is_empty());
    assert_ne!(make(&client, "New", "gone@acme.com").await.id, made.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_told_what_it_needs_to_know() {
    let harness = Harness::seeded().await;
    let contact = harness.service().internal_customer_view().id(1).send().await.unwrap();
    assert_json_snapshot!(&*contact);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_customers_with_one_address_at_once_are_one_customer() {
    let harness = Harness::start().await;
    let client = harness.operator().await;
    let input = || CustomerInput::builder().name("Race").email("race@acme.com");
    let attempts = (0..16).map(|_| client.customer_create().body(input()).send());
    let results = futures::future::join_all(attempts).await;
    let (made, refusals): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refusals.len()), (1, 15));
    for answer in refusals {
        assert_eq!(refusal(answer), refused(409, "email_taken"));
    }
}
