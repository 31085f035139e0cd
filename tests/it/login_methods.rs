//! Each way to authenticate, in each dialect that has it: from the connection string through the
//! token's source and a pool to the database user that the server sees.

use entrada::Secret;
use entrada::emulator::{Application, Emulator, ManagedIdentity};
use entrada::pool::{Pool, PoolError};
use entrada::target::Target;
use entrada::token::{Environment, Sources};

const SECRET: &str = "it~s a{secret}";

struct Azure {
    emulator: Emulator,
    app: ManagedIdentity,
    service: Application,
}

type Variables = Vec<(String, String)>;

impl Azure {
    async fn start() -> Self {
        let app = ManagedIdentity::user_assigned("app");
        let service = Application::new("service").secret(SECRET);
        let emulator = Emulator::builder()
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
                    "Authentication=EntradaManagedIdentity;EntradaResourceId={resource};\
                 EntradaIdentityPlatform=Imds"
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
