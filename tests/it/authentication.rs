//! From `Authentication` and what stands beside it to an identity, for each dialect and for this
//! crate's own words.

use std::path::PathBuf;

use entrada::Secret;
use entrada::conn_string::{AuthMethod, ConnectionString, Dialect, KEYWORDS, ParseError};
use entrada::target::{
    AssertionFrom, Auth, Cloud, Identity, IdentityPlatform, Target, TargetError,
};
use entrada::token::{Environment, SourceKey, Sources};

/// A connection string of the dialect to one server, with these settings.
fn text(dialect: Dialect, rest: &str) -> String {
    match dialect {
        Dialect::AdoNet => format!("Data Source=h;{rest}"),
        Dialect::Odbc => format!("Driver={{ODBC Driver 18 for SQL Server}};Server=h;{rest}"),
        Dialect::Jdbc => format!("jdbc:sqlserver://h;{rest}"),
        Dialect::SqlServerUrl => format!("sqlserver://h?{}", rest.replace(';', "&")),
        _ => unreachable!("a dialect that this test does not know"),
    }
}

fn auth(dialect: Dialect, rest: &str) -> Auth {
    let text = text(dialect, rest);
    let string = ConnectionString::parse_as(&text, dialect);
    let string = string.unwrap_or_else(|error| panic!("{text}: {error}"));
    let target = Target::try_from(&string);
    target
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .auth
}

fn refused(dialect: Dialect, rest: &str) -> ParseError {
    let text = text(dialect, rest);
    match ConnectionString::parse_as(&text, dialect) {
        Err(error) => error,
        Ok(_) => panic!("{text} is taken"),
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn managed(identity: Identity) -> Auth {
    Auth::ManagedIdentity(identity)
}

fn by_client(id: &str) -> Identity {
    Identity::ClientId(id.to_owned())
}

fn chain(client: &str) -> Auth {
    Auth::Default {
        client_id: some(client).filter(|id| !id.is_empty()),
    }
}

fn principal(tenant: Option<&str>) -> Auth {
    Auth::ServicePrincipalSecret {
        client_id: "c".to_owned(),
        tenant: tenant.map(str::to_owned),
        secret: Secret::new("s"),
    }
}

fn certificate(tenant: Option<&str>, key: Option<&str>, password: Option<&str>) -> Auth {
    Auth::ServicePrincipalCertificate {
        client_id: "c".to_owned(),
        tenant: tenant.map(str::to_owned),
        certificate: PathBuf::from("/c.pem"),
        key: key.map(PathBuf::from),
        password: password.map(Secret::new),
    }
}

fn workload(client: Option<&str>, tenant: Option<&str>, file: Option<&str>) -> Auth {
    Auth::WorkloadIdentity {
        client_id: client.map(str::to_owned),
        tenant: tenant.map(str::to_owned),
        token_file: file.map(PathBuf::from),
    }
}

fn pipelines(client: Option<&str>, tenant: Option<&str>, connection: Option<&str>) -> Auth {
    Auth::AzurePipelines {
        client_id: client.map(str::to_owned),
        tenant: tenant.map(str::to_owned),
        service_connection: connection.map(str::to_owned),
        system_token: connection.map(|_| Secret::new("s")),
    }
}

fn assertion(tenant: Option<&str>) -> Auth {
    Auth::ClientAssertion {
        client_id: "c".to_owned(),
        tenant: tenant.map(str::to_owned),
        assertion: Secret::new("a"),
    }
}

fn federated(client: Option<&str>, tenant: Option<&str>, from: AssertionFrom) -> Auth {
    Auth::Federated {
        client_id: client.map(str::to_owned),
        tenant: tenant.map(str::to_owned),
        from,
    }
}

/// Every spelling of the driver with everything that it reads beside it.
#[test]
fn each_value_of_ado_net_names_the_identity_that_its_driver_means() {
    for (rest, expected) in [
        (
            "Authentication=Active Directory Managed Identity",
            managed(Identity::SystemAssigned),
        ),
        (
            "Authentication=ActiveDirectoryManagedIdentity;User ID=c",
            managed(by_client("c")),
        ),
        (
            "Authentication=Active Directory MSI;UID=c",
            managed(by_client("c")),
        ),
        (
            "Authentication=activedirectorymsi",
            managed(Identity::SystemAssigned),
        ),
        ("Authentication=Active Directory Default", chain("")),
        ("Authentication=ActiveDirectoryDefault;User=c", chain("c")),
        (
            "Authentication=Active Directory Workload Identity",
            workload(None, None, None),
        ),
        (
            "Authentication=ActiveDirectoryWorkloadIdentity;User ID=c",
            workload(Some("c"), None, None),
        ),
        (
            "Authentication=Active Directory Service Principal;User ID=c;Password=s",
            principal(None),
        ),
        (
            "Authentication=ActiveDirectoryServicePrincipal;UID=c;PWD=s",
            principal(None),
        ),
        (
            "Authentication=Active Directory Integrated",
            Auth::Integrated,
        ),
        (
            "Authentication=ActiveDirectoryIntegrated;User ID=ignored",
            Auth::Integrated,
        ),
    ] {
        assert_eq!(auth(Dialect::AdoNet, rest), expected, "{rest}");
    }
}

#[test]
fn each_value_of_odbc_names_the_identity_that_its_driver_means() {
    let either = Identity::ClientOrObjectId("id".to_owned());
    for (rest, expected) in [
        (
            "Authentication=ActiveDirectoryMsi",
            managed(Identity::SystemAssigned),
        ),
        ("Authentication=ActiveDirectoryMsi;UID=id", managed(either)),
        (
            "Authentication=ActiveDirectoryServicePrincipal;UID=c;PWD=s",
            principal(None),
        ),
        (
            "Authentication=ActiveDirectoryIntegrated;UID=ignored",
            Auth::Integrated,
        ),
    ] {
        assert_eq!(auth(Dialect::Odbc, rest), expected, "{rest}");
    }
}

#[test]
fn each_value_of_jdbc_names_the_identity_that_its_driver_means() {
    for (rest, expected) in [
        (
            "authentication=ActiveDirectoryManagedIdentity",
            managed(Identity::SystemAssigned),
        ),
        (
            "authentication=ActiveDirectoryMSI;user=u;msiClientId=m",
            managed(by_client("u")),
        ),
        (
            "authentication=ActiveDirectoryMSI;msiClientId=m",
            managed(by_client("m")),
        ),
        ("authentication=ActiveDirectoryDefault", chain("")),
        (
            "authentication=ActiveDirectoryDefault;msiClientId=m",
            chain("m"),
        ),
        (
            "authentication=ActiveDirectoryDefault;user=u;msiClientId=m",
            chain("u"),
        ),
        (
            "authentication=ActiveDirectoryServicePrincipal;user=c;password=s",
            principal(None),
        ),
        (
            "authentication=ActiveDirectoryServicePrincipal;AADSecurePrincipalId=c;\
             AADSecurePrincipalSecret=s",
            principal(None),
        ),
        (
            "authentication=ActiveDirectoryServicePrincipalCertificate;user=c;\
             clientCertificate=/c.pem",
            certificate(None, None, None),
        ),
        (
            "authentication=ActiveDirectoryServicePrincipalCertificate;user=c;\
             clientCertificate=/c.pem;clientKey=/c.key;clientKeyPassword=p",
            certificate(None, Some("/c.key"), Some("p")),
        ),
        (
            "authentication=ActiveDirectoryServicePrincipalCertificate;user=c;\
             clientCertificate=/c.pem;password=p",
            certificate(None, None, Some("p")),
        ),
        ("authentication=ActiveDirectoryIntegrated", Auth::Integrated),
    ] {
        assert_eq!(auth(Dialect::Jdbc, rest), expected, "{rest}");
    }
}

#[test]
fn each_value_of_go_names_the_identity_that_its_driver_means() {
    for (rest, expected) in [
        (
            "fedauth=ActiveDirectoryMSI;user+id=c%40t",
            managed(by_client("c")),
        ),
        (
            "fedauth=ActiveDirectoryManagedIdentity;user+id=c;resource+id=/r",
            managed(Identity::ResourceId("/r".to_owned())),
        ),
        (
            "fedauth=activedirectorymsi",
            managed(Identity::SystemAssigned),
        ),
        ("fedauth=ActiveDirectoryDefault;user+id=ignored", chain("")),
        (
            "fedauth=ActiveDirectoryServicePrincipal;user+id=c@t;password=s",
            principal(Some("t")),
        ),
        (
            "fedauth=ActiveDirectoryApplication;user+id=c;password=s",
            principal(None),
        ),
        (
            "fedauth=ActiveDirectoryServicePrincipal;user+id=c@t;clientcertpath=/c.pem;password=p",
            certificate(Some("t"), None, Some("p")),
        ),
        (
            "fedauth=ActiveDirectoryWorkloadIdentity;user+id=c@t;tokenfilepath=/f",
            workload(Some("c"), Some("t"), Some("/f")),
        ),
        (
            "fedauth=ActiveDirectoryAzurePipelines;user+id=c@t;serviceconnectionid=x;systemtoken=s",
            pipelines(Some("c"), Some("t"), Some("x")),
        ),
        (
            "fedauth=ActiveDirectoryAzurePipelines",
            pipelines(None, None, None),
        ),
        (
            "fedauth=ActiveDirectoryClientAssertion;user+id=c@t;clientassertion=a",
            assertion(Some("t")),
        ),
        (
            "fedauth=ActiveDirectoryAzCli",
            Auth::AzureCli { tenant: None },
        ),
        (
            "fedauth=ActiveDirectoryAzureDeveloperCli",
            Auth::AzureDeveloperCli { tenant: None },
        ),
        ("fedauth=ActiveDirectoryEnvironment", Auth::Environment),
        (
            "fedauth=ActiveDirectoryServicePrincipalAccessToken;password=t",
            Auth::AccessToken(Secret::new("t")),
        ),
        ("fedauth=ActiveDirectoryIntegrated", Auth::Integrated),
    ] {
        assert_eq!(auth(Dialect::SqlServerUrl, rest), expected, "{rest}");
    }
}

/// What no driver, or not the dialect's own, can say, in each dialect alike.
#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn own_words_say_the_same_in_every_dialect() {
    let url = AssertionFrom::Url {
        url: "https://h/token".to_owned(),
        headers: Vec::new(),
        pointer: some("/jwt"),
        post: false,
    };
    let on_arc = Auth::ManagedIdentityOn {
        platform: IdentityPlatform::Arc,
        identity: Identity::SystemAssigned,
    };
    let cases = [
        (
            "EntradaManagedIdentity;EntradaClientId=c",
            managed(by_client("c")),
        ),
        (
            "EntradaManagedIdentity;EntradaObjectId=o",
            managed(Identity::ObjectId("o".into())),
        ),
        (
            "EntradaManagedIdentity;EntradaResourceId=/r",
            managed(Identity::ResourceId("/r".into())),
        ),
        (
            "ActiveDirectoryMSI;Entrada_Object_ID=o",
            managed(Identity::ObjectId("o".into())),
        ),
        ("EntradaManagedIdentity;EntradaIdentityPlatform=arc", on_arc),
        ("EntradaDefault", chain("")),
        ("EntradaDefault;EntradaClientId=c", chain("c")),
        (
            "EntradaWorkloadIdentity;EntradaClientId=c;EntradaTenantId=t;EntradaTokenFile=/f",
            workload(Some("c"), Some("t"), Some("/f")),
        ),
        (
            "EntradaAzureCli;EntradaTenantId=t",
            Auth::AzureCli { tenant: some("t") },
        ),
        (
            "EntradaAzureDeveloperCli",
            Auth::AzureDeveloperCli { tenant: None },
        ),
        (
            "EntradaAzurePowerShell;EntradaTenantId=t",
            Auth::AzurePowerShell { tenant: some("t") },
        ),
        ("EntradaEnvironment", Auth::Environment),
        (
            "EntradaAccessToken;EntradaAccessToken=t",
            Auth::AccessToken(Secret::new("t")),
        ),
        (
            "EntradaServicePrincipalCertificate;EntradaClientId=c;EntradaTenantId=t;\
             EntradaClientCertificate=/c.pem;EntradaClientKey=/c.key;EntradaClientKeyPassword=p",
            certificate(Some("t"), Some("/c.key"), Some("p")),
        ),
        (
            "EntradaClientAssertion;EntradaClientId=c;EntradaClientAssertion=a",
            assertion(None),
        ),
        (
            "EntradaAzurePipelines;EntradaClientId=c;EntradaTenantId=t;\
             EntradaServiceConnectionId=x;EntradaSystemToken=s",
            pipelines(Some("c"), Some("t"), Some("x")),
        ),
        (
            "EntradaFederated;EntradaClientId=c;EntradaTenantId=t;EntradaFederatedToken=github",
            federated(Some("c"), Some("t"), AssertionFrom::GitHubActions),
        ),
        (
            "EntradaFederated;EntradaFederatedToken=file:/f",
            federated(None, None, AssertionFrom::File("/f".into())),
        ),
        (
            "EntradaFederated;EntradaClientId=c;EntradaFederatedToken=url:https://h/token%23/jwt",
            federated(Some("c"), None, url),
        ),
    ];
    for dialect in Dialect::ALL {
        let keyword = match dialect {
            Dialect::SqlServerUrl => "fedauth",
            _ => "Authentication",
        };
        for (rest, expected) in &cases {
            let rest = match dialect {
                Dialect::SqlServerUrl => (*rest).to_owned(),
                _ => rest.replace("%23", "#"),
            };
            let read = auth(dialect, &format!("{keyword}={rest}"));
            assert_eq!(&read, expected, "{dialect:?}: {rest}");
        }
    }
    let secret = "Authentication=EntradaServicePrincipal;UID=c;PWD=s;Entrada Tenant ID=t";
    for dialect in [Dialect::AdoNet, Dialect::Odbc] {
        assert_eq!(auth(dialect, secret), principal(Some("t")), "{dialect:?}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn own_words_that_do_not_fit_together_are_refused() {
    for (rest, kind) in [
        ("Authentication=EntradaFederated", "missing_value"),
        ("Authentication=EntradaAccessToken", "missing_value"),
        (
            "Authentication=EntradaClientAssertion;Entrada Client ID=c",
            "missing_value",
        ),
        (
            "Authentication=EntradaServicePrincipalCertificate;Entrada Client ID=c",
            "missing_value",
        ),
        (
            "Authentication=EntradaDefault;Entrada Object ID=o",
            "conflict",
        ),
        (
            "Authentication=EntradaAzureCli;Entrada Federated Token=github",
            "conflict",
        ),
        (
            "Authentication=EntradaManagedIdentity;User ID=c;Entrada Object ID=o",
            "conflict",
        ),
        (
            "Authentication=EntradaManagedIdentity;User ID=c;Entrada Resource ID=/r",
            "conflict",
        ),
        (
            "Authentication=EntradaManagedIdentity;Entrada Client ID=c;Entrada Object ID=o",
            "conflict",
        ),
        ("Authentication=EntradaAzureCli;Password=p", "conflict"),
        (
            "Authentication=EntradaAzureCli;Integrated Security=true",
            "conflict",
        ),
        ("User ID=u;Password=p;Entrada Client ID=c", "missing_value"),
        (
            "Authentication=EntradaManagedIdentity;Entrada Identity Platform=aws",
            "invalid_value",
        ),
        ("Authentication=EntradaCli", "invalid_value"),
        (
            "Authentication=EntradaDefault;Entrada Tennant ID=t",
            "unknown_keyword",
        ),
    ] {
        let error = refused(Dialect::AdoNet, rest);
        assert_eq!(error.kind(), kind, "{rest}: {error}");
    }
    let typo = refused(
        Dialect::AdoNet,
        "Authentication=EntradaDefault;Entrada Tennant ID=t",
    );
    assert!(
        typo.to_string()
            .ends_with("did you mean 'Entrada Tenant ID'?"),
        "{typo}"
    );
    let two = "fedauth=ActiveDirectoryServicePrincipal;user+id=c@t;password=s;EntradaTenantId=x";
    assert_eq!(refused(Dialect::SqlServerUrl, two).kind(), "conflict");
    let place = text(
        Dialect::AdoNet,
        "Authentication=EntradaFederated;Entrada Federated Token=MARKER",
    );
    let error = Target::parse(&place).unwrap_err();
    assert!(matches!(error, TargetError::Setting { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("MARKER"));
}

/// A driver's refusal stays one, and names the way out.
#[test]
fn a_value_of_another_driver_is_refused_with_our_own_word_for_it() {
    for (dialect, rest, word) in [
        (
            Dialect::Odbc,
            "Authentication=ActiveDirectoryDefault",
            "EntradaDefault",
        ),
        (
            Dialect::AdoNet,
            "Authentication=ActiveDirectoryAzCli",
            "EntradaAzureCli",
        ),
        (
            Dialect::Jdbc,
            "authentication=ActiveDirectoryWorkloadIdentity",
            "EntradaWorkloadIdentity",
        ),
    ] {
        let error = refused(dialect, rest);
        assert_eq!(error.kind(), "invalid_value");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn methods_that_need_a_person_say_what_to_do_instead() {
    for (dialect, rest) in [
        (
            Dialect::AdoNet,
            "Authentication=Active Directory Interactive",
        ),
        (
            Dialect::AdoNet,
            "Authentication=Active Directory Device Code Flow",
        ),
        (
            Dialect::AdoNet,
            "Authentication=Active Directory Password;User ID=u;Password=p",
        ),
        (
            Dialect::Odbc,
            "Authentication=ActiveDirectoryInteractive;UID=u",
        ),
        (
            Dialect::Jdbc,
            "authentication=ActiveDirectoryPassword;user=u;password=p",
        ),
        (Dialect::SqlServerUrl, "fedauth=ActiveDirectoryDeviceCode"),
        (
            Dialect::SqlServerUrl,
            "fedauth=ActiveDirectoryOnBehalfOf;userassertion=a",
        ),
    ] {
        let text = text(dialect, rest);
        let error = Target::parse(&text).unwrap_err();
        assert!(
            matches!(error, TargetError::Method { .. }),
            "{text}: {error:?}"
        );
        assert!(error.to_string().contains("callback"), "{error}");
    }
}

#[test]
fn own_words_are_written_back_and_never_into_another_dialect() {
    let rest = "Authentication=EntradaFederated;Entrada Client ID=c;Entrada Federated Token=github";
    for dialect in [Dialect::AdoNet, Dialect::Odbc] {
        let string = ConnectionString::parse_as(&text(dialect, rest), dialect).unwrap();
        assert_eq!(string.authentication(), Some(AuthMethod::Federated));
        let written = string.write(dialect).unwrap();
        let back = ConnectionString::parse_as(written.expose(), dialect).unwrap();
        assert_eq!(back.settings(), string.settings());
        assert!(string.write(Dialect::Jdbc).is_err());
    }
}

/// Words without a driver never decide the dialect.
#[test]
fn own_words_leave_detection_alone() {
    let shared = "Server=h;Authentication=EntradaDefault;Entrada Client ID=c";
    assert_eq!(
        ConnectionString::parse(shared).unwrap().dialect(),
        Dialect::AdoNet
    );
    let odbc = format!("Driver={{x}};{shared}");
    assert_eq!(
        ConnectionString::parse(&odbc).unwrap().dialect(),
        Dialect::Odbc
    );
    assert!(
        KEYWORDS
            .iter()
            .all(|keyword| !keyword.key.name().starts_with("Entrada"))
    );
}

#[test]
fn what_a_method_cannot_use_is_noted() {
    let noted = |rest: &str| -> Vec<&'static str> {
        let target = Target::parse(&text(Dialect::AdoNet, rest)).unwrap();
        target.notes().iter().map(|note| note.keyword).collect()
    };
    let keywords = noted("Authentication=EntradaManagedIdentity;Entrada Tenant ID=t");
    assert_eq!(keywords, ["Tenant ID"]);
    let keywords = noted("Authentication=EntradaAzureCli;Entrada Client ID=c");
    assert_eq!(keywords, ["Client ID"]);
    assert!(noted("Authentication=EntradaAzureCli;Entrada Tenant ID=t").is_empty());
}

/// Dialect, settings, variables; kind, identity and tenant of the source.
type Case<'a> = (Dialect, &'a str, &'a [(&'a str, &'a str)], [&'a str; 3]);

/// What the source of a string calls itself: its kind, the identity and the tenant.
fn key(dialect: Dialect, rest: &str, variables: &[(&str, &str)]) -> SourceKey {
    let sources = Sources::new(Environment::from_pairs(variables.iter().copied()));
    let source = sources.source(&auth(dialect, rest), &Cloud::Public);
    let source = source.unwrap_or_else(|error| panic!("{rest}: {error}: {:?}", error.reason()));
    source.key()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn each_string_reaches_its_source_with_the_right_identity() {
    use Dialect::{AdoNet, Jdbc, Odbc, SqlServerUrl};
    let web = [
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/"),
        ("IDENTITY_HEADER", "h"),
    ];
    let tenant = [("AZURE_TENANT_ID", "t.example")];
    let principal = [
        ("AZURE_TENANT_ID", "t.example"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "s"),
    ];
    let none: [(&str, &str); 0] = [];
    let cases: &[Case<'_>] = &[
        (
            AdoNet,
            "Authentication=Active Directory MSI;UID=c",
            &none,
            ["IMDS", "client id c", ""],
        ),
        (
            AdoNet,
            "Authentication=Active Directory MSI",
            &none,
            ["IMDS", "system-assigned", ""],
        ),
        (
            AdoNet,
            "Authentication=Active Directory MSI;UID=c",
            &web,
            ["App Service", "client id c", ""],
        ),
        (
            Jdbc,
            "authentication=ActiveDirectoryMSI;msiClientId=c",
            &none,
            ["IMDS", "client id c", ""],
        ),
        (
            SqlServerUrl,
            "fedauth=ActiveDirectoryMSI;resource+id=/subscriptions/x",
            &none,
            ["IMDS", "resource id /subscriptions/x", ""],
        ),
        (
            Odbc,
            "Authentication=EntradaManagedIdentity;EntradaObjectId=o",
            &none,
            ["IMDS", "object id o", ""],
        ),
        (
            AdoNet,
            "Authentication=Active Directory Service Principal;UID=c;PWD=s",
            &tenant,
            ["service principal (secret)", "client id c", "t.example"],
        ),
        (
            Odbc,
            "Authentication=ActiveDirectoryServicePrincipal;UID=c;PWD=s;EntradaTenantId=u.example",
            &tenant,
            ["service principal (secret)", "client id c", "u.example"],
        ),
        (
            SqlServerUrl,
            "fedauth=ActiveDirectoryServicePrincipal;user+id=c@v.example;password=s",
            &tenant,
            ["service principal (secret)", "client id c", "v.example"],
        ),
        (
            SqlServerUrl,
            "fedauth=ActiveDirectoryClientAssertion;user+id=c@v.example;clientassertion=a",
            &none,
            ["service principal (assertion)", "client id c", "v.example"],
        ),
        (
            AdoNet,
            "Authentication=EntradaEnvironment",
            &principal,
            ["service principal (secret)", "client id c", "t.example"],
        ),
        (
            SqlServerUrl,
            "fedauth=ActiveDirectoryWorkloadIdentity;user+id=c@v.example;tokenfilepath=/f",
            &none,
            ["workload identity", "client id c", "v.example"],
        ),
        (
            AdoNet,
            "Authentication=EntradaFederated;Entrada Client ID=c;Entrada Federated Token=file:/f",
            &tenant,
            ["federated credential (file)", "client id c", "t.example"],
        ),
    ];
    for (dialect, rest, variables, [kind, identity, tenant]) in cases {
        let key = key(*dialect, rest, variables);
        assert_eq!(
            (key.source(), key.identity(), key.tenant()),
            (*kind, *identity, *tenant),
            "{rest}"
        );
    }
    // The driver's two readings of UID, each under the name of the place.
    for variables in [&none[..], &web[..]] {
        let key = key(
            Odbc,
            "Authentication=ActiveDirectoryMsi;UID=the-id",
            variables,
        );
        assert!(key.identity().ends_with("id the-id"), "{key}");
    }
}
