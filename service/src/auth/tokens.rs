//! The tokens that people show: who issued them, to whom, and for how long they hold.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde::{Deserialize, Serialize};
use service_api::{Failure, Role};

use super::{OperatorName, unauthorized};
use crate::settings::{Env, SettingError};

pub(super) const ISSUER: &str = "b2b-orders";
pub(super) const AUDIENCE: &str = "b2b-orders-api";
/// Clocks of two machines may differ by this much.
const LEEWAY_SECONDS: u64 = 30;
/// How long a person's token holds.
pub const TOKEN_SECONDS: u32 = 3600;

/// People's tokens: JSON web tokens under one pinned algorithm, HS256.
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
    role: Role,
    iat: u64,
    nbf: u64,
    exp: u64,
}

impl Tokens {
    pub(super) fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
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

    /// A token for this person that holds for [`TOKEN_SECONDS`].
    pub fn issue(&self, name: &str, role: Role) -> Result<String, Failure> {
        let now = jsonwebtoken::get_current_timestamp();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: name.to_owned(),
            role,
            iat: now,
            nbf: now,
            exp: now + u64::from(TOKEN_SECONDS),
        };
        jsonwebtoken::encode(&jsonwebtoken::Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(Failure::internal)
    }

    pub(super) fn verify(&self, token: &str) -> Result<(OperatorName, Role), Failure> {
        match jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation) {
            Ok(token) => {
                let name = OperatorName::try_from(token.claims.sub);
                name.map(|name| (name, token.claims.role)).map_err(|_| unauthorized("the token names nobody"))
            }
            Err(error) => Err(unauthorized("the token is malformed, expired or not ours").caused_by(error)),
        }
    }
}
