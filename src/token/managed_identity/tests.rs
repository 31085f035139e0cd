//! Which identity is asked for on which platform, and what is said when it is not there.

use std::io;
use std::sync::Mutex;

use super::super::http::Transport;
use super::super::testing::{Answer, ScriptedHttp};
use super::*;
use crate::target::IdentityPlatform as P;

const NOT_FOUND: &str = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;

const ID: &str = "11111111-2222-3333-4444-555555555555";

fn sources(env: &Environment, script: Vec<Answer>) -> (Sources, Arc<ScriptedHttp>) {
    let http = Arc::new(ScriptedHttp::new(script));
    let mut sources = Sources::new(env.clone());
    sources.local = Arc::clone(&http) as Arc<dyn Transport>;
    sources.arc_key_folder = Some("/keys".into());
    (sources, http)
}

fn source(
    env: &Environment,
    identity: Identity,
    script: Vec<Answer>,
) -> (ManagedIdentity, Arc<ScriptedHttp>) {
    let (sources, http) = sources(env, script);
    let source = ManagedIdentity::from_sources(identity, None, &sources);
    (source.unwrap(), http)
}

fn vm() -> Environment {
    Environment::from_pairs::<String, String>([])
}

fn app() -> Environment {
    Environment::from_pairs([("IDENTITY_ENDPOINT", "http://h/"), ("IDENTITY_HEADER", "s")])
}

/// An environment that every platform can be named in.
fn everything() -> Environment {
    Environment::from_pairs([
        ("IDENTITY_ENDPOINT", "https://h/"),
        ("IDENTITY_HEADER", "s"),
        (
            "IDENTITY_SERVER_THUMBPRINT",
            "0000000000000000000000000000000000000000",
        ),
        ("MSI_ENDPOINT", "http://m/"),
        ("MSI_SECRET", "s"),
    ])
}

fn queries(http: &ScriptedHttp) -> Vec<String> {
    let last = |url: &url::Url| url.query().unwrap().rsplit('&').next().unwrap().to_owned();
    http.seen()
        .iter()
        .map(|(_, request)| last(&request.url))
        .collect()
}

#[tokio::test]
async fn on_a_vm_an_odbc_uid_is_an_object_id_and_else_a_client_id() {
    let script = vec![
        Answer::json(400, NOT_FOUND),
        Answer::token("t", 60),
        Answer::token("u", 60),
    ];
    let (source, http) = source(&vm(), Identity::ClientOrObjectId("id".into()), script);
    let resource = Resource::new("r");
    source.token(&resource).await.unwrap();
    source.token(&resource).await.unwrap();
    assert_eq!(
        queries(&http),
        ["object_id=id", "client_id=id", "client_id=id"]
    );
}

#[tokio::test]
async fn on_app_service_it_is_a_client_id_and_else_an_object_id() {
    let body = r#"{"statusCode":400,"message":"No Managed Identity found for specified ClientId"}"#;
    let script = vec![Answer::json(400, body), Answer::token("t", 60)];
    let (source, http) = source(&app(), Identity::ClientOrObjectId("id".into()), script);
    source.token(&Resource::new("r")).await.unwrap();
    assert_eq!(queries(&http), ["client_id=id", "principal_id=id"]);
}

#[tokio::test]
async fn if_neither_matches_the_error_names_the_id() {
    let script = vec![Answer::json(400, NOT_FOUND); 2];
    let (source, _) = source(&vm(), Identity::ClientOrObjectId("the-id".into()), script);
    let error = source.token(&Resource::new("r")).await.unwrap_err();
    let reason = error.reason().unwrap().to_string();
    assert!(reason.contains("client or object id the-id"), "{reason}");
}

#[tokio::test]
async fn another_failure_does_not_lead_to_another_identity() {
    let script = vec![Answer::json(401, r#"{"error":"access_denied"}"#)];
    let (source, http) = source(&vm(), Identity::ClientOrObjectId("id".into()), script);
    assert!(source.token(&Resource::new("r")).await.is_err());
    assert_eq!(http.seen().len(), 1);
}

#[tokio::test]
async fn an_object_id_given_as_a_client_id_is_explained() {
    // {"appid":"the-client"}
    let jwt = "e30.eyJhcHBpZCI6InRoZS1jbGllbnQifQ.MARKER";
    for env in [vm(), app()] {
        let script = vec![Answer::json(400, NOT_FOUND), Answer::token(jwt, 60)];
        let (source, http) = source(&env, Identity::ClientId(ID.into()), script);
        let error = source.token(&Resource::new("r")).await.unwrap_err();
        let reason = error.reason().unwrap();
        let FetchError::Platform(PlatformError::WrongKindOfId { is, client_id, .. }) = reason
        else {
            panic!("{reason:?}");
        };
        assert_eq!(
            (*is, client_id.as_deref()),
            ("object id", Some("the-client"))
        );
        assert!(reason.to_string().contains("User ID"), "{reason}");
        assert!(!format!("{error:?}").contains("MARKER"));
        assert_eq!(http.seen().len(), 2);
    }
    let script = vec![Answer::json(400, NOT_FOUND), Answer::token("opaque", 60)];
    let (source, _) = source(&vm(), Identity::ObjectId(ID.into()), script);
    let error = source.token(&Resource::new("r")).await.unwrap_err();
    let text = error.reason().unwrap().to_string();
    assert!(text.contains("give it as the client id"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_nowhere_comes_with_what_it_could_be() {
    for (id, hint) in [
        (ID, "SqlClient, JDBC and Go"),
        ("my-identity", "GUID"),
        ("/subscriptions/s", "resource id"),
    ] {
        // Nobody answers the second question in time, if it is asked at all.
        let mut script = vec![Answer::json(400, NOT_FOUND)];
        script.extend(vec![Answer::status(503); 6]);
        let (source, http) = source(&vm(), Identity::ClientId(id.into()), script);
        let error = source.token(&Resource::new("r")).await.unwrap_err();
        let reason = error.reason().unwrap();
        assert!(
            matches!(reason, FetchError::IdentityNotFound { .. }),
            "{reason:?}"
        );
        assert!(reason.to_string().contains(hint), "{reason}");
        assert_eq!(http.seen().len() > 1, id == ID);
    }
}

#[test]
fn identities_and_platforms_have_keys_of_their_own() {
    let key = |env: &Environment, identity| source(env, identity, Vec::new()).0.key();
    let keys = [
        key(&vm(), Identity::SystemAssigned),
        key(&vm(), Identity::ClientId("a".into())),
        key(&vm(), Identity::ClientId("b".into())),
        key(&vm(), Identity::ObjectId("a".into())),
        key(&vm(), Identity::ResourceId("a".into())),
        key(&vm(), Identity::ClientOrObjectId("a".into())),
        key(&app(), Identity::ClientId("a".into())),
    ];
    for (i, a) in keys.iter().enumerate() {
        assert!(keys.iter().skip(i + 1).all(|b| a != b), "{a:?}");
    }
    assert_eq!(keys[1].to_string(), "IMDS (client id a)");
    assert!(keys[0].chosen_by().contains("no variable"));
    assert!(keys[6].chosen_by().contains("IDENTITY_HEADER"));
}

#[test]
fn an_id_that_a_platform_cannot_be_asked_by_is_an_error_before_any_call() {
    let kinds = [
        Identity::ClientId("i".into()),
        Identity::ObjectId("i".into()),
        Identity::ResourceId("i".into()),
        Identity::ClientOrObjectId("i".into()),
    ];
    for (platform, honoured) in [
        (P::AppService, [true, true, true, true]),
        (P::AppService2017, [true, false, false, true]),
        (P::Arc, [true, true, true, true]),
        (P::Automation, [true, true, true, true]),
        (P::CloudShell, [false, false, false, false]),
        (P::ContainerInstancesWindows, [false, true, false, true]),
        (P::Imds, [true, true, true, true]),
        (P::MachineLearning, [true, false, false, true]),
        (P::ServiceFabric, [false, false, false, false]),
    ] {
        let (sources, http) = sources(&everything(), Vec::new());
        let none =
            ManagedIdentity::from_sources(Identity::SystemAssigned, Some(platform), &sources);
        assert_eq!(none.unwrap().key().chosen_by(), "the platform was named");
        for (identity, honoured) in kinds.iter().zip(honoured) {
            let made = ManagedIdentity::from_sources(identity.clone(), Some(platform), &sources);
            assert_eq!(made.is_ok(), honoured, "{platform:?} {identity:?}");
            if let Err(error) = made {
                let reason = error.reason().unwrap().to_string();
                assert!(
                    reason.contains(platform.name()) && reason.contains(" id"),
                    "{reason}"
                );
                assert!(!error.is_transient());
            }
        }
        assert!(http.seen().is_empty());
    }
}

#[test]
fn platforms_are_made_from_their_variables_and_never_mixed_up() {
    for (pairs, platform, address) in [
        (
            vec![("MSI_ENDPOINT", "http://m/x?y")],
            P::CloudShell,
            "http://m/x",
        ),
        (
            vec![("MSI_ENDPOINT", "http://m/"), ("MSI_SECRET", "s")],
            P::MachineLearning,
            "http://m/",
        ),
        (
            vec![
                ("IDENTITY_ENDPOINT", "http://a/"),
                ("IMDS_ENDPOINT", "http://i/"),
            ],
            P::Arc,
            "http://a/",
        ),
        (
            vec![
                ("MSI_ENDPOINT", "http://m/"),
                ("AUTOMATION_ASSET_ACCOUNTID", "a"),
            ],
            P::Automation,
            "http://m/",
        ),
    ] {
        let (source, _) = source(
            &Environment::from_pairs(pairs),
            Identity::SystemAssigned,
            vec![],
        );
        let key = source.key();
        assert_eq!((key.source(), key.authority()), (platform.name(), address));
    }
    let (source, _) = source(
        &vm().with_file("/opt/azcmagent/bin/himds"),
        Identity::SystemAssigned,
        vec![],
    );
    if cfg!(target_os = "linux") {
        let address = "http://127.0.0.1:40342/metadata/identity/oauth2/token";
        assert_eq!(source.key().authority(), address);
    }
}

#[test]
fn what_only_a_variable_tells_is_part_of_the_key() {
    let key = |pairs: [(&str, &str); 3]| {
        let env = Environment::from_pairs(pairs);
        source(&env, Identity::SystemAssigned, vec![]).0.key()
    };
    let learning = |id| {
        key([
            ("MSI_ENDPOINT", "http://m/"),
            ("MSI_SECRET", "s"),
            ("DEFAULT_IDENTITY_CLIENT_ID", id),
        ])
    };
    assert_eq!(learning("a"), learning("a"));
    assert_ne!(learning("a"), learning("b"));
    let app = |address, secret| {
        key([
            ("IDENTITY_ENDPOINT", address),
            ("IDENTITY_HEADER", secret),
            ("UNUSED", ""),
        ])
    };
    assert_ne!(app("http://h/?app=1", "s"), app("http://h/?app=2", "s"));
    assert_ne!(app("http://h/", "MARKER"), app("http://h/", "s"));
    assert!(!format!("{:?}", app("http://h/", "MARKER")).contains("MARKER"));
}

#[test]
fn unusable_variables_are_named_when_the_source_is_made() {
    for (platform, name, value) in [
        (P::AppService, "IDENTITY_ENDPOINT", "localhost:1"),
        (P::AppService, "IDENTITY_ENDPOINT", ""),
        (P::CloudShell, "MSI_ENDPOINT", "nonsense"),
        (P::Imds, AUTHORITY_HOST, "file:///etc"),
        (P::ServiceFabric, "IDENTITY_ENDPOINT", "http://h/"),
        (P::ServiceFabric, "IDENTITY_SERVER_THUMBPRINT", "12 34"),
        (P::ServiceFabric, "IDENTITY_SERVER_THUMBPRINT", ""),
    ] {
        let thumbprint = "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33";
        let env = Environment::from_pairs([
            ("IDENTITY_ENDPOINT", "https://h/"),
            ("IDENTITY_SERVER_THUMBPRINT", thumbprint),
            (name, value),
        ]);
        let (sources, _) = sources(&env, Vec::new());
        let made =
            ManagedIdentity::from_sources(Identity::SystemAssigned, Some(platform), &sources);
        let error = made.unwrap_err();
        let reason = error.reason().unwrap().to_string();
        assert!(reason.contains(name), "{reason}");
    }
}

#[tokio::test]
async fn a_token_that_names_another_resource_is_refused() {
    let jwt = |owner: &str| {
        use base64::Engine as _;
        let claims = format!(r#"{{"xms_mirid":"{owner}"}}"#);
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
        format!("e30.{claims}.s")
    };
    let asked = "/subscriptions/s/resourceGroups/g/providers/x/userAssignedIdentities/n/";
    for (owner, is_it) in [
        (
            "/subscriptions/s/resourcegroups/g/providers/x/userassignedidentities/N",
            true,
        ),
        (
            "/subscriptions/s/resourcegroups/g/providers/x/userassignedidentities/m",
            false,
        ),
        (
            "/subscriptions/s/resourcegroups/g/providers/x/virtualMachines/n",
            false,
        ),
    ] {
        let identity = Identity::ResourceId(asked.into());
        let (source, _) = source(&vm(), identity, vec![Answer::token(&jwt(owner), 60)]);
        let got = source.token(&Resource::new("r")).await;
        assert_eq!(got.is_ok(), is_it, "{owner}");
        if let Err(error) = got {
            let reason = error.reason().unwrap();
            assert!(
                matches!(reason, FetchError::WrongIdentity { .. }),
                "{reason:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_vm_with_no_named_identity_is_warned_about_once() {
    let jwt = |owner: &str| {
        use base64::Engine as _;
        let claims = format!(r#"{{"xms_mirid":"{owner}"}}"#);
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
        format!("e30.{claims}.s")
    };
    let assigned = jwt("/x/providers/Microsoft.ManagedIdentity/userAssignedIdentities/n");
    let own = jwt("/x/providers/Microsoft.Compute/virtualMachines/v");
    for (token, identity, warnings) in [
        ("opaque", Identity::SystemAssigned, 1),
        (&assigned, Identity::SystemAssigned, 1),
        (&own, Identity::SystemAssigned, 0),
        ("opaque", Identity::ClientId("c".into()), 0),
    ] {
        let log = Log::default();
        // With a single subscriber in the process, whichever thread meets a line of code first decides
        // for all whether it is logged; a second one makes `tracing` ask all.
        let _second = tracing::Dispatch::new(tracing_subscriber::registry());
        let _guard = tracing::subscriber::set_default(
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::WARN)
                .with_writer(log.clone())
                .finish(),
        );
        let (source, _) = source(&vm(), identity, vec![Answer::token(token, 60); 2]);
        source.token(&Resource::new("r")).await.unwrap();
        source.token(&Resource::new("r")).await.unwrap();
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(
            text.matches("no managed identity was named").count(),
            warnings
        );
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
