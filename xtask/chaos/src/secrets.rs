//! What lets clients and services in: random, one set for each run.

use std::net::Ipv4Addr;

use load::Targets;
use rand::distr::{Alphanumeric, SampleString};

use crate::plan::Service;

/// The least that the orders service takes, so that reservations end during a run.
const RESERVATION_SECONDS: &str = "60";

/// The secrets of a run.
pub(crate) struct Secrets {
    admin_user: String,
    admin_password: String,
    service_token: String,
    jwt_secret: String,
}

impl Secrets {
    /// Secrets that nobody else has.
    pub(crate) fn random() -> Self {
        let random = || Alphanumeric.sample_string(&mut rand::rng(), 48);
        let admin_user = "chaos".to_owned();
        Self { admin_user, admin_password: random(), service_token: random(), jwt_secret: random() }
    }

    /// What clients have to know of services at these base URLs.
    pub(crate) fn targets(&self, base_url: impl Fn(Service) -> String, behind_balancer: bool) -> Targets {
        Targets {
            customers: base_url(Service::Customers),
            orders: base_url(Service::Orders),
            orchestrator: base_url(Service::Orchestrator),
            admin_user: self.admin_user.clone(),
            admin_password: self.admin_password.clone(),
            service_token: self.service_token.clone(),
            behind_balancer,
        }
    }

    /// The settings that every service of a run has.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let settings = [
            ("HOST", Ipv4Addr::LOCALHOST.to_string()),
            ("LOG_FORMAT", "json".to_owned()),
            ("RUST_LOG", "info".to_owned()),
            ("PROFILE", "production".to_owned()),
            ("RESERVATION_SECONDS", RESERVATION_SECONDS.to_owned()),
            ("JWT_SECRET", self.jwt_secret.clone()),
            ("SERVICE_TOKEN", self.service_token.clone()),
            ("ADMIN_USER", self.admin_user.clone()),
            ("ADMIN_PASSWORD", self.admin_password.clone()),
        ];
        settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
}
