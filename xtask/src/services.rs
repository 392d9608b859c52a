//! The three services and their settings. Starting and stopping them is in `system`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result};

/// A service: a package and binary of this name that is told its port by PORT.
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) port_variable: &'static str,
    default_port: &'static str,
    /// For METRICS_PORT.
    pub(crate) metrics_variable: &'static str,
    default_metrics_port: &'static str,
}

/// In the order in which they start. They are stopped the other way round.
pub(crate) const SERVICES: [Service; 3] = [
    Service {
        name: "customers",
        port_variable: "CUSTOMERS_PORT",
        default_port: "3001",
        metrics_variable: "CUSTOMERS_METRICS_PORT",
        default_metrics_port: "9101",
    },
    Service {
        name: "orders",
        port_variable: "ORDERS_PORT",
        default_port: "3002",
        metrics_variable: "ORDERS_METRICS_PORT",
        default_metrics_port: "9102",
    },
    Service {
        name: "orchestrator",
        port_variable: "ORCHESTRATOR_PORT",
        default_port: "3003",
        metrics_variable: "ORCHESTRATOR_METRICS_PORT",
        default_metrics_port: "9103",
    },
];

/// What every service gets unless the environment says otherwise. Good for development only.
const DEFAULTS: [(&str, &str); 6] = [
    ("LOG_FORMAT", "text"),
    ("PROFILE", "development"),
    ("JWT_SECRET", "development-only-jwt-secret-do-not-deploy"),
    ("SERVICE_TOKEN", "development-only-service-token-do-not-deploy"),
    ("ADMIN_USER", "admin"),
    ("ADMIN_PASSWORD", "admin"),
];

/// The settings of one `up`.
pub(crate) struct Settings {
    /// Where the services listen.
    pub(crate) host: IpAddr,
    values: BTreeMap<&'static str, String>,
    /// By the variable that may name them.
    ports: BTreeMap<&'static str, u16>,
}

impl Settings {
    /// Reads the environment through `get`. An empty variable counts as absent.
    pub(crate) fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let host = get("HOST").unwrap_or_else(|| "127.0.0.1".to_owned());
        let host = host.parse().with_context(|| format!("HOST must be an IP address, not '{host}'"))?;
        let mut settings = Self { host, values: BTreeMap::new(), ports: BTreeMap::new() };
        for (name, default) in DEFAULTS {
            let value = get(name).unwrap_or_else(|| default.to_owned());
            settings.values.insert(name, value);
        }
        for service in &SERVICES {
            let Service { port_variable, default_port, metrics_variable, default_metrics_port, .. } = *service;
            for (variable, default) in [(port_variable, default_port), (metrics_variable, default_metrics_port)] {
                let port = get(variable).unwrap_or_else(|| default.to_owned());
                let port = port.parse().with_context(|| format!("{variable} must be a port, not '{port}'"))?;
                settings.ports.insert(variable, port);
            }
        }
        let [customers, orders, _] = &SERVICES;
        for (name, service) in [("CUSTOMERS_API_BASE", customers), ("ORDERS_API_BASE", orders)] {
            let base = get(name).unwrap_or_else(|| settings.base(service));
            settings.values.insert(name, base);
        }
        Ok(settings)
    }

    /// A value that all services share; empty when there is none of this name.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    pub(crate) fn port(&self, service: &Service) -> u16 {
        self.ports.get(service.port_variable).copied().unwrap_or_default()
    }

    /// Where it shows its numbers.
    pub(crate) fn metrics_port(&self, service: &Service) -> u16 {
        self.ports.get(service.metrics_variable).copied().unwrap_or_default()
    }

    /// Where a client on this machine reaches a service.
    pub(crate) fn address(&self, service: &Service) -> SocketAddr {
        let host = match self.host {
            IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            host => host,
        };
        SocketAddr::new(host, self.port(service))
    }

    /// The base URL of a service, without a slash at the end.
    pub(crate) fn base(&self, service: &Service) -> String {
        format!("http://{}", self.address(service))
    }

    /// The environment of a service, to be added to that of this process.
    pub(crate) fn environment<'a>(
        &'a self,
        service: &Service,
        database_url: &str,
    ) -> impl Iterator<Item = (&'static str, String)> + use<'a> {
        let shared = self.values.iter().map(|(name, value)| (*name, value.clone()));
        let own = [
            ("HOST", self.host.to_string()),
            ("PORT", self.port(service).to_string()),
            ("METRICS_PORT", self.metrics_port(service).to_string()),
            ("DATABASE_URL", database_url.to_owned()),
        ];
        shared.chain(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(settings: &Settings, service: usize) -> BTreeMap<&'static str, String> {
        settings.environment(&SERVICES[service], "mysql://root@127.0.0.1:1/x").collect()
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let settings = Settings::read(|_| None).unwrap();
        let orders = environment(&settings, 1);
        assert_eq!((orders["PORT"].as_str(), orders["METRICS_PORT"].as_str()), ("3002", "9102"));
        assert_eq!(orders["CUSTOMERS_API_BASE"], "http://127.0.0.1:3001");
        assert_eq!(orders["ADMIN_PASSWORD"], "admin");
        assert_eq!(orders["PROFILE"], "development");
        assert_eq!(environment(&settings, 2)["PORT"], "3003");
    }

    #[test]
    fn the_environment_wins_and_a_moved_port_moves_the_base() {
        let get = |name: &str| match name {
            "CUSTOMERS_PORT" => Some("4001".to_owned()),
            "ADMIN_PASSWORD" => Some("secret".to_owned()),
            "SERVICE_TOKEN" => Some(String::new()),
            "PORT" => Some("1".to_owned()),
            _ => None,
        };
        let settings = Settings::read(get).unwrap();
        let customers = environment(&settings, 0);
        assert_eq!(customers["PORT"], "4001");
        assert_eq!(customers["CUSTOMERS_API_BASE"], "http://127.0.0.1:4001");
        assert_eq!(customers["ADMIN_PASSWORD"], "secret");
        assert!(customers["SERVICE_TOKEN"].starts_with("development"));
    }

    #[test]
    fn a_bad_port_is_an_error_that_names_the_variable() {
        let get = |name: &str| (name == "ORDERS_PORT").then(|| "http".to_owned());
        let error = Settings::read(get).err().unwrap();
        assert_eq!(error.to_string(), "ORDERS_PORT must be a port, not 'http'");
    }

    #[test]
    fn a_client_gets_a_url_that_it_can_connect_to() {
        let base = |host: &'static str| {
            let settings = Settings::read(|name| (name == "HOST").then(|| host.to_owned())).unwrap();
            assert_eq!(environment(&settings, 0)["HOST"], host);
            settings.base(&SERVICES[0])
        };
        assert_eq!(base("192.0.2.7"), "http://192.0.2.7:3001");
        assert_eq!(base("0.0.0.0"), "http://127.0.0.1:3001");
        assert_eq!(base("::1"), "http://[::1]:3001");
        assert_eq!(base("::"), "http://[::1]:3001");
    }

    #[test]
    fn a_host_is_an_address_as_the_services_want_it() {
        let error = Settings::read(|name| (name == "HOST").then(|| "localhost".to_owned())).err().unwrap();
        assert_eq!(error.to_string(), "HOST must be an IP address, not 'localhost'");
    }
}
