//! Access tokens: where they come from, and how they are kept fresh.
//!
//! A [`TokenSource`] asks an endpoint. A [`TokenCache`] keeps what sources give,
//! in memory only, and refreshes it ahead of time. [`source_for`] turns what a
//! connection string says into a source.
//!
//! ```
//! use entrada::Secret;
//! use entrada::target::{Auth, Cloud};
//! use entrada::token::{Environment, TokenCache, source_for};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let auth = Auth::AccessToken(Secret::new("eyJ..."));
//! let source = source_for(&auth, &Cloud::Public, &Environment::from_process())?;
//! let slot = TokenCache::new().slot(source, Cloud::Public);
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let token = slot.get().await?;
//! assert_eq!(token.secret().expose(), "eyJ...");
//! # Ok(()) })
//! # }
//! ```

mod access_token;
mod cache;
mod callback;
mod claims;
mod environment;
mod error;
mod fetch;
mod fixed;
mod refresh;
mod schedule;
mod slot;
mod source;

use std::sync::Arc;

pub use access_token::AccessToken;
pub use cache::TokenCache;
pub use callback::CallbackToken;
pub use claims::Claims;
pub use environment::Environment;
pub use error::{Attempt, FetchError, NoIdentity, Reply, TokenError};
pub use fixed::FixedToken;
pub use schedule::{MIN_REMAINING, REFRESH_MARGIN, RETRY_CEILING, RETRY_FLOOR};
pub use slot::TokenSlot;
pub use source::{Resource, SourceKey, TokenSource};

use crate::target::{Auth, Cloud};

/// The source that an authentication method asks for.
///
/// `env` tells which platform this is; the cloud tells which authority is asked
/// by the methods that sign in at Entra. No request is made here.
///
/// # Errors
/// [`TokenError::Unsupported`] for a method that there is no source for, with
/// what to use instead.
pub fn source_for(
    auth: &Auth,
    _cloud: &Cloud,
    _env: &Environment,
) -> Result<Arc<dyn TokenSource>, TokenError> {
    match auth {
        Auth::AccessToken(secret) => Ok(Arc::new(FixedToken::from_secret(secret.clone()))),
        other => Err(unsupported(other)),
    }
}

fn unsupported(auth: &Auth) -> TokenError {
    let instead = match auth {
        Auth::Callback => "give the target's TokenCache a CallbackToken as the source",
        Auth::SqlPassword { .. } => "a SQL login needs no token",
        _ => "use a managed identity, an access token or a callback",
    };
    TokenError::Unsupported {
        method: auth.name(),
        instead,
    }
}
