//! The ID token of a GitLab job.
//!
//! A job asks for it in `.gitlab-ci.yml`, by
//! `id_tokens: { NAME: { aud: "api://AzureADTokenExchange" } }`, and finds it in
//! the variable `NAME` (docs.gitlab.com, "OpenID Connect ID token authentication").

use super::super::Environment;
use super::super::error::FetchError;
use super::origin::Origin;
use super::variable::VariableAssertion;

/// The token in this variable.
pub(super) fn gitlab(variable: &str, env: &Environment) -> Result<VariableAssertion, FetchError> {
    let origin = Origin::new(format!("GitLab's ID token in {variable}"), RENEW, CHECK);
    VariableAssertion::with(variable, env, origin, ABSENT).present()
}

const RENEW: &str = "GitLab gives a job its ID token once, and it cannot be renewed in the job: \
                     connect earlier in the job, or raise the job's timeout, which the token's \
                     end follows";

const CHECK: &str = "give the variable's own name, which is the key below `id_tokens`";

const ABSENT: &str = "add `id_tokens:` with this name and `aud: api://AzureADTokenExchange` to \
                      the job";
