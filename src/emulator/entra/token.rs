//! `POST /{tenant}/oauth2/v2.0/token`, for applications.

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

use super::application::Application;
use super::assertion::Judged;
use super::form::Form;
use super::refusal::{ErrorCode, Refusal, uncached};
use super::{Entra, scope};
use crate::Secret;
use crate::emulator::identity::AppClaims;
use crate::emulator::web::{self, Host, Line, TOKEN_PROXY};
use crate::emulator::{EntraFault, EntraRequest, IssuedToken, RequestKind};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// What a pod's token is for where the cluster's token proxy takes it.
pub(in crate::emulator) const BINDING_AUDIENCE: &str = "api://AKSIdentityBinding";

/// Where a request came in.
struct Asked {
    tenant: String,
    host: Host,
    /// Whether it came through a cluster's token proxy.
    by_token_proxy: bool,
}

/// Who asks: an application, or a managed identity that has federated credentials.
struct Asker {
    application: Application,
    resource_id: Option<String>,
}

/// Answers a request for a token.
pub(super) async fn token(
    State(entra): State<Entra>,
    Path(tenant): Path<String>,
    Extension(host): Extension<Host>,
    ConnectInfo(line): ConnectInfo<Line>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let given = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    entra.identity.count_entra();
    let mut record = EntraRequest {
        host: host.name.to_string(),
        tenant: tenant.clone(),
        user_agent: given(header::USER_AGENT.as_str()).map(str::to_owned),
        ..EntraRequest::default()
    };
    let form = Form::read(&headers, body).await;
    if let Ok(form) = &form {
        describe(form, &mut record);
    }
    let asked = Asked {
        tenant,
        host,
        by_token_proxy: line.server_name.as_deref() == Some(TOKEN_PROXY),
    };
    let correlation = given("client-request-id");
    let ticket = entra.recorded.begin(RequestKind::Entra(record));
    let response = match entra.trouble(correlation).await {
        Some(response) => response,
        None => match form.and_then(|form| entra.answer(&asked, &form)) {
            Ok(issued) => entra.granted(&issued),
            Err(refusal) => refusal.response(entra.identity.clock().now(), correlation),
        },
    };
    entra.recorded.amend(ticket, |kind| {
        if let RequestKind::Entra(request) = kind {
            request.status = Some(response.status().as_u16());
            request.error = response.extensions().get().map(|ErrorCode(code)| *code);
        }
    });
    response
}

fn describe(form: &Form, record: &mut EntraRequest) {
    record.client_id = form.get("client_id").map(str::to_owned);
    record.scope = form.get("scope").map(str::to_owned);
    record.credential = if form.get("client_assertion").is_some() {
        Some("assertion")
    } else {
        form.get("client_secret").map(|_| "secret")
    };
}

impl Entra {
    fn answer(&self, asked: &Asked, form: &Form) -> Result<IssuedToken, Refusal> {
        self.check_tenant(&asked.tenant)?;
        match form.required("grant_type")? {
            "client_credentials" => {}
            other => {
                let words = format!("The app requested an unsupported grant type '{other}'.");
                return Err(Refusal::new(70003, words));
            }
        }
        let asker = self.asker(form.required("client_id")?)?;
        let wanted = scope::resource(form.required("scope")?, &self.identity)?;
        let application = &asker.application;
        let proof = if form.get("client_assertion").is_some() {
            self.check_form_assertion(application, asked, form)?;
            "2"
        } else {
            self.check_secret(application, form)?;
            "1"
        };
        let claims = AppClaims {
            client_id: application.client_id,
            object_id: application.object_id,
            proof,
            groups: &application.groups,
            roles: &application.roles,
            resource_id: asker.resource_id.as_deref(),
        };
        self.identity
            .issue_to_app(&claims, wanted)
            .map_err(|error| {
                tracing::error!(%error, "no token could be signed");
                Refusal::of(90033)
            })
    }

    fn granted(&self, issued: &IssuedToken) -> Response {
        let mut body = json!({
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "ext_expires_in": issued.expires_in,
            "access_token": issued.token.expose(),
        });
        if let Some(refresh) = self.identity.refresh_in() {
            body["refresh_in"] = json!(refresh);
        }
        let mut response = Json(body).into_response();
        uncached(&mut response);
        response
    }

    /// What goes wrong with this request, if something shall.
    async fn trouble(&self, correlation: Option<&str>) -> Option<Response> {
        let now = self.identity.clock().now();
        match self.faults.take_entra()? {
            EntraFault::Aadsts(code) => Some(Refusal::of(code).response(now, correlation)),
            EntraFault::Http(fault) => {
                let body = |status: StatusCode| {
                    if status.is_server_error() {
                        return web::page(status);
                    }
                    let mut response = Refusal::of(90055).response(now, correlation);
                    *response.status_mut() = status;
                    response
                };
                web::perform(&fault, body).await
            }
        }
    }

    fn check_tenant(&self, tenant: &str) -> Result<(), Refusal> {
        if self.identity.is_tenant(tenant) {
            return Ok(());
        }
        let is_name = tenant.contains('.')
            && tenant
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
        if Uuid::parse_str(tenant).is_err() && !is_name {
            return Err(Refusal::new(
                900_023,
                format!(
                    "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid \
                     external domain."
                ),
            ));
        }
        Err(Refusal::new(
            90002,
            format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and \
                 are signing into the correct cloud. The emulator serves tenant {}.",
                self.identity.tenant_id()
            ),
        ))
    }

    fn asker(&self, client_id: &str) -> Result<Asker, Refusal> {
        let Some(asker) = Uuid::parse_str(client_id).ok().and_then(|id| self.find(id)) else {
            return Err(Refusal::new(
                700_016,
                format!(
                    "Application with identifier '{client_id}' was not found in the directory '{}'. \
                     This can happen if the application has not been installed by the administrator \
                     of the tenant or consented to by any user in the tenant.",
                    self.identity.tenant_id()
                ),
            ));
        };
        if asker.application.disabled {
            let name = &asker.application.name;
            let words = format!("Application '{client_id}'({name}) is disabled.");
            return Err(Refusal::new(7_000_112, words));
        }
        Ok(asker)
    }

    fn find(&self, client_id: Uuid) -> Option<Asker> {
        if let Some(application) = self.applications.find(client_id) {
            return Some(Asker {
                application,
                resource_id: None,
            });
        }
        let mut identities = self.identity.host().into_iter();
        let identity = identities.find(|identity| identity.client_id == client_id)?;
        Some(Asker {
            resource_id: Some(identity.resource_id.clone()),
            application: identity.into(),
        })
    }

    fn check_form_assertion(
        &self,
        application: &Application,
        asked: &Asked,
        form: &Form,
    ) -> Result<(), Refusal> {
        if form.required("client_assertion_type")? != ASSERTION_TYPE {
            return Err(Refusal::new(
                90014,
                format!("The 'client_assertion_type' must be '{ASSERTION_TYPE}'."),
            ));
        }
        let tenant = &asked.tenant;
        let endpoint = |authority: &str, version| {
            format!("https://{authority}/{tenant}/oauth2{version}/token")
        };
        let authority = &asked.host.authority;
        let judged = Judged {
            client_id: application.client_id,
            application,
            endpoints: vec![endpoint(authority, "/v2.0"), endpoint(authority, "")],
            audience: asked.by_token_proxy.then_some(BINDING_AUDIENCE),
        };
        self.check_assertion(form.required("client_assertion")?, &judged)
    }

    fn check_secret(&self, application: &Application, form: &Form) -> Result<(), Refusal> {
        let Some(given) = form.get("client_secret") else {
            return Err(Refusal::new(
                7_000_218,
                "The request body must contain the following parameter: 'client_assertion' or \
                 'client_secret'.",
            ));
        };
        let given = Secret::new(given);
        let app = application.client_id;
        let Some(known) = application.secrets.iter().find(|s| s.value == given) else {
            return Err(Refusal::new(
                7_000_215,
                format!(
                    "Invalid client secret provided. Ensure the secret being sent in the request is \
                     the client secret value, not the client secret ID, for a secret added to app \
                     '{app}'."
                ),
            ));
        };
        let now = self.identity.clock().now();
        if known.ends.is_some_and(|ends| ends <= now) {
            return Err(Refusal::new(
                7_000_222,
                format!("The provided client secret keys for app '{app}' are expired."),
            ));
        }
        Ok(())
    }
}
