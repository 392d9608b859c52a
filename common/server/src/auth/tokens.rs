//! User tokens: JSON Web Tokens signed with HS256.
//!
//! Two secrets can be valid at the same time, so that users stay logged in during a rotation. The `kid` of a token
//! identifies the secret that signed it.

use common_contract::{Failure, Role};
use hmac::Mac;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{Username, unauthorized};
use crate::cursor::new_hmac;
use crate::settings::{Env, SettingError};

pub(super) const ISSUER: &str = "b2b-orders";
pub(super) const AUDIENCE: &str = "b2b-orders-api";
/// Maximum tolerated clock difference between two machines, in seconds.
const LEEWAY_SECONDS: u64 = 30;
/// Lifetime of a user token, in seconds.
pub const TOKEN_LIFETIME_SECONDS: u32 = 900;

const SECONDARY: &str = "JWT_SECRET_SECONDARY";
/// Deprecated name of `JWT_SECRET_SECONDARY`.
const DEPRECATED_SECONDARY: &str = "JWT_SECRET_ALSO";

/// Secret that signs tokens, and an optional second secret that only verifies them during a rotation.
pub(crate) struct JwtSecrets {
    /// `JWT_SECRET`.
    pub(crate) current: SecretString,
    /// `JWT_SECRET_SECONDARY`: the previous or the next secret.
    pub(crate) secondary: Option<SecretString>,
}

impl JwtSecrets {
    pub(crate) fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
        let secondary = secondary_jwt_secret(env)?.map(|(_, secret)| secret);
        Ok(Self { current: env.secret("JWT_SECRET")?, secondary })
    }
}

/// Returns the secondary secret with the name of its setting, which may be the deprecated name.
///
/// # Errors
///
/// If both names are set, or the value is invalid.
pub(crate) fn secondary_jwt_secret(env: &Env<'_>) -> Result<Option<(&'static str, SecretString)>, SettingError> {
    match (env.optional_secret(SECONDARY)?, env.optional_secret(DEPRECATED_SECONDARY)?) {
        (Some(_), Some(_)) => {
            let problem =
                format!("set together with its deprecated name {DEPRECATED_SECONDARY}; remove {DEPRECATED_SECONDARY}");
            Err(SettingError::invalid(SECONDARY, problem))
        }
        (Some(secret), None) => Ok(Some((SECONDARY, secret))),
        (None, Some(secret)) => Ok(Some((DEPRECATED_SECONDARY, secret))),
        (None, None) => Ok(None),
    }
}

/// Issuer and verifier of user tokens. The algorithm is pinned to HS256.
pub struct Tokens {
    header: Header,
    encoding: EncodingKey,
    decoding: Vec<(String, DecodingKey)>,
    validation: Validation,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    role: Role,
    iat: u64,
    nbf: u64,
    exp: u64,
}

impl Tokens {
    pub(super) fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
        let JwtSecrets { current, secondary } = JwtSecrets::from_env(env)?;
        if env.get(DEPRECATED_SECONDARY).is_some() {
            tracing::warn!(setting = DEPRECATED_SECONDARY, replacement = SECONDARY, "setting is deprecated");
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY_SECONDS;
        let key = |secret: &SecretString| {
            let secret = secret.expose_secret();
            (kid(secret), DecodingKey::from_secret(secret.as_bytes()))
        };
        Ok(Self {
            header: Header { kid: Some(kid(current.expose_secret())), ..Header::new(Algorithm::HS256) },
            encoding: EncodingKey::from_secret(current.expose_secret().as_bytes()),
            decoding: [Some(&current), secondary.as_ref()].into_iter().flatten().map(key).collect(),
            validation,
        })
    }

    /// Issues a token for a user account. The token is valid for [`TOKEN_LIFETIME_SECONDS`].
    pub fn issue(&self, name: &str, role: Role) -> Result<String, Failure> {
        let now = jsonwebtoken::get_current_timestamp();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: name.to_owned(),
            role,
            iat: now,
            nbf: now,
            exp: now + u64::from(TOKEN_LIFETIME_SECONDS),
        };
        jsonwebtoken::encode(&self.header, &claims, &self.encoding).map_err(Failure::internal)
    }

    pub(super) fn verify(&self, token: &str) -> Result<(Username, Role), Failure> {
        let claims = self.verified_claims(token)?;
        if claims.iat > jsonwebtoken::get_current_timestamp() + LEEWAY_SECONDS {
            return Err(unauthorized("the token was issued in the future"));
        }
        let name = Username::try_from(claims.sub).map_err(|_| unauthorized("the token has no valid subject"))?;
        Ok((name, claims.role))
    }

    /// Verifies a token and returns its claims.
    ///
    /// Tries each key, which is cheaper than decoding the token header first to select a key.
    fn verified_claims(&self, token: &str) -> Result<Claims, Failure> {
        let refused =
            |error| unauthorized("the token is malformed, expired or not signed by this system").caused_by(error);
        let mut last = None;
        for (kid, key) in &self.decoding {
            match jsonwebtoken::decode::<Claims>(token, key, &self.validation) {
                Ok(token) if token.header.kid.as_ref() == Some(kid) => return Ok(token.claims),
                Ok(_) => {}
                Err(error) if *error.kind() == ErrorKind::InvalidSignature => last = Some(error),
                Err(error) => return Err(refused(error)),
            }
        }
        Err(last
            .map_or_else(|| unauthorized("the key id of the token does not match the secret that signed it"), refused))
    }
}

/// Derives the public key id of a secret: 8 hexadecimal digits that reveal nothing about the secret.
pub(super) fn kid(secret: &str) -> String {
    let mut mac = new_hmac(secret.as_bytes());
    mac.update(b"kid");
    mac.finalize().into_bytes()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}
