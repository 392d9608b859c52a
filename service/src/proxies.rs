//! Where a request comes from, when a proxy stands in front.
//!
//! Anybody can write anything into X-Forwarded-For, and each proxy adds at the end who it was that spoke to it. So the list is
//! read from its end, and only as far as trusted proxies wrote it.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

use crate::settings::{Env, SettingError};

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The proxies whose word counts.
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// `TRUSTED_PROXIES`: addresses and networks (`10.0.0.0/8`), separated by commas; none by default.
    ///
    /// # Errors
    ///
    /// Where one is neither.
    pub fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
        let given = env.get("TRUSTED_PROXIES").unwrap_or_default();
        let networks = given.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(network);
        match networks.collect() {
            Some(networks) => Ok(Self(networks)),
            None => Err(SettingError::invalid(
                "TRUSTED_PROXIES",
                "expected addresses and networks such as 10.0.0.1 or 10.0.0.0/8, separated by commas",
            )),
        }
    }

    /// The client's address: that of the connection, or, where that is a trusted proxy's, the last one in X-Forwarded-For
    /// that is none. An entry that is no address counts as the proxy's that added it.
    pub fn client(&self, connection: IpAddr, headers: &HeaderMap) -> IpAddr {
        let forwarded: Vec<&str> = headers
            .get_all(X_FORWARDED_FOR)
            .iter()
            .flat_map(|value| value.to_str().unwrap_or_default().split(','))
            .collect();
        let mut client = connection.to_canonical();
        for entry in forwarded.into_iter().rev() {
            match entry.trim().parse::<IpAddr>() {
                Ok(address) if self.trusts(client) => client = address.to_canonical(),
                _ => break,
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn network(entry: &str) -> Option<IpNet> {
    entry.parse().ok().or_else(|| entry.parse().ok().map(|address: IpAddr| address.to_canonical().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &'static str, connection: &str, forwarded: &[&'static str]) -> String {
        let proxies = TrustedProxies::from_env(&Env::new(|_| Some(trusted.to_owned()))).unwrap();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(X_FORWARDED_FOR, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        proxies.client(connection.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_connection_from_elsewhere_is_the_client_whatever_it_says() {
        assert_eq!(client("", "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client("10.0.0.0/8", "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
    }

    #[test]
    fn behind_a_trusted_proxy_the_client_is_the_last_address_that_no_trusted_proxy_has() {
        assert_eq!(client("10.0.0.1", "10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", "10.0.0.1", &["1.2.3.4, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["1.2.3.4, 203.0.113.9,10.9.9.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["1.2.3.4", "203.0.113.9", "10.9.9.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8, fd00::/8", "fd00::1", &["2001:db8::7, 10.0.0.2"]), "2001:db8::7");
        assert_eq!(client("127.0.0.1", "::ffff:127.0.0.1", &["::ffff:203.0.113.9"]), "203.0.113.9");
    }

    #[test]
    fn what_is_no_address_is_the_proxys_that_added_it() {
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[]), "10.0.0.1");
        for bad in ["", "unknown", "203.0.113.9:80", "1.2.3", "_hidden", "203.0.113.9,", "café"] {
            assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[bad]), "10.0.0.1", "{bad}");
        }
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["203.0.113.9, unknown, 10.0.0.2"]), "10.0.0.2");
    }

    #[test]
    fn a_setting_that_names_no_network_is_refused() {
        for bad in ["10.0.0.0/33", "proxy", "10.0.0.1;10.0.0.2", "10.0.0", "::1/129"] {
            let error = TrustedProxies::from_env(&Env::new(|_| Some(bad.to_owned()))).err().unwrap();
            assert!(error.to_string().starts_with("TRUSTED_PROXIES: "), "{error}");
        }
        assert!(TrustedProxies::from_env(&Env::new(|_| None)).is_ok());
    }
}
