//! Entra's token endpoint as a client of its own sees it, under its real name through the proxy.

use entrada::emulator::{Application, Emulator};
use reqwest::{Certificate, Client, Proxy};
use serde_json::Value;

const LOGIN: &str = "https://login.microsoftonline.com";
const SECRET: &str = "it~s/a+secret&";

/// A client that has what [`Emulator::entra_environment`] says.
pub(crate) fn client(emulator: &Emulator) -> Client {
    let ca = Certificate::from_pem(emulator.ca_certificate_pem().as_bytes()).unwrap();
    Client::builder()
        .tls_certs_only([ca])
        .proxy(Proxy::https(emulator.imds_url()).unwrap())
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

async fn emulator() -> Emulator {
    let app = Application::new("orders-api").secret(SECRET);
    Emulator::builder().application(app).start().await.unwrap()
}

async fn ask(emulator: &Emulator, tenant: &str, fields: &[(&str, &str)]) -> (u16, Value) {
    let url = format!("{LOGIN}/{tenant}/oauth2/v2.0/token");
    let response = client(emulator)
        .post(url)
        .form(fields)
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_secret_gives_a_token_through_the_proxy() {
    let emulator = emulator().await;
    let app = emulator.applications()[0].client_id.to_string();
    let (status, body) = ask(
        &emulator,
        &emulator.tenant_id().to_string(),
        &[
            ("grant_type", "client_credentials"),
            ("client_id", &app),
            ("client_secret", SECRET),
            ("scope", "https://database.windows.net//.default"),
        ],
    )
    .await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["expires_in"], 3599);
    assert!(body["access_token"].as_str().unwrap().starts_with("eyJ"));
}

#[tokio::test]
async fn the_proxy_leads_nowhere_else() {
    let emulator = emulator().await;
    let client = client(&emulator);
    for elsewhere in [
        "https://example.com/",
        "https://login.microsoftonline.com:8443/",
    ] {
        let error = client.get(elsewhere).send().await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
    }
}
