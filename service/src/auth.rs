//! Who is calling. Verifying a caller gives a value, and what needs a caller takes that value.

use http::header;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde::{Deserialize, Serialize};
use service_api::{Failure, Text, codes};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Call;
use crate::settings::{Env, SettingError};

const ISSUER: &str = "b2b-orders";
const AUDIENCE: &str = "b2b-orders-api";
/// Clocks of two machines may differ by this much.
const LEEWAY_SECONDS: u64 = 30;
/// How long an operator's token holds.
pub const TOKEN_SECONDS: u32 = 3600;
/// An operator's name. It is part of every record of what the operator did.
pub type OperatorName = Text<64>;

/// A person who runs the back office.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    name: OperatorName,
}

/// Another service of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCaller(());

/// Whoever is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A person.
    Operator(Operator),
    /// A service.
    Service(ServiceCaller),
}

impl Operator {
    /// Under which name the operator's work is recorded.
    pub fn principal(&self) -> String {
        format!("operator:{}", self.name.as_str())
    }
}

impl ServiceCaller {
    /// Under which name the service's work is recorded.
    pub fn principal(&self) -> String {
        "service".to_owned()
    }
}

impl Caller {
    /// Under which name the caller's work is recorded.
    pub fn principal(&self) -> String {
        match self {
            Self::Operator(operator) => operator.principal(),
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

    /// An operator with a token that holds.
    pub fn operator(&self, call: &Call) -> Result<Operator, Failure> {
        match self.caller(call)? {
            Caller::Operator(operator) => Ok(operator),
            Caller::Service(_) => Err(Failure::new(codes::FORBIDDEN, "this operation is for operators")),
        }
    }

    /// A service with the shared token.
    pub fn service(&self, call: &Call) -> Result<ServiceCaller, Failure> {
        match self.caller(call)? {
            Caller::Service(service) => Ok(service),
            Caller::Operator(_) => Err(Failure::new(codes::FORBIDDEN, "this operation is for services")),
        }
    }

    /// Either of the two.
    pub fn caller(&self, call: &Call) -> Result<Caller, Failure> {
        let bearer = bearer(call)?;
        let caller = if self.service_token.matches(bearer) {
            Caller::Service(ServiceCaller(()))
        } else {
            Caller::Operator(self.tokens.verify(bearer)?)
        };
        call.made_by(caller.principal());
        Ok(caller)
    }

    /// Either of the two, or none where no credentials were shown at all. Bad ones are still refused.
    pub fn caller_if_any(&self, call: &Call) -> Result<Option<Caller>, Failure> {
        if call.headers().contains_key(header::AUTHORIZATION) { self.caller(call).map(Some) } else { Ok(None) }
    }

    /// Issues and verifies operators' tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
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

/// Operators' tokens: JSON web tokens under one pinned algorithm, HS256.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: u64,
    nbf: u64,
    exp: u64,
}

impl Tokens {
    fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
        let secret = env.required("JWT_SECRET")?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY_SECONDS;
        Ok(Self {
            encoding: EncodingKey::from_secret(secret.as_bytes()),
            decoding: DecodingKey::from_secret(secret.as_bytes()),
            validation,
        })
    }

    /// A token for this operator that holds for [`TOKEN_SECONDS`].
    pub fn issue(&self, name: &str) -> Result<String, Failure> {
        let now = jsonwebtoken::get_current_timestamp();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: name.to_owned(),
            iat: now,
            nbf: now,
            exp: now + u64::from(TOKEN_SECONDS),
        };
        jsonwebtoken::encode(&jsonwebtoken::Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(Failure::internal)
    }

    fn verify(&self, token: &str) -> Result<Operator, Failure> {
        match jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation) {
            Ok(token) => {
                let name = OperatorName::try_from(token.claims.sub);
                name.map(|name| Operator { name }).map_err(|_| unauthorized("the token names nobody"))
            }
            Err(error) => Err(unauthorized("the token is malformed, expired or not ours").caused_by(error)),
        }
    }
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
        json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": now, "nbf": now, "exp": now + 60})
    }

    fn status(token: &str) -> u16 {
        match auth().operator(&call(&format!("Bearer {token}"))) {
            Ok(_) => 200,
            Err(failure) => failure.code.status,
        }
    }

    #[test]
    fn a_token_that_was_issued_names_its_operator() {
        let token = auth().tokens().issue("ann").unwrap();
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
        let operator = call(&format!("Bearer {}", auth().tokens().issue("ann").unwrap()));
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
        assert_eq!(auth().caller(&call).unwrap_err().code, codes::UNAUTHORIZED);
    }

    #[test]
    fn a_service_token_that_no_header_can_carry_is_refused_at_the_start() {
        let env = Env::new(|name| Some(if name == "SERVICE_TOKEN" { "to ken" } else { SECRET }.to_owned()));
        assert!(Auth::from_env(&env).err().unwrap().to_string().starts_with("SERVICE_TOKEN: "));
    }

    #[test]
    fn credentials_of_another_shape_are_no_credentials() {
        for bad in ["", "Bearer", "Bearer ", "Basic YTpi", "service-token", "Bearer service-tokenx"] {
            assert_eq!(auth().caller(&call(bad)).unwrap_err().code, codes::UNAUTHORIZED, "{bad}");
        }
    }
}
