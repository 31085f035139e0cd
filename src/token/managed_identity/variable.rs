//! Endpoints whose address stands in a variable: one way to ask them all.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use url::Url;

use super::super::error::{FetchError, Reply};
use super::super::http::{HttpReply, HttpRequest, Transport, endpoint_name, with_query};
use super::super::reply::{TokenReply, not_a_token_endpoint};
use super::super::retry::{self, RetryPolicy};
use super::super::{AccessToken, Environment, Resource};
use super::Endpoint;
use super::selector::{Names, Selector};
use crate::target::IdentityPlatform;

/// How the endpoint of one platform wants to be asked.
#[derive(Debug)]
pub(super) struct Protocol {
    pub(super) platform: IdentityPlatform,
    /// The variable with the endpoint's address.
    pub(super) address: &'static str,
    /// The header that shows that the caller may ask, and the variable with its value.
    pub(super) proof: Option<(&'static str, &'static str)>,
    /// The `api-version`, where one is wanted.
    pub(super) version: Option<&'static str>,
    /// Whether `Metadata: true` goes along.
    pub(super) metadata: bool,
    /// Whether a form is posted; else a query is asked.
    pub(super) form: bool,
    /// Whether an address without TLS is refused.
    pub(super) https_only: bool,
    pub(super) names: Names,
    /// The variable with the client id that is named when no other is.
    pub(super) default_client: Option<&'static str>,
    pub(super) policy: &'static RetryPolicy,
    /// What to check when the endpoint refuses for a reason of its own.
    pub(super) advice: &'static str,
}

/// Speaks a [`Protocol`]. The variables are read for each try, as App Service
/// changes the secret while the process runs.
#[derive(Debug)]
pub(super) struct Variable {
    protocol: &'static Protocol,
    env: Environment,
    http: Arc<dyn Transport>,
}

impl Variable {
    /// Fails now rather than at the first login if the address is unusable.
    pub(super) fn new(
        protocol: &'static Protocol,
        env: &Environment,
        http: Arc<dyn Transport>,
    ) -> Result<Self, FetchError> {
        let source = Self {
            protocol,
            env: env.clone(),
            http,
        };
        source.url()?;
        Ok(source)
    }

    fn url(&self) -> Result<Url, FetchError> {
        let variable = self.protocol.address;
        let text = self.required(variable)?;
        address(variable, &text, self.protocol.https_only)
    }

    fn required(&self, variable: &'static str) -> Result<String, FetchError> {
        let value = self.env.var(variable);
        value.ok_or(FetchError::MissingVariable { variable })
    }

    /// The identity that is asked for: the platform's default one by its id,
    /// where the endpoint wants to be told even that.
    fn named<'a>(&self, selector: &'a Selector) -> Cow<'a, Selector> {
        let default = self.protocol.default_client;
        match (selector, default.and_then(|name| self.env.var(name))) {
            (Selector::Unnamed, Some(id)) => Cow::Owned(Selector::ClientId(id)),
            _ => Cow::Borrowed(selector),
        }
    }

    fn request(&self, selector: &Selector, resource: &Resource) -> Result<HttpRequest, FetchError> {
        let Protocol { platform, .. } = *self.protocol;
        let mut parameters = Vec::new();
        if let Some(version) = self.protocol.version {
            parameters.push(("api-version", version));
        }
        parameters.push(("resource", resource.as_str()));
        parameters.extend(self.protocol.names.parameter(selector, platform)?);
        let mut request = match self.protocol.form {
            true => HttpRequest::post_form(self.url()?, &parameters),
            false => HttpRequest::get(with_query(self.url()?, &parameters)),
        };
        if let Some((header, variable)) = self.protocol.proof {
            request = request.header(header, self.required(variable)?);
        }
        if self.protocol.metadata {
            request = request.header("metadata", "true");
        }
        Ok(request)
    }
}

#[async_trait]
impl Endpoint for Variable {
    fn names(&self) -> &Names {
        &self.protocol.names
    }

    fn address(&self) -> String {
        self.url()
            .map(|url| endpoint_name(&url))
            .unwrap_or_default()
    }

    async fn fetch(
        &self,
        selector: &Selector,
        resource: &Resource,
    ) -> Result<AccessToken, FetchError> {
        let selector = self.named(selector);
        let reply = retry::send(
            &*self.http,
            self.protocol.policy,
            || self.request(&selector, resource),
            |reply| judge(reply, &selector, self.protocol),
        )
        .await?;
        let reply = TokenReply::read(&reply, SystemTime::now())?;
        selector.check(&reply)?;
        Ok(reply.token)
    }
}

/// Reads the address of an endpoint from a variable's value.
pub(super) fn address(
    variable: &'static str,
    text: &str,
    https_only: bool,
) -> Result<Url, FetchError> {
    let invalid = |problem| FetchError::InvalidEndpoint { variable, problem };
    let url = Url::parse(text).map_err(|_| invalid("it cannot be parsed"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if https_only => Err(invalid(
            "it must begin with https://, for a secret goes there",
        )),
        "http" => Ok(url),
        _ if https_only => Err(invalid("it must begin with https://")),
        _ => Err(invalid("it must begin with http:// or https://")),
    }
}

fn judge(reply: &HttpReply, selector: &Selector, protocol: &Protocol) -> FetchError {
    let said = Reply::of(reply);
    match reply.status {
        429 => FetchError::Throttled {
            reply: said,
            retry_after: reply.retry_after,
        },
        // Endpoints also say 500 when they know neither identity nor resource.
        500 => FetchError::Unavailable {
            reply: said,
            advice: format!(
                "check that {} is assigned here; {}",
                whom(selector),
                protocol.advice
            ),
        },
        408 | 501..=599 => FetchError::Unavailable {
            reply: said,
            advice: "try again later".to_owned(),
        },
        _ if Reply::read(reply).is_none() => not_a_token_endpoint(reply),
        401 | 403 => FetchError::Refused {
            reply: said,
            advice: match protocol.proof {
                Some((_, variable)) => {
                    format!("the endpoint did not accept the value of {variable}")
                }
                None => protocol.advice.to_owned(),
            },
        },
        400 | 404 if *selector != Selector::Unnamed && !is_about_resource(&said) => {
            FetchError::IdentityNotFound {
                identity: selector.missing(),
                reply: said,
            }
        }
        _ => FetchError::Refused {
            reply: said,
            advice: format!(
                "check that {} is assigned here; {}",
                whom(selector),
                protocol.advice
            ),
        },
    }
}

/// What Entra says about the resource passes through these endpoints.
fn is_about_resource(reply: &Reply) -> bool {
    let message = reply.message.as_deref().unwrap_or_default();
    reply.code.as_deref() == Some("invalid_resource") || message.contains("AADSTS500")
}

fn whom(selector: &Selector) -> String {
    match selector {
        Selector::Unnamed => "an identity".to_owned(),
        named => format!("the identity with {named}"),
    }
}
