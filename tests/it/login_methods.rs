//! Each way to authenticate, in each dialect that has it: from the connection string through the
//! token's source and a pool to the database user that the server sees.

use entrada::Secret;
use entrada::emulator::{Application, Emulator, FederatedCredential, ManagedIdentity};
use entrada::pool::{Pool, PoolError};
use entrada::target::Target;
use entrada::token::{Environment, Sources};

use crate::support::clients::has_the_arc_agents_folder;

const SECRET: &str = "it~s a{secret}";

/// Issuers and subjects as the emulator's tokens have them.
const ISSUERS: [(&str, &str); 4] = [
    (
        "https://token.actions.githubusercontent.com",
        "repo:contoso/orders:ref:refs/heads/main",
    ),
    (
        "https://gitlab.com",
        "project_path:contoso/orders:ref_type:branch:ref:main",
    ),
    (
        "https://app.terraform.io",
        "organization:contoso:project:orders:workspace:production:run_phase:apply",
    ),
    (PIPELINES, "sc://contoso/orders/azure"),
];
const PIPELINES: &str = "https://vstoken.dev.azure.com/6f726700-0000-4000-8000-000000000001";
const POD: &str = "system:serviceaccount:default:orders";
const TENANT: &str = "11111111-2222-3333-4444-555555555555";

struct Azure {
    emulator: Emulator,
    app: ManagedIdentity,
    service: Application,
}

type Variables = Vec<(String, String)>;

impl Azure {
    async fn start() -> Self {
        let app = ManagedIdentity::user_assigned("app");
        let pod = format!(
            "https://westeurope.oic.prod-aks.azure.com/{TENANT}/636c7500-0000-4000-8000-000000000001/"
        );
        let machine = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
        let mut service = Application::new("service")
            .secret(SECRET)
            .federated(FederatedCredential::new(pod, POD))
            .federated(FederatedCredential::new(machine, app.object_id.to_string()));
        for (issuer, subject) in ISSUERS {
            service = service.federated(FederatedCredential::new(issuer, subject));
        }
        let emulator = Emulator::builder()
            .tenant(TENANT.parse().unwrap())
            .identity(app.clone())
            .application(service.clone())
            .database("shop")
            .user("shop", "app", &["db_datareader"])
            .user("shop", "service", &["db_datareader"])
            .start()
            .await
            .unwrap();
        Self {
            emulator,
            app,
            service,
        }
    }

    /// `rest` in each dialect's way to name the server and to trust it.
    fn ado(&self, rest: &str) -> String {
        let (port, file) = (self.emulator.sql_addr().port(), self.certificate());
        format!("Data Source=127.0.0.1,{port};Database=shop;ServerCertificate={file};{rest}")
    }

    fn odbc(&self, rest: &str) -> String {
        let (port, file) = (self.emulator.sql_addr().port(), self.certificate());
        format!(
            "Driver={{x}};Server=127.0.0.1,{port};Database=shop;Encrypt=strict;\
             ServerCertificate={file};{rest}"
        )
    }

    fn jdbc(&self, rest: &str) -> String {
        let (port, file) = (self.emulator.sql_addr().port(), self.certificate());
        format!(
            "jdbc:sqlserver://127.0.0.1:{port};databaseName=shop;encrypt=strict;\
             serverCertificate={file};{rest}"
        )
    }

    fn go(&self, rest: &str) -> String {
        let (port, file) = (self.emulator.sql_addr().port(), self.certificate());
        format!(
            "sqlserver://127.0.0.1:{port}?database=shop&encrypt=true&servercertificate={file}&{rest}"
        )
    }

    fn certificate(&self) -> String {
        let text = self.emulator.connection_strings("shop", None).ado_net;
        let (_, rest) = text.split_once("ServerCertificate=").unwrap();
        rest.trim_end_matches(';').to_owned()
    }

    fn metadata_service(&self) -> Variables {
        self.emulator.imds_environment()
    }

    fn app_service(&self) -> Variables {
        self.emulator.app_service_environment()
    }

    fn internet(&self) -> Variables {
        self.emulator.entra_environment()
    }

    /// The variables of a service principal, and the way to Entra.
    fn principal(&self) -> Variables {
        let mut variables = self.internet();
        variables.extend([
            (
                "AZURE_TENANT_ID".to_owned(),
                self.emulator.tenant_id().to_string(),
            ),
            (
                "AZURE_CLIENT_ID".to_owned(),
                self.service.client_id.to_string(),
            ),
            ("AZURE_CLIENT_SECRET".to_owned(), SECRET.to_owned()),
        ]);
        variables
    }
}

/// Whom the database sees.
async fn user(text: &str, sources: Sources) -> Result<String, PoolError> {
    let pool = Pool::builder(Target::parse(text).unwrap())
        .sources(sources)
        .build()?;
    let mut client = pool.get().await?;
    let result = client.simple_query("SELECT USER_NAME()").await.unwrap();
    let row = result.into_row().await.unwrap().unwrap();
    let name = row.get::<&str, _>(0).unwrap().to_owned();
    drop(client);
    pool.close().await;
    Ok(name)
}

async fn each_is(expected: &str, cases: Vec<(String, Variables)>) {
    for (text, variables) in cases {
        let sources = Sources::new(Environment::from_pairs(variables));
        let name = user(&text, sources).await;
        let name = name.unwrap_or_else(|error| panic!("{text}: {}", entrada::Error::from(error)));
        assert_eq!(name, expected, "{text}");
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn a_managed_identity_is_the_one_that_the_driver_would_be() {
    let azure = Azure::start().await;
    let client = azure.app.client_id;
    let object = azure.app.object_id;
    let resource = azure.app.resource_id.clone();
    let (vm, web) = (azure.metadata_service(), azure.app_service());
    each_is(
        "app",
        vec![
            (
                azure.ado(&format!(
                    "Authentication=Active Directory MSI;User ID={client}"
                )),
                vm.clone(),
            ),
            (
                azure.ado(&format!(
                    "Authentication=Active Directory Managed Identity;UID={client}"
                )),
                web.clone(),
            ),
            (
                azure.ado(&format!(
                    "Authentication=Active Directory Default;UID={client}"
                )),
                vm.clone(),
            ),
            // ODBC means an object id on a machine, and a client id on App Service.
            (
                azure.odbc(&format!("Authentication=ActiveDirectoryMsi;UID={object}")),
                vm.clone(),
            ),
            (
                azure.odbc(&format!("Authentication=ActiveDirectoryMsi;UID={client}")),
                vm.clone(),
            ),
            (
                azure.odbc(&format!("Authentication=ActiveDirectoryMsi;UID={client}")),
                web.clone(),
            ),
            (
                azure.jdbc(&format!(
                    "authentication=ActiveDirectoryMSI;msiClientId={client}"
                )),
                vm.clone(),
            ),
            (
                azure.jdbc(&format!(
                    "authentication=ActiveDirectoryManagedIdentity;user={client}"
                )),
                web.clone(),
            ),
            (
                azure.jdbc(&format!(
                    "authentication=ActiveDirectoryDefault;user={client}"
                )),
                web.clone(),
            ),
            (
                azure.go(&format!("fedauth=ActiveDirectoryMSI&user+id={client}")),
                vm.clone(),
            ),
            (
                azure.go(&format!(
                    "fedauth=ActiveDirectoryManagedIdentity&resource+id={resource}"
                )),
                vm.clone(),
            ),
            (
                azure.ado(&format!(
                    "Authentication=EntradaManagedIdentity;Entrada Object ID={object}"
                )),
                vm.clone(),
            ),
            (
                azure.odbc(&format!(
                    "Authentication=EntradaDefault;EntradaClientId={client}"
                )),
                vm.clone(),
            ),
            (
                azure.odbc(&format!(
                    "Authentication=EntradaManagedIdentity;EntradaResourceId={resource}"
                )),
                vm,
            ),
        ],
    )
    .await;
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn a_service_principal_needs_no_tenant_in_the_string() {
    let azure = Azure::start().await;
    let (id, tenant) = (azure.service.client_id, azure.emulator.tenant_id());
    let net = azure.internet();
    let word = "ActiveDirectoryServicePrincipal";
    let escaped = "it~s+a%7Bsecret%7D";
    each_is("service", vec![
        (
            azure.ado(&format!(
                "Authentication=Active Directory Service Principal;User ID={id};Password={SECRET}"
            )),
            net.clone(),
        ),
        (
            azure.odbc(&format!("Authentication={word};UID={id};PWD={{it~s a{{secret}}}}}}")),
            net.clone(),
        ),
        (
            azure.jdbc(&format!("authentication={word};user={id};password={{it~s a{{secret}}}}}}")),
            net.clone(),
        ),
        (
            azure.jdbc(&format!(
                "authentication={word};AADSecurePrincipalId={id};\
                 AADSecurePrincipalSecret={{it~s a{{secret}}}}}}"
            )),
            net.clone(),
        ),
        (
            azure.go(&format!("fedauth={word}&user+id={id}@{tenant}&password={escaped}")),
            net.clone(),
        ),
        (
            azure.go(&format!("fedauth=ActiveDirectoryApplication&user+id={id}&password={escaped}")),
            net.clone(),
        ),
        (
            azure.ado(&format!(
                "Authentication={word};User ID={id};Password={SECRET};Entrada Tenant ID={tenant}"
            )),
            net,
        ),
        (azure.go("fedauth=ActiveDirectoryEnvironment"), azure.principal()),
        (azure.ado("Authentication=EntradaEnvironment"), azure.principal()),
        (azure.jdbc("authentication=ActiveDirectoryDefault"), azure.principal()),
    ])
    .await;
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn the_server_is_asked_for_its_tenant_once() {
    let azure = Azure::start().await;
    let id = azure.service.client_id;
    let text = azure.ado(&format!(
        "Authentication=ActiveDirectoryServicePrincipal;User ID={id};Password={SECRET}"
    ));
    let sources = Sources::new(Environment::from_pairs(azure.internet()));
    let pool = Pool::builder(Target::parse(&text).unwrap())
        .sources(sources)
        .build()
        .unwrap();
    let sessions = tokio::join!(pool.get(), pool.get(), pool.get());
    assert!(sessions.0.is_ok() && sessions.1.is_ok() && sessions.2.is_ok());
    drop(sessions);
    let counted = azure.emulator.counters();
    assert_eq!((counted.logins_accepted, counted.tokens_issued), (3, 1));
    pool.close().await;
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn a_token_in_the_string_is_the_token_of_the_login() {
    let azure = Azure::start().await;
    let resource = "https://database.windows.net/";
    let token: Secret = azure.emulator.issue_token("app", resource).unwrap().token;
    let token = token.expose();
    each_is(
        "app",
        vec![
            (
                azure.go(&format!(
                    "fedauth=ActiveDirectoryServicePrincipalAccessToken&password={token}"
                )),
                Vec::new(),
            ),
            (
                azure.ado(&format!(
                    "Authentication=EntradaAccessToken;Entrada Access Token={token}"
                )),
                Vec::new(),
            ),
        ],
    )
    .await;
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn integrated_is_the_default_chain_only_where_that_is_permitted() {
    let azure = Azure::start().await;
    let mut variables = azure.metadata_service();
    variables.push((
        "AZURE_CLIENT_ID".to_owned(),
        azure.app.client_id.to_string(),
    ));
    let sources = Sources::new(Environment::from_pairs(variables));
    let text = azure.ado("Authentication=Active Directory Integrated");
    let error = user(&text, sources.clone()).await.unwrap_err();
    let said = entrada::Error::from(error);
    let cause =
        std::error::Error::source(&said).map_or_else(|| said.to_string(), ToString::to_string);
    assert!(cause.contains("integrated_as_default"), "{cause}");
    let name = user(&text, sources.integrated_as_default(true))
        .await
        .unwrap();
    assert_eq!(name, "app");
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn another_issuers_token_logs_an_application_in() {
    let azure = Azure::start().await;
    let (emulator, id) = (&azure.emulator, azure.service.client_id);
    let with = |own: Variables| [azure.internet(), own].concat();
    let gitlab = with(emulator.gitlab_environment());
    let pod = with(emulator.workload_identity_environment());
    let file = &pod
        .iter()
        .find(|(name, _)| name == "AZURE_FEDERATED_TOKEN_FILE")
        .unwrap()
        .1;
    let federated = |from: &str| {
        format!("Authentication=EntradaFederated;EntradaClientId={id};EntradaFederatedToken={from}")
    };
    let of_app = format!("managed-identity:client-id:{}", azure.app.client_id);
    each_is(
        "service",
        vec![
        (azure.ado(&federated("github")), with(emulator.github_actions_environment())),
        (azure.odbc(&federated("gitlab:GITLAB_OIDC_TOKEN")), gitlab.clone()),
        (azure.jdbc(&federated("env:GITLAB_OIDC_TOKEN")), gitlab),
        (azure.ado(&federated("terraform")), with(emulator.terraform_environment())),
        (azure.ado(&federated(&format!("file:{file}"))), azure.internet()),
        (azure.ado(&federated(&format!("command:/bin/cat {file}"))), azure.internet()),
        (azure.ado(&federated(&of_app)), with(azure.metadata_service())),
        (azure.ado("Authentication=Active Directory Workload Identity"), pod.clone()),
        (
            azure.go(&format!(
                "fedauth=ActiveDirectoryWorkloadIdentity&user+id={id}@{TENANT}&tokenfilepath={file}"
            )),
            azure.internet(),
        ),
        (azure.odbc("Authentication=EntradaWorkloadIdentity"), pod),
        (
            azure.go("fedauth=ActiveDirectoryAzurePipelines"),
            with(emulator.azure_pipelines_environment()),
        ),
        (
            azure.ado("Authentication=EntradaAzurePipelines"),
            with(emulator.azure_pipelines_environment()),
        ),
    ],
    )
    .await;
    azure.emulator.shutdown().await;
}

/// A certificate with its key, as PEM.
fn certificate() -> (String, String) {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
    let key = key.unwrap();
    let certificate = rcgen::CertificateParams::new(["service".to_owned()]).unwrap();
    (
        certificate.self_signed(&key).unwrap().pem(),
        key.serialize_pem(),
    )
}

#[tokio::test]
async fn a_certificate_logs_an_application_in() {
    let (certificate, key) = certificate();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let both = path("both.pem", &format!("{certificate}{key}"));
    let (alone, key) = (path("alone.pem", &certificate), path("key.pem", &key));
    let azure = Azure::start().await;
    let service = azure.service.clone().certificate_pem(&certificate);
    azure.emulator.register_application(service);
    let (id, net) = (azure.service.client_id, azure.internet());
    let word = "ActiveDirectoryServicePrincipalCertificate";
    each_is("service", vec![
        (
            azure.jdbc(&format!("authentication={word};user={id};clientCertificate={both}")),
            net.clone(),
        ),
        (
            azure.jdbc(&format!(
                "authentication={word};user={id};clientCertificate={alone};clientKey={key}"
            )),
            net.clone(),
        ),
        (
            azure.go(&format!(
                "fedauth=ActiveDirectoryServicePrincipal&user+id={id}@{TENANT}&clientcertpath={both}"
            )),
            net.clone(),
        ),
        (
            azure.ado(&format!(
                "Authentication=EntradaServicePrincipalCertificate;User ID={id};\
                 Entrada Client Certificate={both}"
            )),
            net,
        ),
    ])
    .await;
    azure.emulator.shutdown().await;
}

#[tokio::test]
async fn a_platform_that_is_named_is_the_one_that_is_asked() {
    let azure = Azure::start().await;
    let (emulator, client, object) = (&azure.emulator, azure.app.client_id, azure.app.object_id);
    // To whom looks at the variables this is App Service first of all.
    let beside = |own: Variables| [azure.app_service(), own].concat();
    let named = |identity: &str, platform: &str| {
        azure.ado(&format!(
            "Authentication=EntradaManagedIdentity;{identity};Entrada Identity Platform={platform}"
        ))
    };
    let by_client = format!("Entrada Client ID={client}");
    let by_object = format!("Entrada Object ID={object}");
    let mut cases = vec![
        (
            azure.odbc(&format!(
                "Authentication=ActiveDirectoryMsi;UID={object};EntradaIdentityPlatform=Imds"
            )),
            beside(azure.metadata_service()),
        ),
        (
            azure.jdbc(&format!(
                "authentication=ActiveDirectoryMSI;msiClientId={client};\
                 EntradaIdentityPlatform=AppService2017"
            )),
            beside(emulator.app_service_2017_environment()),
        ),
        (
            azure.go(&format!(
                "fedauth=ActiveDirectoryMSI&user+id={client}&EntradaIdentityPlatform=MachineLearning"
            )),
            beside(emulator.machine_learning_environment()),
        ),
        (
            azure.ado(&format!(
                "Authentication=Active Directory MSI;User ID={client};Entrada Identity Platform=AppService"
            )),
            beside(azure.metadata_service()),
        ),
        (named(&by_client, "Automation"), emulator.automation_environment()),
        (
            named(&by_object, "ContainerInstancesWindows"),
            emulator.container_instances_windows_environment(),
        ),
        (named("", "ServiceFabric"), emulator.service_fabric_environment()),
    ];
    if has_the_arc_agents_folder(emulator) {
        cases.push((named(&by_client, "Arc"), beside(emulator.arc_environment())));
    }
    each_is("app", cases).await;

    let sources = Sources::new(Environment::from_pairs(emulator.cloud_shell_environment()));
    let error = user(&named(&by_client, "CloudShell"), sources)
        .await
        .unwrap_err();
    let text = format!("{:?}", causes_of(&error));
    assert!(text.contains("name no identity"), "{text}");
    azure.emulator.shutdown().await;
}

/// An error and its causes.
fn causes_of(error: &dyn std::error::Error) -> Vec<String> {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect()
}
