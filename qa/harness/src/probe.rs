//! Asking a service whether it is ready.

use std::net::SocketAddr;
use std::time::Duration;

const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Asks over a new connection each time: what is asked for is whether the service can be reached now.
pub struct Probe(reqwest::Client);

impl Probe {
    /// Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// Where no TLS can be set up on this machine.
    pub fn new() -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).pool_max_idle_per_host(0).build()?;
        Ok(Self(http))
    }

    /// Whether who listens there says that it is ready.
    pub async fn is_ready(&self, address: SocketAddr) -> bool {
        let answer = self.0.get(format!("http://{address}/ready")).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }
}
