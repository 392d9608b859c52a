//! Logging in, and changing one's own password: whoever knows an operator's password gets a token of the operator's role.
//!
//! Everything that is compared passes [`Login::judge`], so that it is throttled alike and takes the same time whether there
//! is such an operator or not.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use common_contract::{Failure, Role, Username};
use common_server::auth::{SecretDigest, TOKEN_SECONDS, Tokens, Viewer};
use customers_api::{Credentials, NewPassword, PasswordChange, Token};
use db::{Connection, Db, DbError};

use super::error::CustomersError;
use super::passwords::{Passwords, Turn, Verdict};
use super::throttle::{Guess, Throttle};
use crate::store::operators::{self as store, Changes, Known};

/// Who becomes an admin where there is none: the first, and one for whoever locked all admins out by hand.
pub(crate) struct Bootstrap {
    pub(crate) username: Username,
    pub(crate) password: SecretDigest,
}

impl Bootstrap {
    async fn make_admin(&self, connection: &mut Connection, hash: &str) -> Result<Option<String>, DbError> {
        if !store::lock_active_admins(connection).await?.is_empty() {
            return Ok(None);
        }
        match store::find_known(connection, &self.username.key()).await? {
            Some(known) => {
                let changes = Changes { password_hash: Some(hash), role: Some(Role::Admin), active: Some(true) };
                store::update(connection, known.id, changes).await?;
                Ok(Some(known.username))
            }
            None => {
                store::insert(connection, &self.username, hash, Role::Admin).await?;
                Ok(Some(self.username.as_str().to_owned()))
            }
        }
    }
}

/// Exchanges passwords for tokens.
pub(crate) struct Login {
    pub(crate) db: Db,
    pub(crate) bootstrap: Bootstrap,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) throttle: Throttle,
}

impl Login {
    /// A token for the right name and password.
    pub(crate) async fn token(&self, given: &Credentials, from: IpAddr, tokens: &Tokens) -> Result<Token, Failure> {
        let (username, role) = self.log_in(given, from).await?;
        let token = tokens.issue(&username, role)?;
        Ok(Token { access_token: token.clone(), token, token_type: "Bearer".to_owned(), expires_in: TOKEN_SECONDS })
    }

    /// Replaces one's own password.
    pub(crate) async fn change_password(
        &self,
        viewer: &Viewer,
        from: IpAddr,
        change: &PasswordChange,
    ) -> Result<(), CustomersError> {
        let PasswordChange { current_password, new_password } = change;
        not_the_name(new_password, viewer.name().as_str(), "new_password")?;
        let key = store::key(viewer.name().as_str());
        let guess = Guess::new(&key, from);
        self.throttle.check(&guess, Instant::now())?;
        let known = self.db.run(async |connection| store::find_known(connection, &key).await).await?;
        let known = known.filter(|known| known.active).ok_or(CustomersError::NoLongerAllowed)?;
        if self.judge(&guess, current_password.as_str(), Some(&known)).await? == Verdict::Wrong {
            return Err(CustomersError::WrongPassword);
        }
        let hash = self.passwords.hash(self.passwords.turn().await?, new_password.as_str()).await?;
        let changed: Result<bool, DbError> =
            self.db.transaction(async |connection| store::change_password(connection, &known, &hash).await).await;
        if changed? { Ok(()) } else { Err(CustomersError::WrongPassword) }
    }

    /// The name as it is kept, and the role.
    async fn log_in(&self, given: &Credentials, from: IpAddr) -> Result<(String, Role), CustomersError> {
        let (key, password) = (store::key(given.username.as_str()), given.password.as_str());
        let guess = Guess::new(&key, from);
        self.throttle.check(&guess, Instant::now())?;
        let (mut known, has_admin) = self.look_up(&key).await?;
        if !has_admin && key == self.bootstrap.username.key() && self.bootstrap.password.matches(password) {
            if let Some(username) = self.make_admin(&guess, password).await? {
                return Ok((username, Role::Admin));
            }
            // Another replica was faster: there is an admin now.
            known = self.look_up(&key).await?.0;
        }
        let verdict = self.judge(&guess, password, known.as_ref()).await?;
        match known {
            Some(known) if verdict != Verdict::Wrong => {
                if verdict == Verdict::RightButOutdated {
                    self.renew(&known, password).await;
                }
                Ok((known.username, known.role))
            }
            _ => Err(CustomersError::LoginRefused),
        }
    }

    /// Both are always looked for, so that the time taken tells nothing.
    async fn look_up(&self, key: &str) -> Result<(Option<Known>, bool), DbError> {
        let found = async |connection: &mut Connection| {
            Ok((store::find_known(connection, key).await?, store::has_active_admin(connection).await?))
        };
        self.db.run(found).await
    }

    /// Whether the password is that of an operator who is active. It counts as wrong until it is found to be right.
    async fn judge(&self, guess: &Guess, password: &str, known: Option<&Known>) -> Result<Verdict, CustomersError> {
        let turn = self.turn(guess).await?;
        let hash = known.map(|known| known.password_hash.as_str());
        let (verdict, _until_it_is_counted) = self.passwords.verify(turn, password, hash).await?;
        if verdict != Verdict::Wrong && known.is_some_and(|known| known.active) {
            self.throttle.succeeded(guess, Instant::now());
            Ok(verdict)
        } else {
            Ok(Verdict::Wrong)
        }
    }

    /// The throttle, which was asked before, is asked again after the wait: of a thousand guesses at once, most wait while the
    /// first few fail.
    async fn turn(&self, guess: &Guess) -> Result<Turn, CustomersError> {
        let turn = self.passwords.turn().await?;
        self.throttle.begin(guess, Instant::now())?;
        Ok(turn)
    }

    /// Makes the operator of the settings an active admin with the password of the settings, and gives the name as it is kept.
    /// None where another replica did so at the same moment.
    async fn make_admin(&self, guess: &Guess, password: &str) -> Result<Option<String>, CustomersError> {
        let hash = self.passwords.hash(self.turn(guess).await?, password).await?;
        self.throttle.succeeded(guess, Instant::now());
        let made = self.db.transaction(async |connection| self.bootstrap.make_admin(connection, &hash).await).await;
        match made {
            Err(error) if error.is_unique(store::UNIQUE_USERNAME) => Ok(None),
            Err(error) => Err(error.into()),
            Ok(made) => {
                if made.is_some() {
                    tracing::info!("the operator of the settings is an active admin now, as there was none");
                }
                Ok(made)
            }
        }
    }

    /// Keeps the password under today's parameters. Whoever logs in is not made to wait or fail for it longer than that.
    async fn renew(&self, known: &Known, password: &str) {
        let renewed = async {
            let hash = self.passwords.hash(self.passwords.turn().await?, password).await?;
            let renew = async |connection: &mut Connection| store::renew_hash(connection, known, &hash).await;
            Ok::<_, CustomersError>(self.db.run(renew).await?)
        };
        if let Err(error) = renewed.await {
            tracing::warn!(%error, "a password's hash was not renewed");
        }
    }
}

/// A password that is the operator's own name is the first that anyone tries.
pub(super) fn not_the_name(password: &NewPassword, username: &str, field: &'static str) -> Result<(), CustomersError> {
    if password.as_str().eq_ignore_ascii_case(username) {
        return Err(CustomersError::Invalid { field, problem: "expected anything but the operator's name" });
    }
    Ok(())
}
