//! The identity that AKS gives to pods, by the token of their service account.

use std::path::Path;
use std::sync::Arc;

use super::super::Sources;
use super::super::error::FetchError;
use super::file::FileAssertion;
use super::origin::Origin;
use super::token_proxy::{self, TokenProxy};
use super::{AssertionError, AssertionSource};

/// What a connection says of the identity; what is `None` the webhook's variables say.
pub(super) struct Workload<'a> {
    pub(super) client_id: Option<&'a str>,
    pub(super) tenant: Option<&'a str>,
    pub(super) token_file: Option<&'a Path>,
}

impl Workload<'_> {
    /// The client id, the tenant, and the file that proves them.
    ///
    /// All that is missing is told at once: most of the time it is all, since
    /// the pod lacks a label, and to go on would be to log in as the node.
    pub(super) fn resolve(
        &self,
        sources: &Sources,
    ) -> Result<(String, String, Arc<dyn AssertionSource>), FetchError> {
        let env = &sources.env;
        let client_id = self
            .client_id
            .map(str::to_owned)
            .or_else(|| env.var(CLIENT_ID));
        let tenant = self
            .tenant
            .map(str::to_owned)
            .or_else(|| env.var(TENANT_ID));
        let file = self.token_file.map(Path::to_owned);
        let file = file.or_else(|| env.var(TOKEN_FILE).map(Into::into));
        let mut missing = Vec::new();
        for (name, present) in [
            (CLIENT_ID, client_id.is_some()),
            (TENANT_ID, tenant.is_some()),
            (TOKEN_FILE, file.is_some()),
        ] {
            if !present {
                missing.push(name);
            }
        }
        let (Some(client_id), Some(tenant), Some(file)) = (client_id, tenant, file) else {
            let verb = if missing.len() == 1 { "is" } else { "are" };
            let origin = Origin::new("workload identity", "", "");
            return Err(origin.failed(AssertionError::MissingVariables {
                variables: format!("{} {verb}", missing.join(" and ")),
                advice: UNLABELLED,
            }));
        };
        Ok((
            client_id,
            tenant,
            Arc::new(FileAssertion::of_kubernetes(file)),
        ))
    }
}

/// The way to the token endpoint: through the cluster's proxy if there is one
/// and the caller permits it.
pub(super) fn way(sources: &Sources) -> Result<Sources, FetchError> {
    let mut sources = sources.clone();
    if !sources.token_proxy {
        if sources.env.has(token_proxy::ADDRESS) {
            tracing::info!(
                "{} is set, but not used: Sources::kubernetes_token_proxy permits it",
                token_proxy::ADDRESS
            );
        }
        return Ok(sources);
    }
    if let Some(proxy) = TokenProxy::new(&sources.env).map_err(FetchError::TokenProxy)? {
        sources.internet = Arc::new(proxy);
    }
    Ok(sources)
}

pub(super) const CLIENT_ID: &str = "AZURE_CLIENT_ID";

pub(super) const TENANT_ID: &str = "AZURE_TENANT_ID";

pub(super) const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

const UNLABELLED: &str = "in AKS the webhook sets them for pods that have the label \
                          azure.workload.identity/use: \"true\" when they start (on the pod's own \
                          template, not the deployment), and AZURE_CLIENT_ID by the service \
                          account's annotation azure.workload.identity/client-id; elsewhere set \
                          them yourself";

#[cfg(test)]
mod tests {
    use super::super::testing::{sources, told};
    use super::*;

    const POD: &[(&str, &str)] = &[
        (CLIENT_ID, "annotated"),
        (TENANT_ID, "tenant"),
        (
            TOKEN_FILE,
            "/var/run/secrets/azure/wi/token/azure-identity-token",
        ),
    ];

    const NOTHING: Workload<'_> = Workload {
        client_id: None,
        tenant: None,
        token_file: None,
    };

    #[test]
    fn the_webhooks_variables_are_defaults_only() {
        let pod = sources(POD, vec![]).0;
        let (client, tenant, file) = NOTHING.resolve(&pod).unwrap();
        assert_eq!((&*client, &*tenant), ("annotated", "tenant"));
        assert_eq!(
            file.describe(),
            "the file /var/run/secrets/azure/wi/token/azure-identity-token"
        );
        let other = Workload {
            client_id: Some("other"),
            tenant: Some("elsewhere"),
            token_file: Some(Path::new("/mine")),
        };
        let (client, tenant, file) = other.resolve(&pod).unwrap();
        assert_eq!((&*client, &*tenant), ("other", "elsewhere"));
        assert_eq!(file.describe(), "the file /mine");
    }

    #[test]
    fn a_pod_without_the_label_is_told_so() {
        let text = told(&NOTHING.resolve(&sources(&[], vec![]).0).unwrap_err());
        for word in [
            "AZURE_CLIENT_ID and AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE are not set",
            "azure.workload.identity/use: \"true\"",
            "azure.workload.identity/client-id",
        ] {
            assert!(text.contains(word), "{text}");
        }
        let text = told(&NOTHING.resolve(&sources(&POD[1..], vec![]).0).unwrap_err());
        assert!(text.contains("AZURE_CLIENT_ID is not set"), "{text}");
    }

    #[test]
    fn the_token_proxy_is_used_if_both_the_caller_and_the_environment_say_so() {
        let proxy = [("AZURE_KUBERNETES_TOKEN_PROXY", "https://proxy.example/p")];
        let way_of = |pairs: &[(&str, &str)], allow| {
            let sources = sources(pairs, vec![]).0.kubernetes_token_proxy(allow);
            way(&sources).map(|way| format!("{:?}", way.internet).starts_with("TokenProxy"))
        };
        assert!(way_of(&proxy, true).unwrap());
        assert!(!way_of(&proxy, false).unwrap());
        assert!(!way_of(&[], true).unwrap());
        // What is not to be used need not be right.
        let bad = [("AZURE_KUBERNETES_TOKEN_PROXY", "http://proxy.example/")];
        assert!(!way_of(&bad, false).unwrap());
        assert!(way_of(&bad, true).is_err());
    }
}
