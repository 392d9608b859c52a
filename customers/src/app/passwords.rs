//! Passwords: kept as Argon2id hashes, compared away from the threads that answer requests, and only a few at a time.
//!
//! One comparison takes 19 MiB and some ten milliseconds of a core, on purpose. Without a bound whoever sends many guesses
//! would take all cores and all memory; so they wait for their turn, and not for long.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{self, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use crate::metrics;

/// Memory in KiB, passes and lanes: the OWASP Password Storage Cheat Sheet's choice for Argon2id (RFC 9106). A hash carries
/// its own; raise them here, and each operator's is made anew at the next login.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The most that are hashed or compared at once, however many cores there are: below what the throttle lets through at once
/// for one account from one address, so that right passwords alone never fill it.
const MOST_TURNS: usize = 4;

/// How long somebody waits for their turn. Then they are told to come back.
const TURN_WITHIN: Duration = Duration::from_secs(3);

/// Why a password was neither hashed nor compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashingError {
    #[error("too many passwords are being compared")]
    Busy,
    #[error("a password hash cannot be made or read: {0}")]
    Broken(password_hash::Error),
    #[error("the comparison did not end")]
    Cut(#[from] JoinError),
}

impl From<password_hash::Error> for HashingError {
    fn from(error: password_hash::Error) -> Self {
        Self::Broken(error)
    }
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wrong,
    Right,
    /// Right, but the hash was made with other parameters than today's.
    RightButOutdated,
}

/// Makes and compares hashes.
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    turn_within: Duration,
    /// Compared with where nobody has the name that was given, so that it takes as long.
    nobodys: String,
}

/// The right to one hash or comparison. Whoever has it keeps it until the work has ended, even if nobody waits for it.
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Passwords {
    /// As many turns at once as half the machine's cores, and at most 4.
    pub(crate) fn new() -> Result<Self, HashingError> {
        let cores = available_parallelism().map_or(1, usize::from);
        let turns = Arc::new(Semaphore::new((cores / 2).clamp(1, MOST_TURNS)));
        Ok(Self { turns, turn_within: TURN_WITHIN, nobodys: hash("nobody has this password")? })
    }

    /// Waits for a turn, at most 3 s.
    pub(crate) async fn turn(&self) -> Result<Turn, HashingError> {
        match timeout(self.turn_within, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn { _permit: permit }),
            _ => Err(HashingError::Busy),
        }
    }

    /// The PHC string of a new hash of the password.
    pub(crate) async fn hash(&self, turn: Turn, password: &str) -> Result<String, HashingError> {
        let password = password.to_owned();
        Ok(off_thread(turn, "keep", move || hash(&password)).await?.0)
    }

    /// Compares the password with a hash; with none it takes as long and is wrong. Gives the turn back, so that what was found
    /// can be noted before the next one has theirs.
    pub(crate) async fn verify(
        &self,
        turn: Turn,
        password: &str,
        expected: Option<&str>,
    ) -> Result<(Verdict, Turn), HashingError> {
        let (password, known) = (password.to_owned(), expected.is_some());
        let expected = expected.unwrap_or(&self.nobodys).to_owned();
        let (verdict, turn) = off_thread(turn, "compare", move || verify(&password, &expected)).await?;
        Ok((if known { verdict } else { Verdict::Wrong }, turn))
    }
}

async fn off_thread<T: Send + 'static>(
    turn: Turn,
    purpose: &'static str,
    work: impl FnOnce() -> Result<T, HashingError> + Send + 'static,
) -> Result<(T, Turn), HashingError> {
    spawn_blocking(move || {
        metrics::password_hash(purpose);
        work().map(|done| (done, turn))
    })
    .await?
}

fn argon2() -> Result<Argon2<'static>, HashingError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(password_hash::Error::from)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str) -> Result<String, HashingError> {
    Ok(argon2()?.hash_password(password.as_bytes())?.to_string())
}

fn verify(password: &str, expected: &str) -> Result<Verdict, HashingError> {
    let expected = PasswordHash::new(expected).map_err(password_hash::Error::from)?;
    match argon2()?.verify_password(password.as_bytes(), &expected) {
        Ok(()) if is_outdated(&expected)? => Ok(Verdict::RightButOutdated),
        Ok(()) => Ok(Verdict::Right),
        Err(password_hash::Error::PasswordInvalid) => Ok(Verdict::Wrong),
        Err(error) => Err(error.into()),
    }
}

fn is_outdated(hash: &PasswordHash) -> Result<bool, HashingError> {
    let params = Params::try_from(hash)?;
    let todays = (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES);
    Ok(!todays || hash.algorithm != Algorithm::Argon2id.ident())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(algorithm: Algorithm, memory: u32, password: &str) -> String {
        let argon2 = Argon2::new(algorithm, Version::V0x13, Params::new(memory, PASSES, LANES, None).unwrap());
        argon2.hash_password(password.as_bytes()).unwrap().to_string()
    }

    #[test]
    fn a_hash_carries_its_parameters_and_a_salt_of_its_own() {
        let (one, other) = (hash("correct horse").unwrap(), hash("correct horse").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, other);
        assert!(one.len() <= 200);
        assert_eq!(verify("correct horse", &one).unwrap(), Verdict::Right);
        assert_eq!(verify("correct horsE", &one).unwrap(), Verdict::Wrong);
    }

    #[test]
    fn a_hash_with_other_parameters_is_right_and_outdated() {
        for hash in [with(Algorithm::Argon2id, 8_192, "secret"), with(Algorithm::Argon2i, MEMORY_KIB, "secret")] {
            assert_eq!(verify("secret", &hash).unwrap(), Verdict::RightButOutdated, "{hash}");
            assert_eq!(verify("other", &hash).unwrap(), Verdict::Wrong, "{hash}");
        }
    }

    #[test]
    fn what_is_no_hash_is_a_defect_and_no_wrong_password() {
        for broken in ["", "x", "$argon2id$v=19$m=19456,t=2,p=1$", "$2b$12$abcdefghijklmnopqrstuv"] {
            assert!(matches!(verify("secret", broken), Err(HashingError::Broken(_))), "{broken}");
        }
    }

    #[tokio::test]
    async fn nobody_has_any_password() {
        let passwords = Passwords::new().unwrap();
        let guess = async |password| passwords.verify(passwords.turn().await.unwrap(), password, None).await.unwrap().0;
        assert_eq!(guess("nobody has this password").await, Verdict::Wrong);
        assert_eq!(guess("x").await, Verdict::Wrong);
    }

    #[tokio::test]
    async fn whoever_gets_no_turn_in_time_is_told_to_come_back() {
        let passwords = Passwords { turn_within: Duration::from_millis(20), ..Passwords::new().unwrap() };
        let mut taken = Vec::new();
        while let Ok(turn) = passwords.turn().await {
            taken.push(turn);
        }
        let cores = available_parallelism().map_or(1, usize::from);
        assert_eq!(taken.len(), (cores / 2).clamp(1, 4));
        assert!(matches!(passwords.turn().await, Err(HashingError::Busy)));
        taken.pop();
        assert!(passwords.turn().await.is_ok());
    }
}
