//! Caller authentication. Successful verification returns a typed principal, which functions that require an
//! authenticated caller take as a parameter.

mod service_tokens;
mod tokens;
mod users;

use common_contract::{Failure, Role, Username, codes};
use http::header;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Call;
use crate::settings::{Env, SettingError};

use service_tokens::{SHARED, ServiceTokens};

pub(crate) use service_tokens::named_tokens;
pub(crate) use tokens::{JwtSecrets, secondary_jwt_secret};
pub use tokens::{TOKEN_LIFETIME_SECONDS, Tokens};
pub use users::{Admin, Operator, RequiredRole, User, Viewer};

/// Authenticated service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCaller {
    name: String,
}

/// A user account with a sufficient role, or a service.
///
/// `Caller<Operator>`, for example, admits operators, admins and services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller<U> {
    /// User account.
    User(U),
    /// Service.
    Service(ServiceCaller),
}

/// Authenticated owner of the credentials, not yet authorized.
enum Authenticated {
    User(Username, Role),
    Service(ServiceCaller),
}

impl ServiceCaller {
    /// Returns the principal for logs and audit records: `service` or `service:NAME`.
    pub fn principal(&self) -> String {
        if self.name == SHARED { SHARED.to_owned() } else { format!("{SHARED}:{}", self.name) }
    }
}

impl<R> Caller<User<R>> {
    /// Returns the principal for logs and audit records.
    pub fn principal(&self) -> String {
        match self {
            Self::User(user) => user.principal(),
            Self::Service(service) => service.principal(),
        }
    }
}

/// Authenticates callers by their bearer tokens.
pub struct Auth {
    tokens: Tokens,
    service_tokens: ServiceTokens,
}

impl Auth {
    /// Reads `JWT_SECRET`, `JWT_SECRET_SECONDARY`, `SERVICE_TOKEN` and `SERVICE_TOKENS`.
    ///
    /// # Errors
    ///
    /// Returns an error for the first invalid or missing setting.
    pub fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
        Ok(Self { tokens: Tokens::from_env(env)?, service_tokens: ServiceTokens::from_env(env)? })
    }

    /// Authenticates a user account with any role.
    pub fn viewer(&self, call: &Call) -> Result<Viewer, Failure> {
        self.user(call)
    }

    /// Authenticates a user account with the role operator or admin.
    pub fn operator(&self, call: &Call) -> Result<Operator, Failure> {
        self.user(call)
    }

    /// Authenticates a user account with the role admin.
    pub fn admin(&self, call: &Call) -> Result<Admin, Failure> {
        self.user(call)
    }

    /// Authenticates a service.
    pub fn service(&self, call: &Call) -> Result<ServiceCaller, Failure> {
        match self.authenticate(call)? {
            Authenticated::Service(service) => Ok(service),
            Authenticated::User(..) => Err(Failure::new(codes::FORBIDDEN, "this operation requires a service token")),
        }
    }

    /// Authenticates a user account with the required role, or a service.
    pub fn caller<R: RequiredRole>(&self, call: &Call) -> Result<Caller<User<R>>, Failure> {
        match self.authenticate(call)? {
            Authenticated::User(name, role) => User::with(name, role).map(Caller::User),
            Authenticated::Service(service) => Ok(Caller::Service(service)),
        }
    }

    /// Like [`Self::caller`], but returns `None` for a request without credentials. Invalid credentials are still
    /// rejected.
    pub fn optional_caller<R: RequiredRole>(&self, call: &Call) -> Result<Option<Caller<User<R>>>, Failure> {
        if call.headers().contains_key(header::AUTHORIZATION) { self.caller(call).map(Some) } else { Ok(None) }
    }

    /// Returns the issuer and verifier of user tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    fn user<R: RequiredRole>(&self, call: &Call) -> Result<User<R>, Failure> {
        match self.authenticate(call)? {
            Authenticated::User(name, role) => User::with(name, role),
            Authenticated::Service(_) => {
                let role = R::ROLE;
                Err(Failure::new(
                    codes::FORBIDDEN,
                    format!("this operation requires a user account with the role {role} or higher"),
                ))
            }
        }
    }

    fn authenticate(&self, call: &Call) -> Result<Authenticated, Failure> {
        let bearer = bearer(call)?;
        if let Some(service) = self.service_tokens.owner(bearer) {
            call.record_principal(service.principal());
            return Ok(Authenticated::Service(service.clone()));
        }
        let (name, role) = self.tokens.verify(bearer)?;
        call.record_principal(users::principal(&name));
        Ok(Authenticated::User(name, role))
    }
}

/// Returns the token from the `Authorization: Bearer …` header (RFC 6750). The scheme is case-insensitive.
fn bearer(call: &Call) -> Result<&str, Failure> {
    let mut values = call.headers().get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(unauthorized("no credentials: send Authorization: Bearer …"));
    };
    if values.next().is_some() {
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

/// Digest of a secret for constant-time comparison. All digests have the same length, so the comparison time reveals
/// nothing about the secret.
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// Hashes a secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Returns whether the candidate equals the secret.
    pub fn matches(&self, candidate: &str) -> bool {
        self.0.ct_eq(Sha256::digest(candidate).as_slice()).into()
    }
}

#[cfg(test)]
mod tests;
