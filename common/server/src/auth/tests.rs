//! Who is let in, and who is not.

use common_contract::{Role, codes};
use http::{HeaderMap, Method, header};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::tokens::{AUDIENCE, ISSUER, kid};
use super::*;
use crate::Runtime;

const SECRET: &str = "jwt-secret";

fn auth_with(settings: &'static [(&'static str, &'static str)]) -> Auth {
    let value = |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Auth::from_env(&Env::new(value)).unwrap()
}

fn auth() -> Auth {
    auth_with(&[("JWT_SECRET", SECRET), ("SERVICE_TOKEN", "service-token"), ("SERVICE_TOKENS", "billing=b-token")])
}

fn call(authorization: &str) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
    Call::from_parts(&Runtime::default(), "test", &Method::GET, None, "request", headers)
}

fn showing(token: &str) -> Call {
    call(&format!("Bearer {token}"))
}

fn anyone(auth: &Auth, call: &Call) -> Result<String, Failure> {
    auth.caller::<people::Views>(call).map(|caller| caller.principal())
}

fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    signed_as(&Header { kid: Some(kid(SECRET)), ..Header::new(algorithm) }, secret, claims)
}

fn signed_as(header: &Header, secret: &str, claims: &Value) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

fn claims() -> Value {
    let now = jsonwebtoken::get_current_timestamp();
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "role": "operator", "iat": now, "nbf": now, "exp": now + 60})
}

fn status(token: &str) -> u16 {
    auth().operator(&showing(token)).map_or_else(|failure| failure.code.status, |_| 200)
}

#[test]
fn a_token_that_was_issued_names_its_operator() {
    let token = auth().tokens().issue("ann", Role::Operator).unwrap();
    let operator = auth().operator(&call(&format!("bearer {token}"))).unwrap();
    assert_eq!((operator.name().as_str(), operator.principal().as_str()), ("ann", "operator:ann"));
}

#[test]
fn a_role_lets_in_where_it_or_a_lower_one_is_needed() {
    let auth = auth();
    for role in Role::ALL {
        let call = showing(&auth.tokens().issue("ann", role).unwrap());
        let person = [auth.viewer(&call).map(drop), auth.operator(&call).map(drop), auth.admin(&call).map(drop)];
        for (needed, outcome) in Role::ALL.into_iter().zip(person) {
            match outcome {
                Ok(()) => assert!(role >= needed, "{role} instead of {needed}"),
                Err(failure) => {
                    assert!(role < needed, "{role} instead of {needed}");
                    assert_eq!(failure.code, codes::FORBIDDEN);
                    assert!(failure.message.contains(needed.as_str()), "{}", failure.message);
                }
            }
        }
        let caller = auth.caller::<people::Operates>(&call);
        assert_eq!(caller.is_ok(), role >= Role::Operator, "{role}");
    }
}

#[test]
fn a_claim_that_is_missing_or_wrong_is_refused() {
    assert_eq!(status(&signed(Algorithm::HS256, SECRET, &claims())), 200);
    for claim in ["iss", "aud", "sub", "role", "nbf", "iat", "exp"] {
        let mut without = claims();
        without.as_object_mut().unwrap().remove(claim);
        assert_eq!(status(&signed(Algorithm::HS256, SECRET, &without)), 401, "without {claim}");
    }
    let now = jsonwebtoken::get_current_timestamp();
    let name = "x".repeat(65);
    let wrong = [
        ("iss", json!("others")),
        ("aud", json!("others")),
        ("sub", json!(name)),
        ("sub", json!("")),
        ("sub", json!(" ")),
        ("sub", json!("a\nb")),
        ("role", json!("owner")),
        ("role", json!("Operator")),
        ("role", json!(["operator"])),
        ("nbf", json!(now + 90)),
        ("iat", json!(now + 90)),
        ("iat", json!("today")),
        ("exp", json!(now - 90)),
    ];
    for (claim, value) in wrong {
        let mut changed = claims();
        changed[claim] = value;
        assert_eq!(status(&signed(Algorithm::HS256, SECRET, &changed)), 401, "{claim}");
    }
}

#[test]
fn clocks_may_differ_by_less_than_half_a_minute() {
    let now = jsonwebtoken::get_current_timestamp();
    for (claim, value) in [("nbf", now + 20), ("iat", now + 20), ("exp", now - 20)] {
        let mut changed = claims();
        changed[claim] = json!(value);
        assert_eq!(status(&signed(Algorithm::HS256, SECRET, &changed)), 200, "{claim}");
    }
}

#[test]
fn another_secret_another_algorithm_and_another_key_id_are_refused() {
    assert_eq!(status(&signed(Algorithm::HS256, "other", &claims())), 401);
    assert_eq!(status(&signed(Algorithm::HS384, SECRET, &claims())), 401);
    assert_eq!(status(&signed(Algorithm::HS512, SECRET, &claims())), 401);
    for other in [None, Some(kid("other")), Some(String::new()), Some(SECRET.to_owned())] {
        let header = Header { kid: other.clone(), ..Header::new(Algorithm::HS256) };
        assert_eq!(status(&signed_as(&header, SECRET, &claims())), 401, "{other:?}");
    }
}

#[test]
fn a_key_id_tells_secrets_apart_and_shows_nothing_of_them() {
    assert_eq!(kid(SECRET), kid(SECRET));
    assert_ne!(kid(SECRET), kid("jwt-secret-2"));
    assert!(kid(SECRET).len() == 8 && kid(SECRET).bytes().all(|byte| byte.is_ascii_hexdigit()));
}

/// A secret is changed in three steps, and each service takes each step at a moment of its own. The last one
/// waits for the end of the tokens that the old secret signed.
#[test]
fn while_the_secret_is_changed_service_by_service_every_token_holds() {
    let steps: [&'static [(&str, &str)]; 4] = [
        &[("SERVICE_TOKEN", "s"), ("JWT_SECRET", "old")],
        &[("SERVICE_TOKEN", "s"), ("JWT_SECRET", "old"), ("JWT_SECRET_ALSO", "new")],
        &[("SERVICE_TOKEN", "s"), ("JWT_SECRET", "new"), ("JWT_SECRET_ALSO", "old")],
        &[("SERVICE_TOKEN", "s"), ("JWT_SECRET", "new")],
    ];
    let holds = |issuer: usize, other: usize| {
        let token = auth_with(steps[issuer]).tokens().issue("ann", Role::Viewer).unwrap();
        auth_with(steps[other]).viewer(&showing(&token)).is_ok()
    };
    for step in 0..3 {
        // Some services have taken the step, others not yet.
        for (issuer, other) in [(step, step), (step, step + 1), (step + 1, step), (step + 1, step + 1)] {
            assert!(holds(issuer, other), "issued at {issuer}, shown at {other}");
        }
    }
    assert!(!holds(0, 3) && !holds(1, 3), "the old secret is gone");
}

#[test]
fn a_token_of_one_kind_is_no_token_of_the_other() {
    let auth = auth();
    for role in Role::ALL {
        let person = showing(&auth.tokens().issue("ann", role).unwrap());
        assert_eq!(auth.service(&person).unwrap_err().code, codes::FORBIDDEN);
    }
    for (token, principal) in [("service-token", "service"), ("b-token", "service:billing")] {
        let service = showing(token);
        assert_eq!(auth.viewer(&service).unwrap_err().code, codes::FORBIDDEN);
        assert_eq!(auth.operator(&service).unwrap_err().code, codes::FORBIDDEN);
        assert_eq!(auth.admin(&service).unwrap_err().code, codes::FORBIDDEN);
        assert_eq!(auth.service(&service).unwrap().principal(), principal);
        assert_eq!(anyone(&auth, &service).unwrap(), principal);
    }
}

#[test]
fn a_service_token_that_looks_like_a_persons_is_a_services() {
    let token: &str = Box::leak(auth().tokens().issue("ann", Role::Admin).unwrap().into_boxed_str());
    let settings = [("JWT_SECRET", SECRET), ("SERVICE_TOKEN", token)];
    let value = |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let auth = Auth::from_env(&Env::new(value)).unwrap();
    assert_eq!(auth.service(&showing(token)).unwrap().principal(), "service");
    assert_eq!(auth.viewer(&showing(token)).unwrap_err().code, codes::FORBIDDEN);
    assert_eq!(auth.admin(&showing(token)).unwrap_err().code, codes::FORBIDDEN);
}

#[test]
fn the_secret_that_signs_is_no_credential_itself() {
    assert_eq!(anyone(&auth(), &showing(SECRET)).unwrap_err().code, codes::UNAUTHORIZED);
    assert_eq!(anyone(&auth(), &showing(&kid(SECRET))).unwrap_err().code, codes::UNAUTHORIZED);
}

#[test]
fn two_authorization_headers_are_no_credentials() {
    let mut headers = HeaderMap::new();
    headers.append(header::AUTHORIZATION, "Bearer service-token".parse().unwrap());
    headers.append(header::AUTHORIZATION, "Bearer x".parse().unwrap());
    let call = Call::from_parts(&Runtime::default(), "test", &Method::GET, None, "request", headers);
    assert_eq!(anyone(&auth(), &call).unwrap_err().code, codes::UNAUTHORIZED);
}

#[test]
fn credentials_of_another_shape_are_no_credentials() {
    for bad in ["", "Bearer", "Bearer ", "Basic YTpi", "service-token", "Bearer service-tokenx", "Bearer billing"] {
        assert_eq!(anyone(&auth(), &call(bad)).unwrap_err().code, codes::UNAUTHORIZED, "{bad}");
    }
}
