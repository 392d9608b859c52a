//! User account operations for admins.
//!
//! A token contains the role that the account had when the token was issued. Each operation therefore also checks in
//! the database that the caller is still an active admin.

use std::sync::Arc;

use common_contract::{Failure, IfMatch, OperatorId, Page, Role};
use common_server::CursorKey;
use common_server::auth::Admin;
use customers_api::{NewPassword, OperatorAccount, OperatorInput, OperatorListQuery, OperatorPatch};
use db::{Connection, Db, DbError};

use super::error::CustomersError;
use super::login::reject_username_as_password;
use super::passwords::PasswordHasher;
use crate::store::accounts::{self as store, AccountChanges};

/// Name of the list to which page tokens are bound.
const LIST: &str = "operators";

/// User account operations.
pub(crate) struct Accounts {
    pub(crate) db: Db,
    pub(crate) cursors: CursorKey,
    pub(crate) passwords: Arc<PasswordHasher>,
}

impl Accounts {
    pub(crate) async fn create(&self, admin: &Admin, new: &OperatorInput) -> Result<OperatorAccount, CustomersError> {
        let OperatorInput { username, password, role } = new;
        reject_username_as_password(password, username.as_str(), "password")?;
        let db = self.db.until(self.db.run_deadline());
        let hash = self.hash(&db, admin, password).await?;
        db.transaction(async |connection| {
            require_active_admin(connection, admin).await?;
            let id = store::insert(connection, username, &hash, *role).await.map_err(map_username_conflict)?;
            find(connection, id).await
        })
        .await
    }

    pub(crate) async fn view(&self, admin: &Admin, id: OperatorId) -> Result<OperatorAccount, CustomersError> {
        let key = admin_key(admin);
        let queries = self.db.run(async |connection| {
            Ok((store::is_active_admin(connection, &key).await?, store::find(connection, id).await?))
        });
        match queries.await? {
            (false, _) => Err(CustomersError::NoLongerAllowed),
            (true, account) => account.ok_or(CustomersError::AccountNotFound(id)),
        }
    }

    pub(crate) async fn list(
        &self,
        admin: &Admin,
        query: &OperatorListQuery,
    ) -> Result<Page<OperatorAccount>, Failure> {
        let before = self.cursors.decode_id_bound(LIST, b"", query.cursor.as_ref())?;
        let (key, limit) = (admin_key(admin), query.limit.unwrap_or_default());
        let queries = self.db.run(async |connection| {
            Ok((
                store::is_active_admin(connection, &key).await?,
                store::page(connection, before, limit.get() + 1).await?,
            ))
        });
        match queries.await.map_err(CustomersError::from)? {
            (false, _) => Err(CustomersError::NoLongerAllowed.into()),
            (true, rows) => Ok(Page::cut(rows, limit, |last| self.cursors.encode_id(LIST, b"", last.id.get()))),
        }
    }

    /// Applies the changes in `patch`, which may be empty.
    ///
    /// Locks all active admins first, so that if two admins demote each other concurrently, the second request is
    /// rejected.
    pub(crate) async fn update(
        &self,
        admin: &Admin,
        id: OperatorId,
        if_match: Option<&IfMatch>,
        patch: &OperatorPatch,
    ) -> Result<OperatorAccount, CustomersError> {
        let db = self.db.until(self.db.run_deadline());
        let hash = match &patch.password {
            Some(password) => Some(self.hash(&db, admin, password).await?),
            None => None,
        };
        db.transaction(async |connection| {
            let admins = store::lock_active_admins(connection).await?;
            if !admins.iter().any(|(_, admins_key)| *admins_key == admin_key(admin)) {
                return Err(CustomersError::NoLongerAllowed);
            }
            let current = store::lock(connection, id).await?.ok_or(CustomersError::AccountNotFound(id))?;
            validate_update(&current, if_match, patch)?;
            let OperatorPatch { role, active, .. } = *patch;
            if hash.is_none() && role.is_none() && active.is_none() {
                return Ok(current);
            }
            let remains_admin = role.unwrap_or(current.role) == Role::Admin && active.unwrap_or(current.active);
            if !remains_admin && admins.iter().all(|(admin, _)| *admin == id) {
                return Err(CustomersError::LastAdmin);
            }
            store::update(connection, id, AccountChanges { password_hash: hash.as_deref(), role, active }).await?;
            find(connection, id).await
        })
        .await
    }

    /// Hashes a password if the caller is still an admin, because a hash uses a permit that logins need. The
    /// transaction checks the caller again.
    async fn hash(&self, db: &Db, admin: &Admin, password: &NewPassword) -> Result<String, CustomersError> {
        db.run(async |connection| Ok(require_active_admin(connection, admin).await)).await??;
        Ok(self.passwords.hash(self.passwords.acquire().await?, password).await?)
    }
}

fn validate_update(
    current: &OperatorAccount,
    if_match: Option<&IfMatch>,
    patch: &OperatorPatch,
) -> Result<(), CustomersError> {
    if if_match.is_some_and(|condition| !condition.allows(current.version)) {
        return Err(CustomersError::VersionChanged { current: current.version });
    }
    match &patch.password {
        Some(password) => reject_username_as_password(password, &current.username, "password"),
        None => Ok(()),
    }
}

async fn require_active_admin(connection: &mut Connection, admin: &Admin) -> Result<(), CustomersError> {
    if store::is_active_admin(connection, &admin_key(admin)).await? {
        Ok(())
    } else {
        Err(CustomersError::NoLongerAllowed)
    }
}

async fn find(connection: &mut Connection, id: OperatorId) -> Result<OperatorAccount, CustomersError> {
    store::find(connection, id).await?.ok_or(CustomersError::AccountNotFound(id))
}

/// Returns the lookup key of the admin's username.
fn admin_key(admin: &Admin) -> String {
    store::username_key(admin.name().as_str())
}

fn map_username_conflict(error: DbError) -> CustomersError {
    if error.is_unique(store::UNIQUE_USERNAME) { CustomersError::UsernameTaken } else { error.into() }
}
