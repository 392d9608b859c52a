//! Who is calling. Verifying a caller gives a value, and what needs a caller takes that value.

mod people;
mod service_tokens;
mod tokens;

use common_contract::{Failure, Role, codes};
use http::header;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Call;
use crate::settings::{Env, SettingError};

use service_tokens::{SHARED, ServiceTokens};

pub use people::{Admin, Operator, OperatorName, Person, Rank, Viewer};
pub(crate) use service_tokens::named_tokens;
pub(crate) use tokens::JwtSecrets;
pub use tokens::{TOKEN_SECONDS, Tokens};

/// Another service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCaller {
    name: String,
}

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
        if self.name == SHARED { SHARED.to_owned() } else { format!("{SHARED}:{}", self.name) }
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
    service_tokens: ServiceTokens,
}

impl Auth {
    /// From `JWT_SECRET`, `JWT_SECRET_ALSO`, `SERVICE_TOKEN` and `SERVICE_TOKENS`.
    ///
    /// # Errors
    ///
    /// Names the first of them that is bad or missing.
    pub fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
        Ok(Self { tokens: Tokens::from_env(env)?, service_tokens: ServiceTokens::from_env(env)? })
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

    /// A service.
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
        if let Some(service) = self.service_tokens.owner(bearer) {
            call.record_principal(service.principal());
            return Ok(Known::Service(service.clone()));
        }
        let (name, role) = self.tokens.verify(bearer)?;
        call.record_principal(people::principal(&name));
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
mod tests;
