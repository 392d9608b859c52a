//! Customer operations.

use customers_client::types::{CustomerInput, CustomerInputPhone};
use insta::assert_json_snapshot;

use crate::harness::{Harness, create_customer, refusal, refused};

#[tokio::test(flavor = "multi_thread")]
async fn created_customer_has_location_and_etag() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    let input = CustomerInput::builder()
        .name("ACME")
        .email("Ops@acme.com")
        .phone("+1 555 0100".parse::<CustomerInputPhone>().unwrap());
    let response = client.customer_create().body(input).send().await.unwrap();
    assert_eq!(response.status(), 201);
    let id = response.id;
    assert_eq!(response.headers()["location"], format!("/customers/{id}"));
    assert_eq!(response.headers()["etag"], "\"v1\"");
    let redactions = [("id", "ID"), ("created_at", "TIME"), ("updated_at", "TIME")];
    let mut body = serde_json::to_value(&*response).unwrap();
    for (field, word) in redactions {
        body[field] = word.into();
    }
    assert_json_snapshot!(body);
    assert_eq!(client.customer_view().id(id).send().await.unwrap().into_inner(), response.into_inner());
}

#[tokio::test(flavor = "multi_thread")]
async fn unicode_names_are_returned_unchanged() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    for (n, name) in ["Żółć & Söhne", "株式会社", "🦀 \"quoted\" 'n' \\ %_", "e\u{301}", " spaced "].iter().enumerate()
    {
        let created = create_customer(&client, name, &format!("n{n}@example.com")).await;
        assert_eq!(client.customer_view().id(created.id).send().await.unwrap().name, *name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn email_is_unique_regardless_of_case() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    let first = create_customer(&client, "First", "ops@acme.com").await;
    let second = create_customer(&client, "Second", "other@acme.com").await;
    let same = CustomerInput::builder().name("Third").email("OPS@acme.COM");
    assert_eq!(refusal(client.customer_create().body(same.clone()).send().await), refused(409, "email_taken"));
    assert_eq!(refusal(client.customer_update().id(second.id).body(same).send().await), refused(409, "email_taken"));
    let own = CustomerInput::builder().name("First").email("OPS@ACME.com");
    assert_eq!(client.customer_update().id(first.id).body(own).send().await.unwrap().email, "OPS@ACME.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn email_in_any_script_is_accepted_and_unique_regardless_of_its_form() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    for forms in [
        ["josé@acmé.com", "jose\u{301}@acme\u{301}.com", "JOSE\u{301}@ACMÉ.COM", "JOSÉ@xn--acm-dma.com"],
        ["用户@例子.广告", "用户@例子。广告", "用户@xn--fsqu00a.xn--4rr70v", "用户@XN--FSQU00A.广告"],
        [
            "χρήστης@παράδειγμα.ελ",
            "ΧΡΉΣΤΗΣ@ΠΑΡΆΔΕΙΓΜΑ.ΕΛ",
            "χρη\u{301}στησ@παράδειγμα.ελ",
            "χρήστης@xn--hxajbheg2az3al.xn--qxam",
        ],
    ] {
        let created = create_customer(&client, "First", forms[0]).await;
        assert_eq!(client.customer_view().id(created.id).send().await.unwrap().email, forms[0]);
        for other in forms {
            let same = CustomerInput::builder().name("Second").email(other);
            assert_eq!(
                refusal(client.customer_create().body(same).send().await),
                refused(409, "email_taken"),
                "{other}"
            );
            let own = CustomerInput::builder().name("First").email(other);
            assert_eq!(client.customer_update().id(created.id).body(own).send().await.unwrap().email, other);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_whose_addresses_were_distinct_in_an_earlier_release_can_be_changed() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    let composed = create_customer(&client, "Composed", "josé@acme.com").await;
    let decomposed = create_customer(&client, "Decomposed", "other@acme.com").await;
    let older = "email = 'jose\u{301}@acme.com', email_key = 'jose\u{301}@acme.com'";
    harness.sql(&format!("UPDATE customers SET {older} WHERE id = {}", decomposed.id)).await;
    let rename = async |id: i64, email: &str| {
        let input = CustomerInput::builder().name("Renamed").email(email);
        client.customer_update().id(id).body(input).send().await
    };
    assert_eq!(rename(decomposed.id, "jose\u{301}@acme.com").await.unwrap().name, "Renamed");
    assert_eq!(rename(composed.id, "josé@acme.com").await.unwrap().name, "Renamed");
    assert_eq!(refusal(rename(decomposed.id, "josé@acme.com").await), refused(409, "email_taken"));
    assert_eq!(rename(decomposed.id, "new@acme.com").await.unwrap().email, "new@acme.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn update_replaces_the_whole_customer() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    let input =
        CustomerInput::builder().name("Old").email("old@acme.com").phone("1".parse::<CustomerInputPhone>().unwrap());
    let created = client.customer_create().body(input).send().await.unwrap().into_inner();
    let new = CustomerInput::builder().name("New").email("new@acme.com");
    let response = client.customer_update().id(created.id).body(new).send().await.unwrap();
    assert_eq!(response.headers()["etag"], "\"v2\"");
    assert_eq!((response.name.as_str(), response.email.as_str(), &response.phone), ("New", "new@acme.com", &None));
    assert_eq!((response.version, response.created_at), (2, created.created_at));
    assert!(response.updated_at > created.updated_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_if_match_is_rejected() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    let created = create_customer(&client, "A", "a@acme.com").await;
    let input = || CustomerInput::builder().name("B").email("a@acme.com");
    let update = |tag: &str| client.customer_update().id(created.id).if_match(tag).body(input()).send();
    assert_eq!(update("\"v1\"").await.unwrap().version, 2);
    for stale in ["\"v1\"", "\"other\"", "W/\"v2\"", "\"v1\", \"v3\""] {
        assert_eq!(refusal(update(stale).await), refused(412, "precondition_failed"), "{stale}");
    }
    assert_eq!(update("\"v9\", \"v2\"").await.unwrap().version, 3);
    assert_eq!(update("*").await.unwrap().version, 4);
    let delete = |tag: &str| client.customer_delete().id(created.id).if_match(tag).send();
    assert_eq!(refusal(delete("\"v3\"").await), refused(412, "precondition_failed"));
    assert_eq!(delete("\"v4\"").await.unwrap().status(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn if_match_is_a_list_that_may_span_several_lines() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    let id = create_customer(&client, "A", "a@acme.com").await.id;
    let token = harness.token().await;
    let update = async |conditions: &[&str]| {
        let body = serde_json::json!({ "name": "B", "email": "a@acme.com" });
        let request = harness.http().put(harness.url(&format!("/customers/{id}"))).bearer_auth(&token).json(&body);
        let request = conditions.iter().fold(request, |request, value| request.header("if-match", *value));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(update(&["\"v1\","]).await, 200);
    assert_eq!(update(&["\"v1\"", "\"v2\""]).await, 200);
    assert_eq!(update(&["\"v1\"", "W/\"v3\","]).await, 412);
    assert_eq!(update(&["\"v3\"", "*"]).await, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_customer_is_not_found_and_its_email_is_free() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    let created = create_customer(&client, "Gone", "gone@acme.com").await;
    assert_eq!(client.customer_delete().id(created.id).send().await.unwrap().status(), 204);
    let gone = refused(404, "customer_not_found");
    assert_eq!(refusal(client.customer_view().id(created.id).send().await), gone);
    assert_eq!(refusal(client.customer_delete().id(created.id).send().await), gone);
    let input = CustomerInput::builder().name("Gone").email("gone@acme.com");
    assert_eq!(refusal(client.customer_update().id(created.id).body(input).send().await), gone);
    assert_eq!(refusal(harness.service().internal_customer_view().id(created.id).send().await), gone);
    assert!(client.customer_list().send().await.unwrap().data.is_empty());
    assert!(client.customer_list().search("gone").send().await.unwrap().data.is_empty());
    assert_ne!(create_customer(&client, "New", "gone@acme.com").await.id, created.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_can_ask_for_a_deleted_customer() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    let id = create_customer(&client, "Gone", "gone@acme.com").await.id;
    let service = harness.service();
    let view = |id: i64, include_deleted: bool| {
        service.internal_customer_view().id(id).include_deleted(include_deleted).send()
    };
    assert_eq!(view(id, true).await.unwrap().deleted_at, None);
    client.customer_delete().id(id).send().await.unwrap();
    let contact = view(id, true).await.unwrap().into_inner();
    assert_eq!((contact.id, contact.name.as_str(), contact.email.as_str()), (id, "Gone", "gone@acme.com"));
    assert!(contact.deleted_at.is_some());
    let gone = refused(404, "customer_not_found");
    assert_eq!(refusal(view(id, false).await), gone);
    assert_eq!(refusal(view(i64::MAX, true).await), gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_customer_view_returns_contact_data() {
    let harness = Harness::seeded().await;
    let contact = harness.service().internal_customer_view().id(1).send().await.unwrap();
    assert_json_snapshot!(&*contact);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creations_with_one_email_create_one_customer() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    let input = || CustomerInput::builder().name("Race").email("race@acme.com");
    let attempts = (0..16).map(|_| client.customer_create().body(input()).send());
    let responses = futures::future::join_all(attempts).await;
    let (created, refusals): (Vec<_>, Vec<_>) = responses.into_iter().partition(Result::is_ok);
    assert_eq!((created.len(), refusals.len()), (1, 15));
    for response in refusals {
        assert_eq!(refusal(response), refused(409, "email_taken"));
    }
}
