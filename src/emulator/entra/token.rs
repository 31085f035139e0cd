//! `POST /{tenant}/oauth2/v2.0/token`, for applications.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

use super::application::Application;
use super::form::Form;
use super::refusal::{Refusal, uncached};
use super::{Entra, scope};
use crate::Secret;
use crate::emulator::IssuedToken;
use crate::emulator::identity::AppClaims;

/// Answers a request for a token.
pub(super) async fn token(
    State(entra): State<Entra>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let correlation = headers.get("client-request-id");
    let correlation = correlation.and_then(|v| v.to_str().ok());
    match answer(&entra, &tenant, &headers, body).await {
        Ok(issued) => granted(&issued),
        Err(refusal) => refusal.response(entra.identity.clock().now(), correlation),
    }
}

fn granted(issued: &IssuedToken) -> Response {
    let body = json!({
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "ext_expires_in": issued.expires_in,
        "access_token": issued.token.expose(),
    });
    let mut response = Json(body).into_response();
    uncached(&mut response);
    response
}

async fn answer(
    entra: &Entra,
    tenant: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<IssuedToken, Refusal> {
    let form = Form::read(headers, body).await?;
    entra.check_tenant(tenant)?;
    match form.required("grant_type")? {
        "client_credentials" => {}
        other => {
            let words = format!("The app requested an unsupported grant type '{other}'.");
            return Err(Refusal::new(70003, words));
        }
    }
    let application = entra.application(form.required("client_id")?)?;
    let wanted = scope::resource(form.required("scope")?, &entra.identity)?;
    entra.check_secret(&application, &form)?;
    let claims = AppClaims {
        client_id: application.client_id,
        object_id: application.object_id,
        proof: "1",
        groups: &application.groups,
        roles: &application.roles,
        resource_id: None,
    };
    entra
        .identity
        .issue_to_app(&claims, wanted)
        .map_err(|error| {
            tracing::error!(%error, "no token could be signed");
            Refusal::of(90033)
        })
}

impl Entra {
    fn check_tenant(&self, tenant: &str) -> Result<(), Refusal> {
        let ours = self.identity.tenant_id();
        if Uuid::parse_str(tenant).is_ok_and(|id| id == ours)
            || tenant.eq_ignore_ascii_case(&self.domain)
        {
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
                 are signing into the correct cloud. The emulator serves tenant {ours}."
            ),
        ))
    }

    fn application(&self, client_id: &str) -> Result<Application, Refusal> {
        let known = Uuid::parse_str(client_id)
            .ok()
            .and_then(|id| self.applications.find(id));
        let Some(application) = known else {
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
        if application.disabled {
            let words = format!(
                "Application '{client_id}'({}) is disabled.",
                application.name
            );
            return Err(Refusal::new(7_000_112, words));
        }
        Ok(application)
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
        if known
            .ends
            .is_some_and(|ends| ends <= self.identity.clock().now())
        {
            return Err(Refusal::new(
                7_000_222,
                format!("The provided client secret keys for app '{app}' are expired."),
            ));
        }
        Ok(())
    }
}
