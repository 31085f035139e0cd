//! No secret is told: every source succeeds and fails with everything logged, and
//! all that was said is searched.
//!
//! This happens in a process of its own, where nobody else decides what is logged
//! and every thread's lines are kept.

mod search;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use entrada::Secret;
use entrada::pool::Pool;
use entrada::target::{AssertionFrom, Auth, Cloud, Identity, Target};
use entrada::token::{Environment, Sources, TokenCache};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::timeout;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::token_matrix::double::{Action, Answer, Double, TLS, Trap};
use crate::token_matrix::sources::{CLIENT, Files, Kind, Place, TENANT, jwt, rows};
use crate::token_matrix::{Case, MARKER, double};
use search::{Told, leaks};

#[test]
fn no_source_tells_a_secret() {
    let alone = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "token_secrets::alone",
            "--ignored",
            "--nocapture",
        ])
        .env_remove("RUST_LOG")
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let said = [&alone.stdout[..], &alone.stderr[..]].map(String::from_utf8_lossy);
    assert!(alone.status.success(), "{}\n{}", said[0], said[1]);
    assert!(said[0].contains("1 passed"), "{}", said[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes over the process's log, so it is run by the test above"]
async fn alone() {
    let told = Told::default();
    // Also what is logged through the facade `log`, as TLS and HTTP clients do.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_writer(told.clone())
        .finish()
        .init();
    told.measure();

    let mut secrets = vec![MARKER.to_owned()];
    over_http(&told).await;
    given_and_printed(&told).await;
    secrets.extend(certificates(&told).await);
    addresses(&told).await;
    #[cfg(feature = "emulator")]
    secrets.extend(at_the_emulator(&told).await);

    let said = told.text();
    for part in [
        "reqwest",
        "hyper_util",
        "rustls",
        "entrada::token",
        "token.fetch",
        "entrada_token_fetches_total",
    ] {
        assert!(contains(&said, part), "nothing of {part} was kept");
    }
    let found = secrets.iter().flat_map(|secret| leaks(&said, secret));
    let found: Vec<_> = found.collect();
    assert!(found.is_empty(), "{}: {}", found.len(), found.join("\n"));

    // What is told on purpose is found, wherever it is from.
    tracing::trace!(target: "hyper", token = MARKER, "on purpose");
    assert_eq!(leaks(&told.text(), MARKER).len(), 1);
}

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len())
        .any(|window| window == part.as_bytes())
}

/// Every source that speaks HTTP, whatever its endpoint replies.
async fn over_http(told: &Told) {
    let files = Arc::new(Files::write(MARKER));
    let trap = Trap::set();
    for case in [
        Case::Good,
        Case::Echo,
        Case::Html,
        Case::Malformed,
        Case::Redirect,
        Case::WrongIdentity,
    ] {
        for row in rows().into_iter().filter(|row| case.concerns(row)) {
            let double = double(row, case, &files, trap.port()).await;
            let place = Place {
                port: double.port,
                marker: MARKER,
                files: &files,
            };
            let good = case == Case::Good;
            match row.kind {
                Kind::Vault | Kind::VaultChallenge => {
                    let asked = row.ask(&place).await;
                    assert_eq!(asked.is_ok(), good, "{}", row.name);
                    asked.inspect_err(|failure| told.error(&*failure.0)).ok();
                }
                _ => assert_eq!(
                    ask(told, &row.sources(&place), &row.auth(&place)).await,
                    good,
                    "{}",
                    row.name
                ),
            }
        }
    }
}

/// Asks through a cache, and keeps all that can be seen; whether a token came.
async fn ask(told: &Told, sources: &Sources, auth: &Auth) -> bool {
    told.debug(&(sources, auth));
    let source = match sources.source(auth, &Cloud::Public) {
        Ok(source) => source,
        Err(error) => {
            told.error(&error);
            return false;
        }
    };
    let (cache, key) = (TokenCache::new(), source.key());
    told.debug(&(
        &source,
        &key,
        key.to_string(),
        key.authority(),
        key.chosen_by(),
    ));
    let slot = cache.slot(source, Cloud::Public);
    // Enough for the first try; what it failed with is known then.
    let got = timeout(Duration::from_secs(2), slot.get()).await;
    told.debug(&(&slot, &got));
    if let Some(trouble) = slot.trouble() {
        told.error(&trouble);
    }
    let Ok(got) = got else { return false };
    match got {
        Ok(token) => {
            told.debug(&token.claims().map(|claims| claims.client_id));
            true
        }
        Err(error) => {
            told.error(&error);
            false
        }
    }
}

/// An Entra that gives tokens, or repeats what it was sent.
async fn entra(generous: bool) -> Double {
    Double::start(move |asked| {
        let secret = jwt(MARKER, 3600);
        let good = json!({"access_token": secret, "expires_in": 3600});
        let said = format!("AADSTS1: {}", asked.body.rsplit("client_").next().unwrap());
        let bad =
            json!({"error": "invalid_client", "error_description": said, "access_token": secret});
        Action::Answer(match generous {
            true => Answer::new(200, good.to_string()),
            false => Answer::new(400, bad.to_string()),
        })
    })
    .await
}

fn sources(entra: &Double, variables: &[(&str, &str)]) -> Sources {
    let host = format!("localhost:{}", entra.port);
    let (ca, authority) = (TLS.ca_file(), format!("https://{host}"));
    let own = [
        ("SSL_CERT_FILE", &*ca),
        ("AZURE_AUTHORITY_HOST", &*authority),
    ];
    Sources::new(Environment::from_pairs(
        own.iter().chain(variables).copied(),
    ))
    .allow_authority(host)
}

fn federated(from: AssertionFrom) -> Auth {
    Auth::Federated {
        client_id: Some(CLIENT.into()),
        tenant: Some(TENANT.into()),
        from,
    }
}

/// Secrets in variables, and those that programs print.
async fn given_and_printed(told: &Told) {
    let folder = TempDir::new().unwrap();
    let put = |name: &str, script: String| put(folder.path(), name, &script);
    let token = jwt(MARKER, 3600);
    let path = folder.path().to_str().unwrap().to_owned();
    let command = |name: &str| {
        let argv = vec![
            folder.path().join(name).to_str().unwrap().to_owned(),
            token.clone(),
        ];
        federated(AssertionFrom::Command { argv })
    };
    put("good", format!("printf %s '{token}'"));
    put("garbage", format!("printf %s '{MARKER}'"));
    put(
        "failing",
        format!("printf %s 'the token is {token}' >&2; exit 1"),
    );
    for generous in [true, false] {
        let entra = entra(generous).await;
        for (name, value, is_good) in [("good", &*token, true), ("bad", MARKER, false)] {
            let variables = [("JWT", value), ("TFC_WORKLOAD_IDENTITY_TOKEN", value)];
            let sources = sources(&entra, &variables);
            for from in [
                AssertionFrom::Variable("JWT".into()),
                AssertionFrom::GitLab {
                    variable: "JWT".into(),
                },
                AssertionFrom::TerraformCloud { tag: None },
            ] {
                let got = ask(told, &sources, &federated(from)).await;
                assert_eq!(got, generous && is_good, "{name}");
            }
        }
        for name in ["good", "garbage", "failing"] {
            let got = ask(told, &sources(&entra, &[("PATH", &path)]), &command(name)).await;
            assert_eq!(got, generous && name == "good", "{name}");
        }
        let given = Auth::AccessToken(Secret::new(MARKER));
        assert!(ask(told, &sources(&entra, &[]), &given).await);
        let variables = [
            ("AZURE_CLIENT_ID", CLIENT),
            ("AZURE_TENANT_ID", TENANT),
            ("AZURE_CLIENT_SECRET", MARKER),
        ];
        assert_eq!(
            ask(told, &sources(&entra, &variables), &Auth::Environment).await,
            generous
        );
        let chain = Auth::Default { client_id: None };
        assert_eq!(
            ask(told, &sources(&entra, &variables), &chain).await,
            generous
        );
    }
    tools_print(told, &token).await;
}

/// What the developer's tools print, good and bad.
async fn tools_print(told: &Told, token: &str) {
    let folder = TempDir::new().unwrap();
    let put = |name: &str, script: String| put(folder.path(), name, &script);
    let path = folder.path().to_str().unwrap().to_owned();
    let entra = entra(true).await;
    let printed = json!({"accessToken": token, "token": token, "expires_on": 4_102_444_800_u64, "expiresOn": "2100-01-01T00:00:00Z"});
    for script in [
        format!("printf %s '{printed}'"),
        format!("printf %s '{{\"accessToken\": \"{MARKER}'"),
        format!("printf %s '{{\"token\": {{\"x\": \"{token}\"}}}}'"),
        format!("printf %s 'ERROR: bad token={MARKER} of {token}' >&2; exit 1"),
        format!("printf %s '{{\"error\": \"Bearer {MARKER} and {token}\"}}'; exit 1"),
        format!("printf %s '{{\"error\": \"{token}\"}}'"),
    ] {
        ["az", "azd", "pwsh"]
            .iter()
            .for_each(|name| put(name, script.clone()));
        let sources = sources(&entra, &[("PATH", &path)]);
        for auth in [
            Auth::AzureCli { tenant: None },
            Auth::AzureDeveloperCli { tenant: None },
            Auth::AzurePowerShell { tenant: None },
        ] {
            let got = ask(told, &sources, &auth).await;
            assert_eq!(got, script.contains("4102444800"), "{auth:?} {script}");
        }
    }
}

fn put(folder: &Path, name: &str, script: &str) {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Certificates with their keys; returns secrets to be looked for.
async fn certificates(told: &Told) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/certificates");
    let broken = TempDir::new().unwrap();
    let no_key = broken.path().join("broken.pem");
    fs::write(
        &no_key,
        format!("-----BEGIN PRIVATE KEY-----\n{MARKER}\n-----END PRIVATE KEY-----\n"),
    )
    .unwrap();
    let auth = |certificate: PathBuf, password: &str| Auth::ServicePrincipalCertificate {
        client_id: CLIENT.into(),
        tenant: Some(TENANT.into()),
        certificate,
        key: None,
        password: Some(Secret::new(password)),
    };
    let mut secrets = Vec::new();
    for generous in [true, false] {
        let entra = entra(generous).await;
        let sources = sources(&entra, &[]);
        let plain = auth(root.join("pkcs1.pem"), "");
        assert_eq!(ask(told, &sources, &plain).await, generous);
        for name in ["modern.p12", "legacy.p12", "encrypted.pem"] {
            assert!(
                !ask(told, &sources, &auth(root.join(name), MARKER)).await,
                "{name}"
            );
        }
        assert!(!ask(told, &sources, &auth(no_key.clone(), MARKER)).await);
        let sent = entra.seen().into_iter().filter_map(|asked| {
            let (_, assertion) = asked.body.split_once("client_assertion=")?;
            Some(assertion.rsplit('.').next()?.split('&').next()?.to_owned())
        });
        secrets.extend(sent);
    }
    assert!(!secrets.is_empty());
    let pem = fs::read_to_string(root.join("pkcs1.pem")).unwrap();
    let key = pem.split("PRIVATE KEY-----").nth(1).unwrap();
    secrets.extend(
        key.lines()
            .filter(|line| line.len() == 64)
            .map(str::to_owned),
    );
    secrets
}

/// Secrets in addresses: of proxies, of endpoints, of servers.
async fn addresses(told: &Told) {
    let proxy = Double::start(|asked| Action::Answer(Answer::new(407, asked.head.clone()))).await;
    let secret = Auth::ServicePrincipalSecret {
        client_id: CLIENT.into(),
        tenant: Some(TENANT.into()),
        secret: Secret::new(MARKER),
    };
    for address in [
        format!("http://user:{MARKER}@127.0.0.1:{}", proxy.port),
        format!("http://user:{MARKER}@127.0.0.1:1"),
        format!("http://user:{MARKER}@[bad"),
        format!("socks9://user:{MARKER}@h"),
    ] {
        let variables = [
            ("HTTPS_PROXY", &*address),
            ("SSL_CERT_FILE", &TLS.ca_file()),
        ];
        let sources = Sources::new(Environment::from_pairs(variables));
        assert!(!ask(told, &sources, &secret).await);
    }
    assert!(!proxy.seen().is_empty());

    let identity = Auth::ManagedIdentity(Identity::SystemAssigned);
    for status in [200, 400] {
        let answer = json!({"access_token": jwt(MARKER, 60), "expires_in": 600, "message": MARKER.repeat(0)});
        let answer = Answer::new(status, answer.to_string());
        let double = Double::start(move |_| Action::Answer(answer.clone())).await;
        let address = format!(
            "http://user:{MARKER}@127.0.0.1:{}/msi?code={MARKER}",
            double.port
        );
        let variables = [
            ("IDENTITY_ENDPOINT", &*address),
            ("IDENTITY_HEADER", MARKER),
        ];
        let sources = Sources::new(Environment::from_pairs(variables));
        assert_eq!(ask(told, &sources, &identity).await, status == 200);
    }

    let text = format!("Server=tcp:127.0.0.1,1;User ID=u;Password={MARKER};ConnectRetryCount=0");
    let target = Target::parse(&text).unwrap();
    told.debug(&target);
    let pool = Pool::builder(target)
        .acquire_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    told.error(&pool.get().await.unwrap_err());
    told.debug(&pool);
}

/// What succeeds there, down to logins; returns secrets to be looked for.
#[cfg(feature = "emulator")]
async fn at_the_emulator(told: &Told) -> Vec<String> {
    use entrada::emulator::{Application, Emulator, ManagedIdentity};

    let emulator = Emulator::builder()
        .identity(ManagedIdentity::system_assigned("teller"))
        .application(Application::new("orders-api").secret(MARKER))
        .database("shop")
        .script(
            "shop",
            format!("CREATE USER teller FROM EXTERNAL PROVIDER; CREATE USER app WITH PASSWORD = '{MARKER}9;a'"),
        )
        .secret("kv1", "db", format!("{MARKER}9;a"))
        .start()
        .await
        .unwrap();
    let unnamed = Auth::ManagedIdentity(Identity::SystemAssigned);
    for variables in [
        emulator.imds_environment(),
        emulator.app_service_environment(),
        emulator.app_service_2017_environment(),
        emulator.service_fabric_environment(),
        emulator.cloud_shell_environment(),
        emulator.machine_learning_environment(),
        emulator.automation_environment(),
    ] {
        let sources = Sources::new(Environment::from_pairs(variables.clone()));
        assert!(ask(told, &sources, &unnamed).await, "{variables:?}");
    }
    let mut variables = emulator.imds_environment();
    variables.extend(emulator.entra_environment());
    for (name, value) in &mut variables {
        if name == "HTTPS_PROXY" {
            *value = value.replace("://", &format!("://user:{MARKER}@"));
        }
    }
    let sources = Sources::new(Environment::from_pairs(variables));
    let secret = Auth::ServicePrincipalSecret {
        client_id: emulator.applications()[0].client_id.to_string(),
        tenant: Some(emulator.tenant_id().to_string()),
        secret: Secret::new(MARKER),
    };
    assert!(ask(told, &sources, &secret).await);
    vec![logins(told, &emulator, sources).await]
}

/// A login by token, and one by a password that is in a vault; returns the token's signature.
#[cfg(feature = "emulator")]
async fn logins(told: &Told, emulator: &entrada::emulator::Emulator, sources: Sources) -> String {
    use entrada::dial::Dialer;
    use entrada::key_vault::KeyVault;

    let unnamed = Auth::ManagedIdentity(Identity::SystemAssigned);
    let text = emulator.connection_string("shop");
    let slot = TokenCache::new().slot(
        sources.source(&unnamed, &Cloud::Public).unwrap(),
        Cloud::Public,
    );
    let token = slot.get().await.unwrap().secret().expose().to_owned();
    let dialer = Dialer::new(Target::parse(&text).unwrap(), Some(slot)).unwrap();
    told.debug(&(&dialer, dialer.dial().await.map(drop).unwrap()));
    let password = "User ID=app;Password=\"@Microsoft.KeyVault(VaultName=kv1;SecretName=db)\"";
    let text = text.replace("Authentication=ActiveDirectoryMSI", password);
    let vaults = KeyVault::new(sources);
    let resolved = vaults.resolve(&text).await.unwrap();
    told.debug(&(
        &vaults,
        &resolved,
        resolved.target(),
        resolved.connection_string(),
    ));
    let pool = Pool::following(resolved).max_size(1).build().unwrap();
    drop(pool.get().await.unwrap());
    told.debug(&pool);
    pool.close().await;
    token.rsplit('.').next().unwrap().to_owned()
}
