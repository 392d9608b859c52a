//! What the clients of a run have to know.

use harness::{Secrets, Service};
use workload::Targets;

/// What lets clients into the services at these base URLs.
pub(crate) fn targets(secrets: &Secrets, base_url: impl Fn(Service) -> String, behind_balancer: bool) -> Targets {
    Targets {
        customers: base_url(Service::Customers),
        orders: base_url(Service::Orders),
        orchestrator: base_url(Service::Orchestrator),
        admin_user: secrets.admin_user.clone(),
        admin_password: secrets.admin_password.clone(),
        service_token: secrets.service_token.clone(),
        behind_balancer,
    }
}
