//! Managed identities on every platform, at the emulator's endpoints, which share no code with the
//! sources.

use std::sync::Arc;
use std::time::Duration;

use entrada::emulator::{
    Emulator, EmulatorBuilder, ExpiresOn, ManagedIdentity as Assigned, Platform, RequestKind,
};
use entrada::pool::Pool;
use entrada::target::{Auth, Cloud, Identity, IdentityPlatform as P, Target};
use entrada::token::{
    AccessToken, Environment, FetchError, PlatformError, Resource, Sources, TokenError, TokenSource,
};

mod trouble;

type Variables = Vec<(String, String)>;

/// A platform of the emulator, and what is known of it.
struct Row {
    here: Platform,
    named: P,
    /// What its variables are taken for; those of some are those of others.
    detected: P,
    /// Whether it can be asked by client id, object id and resource id.
    honours: [bool; 3],
}

const ROWS: [Row; 9] = [
    row(Platform::Imds, P::Imds, P::Imds, [true; 3]),
    row(
        Platform::AppService,
        P::AppService,
        P::AppService,
        [true; 3],
    ),
    row(
        Platform::AppService2017,
        P::AppService2017,
        P::MachineLearning,
        CLIENT_ID,
    ),
    row(Platform::Arc, P::Arc, P::Arc, [true; 3]),
    row(
        Platform::ServiceFabric,
        P::ServiceFabric,
        P::ServiceFabric,
        [false; 3],
    ),
    row(
        Platform::CloudShell,
        P::CloudShell,
        P::CloudShell,
        [false; 3],
    ),
    row(
        Platform::MachineLearning,
        P::MachineLearning,
        P::MachineLearning,
        CLIENT_ID,
    ),
    row(
        Platform::Automation,
        P::Automation,
        P::AppService,
        [true; 3],
    ),
    row(
        Platform::ContainerInstancesWindows,
        P::ContainerInstancesWindows,
        P::AppService,
        [false, true, false],
    ),
];

const CLIENT_ID: [bool; 3] = [true, false, false];

const fn row(here: Platform, named: P, detected: P, honours: [bool; 3]) -> Row {
    Row {
        here,
        named,
        detected,
        honours,
    }
}

const NOBODY: &str = "00000000-0000-4000-8000-00000000dead";

/// An emulated machine with an identity of its own and one that is assigned.
struct Azure {
    emulator: Emulator,
    machine: Assigned,
    app: Assigned,
    _folder: tempfile::TempDir,
}

impl Azure {
    async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(more: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine = Assigned::system_assigned("machine");
        let app = Assigned::user_assigned("app");
        let builder = Emulator::builder()
            .arc_tokens(folder.path().join("tokens"))
            .identity(machine.clone())
            .identity(app.clone());
        Self {
            emulator: more(builder).start().await.unwrap(),
            machine,
            app,
            _folder: folder,
        }
    }

    fn variables(&self, here: Platform) -> Variables {
        self.emulator.platform_environment(here)
    }

    fn sources(&self, variables: Variables) -> Sources {
        let folder = self.emulator.arc_tokens_folder().unwrap();
        Sources::new(Environment::from_pairs(variables)).arc_key_folder(folder)
    }

    fn source(&self, row: &Row, identity: Identity) -> Arc<dyn TokenSource> {
        let auth = on(row.named, identity);
        let sources = self.sources(self.variables(row.here));
        sources.source(&auth, &Cloud::Public).unwrap()
    }

    async fn ask(&self, row: &Row, identity: Identity) -> Result<AccessToken, TokenError> {
        token(&*self.source(row, identity)).await
    }

    fn fault(&self, words: &str) {
        self.emulator.faults().add(&words.parse().unwrap());
    }

    /// How many requests came to identity endpoints since this was asked last.
    fn asked(&self) -> usize {
        let all = self.emulator.requests();
        self.emulator.forget_requests();
        let is_ours = |kind: &RequestKind| matches!(kind, RequestKind::Identity(_));
        all.iter().filter(|request| is_ours(&request.kind)).count()
    }

    /// The ids of the assigned identity.
    fn ids(&self) -> [Identity; 3] {
        ids(
            self.app.client_id,
            self.app.object_id,
            &self.app.resource_id,
        )
    }
}

fn ids(client: impl ToString, object: impl ToString, resource: &str) -> [Identity; 3] {
    [
        Identity::ClientId(client.to_string()),
        Identity::ObjectId(object.to_string()),
        Identity::ResourceId(resource.to_owned()),
    ]
}

fn on(platform: P, identity: Identity) -> Auth {
    Auth::ManagedIdentityOn { platform, identity }
}

fn at(here: Platform) -> &'static Row {
    ROWS.iter().find(|row| row.here == here).unwrap()
}

async fn token(source: &dyn TokenSource) -> Result<AccessToken, TokenError> {
    source.token(&Resource::from(Cloud::Public)).await
}

fn object_of(token: &AccessToken) -> String {
    let claims = token.claims().unwrap();
    let audience = claims.audience.as_deref();
    assert_eq!(audience, Some("https://database.windows.net/"));
    claims.object_id.unwrap()
}

/// The reason, below the account of how often it was tried; never with a secret in it.
fn reason<T>(outcome: &Result<T, TokenError>) -> &FetchError {
    let Err(error) = outcome else {
        panic!("there is a token");
    };
    let shown = format!("{error:?}");
    assert!(!shown.contains("eyJ"), "{shown}");
    error.reason().unwrap().last()
}

#[tokio::test]
async fn each_platform_gives_the_token_of_whom_it_can_be_asked_for() {
    let azure = Azure::start().await;
    for row in &ROWS {
        let (machine, app) = (&azure.machine, &azure.app);
        let named = azure.ids().into_iter().zip(row.honours);
        let named = named.filter_map(|(id, honoured)| honoured.then_some((id, app)));
        for (identity, expected) in [(Identity::SystemAssigned, machine)]
            .into_iter()
            .chain(named)
        {
            let sources = azure.sources(azure.variables(row.here));
            for (auth, platform) in [
                (on(row.named, identity.clone()), row.named),
                (Auth::ManagedIdentity(identity.clone()), row.detected),
            ] {
                let what = format!("{} as {}: {identity:?}", row.here, platform.name());
                let source = sources.source(&auth, &Cloud::Public).unwrap();
                assert_eq!(source.key().source(), platform.name(), "{what}");
                let token = token(&*source).await;
                let token = token.unwrap_or_else(|error| panic!("{what}: {error:?}"));
                assert!(token.remaining() > Duration::from_secs(3000), "{what}");
                match row.here {
                    Platform::CloudShell => {
                        let user = token.claims().unwrap().user_name.unwrap();
                        assert!(user.contains('@'), "{what}: {user}");
                    }
                    _ => assert_eq!(object_of(&token), expected.object_id.to_string(), "{what}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn an_id_that_cannot_be_honoured_is_refused_before_any_call() {
    let azure = Azure::start().await;
    for row in &ROWS {
        let sources = azure.sources(azure.variables(row.here));
        for (identity, honoured) in azure.ids().into_iter().zip(row.honours) {
            let by_name = on(row.named, identity.clone());
            let detected = Auth::ManagedIdentity(identity.clone());
            let both = [(row.named, by_name), (row.detected, detected)];
            for (platform, auth) in both {
                let made = sources.source(&auth, &Cloud::Public);
                // An endpoint that is taken for App Service's shows only later what it is.
                if honoured || platform == P::AppService {
                    assert!(made.is_ok(), "{}: {identity:?}", row.here);
                    continue;
                }
                let reason = reason(&made);
                let text = reason.to_string();
                assert!(
                    matches!(
                        reason,
                        FetchError::Platform(PlatformError::UnsupportedSelector { .. })
                    ),
                    "{text}"
                );
                assert!(text.contains(platform.name()), "{text}");
            }
        }
    }
    assert!(azure.emulator.requests().is_empty());
    // Of a Windows container group that is not named as such, one answer is needed.
    let group = at(Platform::ContainerInstancesWindows);
    let sources = azure.sources(azure.variables(group.here));
    let [client, ..] = azure.ids();
    let source = sources.source(&Auth::ManagedIdentity(client), &Cloud::Public);
    let outcome = token(&*source.unwrap()).await;
    let text = reason(&outcome).to_string();
    assert!(text.contains("object id"), "{text}");
    assert_eq!(azure.asked(), 1);
}

#[tokio::test]
async fn an_identity_that_is_not_there_is_named_and_a_wrong_kind_of_id_explained() {
    let azure = Azure::start().await;
    let (client, object) = (
        azure.app.client_id.to_string(),
        azure.app.object_id.to_string(),
    );
    let elsewhere = azure.app.resource_id.replace("/app", "/nobody");
    for row in &ROWS {
        let absent = ids(NOBODY, NOBODY, &elsewhere).into_iter();
        for (identity, _) in absent.zip(row.honours).filter(|(_, honoured)| *honoured) {
            let outcome = azure.ask(row, identity.clone()).await;
            let reason = reason(&outcome);
            let is_missing = matches!(reason, FetchError::IdentityNotFound { .. });
            assert!(is_missing, "{} {identity:?}: {reason:?}", row.here);
            let text = reason.to_string();
            assert!(text.contains(NOBODY) || text.contains("/nobody"), "{text}");
        }
        let swapped = ids(&object, &client, "").into_iter();
        for (identity, honoured) in swapped.zip(row.honours).take(2) {
            if !honoured {
                continue;
            }
            let outcome = azure.ask(row, identity.clone()).await;
            let reason = reason(&outcome);
            let text = reason.to_string();
            match reason {
                FetchError::Platform(PlatformError::WrongKindOfId { .. }) => {
                    assert!(row.honours[0] && row.honours[1], "{text}");
                    assert!(text.contains("client id"), "{text}");
                }
                // Where there is no other parameter, it can only be supposed.
                FetchError::IdentityNotFound { .. } => {
                    assert!(!row.honours[0] || !row.honours[1], "{}: {text}", row.here);
                    let supposed = text.contains("if this is a");
                    assert!(supposed, "{}: {text}", row.here);
                }
                _ => panic!("{}: {text}", row.here),
            }
        }
    }
}

#[tokio::test]
async fn every_form_of_time_is_read_on_every_platform() {
    for form in [
        ExpiresOn::Absent,
        ExpiresOn::Iso8601,
        ExpiresOn::LinuxDate,
        ExpiresOn::Number,
        ExpiresOn::SpacedDate,
        ExpiresOn::Text,
        ExpiresOn::WindowsDate,
    ] {
        let lifetime = Duration::from_secs(5 * 3600);
        let azure = Azure::with(|builder| {
            let builder = builder.token_lifetime(lifetime);
            let all = Platform::ALL.into_iter();
            all.fold(builder, |builder, here| builder.expires_on(here, form))
        })
        .await;
        for row in &ROWS {
            let outcome = azure.ask(row, Identity::SystemAssigned).await;
            let left = outcome
                .unwrap_or_else(|error| panic!("{} {form:?}: {error:?}", row.here))
                .remaining();
            // What a person's token lasts for is not what an identity's does.
            let lifetime = match row.here {
                Platform::CloudShell => Duration::from_secs(3600),
                _ => lifetime,
            };
            let close = lifetime - Duration::from_secs(600)..=lifetime;
            assert!(close.contains(&left), "{} {form:?}: {left:?}", row.here);
        }
    }
}

#[tokio::test]
async fn automation_is_recognised_in_each_of_its_forms() {
    let azure = Azure::with(|builder| builder.automation_hybrid_worker(true)).await;
    let account = ("AUTOMATION_ASSET_ACCOUNTID".to_owned(), NOBODY.to_owned());
    let ask = async |here: Platform, identity: Identity| {
        let mut variables = azure.variables(here);
        variables.push(account.clone());
        let sources = azure.sources(variables);
        let source = sources.source(&Auth::ManagedIdentity(identity), &Cloud::Public)?;
        assert_eq!(source.key().source(), P::Automation.name());
        token(&*source).await
    };
    // Its present form, that of old hybrid workers, and that of old sandboxes.
    let token = ask(Platform::Automation, Identity::SystemAssigned).await;
    assert_eq!(
        object_of(&token.unwrap()),
        azure.machine.object_id.to_string()
    );
    let [client, ..] = azure.ids();
    let token = ask(Platform::AppService2017, client.clone()).await.unwrap();
    assert_eq!(object_of(&token), azure.app.object_id.to_string());
    ask(Platform::CloudShell, Identity::SystemAssigned)
        .await
        .unwrap();
    azure.asked();
    let outcome = ask(Platform::CloudShell, client.clone()).await;
    assert!(matches!(
        reason(&outcome),
        FetchError::Platform(PlatformError::UnsupportedSelector { .. })
    ));
    assert_eq!(azure.asked(), 0);
    let outcome = ask(Platform::Automation, client).await;
    let text = reason(&outcome).to_string();
    assert!(text.contains("must not be passed"), "{text}");
}

#[tokio::test]
async fn the_default_chain_finds_every_platform() {
    let azure = Azure::start().await;
    let [Identity::ClientId(client), ..] = azure.ids() else {
        unreachable!("the first is a client id")
    };
    for row in &ROWS {
        let sources = azure.sources(azure.variables(row.here));
        let named = row.honours[0].then(|| client.clone());
        for client_id in [None]
            .into_iter()
            .chain([named].into_iter().filter(Option::is_some))
        {
            let auth = Auth::Default { client_id };
            let source = sources.source(&auth, &Cloud::Public).unwrap();
            let outcome = token(&*source).await;
            outcome.unwrap_or_else(|error| panic!("{} {auth:?}: {error:?}", row.here));
            assert_eq!(source.answered_by().source(), row.detected.name());
        }
    }
}

#[tokio::test]
async fn a_pool_logs_in_on_azure_arc_and_from_cloud_shell() {
    const USER: &str = "demo-user@entrada.onmicrosoft.com";
    let azure = Azure::with(|builder| {
        let user = format!("CREATE USER [{USER}] FROM EXTERNAL PROVIDER;");
        builder
            .cloud_shell_user(USER)
            .database("shop")
            .user("shop", "app", &["db_owner"])
            .script("shop", user)
    })
    .await;
    let app = Some(&azure.app);
    for (here, identity, expected) in [
        (Platform::Arc, app, "app"),
        (Platform::CloudShell, None, USER),
    ] {
        let text = azure.emulator.connection_strings("shop", identity).ado_net;
        let pool = Pool::builder(Target::parse(&text).unwrap())
            .sources(azure.sources(azure.variables(here)))
            .build()
            .unwrap();
        let mut client = pool.get().await.unwrap();
        let result = client.simple_query("SELECT USER_NAME()").await.unwrap();
        let row = result.into_row().await.unwrap().unwrap();
        assert_eq!(row.get::<&str, _>(0), Some(expected), "{here}");
        drop(client);
        pool.close().await;
    }
}
