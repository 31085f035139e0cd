//! Tests of the way from a connection string to a target.

use std::time::Duration;

use super::*;
use crate::conn_string::Dialect;
use crate::secret::Secret;

fn target(text: &str) -> Target {
    Target::parse(text).unwrap()
}

fn odbc(rest: &str) -> Result<Target, TargetError> {
    let text = format!("Driver={{ODBC Driver 18 for SQL Server}};Server=h;{rest}");
    Target::try_from(&ConnectionString::parse_as(&text, Dialect::Odbc)?)
}

fn auth(text: &str) -> Auth {
    target(text).auth
}

fn client(id: &str) -> Auth {
    Auth::ManagedIdentity(Identity::ClientId(id.to_owned()))
}

#[test]
fn user_id_of_a_managed_identity_is_what_the_driver_takes_it_for() {
    assert_eq!(
        auth("Server=h;Authentication=Active Directory MSI;User ID=c"),
        client("c")
    );
    let by_odbc = odbc("UID=c;Authentication=ActiveDirectoryMsi")
        .unwrap()
        .auth;
    assert_eq!(
        by_odbc,
        Auth::ManagedIdentity(Identity::ClientOrObjectId("c".to_owned()))
    );
    let jdbc = "jdbc:sqlserver://h;authentication=ActiveDirectoryMSI;msiClientId=m";
    assert_eq!(auth(jdbc), client("m"));
    assert_eq!(auth(&format!("{jdbc};user=u")), client("u"));
    assert_eq!(
        auth("sqlserver://c%40t@h?fedauth=ActiveDirectoryMSI"),
        client("c")
    );
    let by_resource = auth("sqlserver://c@h?fedauth=activedirectorymsi&resource+id=/r");
    assert_eq!(
        by_resource,
        Auth::ManagedIdentity(Identity::ResourceId("/r".to_owned()))
    );
    let system = auth("sqlserver://h?fedauth=ActiveDirectoryManagedIdentity");
    assert_eq!(system, Auth::ManagedIdentity(Identity::SystemAssigned));
}

#[test]
fn service_principals_come_with_secret_or_certificate() {
    let (id, secret) = (|| "c".to_owned(), || Secret::new("s"));
    let by_secret = |tenant| Auth::ServicePrincipalSecret {
        client_id: id(),
        tenant,
        secret: secret(),
    };
    assert_eq!(
        auth("Server=h;Authentication=ActiveDirectoryServicePrincipal;User=c;PWD=s"),
        by_secret(None)
    );
    let url = "sqlserver://h?fedauth=ActiveDirectoryApplication&user+id=c@t&password=s";
    assert_eq!(auth(url), by_secret(Some("t".to_owned())));
    let old = "jdbc:sqlserver://h;authentication=ActiveDirectoryServicePrincipal;\
               AADSecurePrincipalId=c;AADSecurePrincipalSecret=s";
    assert_eq!(auth(old), by_secret(None));
    let by_certificate = Auth::ServicePrincipalCertificate {
        client_id: id(),
        tenant: None,
        certificate: "/c.pem".into(),
        key: Some("/c.key".into()),
        password: Some(secret()),
    };
    let jdbc = "jdbc:sqlserver://h;authentication=ActiveDirectoryServicePrincipalCertificate;user=c;\
                clientCertificate=/c.pem;clientKey=/c.key;clientKeyPassword=s";
    assert_eq!(auth(jdbc), by_certificate);
}

#[test]
fn other_methods_find_their_place() {
    let default = |client_id| Auth::Default { client_id };
    assert_eq!(
        auth("Server=h;Authentication=Active Directory Default"),
        default(None)
    );
    let named = "Server=h;Authentication=Active Directory Default;User ID=c";
    assert_eq!(auth(named), default(Some("c".to_owned())));
    assert_eq!(
        auth("sqlserver://c@h?fedauth=ActiveDirectoryDefault"),
        default(None)
    );
    assert_eq!(
        auth("sqlserver://h?fedauth=ActiveDirectoryAzCli"),
        Auth::AzureCli { tenant: None }
    );
    assert_eq!(
        auth("Server=h;Authentication=ActiveDirectoryIntegrated"),
        Auth::Integrated
    );
    let token = auth("sqlserver://h?fedauth=ActiveDirectoryServicePrincipalAccessToken&password=t");
    assert_eq!(token, Auth::AccessToken(Secret::new("t")));
    let workload =
        auth("sqlserver://c%40t@h?fedauth=ActiveDirectoryWorkloadIdentity&tokenfilepath=/f");
    let expected = Auth::WorkloadIdentity {
        client_id: Some("c".to_owned()),
        tenant: Some("t".to_owned()),
        token_file: Some("/f".into()),
    };
    assert_eq!(workload, expected);
}

#[test]
fn methods_that_need_a_person_name_the_alternative() {
    for text in [
        "Server=h;Authentication=Active Directory Interactive",
        "Server=h;Authentication=Active Directory Device Code Flow",
        "Server=h;Authentication=Active Directory Password;User ID=u;Password=p",
        "sqlserver://h?fedauth=ActiveDirectoryDeviceCode",
        "sqlserver://h?fedauth=ActiveDirectoryOnBehalfOf&userassertion=a",
    ] {
        let error = Target::parse(text).unwrap_err();
        assert!(
            matches!(error, TargetError::Method { .. }),
            "{text}: {error:?}"
        );
        assert!(error.to_string().contains("use ") || error.to_string().contains("callback"));
    }
    assert_eq!(
        Target::parse("Server=h;Integrated Security=SSPI").unwrap_err(),
        TargetError::IntegratedSecurity
    );
    assert_eq!(
        Target::parse("Server=h;Initial Catalog=d").unwrap_err(),
        TargetError::NoIdentity
    );
}

#[test]
fn only_tcp_is_a_way_to_the_server() {
    for text in [
        r"Server=(localdb)\v;User=u",
        "Server=np:h;User=u",
        "Server=admin:h;User=u",
    ] {
        let error = Target::parse(text).unwrap_err();
        assert!(
            matches!(error, TargetError::Protocol { .. }),
            "{text}: {error:?}"
        );
    }
    let azure = r"Server=a.database.windows.net\i;User=u";
    assert_eq!(
        Target::parse(azure).unwrap_err(),
        TargetError::InstanceOnAzure
    );
    assert_eq!(
        target(r"Server=h\i;User=u").server,
        Server::with_instance("h", "i")
    );
    assert_eq!(target("sqlserver://u@[::1]").server, Server::new("::1"));
    assert_eq!(
        target("Server=tcp:h,5;User=u").server,
        Server::with_port("h", 5)
    );
}

#[test]
fn a_token_means_verified_tls_whatever_the_string_says() {
    let weak =
        "Server=h;Authentication=Active Directory MSI;Encrypt=no;Trust Server Certificate=true";
    let weak = target(weak);
    assert_eq!(weak.tls, TlsPolicy::default());
    let noted: Vec<_> = weak.notes().iter().map(|note| note.keyword).collect();
    assert_eq!(noted, ["Encrypt", "Trust Server Certificate"]);
    let go = target("sqlserver://h?fedauth=ActiveDirectoryMSI");
    assert_eq!(go.tls, TlsPolicy::default());
    assert_eq!(go.notes().len(), 1);
    let off = target("sqlserver://h?fedauth=ActiveDirectoryMSI&encrypt=disable");
    assert_eq!(off.tls.encrypt, Encrypt::Mandatory);
    let strict =
        target("Server=h;Authentication=Active Directory MSI;Encrypt=strict;ServerCertificate=/c");
    assert_eq!(strict.tls.encrypt, Encrypt::Strict);
    assert_eq!(
        strict.tls.server_certificate.as_deref(),
        Some("/c".as_ref())
    );
    assert!(strict.notes().is_empty());
}

#[test]
fn a_sql_login_gets_the_tls_it_asks_for() {
    let trusting = target("Server=h;User=u;Password=p;Trust Server Certificate=yes");
    assert!(trusting.tls.trust_server_certificate);
    assert_eq!(trusting.tls.encrypt, Encrypt::Mandatory);
    let go = target("sqlserver://u:p@h");
    assert!(go.tls.trust_server_certificate);
    assert_eq!((go.tls.encrypt, go.notes().len()), (Encrypt::Optional, 1));
}

#[test]
fn times_and_retries_follow_the_dialect() {
    let limits = |text: &str| target(text).limits;
    let azure = limits("Server=a.database.windows.net;User=u;Connect Retry Count=1");
    assert_eq!(
        (azure.connect_retry_count, azure.connect_timeout),
        (2, Some(Duration::from_secs(15)))
    );
    assert_eq!(
        limits("Server=h;User=u;Connect Timeout=0").connect_timeout,
        None
    );
    assert_eq!(
        limits("jdbc:sqlserver://h;user=u;loginTimeout=0").connect_timeout,
        Some(Duration::from_secs(30))
    );
    assert_eq!(
        limits("sqlserver://u@h?dial+timeout=5").connect_timeout,
        Some(Duration::from_secs(5))
    );
    assert_eq!(
        limits("Server=h;User=u").command_timeout,
        Some(Duration::from_secs(30))
    );
    assert_eq!(limits("jdbc:sqlserver://h;user=u").command_timeout, None);
}

#[test]
fn absurd_times_are_cut_to_what_a_clock_and_a_socket_take() {
    let absurd = target(
        "sqlserver://u@h?connection+timeout=9223372036854775807&keepalive=9223372036854775807",
    );
    let years = absurd.limits.connect_timeout.unwrap().as_secs() / (365 * 24 * 3600);
    assert_eq!(
        (years, absurd.login.keep_alive),
        (68, Some(Duration::from_secs(32767)))
    );
    let never = target("sqlserver://u@h?keepalive=0").login.keep_alive;
    assert_eq!(never, None);
}

#[test]
fn pooling_keywords_become_defaults() {
    let text = "Server=h;User=u;Pooling=no;Max Pool Size=7;Min Pool Size=2;Connection Lifetime=60;\
                Connection Idle Timeout=0;Pool Blocking Period=NeverBlock";
    let expected = PoolDefaults {
        enabled: false,
        max_size: 7,
        min_size: 2,
        lifetime: Some(Duration::from_secs(60)),
        idle_timeout: None,
        blocking: PoolBlocking::Never,
    };
    assert_eq!(target(text).pool, expected);
    assert_eq!(target("Server=h;User=u").pool, PoolDefaults::default());
}

#[test]
fn what_the_odbc_driver_would_lose_is_refused_if_it_decides() {
    let lost = |rest: &str| match odbc(rest) {
        Err(TargetError::LostSetting { keyword, .. }) => keyword,
        other => panic!("{rest}: {other:?}"),
    };
    assert_eq!(lost("UID=u;PWD={p}x;Encrypt=strict"), "Encrypt");
    assert_eq!(lost("bogus;UID=u;PWD=p"), "User ID");
    assert_eq!(
        lost("UID=u;PWD={p;TrustServerCertificate=no"),
        "Trust Server Certificate"
    );
    assert!(odbc("UID=u;PWD={p}x;Database=d").is_ok());
}

#[test]
fn a_token_of_the_caller_stands_alone() {
    let read = |text| ConnectionString::parse(text).unwrap();
    let plain = read("Server=h;Database=d;Encrypt=optional");
    let target = Target::with_auth(&plain, Auth::Callback).unwrap();
    assert_eq!(target.tls.encrypt, Encrypt::Mandatory);
    let two = Target::with_auth(&read("Server=h;User ID=u"), Auth::Callback).unwrap_err();
    assert_eq!(two, TargetError::TwoIdentities { keyword: "User ID" });
}

#[test]
fn an_identity_is_not_dropped_by_a_method_that_cannot_be_asked_for_it() {
    for method in ["Active Directory Default", "Entrada Azure CLI"] {
        for id in ["Entrada Resource ID=/r", "Entrada Object ID=o"] {
            let text = format!("Server=h;Authentication={method};{id}");
            let error = ConnectionString::parse(&text).unwrap_err().to_string();
            assert!(error.contains("Authentication"), "{text}: {error}");
        }
    }
    let asked = target("Server=h;Authentication=Active Directory MSI;Entrada Resource ID=/r").auth;
    assert_eq!(
        asked,
        Auth::ManagedIdentity(Identity::ResourceId("/r".into()))
    );
}

#[test]
fn what_is_asked_in_vain_is_noted() {
    let noted = odbc("Authentication=ActiveDirectoryMsi;PWD=p;MARS_Connection=yes").unwrap();
    let keywords: Vec<_> = noted.notes().iter().map(|note| note.keyword).collect();
    assert_eq!(keywords, ["Password", "Multiple Active Result Sets"]);
    let go = target("sqlserver://h?fedauth=ActiveDirectoryAzCli&resource+id=/r");
    let keywords: Vec<_> = go.notes().iter().map(|note| note.keyword).collect();
    assert_eq!(keywords, ["Encrypt", "Resource ID"]);
    let quiet =
        target("Server=h;User=u;MultipleActiveResultSets=False;Column Encryption Setting=Disabled");
    assert!(quiet.notes().is_empty());
}
