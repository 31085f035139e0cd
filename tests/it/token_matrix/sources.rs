//! Every source that speaks HTTP: what makes it, and where its endpoint is.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrada::Secret;
use entrada::key_vault::KeyVault;
use entrada::target::{AssertionFrom, Auth, Cloud, Identity, IdentityPlatform as Platform};
use entrada::token::{Environment, Resource, Sources, TokenError};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::double::{Answer, Asked, TLS};

pub(crate) const CLIENT: &str = "11111111-2222-3333-4444-555555555555";
pub(crate) const OTHER: &str = "99999999-2222-3333-4444-555555555555";
pub(crate) const TENANT: &str = "aaaaaaaa-2222-3333-4444-555555555555";

/// One source; its secrets are the marker that it is asked with.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// What errors call it.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether its endpoint says whose token it gave, when an identity is named.
    pub(crate) echoes: bool,
    /// Where its endpoint is.
    pub(crate) path: &'static str,
    environment: fn(&Place<'_>) -> Pairs,
    auth: fn(&Place<'_>) -> Auth,
}

/// What an endpoint gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An access token.
    Token,
    /// The key that proves that Azure Arc's files can be read.
    Challenge,
    /// What is exchanged for a token at Entra, as the member of an object.
    Assertion(&'static str),
    /// The assertion is a managed identity's token.
    IdentityAssertion,
    /// A vault's demand for a token.
    VaultChallenge,
    /// A secret of a vault.
    Vault,
}

type Pairs = Vec<(&'static str, String)>;

/// Where the endpoints are, and the secret for them.
pub(crate) struct Place<'a> {
    pub(crate) port: u16,
    pub(crate) marker: &'a str,
    /// With what Azure Arc's agent wants to see, and with assertions.
    pub(crate) files: &'a Files,
}

impl Place<'_> {
    fn plain(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn tls(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    fn platform(&self, variables: &[(&'static str, &str)]) -> Pairs {
        let value = |value: &str| match value {
            "SECRET" => self.marker.to_owned(),
            path if path.starts_with('/') => self.plain(path),
            other => other.to_owned(),
        };
        variables.iter().map(|(n, v)| (*n, value(v))).collect()
    }
}

/// Files that sources read.
pub(crate) struct Files {
    pub(crate) assertion: PathBuf,
    pub(crate) arc_key: PathBuf,
    folder: TempDir,
}

impl Files {
    /// Files with this secret.
    pub(crate) fn write(marker: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let assertion = folder.path().join("assertion");
        fs::write(&assertion, jwt(marker, 3600)).unwrap();
        let arc_key = folder.path().join("agent.key");
        fs::write(&arc_key, marker).unwrap();
        Self {
            assertion,
            arc_key,
            folder,
        }
    }
}

impl Row {
    pub(crate) fn sources(&self, place: &Place<'_>) -> Sources {
        let mut pairs = (self.environment)(place);
        pairs.push(("SSL_CERT_FILE", TLS.ca_file()));
        pairs.push(("AZURE_AUTHORITY_HOST", place.tls("")));
        Sources::new(Environment::from_pairs(pairs))
            .arc_key_folder(place.files.folder.path())
            .allow_authority(format!("localhost:{}", place.port))
    }

    pub(crate) fn auth(&self, place: &Place<'_>) -> Auth {
        (self.auth)(place)
    }

    /// Asks once; the text is the secret that came.
    pub(crate) async fn ask(&self, place: &Place<'_>) -> Result<String, Failure> {
        let (sources, auth) = (self.sources(place), self.auth(place));
        if matches!(self.kind, Kind::Vault | Kind::VaultChallenge) {
            let vaults = KeyVault::builder(sources)
                .allow_vault(format!("localhost:{}", place.port))
                .identity(auth)
                .build();
            let reference = format!("@Microsoft.KeyVault(SecretUri={})", place.tls(self.path));
            let text = format!("Server=h;User ID=u;Password=\"{reference}\"");
            let resolved = vaults.resolve(&text).await?;
            return match &resolved.target().auth {
                Auth::SqlPassword { password, .. } => Ok(password.expose().to_owned()),
                other => panic!("{other:?}"),
            };
        }
        let source = sources.source(&auth, &Cloud::Public)?;
        let token = source.token(&Resource::from(Cloud::Public)).await?;
        Ok(token.secret().expose().to_owned())
    }

    /// Whether a request is for the endpoint that the row is about; if not, what
    /// those beside it answer, who always do their part.
    pub(crate) fn beside(&self, asked: &Asked, place: &Place<'_>) -> Option<Answer> {
        let has_proof = asked
            .head
            .to_ascii_lowercase()
            .contains("\r\nauthorization: ");
        match self.kind {
            _ if asked.path != self.path => Some(self.entra()),
            Kind::Token if self.name == "Azure Arc" && !has_proof => Some(challenge(place)),
            Kind::Challenge if has_proof => Some(self.entra()),
            Kind::Vault if !has_proof => Some(vault_challenge()),
            Kind::VaultChallenge if has_proof => Some(Answer::new(200, self.good(GIVEN, 3600))),
            _ => None,
        }
    }

    fn entra(&self) -> Answer {
        Answer::new(200, token(&jwt(GIVEN, 3600), 3600, CLIENT).to_string())
    }

    /// The reply that succeeds, with a secret that a marker is in.
    pub(crate) fn good(&self, marker: &str, lasts: i64) -> String {
        self.reply_for(CLIENT, marker, lasts)
    }

    /// The reply for an identity; it lasts for so many seconds.
    pub(crate) fn reply_for(&self, client: &str, marker: &str, lasts: i64) -> String {
        let secret = jwt(marker, lasts);
        match self.kind {
            Kind::Assertion(field) => json!({ field: secret }).to_string(),
            Kind::Vault | Kind::VaultChallenge => json!({"value": marker}).to_string(),
            _ => token(&secret, lasts, client).to_string(),
        }
    }

    /// What succeeds, with its headers.
    pub(crate) fn success(&self, marker: &str, place: &Place<'_>) -> Answer {
        match self.kind {
            Kind::Challenge => challenge(place),
            Kind::VaultChallenge => vault_challenge(),
            _ => Answer::new(200, self.good(marker, 3600)),
        }
    }
}

/// What the endpoints give that a row is not about.
pub(crate) const GIVEN: &str = "given";

fn token(secret: &str, lasts: i64, client: &str) -> Value {
    json!({
        "access_token": secret, "expires_on": (now() + lasts).to_string(),
        "client_id": client, "object_id": client, "resource": "r", "token_type": "Bearer",
    })
}

fn now() -> i64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// Signed by nobody, which is not for us to find out.
pub(crate) fn jwt(marker: &str, lasts: i64) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "RS256"}));
    let claims = part(json!({"iss": "https://issuer.example", "exp": now() + lasts}));
    format!("{header}.{claims}.{marker}")
}

fn challenge(place: &Place<'_>) -> Answer {
    let realm = format!("Basic realm={}", place.files.arc_key.display());
    Answer::new(401, "{}").with("www-authenticate", realm)
}

fn vault_challenge() -> Answer {
    let text = format!(
        "Bearer authorization=\"https://login.microsoftonline.com/{TENANT}\", \
         resource=\"https://vault.azure.net\""
    );
    Answer::new(401, "{}").with("www-authenticate", text)
}

/// One of the errors of either kind of call.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Box<dyn Error + Send + Sync>);

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl Failure {
    /// Every level, the outermost first.
    pub(crate) fn text(&self) -> String {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }

    /// The endpoint as the source's key has it.
    pub(crate) fn authority(&self) -> String {
        match self.0.downcast_ref() {
            Some(TokenError::Fetch { origin, .. }) => origin.authority().to_owned(),
            _ => String::new(),
        }
    }
}

const IMDS: &str = "/metadata/identity/oauth2/token";
const ENTRA: &str = "/aaaaaaaa-2222-3333-4444-555555555555/oauth2/v2.0/token";

fn nothing(_: &Place<'_>) -> Pairs {
    Vec::new()
}

fn named(_: &Place<'_>) -> Auth {
    Auth::ManagedIdentity(Identity::ClientId(CLIENT.into()))
}

fn unnamed(_: &Place<'_>) -> Auth {
    Auth::ManagedIdentity(Identity::SystemAssigned)
}

fn imds(place: &Place<'_>) -> Pairs {
    place.platform(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "/")])
}

fn federated(from: AssertionFrom) -> Auth {
    Auth::Federated {
        client_id: Some(CLIENT.into()),
        tenant: Some(TENANT.into()),
        from,
    }
}

/// All of them.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = platforms();
    rows.extend(applications());
    rows.extend(issuers());
    rows.extend(vaults());
    rows
}

fn platforms() -> Vec<Row> {
    let row = |name, path, echoes, environment| Row {
        name,
        kind: Kind::Token,
        echoes,
        path,
        environment,
        auth: if echoes { named } else { unnamed },
    };
    let arc = |place: &Place<'_>| {
        place.platform(&[("IDENTITY_ENDPOINT", "/arc"), ("IMDS_ENDPOINT", "/")])
    };
    vec![
        row("IMDS", IMDS, true, imds),
        row("App Service", "/msi", true, |place| {
            place.platform(&[("IDENTITY_ENDPOINT", "/msi"), ("IDENTITY_HEADER", "SECRET")])
        }),
        row("App Service (2017-09-01)", "/msi", true, |place| {
            place.platform(&[
                ("MSI_ENDPOINT", "/msi"),
                ("MSI_SECRET", "SECRET"),
                ("WEBSITE_SITE_NAME", "site"),
            ])
        }),
        row("Azure Arc", "/arc", true, arc),
        Row {
            kind: Kind::Challenge,
            ..row("Azure Arc", "/arc", true, arc)
        },
        row("Service Fabric", "/sf", false, |place| {
            let mut pairs = place.platform(&[("IDENTITY_HEADER", "SECRET")]);
            pairs.push(("IDENTITY_ENDPOINT", place.tls("/sf")));
            pairs.push(("IDENTITY_SERVER_THUMBPRINT", TLS.thumbprint()));
            pairs
        }),
        row("Cloud Shell", "/msi", false, |place| {
            place.platform(&[("MSI_ENDPOINT", "/msi")])
        }),
        row("Azure Machine Learning", "/msi", true, |place| {
            place.platform(&[("MSI_ENDPOINT", "/msi"), ("MSI_SECRET", "SECRET")])
        }),
        row("Azure Automation", "/msi", true, |place| {
            place.platform(&[
                ("IDENTITY_ENDPOINT", "/msi"),
                ("IDENTITY_HEADER", "SECRET"),
                ("AUTOMATION_ASSET_ACCOUNTID", "a"),
            ])
        }),
        Row {
            auth: |_| Auth::ManagedIdentityOn {
                platform: Platform::ContainerInstancesWindows,
                identity: Identity::ObjectId(CLIENT.into()),
            },
            ..row("Container Instances (Windows)", "/msi", true, |place| {
                place.platform(&[("IDENTITY_ENDPOINT", "/msi"), ("IDENTITY_HEADER", "SECRET")])
            })
        },
    ]
}

fn applications() -> Vec<Row> {
    let row = |name, auth| Row {
        name,
        kind: Kind::Token,
        echoes: false,
        path: ENTRA,
        environment: nothing,
        auth,
    };
    vec![
        row("secret", |place| Auth::ServicePrincipalSecret {
            client_id: CLIENT.into(),
            tenant: Some(TENANT.into()),
            secret: Secret::new(place.marker),
        }),
        row("certificate", |_| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/certificates");
            Auth::ServicePrincipalCertificate {
                client_id: CLIENT.into(),
                tenant: Some(TENANT.into()),
                certificate: root.join("modern.p12"),
                key: None,
                password: Some(Secret::new("correct")),
            }
        }),
        row("assertion", |place| Auth::ClientAssertion {
            client_id: CLIENT.into(),
            tenant: Some(TENANT.into()),
            assertion: Secret::new(jwt(place.marker, 3600)),
        }),
        row("file", |place| {
            federated(AssertionFrom::File(place.files.assertion.clone()))
        }),
        row("workload identity", |place| Auth::WorkloadIdentity {
            client_id: Some(CLIENT.into()),
            tenant: Some(TENANT.into()),
            token_file: Some(place.files.assertion.clone()),
        }),
    ]
}

fn issuer(name: &'static str, path: &'static str, kind: Kind) -> Row {
    Row {
        name,
        kind,
        echoes: false,
        path,
        environment: nothing,
        auth: |_| federated(AssertionFrom::GitHubActions),
    }
}

fn issuers() -> Vec<Row> {
    let row = issuer;
    vec![
        Row {
            environment: |place| {
                place.platform(&[
                    ("ACTIONS_ID_TOKEN_REQUEST_URL", "/github"),
                    ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "SECRET"),
                ])
            },
            ..row("GitHub Actions", "/github", Kind::Assertion("value"))
        },
        Row {
            environment: |place| {
                place.platform(&[
                    ("SYSTEM_OIDCREQUESTURI", "/pipelines"),
                    ("SYSTEM_ACCESSTOKEN", "SECRET"),
                ])
            },
            auth: |_| Auth::AzurePipelines {
                client_id: Some(CLIENT.into()),
                tenant: Some(TENANT.into()),
                service_connection: Some("c".into()),
                system_token: None,
            },
            ..row(
                "Azure Pipelines",
                "/pipelines",
                Kind::Assertion("oidcToken"),
            )
        },
        Row {
            auth: |place| {
                federated(AssertionFrom::Url {
                    url: place.tls("/url"),
                    headers: vec![("x-key".into(), Secret::new(place.marker))],
                    pointer: Some("/jwt".into()),
                    post: false,
                })
            },
            ..row("URL", "/url", Kind::Assertion("jwt"))
        },
        Row {
            environment: imds,
            echoes: true,
            auth: |_| {
                let identity = Identity::ClientId(CLIENT.into());
                let mut auth = federated(AssertionFrom::ManagedIdentity(identity));
                if let Auth::Federated { client_id, .. } = &mut auth {
                    *client_id = Some(OTHER.into());
                }
                auth
            },
            ..row("managed identity", IMDS, Kind::IdentityAssertion)
        },
    ]
}

fn vaults() -> Vec<Row> {
    let row = |kind| Row {
        name: "cannot read the secret `db` of `localhost`",
        kind,
        echoes: false,
        path: "/secrets/db",
        environment: nothing,
        auth: |place| Auth::AccessToken(Secret::new(jwt(place.marker, 3600))),
    };
    vec![row(Kind::Vault), row(Kind::VaultChallenge)]
}
