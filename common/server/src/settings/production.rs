//! Startup checks for the production profile. They reject weak secrets, and plain-text connections to services or
//! databases outside a private network.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::{Env, Profile, SettingError};
use crate::auth::{named_tokens, secondary_jwt_secret};

/// Minimum length of a secret, in characters. A random secret of this length cannot be found by brute force.
const MIN_SECRET_LENGTH: usize = 32;
/// Minimum length of a password, in characters. It is lower than the limit for secrets, because logins are rate
/// limited.
const MIN_PASSWORD_LENGTH: usize = 12;

/// Secrets from the `.env.example` files, and common passwords, in lower case.
const WELL_KNOWN: [&str; 25] = [
    "development-only-jwt-secret-do-not-deploy",
    "development-only-service-token-do-not-deploy",
    "development",
    "development-root",
    "admin",
    "adminadmin",
    "adminadminadmin",
    "administrator",
    "backoffice",
    "change-me",
    "changeme",
    "changemechangeme",
    "correct horse battery staple",
    "correcthorsebatterystaple",
    "letmein",
    "mysql",
    "password",
    "password123",
    "password1234",
    "password12345",
    "passwordpassword",
    "root",
    "secret",
    "secretsecret",
    "test",
];

/// Domains that resolve only inside a private network (RFC 6761, 6762, 8375; `.internal` is reserved by ICANN).
const PRIVATE_DOMAINS: [&str; 4] = [".internal", ".local", ".localhost", ".home.arpa"];

/// Secret with its minimum length.
struct Secret {
    setting: &'static str,
    value: SecretString,
    min_length: usize,
}

/// In the production profile, rejects secrets that are well known, too short or equal to each other.
///
/// Checks `JWT_SECRET`, `JWT_SECRET_SECONDARY`, `SERVICE_TOKEN`, `SERVICE_TOKENS`, `ADMIN_PASSWORD` if set, and the
/// database password. The database password may be empty or short, because the database has its own password policy.
///
/// # Errors
///
/// Returns an error that names the first rejected setting and omits its value.
pub fn refuse_weak_secrets(env: &Env<'_>, database_password: Option<&SecretString>) -> Result<(), SettingError> {
    if Profile::from_env(env)? == Profile::Development {
        return Ok(());
    }
    let secrets = secrets(env, database_password)?;
    for (index, secret) in secrets.iter().enumerate() {
        check(secret)?;
        let same = |other: &&Secret| other.value.expose_secret() == secret.value.expose_secret();
        if let Some(other) = secrets[..index].iter().find(same) {
            let problem = format!("expected a value different from that of {}", other.setting);
            return Err(SettingError::invalid(secret.setting, problem));
        }
    }
    Ok(())
}

fn secrets(env: &Env<'_>, database_password: Option<&SecretString>) -> Result<Vec<Secret>, SettingError> {
    let secret = |setting, value, min_length| Secret { setting, value, min_length };
    let mut all = vec![secret("JWT_SECRET", env.secret("JWT_SECRET")?, MIN_SECRET_LENGTH)];
    let secondary = secondary_jwt_secret(env)?;
    all.extend(secondary.map(|(setting, value)| secret(setting, value, MIN_SECRET_LENGTH)));
    for (index, (_, token)) in named_tokens(env)?.into_iter().enumerate() {
        let setting = if index == 0 { "SERVICE_TOKEN" } else { "SERVICE_TOKENS" };
        all.push(secret(setting, token, MIN_SECRET_LENGTH));
    }
    let password = env.optional_secret("ADMIN_PASSWORD")?;
    all.extend(password.map(|value| secret("ADMIN_PASSWORD", value, MIN_PASSWORD_LENGTH)));
    let database = database_password.filter(|password| !password.expose_secret().is_empty());
    let setting = if env.get("DATABASE_URL").is_some() { "DATABASE_URL" } else { "DB_PASSWORD" };
    all.extend(database.map(|value| secret(setting, value.clone(), 0)));
    Ok(all)
}

fn check(secret: &Secret) -> Result<(), SettingError> {
    let Secret { setting, value, min_length } = secret;
    let value = value.expose_secret();
    if WELL_KNOWN.iter().any(|known| value.eq_ignore_ascii_case(known)) {
        let problem = "expected a secret that is not known publicly; for development, set PROFILE=development";
        return Err(SettingError::invalid(setting, problem));
    }
    if value.chars().count() < *min_length {
        return Err(SettingError::invalid(setting, format!("expected at least {min_length} characters")));
    }
    Ok(())
}

/// Rejects a plain-text connection to a service outside a private network.
pub(super) fn require_https_to_remote_host(setting: &str, url: &Url) -> Result<(), SettingError> {
    if url.scheme() == "https" || url.host().is_some_and(|host| is_private_host(&host)) {
        return Ok(());
    }
    Err(SettingError::invalid(setting, format!("expected https: http is accepted only for {}", private_network())))
}

/// In the production profile, rejects a plain-text connection to a database outside a private network.
///
/// `plain_text_to` is the database host if the connection may be unencrypted.
///
/// # Errors
///
/// Returns an error that names the setting that must require TLS.
pub fn require_tls_to_remote_database(env: &Env<'_>, plain_text_to: Option<&str>) -> Result<(), SettingError> {
    let Some(host) = plain_text_to else { return Ok(()) };
    if Profile::from_env(env)? == Profile::Development || is_private_host_name(host) {
        return Ok(());
    }
    let (setting, wanted) = match env.get("DATABASE_URL") {
        Some(_) => ("DATABASE_URL", "?ssl-mode=REQUIRED, VERIFY_CA or VERIFY_IDENTITY"),
        None => ("DB_SSL_MODE", "REQUIRED, VERIFY_CA or VERIFY_IDENTITY"),
    };
    Err(SettingError::invalid(
        setting,
        format!("expected {wanted}: plain text is accepted only for {}", private_network()),
    ))
}

/// Describes the private network for error messages.
fn private_network() -> String {
    let names = PRIVATE_DOMAINS.join(", ");
    format!("this machine, private and link-local addresses, names without a dot, and names under {names}")
}

/// Returns whether a host that is not part of a URL is in the private network. Returns `false` if the text is not a
/// host.
fn is_private_host_name(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V6(address)) => is_private_host(&Host::Ipv6(address)),
        // The URL parser also accepts other notations of an IPv4 address, such as hexadecimal.
        _ => match Host::parse(host) {
            Ok(Host::Ipv4(address)) => is_private_host(&Host::Ipv4(address)),
            Ok(Host::Domain(name)) => is_private_host(&Host::Domain(&name)),
            Ok(Host::Ipv6(address)) => is_private_host(&Host::Ipv6(address)),
            Err(_) => false,
        },
    }
}

fn is_private_host(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => is_private_address((*address).into()),
        Host::Ipv6(address) => is_private_address(IpAddr::V6(*address).to_canonical()),
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            !name.contains('.') || PRIVATE_DOMAINS.iter().any(|end| name.ends_with(end))
        }
    }
}

fn is_private_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Auth;

    const GOOD: [(&str, &str); 6] = [
        ("JWT_SECRET", "one-secret-of-thirty-two-characters"),
        ("JWT_SECRET_SECONDARY", "two-secret-of-thirty-two-characters"),
        ("SERVICE_TOKEN", "three-token-of-thirty-two-characters"),
        ("SERVICE_TOKENS", "billing=four-token-of-thirty-two-characters"),
        ("ADMIN_PASSWORD", "twelve chars"),
        ("DATABASE_URL", "mysql://app:five@db.internal/shop"),
    ];

    /// Checks the valid settings after replacing some of them.
    fn check_with(replaced: &[(&str, &str)], database_password: &str) -> Result<(), String> {
        let env = Env::new(|name: &str| {
            let all = replaced.iter().chain(&GOOD);
            all.into_iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        refuse_weak_secrets(&env, Some(&database_password.into())).map_err(|error| error.to_string())
    }

    #[test]
    fn good_secrets_and_a_database_without_a_password_are_accepted() {
        assert_eq!(check_with(&[], "five"), Ok(()));
        assert_eq!(check_with(&[], ""), Ok(()));
        assert_eq!(
            check_with(&[("JWT_SECRET_SECONDARY", ""), ("SERVICE_TOKENS", ""), ("ADMIN_PASSWORD", "")], ""),
            Ok(())
        );
    }

    #[test]
    fn a_secret_one_character_below_the_limit_is_refused() {
        let (limit, below) = ("x".repeat(32), "x".repeat(31));
        for name in ["JWT_SECRET", "JWT_SECRET_SECONDARY", "SERVICE_TOKEN"] {
            assert_eq!(check_with(&[(name, &limit)], "five"), Ok(()), "{name}");
            assert_eq!(check_with(&[(name, &below)], "five"), Err(format!("{name}: expected at least 32 characters")));
        }
        let named = format!("billing={limit},billing={below}");
        assert_eq!(
            check_with(&[("SERVICE_TOKENS", &named)], ""),
            Err("SERVICE_TOKENS: expected at least 32 characters".to_owned())
        );
        let refused = check_with(&[("ADMIN_PASSWORD", "eleven char")], "");
        assert_eq!(refused, Err("ADMIN_PASSWORD: expected at least 12 characters".to_owned()));
    }

    #[test]
    fn the_secondary_secret_is_checked_under_its_deprecated_name_too() {
        let refused = check_with(&[("JWT_SECRET_SECONDARY", ""), ("JWT_SECRET_ALSO", "short")], "");
        assert_eq!(refused, Err("JWT_SECRET_ALSO: expected at least 32 characters".to_owned()));
    }

    #[test]
    fn both_names_of_the_secondary_secret_are_refused_in_every_profile() {
        let both =
            "JWT_SECRET_SECONDARY: set together with its deprecated name JWT_SECRET_ALSO; remove JWT_SECRET_ALSO";
        assert_eq!(check_with(&[("JWT_SECRET_ALSO", &"x".repeat(32))], ""), Err(both.to_owned()));
        let env = Env::new(|name| (name != "PROFILE").then(|| "old".to_owned()).or(Some("development".to_owned())));
        assert_eq!(Auth::from_env(&env).err().map(|error| error.to_string()), Some(both.to_owned()));
    }

    #[test]
    fn well_known_secrets_are_refused_in_every_setting_in_either_letter_case() {
        let jwt = "development-only-JWT-secret-do-not-deploy";
        for name in ["JWT_SECRET", "JWT_SECRET_SECONDARY", "SERVICE_TOKEN", "ADMIN_PASSWORD"] {
            let refused = check_with(&[(name, jwt)], "five").unwrap_err();
            assert!(refused.starts_with(&format!("{name}: expected a secret that is not known")), "{refused}");
        }
        let refused = check_with(&[("SERVICE_TOKENS", &format!("billing={jwt}"))], "").unwrap_err();
        assert!(refused.starts_with("SERVICE_TOKENS: expected a secret that is not known"), "{refused}");
        assert!(check_with(&[("ADMIN_PASSWORD", "Administrator")], "").unwrap_err().contains("not known"));
        assert!(
            check_with(&[], "password").unwrap_err().starts_with("DATABASE_URL: expected a secret that is not known")
        );
        let parts = check_with(&[("DATABASE_URL", "")], "root").unwrap_err();
        assert!(parts.starts_with("DB_PASSWORD: expected a secret that is not known"), "{parts}");
    }

    #[test]
    fn every_secret_of_the_example_files_is_well_known() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let mut found = 0;
        for example in ["customers", "orders", "orchestrator", ""].map(|folder| format!("{root}/{folder}/.env.example"))
        {
            let text = std::fs::read_to_string(&example).unwrap();
            for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
                if !name.starts_with('#') && ["SECRET", "TOKEN", "PASSWORD"].iter().any(|kind| name.ends_with(kind)) {
                    assert!(WELL_KNOWN.contains(&value), "{name} of {example}");
                    found += 1;
                }
            }
        }
        assert!(found >= 9, "only {found} secrets were found");
    }

    #[test]
    fn equal_secrets_are_refused() {
        let same = "the-same-secret-for-more-than-one-use";
        let names = ["JWT_SECRET", "JWT_SECRET_SECONDARY", "SERVICE_TOKEN", "ADMIN_PASSWORD"];
        for (index, second) in names.iter().enumerate() {
            for first in &names[..index] {
                let expected = Err(format!("{second}: expected a value different from that of {first}"));
                assert_eq!(check_with(&[(first, same), (second, same)], "five"), expected);
            }
            let database = check_with(&[(second, same)], same);
            assert_eq!(database, Err(format!("DATABASE_URL: expected a value different from that of {second}")));
        }
        let named = check_with(&[("JWT_SECRET", same), ("SERVICE_TOKENS", &format!("billing={same}"))], "");
        assert_eq!(named, Err("SERVICE_TOKENS: expected a value different from that of JWT_SECRET".to_owned()));
    }

    #[test]
    fn no_error_shows_a_secret() {
        let secret = "hunter2";
        for name in ["JWT_SECRET", "JWT_SECRET_SECONDARY", "SERVICE_TOKEN", "SERVICE_TOKENS", "ADMIN_PASSWORD"] {
            let refused = check_with(&[(name, secret)], "").unwrap_err();
            assert!(refused.starts_with(name) && !refused.contains(secret) && !refused.contains('\n'), "{refused}");
        }
    }

    #[test]
    fn any_secret_is_accepted_in_development() {
        let known = [("PROFILE", "development"), ("JWT_SECRET", "secret"), ("SERVICE_TOKEN", "secret")];
        assert_eq!(check_with(&known, "secret"), Ok(()));
    }

    fn base(profile: &str, base: &str) -> Result<String, String> {
        let env = Env::new(|name: &str| Some(if name == "PROFILE" { profile } else { base }.to_owned()));
        env.base_url("ORDERS_API_BASE").map_err(|error| error.to_string())
    }

    #[test]
    fn plain_text_is_accepted_only_in_a_private_network() {
        let private = [
            "http://127.0.0.1:3001",
            "http://[::1]:3001",
            "http://10.0.0.7",
            "http://172.16.0.1",
            "http://192.168.1.1",
            "http://169.254.1.1",
            "http://[fd00::1]",
            "http://[fe80::1]",
            "http://[::ffff:10.0.0.1]",
            "http://orders:3002",
            "http://localhost:3001",
            "http://orders.internal:3002",
            "http://orders.shop.local",
            "http://a.localhost",
            "http://a.home.arpa",
            "http://ORDERS.INTERNAL.",
            "https://orders.example.com",
        ];
        for host in private {
            assert_eq!(base("production", host), Ok(host.to_owned()));
        }
        let public = [
            "http://orders.example.com",
            "http://8.8.8.8",
            "http://172.32.0.1",
            "http://134744072",
            "http://0x8.0x8.0x8.0x8",
            "http://[2001:db8::1]",
            "http://[::ffff:8.8.8.8]",
            "http://internal.example.com",
            "http://xinternal.com",
            "http://orders.internal.example.com",
            "http://0.0.0.0",
            "HTTP://orders.example.com",
        ];
        for host in public {
            let refused = base("production", host).unwrap_err();
            assert!(refused.starts_with("ORDERS_API_BASE: expected https"), "{host}: {refused}");
            assert_eq!(base("development", host), Ok(host.to_owned()));
        }
    }

    fn database(settings: &[(&str, &str)], plain_text_to: Option<&str>) -> Result<(), String> {
        let env = Env::new(|name: &str| {
            settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        require_tls_to_remote_database(&env, plain_text_to).map_err(|error| error.to_string())
    }

    #[test]
    fn a_database_without_tls_is_accepted_only_in_a_private_network() {
        for host in ["127.0.0.1", "::1", "fd00::1", "10.0.0.7", "mysql", "localhost", "db.internal", "DB.Internal."] {
            assert_eq!(database(&[], Some(host)), Ok(()), "{host}");
        }
        let public = ["db.example.com", "8.8.8.8", "134744072", "0x8.0x8.0x8.0x8", "2001:db8::1", "0.0.0.0", "a b", ""];
        for host in public {
            let refused = database(&[], Some(host)).unwrap_err();
            assert!(refused.starts_with("DB_SSL_MODE: expected REQUIRED, VERIFY_CA or VERIFY_IDENTITY"), "{refused}");
            let refused = database(&[("DATABASE_URL", "mysql://…")], Some(host)).unwrap_err();
            assert!(refused.starts_with("DATABASE_URL: expected ?ssl-mode=REQUIRED"), "{refused}");
            assert_eq!(database(&[("PROFILE", "development")], Some(host)), Ok(()));
        }
        assert_eq!(database(&[], None), Ok(()));
    }
}
