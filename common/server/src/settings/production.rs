//! What the production profile refuses at the start: secrets that others may know or guess, and another service's answers
//! in plain text over networks that others use, be it the database's.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::{Env, Profile, SettingError};
use crate::auth::named_tokens;

/// In characters. Enough that nobody finds a secret by trying, if it is random.
const SHORTEST_SECRET: usize = 32;
/// People choose it, and attempts to log in are slowed down.
const SHORTEST_PASSWORD: usize = 12;

/// Those of the `.env.example` files, and what is tried first. In lower case.
const KNOWN: [&str; 25] = [
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

/// Names that lead to nowhere but the own network (RFC 6761, 6762, 8375; `.internal` is reserved by ICANN).
const NEAR: [&str; 4] = [".internal", ".local", ".localhost", ".home.arpa"];

/// One secret, and how long it has to be at least.
struct Secret {
    setting: &'static str,
    value: SecretString,
    shortest: usize,
}

/// In production, refuses secrets that are known, short or equal to each other: `JWT_SECRET`, `JWT_SECRET_ALSO`,
/// `SERVICE_TOKEN`, `SERVICE_TOKENS`, `ADMIN_PASSWORD` where it is set, and the database's password, which may be empty and
/// of any length: it is the database that takes it.
///
/// # Errors
///
/// Names the first of them that is refused, and shows none.
pub fn refuse_weak_secrets(env: &Env<'_>, database_password: Option<&SecretString>) -> Result<(), SettingError> {
    if Profile::from_env(env)? == Profile::Development {
        return Ok(());
    }
    let secrets = secrets(env, database_password)?;
    for (place, secret) in secrets.iter().enumerate() {
        check(secret)?;
        let same = |other: &&Secret| other.value.expose_secret() == secret.value.expose_secret();
        if let Some(other) = secrets[..place].iter().find(same) {
            let problem = format!("expected another value than that of {}", other.setting);
            return Err(SettingError::invalid(secret.setting, problem));
        }
    }
    Ok(())
}

fn secrets(env: &Env<'_>, database_password: Option<&SecretString>) -> Result<Vec<Secret>, SettingError> {
    let secret = |setting, value, shortest| Secret { setting, value, shortest };
    let mut all = vec![secret("JWT_SECRET", env.secret("JWT_SECRET")?, SHORTEST_SECRET)];
    let also = env.secret_if_any("JWT_SECRET_ALSO");
    all.extend(also.map(|value| secret("JWT_SECRET_ALSO", value, SHORTEST_SECRET)));
    for (place, (_, token)) in named_tokens(env)?.into_iter().enumerate() {
        let setting = if place == 0 { "SERVICE_TOKEN" } else { "SERVICE_TOKENS" };
        all.push(secret(setting, token, SHORTEST_SECRET));
    }
    let password = env.secret_if_any("ADMIN_PASSWORD");
    all.extend(password.map(|value| secret("ADMIN_PASSWORD", value, SHORTEST_PASSWORD)));
    let database = database_password.filter(|password| !password.expose_secret().is_empty());
    let setting = if env.get("DATABASE_URL").is_some() { "DATABASE_URL" } else { "DB_PASSWORD" };
    all.extend(database.map(|value| secret(setting, value.clone(), 0)));
    Ok(all)
}

fn check(secret: &Secret) -> Result<(), SettingError> {
    let Secret { setting, value, shortest } = secret;
    let value = value.expose_secret();
    if KNOWN.iter().any(|known| value.eq_ignore_ascii_case(known)) {
        let problem = "expected a secret that is not known to everybody, or PROFILE=development on your own machine";
        return Err(SettingError::invalid(setting, problem));
    }
    if value.chars().count() < *shortest {
        return Err(SettingError::invalid(setting, format!("expected at least {shortest} characters")));
    }
    Ok(())
}

/// Refuses a service whose answers would come in plain text from far away.
pub(super) fn refuse_plain_text_abroad(setting: &str, url: &Url) -> Result<(), SettingError> {
    if url.scheme() == "https" || url.host().is_some_and(|host| is_near(&host)) {
        return Ok(());
    }
    Err(SettingError::invalid(setting, format!("expected https: http is taken for {}", near())))
}

/// In production, refuses a database to which everything would go in plain text from here far away.
///
/// # Errors
///
/// Names the setting that has to ask for TLS.
pub fn refuse_database_abroad(env: &Env<'_>, plain_text_to: Option<&str>) -> Result<(), SettingError> {
    let Some(host) = plain_text_to else { return Ok(()) };
    if Profile::from_env(env)? == Profile::Development || is_near_host(host) {
        return Ok(());
    }
    let (setting, wanted) = match env.get("DATABASE_URL") {
        Some(_) => ("DATABASE_URL", "?ssl-mode=REQUIRED, VERIFY_CA or VERIFY_IDENTITY"),
        None => ("DB_SSL_MODE", "REQUIRED, VERIFY_CA or VERIFY_IDENTITY"),
    };
    Err(SettingError::invalid(setting, format!("expected {wanted}: no TLS is taken for {}", near())))
}

/// What counts as the own network, in words.
fn near() -> String {
    let names = NEAR.join(", ");
    format!("this machine, private and link-local addresses, names without a dot, and names under {names}")
}

/// The same for a host that stands alone. What is no host is not near.
fn is_near_host(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V6(address)) => is_near(&Host::Ipv6(address)),
        // Any other way to write an address is understood as well.
        _ => match Host::parse(host) {
            Ok(Host::Ipv4(address)) => is_near(&Host::Ipv4(address)),
            Ok(Host::Domain(name)) => is_near(&Host::Domain(&name)),
            Ok(Host::Ipv6(address)) => is_near(&Host::Ipv6(address)),
            Err(_) => false,
        },
    }
}

fn is_near(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => is_private((*address).into()),
        Host::Ipv6(address) => is_private(IpAddr::V6(*address).to_canonical()),
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            !name.contains('.') || NEAR.iter().any(|end| name.ends_with(end))
        }
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 6] = [
        ("JWT_SECRET", "one-secret-of-thirty-two-characters"),
        ("JWT_SECRET_ALSO", "two-secret-of-thirty-two-characters"),
        ("SERVICE_TOKEN", "three-token-of-thirty-two-characters"),
        ("SERVICE_TOKENS", "billing=four-token-of-thirty-two-characters"),
        ("ADMIN_PASSWORD", "twelve chars"),
        ("DATABASE_URL", "mysql://app:five@db.internal/shop"),
    ];

    /// What is said when some settings are different from the good ones.
    fn judged(different: &[(&str, &str)], database_password: &str) -> Result<(), String> {
        let env = Env::new(|name: &str| {
            let all = different.iter().chain(&GOOD);
            all.into_iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        refuse_weak_secrets(&env, Some(&database_password.into())).map_err(|error| error.to_string())
    }

    #[test]
    fn good_secrets_are_taken_and_so_is_a_database_without_a_password() {
        assert_eq!(judged(&[], "five"), Ok(()));
        assert_eq!(judged(&[], ""), Ok(()));
        assert_eq!(judged(&[("JWT_SECRET_ALSO", ""), ("SERVICE_TOKENS", ""), ("ADMIN_PASSWORD", "")], ""), Ok(()));
    }

    #[test]
    fn short_secrets_are_refused_one_character_below_the_limit() {
        let (limit, below) = ("x".repeat(32), "x".repeat(31));
        for name in ["JWT_SECRET", "JWT_SECRET_ALSO", "SERVICE_TOKEN"] {
            assert_eq!(judged(&[(name, &limit)], "five"), Ok(()), "{name}");
            assert_eq!(judged(&[(name, &below)], "five"), Err(format!("{name}: expected at least 32 characters")));
        }
        let named = format!("billing={limit},billing={below}");
        assert_eq!(
            judged(&[("SERVICE_TOKENS", &named)], ""),
            Err("SERVICE_TOKENS: expected at least 32 characters".to_owned())
        );
        let refused = judged(&[("ADMIN_PASSWORD", "eleven char")], "");
        assert_eq!(refused, Err("ADMIN_PASSWORD: expected at least 12 characters".to_owned()));
    }

    #[test]
    fn known_secrets_are_refused_wherever_they_stand_in_either_letter_case() {
        let jwt = "development-only-JWT-secret-do-not-deploy";
        for name in ["JWT_SECRET", "JWT_SECRET_ALSO", "SERVICE_TOKEN", "ADMIN_PASSWORD"] {
            let refused = judged(&[(name, jwt)], "five").unwrap_err();
            assert!(refused.starts_with(&format!("{name}: expected a secret that is not known")), "{refused}");
        }
        let refused = judged(&[("SERVICE_TOKENS", &format!("billing={jwt}"))], "").unwrap_err();
        assert!(refused.starts_with("SERVICE_TOKENS: expected a secret that is not known"), "{refused}");
        assert!(judged(&[("ADMIN_PASSWORD", "Administrator")], "").unwrap_err().contains("not known"));
        assert!(judged(&[], "password").unwrap_err().starts_with("DATABASE_URL: expected a secret that is not known"));
        let parts = judged(&[("DATABASE_URL", "")], "root").unwrap_err();
        assert!(parts.starts_with("DB_PASSWORD: expected a secret that is not known"), "{parts}");
    }

    #[test]
    fn every_secret_of_the_examples_is_known() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let mut found = 0;
        for example in ["customers", "orders", "orchestrator", ""].map(|folder| format!("{root}/{folder}/.env.example"))
        {
            let text = std::fs::read_to_string(&example).unwrap();
            for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
                if !name.starts_with('#') && ["SECRET", "TOKEN", "PASSWORD"].iter().any(|kind| name.ends_with(kind)) {
                    assert!(KNOWN.contains(&value), "{name} of {example}");
                    found += 1;
                }
            }
        }
        assert!(found >= 9, "only {found} secrets were found");
    }

    #[test]
    fn one_value_for_two_secrets_is_refused() {
        let same = "the-same-secret-for-more-than-one-use";
        let names = ["JWT_SECRET", "JWT_SECRET_ALSO", "SERVICE_TOKEN", "ADMIN_PASSWORD"];
        for (place, second) in names.iter().enumerate() {
            for first in &names[..place] {
                let expected = Err(format!("{second}: expected another value than that of {first}"));
                assert_eq!(judged(&[(first, same), (second, same)], "five"), expected);
            }
            let database = judged(&[(second, same)], same);
            assert_eq!(database, Err(format!("DATABASE_URL: expected another value than that of {second}")));
        }
        let named = judged(&[("JWT_SECRET", same), ("SERVICE_TOKENS", &format!("billing={same}"))], "");
        assert_eq!(named, Err("SERVICE_TOKENS: expected another value than that of JWT_SECRET".to_owned()));
    }

    #[test]
    fn no_refusal_shows_a_secret() {
        let secret = "hunter2";
        for name in ["JWT_SECRET", "JWT_SECRET_ALSO", "SERVICE_TOKEN", "SERVICE_TOKENS", "ADMIN_PASSWORD"] {
            let refused = judged(&[(name, secret)], "").unwrap_err();
            assert!(refused.starts_with(name) && !refused.contains(secret) && !refused.contains('\n'), "{refused}");
        }
    }

    #[test]
    fn in_development_any_secret_will_do() {
        let known = [("PROFILE", "development"), ("JWT_SECRET", "secret"), ("SERVICE_TOKEN", "secret")];
        assert_eq!(judged(&known, "secret"), Ok(()));
    }

    fn base(profile: &str, base: &str) -> Result<String, String> {
        let env = Env::new(|name: &str| Some(if name == "PROFILE" { profile } else { base }.to_owned()));
        env.base_url("ORDERS_API_BASE").map_err(|error| error.to_string())
    }

    #[test]
    fn plain_text_is_for_the_own_network() {
        let near = [
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
        for near in near {
            assert_eq!(base("production", near), Ok(near.to_owned()));
        }
        let foreign = [
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
        for foreign in foreign {
            let refused = base("production", foreign).unwrap_err();
            assert!(refused.starts_with("ORDERS_API_BASE: expected https"), "{foreign}: {refused}");
            assert_eq!(base("development", foreign), Ok(foreign.to_owned()));
        }
    }

    fn database(settings: &[(&str, &str)], plain_text_to: Option<&str>) -> Result<(), String> {
        let env = Env::new(|name: &str| {
            settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        refuse_database_abroad(&env, plain_text_to).map_err(|error| error.to_string())
    }

    #[test]
    fn a_database_without_tls_is_for_the_own_network() {
        for near in ["127.0.0.1", "::1", "fd00::1", "10.0.0.7", "mysql", "localhost", "db.internal", "DB.Internal."] {
            assert_eq!(database(&[], Some(near)), Ok(()), "{near}");
        }
        let foreign =
            ["db.example.com", "8.8.8.8", "134744072", "0x8.0x8.0x8.0x8", "2001:db8::1", "0.0.0.0", "a b", ""];
        for foreign in foreign {
            let refused = database(&[], Some(foreign)).unwrap_err();
            assert!(refused.starts_with("DB_SSL_MODE: expected REQUIRED, VERIFY_CA or VERIFY_IDENTITY"), "{refused}");
            let refused = database(&[("DATABASE_URL", "mysql://…")], Some(foreign)).unwrap_err();
            assert!(refused.starts_with("DATABASE_URL: expected ?ssl-mode=REQUIRED"), "{refused}");
            assert_eq!(database(&[("PROFILE", "development")], Some(foreign)), Ok(()));
        }
        assert_eq!(database(&[], None), Ok(()));
    }
}
