//! Where a request comes from, when a proxy stands in front.
//!
//! Of the headers that name a client, a proxy appends to some and passes others on as they came. So one is looked at that a
//! trusted proxy overwrites, and it holds one address.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

use crate::settings::{Env, SettingError};

/// Where a trusted proxy says who spoke to it. It has to overwrite what the client sent under this name.
const X_CLIENT_ADDRESS: &str = "x-client-address";

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

    /// The client's address: where the connection is a trusted proxy's, that of its `X-Client-Address`. Else, and where the
    /// header is missing, there twice, or no address, it is the connection's.
    pub fn client(&self, connection: IpAddr, headers: &HeaderMap) -> IpAddr {
        let connection = connection.to_canonical();
        let said = if self.trusts(connection) { said(headers) } else { None };
        said.map_or(connection, |client| client.to_canonical())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn said(headers: &HeaderMap) -> Option<IpAddr> {
    let mut values = headers.get_all(X_CLIENT_ADDRESS).iter();
    let said = values.next()?.to_str().ok()?.parse().ok()?;
    values.next().is_none().then_some(said)
}

fn network(entry: &str) -> Option<IpNet> {
    entry.parse().ok().or_else(|| entry.parse().ok().map(|address: IpAddr| address.to_canonical().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &'static str, connection: &str, said: &[&'static str]) -> String {
        let proxies = TrustedProxies::from_env(&Env::new(|_| Some(trusted.to_owned()))).unwrap();
        let mut headers = HeaderMap::new();
        for value in said {
            headers.append(X_CLIENT_ADDRESS, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        proxies.client(connection.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_connection_from_elsewhere_is_the_client_whatever_it_says() {
        assert_eq!(client("", "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client("10.0.0.0/8", "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
    }

    #[test]
    fn behind_a_trusted_proxy_the_client_is_whom_it_names() {
        assert_eq!(client("10.0.0.1", "10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8, fd00::/8", "fd00::1", &["2001:db8::7"]), "2001:db8::7");
        assert_eq!(client("127.0.0.1", "::ffff:127.0.0.1", &["::ffff:203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["10.9.9.9"]), "10.9.9.9");
    }

    #[test]
    fn a_proxy_that_names_nobody_or_several_is_the_client_itself() {
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[]), "10.0.0.1");
        for bad in ["", "unknown", "203.0.113.9:80", "1.2.3", "203.0.113.9, 203.0.113.8", "203.0.113.9,", "café"] {
            assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[bad]), "10.0.0.1", "{bad}");
        }
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["203.0.113.9", "203.0.113.9"]), "10.0.0.1");
    }

    #[test]
    fn what_other_headers_say_counts_for_nothing() {
        let proxies = TrustedProxies::from_env(&Env::new(|_| Some("10.0.0.1".to_owned()))).unwrap();
        let mut headers = HeaderMap::new();
        for name in ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip"] {
            headers.append(name, http::HeaderValue::from_static("203.0.113.9"));
        }
        assert_eq!(proxies.client([10, 0, 0, 1].into(), &headers).to_string(), "10.0.0.1");
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
