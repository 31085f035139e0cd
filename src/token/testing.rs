//! Doubles for this module's tests.

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::budget::Budget;
use super::error::FetchError;
use super::http::{HttpReply, HttpRequest, Transport, endpoint_name};

/// Answers requests from a script, and remembers them.
#[derive(Debug)]
pub(crate) struct ScriptedHttp {
    script: Mutex<VecDeque<Answer>>,
    seen: Mutex<Vec<(Instant, HttpRequest)>>,
    /// Its own, as tests must not wait for each other.
    budget: Budget,
}

/// One line of the script.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Reply {
        status: u16,
        body: String,
        retry_after: Option<u64>,
        headers: Vec<(&'static str, String)>,
    },
    Refused,
    TimedOut,
    TooLarge,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self::json(status, "{}")
    }

    pub(crate) fn json(status: u16, body: impl Into<String>) -> Self {
        Self::Reply {
            status,
            body: body.into(),
            retry_after: None,
            headers: Vec::new(),
        }
    }

    /// The same answer with one more header.
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Reply { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }

    pub(crate) fn retry_after(status: u16, seconds: u64) -> Self {
        Self::Reply {
            status,
            body: "{}".into(),
            retry_after: Some(seconds),
            headers: Vec::new(),
        }
    }

    /// A token as IMDS gives it, numbers as texts.
    pub(crate) fn token(token: &str, lifetime: u64) -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let expires_on = now + lifetime;
        Self::json(
            200,
            format!(
                r#"{{"access_token":"{token}","expires_in":"{lifetime}","expires_on":"{expires_on}"}}"#
            ),
        )
    }
}

impl ScriptedHttp {
    pub(crate) fn new(script: impl IntoIterator<Item = Answer>) -> Self {
        Self {
            script: Mutex::new(script.into_iter().collect()),
            seen: Mutex::default(),
            budget: Budget::default(),
        }
    }

    pub(crate) fn seen(&self) -> Vec<(Instant, HttpRequest)> {
        self.seen.lock().unwrap().clone()
    }
}

#[async_trait]
impl Transport for ScriptedHttp {
    fn budget(&self) -> &Budget {
        &self.budget
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpReply, FetchError> {
        let endpoint = endpoint_name(&request.url);
        let timeout = request.timeout;
        let proofs = request.proofs();
        self.seen.lock().unwrap().push((Instant::now(), request));
        let answer = self
            .script
            .lock()
            .unwrap()
            .pop_front()
            .expect("the script has ended");
        match answer {
            Answer::Reply {
                status,
                body,
                retry_after,
                headers,
            } => Ok(HttpReply {
                endpoint,
                status,
                retry_after: retry_after.map(Duration::from_secs),
                headers: headers
                    .into_iter()
                    .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                    .collect(),
                body: Zeroizing::new(body.into_bytes()),
                proofs,
            }),
            Answer::Refused => Err(FetchError::Connect {
                endpoint,
                advice: "",
                cause: io::Error::from(io::ErrorKind::ConnectionRefused).into(),
            }),
            Answer::TimedOut => Err(FetchError::Timeout {
                endpoint,
                after: timeout,
            }),
            Answer::TooLarge => Err(FetchError::TooLarge { endpoint, max: 1 }),
        }
    }
}

/// A folder with programs, for a `PATH`.
#[cfg(unix)]
#[derive(Debug)]
pub(super) struct TempPath(tempfile::TempDir);

#[cfg(unix)]
impl TempPath {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    /// Puts a script of `/bin/sh` there.
    pub(super) fn put(&self, name: &str, body: &str) {
        // Another process writes the file: while this one has it open, a program
        // that a test beside this one starts would inherit it, and a file that is
        // open for writing cannot be run.
        let text = format!("#!/bin/sh\n{body}\n");
        let write = r#"printf %s "$2" > "$1" && chmod 755 "$1""#;
        let mut shell = std::process::Command::new("/bin/sh");
        let shell = shell
            .args(["-c", write, "sh"])
            .arg(self.path().join(name))
            .arg(text);
        assert!(shell.status().unwrap().success());
    }

    /// An environment with this folder first, and what scripts need after it.
    pub(super) fn environment(&self) -> super::Environment {
        self.environment_with(&[])
    }

    pub(super) fn environment_with(&self, more: &[(&str, &str)]) -> super::Environment {
        let path = format!("{}:/usr/bin:/bin", self.path().display());
        let pairs = more.iter().copied().chain([("PATH", path.as_str())]);
        super::Environment::from_pairs(pairs)
    }
}

/// A reply as it would come from `http://h/p`.
pub(super) fn reply(status: u16, body: &str) -> HttpReply {
    HttpReply {
        headers: reqwest::header::HeaderMap::new(),
        endpoint: "http://h/p".into(),
        status,
        retry_after: None,
        body: Zeroizing::new(body.as_bytes().to_vec()),
        proofs: Vec::new(),
    }
}
