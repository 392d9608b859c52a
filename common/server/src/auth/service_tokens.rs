//! The tokens that services show: whose they are. Each name may have two, so that they can be changed one by one.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use super::{SecretDigest, ServiceCaller};
use crate::settings::{Env, SettingError};

/// The name under which `SERVICE_TOKEN` is known.
pub(super) const SHARED: &str = "service";
const LONGEST_NAME: usize = 40;
/// One that counts, and the one before or the next.
const TOKENS_OF_ONE_NAME: usize = 2;

/// Every token that lets a service in.
pub(super) struct ServiceTokens(Vec<(ServiceCaller, SecretDigest)>);

impl ServiceTokens {
    pub(super) fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
        let named = named_tokens(env)?;
        let known = |(name, token): &(String, SecretString)| {
            (ServiceCaller { name: name.clone() }, SecretDigest::of(token.expose_secret()))
        };
        Ok(Self(named.iter().map(known).collect()))
    }

    /// Whose token this is. All are compared, whichever it is: the time taken tells nothing.
    pub(super) fn owner(&self, shown: &str) -> Option<&ServiceCaller> {
        let shown = SecretDigest::of(shown);
        let mut found = 0;
        for (place, (_, known)) in (1_u64..).zip(&self.0) {
            found.conditional_assign(&place, known.0.ct_eq(&shown.0));
        }
        let place = usize::try_from(found).ok()?.checked_sub(1)?;
        self.0.get(place).map(|(owner, _)| owner)
    }
}

/// `SERVICE_TOKEN`, and the pairs of `SERVICE_TOKENS`: `name=token,name=token`.
pub(crate) fn named_tokens(env: &Env<'_>) -> Result<Vec<(String, SecretString)>, SettingError> {
    let shared = env.secret("SERVICE_TOKEN")?;
    check_token("SERVICE_TOKEN", shared.expose_secret())?;
    let mut named = vec![(SHARED.to_owned(), shared)];
    let more = env.secret_if_any("SERVICE_TOKENS");
    let more = more.as_ref().map(|more| more.expose_secret().split(',')).into_iter().flatten();
    for pair in more {
        let Some((name, token)) = pair.trim().split_once('=') else {
            return Err(SettingError::invalid("SERVICE_TOKENS", "expected name=token, name=token, and so on"));
        };
        check_name(name)?;
        check_token("SERVICE_TOKENS", token)?;
        named.push((name.to_owned(), token.into()));
    }
    check_together(&named)?;
    Ok(named)
}

fn check_name(name: &str) -> Result<(), SettingError> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_allowed) {
        return Ok(());
    }
    // What stands there may be a token.
    let problem = format!("expected names of 1 to {LONGEST_NAME} characters, each one of a-z, 0-9 and -");
    Err(SettingError::invalid("SERVICE_TOKENS", problem))
}

fn check_token(setting: &str, token: &str) -> Result<(), SettingError> {
    if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(SettingError::invalid(setting, "expected tokens of visible ASCII characters, as a header can carry"))
    }
}

fn check_together(named: &[(String, SecretString)]) -> Result<(), SettingError> {
    let mut owners = BTreeMap::new();
    let mut counts = BTreeMap::<_, usize>::new();
    for (name, token) in named {
        if let Some(owner) = owners.insert(token.expose_secret(), name) {
            let problem = format!("expected a token of its own for each entry: {owner} and {name} have the same");
            return Err(SettingError::invalid("SERVICE_TOKENS", problem));
        }
        let count = counts.entry(name).or_default();
        *count += 1;
        if *count > TOKENS_OF_ONE_NAME {
            let with = if name == SHARED { ", SERVICE_TOKEN counted" } else { "" };
            let problem = format!("expected at most {TOKENS_OF_ONE_NAME} tokens of {name}{with}");
            return Err(SettingError::invalid("SERVICE_TOKENS", problem));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(shared: &'static str, more: &'static str) -> Result<ServiceTokens, String> {
        let env = Env::new(move |name| match name {
            "SERVICE_TOKEN" => Some(shared.to_owned()),
            "SERVICE_TOKENS" => Some(more.to_owned()),
            _ => None,
        });
        ServiceTokens::from_env(&env).map_err(|error| error.to_string())
    }

    #[test]
    fn each_token_names_its_owner() {
        let tokens = tokens("one", "billing=a=b,billing=two, service=three").unwrap();
        let owner = |shown: &str| tokens.owner(shown).map(ServiceCaller::principal);
        let owners = ["one", "a=b", "two", "three"].map(|shown| owner(shown).unwrap());
        assert_eq!(owners, ["service", "service:billing", "service:billing", "service"]);
        for stranger in ["", "on", "onee", "a", "billing=a=b", "service"] {
            assert_eq!(owner(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn tokens_that_cannot_count_are_refused_without_being_shown() {
        let long = Box::leak(format!("{}=hunter2", "x".repeat(41)).into_boxed_str());
        let bad = [
            ("hunt er2", "", "SERVICE_TOKEN: expected tokens of visible"),
            ("hunter2é", "", "SERVICE_TOKEN: expected tokens of visible"),
            ("one", "hunter2", "SERVICE_TOKENS: expected name=token"),
            ("one", "billing=hunter2,", "SERVICE_TOKENS: expected name=token"),
            ("one", "billing=", "SERVICE_TOKENS: expected tokens of visible"),
            ("one", "=hunter2", "SERVICE_TOKENS: expected names"),
            ("one", "Billing=hunter2", "SERVICE_TOKENS: expected names"),
            ("one", long, "SERVICE_TOKENS: expected names"),
            ("one", "a=hunter2,b=hunter2", "SERVICE_TOKENS: expected a token of its own for each entry: a and b"),
            ("hunter2", "a=hunter2", "SERVICE_TOKENS: expected a token of its own for each entry: service and a"),
            ("one", "a=1,a=2,a=hunter2", "SERVICE_TOKENS: expected at most 2 tokens of a"),
            ("one", "service=2,service=hunter2", "SERVICE_TOKENS: expected at most 2 tokens of service, SERVICE_TOKEN"),
        ];
        for (shared, more, expected) in bad {
            let error = tokens(shared, more).err().unwrap();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("hunter2") && !error.contains('\n'), "{error}");
        }
    }
}
