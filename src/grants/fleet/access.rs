//! Ways into many databases, with what they can share.

use std::sync::Arc;

use crate::key_vault::KeyVault;
use crate::pool::{Pool, PoolError, PooledClient};
use crate::target::Target;
use crate::token::{Sources, TokenCache};

/// Finds the way into databases. All of them share tokens and vaults: a hundred
/// databases that one identity logs in to cost one token.
///
/// Clones are one.
#[derive(Clone, Debug)]
pub struct Access {
    sources: Sources,
    vaults: KeyVault,
    tokens: TokenCache,
}

/// The way into one database: one session at a time.
#[derive(Clone, Debug)]
pub struct Door {
    target: Arc<Target>,
    pool: Pool,
}

impl Access {
    /// By these sources of tokens.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        Self {
            vaults: KeyVault::new(sources.clone()),
            tokens: TokenCache::new(),
            sources,
        }
    }

    /// What [`Door::place`] will say; `None` for a string with Key Vault references,
    /// which means nothing before the vault was asked.
    #[must_use]
    pub fn place(connection: &str) -> Option<String> {
        let target = Target::parse(connection).ok()?;
        Some(place(&target))
    }

    /// Reads a connection string, with the secrets in the places of its Key Vault
    /// references. No server is asked.
    ///
    /// # Errors
    /// [`PoolError::Target`] for a string without a usable meaning,
    /// [`PoolError::KeyVault`] for a reference that gave no secret,
    /// [`PoolError::Token`] if nobody can have a token for it.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing but the request to a vault.
    pub async fn find(&self, connection: &str) -> Result<Door, PoolError> {
        let resolved = self.vaults.resolve(connection).await?;
        let target = resolved.target();
        let pool = Pool::following(resolved)
            .max_size(1)
            .min_idle(0)
            .sources(self.sources.clone())
            .token_cache(self.tokens.clone())
            .build()?;
        Ok(Door { target, pool })
    }
}

impl Door {
    /// The server and the database, as in `host,1433/orders`.
    #[must_use]
    pub fn place(&self) -> String {
        place(&self.target)
    }

    /// Whether the string says which database it is. At Azure SQL it is `master`
    /// otherwise, which is hardly what was meant.
    #[must_use]
    pub fn names_database(&self) -> bool {
        self.target.database.is_some()
    }

    /// Logs in.
    ///
    /// # Errors
    /// Whatever [`Pool::get`] reports.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing but the login.
    pub async fn enter(&self) -> Result<PooledClient, PoolError> {
        self.pool.get().await
    }
}

fn place(target: &Target) -> String {
    // The login's own default is as good as a name.
    let database = target.database.as_deref().unwrap_or_default();
    format!("{}/{database}", target.server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_with_references_has_no_place_yet() {
        let vault = "@Microsoft.KeyVault(VaultName=kv1;SecretName=s)";
        let told = "Server=tcp:h,1433;Database=d;Authentication=ActiveDirectoryManagedIdentity";
        assert_eq!(Access::place(told).as_deref(), Some("h,1433/d"));
        let held = [
            vault.to_owned(),
            format!("Server=tcp:h,1433;Database=d;User ID=u;Password=\"{vault}\""),
            format!("Server=\"{vault}\";Database=d;User ID=u;Password=p"),
            format!("Server=tcp:h,1433;Database=\"{vault}\";User ID=u;Password=p"),
        ];
        for text in held {
            assert_eq!(Access::place(&text), None, "{text}");
        }
    }
}
