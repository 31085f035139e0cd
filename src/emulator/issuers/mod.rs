//! Those who issue tokens that Entra can be told to trust: pipelines' and clusters' issuers.
//!
//! They all sign by the tenant's key, which each publishes as its own.

mod endpoints;
mod pipelines;

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::{Value, json};
use uuid::Uuid;

use super::counters::Counters;
use super::identity::Identity;
use super::recorded::Requests;
use super::web::{CLUSTER, Host};
use super::{EmulatorError, FederatedCredential};
use crate::Secret;
pub use pipelines::Pipelines;

pub(super) const GITHUB: &str = "https://token.actions.githubusercontent.com";
pub(super) const GITLAB: &str = "https://gitlab.com";
pub(super) const TERRAFORM: &str = "https://app.terraform.io";
const GITHUB_PATH: &str = "/contoso/1/_apis/distributedtask/hubs/Actions/plans/2/jobs/3/idtoken";
const AZURE_PIPELINES_PATH: &str =
    "/contoso/orders/_apis/distributedtask/hubs/build/plans/2/jobs/3/oidctoken";
/// The organization of the Azure Pipelines issuer, and the cluster.
const ORGANIZATION: Uuid = Uuid::from_u128(0x6f72_6700_0000_4000_8000_0000_0000_0001);
const CLUSTER_ID: Uuid = Uuid::from_u128(0x636c_7500_0000_4000_8000_0000_0000_0001);
/// Lifetimes in seconds: GitHub's is not documented, and 5 minutes is what has been seen; GitLab's
/// is 5 minutes for jobs without a timeout.
const PIPELINE_LIFETIME: i64 = 300;
const POD_LIFETIME: i64 = 3600;

/// What the issuers' answers are made of. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Issuers {
    pub(super) identity: Arc<Identity>,
    pub(super) pipelines: Pipelines,
    pub(super) recorded: Requests,
    pub(super) counters: Counters,
    /// What a job's requests for assertions are made with.
    pub(super) request_token: Secret,
}

pub(super) fn new_request_token() -> Secret {
    Secret::new(format!(
        "{}.{}",
        Uuid::new_v4().simple(),
        Uuid::new_v4().simple()
    ))
}

pub(super) fn router(issuers: Issuers) -> Router {
    let mut router = Router::new()
        .route(GITHUB_PATH, any(endpoints::github))
        .route(AZURE_PIPELINES_PATH, any(endpoints::azure_pipelines));
    for above in ["", "/{one}", "/{one}/{two}"] {
        router = router
            .route(
                &format!("{above}/.well-known/openid-configuration"),
                get(configuration),
            )
            .route(&format!("{above}/.well-known/jwks"), get(keys));
    }
    router.with_state(issuers)
}

async fn configuration(Extension(host): Extension<Host>, uri: Uri) -> Response {
    let below = uri
        .path()
        .trim_end_matches("/.well-known/openid-configuration");
    let base = format!("https://{}{below}", host.name);
    // AKS's issuers end with a slash.
    let issuer = match &*host.name {
        CLUSTER => format!("{base}/"),
        _ => base.clone(),
    };
    Json(json!({
        "issuer": issuer,
        "jwks_uri": format!("{base}/.well-known/jwks"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["sub", "aud", "exp", "iat", "iss", "jti", "nbf"],
    }))
    .into_response()
}

async fn keys(State(issuers): State<Issuers>, Extension(host): Extension<Host>) -> Json<Value> {
    let issuer = format!("https://{}", host.name);
    Json(issuers.identity.signing_key().key_set(&issuer))
}

/// The issuer of a cluster's service account tokens.
pub(super) fn cluster_issuer(tenant: Uuid) -> String {
    format!("https://{CLUSTER}/{tenant}/{CLUSTER_ID}/")
}

/// The issuer of Azure Pipelines' tokens, in its older form.
pub(super) fn azure_pipelines_issuer() -> String {
    format!("https://vstoken.dev.azure.com/{ORGANIZATION}")
}

/// Where a GitHub job asks for assertions; it has a query, as the real one.
pub(super) fn github_url() -> String {
    format!("https://pipelines.actions.githubusercontent.com{GITHUB_PATH}?api-version=2.0")
}

/// Where an Azure Pipelines job does.
pub(super) fn azure_pipelines_url() -> String {
    format!("https://dev.azure.com{AZURE_PIPELINES_PATH}")
}

impl Issuers {
    pub(super) fn github(&self, audience: &str) -> Result<Secret, EmulatorError> {
        let subject = &self.pipelines.github_subject;
        let more = json!({ "repository": "contoso/orders", "repository_owner": "contoso" });
        self.sign(GITHUB, subject, audience, PIPELINE_LIFETIME, more)
    }

    pub(super) fn azure_pipelines(&self, audience: &str) -> Result<Secret, EmulatorError> {
        let (issuer, subject) = (
            azure_pipelines_issuer(),
            &self.pipelines.azure_pipelines_subject,
        );
        self.sign(&issuer, subject, audience, PIPELINE_LIFETIME, json!({}))
    }

    pub(super) fn gitlab(&self, audience: &str) -> Result<Secret, EmulatorError> {
        let subject = &self.pipelines.gitlab_subject;
        let more = json!({ "project_path": "contoso/orders" });
        self.sign(GITLAB, subject, audience, PIPELINE_LIFETIME, more)
    }

    pub(super) fn terraform(&self, audience: &str) -> Result<Secret, EmulatorError> {
        let subject = &self.pipelines.terraform_subject;
        let more = json!({ "terraform_organization_name": "contoso" });
        self.sign(TERRAFORM, subject, audience, PIPELINE_LIFETIME, more)
    }

    /// A pod's service account token; Kubernetes writes audiences as a list.
    pub(super) fn pod(&self, audience: &str) -> Result<Secret, EmulatorError> {
        let issuer = cluster_issuer(self.identity.tenant_id());
        let subject = self.pipelines.service_account_subject();
        let more = json!({ "aud": [audience] });
        self.sign(&issuer, &subject, audience, POD_LIFETIME, more)
    }

    fn sign(
        &self,
        issuer: &str,
        subject: &str,
        audience: &str,
        lifetime: i64,
        more: Value,
    ) -> Result<Secret, EmulatorError> {
        let now = self.identity.clock().now();
        let mut claims = json!({
            "iss": issuer,
            "sub": subject,
            "aud": audience,
            "iat": now,
            "nbf": now,
            "exp": now.saturating_add(lifetime),
            "jti": Uuid::new_v4(),
        });
        if let Value::Object(more) = more {
            for (name, value) in more {
                claims[name] = value;
            }
        }
        self.identity.signing_key().sign(&claims)
    }
}

impl FederatedCredential {
    /// Trusts GitHub Actions' tokens with this subject, such as
    /// `repo:contoso/orders:ref:refs/heads/main`.
    pub fn github_actions(subject: impl Into<String>) -> Self {
        Self::new(GITHUB, subject)
    }

    /// Trusts GitLab's tokens with this subject.
    pub fn gitlab(subject: impl Into<String>) -> Self {
        Self::new(GITLAB, subject)
    }

    /// Trusts the emulated Azure DevOps organization's tokens with this subject, such as
    /// `sc://contoso/orders/azure`.
    pub fn azure_pipelines(subject: impl Into<String>) -> Self {
        Self::new(azure_pipelines_issuer(), subject)
    }

    /// Trusts HCP Terraform's tokens with this subject.
    pub fn terraform(subject: impl Into<String>) -> Self {
        Self::new(TERRAFORM, subject)
    }

    /// Trusts the tokens of a service account of the emulated cluster, which belongs to this tenant.
    pub fn service_account(tenant: Uuid, namespace: &str, name: &str) -> Self {
        let subject = format!("system:serviceaccount:{namespace}:{name}");
        Self::new(cluster_issuer(tenant), subject)
    }

    /// Trusts a managed identity's tokens for `api://AzureADTokenExchange`.
    #[must_use]
    pub fn managed_identity(tenant: Uuid, identity: &super::ManagedIdentity) -> Self {
        let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
        Self::new(issuer, identity.object_id.to_string())
    }
}
