//! The tokens that people show: who issued them, to whom, and for how long they hold.
//!
//! Two secrets may count at a time, so that they can be changed without logging anybody out. A token says by its `kid` which
//! of them signed it.

use common_contract::{Failure, Role};
use hmac::Mac;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{OperatorName, unauthorized};
use crate::cursor::keyed;
use crate::settings::{Env, SettingError};

pub(super) const ISSUER: &str = "b2b-orders";
pub(super) const AUDIENCE: &str = "b2b-orders-api";
/// Clocks of two machines may differ by this much.
const LEEWAY_SECONDS: u64 = 30;
/// How long a person's token holds.
pub const TOKEN_SECONDS: u32 = 900;

/// What signs, and what is taken for a signature as well.
pub(crate) struct JwtSecrets {
    /// `JWT_SECRET`.
    pub(crate) current: SecretString,
    /// `JWT_SECRET_ALSO`: the one before, or the next.
    pub(crate) also: Option<SecretString>,
}

impl JwtSecrets {
    pub(crate) fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
        Ok(Self { current: env.secret("JWT_SECRET")?, also: env.secret_if_any("JWT_SECRET_ALSO") })
    }
}

/// People's tokens: JSON web tokens under one pinned algorithm, HS256.
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
        let JwtSecrets { current, also } = JwtSecrets::from_env(env)?;
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
            decoding: [Some(&current), also.as_ref()].into_iter().flatten().map(key).collect(),
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
        jsonwebtoken::encode(&self.header, &claims, &self.encoding).map_err(Failure::internal)
    }

    pub(super) fn verify(&self, token: &str) -> Result<(OperatorName, Role), Failure> {
        let claims = self.signed_by_us(token)?;
        if claims.iat > jsonwebtoken::get_current_timestamp() + LEEWAY_SECONDS {
            return Err(unauthorized("the token was issued in the future"));
        }
        let name = OperatorName::try_from(claims.sub).map_err(|_| unauthorized("the token names nobody"))?;
        Ok((name, claims.role))
    }

    /// What a secret that counts has signed. To try a key costs less than to look into the token for its name first.
    fn signed_by_us(&self, token: &str) -> Result<Claims, Failure> {
        let refused = |error| unauthorized("the token is malformed, expired or not ours").caused_by(error);
        let mut last = None;
        for (kid, key) in &self.decoding {
            match jsonwebtoken::decode::<Claims>(token, key, &self.validation) {
                Ok(token) if token.header.kid.as_ref() == Some(kid) => return Ok(token.claims),
                Ok(_) => {}
                Err(error) if *error.kind() == ErrorKind::InvalidSignature => last = Some(error),
                Err(error) => return Err(refused(error)),
            }
        }
        Err(last.map_or_else(|| unauthorized("the token does not name the secret that signed it"), refused))
    }
}

/// Names a secret without giving anything of it away: 8 hexadecimal digits.
pub(super) fn kid(secret: &str) -> String {
    let mut mac = keyed(secret.as_bytes());
    mac.update(b"kid");
    mac.finalize().into_bytes()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}
