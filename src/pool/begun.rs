//! A pool around a session that somebody else has opened.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::manager::{Era, Open, Opened};
use super::{Pool, PoolError};
use crate::dial::{DialError, Dialer};
use crate::session::Session;

/// Gives a session that is open already, and dials when it is gone.
#[derive(Debug)]
struct Begun {
    session: Mutex<Option<Session>>,
    dialer: Dialer,
}

#[async_trait]
impl Open for Begun {
    async fn open(&self) -> Result<Opened, DialError> {
        let begun = {
            let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
            session.take()
        };
        match begun {
            Some(session) => Ok(Opened {
                session,
                era: Era::default(),
            }),
            None => self.dialer.open().await,
        }
    }
}

impl Pool {
    /// A pool of one session, which is open already; `dialer` is what opened it.
    pub(crate) fn begun(session: Session, dialer: Dialer) -> Result<Self, PoolError> {
        let builder = Self::builder(dialer.target().clone())
            .max_size(1)
            .min_idle(0);
        let inner = builder.build_with(Arc::new(Begun {
            session: Mutex::new(Some(session)),
            dialer,
        }))?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}
