//! Settings come from the environment. A bad or missing one is an error of one line that names it.

mod production;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

pub use production::{refuse_database_abroad, refuse_weak_secrets};

/// In seconds. Whoever waits longer for the end of a process kills it.
const LONGEST_DRAIN: u64 = 600;

type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Where settings are looked up.
pub struct Env<'a> {
    lookup: Box<Lookup<'a>>,
}

/// What is wrong with one setting.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// It has no value and no default.
    #[error("{0} is not set")]
    Missing(String),
    /// Its value cannot be used. The value itself is not shown: it may be a secret.
    #[error("{name}: {problem}")]
    Invalid {
        /// The setting.
        name: String,
        /// What was expected.
        problem: String,
    },
}

impl SettingError {
    /// The setting has a value that cannot be used.
    pub fn invalid(name: &str, problem: impl fmt::Display) -> Self {
        Self::Invalid { name: name.to_owned(), problem: problem.to_string() }
    }
}

impl Env<'static> {
    /// The environment of this process.
    pub fn process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }
}

impl<'a> Env<'a> {
    /// Any other source, for tests.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self { lookup: Box::new(lookup) }
    }

    /// The value, if there is one. An empty value counts as none, as Compose passes unset variables on.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// The value, which has to be there.
    pub fn required(&self, name: &str) -> Result<String, SettingError> {
        self.get(name).ok_or_else(|| SettingError::Missing(name.to_owned()))
    }

    /// A secret, which has to be there.
    pub fn secret(&self, name: &str) -> Result<SecretString, SettingError> {
        self.required(name).map(SecretString::from)
    }

    /// A secret, if there is one.
    pub fn secret_if_any(&self, name: &str) -> Option<SecretString> {
        self.get(name).map(SecretString::from)
    }

    /// The parsed value, if there is one.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<Option<T>, SettingError> {
        let parse = |value: String| value.parse().map_err(|problem| SettingError::invalid(name, problem));
        self.get(name).map(parse).transpose()
    }

    /// The base of another service's URLs: `http://host:port`, without a slash at the end. In production what goes over
    /// networks that others use has to be encrypted.
    pub fn base_url(&self, name: &str) -> Result<String, SettingError> {
        let value = self.required(name)?;
        let base = value.trim_end_matches('/');
        let is_base = |url: &Url| {
            let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
            matches!(url.scheme(), "http" | "https") && bare && url.fragment().is_none()
        };
        let Some(url) = Url::parse(base).ok().filter(is_base) else {
            return Err(SettingError::invalid(name, "expected a URL such as http://127.0.0.1:3001"));
        };
        if Profile::from_env(self)? == Profile::Production {
            production::refuse_plain_text_abroad(name, &url)?;
        }
        Ok(base.to_owned())
    }
}

/// How strict a service is about its own settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// On somebody's own machine: any secret will do, and callers of the orchestrator need no credentials.
    Development,
    /// Anywhere else.
    Production,
}

impl Profile {
    /// `PROFILE`: `development` or `production`, which is the default.
    pub fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
        match env.get("PROFILE").as_deref() {
            None | Some("production") => Ok(Self::Production),
            Some("development") => Ok(Self::Development),
            Some(_) => Err(SettingError::invalid("PROFILE", "expected development or production")),
        }
    }
}

/// `HOST` (127.0.0.1 by default) and `PORT`: where to listen. Port 0 lets the system choose.
pub fn bind_address(env: &Env<'_>, default_port: u16) -> Result<SocketAddr, SettingError> {
    let host: IpAddr = env.parsed("HOST")?.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let port: u16 = env.parsed("PORT")?.unwrap_or(default_port);
    Ok(SocketAddr::new(host, port))
}

/// `METRICS_PORT` at `METRICS_HOST` (127.0.0.1 by default, whatever `HOST` is: who asks shows no credentials): where numbers are
/// served to Prometheus, if at all. Port 0 lets the system choose.
pub fn metrics_address(env: &Env<'_>) -> Result<Option<SocketAddr>, SettingError> {
    let port: Option<u16> = env.parsed("METRICS_PORT")?;
    let host: IpAddr = env.parsed("METRICS_HOST")?.unwrap_or(Ipv4Addr::LOCALHOST.into());
    Ok(port.map(|port| SocketAddr::new(host, port)))
}

/// `DRAIN_SECONDS` (0 by default): how long a service that was told to stop goes on serving.
pub fn drain_period(env: &Env<'_>) -> Result<Duration, SettingError> {
    match env.parsed("DRAIN_SECONDS")?.unwrap_or(0) {
        seconds @ 0..=LONGEST_DRAIN => Ok(Duration::from_secs(seconds)),
        _ => Err(SettingError::invalid("DRAIN_SECONDS", format!("expected 0 to {LONGEST_DRAIN}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &'static str, value: &'static str) -> Env<'static> {
        Env::new(move |asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn a_missing_setting_is_named() {
        let error = Env::new(|_| None).required("JWT_SECRET").unwrap_err();
        assert_eq!(error.to_string(), "JWT_SECRET is not set");
    }

    #[test]
    fn an_empty_setting_counts_as_missing() {
        assert_eq!(env("JWT_SECRET", "").get("JWT_SECRET"), None);
    }

    #[test]
    fn a_port_that_is_no_port_is_named() {
        let error = bind_address(&env("PORT", "70000"), 1).unwrap_err();
        assert!(error.to_string().starts_with("PORT: "), "{error}");
    }

    #[test]
    fn numbers_are_served_only_where_a_port_is_named() {
        assert_eq!(metrics_address(&Env::new(|_| None)).unwrap(), None);
        let address = metrics_address(&env("METRICS_PORT", "9101")).unwrap();
        assert_eq!(address.unwrap().to_string(), "127.0.0.1:9101");
        for name in ["METRICS_PORT", "METRICS_HOST"] {
            let error = metrics_address(&env(name, "none")).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{name}: ")), "{error}");
        }
    }

    #[test]
    fn numbers_leave_the_machine_only_where_that_is_asked_for() {
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
    fn a_base_url_loses_its_last_slash_and_needs_a_scheme() {
        assert_eq!(env("A", "http://x:1/").base_url("A").unwrap(), "http://x:1");
        for bad in ["x:1", "ftp://x", "http://", "http://a b", "http://u:p@x", "http://u@x", "http://x?a", "http://x#a"]
        {
            assert!(env("A", bad).base_url("A").is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_profile_is_refused() {
        assert!(Profile::from_env(&env("PROFILE", "staging")).is_err());
        assert_eq!(Profile::from_env(&Env::new(|_| None)).unwrap(), Profile::Production);
    }

    #[test]
    fn a_service_drains_for_ten_minutes_at_most() {
        assert_eq!(drain_period(&Env::new(|_| None)).unwrap(), Duration::ZERO);
        assert_eq!(drain_period(&env("DRAIN_SECONDS", "600")).unwrap(), Duration::from_secs(600));
        for bad in ["601", "-1", "5s"] {
            let error = drain_period(&env("DRAIN_SECONDS", bad)).unwrap_err();
            assert!(error.to_string().starts_with("DRAIN_SECONDS: "), "{error}");
        }
    }
}
