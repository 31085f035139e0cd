//! What a token is asked for.

use super::refusal::Refusal;
use crate::emulator::identity::Identity;

const SUFFIX: &str = "/.default";

/// The resource of the scope, in the form that the scope has: everything before `/.default`, so that
/// a doubled slash there leaves one at the end.
pub(super) fn resource<'a>(scope: &'a str, identity: &Identity) -> Result<&'a str, Refusal> {
    let mut scopes = scope.split_ascii_whitespace();
    let (Some(first), second) = (scopes.next(), scopes.next()) else {
        return Err(invalid(scope));
    };
    let Some(resource) = first.strip_suffix(SUFFIX).filter(|r| !r.is_empty()) else {
        return Err(invalid(scope));
    };
    if second.is_some() {
        return Err(Refusal::new(
            70011,
            format!(
                "The provided request must include a 'scope' input parameter. The provided value for \
                 the input parameter 'scope' is not valid. The scope {scope} is not valid: \
                 .default scope can't be combined with resource-specific scopes."
            ),
        ));
    }
    if !identity.knows_resource(resource) {
        return Err(Refusal::new(
            500_011,
            format!(
                "The resource principal named {resource} was not found in the tenant named {}. This \
                 can happen if the application has not been installed by the administrator of the \
                 tenant or consented to by any user in the tenant. You might have sent your \
                 authentication request to the wrong tenant.",
                identity.tenant_id()
            ),
        ));
    }
    Ok(resource)
}

fn invalid(scope: &str) -> Refusal {
    Refusal::new(
        70011,
        format!(
            "The provided request must include a 'scope' input parameter. The provided value for the \
             input parameter 'scope' is not valid. The scope {scope} is not valid."
        ),
    )
}
