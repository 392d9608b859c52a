//! Database connection settings, read from environment variables or a URL.

use std::fmt;
use std::num::NonZeroU16;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use thiserror::Error;
use url::Url;

/// Default of `DB_POOL_SIZE`: maximum number of pooled connections.
pub const DEFAULT_MAX_CONNECTIONS: usize = 16;

const DEFAULT_PORT: u16 = 3306;

/// Database address, credentials, TLS settings and pool size.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: SecretString,
    pub(crate) database: String,
    pub(crate) tls: TlsMode,
    pub(crate) tls_ca: Option<PathBuf>,
    /// Maximum number of pooled connections.
    pub max_connections: usize,
}

/// TLS mode, with the names that MySQL clients use for `ssl-mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// No TLS. The default.
    Disabled,
    /// TLS without certificate verification if the server offers TLS, otherwise plain text.
    Preferred,
    /// TLS without certificate verification: protects against eavesdropping, not against impersonation.
    Required,
    /// TLS with a trusted certificate that matches the host name. In MySQL, `VERIFY_CA` does not check the host name;
    /// the TLS library has no such mode, so it is treated as `VERIFY_IDENTITY`.
    Verify,
}

/// Missing or invalid setting. The message is a single line that names the setting and never contains a password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{setting}: {problem}")]
pub struct SettingError {
    setting: &'static str,
    problem: String,
}

impl SettingError {
    fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        Self { setting, problem: problem.into() }
    }
}

impl DatabaseSettings {
    /// Reads the settings: `DATABASE_URL` or, if it is not set, `DB_HOST`, `DB_PORT`, `DB_USER`, `DB_PASSWORD`,
    /// `DB_NAME`, `DB_SSL_MODE` and `DB_SSL_CA`; and `DB_POOL_SIZE`. Empty values are treated as not set.
    ///
    /// # Errors
    ///
    /// Returns the first setting that is missing or invalid. `DB_SSL_MODE` and `DB_SSL_CA` are invalid in combination
    /// with `DATABASE_URL`, which would ignore them and connect without TLS.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingError> {
        let get = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let mut settings = match get("DATABASE_URL") {
            Some(url) => {
                reject_tls_settings_with_url(&get)?;
                Self::from_url(&url)?
            }
            None => Self::from_parts(&get)?,
        };
        if let Some(size) = get("DB_POOL_SIZE") {
            settings.max_connections = pool_size(&size)?;
        }
        Ok(settings)
    }

    /// Parses a URL: `mysql://user:password@host:port/name?ssl-mode=REQUIRED&ssl-ca=/path/ca.pem`.
    ///
    /// # Errors
    ///
    /// Returns a [`SettingError`] for `DATABASE_URL` that names the invalid part.
    pub fn from_url(url: &str) -> Result<Self, SettingError> {
        let bad = |problem: &str| SettingError::new("DATABASE_URL", problem);
        let url = Url::parse(url).map_err(|error| bad(&format!("not a URL: {error}")))?;
        if url.scheme() != "mysql" {
            return Err(bad("must start with mysql://"));
        }
        let host = match url.host() {
            Some(url::Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => return Err(bad("has no host")),
        };
        let database = decoded(url.path().trim_start_matches('/'));
        if database.is_empty() {
            return Err(bad("has no database name; append /NAME"));
        }
        let (tls, tls_ca) = tls_options(&url)?;
        Ok(Self {
            host,
            port: url.port().unwrap_or(DEFAULT_PORT),
            user: decoded(url.username()),
            password: decoded(url.password().unwrap_or_default()).into(),
            database,
            tls,
            tls_ca,
            max_connections: DEFAULT_MAX_CONNECTIONS,
        })
    }

    /// Returns the database name.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Returns the password, which is empty if none is set.
    #[must_use]
    pub fn password(&self) -> &SecretString {
        &self.password
    }

    /// Returns the server's host if the connection may be unencrypted (`DISABLED` or `PREFERRED`).
    #[must_use]
    pub fn plain_text_to(&self) -> Option<&str> {
        match self.tls {
            TlsMode::Disabled | TlsMode::Preferred => Some(&self.host),
            TlsMode::Required | TlsMode::Verify => None,
        }
    }

    /// Returns these settings with another database name.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        Self { database: name.to_owned(), ..self.clone() }
    }

    fn from_parts(get: &impl Fn(&str) -> Option<String>) -> Result<Self, SettingError> {
        let required = |setting: &'static str| {
            get(setting).ok_or_else(|| {
                SettingError::new(setting, "not set, and DATABASE_URL is not set either; set one of them")
            })
        };
        let port = match get("DB_PORT") {
            Some(port) => port_number(&port)?,
            None => DEFAULT_PORT,
        };
        let tls = get("DB_SSL_MODE").map_or(Ok(TlsMode::Disabled), |mode| tls_mode("DB_SSL_MODE", &mode))?;
        let tls_ca = get("DB_SSL_CA").map(PathBuf::from);
        if tls_ca.is_some() && tls != TlsMode::Verify {
            return Err(SettingError::new("DB_SSL_CA", "requires DB_SSL_MODE=VERIFY_CA or VERIFY_IDENTITY"));
        }
        Ok(Self {
            host: required("DB_HOST")?,
            port,
            user: required("DB_USER")?,
            password: password(get("DB_PASSWORD").unwrap_or_default())?,
            database: required("DB_NAME")?,
            tls,
            tls_ca,
            max_connections: DEFAULT_MAX_CONNECTIONS,
        })
    }
}

/// Formats as `user@host:port/database`, without the password, for messages.
impl fmt::Display for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, user, database, .. } = self;
        write!(f, "{user}@{host}:{port}/{database}")
    }
}

fn tls_options(url: &Url) -> Result<(TlsMode, Option<PathBuf>), SettingError> {
    let bad = |problem: String| SettingError::new("DATABASE_URL", problem);
    let mut mode = None;
    let mut ca = None;
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "ssl-mode" => mode = Some(tls_mode("DATABASE_URL", &value)?),
            "ssl-ca" => ca = Some(PathBuf::from(value.as_ref())),
            other => return Err(bad(format!("unknown parameter `{other}`; use ssl-mode or ssl-ca"))),
        }
    }
    let mode = mode.unwrap_or(TlsMode::Disabled);
    if ca.is_some() && mode != TlsMode::Verify {
        return Err(bad("ssl-ca requires ssl-mode=VERIFY_CA or VERIFY_IDENTITY".to_owned()));
    }
    Ok((mode, ca))
}

fn tls_mode(setting: &'static str, value: &str) -> Result<TlsMode, SettingError> {
    match value.to_ascii_uppercase().as_str() {
        "DISABLED" => Ok(TlsMode::Disabled),
        "PREFERRED" => Ok(TlsMode::Preferred),
        "REQUIRED" => Ok(TlsMode::Required),
        "VERIFY_CA" | "VERIFY_IDENTITY" => Ok(TlsMode::Verify),
        other => Err(SettingError::new(
            setting,
            format!("unknown ssl-mode `{other}`; use DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY"),
        )),
    }
}

/// Rejects the separate TLS settings, because a URL contains its own TLS parameters.
fn reject_tls_settings_with_url(get: &impl Fn(&str) -> Option<String>) -> Result<(), SettingError> {
    match ["DB_SSL_MODE", "DB_SSL_CA"].into_iter().find(|name| get(name).is_some()) {
        Some(name) => {
            Err(SettingError::new(name, "only valid with DB_HOST; in DATABASE_URL, use ?ssl-mode= and &ssl-ca="))
        }
        None => Ok(()),
    }
}

/// Rejects a line break at the end, which is usually that of the file the password was read from. A URL can contain one
/// in percent-encoding.
fn password(value: String) -> Result<SecretString, SettingError> {
    if value.trim() == value {
        Ok(value.into())
    } else {
        Err(SettingError::new("DB_PASSWORD", "has a space or line break at its start or end"))
    }
}

fn port_number(value: &str) -> Result<u16, SettingError> {
    let port: Option<NonZeroU16> = value.parse().ok();
    port.map(NonZeroU16::get).ok_or_else(|| SettingError::new("DB_PORT", "must be a number from 1 to 65535"))
}

fn pool_size(value: &str) -> Result<usize, SettingError> {
    value
        .parse()
        .ok()
        .filter(|size| (1..=1000).contains(size))
        .ok_or_else(|| SettingError::new("DB_POOL_SIZE", "must be a number from 1 to 1000"))
}

fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<DatabaseSettings, SettingError> {
        DatabaseSettings::from_lookup(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn url_and_separate_settings_are_equivalent() {
        let url = from(&[("DATABASE_URL", "mysql://app:p%40ss@db.example:3307/shop")]).unwrap();
        let parts = from(&[
            ("DB_HOST", "db.example"),
            ("DB_PORT", "3307"),
            ("DB_USER", "app"),
            ("DB_PASSWORD", "p@ss"),
            ("DB_NAME", "shop"),
        ])
        .unwrap();
        assert_eq!(url.password().expose_secret(), "p@ss");
        assert_eq!(parts.password().expose_secret(), "p@ss");
        assert_eq!(format!("{url:?}"), format!("{parts:?}"));
        assert_eq!(url.to_string(), "app@db.example:3307/shop");
    }

    #[test]
    fn url_takes_precedence_and_empty_values_count_as_unset() {
        let both = [("DATABASE_URL", "mysql://root@[::1]/a"), ("DB_HOST", "b"), ("DB_POOL_SIZE", "4")];
        let settings = from(&both).unwrap();
        assert_eq!((settings.host.as_str(), settings.port, settings.max_connections), ("::1", 3306, 4));
        assert_eq!(from(&[("DATABASE_URL", "")]).unwrap_err().setting, "DB_HOST");
    }

    #[test]
    fn tls_modes_use_mysql_names() {
        let tls =
            |query: &str| DatabaseSettings::from_url(&format!("mysql://root@h/d?{query}")).map(|s| (s.tls, s.tls_ca));
        assert_eq!(tls(""), Ok((TlsMode::Disabled, None)));
        assert_eq!(tls("ssl-mode=preferred"), Ok((TlsMode::Preferred, None)));
        assert_eq!(tls("ssl-mode=REQUIRED"), Ok((TlsMode::Required, None)));
        assert_eq!(tls("ssl-mode=VERIFY_CA&ssl-ca=/ca.pem"), Ok((TlsMode::Verify, Some(PathBuf::from("/ca.pem")))));
        assert_eq!(tls("ssl-mode=VERIFY_IDENTITY"), Ok((TlsMode::Verify, None)));
        assert!(tls("ssl-mode=REQUIRED&ssl-ca=/ca.pem").unwrap_err().to_string().contains("ssl-ca requires"));
        assert!(tls("ssl-mode=MAYBE").unwrap_err().to_string().contains("unknown ssl-mode `MAYBE`"));
        assert!(tls("sslmode=x").unwrap_err().to_string().contains("unknown parameter `sslmode`"));
    }

    #[test]
    fn plain_text_host_is_reported_unless_tls_is_required() {
        let plain = |mode: &str| {
            let url = format!("mysql://root@db.example/d?ssl-mode={mode}");
            DatabaseSettings::from_url(&url).unwrap().plain_text_to().map(str::to_owned)
        };
        for mode in ["DISABLED", "PREFERRED"] {
            assert_eq!(plain(mode).as_deref(), Some("db.example"), "{mode}");
        }
        for mode in ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"] {
            assert_eq!(plain(mode), None, "{mode}");
        }
    }

    #[test]
    fn separate_tls_settings_with_url_are_rejected() {
        for name in ["DB_SSL_MODE", "DB_SSL_CA"] {
            let error = from(&[("DATABASE_URL", "mysql://root@h/d"), (name, "REQUIRED")]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}: only valid with DB_HOST")), "{error}");
        }
    }

    #[test]
    fn separate_tls_settings_are_read() {
        let tls = |more: &[(&str, &str)]| {
            let parts = [("DB_HOST", "h"), ("DB_USER", "u"), ("DB_NAME", "n")];
            from(&[&parts, more].concat()).map(|s| (s.tls, s.tls_ca)).map_err(|error| error.to_string())
        };
        assert_eq!(tls(&[]), Ok((TlsMode::Disabled, None)));
        assert_eq!(tls(&[("DB_SSL_MODE", "required")]), Ok((TlsMode::Required, None)));
        let verified = [("DB_SSL_MODE", "VERIFY_IDENTITY"), ("DB_SSL_CA", "/ca.pem")];
        assert_eq!(tls(&verified), Ok((TlsMode::Verify, Some(PathBuf::from("/ca.pem")))));
        assert!(tls(&[("DB_SSL_MODE", "MAYBE")]).unwrap_err().starts_with("DB_SSL_MODE: unknown ssl-mode `MAYBE`"));
        assert!(tls(&[("DB_SSL_CA", "/ca.pem")]).unwrap_err().starts_with("DB_SSL_CA: requires DB_SSL_MODE"));
    }

    #[test]
    fn password_with_white_space_at_its_end_is_rejected() {
        let parts = [("DB_HOST", "h"), ("DB_USER", "u"), ("DB_NAME", "n"), ("DB_PASSWORD", "hunter2\n")];
        let error = from(&parts).unwrap_err().to_string();
        assert_eq!(error, "DB_PASSWORD: has a space or line break at its start or end");
    }

    #[test]
    fn errors_are_one_line_with_the_setting_and_without_the_password() {
        let bad = [
            ("DATABASE_URL", "postgres://root:hunter2@h/d"),
            ("DATABASE_URL", "mysql://root:hunter2@h"),
            ("DATABASE_URL", "mysql://root:hunter2@h:99999/d"),
            ("DATABASE_URL", "hunter2"),
        ];
        for (name, value) in bad {
            let error = from(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with("DATABASE_URL: "), "{error}");
            assert!(!error.contains("hunter2") && !error.contains('\n'), "{error}");
        }
        let good = DatabaseSettings::from_url("mysql://root:hunter2@h/d").unwrap();
        assert!(!format!("{good:?} {good}").contains("hunter2"));
    }

    #[test]
    fn out_of_range_numbers_are_rejected() {
        let url = ("DATABASE_URL", "mysql://root@h/d");
        for size in ["0", "1001", "many", "-1"] {
            assert_eq!(from(&[url, ("DB_POOL_SIZE", size)]).unwrap_err().setting, "DB_POOL_SIZE");
        }
        for port in ["0", "70000"] {
            let parts = [("DB_HOST", "h"), ("DB_USER", "u"), ("DB_NAME", "n"), ("DB_PORT", port)];
            assert_eq!(from(&parts).unwrap_err().setting, "DB_PORT");
        }
    }
}
