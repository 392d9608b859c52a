//! Client addresses behind trusted proxies.
//!
//! Proxies append to some of the common client address headers and forward others unchanged, so clients can forge these
//! headers. Only `X-Client-Address` is read, which a trusted proxy overwrites with a single address.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

use crate::settings::{Env, SettingError};

/// Client address as reported by a trusted proxy, which must overwrite the client's own value.
const X_CLIENT_ADDRESS: &str = "x-client-address";

/// Networks of the proxies whose `X-Client-Address` is trusted.
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads `TRUSTED_PROXIES`: comma-separated addresses and networks, such as `10.0.0.0/8`. By default, no proxy is
    /// trusted.
    ///
    /// # Errors
    ///
    /// Returns an error if an entry is neither an address nor a network.
    pub fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
        let given = env.get("TRUSTED_PROXIES").unwrap_or_default();
        let networks = given.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(parse_network);
        match networks.collect() {
            Some(networks) => Ok(Self(networks)),
            None => Err(SettingError::invalid(
                "TRUSTED_PROXIES",
                "expected addresses and networks such as 10.0.0.1 or 10.0.0.0/8, separated by commas",
            )),
        }
    }

    /// Returns the client address: the value of `X-Client-Address` if the connection comes from a trusted proxy.
    ///
    /// Otherwise, or if the header is missing, repeated or not an address, returns the address of the connection.
    pub fn client_address(&self, connection: IpAddr, headers: &HeaderMap) -> IpAddr {
        let connection = connection.to_canonical();
        let reported = if self.trusts(connection) { reported_address(headers) } else { None };
        reported.map_or(connection, |client| client.to_canonical())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Returns the address in the header if the request contains exactly one valid address.
fn reported_address(headers: &HeaderMap) -> Option<IpAddr> {
    let mut values = headers.get_all(X_CLIENT_ADDRESS).iter();
    let address = values.next()?.to_str().ok()?.parse().ok()?;
    values.next().is_none().then_some(address)
}

fn parse_network(entry: &str) -> Option<IpNet> {
    entry.parse().ok().or_else(|| entry.parse().ok().map(|address: IpAddr| address.to_canonical().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &'static str, connection: &str, reported: &[&'static str]) -> String {
        let proxies = TrustedProxies::from_env(&Env::new(|_| Some(trusted.to_owned()))).unwrap();
        let mut headers = HeaderMap::new();
        for value in reported {
            headers.append(X_CLIENT_ADDRESS, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        proxies.client_address(connection.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_header_of_an_untrusted_connection_is_ignored() {
        assert_eq!(client("", "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client("10.0.0.0/8", "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
    }

    #[test]
    fn the_header_of_a_trusted_proxy_names_the_client() {
        assert_eq!(client("10.0.0.1", "10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8, fd00::/8", "fd00::1", &["2001:db8::7"]), "2001:db8::7");
        assert_eq!(client("127.0.0.1", "::ffff:127.0.0.1", &["::ffff:203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["10.9.9.9"]), "10.9.9.9");
    }

    #[test]
    fn without_exactly_one_valid_address_the_proxy_counts_as_the_client() {
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[]), "10.0.0.1");
        for bad in ["", "unknown", "203.0.113.9:80", "1.2.3", "203.0.113.9, 203.0.113.8", "203.0.113.9,", "café"] {
            assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[bad]), "10.0.0.1", "{bad}");
        }
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["203.0.113.9", "203.0.113.9"]), "10.0.0.1");
    }

    #[test]
    fn other_address_headers_are_ignored() {
        let proxies = TrustedProxies::from_env(&Env::new(|_| Some("10.0.0.1".to_owned()))).unwrap();
        let mut headers = HeaderMap::new();
        for name in ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip"] {
            headers.append(name, http::HeaderValue::from_static("203.0.113.9"));
        }
        assert_eq!(proxies.client_address([10, 0, 0, 1].into(), &headers).to_string(), "10.0.0.1");
    }

    #[test]
    fn an_invalid_network_is_refused() {
        for bad in ["10.0.0.0/33", "proxy", "10.0.0.1;10.0.0.2", "10.0.0", "::1/129"] {
            let error = TrustedProxies::from_env(&Env::new(|_| Some(bad.to_owned()))).err().unwrap();
            assert!(error.to_string().starts_with("TRUSTED_PROXIES: "), "{error}");
        }
        assert!(TrustedProxies::from_env(&Env::new(|_| None)).is_ok());
    }
}
