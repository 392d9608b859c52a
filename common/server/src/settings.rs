//! Settings, read from environment variables. An invalid or missing one is a one-line error that names it.

mod production;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

pub use production::{refuse_weak_secrets, require_tls_to_remote_database};

/// Maximum of `DRAIN_SECONDS`. A supervisor usually kills a process earlier.
const MAX_DRAIN_SECONDS: u64 = 600;

type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Source of settings.
pub struct Env<'a> {
    lookup: Box<Lookup<'a>>,
}

/// An invalid or missing setting.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// The setting has no value and no default.
    #[error("{0} is not set")]
    Missing(String),
    /// The value is invalid. It is not shown, because it may be a secret.
    #[error("{name}: {problem}")]
    Invalid {
        /// The setting.
        name: String,
        /// The problem with the value.
        problem: String,
    },
}

impl SettingError {
    /// Creates the error for an invalid value.
    pub fn invalid(name: &str, problem: impl fmt::Display) -> Self {
        Self::Invalid { name: name.to_owned(), problem: problem.to_string() }
    }
}

impl Env<'static> {
    /// Reads the environment of this process.
    pub fn process() -> Self {
        // A value that is not UTF-8 must not count as unset.
        Self::new(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned()))
    }
}

impl<'a> Env<'a> {
    /// Reads from a function, for tests.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self { lookup: Box::new(lookup) }
    }

    /// Returns the value, if set. An empty value counts as unset, because Compose passes unset variables as empty.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// Returns the value of a required setting.
    pub fn required(&self, name: &str) -> Result<String, SettingError> {
        self.get(name).ok_or_else(|| SettingError::Missing(name.to_owned()))
    }

    /// Returns a required secret.
    pub fn secret(&self, name: &str) -> Result<SecretString, SettingError> {
        self.optional_secret(name)?.ok_or_else(|| SettingError::Missing(name.to_owned()))
    }

    /// Returns a secret, if set. A line break at its end is usually that of the file it was read from: one service
    /// would use another secret than the next.
    pub fn optional_secret(&self, name: &str) -> Result<Option<SecretString>, SettingError> {
        match self.get(name) {
            Some(value) if value.trim() != value || value.contains(char::REPLACEMENT_CHARACTER) => Err(
                SettingError::invalid(name, "expected UTF-8 text without a space or line break at its start or end"),
            ),
            value => Ok(value.map(SecretString::from)),
        }
    }

    /// Returns the parsed value, if set.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<Option<T>, SettingError> {
        let parse = |value: String| value.parse().map_err(|problem| SettingError::invalid(name, problem));
        self.get(name).map(parse).transpose()
    }

    /// Returns the base URL of another service, such as `http://host:port`, without a trailing slash.
    ///
    /// In production, traffic outside a private network requires `https`.
    pub fn base_url(&self, name: &str) -> Result<String, SettingError> {
        let value = self.required(name)?;
        let base = value.trim_end_matches('/');
        let is_base = |url: &Url| {
            let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
            matches!(url.scheme(), "http" | "https") && bare && url.fragment().is_none()
        };
        // The parser would ignore spaces and line breaks, but each request would contain them.
        let is_bare = value.trim() == value;
        let Some(url) = Url::parse(base).ok().filter(|url| is_bare && is_base(url)) else {
            return Err(SettingError::invalid(name, "expected a URL such as http://127.0.0.1:3001"));
        };
        if Profile::from_env(self)? == Profile::Production {
            production::require_https_to_remote_host(name, &url)?;
        }
        Ok(base.to_owned())
    }
}

/// Deployment profile, which determines how strictly settings are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// A developer's machine: any secret and plain-text connections are accepted, and callers of the orchestrator need
    /// no credentials.
    Development,
    /// Any other environment.
    Production,
}

impl Profile {
    /// Reads `PROFILE`: `development`, or `production` (default).
    pub fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
        match env.get("PROFILE").as_deref() {
            None | Some("production") => Ok(Self::Production),
            Some("development") => Ok(Self::Development),
            Some(_) => Err(SettingError::invalid("PROFILE", "expected development or production")),
        }
    }
}

/// Returns the address to listen on: `HOST` (127.0.0.1 by default) and `PORT`. Port 0 selects a free port.
pub fn bind_address(env: &Env<'_>, default_port: u16) -> Result<SocketAddr, SettingError> {
    let host: IpAddr = env.parsed("HOST")?.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let port: u16 = env.parsed("PORT")?.unwrap_or(default_port);
    Ok(SocketAddr::new(host, port))
}

/// Returns the address of the metrics listener: `METRICS_HOST` and `METRICS_PORT`; `None` without a port.
///
/// The host is 127.0.0.1 by default, regardless of `HOST`, because scrapes are not authenticated. Port 0 selects a free
/// port.
pub fn metrics_address(env: &Env<'_>) -> Result<Option<SocketAddr>, SettingError> {
    let port: Option<u16> = env.parsed("METRICS_PORT")?;
    let host: IpAddr = env.parsed("METRICS_HOST")?.unwrap_or(Ipv4Addr::LOCALHOST.into());
    Ok(port.map(|port| SocketAddr::new(host, port)))
}

/// Returns `DRAIN_SECONDS` (0 by default): how long a service keeps serving after a stop signal.
pub fn drain_period(env: &Env<'_>) -> Result<Duration, SettingError> {
    match env.parsed("DRAIN_SECONDS")?.unwrap_or(0) {
        seconds @ 0..=MAX_DRAIN_SECONDS => Ok(Duration::from_secs(seconds)),
        _ => Err(SettingError::invalid("DRAIN_SECONDS", format!("expected 0 to {MAX_DRAIN_SECONDS}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &'static str, value: &'static str) -> Env<'static> {
        Env::new(move |asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn the_error_names_a_missing_setting() {
        let error = Env::new(|_| None).required("JWT_SECRET").unwrap_err();
        assert_eq!(error.to_string(), "JWT_SECRET is not set");
    }

    #[test]
    fn a_secret_with_white_space_at_its_start_or_end_is_refused_and_not_shown() {
        for value in ["hunter2\n", "hunter2\r\n", " hunter2", "hunter2\t", "hunter2\u{a0}", "\n", "hunter\u{fffd}"] {
            for error in [env("A", value).secret("A").unwrap_err(), env("A", value).optional_secret("A").unwrap_err()] {
                let error = error.to_string();
                assert!(
                    error.starts_with("A: expected UTF-8 text without a space") && !error.contains("hunter"),
                    "{error}"
                );
            }
        }
        for value in ["hunter2", "correct horse"] {
            assert!(env("A", value).secret("A").is_ok(), "{value}");
        }
    }

    #[test]
    fn an_empty_setting_counts_as_unset() {
        assert_eq!(env("JWT_SECRET", "").get("JWT_SECRET"), None);
    }

    #[test]
    fn the_error_names_an_invalid_port() {
        let error = bind_address(&env("PORT", "70000"), 1).unwrap_err();
        assert!(error.to_string().starts_with("PORT: "), "{error}");
    }

    #[test]
    fn metrics_are_served_only_if_a_port_is_set() {
        assert_eq!(metrics_address(&Env::new(|_| None)).unwrap(), None);
        let address = metrics_address(&env("METRICS_PORT", "9101")).unwrap();
        assert_eq!(address.unwrap().to_string(), "127.0.0.1:9101");
        for name in ["METRICS_PORT", "METRICS_HOST"] {
            let error = metrics_address(&env(name, "none")).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{name}: ")), "{error}");
        }
    }

    #[test]
    fn metrics_listen_on_loopback_unless_metrics_host_is_set() {
        let address = |metrics_host: Option<&'static str>| {
            let setting = move |name: &str| match name {
                "METRICS_HOST" => metrics_host,
                "METRICS_PORT" => Some("9101"),
                _ => Some("0.0.0.0"),
            };
            metrics_address(&Env::new(move |name| setting(name).map(str::to_owned))).unwrap().unwrap().to_string()
        };
        assert_eq!((address(None), address(Some("0.0.0.0"))), ("127.0.0.1:9101".to_owned(), "0.0.0.0:9101".to_owned()));
    }

    #[test]
    fn a_base_url_needs_a_scheme_and_loses_its_trailing_slash() {
        assert_eq!(env("A", "http://x:1/").base_url("A").unwrap(), "http://x:1");
        for bad in [
            "x:1",
            "ftp://x",
            "http://",
            "http://a b",
            "http://u:p@x",
            "http://u@x",
            "http://x?a",
            "http://x#a",
            "http://x ",
            " http://x",
            "http://x\n",
        ] {
            assert!(env("A", bad).base_url("A").is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_profile_is_refused() {
        assert!(Profile::from_env(&env("PROFILE", "staging")).is_err());
        assert_eq!(Profile::from_env(&Env::new(|_| None)).unwrap(), Profile::Production);
    }

    #[test]
    fn the_drain_period_is_at_most_ten_minutes() {
        assert_eq!(drain_period(&Env::new(|_| None)).unwrap(), Duration::ZERO);
        assert_eq!(drain_period(&env("DRAIN_SECONDS", "600")).unwrap(), Duration::from_secs(600));
        for bad in ["601", "-1", "5s"] {
            let error = drain_period(&env("DRAIN_SECONDS", bad)).unwrap_err();
            assert!(error.to_string().starts_with("DRAIN_SECONDS: "), "{error}");
        }
    }
}
