//! Logins, and password changes by the account owner.
//!
//! Both verify passwords with [`Login::verify_password`], so that both are throttled. A failed login takes the same
//! time whether or not the user account exists.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common_contract::{Failure, Role, Username};
use common_server::OPERATION_LIMIT;
use common_server::auth::{SecretDigest, TOKEN_LIFETIME_SECONDS, Tokens, Viewer};
use customers_api::{Credentials, NewPassword, Password, PasswordChange, Token};
use db::{Connection, Db, DbError, END_LIMIT, RUN_LIMIT};

use super::error::CustomersError;
use super::passwords::{HashingPermit, PERMIT_MAX_WAIT, PasswordCheck, PasswordHasher};
use super::throttle::{LoginAttempt, Throttle};
use crate::store::accounts::{self as store, AccountChanges, LoginRecord};

/// Credentials of the bootstrap admin.
///
/// If there is no active admin, a login with these credentials creates or reactivates the account as an admin. This
/// happens at the first login, and after all admins have been deactivated or demoted in the database.
pub(crate) struct Bootstrap {
    pub(crate) username: Username,
    pub(crate) password: SecretDigest,
}

impl Bootstrap {
    /// Creates or reactivates the bootstrap admin and returns its stored username. Returns `None` if there is already
    /// an active admin.
    async fn activate_admin(&self, connection: &mut Connection, hash: &str) -> Result<Option<String>, DbError> {
        if !store::lock_active_admins(connection).await?.is_empty() {
            return Ok(None);
        }
        match store::find_login(connection, &self.username.key()).await? {
            Some(account) => {
                let changes = AccountChanges { password_hash: Some(hash), role: Some(Role::Admin), active: Some(true) };
                store::update(connection, account.id, changes).await?;
                Ok(Some(account.username))
            }
            None => {
                store::insert(connection, &self.username, hash, Role::Admin).await?;
                Ok(Some(self.username.as_str().to_owned()))
            }
        }
    }
}

/// Time limit of an operation: one deadline for all uses of the database, and at most two hashing permits.
const LIMIT: Duration =
    RUN_LIMIT.saturating_add(END_LIMIT).saturating_add(PERMIT_MAX_WAIT).saturating_add(PERMIT_MAX_WAIT);
const _: () = assert!(LIMIT.as_millis() <= OPERATION_LIMIT.as_millis());

/// Exchanges passwords for tokens.
pub(crate) struct Login {
    pub(crate) db: Db,
    pub(crate) bootstrap: Bootstrap,
    pub(crate) passwords: Arc<PasswordHasher>,
    pub(crate) throttle: Throttle,
}

impl Login {
    /// Returns a token for a correct username and password.
    pub(crate) async fn token(
        &self,
        credentials: &Credentials,
        from: IpAddr,
        tokens: &Tokens,
    ) -> Result<Token, Failure> {
        let (username, role) = self.log_in(credentials, from).await?;
        let token = tokens.issue(&username, role)?;
        Ok(Token {
            access_token: token.clone(),
            token,
            token_type: "Bearer".to_owned(),
            expires_in: TOKEN_LIFETIME_SECONDS,
        })
    }

    /// Replaces the caller's password.
    pub(crate) async fn change_password(
        &self,
        viewer: &Viewer,
        from: IpAddr,
        change: &PasswordChange,
    ) -> Result<(), CustomersError> {
        let PasswordChange { current_password, new_password } = change;
        reject_username_as_password(new_password, viewer.name().as_str(), "new_password")?;
        let key = store::username_key(viewer.name().as_str());
        let attempt = LoginAttempt::new(&key, from);
        self.throttle.check(&attempt, Instant::now())?;
        let db = self.db.until(self.db.run_deadline());
        let account = db.run(async |connection| store::find_login(connection, &key).await).await?;
        let account = account.filter(|account| account.active).ok_or(CustomersError::NoLongerAllowed)?;
        if self.verify_password(&attempt, current_password, Some(&account)).await? == PasswordCheck::Wrong {
            return Err(CustomersError::WrongPassword);
        }
        let hash = self.passwords.hash(self.passwords.acquire().await?, new_password).await?;
        let changed: Result<bool, DbError> =
            db.transaction(async |connection| store::change_password(connection, &account, &hash).await).await;
        if changed? { Ok(()) } else { Err(CustomersError::WrongPassword) }
    }

    /// Checks the credentials and returns the stored username and the role.
    async fn log_in(&self, credentials: &Credentials, from: IpAddr) -> Result<(String, Role), CustomersError> {
        let (key, password) = (store::username_key(credentials.username.as_str()), &credentials.password);
        let attempt = LoginAttempt::new(&key, from);
        self.throttle.check(&attempt, Instant::now())?;
        let db = self.db.until(self.db.run_deadline());
        let (mut account, has_admin) = look_up(&db, &key).await?;
        if !has_admin && key == self.bootstrap.username.key() && self.bootstrap.password.matches(&password.normalized())
        {
            if let Some(username) = self.activate_admin(&db, &attempt, password).await? {
                return Ok((username, Role::Admin));
            }
            // Another replica activated an admin in the meantime.
            account = look_up(&db, &key).await?.0;
        }
        let check = self.verify_password(&attempt, password, account.as_ref()).await?;
        match account {
            Some(account) if check != PasswordCheck::Wrong => {
                if check == PasswordCheck::CorrectNeedsRehash {
                    self.rehash(&db, &account, password).await;
                }
                Ok((account.username, account.role))
            }
            _ => Err(CustomersError::LoginRefused),
        }
    }

    /// Verifies the password of an active account. The attempt counts as failed until the password is found correct.
    async fn verify_password(
        &self,
        attempt: &LoginAttempt,
        password: &Password,
        account: Option<&LoginRecord>,
    ) -> Result<PasswordCheck, CustomersError> {
        let permit = self.acquire_permit(attempt).await?;
        let hash = account.map(|account| account.password_hash.as_str());
        // Hold the permit until the success is recorded, so that the next attempt takes it into account.
        let (check, _permit) = self.passwords.verify(permit, password, hash).await?;
        if check != PasswordCheck::Wrong && account.is_some_and(|account| account.active) {
            self.throttle.record_success(attempt, Instant::now());
            Ok(check)
        } else {
            Ok(PasswordCheck::Wrong)
        }
    }

    /// Waits for a hashing permit, then admits the attempt: checks the throttle again, because other attempts may have
    /// failed during the wait, and counts the attempt as failed.
    async fn acquire_permit(&self, attempt: &LoginAttempt) -> Result<HashingPermit, CustomersError> {
        let permit = self.passwords.acquire().await?;
        self.throttle.admit(attempt, Instant::now())?;
        Ok(permit)
    }

    /// Activates the bootstrap admin and returns its stored username, or `None` if another replica was faster.
    async fn activate_admin(
        &self,
        db: &Db,
        attempt: &LoginAttempt,
        password: &Password,
    ) -> Result<Option<String>, CustomersError> {
        let hash = self.passwords.hash(self.acquire_permit(attempt).await?, password).await?;
        self.throttle.record_success(attempt, Instant::now());
        let activated = db.transaction(async |connection| self.bootstrap.activate_admin(connection, &hash).await).await;
        match activated {
            Err(error) if error.is_unique(store::UNIQUE_USERNAME) => Ok(None),
            Err(error) => Err(error.into()),
            Ok(username) => {
                if username.is_some() {
                    tracing::info!("bootstrap admin activated because no active admin existed");
                }
                Ok(username)
            }
        }
    }

    /// Hashes the password again, normalised and with the current parameters. A failure is logged and does not fail the
    /// login.
    async fn rehash(&self, db: &Db, account: &LoginRecord, password: &Password) {
        let rehashed = async {
            let hash = self.passwords.hash(self.passwords.acquire().await?, password).await?;
            let replace = async |connection: &mut Connection| store::replace_hash(connection, account, &hash).await;
            Ok::<_, CustomersError>(db.run(replace).await?)
        };
        if let Err(error) = rehashed.await {
            tracing::warn!(%error, "password rehash failed");
        }
    }
}

/// Returns the account, and whether there is an active admin. Always runs both queries, so that the response time does
/// not reveal the result.
async fn look_up(db: &Db, key: &str) -> Result<(Option<LoginRecord>, bool), DbError> {
    let queries = async |connection: &mut Connection| {
        Ok((store::find_login(connection, key).await?, store::has_active_admin(connection).await?))
    };
    db.run(queries).await
}

/// Rejects a password that equals the username, because it is the first guess of an attacker.
pub(super) fn reject_username_as_password(
    password: &NewPassword,
    username: &str,
    field: &'static str,
) -> Result<(), CustomersError> {
    if password.normalized().eq_ignore_ascii_case(username) {
        return Err(CustomersError::Invalid { field, problem: "must differ from the username" });
    }
    Ok(())
}
