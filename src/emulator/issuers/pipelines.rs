//! Who the emulated jobs and pods are.

/// The subjects of the tokens that emulated jobs and pods get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipelines {
    /// Defaults to `repo:contoso/orders:ref:refs/heads/main`.
    pub github_subject: String,
    /// Defaults to `project_path:contoso/orders:ref_type:branch:ref:main`.
    pub gitlab_subject: String,
    /// Defaults to `sc://contoso/orders/azure`.
    pub azure_pipelines_subject: String,
    /// The id of the service connection that Azure Pipelines gives tokens for.
    pub service_connection_id: String,
    /// Defaults to `organization:contoso:project:orders:workspace:production:run_phase:apply`.
    pub terraform_subject: String,
    /// The namespace and name of the pod's service account. Defaults to `default` and `orders`.
    pub service_account: (String, String),
}

impl Default for Pipelines {
    fn default() -> Self {
        Self {
            github_subject: "repo:contoso/orders:ref:refs/heads/main".to_owned(),
            gitlab_subject: "project_path:contoso/orders:ref_type:branch:ref:main".to_owned(),
            azure_pipelines_subject: "sc://contoso/orders/azure".to_owned(),
            service_connection_id: "00000000-0000-0000-0000-0000000000c0".to_owned(),
            terraform_subject: "organization:contoso:project:orders:workspace:production:\
                                run_phase:apply"
                .to_owned(),
            service_account: ("default".to_owned(), "orders".to_owned()),
        }
    }
}

impl Pipelines {
    pub(in crate::emulator) fn service_account_subject(&self) -> String {
        let (namespace, name) = &self.service_account;
        format!("system:serviceaccount:{namespace}:{name}")
    }
}
