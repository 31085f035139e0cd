//! The workload identity of a run on HCP Terraform (Terraform Cloud) or Terraform Enterprise.
//!
//! The token comes at the start of each phase of a run, in
//! `TFC_WORKLOAD_IDENTITY_TOKEN`, or with a tag of the workspace's choosing at
//! the end of that name (HashiCorp, "Manually generate workload identity tokens").

use super::super::Environment;
use super::super::error::FetchError;
use super::origin::Origin;
use super::variable::VariableAssertion;

/// The token of the run, or the one with this tag.
pub(super) fn terraform(
    tag: Option<&str>,
    env: &Environment,
) -> Result<VariableAssertion, FetchError> {
    let variable = tagged(TOKEN, tag);
    let origin = Origin::new(format!("HCP Terraform's {variable}"), RENEW, CHECK);
    VariableAssertion::with(&variable, env, origin, ABSENT).present()
}

/// A variable's name, with the tag at its end if there is one.
pub(super) fn tagged(name: &str, tag: Option<&str>) -> String {
    match tag.filter(|tag| !tag.is_empty()) {
        Some(tag) => format!("{name}_{tag}"),
        None => name.to_owned(),
    }
}

pub(super) const TOKEN: &str = "TFC_WORKLOAD_IDENTITY_TOKEN";

/// Where a workspace says as which application its runs sign in.
pub(super) const CLIENT_ID: &str = "TFC_AZURE_RUN_CLIENT_ID";

/// Where Terraform's Azure providers look for the tenant.
pub(super) const TENANT_ID: &str = "ARM_TENANT_ID";

const RENEW: &str = "HCP Terraform gives one token for each phase of a run, and it cannot be \
                     renewed in the phase: connect earlier in it";

const CHECK: &str = "HCP Terraform sets it; nothing else should";

const ABSENT: &str = "set TFC_WORKLOAD_IDENTITY_AUDIENCE (with the same tag at its end, if any) \
                      to api://AzureADTokenExchange in the workspace";
