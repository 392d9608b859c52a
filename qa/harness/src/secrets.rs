//! Credentials for clients and services, with random secrets for each run.

use std::net::Ipv4Addr;

use rand::distr::{Alphanumeric, SampleString};

/// Secrets of a run.
pub struct Secrets {
    /// The admin's username.
    pub admin_user: String,
    /// The admin's password.
    pub admin_password: String,
    /// The token that the services share.
    pub service_token: String,
    jwt_secret: String,
}

impl Secrets {
    /// Generates random secrets.
    #[must_use]
    pub fn random() -> Self {
        let random = || Alphanumeric.sample_string(&mut rand::rng(), 48);
        let admin_user = "harness".to_owned();
        Self { admin_user, admin_password: random(), service_token: random(), jwt_secret: random() }
    }

    /// Returns the settings that all services of a run share.
    pub fn settings(&self) -> Vec<(String, String)> {
        let settings = [
            ("HOST", Ipv4Addr::LOCALHOST.to_string()),
            ("LOG_FORMAT", "json".to_owned()),
            ("RUST_LOG", "info".to_owned()),
            ("PROFILE", "production".to_owned()),
            ("JWT_SECRET", self.jwt_secret.clone()),
            ("SERVICE_TOKEN", self.service_token.clone()),
            ("ADMIN_USER", self.admin_user.clone()),
            ("ADMIN_PASSWORD", self.admin_password.clone()),
        ];
        settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
}
