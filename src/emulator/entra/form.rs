//! The form of a token request.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, header};

use super::refusal::Refusal;

const MAX_FORM: usize = 256 * 1024;
/// How long a client may take to send it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Fields by name; the values are secrets in part and shown nowhere.
pub(super) struct Form {
    fields: Vec<(String, String)>,
}

impl Form {
    pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Self, Refusal> {
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|v| v.to_str().ok()).unwrap_or_default();
        let is_form = kind
            .split(';')
            .next()
            .is_some_and(|kind| kind.trim() == "application/x-www-form-urlencoded");
        if !is_form {
            // What is not a form has no fields, and this is the first that is missed.
            return Err(missing("grant_type"));
        }
        let body = tokio::time::timeout(PATIENCE, to_bytes(body, MAX_FORM)).await;
        let Ok(Ok(body)) = body else {
            return Err(Refusal::new(90013, "Invalid input received from the user."));
        };
        let fields = url::form_urlencoded::parse(&body).into_owned().collect();
        let form = Self { fields };
        match form.doubled() {
            Some(name) => Err(Refusal::new(
                90013,
                format!("Invalid input received from the user: '{name}' is given twice."),
            )),
            None => Ok(form),
        }
    }

    /// The value unless it is missing or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.fields.iter();
        let found = all.find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|v| !v.is_empty())
    }

    pub(super) fn required(&self, name: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| missing(name))
    }

    fn doubled(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let doubled = names.windows(2).find(|pair| pair.first() == pair.last());
        doubled.and_then(|pair| pair.first().copied())
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::new(
        900_144,
        format!("The request body must contain the following parameter: '{name}'."),
    )
}
