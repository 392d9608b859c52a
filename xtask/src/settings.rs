//! Service settings.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result};
use harness::Service;

/// API and metrics port settings, with the first service's default. It is one higher for each further service.
const PORTS: [(&str, u16); 2] = [("PORT", 3001), ("METRICS_PORT", 9101)];

/// Default settings for all services, for development only. Environment variables override them.
const DEFAULTS: [(&str, &str); 6] = [
    ("LOG_FORMAT", "text"),
    ("PROFILE", "development"),
    ("JWT_SECRET", "development-only-jwt-secret-do-not-deploy"),
    ("SERVICE_TOKEN", "development-only-service-token-do-not-deploy"),
    ("ADMIN_USER", "admin"),
    ("ADMIN_PASSWORD", "admin"),
];

pub(crate) struct Settings {
    /// Address on which all services listen.
    host: IpAddr,
    values: BTreeMap<&'static str, String>,
    /// Ports, by variable name such as `ORDERS_PORT`.
    ports: BTreeMap<String, u16>,
}

impl Settings {
    /// Reads environment variables through `get`. Empty variables count as unset.
    pub(crate) fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let host = get("HOST").unwrap_or_else(|| "127.0.0.1".to_owned());
        let host = host.parse().with_context(|| format!("HOST must be an IP address, not '{host}'"))?;
        let values = DEFAULTS.map(|(name, default)| (name, get(name).unwrap_or_else(|| default.to_owned()))).into();
        let mut settings = Self { host, values, ports: BTreeMap::new() };
        for (number, service) in (0..).zip(Service::ALL) {
            for (setting, first) in PORTS {
                let variable = service.variable(setting);
                let port = get(&variable).unwrap_or_else(|| (first + number).to_string());
                let port = port.parse().with_context(|| format!("{variable} must be a port, not '{port}'"))?;
                settings.ports.insert(variable, port);
            }
        }
        for (name, service) in [("CUSTOMERS_API_BASE", Service::Customers), ("ORDERS_API_BASE", Service::Orders)] {
            let base = get(name).unwrap_or_else(|| settings.base(service));
            settings.values.insert(name, base);
        }
        Ok(settings)
    }

    pub(crate) fn port_variables() -> impl Iterator<Item = String> {
        Service::ALL.into_iter().flat_map(|service| PORTS.map(|(setting, _)| service.variable(setting)))
    }

    /// Returns a setting shared by all services, or an empty string if it is not defined.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    fn address_of(&self, service: Service, setting: &str) -> SocketAddr {
        let host = match self.host {
            IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            host => host,
        };
        SocketAddr::new(host, self.ports[&service.variable(setting)])
    }

    /// Returns the address at which clients on this machine reach a service.
    pub(crate) fn address(&self, service: Service) -> SocketAddr {
        self.address_of(service, "PORT")
    }

    pub(crate) fn base(&self, service: Service) -> String {
        format!("http://{}", self.address(service))
    }

    pub(crate) fn metrics(&self, service: Service) -> String {
        format!("http://{}/metrics", self.address_of(service, "METRICS_PORT"))
    }

    /// Returns the environment variables for a service, in addition to the inherited ones.
    pub(crate) fn environment(&self, service: Service, database_url: &str) -> BTreeMap<&'static str, String> {
        let mut environment = self.values.clone();
        environment.extend([("HOST", self.host.to_string()), ("DATABASE_URL", database_url.to_owned())]);
        environment.extend(PORTS.map(|(setting, _)| (setting, self.ports[&service.variable(setting)].to_string())));
        environment
    }

    /// Checks that the services can listen on their API ports. An error names the variable that changes the port.
    pub(crate) fn check_ports(&self) -> Result<()> {
        for service in Service::ALL {
            let (host, port, name) = (self.host, self.address(service).port(), service.name());
            TcpListener::bind((host, port)).with_context(|| {
                let advice = format!("stop the program that uses this port, or set {}", service.variable("PORT"));
                format!("cannot listen on {host}:{port} for {name}: {advice}")
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(settings: &Settings, service: Service) -> BTreeMap<&'static str, String> {
        settings.environment(service, "mysql://root@127.0.0.1:1/x")
    }

    #[test]
    fn defaults_match_the_documentation() {
        let settings = Settings::read(|_| None).unwrap();
        let orders = environment(&settings, Service::Orders);
        assert_eq!((orders["PORT"].as_str(), orders["METRICS_PORT"].as_str()), ("3002", "9102"));
        assert_eq!(orders["CUSTOMERS_API_BASE"], "http://127.0.0.1:3001");
        assert_eq!(orders["ADMIN_PASSWORD"], "admin");
        assert_eq!(orders["PROFILE"], "development");
        assert_eq!(environment(&settings, Service::Orchestrator)["PORT"], "3003");
    }

    #[test]
    fn environment_overrides_defaults_and_port_changes_base_url() {
        let get = |name: &str| match name {
            "CUSTOMERS_PORT" => Some("4001".to_owned()),
            "ADMIN_PASSWORD" => Some("secret".to_owned()),
            "SERVICE_TOKEN" => Some(String::new()),
            "PORT" => Some("1".to_owned()),
            _ => None,
        };
        let settings = Settings::read(get).unwrap();
        let customers = environment(&settings, Service::Customers);
        assert_eq!(customers["PORT"], "4001");
        assert_eq!(customers["CUSTOMERS_API_BASE"], "http://127.0.0.1:4001");
        assert_eq!(customers["ADMIN_PASSWORD"], "secret");
        assert!(customers["SERVICE_TOKEN"].starts_with("development"));
    }

    #[test]
    fn invalid_port_error_names_the_variable() {
        let get = |name: &str| (name == "ORDERS_PORT").then(|| "http".to_owned());
        let error = Settings::read(get).err().unwrap();
        assert_eq!(error.to_string(), "ORDERS_PORT must be a port, not 'http'");
    }

    #[test]
    fn base_url_of_unspecified_host_uses_loopback() {
        let base = |host: &'static str| {
            let settings = Settings::read(|name| (name == "HOST").then(|| host.to_owned())).unwrap();
            assert_eq!(environment(&settings, Service::Customers)["HOST"], host);
            settings.base(Service::Customers)
        };
        assert_eq!(base("192.0.2.7"), "http://192.0.2.7:3001");
        assert_eq!(base("0.0.0.0"), "http://127.0.0.1:3001");
        assert_eq!(base("::1"), "http://[::1]:3001");
        assert_eq!(base("::"), "http://[::1]:3001");
    }

    #[test]
    fn host_name_is_rejected() {
        let error = Settings::read(|name| (name == "HOST").then(|| "localhost".to_owned())).err().unwrap();
        assert_eq!(error.to_string(), "HOST must be an IP address, not 'localhost'");
    }

    #[test]
    fn occupied_port_error_names_the_variable() {
        let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = occupied.local_addr().unwrap().port().to_string();
        let get = |name: &str| match name {
            "ORDERS_PORT" => Some(port.clone()),
            // Use any free port: a running `up` may occupy the default ports.
            "CUSTOMERS_PORT" | "ORCHESTRATOR_PORT" => Some("0".to_owned()),
            _ => None,
        };
        let settings = Settings::read(get).unwrap();
        let message = settings.check_ports().unwrap_err().to_string();
        assert!(message.starts_with(&format!("cannot listen on 127.0.0.1:{port} for orders")), "{message}");
        assert!(message.contains("ORDERS_PORT"), "{message}");
        drop(occupied);
        settings.check_ports().unwrap();
    }
}
