//! The emulator's endpoints of Azure's platforms, asked over HTTP by a client that knows nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use entrada::Secret;
use entrada::emulator::{
    Emulator, EmulatorBuilder, EntraKind, ExpiresOn, ManagedIdentity, Platform, RequestKind,
};
use reqwest::{Certificate, Client, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::raw_client::{Form, RawClient, soon, token_login};

const SQL: &str = "https://database.windows.net/";
const RESOURCE: (&str, &str) = ("resource", SQL);
const NOBODY: &str = "00000000-0000-0000-0000-00000000dead";

/// What a platform's clients send, beside a resource and a selector.
struct Protocol {
    platform: Platform,
    version: Option<&'static str>,
    header: Option<&'static str>,
    metadata: bool,
    post: bool,
}

const PROTOCOLS: [Protocol; 9] = [
    get(Platform::Imds, Some("2018-02-01"), None, true),
    get(
        Platform::AppService,
        Some("2019-08-01"),
        Some("X-IDENTITY-HEADER"),
        false,
    ),
    get(
        Platform::AppService2017,
        Some("2017-09-01"),
        Some("secret"),
        false,
    ),
    get(Platform::Arc, Some("2020-06-01"), None, true),
    get(
        Platform::ServiceFabric,
        Some("2019-07-01-preview"),
        Some("Secret"),
        false,
    ),
    Protocol {
        post: true,
        ..get(Platform::CloudShell, None, None, true)
    },
    get(
        Platform::MachineLearning,
        Some("2017-09-01"),
        Some("secret"),
        false,
    ),
    get(Platform::Automation, None, Some("X-IDENTITY-HEADER"), true),
    get(
        Platform::ContainerInstancesWindows,
        None,
        Some("secret"),
        false,
    ),
];

const fn get(
    platform: Platform,
    version: Option<&'static str>,
    header: Option<&'static str>,
    metadata: bool,
) -> Protocol {
    Protocol {
        platform,
        version,
        header,
        metadata,
        post: false,
    }
}

fn protocol(platform: Platform) -> &'static Protocol {
    let mut all = PROTOCOLS.iter();
    all.find(|protocol| protocol.platform == platform).unwrap()
}

/// An emulator and a folder of its own for Azure Arc's keys.
struct Running {
    emulator: Emulator,
    folder: tempfile::TempDir,
    client: Client,
}

async fn running() -> Running {
    with(|builder| builder).await
}

async fn with(more: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let builder = Emulator::builder().arc_tokens(folder.path().join("agent/tokens"));
    let emulator = more(builder).start().await.unwrap();
    let ca = Certificate::from_pem(emulator.ca_certificate_pem().as_bytes()).unwrap();
    let client = Client::builder()
        .no_proxy()
        .tls_certs_only([ca])
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    Running {
        emulator,
        folder,
        client,
    }
}

impl Running {
    fn variables(&self, platform: Platform) -> BTreeMap<String, String> {
        let pairs = self.emulator.platform_environment(platform);
        pairs.into_iter().collect()
    }

    fn endpoint(&self, platform: Platform) -> String {
        let variables = self.variables(platform);
        let imds = || {
            let host = &variables["AZURE_POD_IDENTITY_AUTHORITY_HOST"];
            format!("{host}/metadata/identity/oauth2/token")
        };
        let named = variables.get("IDENTITY_ENDPOINT");
        named
            .or_else(|| variables.get("MSI_ENDPOINT"))
            .cloned()
            .unwrap_or_else(imds)
    }

    /// A request as the platform's documentation has it, with these parameters beside the version.
    fn request(&self, platform: Platform, parameters: &[(&str, &str)]) -> RequestBuilder {
        let protocol = protocol(platform);
        let version = protocol.version.map(|version| ("api-version", version));
        let all: Vec<_> = version
            .into_iter()
            .chain(parameters.iter().copied())
            .collect();
        let url = self.endpoint(platform);
        let mut request = match protocol.post {
            true => self.client.post(url).form(&all),
            false => self.client.get(url).query(&all),
        };
        if protocol.metadata {
            request = request.header("Metadata", "true");
        }
        if let Some(name) = protocol.header {
            let variables = self.variables(platform);
            let secret = variables
                .get("IDENTITY_HEADER")
                .or(variables.get("MSI_SECRET"));
            request = request.header(name, secret.unwrap());
        }
        request
    }

    /// The answer to it, Azure Arc's challenge taken.
    async fn ask(&self, platform: Platform, parameters: &[(&str, &str)]) -> (StatusCode, Value) {
        let request = self.request(platform, parameters);
        if platform != Platform::Arc {
            return json(request).await;
        }
        let key = std::fs::read_to_string(self.challenge(request).await).unwrap();
        let again = self.request(platform, parameters);
        json(again.header("Authorization", format!("Basic {key}"))).await
    }

    /// The path that the challenge names.
    async fn challenge(&self, request: RequestBuilder) -> PathBuf {
        let told = told(request).await.unwrap();
        PathBuf::from(told.strip_prefix("Basic realm=").unwrap())
    }

    fn selected(&self, platform: Platform) -> Option<(&'static str, String)> {
        let worker = &self.emulator.identities()[1];
        Some(match platform {
            Platform::CloudShell => return None,
            Platform::AppService2017 | Platform::MachineLearning => {
                ("clientid", worker.client_id.to_string())
            }
            Platform::ContainerInstancesWindows | Platform::ServiceFabric => {
                ("principalId", worker.object_id.to_string())
            }
            _ => ("client_id", worker.client_id.to_string()),
        })
    }
}

/// The header of a 401.
async fn told(request: RequestBuilder) -> Option<String> {
    let response = soon("the challenge", request.send()).await.unwrap();
    assert_eq!(response.status(), 401);
    let value = response.headers().get("www-authenticate")?;
    Some(value.to_str().unwrap().to_owned())
}

async fn json(request: RequestBuilder) -> (StatusCode, Value) {
    let response = soon("the endpoint", request.send()).await.unwrap();
    (response.status(), response.json().await.unwrap())
}

fn claims(body: &Value) -> Value {
    use base64::Engine as _;
    let token = body["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("no token: {body}"));
    let claims = token.split('.').nth(1).unwrap();
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    serde_json::from_slice(&engine.decode(claims).unwrap()).unwrap()
}

/// The code and the status of an error in whatever form.
fn refusal((status, body): &(StatusCode, Value)) -> (u16, String) {
    let places = [&body["error"]["code"], &body["error"], &body["message"]];
    let words = places.into_iter().find_map(Value::as_str);
    let words = words.unwrap_or_else(|| panic!("no error: {body}"));
    (status.as_u16(), words.to_owned())
}

#[tokio::test]
async fn every_platform_gives_a_token_to_whom_its_variables_lead() {
    let running = running().await;
    for platform in Platform::ALL {
        let machine = &running.emulator.identities()[0];
        let default = machine.client_id.to_string();
        let parameters = match platform {
            Platform::MachineLearning => vec![RESOURCE, ("clientid", default.as_str())],
            _ => vec![RESOURCE],
        };
        let (status, body) = running.ask(platform, &parameters).await;
        assert_eq!(status, 200, "{platform}: {body}");
        let claims = claims(&body);
        assert_eq!(
            (&claims["aud"], &body["resource"]),
            (&SQL.into(), &SQL.into())
        );
        assert_eq!(body["token_type"], "Bearer");
        match platform {
            Platform::CloudShell => assert_eq!(claims["appidacr"], "0"),
            _ => assert_eq!(claims["oid"], machine.object_id.to_string(), "{platform}"),
        }
    }
    let counters = running.emulator.counters();
    let counted = (
        counters.imds_requests,
        counters.app_service_requests,
        counters.other_platform_requests,
    );
    assert_eq!(counted, (1, 1, 8), "Azure Arc is asked twice");
    let seen: Vec<_> = (running.emulator.requests().into_iter())
        .filter_map(|request| match request.kind {
            RequestKind::Identity(request) => Some(request),
            _ => None,
        })
        .collect();
    let names: Vec<_> = seen.iter().map(|request| request.endpoint).collect();
    let mut wanted: Vec<_> = Platform::ALL.map(Platform::as_str).to_vec();
    wanted.insert(3, "arc");
    assert_eq!(names, wanted);
    assert!(
        seen.iter().all(|r| r.resource.as_deref() == Some(SQL)),
        "forms too: {seen:?}"
    );
    let shell = seen.iter().find(|r| r.endpoint == "cloud-shell").unwrap();
    assert_eq!((shell.method.as_str(), shell.status), ("POST", Some(200)));
}

#[tokio::test]
async fn a_user_assigned_identity_is_named_in_the_platforms_own_way() {
    let running = running().await;
    let worker = running.emulator.identities().remove(1);
    for platform in Platform::ALL {
        let Some((name, id)) = running.selected(platform) else {
            continue;
        };
        let (status, body) = running.ask(platform, &[RESOURCE, (name, &id)]).await;
        assert_eq!(status, 200, "{platform}: {body}");
        assert_eq!(
            claims(&body)["oid"],
            worker.object_id.to_string(),
            "{platform}"
        );
        let (status, body) = running.ask(platform, &[RESOURCE, (name, NOBODY)]).await;
        assert!(status.is_client_error(), "{platform}: {body}");
        // The same name twice is no request that any endpoint understands.
        let twice = running
            .ask(platform, &[RESOURCE, (name, &id), (name, &id)])
            .await;
        assert_eq!(refusal(&twice).0, 400, "{platform}");
    }
}

#[tokio::test]
async fn a_secret_that_was_rotated_or_is_missing_is_refused() {
    let running = running().await;
    for protocol in PROTOCOLS
        .iter()
        .filter(|protocol| protocol.header.is_some())
    {
        let platform = protocol.platform;
        let missing = running.client.get(running.endpoint(platform));
        let version = protocol.version.map(|version| ("api-version", version));
        let query: Vec<_> = version.into_iter().chain([RESOURCE]).collect();
        let missing = json(missing.query(&query).header("Metadata", "true")).await;
        let old = running.request(platform, &[RESOURCE]);
        running.emulator.rotate_secret(platform);
        let old = json(old).await;
        let (missing, old) = (refusal(&missing), refusal(&old));
        match platform {
            Platform::ServiceFabric => {
                assert_eq!(missing, (400, "SecretHeaderNotFound".into()));
                assert_eq!(old, (404, "ManagedIdentityNotFound".into()));
            }
            _ => assert_eq!((missing.0, old.0), (401, 401), "{platform}"),
        }
        let new = running.selected(platform).unwrap();
        let (status, body) = running.ask(platform, &[RESOURCE, (new.0, &new.1)]).await;
        assert_eq!(status, 200, "{platform}: {body}");
    }
}

#[tokio::test]
async fn arc_challenges_with_a_file_that_only_its_owner_reads_and_that_ends() {
    let running = running().await;
    let folder = running.emulator.arc_tokens_folder().unwrap();
    assert_eq!(folder, running.folder.path().join("agent/tokens"));
    let ask = || running.request(Platform::Arc, &[RESOURCE]);
    let first = running.challenge(ask()).await;
    let second = running.challenge(ask()).await;
    assert_ne!(first, second, "a fresh one for each challenge");
    assert_eq!(
        (first.parent(), first.extension()),
        (Some(&*folder), Some("key".as_ref()))
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&first).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let key = std::fs::read_to_string(&first).unwrap();
    let with_key = |key: &str| ask().header("Authorization", format!("Basic {key}"));
    assert_eq!(json(with_key(&key)).await.0, 200);
    // Whoever encodes it as for a user name and password, and whoever guesses, is challenged again.
    for wrong in ["Z3Vlc3NlZA==", "guessed"] {
        running.challenge(with_key(wrong)).await;
    }
    running.emulator.clock().advance(Duration::from_secs(600));
    running.challenge(with_key(&key)).await;
    assert!(!first.exists() && !second.exists(), "stale keys are gone");
    let bare = running.client.get(running.endpoint(Platform::Arc));
    let bare = json(bare.query(&[RESOURCE])).await;
    assert_eq!(refusal(&bare), (400, "invalid_request".into()));
    running.emulator.shutdown().await;
    assert_eq!(
        std::fs::read_dir(&folder).unwrap().count(),
        0,
        "no key stays behind"
    );
}

#[tokio::test]
async fn arc_echoes_the_selector_unless_the_agent_is_old() {
    let running = running().await;
    let [machine, worker] = &running.emulator.identities()[..] else {
        panic!("two identities");
    };
    let ids = [
        ("client_id", worker.client_id.to_string()),
        ("object_id", worker.object_id.to_string()),
        ("msi_res_id", worker.resource_id.clone()),
    ];
    for (name, id) in &ids {
        let (_, body) = running.ask(Platform::Arc, &[RESOURCE, (name, id)]).await;
        assert_eq!(body[name], id.as_str());
        assert_eq!(claims(&body)["oid"], worker.object_id.to_string());
    }
    let misnamed = [RESOURCE, ("mi_res_id", worker.resource_id.as_str())];
    let (_, body) = running.ask(Platform::Arc, &misnamed).await;
    assert_eq!(
        claims(&body)["oid"],
        machine.object_id.to_string(),
        "it is ignored"
    );
    let old = "arc:ignores-selector".parse().unwrap();
    running.emulator.faults().add(&old);
    for (name, id) in &ids {
        let (_, body) = running.ask(Platform::Arc, &[RESOURCE, (name, id)]).await;
        assert_eq!(body[name], Value::Null);
        assert_eq!(claims(&body)["oid"], machine.object_id.to_string());
    }
}

#[tokio::test]
async fn arcs_challenge_can_be_a_trap() {
    let running = running().await;
    let folder = running.emulator.arc_tokens_folder().unwrap();
    let ask = || running.request(Platform::Arc, &[RESOURCE]);
    let fault = |words: &str| running.emulator.faults().add(&words.parse().unwrap());
    // The key is good wherever it lies: a client that reads it gets a token.
    let works = async |path: &Path| {
        let key = std::fs::read_to_string(path).unwrap();
        let answer = json(ask().header("Authorization", format!("Basic {key}"))).await;
        assert_eq!(answer.0, 200);
        key.len()
    };
    fault("arc:outside*1");
    let outside = running.challenge(ask()).await;
    assert!(!outside.starts_with(running.folder.path()), "{outside:?}");
    works(&outside).await;
    fault("arc:dot-dot*1");
    let dotted = running.challenge(ask()).await;
    assert!(dotted.starts_with(folder.join("..")), "{dotted:?}");
    works(&dotted).await;
    fault("arc:txt*1");
    let text = running.challenge(ask()).await;
    assert_eq!(
        (text.parent(), text.extension()),
        (Some(&*folder), Some("txt".as_ref()))
    );
    works(&text).await;
    fault("arc:big*1");
    assert_eq!(works(&running.challenge(ask()).await).await, 4097);
    #[cfg(unix)]
    {
        fault("arc:symlink*1");
        let link = running.challenge(ask()).await;
        assert_eq!(link.parent(), Some(&*folder));
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        works(&link).await;
    }
    fault("arc:missing*1");
    assert!(!running.challenge(ask()).await.exists());
    fault("arc:no-header*1");
    assert_eq!(told(ask()).await, None);
    fault("arc:no-realm*1");
    assert_eq!(told(ask()).await.as_deref(), Some("Basic"));
    fault("arc:quoted*1");
    let quoted = told(ask()).await.unwrap();
    let path = quoted
        .strip_prefix("Basic realm=\"")
        .unwrap()
        .strip_suffix('"');
    works(Path::new(path.unwrap())).await;
    fault("arc:200*1");
    let (status, body) = json(ask()).await;
    assert_eq!(status, 200, "{body}");
    assert!(running.emulator.faults().active().is_empty());
}

#[tokio::test]
async fn service_fabric_is_behind_its_certificate() {
    let running = running().await;
    let variables = running.variables(Platform::ServiceFabric);
    assert!(variables["IDENTITY_ENDPOINT"].starts_with("https://"));
    assert_eq!(variables["IDENTITY_SERVER_THUMBPRINT"].len(), 40);
    let plain = running.emulator.imds_url() + "/service-fabric/metadata/identity/oauth2/token";
    let plain = running.client.get(plain).query(&[RESOURCE]);
    let plain = plain.header("Secret", &variables["IDENTITY_HEADER"]);
    let plain = soon("the endpoint", plain.send()).await.unwrap();
    assert_eq!(plain.status(), 404, "there is no such thing without TLS");
    let (status, body) = running.ask(Platform::ServiceFabric, &[RESOURCE]).await;
    assert_eq!((status.as_u16(), body["expires_on"].is_i64()), (200, true));
    assert_eq!(body["expires_in"], Value::Null);
    let ask = |parameters| running.ask(Platform::ServiceFabric, parameters);
    let none = ask(&[]).await;
    assert_eq!(refusal(&none), (400, "ArgumentNullOrEmpty".into()));
    let unknown = ask(&[("resource", "https://nowhere.example/")]).await;
    assert_eq!(refusal(&unknown), (500, "InternalServerError".into()));
    let url = running.endpoint(Platform::ServiceFabric);
    let old = running
        .client
        .get(url)
        .query(&[("api-version", "2018-02-01"), RESOURCE]);
    let old = json(old.header("Secret", &variables["IDENTITY_HEADER"])).await;
    assert_eq!(refusal(&old), (400, "InvalidApiVersion".into()));
}

#[tokio::test]
async fn cloud_shell_gives_the_tokens_of_a_person() {
    let running = with(|builder| {
        builder
            .cloud_shell_user("demo-user@entrada.onmicrosoft.com")
            .cloud_shell_audience(SQL)
    })
    .await;
    let directory = running.emulator.directory();
    let user = directory
        .all()
        .into_iter()
        .find(|p| p.kind == EntraKind::User)
        .unwrap();
    let (status, body) = running.ask(Platform::CloudShell, &[RESOURCE]).await;
    assert_eq!(status, 200, "{body}");
    let claims = claims(&body);
    assert_eq!(claims["upn"], user.display_name);
    assert_eq!(claims["oid"], user.object_id.to_string());
    assert_eq!(
        (&claims["appidacr"], &claims["idtyp"]),
        (&"0".into(), &"user".into())
    );
    let other = running
        .ask(
            Platform::CloudShell,
            &[("resource", "https://vault.azure.net")],
        )
        .await;
    assert_eq!(refusal(&other), (400, "AudienceNotSupported".into()));
    let none = running.ask(Platform::CloudShell, &[]).await;
    assert_eq!(refusal(&none).0, 400);
    let url = running.endpoint(Platform::CloudShell);
    let bare = json(running.client.post(&url).form(&[RESOURCE])).await;
    assert_eq!(refusal(&bare), (400, "bad_request_102".into()));
    let get = running
        .client
        .get(&url)
        .query(&[RESOURCE])
        .header("Metadata", "true");
    let get = soon("the endpoint", get.send()).await.unwrap();
    assert_eq!(get.status(), 405);
    assert!(directory.remove(user.object_id));
    let nobody = running.ask(Platform::CloudShell, &[RESOURCE]).await;
    assert_eq!(refusal(&nobody), (400, "UserNotFound".into()));
}

#[tokio::test]
async fn a_person_at_cloud_shell_logs_in_as_a_user_of_the_database() {
    let user = "CREATE USER [demo-user@entrada.onmicrosoft.com] FROM EXTERNAL PROVIDER;";
    let running = with(|builder| builder.script("demo", user)).await;
    let (_, body) = running.ask(Platform::CloudShell, &[RESOURCE]).await;
    let token = Secret::new(body["access_token"].as_str().unwrap());
    let mut client = soon(
        "a client",
        RawClient::ready(&running.emulator, Form::Tunnelled),
    )
    .await;
    let answer = soon("the login", client.login(&token_login(&token, "demo"))).await;
    assert_eq!(answer.refusal(), None);
}

#[tokio::test]
async fn machine_learning_wants_a_client_id_and_takes_no_other() {
    let running = running().await;
    let here = Platform::MachineLearning;
    let without = running.ask(here, &[RESOURCE]).await;
    assert_eq!(refusal(&without).0, 400);
    let worker = running.emulator.identities().remove(1);
    let by_object = [RESOURCE, ("clientid", &worker.object_id.to_string())];
    assert_eq!(running.ask(here, &by_object).await.0, 400);
    let default = &running.variables(here)["DEFAULT_IDENTITY_CLIENT_ID"];
    let (_, body) = running.ask(here, &[RESOURCE, ("clientid", default)]).await;
    assert!(body["expires_on"].is_i64(), "{body}");
}

#[tokio::test]
async fn automation_is_asked_by_get_and_post_and_not_through_proxies() {
    let running = running().await;
    let here = Platform::Automation;
    let url = running.endpoint(here);
    let secret = &running.variables(here)["IDENTITY_HEADER"];
    let post = || running.client.post(&url).form(&[RESOURCE]);
    let full = post()
        .header("Metadata", "True")
        .header("X-IDENTITY-HEADER", secret);
    assert_eq!(json(full).await.0, 200);
    let bare = json(post().header("X-IDENTITY-HEADER", secret)).await;
    assert_eq!(
        refusal(&bare),
        (400, "The Metadata header is missing.".into())
    );
    let forwarded = running
        .request(here, &[RESOURCE])
        .header("X-Forwarded-For", "10.0.0.1");
    assert_eq!(json(forwarded).await.0, 400);

    let hybrid = with(|builder| {
        builder
            .automation_hybrid_worker(true)
            .expires_on(here, ExpiresOn::SpacedDate)
    })
    .await;
    let (status, body) = hybrid.ask(here, &[RESOURCE]).await;
    assert_eq!(status, 200);
    let text = body["expires_on"].as_str().unwrap();
    assert!(
        text.len() == 20 && text.ends_with('Z') && text.contains(' '),
        "{text}"
    );
    let worker = hybrid.selected(here).unwrap();
    let named = hybrid.ask(here, &[RESOURCE, (worker.0, &worker.1)]).await;
    assert!(
        refusal(&named).1.contains("must not be passed"),
        "{named:?}"
    );
}

#[tokio::test]
async fn container_instances_has_a_default_identity_or_says_so() {
    let one = ManagedIdentity::user_assigned("one");
    let object_id = one.object_id.to_string();
    let running = with(|builder| builder.identity(one.clone())).await;
    let here = Platform::ContainerInstancesWindows;
    let url = running.endpoint(here);
    // What every library sends that takes this for App Service.
    let client_id = one.client_id.to_string();
    let query = [
        ("api-version", "2019-08-01"),
        RESOURCE,
        ("client_id", &client_id),
    ];
    let secret = &running.variables(here)["IDENTITY_HEADER"];
    let mistaken = running.client.get(url).query(&query);
    let mistaken = json(mistaken.header("X-IDENTITY-HEADER", secret)).await;
    assert_eq!(
        refusal(&mistaken),
        (404, "DefaultIdentityNotDefined".into())
    );
    let (status, body) = running
        .ask(here, &[RESOURCE, ("principalId", &object_id)])
        .await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(claims(&body)["oid"], object_id);
}

#[tokio::test]
async fn expiry_is_written_as_the_platform_does_or_as_it_is_told() {
    let running = with(|builder| {
        builder
            .expires_on(Platform::Imds, ExpiresOn::Number)
            .expires_on(Platform::AppService, ExpiresOn::Absent)
            .expires_on(Platform::ServiceFabric, ExpiresOn::Text)
            .expires_on(Platform::MachineLearning, ExpiresOn::Iso8601)
    })
    .await;
    let clock = running.emulator.clock();
    clock.freeze();
    clock.set(1_579_065_852);
    let worker = running
        .emulator
        .identities()
        .remove(1)
        .client_id
        .to_string();
    for (platform, wanted) in [
        (Platform::Imds, Value::from(1_579_152_252)),
        (Platform::AppService, Value::Null),
        (
            Platform::AppService2017,
            "1/16/2020 5:24:12 AM +00:00".into(),
        ),
        (Platform::Arc, "1579152252".into()),
        (Platform::ServiceFabric, "1579152252".into()),
        (Platform::MachineLearning, "2020-01-16T05:24:12Z".into()),
        (Platform::Automation, "1579152252".into()),
    ] {
        let named = running
            .selected(platform)
            .map(|(name, _)| (name, worker.as_str()));
        let named = named.filter(|(name, _)| *name != "principalId");
        let parameters: Vec<_> = [RESOURCE].into_iter().chain(named).collect();
        let (_, body) = running.ask(platform, &parameters).await;
        assert_eq!(body["expires_on"], wanted, "{platform}");
    }
}

#[tokio::test]
async fn faults_come_to_every_platform_in_its_own_words() {
    let running = running().await;
    let fault = |words: String| running.emulator.faults().add(&words.parse().unwrap());
    for platform in Platform::ALL {
        let ask = || running.request(platform, &[RESOURCE]);
        let send = || soon("the endpoint", ask().send());
        fault(format!("{platform}:status:429:7*1"));
        let throttled = send().await.unwrap();
        assert_eq!(
            (
                throttled.status().as_u16(),
                &throttled.headers()["retry-after"]
            ),
            (429, &"7".parse().unwrap())
        );
        let nested = throttled.json::<Value>().await.unwrap()["error"].is_object();
        let has_nested = [
            Platform::CloudShell,
            Platform::ContainerInstancesWindows,
            Platform::MachineLearning,
            Platform::ServiceFabric,
        ];
        assert_eq!(nested, has_nested.contains(&platform), "{platform}");
        fault(format!("{platform}:redirect*1"));
        let sent_on = send().await.unwrap();
        assert_eq!(sent_on.status(), 307);
        let trap = sent_on.headers()["location"].to_str().unwrap().to_owned();
        let (status, body) = json(running.client.get(trap)).await;
        assert_eq!(
            (status.as_u16(), &body["access_token"]),
            (200, &"of-whoever-follows-redirects".into())
        );
        fault(format!("{platform}:oversized*1"));
        assert!(send().await.unwrap().bytes().await.unwrap().len() > 1024 * 1024);
        fault(format!("{platform}:html*1"));
        assert!(
            send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap()
                .contains("<html>")
        );
        fault(format!("{platform}:unreachable*1"));
        let unreachable = send().await.unwrap();
        assert_eq!(unreachable.status(), 403);
        assert!(unreachable.text().await.unwrap().contains("unreachable"));
        fault(format!("{platform}:plain-text*1"));
        let bare = running.client.get(running.endpoint(platform)).send();
        let bare = soon("the endpoint", bare).await.unwrap();
        let status = bare.status();
        let kind = bare.headers().get("content-type").cloned();
        assert!(status.is_client_error(), "{platform}: {status}");
        assert!(kind.is_none_or(|kind| kind.to_str().unwrap().starts_with("text/plain")));
        assert!(running.emulator.faults().active().is_empty(), "{platform}");
    }
}

#[tokio::test]
async fn the_admin_endpoint_tells_the_variables_and_changes_secrets() {
    let running = with(|builder| builder.admin_address("127.0.0.1:0".parse().unwrap())).await;
    let url = running.emulator.admin_url().unwrap();
    let key = running.emulator.admin_key().unwrap();
    let listing = running.client.get(format!("{url}/platforms"));
    let (status, body) = json(listing.bearer_auth(key.expose())).await;
    assert_eq!(status, 200);
    for platform in Platform::ALL {
        let told: BTreeMap<String, String> =
            serde_json::from_value(body["platforms"][platform.as_str()].clone()).unwrap();
        assert_eq!(told, running.variables(platform));
    }
    let old = running.variables(Platform::ServiceFabric);
    let rotate = |name: &str| {
        let request = running
            .client
            .post(format!("{url}/platforms/{name}/rotate"));
        json(request.bearer_auth(key.expose()))
    };
    let (_, body) = rotate("service-fabric").await;
    let new = running.variables(Platform::ServiceFabric);
    assert_eq!(body["IDENTITY_HEADER"], new["IDENTITY_HEADER"].as_str());
    assert_ne!(old["IDENTITY_HEADER"], new["IDENTITY_HEADER"]);
    assert_eq!(rotate("vm").await.0, 404);
}
