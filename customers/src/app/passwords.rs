//! Password hashing with Argon2id, on blocking threads and with limited concurrency.
//!
//! By design, computing a hash takes 19 MiB of memory and tens of milliseconds of CPU time. Without a limit, many
//! concurrent login attempts would use all cores and all memory. Each request therefore waits for a permit, for a
//! limited time.
//!
//! The working memory is reused. Allocators seldom pass freed memory from one thread to another, so without reuse each
//! blocking thread would end up holding 19 MiB.
//!
//! New hashes are of the normalised password. An older hash may be of the password as it was sent, so a password that
//! is not in normal form is verified in both forms.

use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::password_hash::{self, try_generate_salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use customers_api::Password;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use crate::metrics;

/// Argon2id memory cost in KiB (RFC 9106). The Argon2id parameters follow the OWASP Password Storage Cheat Sheet.
///
/// A stored hash contains its own parameters. After a change of the parameters, each hash is replaced at the next login
/// of its account, and [`DUMMY_HASH`] must be regenerated.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hash that is verified when the username is unknown, so that the response time is the same. It is not secret, because
/// a match still counts as wrong. Generated with the `argon2` program of the reference implementation:
///
/// `printf 'no account has this password' | argon2 'dummy hash: salt' -id -k 19456 -t 2 -p 1 -l 32 -e`
const DUMMY_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$ZHVtbXkgaGFzaDogc2FsdA$\
                       2acvI3qB12Ah6MZtP08w0Kp91I4UEj30BpCp/3Jf1To";

/// Maximum number of concurrent hash computations. It is lower than the throttle's burst limit for an account and
/// address, so that concurrent logins with the correct password are never throttled.
const MAX_PERMITS: usize = 4;

/// Maximum wait for a permit.
pub(super) const PERMIT_MAX_WAIT: Duration = Duration::from_secs(3);

/// Error while hashing or verifying a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashingError {
    #[error("all password hashing permits are in use")]
    Busy,
    #[error("a password hash cannot be created or parsed: {0}")]
    Hash(password_hash::Error),
    #[error("the password hashing task failed")]
    Task(#[from] JoinError),
}

impl From<password_hash::Error> for HashingError {
    fn from(error: password_hash::Error) -> Self {
        Self::Hash(error)
    }
}

/// Result of a password verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PasswordCheck {
    Wrong,
    Correct,
    /// Correct, but the hash was created with other parameters than the current ones, or of another form.
    CorrectNeedsRehash,
}

/// Hashes and verifies passwords with limited concurrency.
pub(crate) struct PasswordHasher {
    permits: Arc<Semaphore>,
    max_wait: Duration,
    free_memory: Arc<MemoryPool>,
}

/// Memory for Argon2 computations. It is initially empty and grows to the size of the largest computation so far.
///
/// It contains data derived from the last password, but not the password itself, until the next computation overwrites
/// it.
type WorkingMemory = Vec<Block>;

/// Working memory that is not in use. The pool and the permits in use together hold at most one entry per permit.
#[derive(Default)]
struct MemoryPool(Mutex<Vec<WorkingMemory>>);

impl MemoryPool {
    fn lock(&self) -> MutexGuard<'_, Vec<WorkingMemory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Permit for one hash or verification, with its working memory.
///
/// The blocking task owns the permit until the computation ends, even if the request is canceled.
pub(crate) struct HashingPermit {
    memory: WorkingMemory,
    free_memory: Arc<MemoryPool>,
    _permit: OwnedSemaphorePermit,
}

/// Returns the memory to the pool before the permit is released, so that the next holder reuses it.
impl Drop for HashingPermit {
    fn drop(&mut self) {
        self.free_memory.lock().push(take(&mut self.memory));
    }
}

impl PasswordHasher {
    /// Creates a hasher with one permit for every two cores, but at least 1 and at most 4 permits.
    pub(crate) fn new() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        let permits = Arc::new(Semaphore::new((cores / 2).clamp(1, MAX_PERMITS)));
        Self { permits, max_wait: PERMIT_MAX_WAIT, free_memory: Arc::default() }
    }

    /// Waits for a permit, for at most 3 s.
    ///
    /// # Errors
    ///
    /// Returns [`HashingError::Busy`] if no permit becomes available in that time.
    pub(crate) async fn acquire(&self) -> Result<HashingPermit, HashingError> {
        let Ok(Ok(permit)) = timeout(self.max_wait, Arc::clone(&self.permits).acquire_owned()).await else {
            return Err(HashingError::Busy);
        };
        let memory = self.free_memory.lock().pop().unwrap_or_default();
        Ok(HashingPermit { memory, free_memory: Arc::clone(&self.free_memory), _permit: permit })
    }

    /// Returns a new hash of the normalised password as a PHC string.
    pub(crate) async fn hash<const MIN: usize>(
        &self,
        permit: HashingPermit,
        password: &Password<MIN>,
    ) -> Result<String, HashingError> {
        let password = password.normalized();
        Ok(run_blocking(permit, "keep", move |memory| hash(memory, &password)).await?.0)
    }

    /// Verifies the password against a hash. If there is no hash, takes the same time and returns `Wrong`.
    ///
    /// Also returns the permit, so that the caller can record the result before the next attempt gets the permit.
    pub(crate) async fn verify(
        &self,
        permit: HashingPermit,
        password: &Password,
        expected: Option<&str>,
    ) -> Result<(PasswordCheck, HashingPermit), HashingError> {
        let (normalized, sent, is_known) = (password.normalized(), password.as_str().to_owned(), expected.is_some());
        let expected = expected.unwrap_or(DUMMY_HASH).to_owned();
        let compare = move |memory: &mut WorkingMemory| verify_forms(memory, &normalized, &sent, &expected);
        let (check, permit) = run_blocking(permit, "compare", compare).await?;
        Ok((if is_known { check } else { PasswordCheck::Wrong }, permit))
    }
}

async fn run_blocking<T: Send + 'static>(
    mut permit: HashingPermit,
    purpose: &'static str,
    compute: impl FnOnce(&mut WorkingMemory) -> password_hash::Result<T> + Send + 'static,
) -> Result<(T, HashingPermit), HashingError> {
    let task = spawn_blocking(move || {
        metrics::count_password_hash(purpose);
        compute(&mut permit.memory).map(|result| (result, permit))
    });
    Ok(task.await??)
}

/// Returns a new hash of the password as a PHC string.
fn hash(memory: &mut WorkingMemory, password: &str) -> password_hash::Result<String> {
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

/// Verifies the normalised password, and also the one that was sent if it differs: both in any case, so that the time does
/// not reveal which one is correct.
fn verify_forms(
    memory: &mut WorkingMemory,
    normalized: &str,
    sent: &str,
    expected: &str,
) -> password_hash::Result<PasswordCheck> {
    let check = verify(memory, normalized, expected)?;
    if normalized == sent {
        return Ok(check);
    }
    metrics::count_password_hash("compare");
    let sent_check = verify(memory, sent, expected)?;
    Ok(match (check, sent_check) {
        (PasswordCheck::Wrong, PasswordCheck::Wrong) => PasswordCheck::Wrong,
        (PasswordCheck::Wrong, _) => PasswordCheck::CorrectNeedsRehash,
        _ => check,
    })
}

fn verify(memory: &mut WorkingMemory, password: &str, expected: &str) -> password_hash::Result<PasswordCheck> {
    let expected = PasswordHash::new(expected)?;
    let (Some(salt), Some(hash)) = (expected.salt, expected.hash) else {
        return Err(password_hash::Error::EncodingInvalid);
    };
    let algorithm = Algorithm::try_from(expected.algorithm.as_str())?;
    let version = expected.version.map(Version::try_from).transpose()?.unwrap_or_default();
    let argon2 = Argon2::new(algorithm, version, Params::try_from(&expected)?);
    // Outputs are compared in constant time.
    Ok(match output(memory, &argon2, password, &salt)? == hash {
        false => PasswordCheck::Wrong,
        true if has_current_parameters(algorithm, argon2.params()) => PasswordCheck::Correct,
        true => PasswordCheck::CorrectNeedsRehash,
    })
}

fn output(
    memory: &mut WorkingMemory,
    argon2: &Argon2<'_>,
    password: &str,
    salt: &Salt,
) -> password_hash::Result<Output> {
    let mut bytes = [0; Output::MAX_LENGTH];
    let length = argon2.params().output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let bytes = bytes.get_mut(..length).ok_or(password_hash::Error::OutputSize)?;
    grow(memory, argon2.params().block_count())?;
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, bytes, memory)?;
    Ok(Output::new(bytes)?)
}

fn grow(memory: &mut WorkingMemory, blocks: usize) -> password_hash::Result<()> {
    if let Some(more) = blocks.checked_sub(memory.len()) {
        memory.try_reserve_exact(more).map_err(|_| password_hash::Error::OutOfMemory)?;
        memory.resize(blocks, Block::new());
    }
    Ok(())
}

fn has_current_parameters(algorithm: Algorithm, params: &Params) -> bool {
    let costs = (params.m_cost(), params.t_cost(), params.p_cost());
    algorithm == Algorithm::Argon2id && costs == (MEMORY_KIB, PASSES, LANES)
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHasher as _, PasswordVerifier};
    use futures::future::join_all;

    use super::*;

    fn password(text: &str) -> Password {
        Password::try_from(text.to_owned()).unwrap()
    }

    fn hash_with(algorithm: Algorithm, memory: u32, password: &str) -> String {
        let argon2 = Argon2::new(algorithm, Version::V0x13, Params::new(memory, PASSES, LANES, None).unwrap());
        argon2.hash_password(password.as_bytes()).unwrap().to_string()
    }

    #[test]
    fn hash_contains_parameters_and_a_random_salt() {
        let memory = &mut WorkingMemory::new();
        let (one, other) = (hash(memory, "correct horse").unwrap(), hash(memory, "correct horse").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, other);
        assert!(one.len() <= 200);
        assert_eq!(verify(memory, "correct horse", &one).unwrap(), PasswordCheck::Correct);
        assert_eq!(verify(memory, "correct horsE", &one).unwrap(), PasswordCheck::Wrong);
    }

    #[test]
    fn reused_memory_does_not_change_the_hash() {
        let memory = &mut WorkingMemory::new();
        for size in [8_192, MEMORY_KIB + 8, 8_192] {
            let new = hash(memory, "correct horse").unwrap();
            Argon2::default().verify_password(b"correct horse", new.as_str()).unwrap();
            let other = hash_with(Algorithm::Argon2id, size, "secret");
            assert_eq!(verify(memory, "secret", &other).unwrap(), PasswordCheck::CorrectNeedsRehash);
            assert_eq!(verify(memory, "correct horse", &new).unwrap(), PasswordCheck::Correct);
        }
    }

    #[test]
    fn hash_with_other_parameters_needs_a_rehash() {
        for hash in
            [hash_with(Algorithm::Argon2id, 8_192, "secret"), hash_with(Algorithm::Argon2i, MEMORY_KIB, "secret")]
        {
            let memory = &mut WorkingMemory::new();
            assert_eq!(verify(memory, "secret", &hash).unwrap(), PasswordCheck::CorrectNeedsRehash, "{hash}");
            assert_eq!(verify(memory, "other", &hash).unwrap(), PasswordCheck::Wrong, "{hash}");
        }
    }

    #[test]
    fn malformed_hash_is_an_error() {
        let truncated = [
            "$argon2id$v=19$m=19456,t=2,p=1",
            "$argon2id$v=19$m=19456,t=2,p=1$",
            DUMMY_HASH.rsplit_once('$').unwrap().0,
        ];
        for malformed in ["", "x", "$2b$12$abcdefghijklmnopqrstuv"].into_iter().chain(truncated) {
            assert!(verify(&mut WorkingMemory::new(), "secret", malformed).is_err(), "{malformed}");
        }
    }

    #[test]
    fn dummy_hash_has_current_parameters() {
        assert_eq!(
            verify(&mut WorkingMemory::new(), "no account has this password", DUMMY_HASH).unwrap(),
            PasswordCheck::Correct
        );
    }

    #[tokio::test]
    async fn no_password_matches_an_unknown_account() {
        let passwords = PasswordHasher::new();
        let check =
            async |text| passwords.verify(passwords.acquire().await.unwrap(), &password(text), None).await.unwrap().0;
        for text in ["no account has this password", "x", "e\u{301}"] {
            assert_eq!(check(text).await, PasswordCheck::Wrong);
        }
    }

    fn permit_count() -> usize {
        (available_parallelism().map_or(1, usize::from) / 2).clamp(1, 4)
    }

    #[tokio::test]
    async fn working_memory_is_bounded_by_the_number_of_permits() {
        let passwords = &PasswordHasher { max_wait: Duration::from_secs(60), ..PasswordHasher::new() };
        join_all((0..16).map(async |_| {
            passwords.verify(passwords.acquire().await.unwrap(), &password("x"), None).await.unwrap().0
        }))
        .await;
        let held: Vec<_> = passwords.free_memory.lock().iter().map(Vec::len).collect();
        assert!((1..=permit_count()).contains(&held.len()), "{held:?}");
        assert!(held.iter().all(|blocks| *blocks == MEMORY_KIB as usize), "{held:?}");
    }

    #[tokio::test]
    async fn acquire_times_out_when_all_permits_are_taken() {
        let passwords = PasswordHasher { max_wait: Duration::from_millis(20), ..PasswordHasher::new() };
        let mut taken = Vec::new();
        while let Ok(permit) = passwords.acquire().await {
            taken.push(permit);
        }
        assert_eq!(taken.len(), permit_count());
        assert!(matches!(passwords.acquire().await, Err(HashingError::Busy)));
        taken.pop();
        assert!(passwords.acquire().await.is_ok());
    }
}
