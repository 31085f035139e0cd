//! Entra's token endpoint as a client of its own sees it, under its real name through the proxy.

use std::time::Duration;

use entrada::emulator::{Application, Emulator, EmulatorBuilder, RequestKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use reqwest::{Certificate, Client, Proxy, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::raw_client::{Form, RawClient, soon, token_login};

pub(crate) const LOGIN: &str = "https://login.microsoftonline.com";
const SECRET: &str = "it~s/a+secret&";
const OLD_SECRET: &str = "was-a-secret";
pub(crate) const SQL: &str = "https://database.windows.net//.default";
pub(crate) const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

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

/// A key with a certificate of its own, as an application registers it.
pub(crate) struct Pair {
    certificate: String,
    der: Vec<u8>,
    key: EncodingKey,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let key =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
                .unwrap();
        let params = rcgen::CertificateParams::new(vec!["app".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate: certificate.pem(),
            der: certificate.der().to_vec(),
            key: EncodingKey::from_rsa_pem(key.serialize_pem().as_bytes()).unwrap(),
        }
    }

    fn sha256(&self) -> String {
        self.thumbprint(&aws_lc_rs::digest::SHA256)
    }

    fn sha1(&self) -> String {
        self.thumbprint(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY)
    }

    fn thumbprint(&self, algorithm: &'static aws_lc_rs::digest::Algorithm) -> String {
        use base64::Engine as _;
        let hash = aws_lc_rs::digest::digest(algorithm, &self.der);
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash)
    }

    pub(crate) fn sign(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).unwrap()
    }
}

/// A tenant with an application, and somebody who asks for its tokens.
pub(crate) struct Tenant {
    pub(crate) emulator: Emulator,
    pub(crate) client_id: String,
    /// The key that it publishes.
    pub(crate) key: Value,
}

impl Tenant {
    pub(crate) async fn new(application: Application) -> Self {
        Self::of(Emulator::builder(), application).await
    }

    async fn of(builder: EmulatorBuilder, application: Application) -> Self {
        let client_id = application.client_id.to_string();
        let emulator = builder.application(application).start().await.unwrap();
        Self::around(emulator, client_id).await
    }

    pub(crate) async fn around(emulator: Emulator, client_id: String) -> Self {
        let url = format!("{}/discovery/v2.0/keys", emulator.authority_url());
        let set: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        Self {
            emulator,
            client_id,
            key: set["keys"][0].clone(),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("{LOGIN}/{}/oauth2/v2.0/token", self.emulator.tenant_id())
    }

    async fn send(&self, url: &str, fields: &[(&str, &str)]) -> Response {
        let client = client(&self.emulator);
        client.post(url).form(fields).send().await.unwrap()
    }

    async fn ask(&self, scope: &str, proof: &[(&str, &str)]) -> (u16, Value) {
        self.ask_as(&self.client_id, scope, proof).await
    }

    pub(crate) async fn ask_as(
        &self,
        id: &str,
        scope: &str,
        proof: &[(&str, &str)],
    ) -> (u16, Value) {
        let mut fields = vec![
            ("grant_type", "client_credentials"),
            ("client_id", id),
            ("scope", scope),
        ];
        fields.extend(proof);
        let response = self.send(&self.endpoint(), &fields).await;
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub(crate) async fn by_assertion(&self, assertion: &str) -> (u16, Value) {
        let proof = [
            ("client_assertion_type", ASSERTION),
            ("client_assertion", assertion),
        ];
        self.ask(SQL, &proof).await
    }

    pub(crate) fn now(&self) -> i64 {
        self.emulator.clock().now()
    }

    /// The claims of an assertion by certificate.
    fn own_claims(&self) -> Value {
        json!({
            "aud": self.endpoint(),
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": Uuid::new_v4(),
            "nbf": self.now(),
            "exp": self.now() + 300,
        })
    }
}

/// The AADSTS number of a refusal, after a look at its other fields.
#[track_caller]
pub(crate) fn refused((status, body): &(u16, Value)) -> u64 {
    let code = body["error_codes"][0]
        .as_u64()
        .unwrap_or_else(|| panic!("{body}"));
    let description = body["error_description"].as_str().unwrap();
    assert!(
        description.starts_with(&format!("AADSTS{code}: ")),
        "{body}"
    );
    assert!(matches!(status, 400 | 401 | 503), "{status} {body}");
    for field in [
        "error",
        "timestamp",
        "trace_id",
        "correlation_id",
        "error_uri",
    ] {
        assert!(body[field].is_string(), "{field}: {body}");
    }
    assert!(!description.contains(SECRET), "{body}");
    code
}

#[track_caller]
pub(crate) fn granted(tenant: &Tenant, (status, body): &(u16, Value)) -> Value {
    assert_eq!(*status, 200, "{body}");
    assert_eq!(body["token_type"], "Bearer");
    assert!(
        body["expires_in"].is_u64() && body["ext_expires_in"].is_u64(),
        "{body}"
    );
    claims(tenant, body["access_token"].as_str().unwrap())
}

/// The claims of a token whose signature holds.
pub(crate) fn claims(tenant: &Tenant, token: &str) -> Value {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_aud = false;
    let part = |name: &str| tenant.key[name].as_str().unwrap();
    let key = DecodingKey::from_rsa_components(part("n"), part("e")).unwrap();
    jsonwebtoken::decode::<Value>(token, &key, &validation)
        .unwrap()
        .claims
}

/// The token with a header that says that nobody has signed it, and without signature.
pub(crate) fn unsigned(token: &str) -> String {
    format!("{}.", with_algorithm(token, "none"))
}

/// The token with a signature that is made by a public key, as if that were a shared secret.
pub(crate) async fn signed_by_public_key(token: &str, emulator: &Emulator) -> String {
    use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
    use base64::Engine as _;
    let url = format!("{}/discovery/v2.0/keys", emulator.authority_url());
    let keys = Client::builder().no_proxy().build().unwrap().get(url);
    let keys: Value = keys.send().await.unwrap().json().await.unwrap();
    let encoding = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let modulus = encoding.decode(keys["keys"][0]["n"].as_str().unwrap());
    let text = with_algorithm(token, "HS256");
    let key = Key::new(HMAC_SHA256, &modulus.unwrap());
    format!("{text}.{}", encoding.encode(sign(&key, text.as_bytes())))
}

/// Header and claims of the token, with another algorithm in the header.
fn with_algorithm(token: &str, algorithm: &str) -> String {
    use base64::Engine as _;
    let encoding = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut parts = token.split('.');
    let header = encoding.decode(parts.next().unwrap()).unwrap();
    let mut header: Value = serde_json::from_slice(&header).unwrap();
    header["alg"] = json!(algorithm);
    let header = encoding.encode(header.to_string());
    format!("{header}.{}", parts.next().unwrap())
}

pub(crate) fn app() -> Application {
    Application::new("orders-api").secret(SECRET)
}

#[tokio::test]
async fn a_secret_gives_a_token_with_the_application_s_claims() {
    let group = Uuid::from_u128(7);
    let tenant = Tenant::new(app().group(group).role("Reader")).await;
    let answer = tenant.ask(SQL, &[("client_secret", SECRET)]).await;
    assert_eq!(answer.1["expires_in"], 3599);
    let claims = granted(&tenant, &answer);
    let app = &tenant.emulator.applications()[0];
    for (claim, want) in [
        ("aud", json!("https://database.windows.net/")),
        ("appid", json!(app.client_id)),
        ("appidacr", json!("1")),
        ("groups", json!([group])),
        ("idtyp", json!("app")),
        ("oid", json!(app.object_id)),
        ("roles", json!(["Reader"])),
        ("tid", json!(tenant.emulator.tenant_id())),
    ] {
        assert_eq!(claims[claim], want, "{claim}");
    }
    assert_eq!(claims.get("xms_mirid"), None);
    let single = tenant.ask(
        "https://database.windows.net/.default",
        &[("client_secret", SECRET)],
    );
    let claims = granted(&tenant, &single.await);
    assert_eq!(claims["aud"], "https://database.windows.net");
    let requests = tenant.emulator.requests();
    let RequestKind::Entra(seen) = &requests[0].kind else {
        panic!("{requests:?}");
    };
    assert_eq!(seen.credential, Some("secret"));
    assert_eq!((seen.status, seen.error), (Some(200), None));
    assert_eq!(seen.host, "login.microsoftonline.com");
    assert!(!format!("{requests:?}").contains(SECRET));
    assert_eq!(tenant.emulator.counters().entra_requests, 2);
}

#[tokio::test]
async fn secrets_that_are_wrong_old_or_missing_are_told_apart() {
    let clock = Emulator::builder().start().await.unwrap().clock().now();
    let tenant = Tenant::new(app().secret_until(OLD_SECRET, clock + 60)).await;
    let old = [("client_secret", OLD_SECRET)];
    granted(&tenant, &tenant.ask(SQL, &old).await);
    tenant.emulator.clock().advance(Duration::from_secs(120));
    assert_eq!(refused(&tenant.ask(SQL, &old).await), 7_000_222);
    let wrong = tenant.ask(SQL, &[("client_secret", "no")]).await;
    assert_eq!((wrong.0, refused(&wrong)), (401, 7_000_215));
    assert_eq!(wrong.1["error"], "invalid_client");
    assert_eq!(refused(&tenant.ask(SQL, &[]).await), 7_000_218);
    assert_eq!(
        refused(&tenant.ask(SQL, &[("client_secret", "")]).await),
        7_000_218
    );
}

#[tokio::test]
async fn scopes_must_name_one_known_resource() {
    let tenant = Tenant::new(app()).await;
    let two = format!("{SQL} https://vault.azure.net/.default");
    for (scope, code) in [
        ("https://database.windows.net/", 70011),
        ("openid", 70011),
        ("/.default", 70011),
        (two.as_str(), 70011),
        ("https://example.org/.default", 500_011),
        (" ", 70011),
        ("", 900_144),
    ] {
        let answer = tenant.ask(scope, &[("client_secret", SECRET)]).await;
        assert_eq!(refused(&answer), code, "{scope:?}");
    }
}

#[tokio::test]
async fn tenants_and_applications_must_exist() {
    let tenant = Tenant::new(app()).await;
    let secret = [("client_secret", SECRET)];
    for (name, code) in [
        ("entrada.onmicrosoft.com", None),
        ("contoso.com", Some(90002)),
        ("00000000-0000-0000-0000-000000000009", Some(90002)),
        ("no_tenant", Some(900_023)),
        ("common", Some(900_023)),
    ] {
        let url = format!("{LOGIN}/{name}/oauth2/v2.0/token");
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", tenant.client_id.as_str()),
            ("scope", SQL),
            secret[0],
        ];
        let response = tenant.send(&url, &fields).await;
        let answer = (response.status().as_u16(), response.json().await.unwrap());
        match code {
            None => drop(granted(&tenant, &answer)),
            Some(code) => assert_eq!(refused(&answer), code, "{name}"),
        }
    }
    for nobody in ["00000000-0000-0000-0000-000000000009", "no-guid"] {
        assert_eq!(refused(&tenant.ask_as(nobody, SQL, &secret).await), 700_016);
    }
    let off = Application::new("off").secret(SECRET).disabled(true);
    let id = off.client_id.to_string();
    tenant.emulator.register_application(off);
    assert_eq!(refused(&tenant.ask_as(&id, SQL, &secret).await), 7_000_112);
}

#[tokio::test]
async fn requests_without_form_or_grant_are_refused_and_correlated() {
    let tenant = Tenant::new(app()).await;
    let http = client(&tenant.emulator);
    let send = |request: reqwest::RequestBuilder| async {
        let response = request
            .header("client-request-id", "abc")
            .send()
            .await
            .unwrap();
        let answer = (
            response.status().as_u16(),
            response.json::<Value>().await.unwrap(),
        );
        assert_eq!(answer.1["correlation_id"], "abc");
        refused(&answer)
    };
    let endpoint = tenant.endpoint();
    assert_eq!(
        send(http.post(&endpoint).body("grant_type=x")).await,
        900_144
    );
    let other = [("grant_type", "password")];
    assert_eq!(send(http.post(&endpoint).form(&other)).await, 70003);
    let twice = [("grant_type", "a"), ("grant_type", "b")];
    assert_eq!(send(http.post(&endpoint).form(&twice)).await, 90013);
    let long = "x".repeat(300 * 1024);
    let huge = [("grant_type", long.as_str())];
    assert_eq!(send(http.post(&endpoint).form(&huge)).await, 90013);
    assert_eq!(http.get(&endpoint).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn certificates_prove_an_application_in_each_documented_form() {
    let (pair, other) = (Pair::new(), Pair::new());
    let tenant = Tenant::new(app().certificate_pem(&pair.certificate)).await;
    let mut modern = Header::new(Algorithm::PS256);
    modern.x5t_s256 = Some(pair.sha256());
    let mut legacy = Header::new(Algorithm::RS256);
    legacy.x5t = Some(pair.sha1());
    let mut chain = Header::new(Algorithm::PS256);
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &pair.der);
    chain.x5c = Some(vec![encoded]);
    for header in [&modern, &legacy, &chain] {
        let answer = tenant
            .by_assertion(&pair.sign(header, &tenant.own_claims()))
            .await;
        assert_eq!(granted(&tenant, &answer)["appidacr"], "2");
    }
    let mut unknown = Header::new(Algorithm::PS256);
    unknown.x5t_s256 = Some(other.sha256());
    let by_other = other.sign(&modern, &tenant.own_claims());
    let by_unknown = other.sign(&unknown, &tenant.own_claims());
    let unnamed = pair.sign(&Header::new(Algorithm::PS256), &tenant.own_claims());
    for assertion in [&by_other, &by_unknown, &unnamed] {
        assert_eq!(refused(&tenant.by_assertion(assertion).await), 700_027);
    }
    for (claim, value, code) in [
        ("exp", json!(tenant.now() - 400), 700_024),
        ("nbf", json!(tenant.now() + 400), 700_024),
        ("exp", Value::Null, 700_024),
        (
            "aud",
            json!("https://login.microsoftonline.com/common"),
            700_023,
        ),
        ("sub", json!("somebody"), 700_021),
    ] {
        let mut claims = tenant.own_claims();
        claims[claim] = value;
        let answer = tenant.by_assertion(&pair.sign(&modern, &claims)).await;
        assert_eq!(refused(&answer), code, "{claim}");
    }
    for garbage in ["x", "a.b.c", "", "e30.e30."] {
        let code = refused(&tenant.by_assertion(garbage).await);
        assert!([50027, 7_000_218].contains(&code), "{garbage}: {code}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_none_keeps_the_emulator_from_starting() {
    let builder = Emulator::builder().application(app().certificate_pem("no certificate"));
    let error = builder.start().await.unwrap_err();
    assert!(error.to_string().contains("orders-api"), "{error}");
}

#[tokio::test]
async fn trouble_comes_in_entra_s_forms() {
    let tenant = Tenant::new(app()).await;
    let secret = [("client_secret", SECRET)];
    let fault = |words: &str| tenant.emulator.faults().add(&words.parse().unwrap());
    fault("entra:aadsts:70021*2");
    for _ in 0..2 {
        assert_eq!(refused(&tenant.ask(SQL, &secret).await), 70021);
    }
    granted(&tenant, &tenant.ask(SQL, &secret).await);
    fault("entra:temporarily-unavailable*1");
    let busy = tenant.ask(SQL, &secret).await;
    assert_eq!((busy.0, refused(&busy)), (503, 90033));
    assert_eq!(busy.1["error"], "temporarily_unavailable");
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", tenant.client_id.as_str()),
        ("scope", SQL),
        secret[0],
    ];
    fault("entra:status:429:60*1");
    let throttled = tenant.send(&tenant.endpoint(), &fields).await;
    assert_eq!(
        (
            throttled.status().as_u16(),
            &throttled.headers()["retry-after"]
        ),
        (429, &"60".parse().unwrap())
    );
    for (words, status) in [
        ("entra:html*1", 503),
        ("entra:status:503*1", 503),
        ("entra:garbage*1", 200),
    ] {
        fault(words);
        let response = tenant.send(&tenant.endpoint(), &fields).await;
        assert_eq!(response.status().as_u16(), status, "{words}");
        assert!(response.json::<Value>().await.is_err(), "{words}");
    }
    granted(&tenant, &tenant.ask(SQL, &secret).await);
    tenant.emulator.faults().identity_down().await;
    let gone = client(&tenant.emulator)
        .get(LOGIN)
        .send()
        .await
        .unwrap_err();
    assert!(gone.is_connect());
    let direct = Client::new()
        .get(tenant.emulator.https_url())
        .send()
        .await
        .unwrap_err();
    assert!(direct.is_connect());
    tenant.emulator.faults().identity_up().await;
    granted(&tenant, &tenant.ask(SQL, &secret).await);
}

#[tokio::test]
async fn the_proxy_leads_nowhere_else() {
    let emulator = Emulator::builder().start().await.unwrap();
    let client = client(&emulator);
    for elsewhere in [
        "https://example.com/",
        "https://login.microsoftonline.com:8443/",
        "https://127.0.0.1:1/",
        "https://a.b.vault.azure.net/",
    ] {
        let error = client.get(elsewhere).send().await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
    }
    // What the emulator itself says it is reachable as goes through, too.
    let direct = client.get(emulator.https_url()).send().await.unwrap();
    assert_eq!(direct.status(), 404);
}

#[tokio::test]
async fn real_names_are_there_by_https_only() {
    let emulator = Emulator::builder().start().await.unwrap();
    let plain = Client::builder().no_proxy().build().unwrap();
    let discovery = format!(
        "/{}/v2.0/.well-known/openid-configuration",
        emulator.tenant_id()
    );
    for (name, path) in [
        ("login.microsoftonline.com", discovery.as_str()),
        ("gitlab.com:80", "/.well-known/openid-configuration"),
        ("Shop.vault.azure.net", "/secrets/a?api-version=7.4"),
    ] {
        let request = plain.get(format!("{}{path}", emulator.imds_url()));
        let response = request.header("host", name).send().await.unwrap();
        assert_eq!(response.status(), 403, "{name}");
    }
    let own = plain.get(format!("{}{discovery}", emulator.imds_url()));
    assert_eq!(own.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_gateway_takes_an_application_for_the_user_made_by_its_name() {
    let builder = Emulator::builder().user("demo", "orders-api", &["db_datareader"]);
    let tenant = Tenant::of(builder, app()).await;
    let other = Application::new("stranger").secret(SECRET);
    let stranger = other.client_id.to_string();
    tenant.emulator.register_application(other);
    for (id, welcome) in [
        (tenant.client_id.as_str(), true),
        (stranger.as_str(), false),
    ] {
        let (_, body) = tenant.ask_as(id, SQL, &[("client_secret", SECRET)]).await;
        let token = entrada::Secret::new(body["access_token"].as_str().unwrap());
        let mut client = RawClient::ready(&tenant.emulator, Form::Strict).await;
        let answer = soon("the login", client.login(&token_login(&token, "demo"))).await;
        assert_eq!(answer.ack.is_some(), welcome, "{:?}", answer.errors);
    }
}
