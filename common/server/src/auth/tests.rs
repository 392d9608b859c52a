//! Authentication tests.

use std::io;
use std::sync::{Arc, Mutex};

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

fn with_token(token: &str) -> Call {
    call(&format!("Bearer {token}"))
}

fn principal_of(auth: &Auth, call: &Call) -> Result<String, Failure> {
    auth.caller::<users::RequiresViewer>(call).map(|caller| caller.principal())
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
    auth().operator(&with_token(token)).map_or_else(|failure| failure.code.status, |_| 200)
}

#[test]
fn an_issued_token_authenticates_its_user() {
    let token = auth().tokens().issue("ann", Role::Operator).unwrap();
    let operator = auth().operator(&call(&format!("bearer {token}"))).unwrap();
    assert_eq!((operator.name().as_str(), operator.principal().as_str()), ("ann", "operator:ann"));
}

#[test]
fn a_role_satisfies_its_own_and_lower_requirements() {
    let auth = auth();
    for role in Role::ALL {
        let call = with_token(&auth.tokens().issue("ann", role).unwrap());
        let outcomes = [auth.viewer(&call).map(drop), auth.operator(&call).map(drop), auth.admin(&call).map(drop)];
        for (required, outcome) in Role::ALL.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => assert!(role >= required, "{role} instead of {required}"),
                Err(failure) => {
                    assert!(role < required, "{role} instead of {required}");
                    assert_eq!(failure.code, codes::FORBIDDEN);
                    assert!(failure.message.contains(required.as_str()), "{}", failure.message);
                }
            }
        }
        let caller = auth.caller::<users::RequiresOperator>(&call);
        assert_eq!(caller.is_ok(), role >= Role::Operator, "{role}");
    }
}

#[test]
fn a_missing_or_wrong_claim_is_refused() {
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
        ("sub", json!("ann ")),
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
fn clock_skew_below_half_a_minute_is_tolerated() {
    let now = jsonwebtoken::get_current_timestamp();
    for (claim, value) in [("nbf", now + 20), ("iat", now + 20), ("exp", now - 20)] {
        let mut changed = claims();
        changed[claim] = json!(value);
        assert_eq!(status(&signed(Algorithm::HS256, SECRET, &changed)), 200, "{claim}");
    }
}

#[test]
fn a_wrong_secret_algorithm_or_key_id_is_refused() {
    assert_eq!(status(&signed(Algorithm::HS256, "other", &claims())), 401);
    assert_eq!(status(&signed(Algorithm::HS384, SECRET, &claims())), 401);
    assert_eq!(status(&signed(Algorithm::HS512, SECRET, &claims())), 401);
    for other in [None, Some(kid("other")), Some(String::new()), Some(SECRET.to_owned())] {
        let header = Header { kid: other.clone(), ..Header::new(Algorithm::HS256) };
        assert_eq!(status(&signed_as(&header, SECRET, &claims())), 401, "{other:?}");
    }
}

#[test]
fn a_key_id_is_eight_hex_digits_and_depends_on_the_secret() {
    assert_eq!(kid(SECRET), kid(SECRET));
    assert_ne!(kid(SECRET), kid("jwt-secret-2"));
    assert!(kid(SECRET).len() == 8 && kid(SECRET).bytes().all(|byte| byte.is_ascii_hexdigit()));
}

/// A secret rotation consists of three steps, which the services do not perform at the same time. All tokens signed
/// with the old secret expire before the last step.
#[test]
fn every_token_is_valid_while_services_rotate_the_secret_one_by_one() {
    let steps: [&'static [(&str, &str)]; 4] = [
        &[("SERVICE_TOKEN", "s"), ("JWT_SECRET", "old")],
        &[("SERVICE_TOKEN", "s"), ("JWT_SECRET", "old"), ("JWT_SECRET_SECONDARY", "new")],
        &[("SERVICE_TOKEN", "s"), ("JWT_SECRET", "new"), ("JWT_SECRET_SECONDARY", "old")],
        &[("SERVICE_TOKEN", "s"), ("JWT_SECRET", "new")],
    ];
    let is_valid = |issuer: usize, verifier: usize| {
        let token = auth_with(steps[issuer]).tokens().issue("ann", Role::Viewer).unwrap();
        auth_with(steps[verifier]).viewer(&with_token(&token)).is_ok()
    };
    for step in 0..3 {
        // Some services have completed the step; others have not.
        for (issuer, verifier) in [(step, step), (step, step + 1), (step + 1, step), (step + 1, step + 1)] {
            assert!(is_valid(issuer, verifier), "issued at {issuer}, verified at {verifier}");
        }
    }
    assert!(!is_valid(0, 3) && !is_valid(1, 3), "the old secret is still valid");
}

/// Reads the settings, and returns whether they accept a token signed with the secret `old`, and the log lines.
fn with_old_token(settings: &'static [(&'static str, &'static str)]) -> (bool, Vec<Value>) {
    let issuer = auth_with(&[("SERVICE_TOKEN", "s"), ("JWT_SECRET", "old")]);
    let token = issuer.tokens().issue("ann", Role::Viewer).unwrap();
    let (auth, log) = with_log(|| auth_with(settings));
    (auth.viewer(&with_token(&token)).is_ok(), log)
}

/// In-memory log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a function, and returns its result and the log lines that it writes.
fn with_log<T>(function: impl FnOnce() -> T) -> (T, Vec<Value>) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    let result = tracing::subscriber::with_default(subscriber, function);
    let log = String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
    (result, log.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn the_deprecated_name_of_the_secondary_secret_is_read_with_a_warning() {
    let settings = &[("SERVICE_TOKEN", "s"), ("JWT_SECRET", "new"), ("JWT_SECRET_ALSO", "old")];
    let (is_valid, log) = with_old_token(settings);
    assert!(is_valid);
    let fields = json!({
        "message": "setting is deprecated",
        "setting": "JWT_SECRET_ALSO",
        "replacement": "JWT_SECRET_SECONDARY",
    });
    let warnings: Vec<_> = log.iter().map(|line| (&line["level"], &line["fields"])).collect();
    assert_eq!(warnings, [(&json!("WARN"), &fields)]);
}

#[test]
fn the_secondary_secret_is_read_without_a_warning() {
    let settings =
        &[("SERVICE_TOKEN", "s"), ("JWT_SECRET", "new"), ("JWT_SECRET_SECONDARY", "old"), ("JWT_SECRET_ALSO", "")];
    assert_eq!(with_old_token(settings), (true, Vec::new()));
}

#[test]
fn user_tokens_and_service_tokens_are_not_interchangeable() {
    let auth = auth();
    for role in Role::ALL {
        let user = with_token(&auth.tokens().issue("ann", role).unwrap());
        assert_eq!(auth.service(&user).unwrap_err().code, codes::FORBIDDEN);
    }
    for (token, principal) in [("service-token", "service"), ("b-token", "service:billing")] {
        let service = with_token(token);
        assert_eq!(auth.viewer(&service).unwrap_err().code, codes::FORBIDDEN);
        assert_eq!(auth.operator(&service).unwrap_err().code, codes::FORBIDDEN);
        assert_eq!(auth.admin(&service).unwrap_err().code, codes::FORBIDDEN);
        assert_eq!(auth.service(&service).unwrap().principal(), principal);
        assert_eq!(principal_of(&auth, &service).unwrap(), principal);
    }
}

#[test]
fn a_service_token_in_jwt_form_authenticates_a_service() {
    let token: &str = Box::leak(auth().tokens().issue("ann", Role::Admin).unwrap().into_boxed_str());
    let settings = [("JWT_SECRET", SECRET), ("SERVICE_TOKEN", token)];
    let value = |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let auth = Auth::from_env(&Env::new(value)).unwrap();
    assert_eq!(auth.service(&with_token(token)).unwrap().principal(), "service");
    assert_eq!(auth.viewer(&with_token(token)).unwrap_err().code, codes::FORBIDDEN);
    assert_eq!(auth.admin(&with_token(token)).unwrap_err().code, codes::FORBIDDEN);
}

#[test]
fn the_signing_secret_and_its_key_id_are_not_credentials() {
    assert_eq!(principal_of(&auth(), &with_token(SECRET)).unwrap_err().code, codes::UNAUTHORIZED);
    assert_eq!(principal_of(&auth(), &with_token(&kid(SECRET))).unwrap_err().code, codes::UNAUTHORIZED);
}

#[test]
fn two_authorization_headers_are_refused() {
    let mut headers = HeaderMap::new();
    headers.append(header::AUTHORIZATION, "Bearer service-token".parse().unwrap());
    headers.append(header::AUTHORIZATION, "Bearer x".parse().unwrap());
    let call = Call::from_parts(&Runtime::default(), "test", &Method::GET, None, "request", headers);
    assert_eq!(principal_of(&auth(), &call).unwrap_err().code, codes::UNAUTHORIZED);
}

#[test]
fn malformed_credentials_are_refused() {
    for bad in ["", "Bearer", "Bearer ", "Basic YTpi", "service-token", "Bearer service-tokenx", "Bearer billing"] {
        assert_eq!(principal_of(&auth(), &call(bad)).unwrap_err().code, codes::UNAUTHORIZED, "{bad}");
    }
}
