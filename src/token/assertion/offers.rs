//! Which tokens of other issuers this machine offers.

use super::super::Environment;
use super::{github, pipelines, terraform, workload_identity};
use crate::target::{AssertionFrom, Auth};

/// A way to sign in that the environment shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FederatedOffer {
    /// What to ask for. Making its source tells what it still lacks, if anything.
    pub(crate) auth: Auth,
    /// The variable that gave it away.
    pub(crate) sign: String,
}

/// All that the environment offers, without asking anybody.
///
/// A GitLab job is seen by the name that GitLab's own examples give the token,
/// since a job may call it anything.
pub(crate) fn offers(env: &Environment) -> Vec<FederatedOffer> {
    let mut found = Vec::new();
    let mut offer = |sign: &str, auth| {
        if env.has(sign) {
            let sign = sign.to_owned();
            found.push(FederatedOffer { auth, sign });
        }
    };
    let workload = Auth::WorkloadIdentity {
        client_id: None,
        tenant: None,
        token_file: None,
    };
    offer(workload_identity::TOKEN_FILE, workload);
    let sign = match env.has(github::URL) {
        true => github::URL,
        false => "GITHUB_ACTIONS",
    };
    offer(sign, from(AssertionFrom::GitHubActions));
    let variable = GITLAB_TOKEN.to_owned();
    offer(GITLAB_TOKEN, from(AssertionFrom::GitLab { variable }));
    let pipelines = Auth::AzurePipelines {
        client_id: None,
        tenant: None,
        service_connection: None,
        system_token: None,
    };
    offer(pipelines::URL, pipelines);
    offer(
        terraform::TOKEN,
        from(AssertionFrom::TerraformCloud { tag: None }),
    );
    found
}

fn from(from: AssertionFrom) -> Auth {
    Auth::Federated {
        client_id: None,
        tenant: None,
        from,
    }
}

const GITLAB_TOKEN: &str = "GITLAB_OIDC_TOKEN";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_platform_is_known_by_its_variable() {
        let named = |pairs: &[(&str, &str)]| {
            let found = offers(&Environment::from_pairs(pairs.iter().copied()));
            let name = |offer: FederatedOffer| (offer.auth.name(), offer.sign);
            found.into_iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(named(&[("PATH", "/bin"), ("AZURE_CLIENT_ID", "c")]), []);
        for (sign, name) in [
            ("AZURE_FEDERATED_TOKEN_FILE", "workload identity"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "federated credential"),
            // The job is one, and its source says which permission it lacks.
            ("GITHUB_ACTIONS", "federated credential"),
            ("GITLAB_OIDC_TOKEN", "federated credential"),
            ("SYSTEM_OIDCREQUESTURI", "Azure Pipelines"),
            ("TFC_WORKLOAD_IDENTITY_TOKEN", "federated credential"),
        ] {
            assert_eq!(named(&[(sign, "x")]), [(name, sign.to_owned())]);
            assert_eq!(named(&[(sign, "")]), []);
        }
        let both = [
            ("GITHUB_ACTIONS", "true"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "u"),
        ];
        assert_eq!(named(&both).len(), 1);
    }
}
