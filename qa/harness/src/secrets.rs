//! Credentials of clients and services: random, one set for each run.

use std::net::Ipv4Addr;

use rand::distr::{Alphanumeric, SampleString};

/// The secrets of a run.
pub struct Secrets {
    /// The operator's name.
    pub admin_user: String,
    /// The operator's password.
    pub admin_password: String,
    /// The token that services share.
    pub service_token: String,
    jwt_secret: String,
}

impl Secrets {
    /// Secrets that nobody else has.
    #[must_use]
    pub fn random() -> Self {
        let random = || Alphanumeric.sample_string(&mut rand::rng(), 48);
        let admin_user = "stage".to_owned();
        Self { admin_user, admin_password: random(), service_token: random(), jwt_secret: random() }
    }

    /// The settings that every service of a run has.
    #[must_use]
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
