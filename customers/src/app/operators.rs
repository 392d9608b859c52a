//! What an admin may do to operators. A token says what its bearer was when it was issued; here the table is asked whether
//! they still are.

use std::sync::Arc;

use common_contract::{Failure, IfMatch, OperatorId, Page, Role};
use common_server::CursorKey;
use common_server::auth::Admin;
use customers_api::{NewOperator, NewPassword, OperatorAccount, OperatorListQuery, OperatorPatch};
use db::{Connection, Db, DbError};

use super::error::CustomersError;
use super::login::not_the_name;
use super::passwords::Passwords;
use crate::store::operators::{self as store, Changes};

const LIST: &str = "operators";

/// The operators.
pub(crate) struct Operators {
    pub(crate) db: Db,
    pub(crate) cursors: CursorKey,
    pub(crate) passwords: Arc<Passwords>,
}

impl Operators {
    pub(crate) async fn create(&self, admin: &Admin, new: &NewOperator) -> Result<OperatorAccount, CustomersError> {
        let NewOperator { username, password, role } = new;
        not_the_name(password, username.as_str(), "password")?;
        let hash = self.hash(admin, password).await?;
        self.db
            .transaction(async |connection| {
                still_admin(connection, admin).await?;
                let id = store::insert(connection, username, &hash, *role).await.map_err(username_taken)?;
                view(connection, id).await
            })
            .await
    }

    pub(crate) async fn view(&self, admin: &Admin, id: OperatorId) -> Result<OperatorAccount, CustomersError> {
        let key = key(admin);
        let found = self.db.run(async |connection| {
            Ok((store::is_active_admin(connection, &key).await?, store::find(connection, id).await?))
        });
        match found.await? {
            (false, _) => Err(CustomersError::NoLongerAllowed),
            (true, operator) => operator.ok_or(CustomersError::OperatorNotFound(id)),
        }
    }

    pub(crate) async fn list(
        &self,
        admin: &Admin,
        query: &OperatorListQuery,
    ) -> Result<Page<OperatorAccount>, Failure> {
        let before = self.cursors.open_below(LIST, b"", query.cursor.as_ref())?;
        let (key, limit) = (key(admin), query.limit.unwrap_or_default());
        let found = self.db.run(async |connection| {
            Ok((
                store::is_active_admin(connection, &key).await?,
                store::page(connection, before, limit.get() + 1).await?,
            ))
        });
        match found.await.map_err(CustomersError::from)? {
            (false, _) => Err(CustomersError::NoLongerAllowed.into()),
            (true, rows) => Ok(Page::cut(rows, limit, |last| self.cursors.seal_below(LIST, b"", last.id.get()))),
        }
    }

    /// Changes what is given, which may be nothing. All active admins are locked first: of two who take each other's role at
    /// once, the second is none any more.
    pub(crate) async fn update(
        &self,
        admin: &Admin,
        id: OperatorId,
        if_match: Option<&IfMatch>,
        patch: &OperatorPatch,
    ) -> Result<OperatorAccount, CustomersError> {
        let hash = match &patch.password {
            Some(password) => Some(self.hash(admin, password).await?),
            None => None,
        };
        self.db
            .transaction(async |connection| {
                let admins = store::lock_active_admins(connection).await?;
                if !admins.iter().any(|(_, admins_key)| *admins_key == key(admin)) {
                    return Err(CustomersError::NoLongerAllowed);
                }
                let seen = store::lock(connection, id).await?.ok_or(CustomersError::OperatorNotFound(id))?;
                check(&seen, if_match, patch)?;
                let OperatorPatch { role, active, .. } = *patch;
                if hash.is_none() && role.is_none() && active.is_none() {
                    return Ok(seen);
                }
                let stays = role.unwrap_or(seen.role) == Role::Admin && active.unwrap_or(seen.active);
                if !stays && admins.iter().all(|(admin, _)| *admin == id) {
                    return Err(CustomersError::LastAdmin);
                }
                store::update(connection, id, Changes { password_hash: hash.as_deref(), role, active }).await?;
                view(connection, id).await
            })
            .await
    }

    /// Only for who still is an admin: hashing takes a turn from whoever logs in. The change itself asks again.
    async fn hash(&self, admin: &Admin, password: &NewPassword) -> Result<String, CustomersError> {
        self.db.run(async |connection| Ok(still_admin(connection, admin).await)).await??;
        Ok(self.passwords.hash(self.passwords.turn().await?, password.as_str()).await?)
    }
}

fn check(seen: &OperatorAccount, if_match: Option<&IfMatch>, patch: &OperatorPatch) -> Result<(), CustomersError> {
    if if_match.is_some_and(|wanted| !wanted.allows(seen.version)) {
        return Err(CustomersError::VersionChanged { current: seen.version });
    }
    match &patch.password {
        Some(password) => not_the_name(password, &seen.username, "password"),
        None => Ok(()),
    }
}

async fn still_admin(connection: &mut Connection, admin: &Admin) -> Result<(), CustomersError> {
    if store::is_active_admin(connection, &key(admin)).await? { Ok(()) } else { Err(CustomersError::NoLongerAllowed) }
}

async fn view(connection: &mut Connection, id: OperatorId) -> Result<OperatorAccount, CustomersError> {
    store::find(connection, id).await?.ok_or(CustomersError::OperatorNotFound(id))
}

/// The admin's name as the table looks it up.
fn key(admin: &Admin) -> String {
    store::key(admin.name().as_str())
}

fn username_taken(error: DbError) -> CustomersError {
    if error.is_unique(store::UNIQUE_USERNAME) { CustomersError::UsernameTaken } else { error.into() }
}
