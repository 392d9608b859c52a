//! Passwords: kept as Argon2id hashes, compared away from the threads that answer requests, and only a few at a time.
//!
//! One comparison takes 19 MiB and some ten milliseconds of a core, on purpose. Without a bound whoever sends many guesses
//! would take all cores and all memory; so they wait for their turn, and not for long. The memory goes from turn to turn: what
//! an allocator is given back by one thread it seldom gives to another, and each would come to hold 19 MiB.

use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::password_hash::{self, try_generate_salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use crate::metrics;

/// Memory in KiB, passes and lanes: the OWASP Password Storage Cheat Sheet's choice for Argon2id (RFC 9106). A hash carries
/// its own; raise them here, and each operator's is made anew at the next login. [`NOBODYS`] has to follow.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Compared with where nobody has the name that was given, so that it takes as long. It is no secret, as it lets nobody in:
/// `printf 'nobody has this password' | argon2 'salt of a nobody' -id -k 19456 -t 2 -p 1 -l 32 -e`, with the program of
/// Argon2's reference implementation.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdCBvZiBhIG5vYm9keQ$\
                       418LDV3GQbo8IVM4lYPraUD4pNLF/Q5FDTYbAFO/qIE";

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
    unused: Arc<Unused>,
}

/// What one hash is made in: empty until the first, then as large as the largest so far. What is left in it comes of a
/// password and is not one; the next hash overwrites it.
type Memory = Vec<Block>;

/// The memory of those turns that nobody has. With what the others hold, never more than there are turns.
#[derive(Default)]
struct Unused(Mutex<Vec<Memory>>);

impl Unused {
    fn lock(&self) -> MutexGuard<'_, Vec<Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one hash or comparison, and the memory for it. Whoever has it keeps it until the work has ended, even if
/// nobody waits for it.
pub(crate) struct Turn {
    memory: Memory,
    unused: Arc<Unused>,
    _permit: OwnedSemaphorePermit,
}

/// The memory goes back before the permit, so that whoever is next finds it.
impl Drop for Turn {
    fn drop(&mut self) {
        self.unused.lock().push(take(&mut self.memory));
    }
}

impl Passwords {
    /// As many turns at once as half the machine's cores, and at most 4.
    pub(crate) fn new() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        let turns = Arc::new(Semaphore::new((cores / 2).clamp(1, MOST_TURNS)));
        Self { turns, turn_within: TURN_WITHIN, unused: Arc::default() }
    }

    /// Waits for a turn, at most 3 s.
    pub(crate) async fn turn(&self) -> Result<Turn, HashingError> {
        let Ok(Ok(permit)) = timeout(self.turn_within, Arc::clone(&self.turns).acquire_owned()).await else {
            return Err(HashingError::Busy);
        };
        let memory = self.unused.lock().pop().unwrap_or_default();
        Ok(Turn { memory, unused: Arc::clone(&self.unused), _permit: permit })
    }

    /// The PHC string of a new hash of the password.
    pub(crate) async fn hash(&self, turn: Turn, password: &str) -> Result<String, HashingError> {
        let password = password.to_owned();
        Ok(off_thread(turn, "keep", move |memory| hash(memory, &password)).await?.0)
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
        let expected = expected.unwrap_or(NOBODYS).to_owned();
        let (verdict, turn) = off_thread(turn, "compare", move |memory| verify(memory, &password, &expected)).await?;
        Ok((if known { verdict } else { Verdict::Wrong }, turn))
    }
}

async fn off_thread<T: Send + 'static>(
    mut turn: Turn,
    purpose: &'static str,
    work: impl FnOnce(&mut Memory) -> password_hash::Result<T> + Send + 'static,
) -> Result<(T, Turn), HashingError> {
    let done = spawn_blocking(move || {
        metrics::password_hash(purpose);
        work(&mut turn.memory).map(|done| (done, turn))
    });
    Ok(done.await??)
}

/// The PHC string of a new hash.
fn hash(memory: &mut Memory, password: &str) -> password_hash::Result<String> {
    let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
    let argon2 = Argon2::new(algorithm, version, Params::new(MEMORY_KIB, PASSES, LANES, None)?);
    let salt = Salt::new(&try_generate_salt()?)?;
    let hash = PasswordHash {
        algorithm: algorithm.ident(),
        version: Some(version.into()),
        params: ParamsString::try_from(argon2.params())?,
        salt: Some(salt),
        hash: Some(output(memory, &argon2, password, &salt)?),
    };
    Ok(hash.to_string())
}

fn verify(memory: &mut Memory, password: &str, expected: &str) -> password_hash::Result<Verdict> {
    let expected = PasswordHash::new(expected)?;
    let (Some(salt), Some(hash)) = (expected.salt, expected.hash) else {
        return Err(password_hash::Error::EncodingInvalid);
    };
    let algorithm = Algorithm::try_from(expected.algorithm.as_str())?;
    let version = expected.version.map(Version::try_from).transpose()?.unwrap_or_default();
    let argon2 = Argon2::new(algorithm, version, Params::try_from(&expected)?);
    // Outputs are compared in constant time.
    Ok(match output(memory, &argon2, password, &salt)? == hash {
        false => Verdict::Wrong,
        true if is_todays(algorithm, argon2.params()) => Verdict::Right,
        true => Verdict::RightButOutdated,
    })
}

fn output(memory: &mut Memory, argon2: &Argon2<'_>, password: &str, salt: &Salt) -> password_hash::Result<Output> {
    let mut bytes = [0; Output::MAX_LENGTH];
    let length = argon2.params().output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let bytes = bytes.get_mut(..length).ok_or(password_hash::Error::OutputSize)?;
    grow(memory, argon2.params().block_count())?;
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, bytes, memory)?;
    Ok(Output::new(bytes)?)
}

fn grow(memory: &mut Memory, blocks: usize) -> password_hash::Result<()> {
    if let Some(more) = blocks.checked_sub(memory.len()) {
        memory.try_reserve_exact(more).map_err(|_| password_hash::Error::OutOfMemory)?;
        memory.resize(blocks, Block::new());
    }
    Ok(())
}

fn is_todays(algorithm: Algorithm, params: &Params) -> bool {
    let costs = (params.m_cost(), params.t_cost(), params.p_cost());
    algorithm == Algorithm::Argon2id && costs == (MEMORY_KIB, PASSES, LANES)
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHasher, PasswordVerifier};
    use futures::future::join_all;

    use super::*;

    fn with(algorithm: Algorithm, memory: u32, password: &str) -> String {
        let argon2 = Argon2::new(algorithm, Version::V0x13, Params::new(memory, PASSES, LANES, None).unwrap());
        argon2.hash_password(password.as_bytes()).unwrap().to_string()
    }

    #[test]
    fn a_hash_carries_its_parameters_and_a_salt_of_its_own() {
        let memory = &mut Memory::new();
        let (one, other) = (hash(memory, "correct horse").unwrap(), hash(memory, "correct horse").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, other);
        assert!(one.len() <= 200);
        assert_eq!(verify(memory, "correct horse", &one).unwrap(), Verdict::Right);
        assert_eq!(verify(memory, "correct horsE", &one).unwrap(), Verdict::Wrong);
    }

    #[test]
    fn a_hash_is_the_same_whatever_its_memory_held_before() {
        let memory = &mut Memory::new();
        for size in [8_192, MEMORY_KIB + 8, 8_192] {
            let made = hash(memory, "correct horse").unwrap();
            Argon2::default().verify_password(b"correct horse", made.as_str()).unwrap();
            let other = with(Algorithm::Argon2id, size, "secret");
            assert_eq!(verify(memory, "secret", &other).unwrap(), Verdict::RightButOutdated);
            assert_eq!(verify(memory, "correct horse", &made).unwrap(), Verdict::Right);
        }
    }

    #[test]
    fn a_hash_with_other_parameters_is_right_and_outdated() {
        for hash in [with(Algorithm::Argon2id, 8_192, "secret"), with(Algorithm::Argon2i, MEMORY_KIB, "secret")] {
            let memory = &mut Memory::new();
            assert_eq!(verify(memory, "secret", &hash).unwrap(), Verdict::RightButOutdated, "{hash}");
            assert_eq!(verify(memory, "other", &hash).unwrap(), Verdict::Wrong, "{hash}");
        }
    }

    #[test]
    fn what_is_no_hash_is_a_defect_and_no_wrong_password() {
        let cut =
            ["$argon2id$v=19$m=19456,t=2,p=1", "$argon2id$v=19$m=19456,t=2,p=1$", NOBODYS.rsplit_once('$').unwrap().0];
        for broken in ["", "x", "$2b$12$abcdefghijklmnopqrstuv"].into_iter().chain(cut) {
            assert!(verify(&mut Memory::new(), "secret", broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn nobodys_hash_has_todays_parameters() {
        assert_eq!(verify(&mut Memory::new(), "nobody has this password", NOBODYS).unwrap(), Verdict::Right);
    }

    #[tokio::test]
    async fn nobody_has_any_password() {
        let passwords = Passwords::new();
        let guess = async |password| passwords.verify(passwords.turn().await.unwrap(), password, None).await.unwrap().0;
        assert_eq!(guess("nobody has this password").await, Verdict::Wrong);
        assert_eq!(guess("x").await, Verdict::Wrong);
    }

    fn turns() -> usize {
        (available_parallelism().map_or(1, usize::from) / 2).clamp(1, 4)
    }

    #[tokio::test]
    async fn however_many_log_in_there_is_memory_for_as_many_hashes_as_turns() {
        let passwords = &Passwords { turn_within: Duration::from_secs(60), ..Passwords::new() };
        join_all((0..16).map(async |_| passwords.verify(passwords.turn().await.unwrap(), "x", None).await.unwrap().0))
            .await;
        let held: Vec<_> = passwords.unused.lock().iter().map(Vec::len).collect();
        assert!((1..=turns()).contains(&held.len()), "{held:?}");
        assert!(held.iter().all(|blocks| *blocks == MEMORY_KIB as usize), "{held:?}");
    }

    #[tokio::test]
    async fn whoever_gets_no_turn_in_time_is_told_to_come_back() {
        let passwords = Passwords { turn_within: Duration::from_millis(20), ..Passwords::new() };
        let mut taken = Vec::new();
        while let Ok(turn) = passwords.turn().await {
            taken.push(turn);
        }
        assert_eq!(taken.len(), turns());
        assert!(matches!(passwords.turn().await, Err(HashingError::Busy)));
        taken.pop();
        assert!(passwords.turn().await.is_ok());
    }
}
