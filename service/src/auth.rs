//! Who is calling. Verifying a caller gives a value, and what needs a caller takes that value.

mod people;
mod tokens;

use http::header;
use service_api::{Failure, Role, codes};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Call;
use crate::settings::{Env, SettingError};

pub use people::{Admin, Operator, OperatorName, Person, Rank, Viewer};
pub use tokens::{TOKEN_SECONDS, Tokens};

/// Another service of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCaller(());

/// A person of some rank, or a service: `Caller<Operator>` is whoever may change what services may change, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller<P> {
    /// A person.
    Person(P),
    /// A service.
    Service(ServiceCaller),
}

/// Whom the credentials belong to. What they may do was not asked yet.
enum Known {
    Person(OperatorName, Role),
    Service(ServiceCaller),
}

impl ServiceCaller {
    /// Under which name the service's work is recorded.
    pub fn principal(&self) -> String {
        "service".to_owned()
    }
}

impl<R> Caller<Person<R>> {
    /// Under which name the caller's work is recorded.
    pub fn principal(&self) -> String {
        match self {
            Self::Person(person) => person.principal(),
            Self::Service(service) => service.principal(),
        }
    }
}

/// Tells callers apart by what they show.
pub struct Auth {
    tokens: Tokens,
    service_token: SecretDigest,
}

impl Auth {
    /// From `JWT_SECRET` and `SERVICE_TOKEN`.
    pub fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
        let service_token = env.required("SERVICE_TOKEN")?;
        if !service_token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SettingError::invalid(
                "SERVICE_TOKEN",
                "expected visible ASCII characters, as a header can carry",
            ));
        }
        Ok(Self { tokens: Tokens::from_env(env)?, service_token: SecretDigest::of(&service_token) })
    }

    /// A person of any role.
    pub fn viewer(&self, call: &Call) -> Result<Viewer, Failure> {
        self.person(call)
    }

    /// An operator or an admin.
    pub fn operator(&self, call: &Call) -> Result<Operator, Failure> {
        self.person(call)
    }

    /// An admin.
    pub fn admin(&self, call: &Call) -> Result<Admin, Failure> {
        self.person(call)
    }

    /// A service with the shared token.
    pub fn service(&self, call: &Call) -> Result<ServiceCaller, Failure> {
        match self.known(call)? {
            Known::Service(service) => Ok(service),
            Known::Person(..) => Err(Failure::new(codes::FORBIDDEN, "this operation is for services")),
        }
    }

    /// A person of the rank that is asked for, or a service.
    pub fn caller<R: Rank>(&self, call: &Call) -> Result<Caller<Person<R>>, Failure> {
        match self.known(call)? {
            Known::Person(name, role) => Person::with(name, role).map(Caller::Person),
            Known::Service(service) => Ok(Caller::Service(service)),
        }
    }

    /// The same, or nobody where no credentials were shown at all. Bad ones are still refused.
    pub fn caller_if_any<R: Rank>(&self, call: &Call) -> Result<Option<Caller<Person<R>>>, Failure> {
        if call.headers().contains_key(header::AUTHORIZATION) { self.caller(call).map(Some) } else { Ok(None) }
    }

    /// Issues and verifies people's tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    fn person<R: Rank>(&self, call: &Call) -> Result<Person<R>, Failure> {
        match self.known(call)? {
            Known::Person(name, role) => Person::with(name, role),
            Known::Service(_) => {
                let role = R::ROLE;
                Err(Failure::new(
                    codes::FORBIDDEN,
                    format!("this operation needs a person of the role {role} or a higher one"),
                ))
            }
        }
    }

    fn known(&self, call: &Call) -> Result<Known, Failure> {
        let bearer = bearer(call)?;
        if self.service_token.matches(bearer) {
            let service = ServiceCaller(());
            call.made_by(service.principal());
            return Ok(Known::Service(service));
        }
        let (name, role) = self.tokens.verify(bearer)?;
        call.made_by(people::principal(&name));
        Ok(Known::Person(name, role))
    }
}

/// The token in `Authorization: Bearer …` (RFC 6750; the scheme's letter case does not matter).
fn bearer(call: &Call) -> Result<&str, Failure> {
    let mut shown = call.headers().get_all(header::AUTHORIZATION).iter();
    let Some(value) = shown.next() else {
        return Err(unauthorized("no credentials: send Authorization: Bearer …"));
    };
    if shown.next().is_some() {
        return Err(unauthorized("more than one Authorization header"));
    }
    let bearer = value.to_str().ok().and_then(|value| value.split_once(' '));
    match bearer {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(unauthorized("expected Authorization: Bearer …")),
    }
}

fn unauthorized(message: &str) -> Failure {
    Failure::new(codes::UNAUTHORIZED, message)
}

/// A secret to compare with, in time that tells nothing of it: digests have one length, whatever was sent.
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// Remembers a secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Whether this is the secret.
    pub fn matches(&self, candidate: &str) -> bool {
        self.0.ct_eq(Sha256::digest(candidate).as_slice()).into()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "jwt-secret";

    fn auth() -> Auth {
        Auth::from_env(&Env::new(|name| match name {
            "JWT_SECRET" => Some(SECRET.to_owned()),
            _ => Some("service-token".to_owned()),
        }))
        .unwrap()
    }

    fn call(authorization: &str) -> Call {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        Call::from_parts("test", "request", headers)
    }

    fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
        let key = EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::new(algorithm), claims, &key).unwrap()
    }

    fn claims() -> Value {
        let now = jsonwebtoken::get_current_timestamp();
        json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "role": "operator", "iat": now, "nbf": now, "exp": now + 60})
    }

    fn status(token: &str) -> u16 {
        match auth().operator(&call(&format!("Bearer {token}"))) {
            Ok(_) => 200,
            Err(failure) => failure.code.status,
        }
    }

    #[test]
    fn a_token_that_was_issued_names_its_operator() {
        let token = auth().tokens().issue("ann", Role::Operator).unwrap();
        let operator = auth().operator(&call(&format!("bearer {token}"))).unwrap();
        assert_eq!(operator.principal(), "operator:ann");
    }

    #[test]
    fn a_claim_that_is_missing_or_wrong_is_refused() {
        assert_eq!(status(&signed(Algorithm::HS256, SECRET, &claims())), 200);
        for claim in ["iss", "aud", "sub", "nbf", "iat", "exp"] {
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
            ("nbf", json!(now + 90)),
            ("exp", json!(now - 90)),
        ];
        for (claim, value) in wrong {
            let mut changed = claims();
            changed[claim] = value;
            assert_eq!(status(&signed(Algorithm::HS256, SECRET, &changed)), 401, "{claim}");
        }
    }

    #[test]
    fn another_secret_and_another_algorithm_are_refused() {
        assert_eq!(status(&signed(Algorithm::HS256, "other", &claims())), 401);
        assert_eq!(status(&signed(Algorithm::HS512, SECRET, &claims())), 401);
    }

    #[test]
    fn a_token_of_one_kind_is_no_token_of_the_other() {
        let operator = call(&format!("Bearer {}", auth().tokens().issue("ann", Role::Operator).unwrap()));
        assert_eq!(auth().service(&operator).unwrap_err().code, codes::FORBIDDEN);
        assert_eq!(auth().operator(&call("Bearer service-token")).unwrap_err().code, codes::FORBIDDEN);
        assert_eq!(auth().service(&call("Bearer service-token")).unwrap().principal(), "service");
    }

    #[test]
    fn two_authorization_headers_are_no_credentials() {
        let mut headers = HeaderMap::new();
        headers.append(header::AUTHORIZATION, "Bearer service-token".parse().unwrap());
        headers.append(header::AUTHORIZATION, "Bearer x".parse().unwrap());
        let call = Call::from_parts("test", "request", headers);
        assert_eq!(auth().caller::<people::Views>(&call).unwrap_err().code, codes::UNAUTHORIZED);
    }

    #[test]
    fn a_service_token_that_no_header_can_carry_is_refused_at_the_start() {
        let env = Env::new(|name| Some(if name == "SERVICE_TOKEN" { "to ken" } else { SECRET }.to_owned()));
        assert!(Auth::from_env(&env).err().unwrap().to_string().starts_with("SERVICE_TOKEN: "));
    }

    #[test]
    fn credentials_of_another_shape_are_no_credentials() {
        for bad in ["", "Bearer", "Bearer ", "Basic YTpi", "service-token", "Bearer service-tokenx"] {
            assert_eq!(auth().caller::<people::Views>(&call(bad)).unwrap_err().code, codes::UNAUTHORIZED, "{bad}");
        }
    }
}
