//! Service tokens. Each service name can have two valid tokens, so that tokens can be rotated without downtime.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use super::{SecretDigest, ServiceCaller};
use crate::settings::{Env, SettingError};

/// Service name that `SERVICE_TOKEN` authenticates.
pub(super) const SHARED: &str = "service";
const MAX_NAME_LENGTH: usize = 40;
/// Maximum number of valid tokens per service name: the current token, and the previous or next one.
const MAX_TOKENS_PER_NAME: usize = 2;

/// All accepted service tokens with their owners.
pub(super) struct ServiceTokens(Vec<(ServiceCaller, SecretDigest)>);

impl ServiceTokens {
    pub(super) fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
        let named = named_tokens(env)?;
        let entry = |(name, token): &(String, SecretString)| {
            (ServiceCaller { name: name.clone() }, SecretDigest::of(token.expose_secret()))
        };
        Ok(Self(named.iter().map(entry).collect()))
    }

    /// Returns the owner of a token. Compares the token with all accepted tokens, so that the time does not reveal
    /// which one matches.
    pub(super) fn owner(&self, token: &str) -> Option<&ServiceCaller> {
        let digest = SecretDigest::of(token);
        // One-based; 0 means no match.
        let mut found = 0;
        for (position, (_, known)) in (1_u64..).zip(&self.0) {
            found.conditional_assign(&position, known.0.ct_eq(&digest.0));
        }
        let index = usize::try_from(found).ok()?.checked_sub(1)?;
        self.0.get(index).map(|(owner, _)| owner)
    }
}

/// Reads `SERVICE_TOKEN` and `SERVICE_TOKENS` (`name=token,name=token`). The first entry is `SERVICE_TOKEN`.
pub(crate) fn named_tokens(env: &Env<'_>) -> Result<Vec<(String, SecretString)>, SettingError> {
    let shared = env.secret("SERVICE_TOKEN")?;
    check_token("SERVICE_TOKEN", shared.expose_secret())?;
    let mut named = vec![(SHARED.to_owned(), shared)];
    let more = env.optional_secret("SERVICE_TOKENS")?;
    let more = more.as_ref().map(|more| more.expose_secret().split(',')).into_iter().flatten();
    for pair in more {
        let Some((name, token)) = pair.trim_start().split_once('=') else {
            return Err(SettingError::invalid("SERVICE_TOKENS", "expected name=token pairs, separated by commas"));
        };
        check_name(name)?;
        check_token("SERVICE_TOKENS", token)?;
        named.push((name.to_owned(), token.into()));
    }
    check_set(&named)?;
    Ok(named)
}

fn check_name(name: &str) -> Result<(), SettingError> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=MAX_NAME_LENGTH).contains(&name.len()) && name.bytes().all(is_allowed) {
        return Ok(());
    }
    // The message omits the name, because it may be a misplaced token.
    let problem = format!("expected names of 1 to {MAX_NAME_LENGTH} characters from a-z, 0-9 and -");
    Err(SettingError::invalid("SERVICE_TOKENS", problem))
}

fn check_token(setting: &str, token: &str) -> Result<(), SettingError> {
    if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(SettingError::invalid(setting, "expected tokens of visible ASCII characters"))
    }
}

fn check_set(named: &[(String, SecretString)]) -> Result<(), SettingError> {
    let mut owners = BTreeMap::new();
    let mut counts = BTreeMap::<_, usize>::new();
    for (name, token) in named {
        if let Some(owner) = owners.insert(token.expose_secret(), name) {
            let problem = format!("expected a different token for each entry: {owner} and {name} have the same token");
            return Err(SettingError::invalid("SERVICE_TOKENS", problem));
        }
        let count = counts.entry(name).or_default();
        *count += 1;
        if *count > MAX_TOKENS_PER_NAME {
            let note = if name == SHARED { ", including SERVICE_TOKEN" } else { "" };
            let problem = format!("expected at most {MAX_TOKENS_PER_NAME} tokens of {name}{note}");
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
    fn each_token_identifies_its_owner() {
        let tokens = tokens("one", "billing=a=b,billing=two, service=three").unwrap();
        let owner = |token: &str| tokens.owner(token).map(ServiceCaller::principal);
        let owners = ["one", "a=b", "two", "three"].map(|token| owner(token).unwrap());
        assert_eq!(owners, ["service", "service:billing", "service:billing", "service"]);
        for unknown in ["", "on", "onee", "a", "billing=a=b", "service"] {
            assert_eq!(owner(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn invalid_tokens_are_refused_without_being_shown() {
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
            ("hunter2\n", "", "SERVICE_TOKEN: expected UTF-8 text without a space"),
            ("one", "a=hunter2\n", "SERVICE_TOKENS: expected UTF-8 text without a space"),
            ("one", "a=hunter2 ,b=x", "SERVICE_TOKENS: expected tokens of visible"),
            ("one", "a=hunter2,b=hunter2", "SERVICE_TOKENS: expected a different token for each entry: a and b"),
            ("hunter2", "a=hunter2", "SERVICE_TOKENS: expected a different token for each entry: service and a"),
            ("one", "a=1,a=2,a=hunter2", "SERVICE_TOKENS: expected at most 2 tokens of a"),
            ("one", "service=2,service=hunter2", "SERVICE_TOKENS: expected at most 2 tokens of service, including"),
        ];
        for (shared, more, expected) in bad {
            let error = tokens(shared, more).err().unwrap();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("hunter2") && !error.contains('\n'), "{error}");
        }
    }
}
