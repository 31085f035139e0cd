//! The platforms that say `MSI_ENDPOINT`: App Service's first form, Azure Machine
//! Learning, Cloud Shell, and Automation as it once was.

use super::super::Environment;
use super::super::retry::RetryPolicy;
use super::app_service::AUTOMATION;
use super::selector::Names;
use super::variable::Protocol;
use crate::target::IdentityPlatform;

/// What Automation speaks here: its present form, or one of its older ones, of
/// which hybrid workers had a secret and the cloud's sandboxes had none.
pub(super) fn automation(env: &Environment) -> &'static Protocol {
    if env.has("IDENTITY_ENDPOINT") || !env.has("MSI_ENDPOINT") {
        return &AUTOMATION;
    }
    match env.has("MSI_SECRET") {
        true => &HYBRID_WORKER,
        false => &SANDBOX,
    }
}

/// App Service before 2019: ids are named `clientid`, and times are dates.
pub(super) const APP_SERVICE_2017: Protocol = Protocol {
    platform: IdentityPlatform::AppService2017,
    address: "MSI_ENDPOINT",
    proof: Some(("secret", "MSI_SECRET")),
    version: Some("2017-09-01"),
    metadata: false,
    form: false,
    https_only: false,
    names: Names {
        client_id: Some("clientid"),
        object_id: None,
        resource_id: None,
        instead: "give the identity's client id",
    },
    default_client: None,
    policy: &RetryPolicy::APP_SERVICE,
    advice: "the endpoint is App Service's old one; a newer platform version sets IDENTITY_ENDPOINT",
};

/// Azure Machine Learning, which wants to be told even the default identity.
pub(super) const MACHINE_LEARNING: Protocol = Protocol {
    platform: IdentityPlatform::MachineLearning,
    metadata: true,
    default_client: Some("DEFAULT_IDENTITY_CLIENT_ID"),
    policy: &RetryPolicy::MACHINE_LEARNING,
    advice: "DEFAULT_IDENTITY_CLIENT_ID must hold the client id of the compute's identity if \
             none is named",
    ..APP_SERVICE_2017
};

/// Cloud Shell, whose token is the user's.
pub(super) const CLOUD_SHELL: Protocol = Protocol {
    platform: IdentityPlatform::CloudShell,
    proof: None,
    version: None,
    metadata: true,
    form: true,
    names: Names::none("its token is the signed-in user's, so name no identity"),
    policy: &RetryPolicy::CLOUD_SHELL,
    advice: "Cloud Shell gives tokens for some resources only",
    ..APP_SERVICE_2017
};

const HYBRID_WORKER: Protocol = Protocol {
    platform: IdentityPlatform::Automation,
    metadata: true,
    advice: AUTOMATION.advice,
    ..APP_SERVICE_2017
};

const SANDBOX: Protocol = Protocol {
    platform: IdentityPlatform::Automation,
    names: Names::none(
        "this form of its endpoint gives the account's own identity only, so name none",
    ),
    advice: "check that the Automation account has an identity",
    ..CLOUD_SHELL
};

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::super::error::FetchError;
    use super::super::super::http::{Method, Transport};
    use super::super::super::testing::{Answer, ScriptedHttp};
    use super::super::super::{AccessToken, Resource};
    use super::super::app_service::CONTAINER_INSTANCES_WINDOWS;
    use super::super::selector::Selector;
    use super::super::variable::Variable;
    use super::super::{Endpoint as _, PlatformError};
    use super::*;

    const SECRET: &str = "MARKER-secret";

    const PAIRS: [(&str, &str); 4] = [
        ("IDENTITY_ENDPOINT", "http://h/identity"),
        ("IDENTITY_HEADER", SECRET),
        ("MSI_ENDPOINT", "http://h/msi?own=1"),
        ("MSI_SECRET", SECRET),
    ];

    fn made(
        protocol: &'static Protocol,
        more: &[(&str, &str)],
        script: Vec<Answer>,
    ) -> (Variable, Arc<ScriptedHttp>) {
        let http = Arc::new(ScriptedHttp::new(script));
        let env = Environment::from_pairs(PAIRS.iter().chain(more).copied());
        let source = Variable::new(protocol, &env, Arc::clone(&http) as Arc<dyn Transport>);
        (source.unwrap(), http)
    }

    async fn fetch(
        protocol: &'static Protocol,
        selector: &Selector,
        script: Vec<Answer>,
    ) -> Result<AccessToken, FetchError> {
        let (source, _) = made(protocol, &[], script);
        source.fetch(selector, &Resource::new("https://r/")).await
    }

    /// What is asked: the method, the address with its query, the headers and the form.
    async fn asked(
        protocol: &'static Protocol,
        more: &[(&str, &str)],
        selector: &Selector,
    ) -> String {
        let (source, http) = made(protocol, more, vec![Answer::token("t", 60)]);
        let resource = Resource::new("https://r/");
        source.fetch(selector, &resource).await.unwrap();
        assert!(!format!("{source:?} {:?}", http.seen()).contains("MARKER"));
        let (_, request) = &http.seen()[0];
        let mut text = match request.method {
            Method::Get => format!("GET {}", request.url),
            Method::Post => format!("POST {}", request.url),
        };
        for (name, value) in &request.headers {
            text.push_str(&format!("\n{name}: {}", value.expose()));
        }
        if let Some(body) = &request.body {
            text.push_str(&format!("\n\n{}", body.expose()));
        }
        text
    }

    #[tokio::test]
    async fn each_request_is_exact() {
        let (none, id) = (Selector::Unnamed, Selector::ClientId("c".into()));
        let old = "GET http://h/msi?own=1&api-version=2017-09-01&resource=https%3A%2F%2Fr%2F";
        let metadata = "metadata: true";
        let secret = format!("secret: {SECRET}");
        let form = "content-type: application/x-www-form-urlencoded";
        let post =
            format!("POST http://h/msi?own=1\n{form}\n{metadata}\n\nresource=https%3A%2F%2Fr%2F");
        let new = "GET http://h/identity?api-version=2019-08-01&resource=https%3A%2F%2Fr%2F";
        for (protocol, selector, expected) in [
            (&APP_SERVICE_2017, &none, format!("{old}\n{secret}")),
            (
                &APP_SERVICE_2017,
                &id,
                format!("{old}&clientid=c\n{secret}"),
            ),
            (
                &MACHINE_LEARNING,
                &id,
                format!("{old}&clientid=c\n{secret}\n{metadata}"),
            ),
            (
                &MACHINE_LEARNING,
                &none,
                format!("{old}\n{secret}\n{metadata}"),
            ),
            (
                &HYBRID_WORKER,
                &none,
                format!("{old}\n{secret}\n{metadata}"),
            ),
            (&CLOUD_SHELL, &none, post.clone()),
            (&SANDBOX, &none, post),
            (
                &AUTOMATION,
                &id,
                format!("{new}&client_id=c\nx-identity-header: {SECRET}\n{metadata}"),
            ),
            (
                &CONTAINER_INSTANCES_WINDOWS,
                &Selector::ObjectId("o".into()),
                format!(
                    "GET http://h/identity?resource=https%3A%2F%2Fr%2F&principalId=o\n{secret}"
                ),
            ),
        ] {
            assert_eq!(
                asked(protocol, &[], selector).await,
                expected,
                "{protocol:?}"
            );
        }
    }

    #[tokio::test]
    async fn machine_learning_is_told_even_its_default_identity() {
        let default = [("DEFAULT_IDENTITY_CLIENT_ID", "the-default")];
        let text = asked(&MACHINE_LEARNING, &default, &Selector::Unnamed).await;
        assert!(text.contains("&clientid=the-default\n"), "{text}");
        let named = Selector::ClientId("c".into());
        let text = asked(&MACHINE_LEARNING, &default, &named).await;
        assert!(text.contains("&clientid=c\n"), "{text}");
        // The old App Service takes no notice of that variable.
        let text = asked(&APP_SERVICE_2017, &default, &Selector::Unnamed).await;
        assert!(!text.contains("clientid"), "{text}");
        let reply = Answer::json(
            200,
            r#"{"access_token":"t","expires_in":60,"client_id":"x"}"#,
        );
        let (source, _) = made(&MACHINE_LEARNING, &default, vec![reply]);
        let error = source.fetch(&Selector::Unnamed, &Resource::new("r")).await;
        assert!(
            matches!(error, Err(FetchError::WrongIdentity { .. })),
            "{error:?}"
        );
    }

    #[test]
    fn automation_speaks_the_newest_form_that_is_there() {
        let spoken = |names: &[&str]| {
            let found = automation(&Environment::from_pairs(
                names.iter().map(|name| (*name, "x")),
            ));
            (found.proof, found.form)
        };
        let (new, old) = (AUTOMATION.proof, HYBRID_WORKER.proof);
        assert_eq!(spoken(&["IDENTITY_ENDPOINT", "MSI_ENDPOINT"]), (new, false));
        assert_eq!(spoken(&["MSI_ENDPOINT", "MSI_SECRET"]), (old, false));
        assert_eq!(spoken(&["MSI_ENDPOINT"]), (None, true));
        assert_eq!(spoken(&[]), (new, false));
    }

    #[tokio::test]
    async fn every_form_of_time_is_read() {
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(3);
        for (protocol, form) in [
            (&APP_SERVICE_2017, "\"%-m/%-d/%Y %-I:%M:%S %p +00:00\""),
            (&APP_SERVICE_2017, "\"%m/%d/%Y %H:%M:%S +00:00\""),
            (&HYBRID_WORKER, "\"%Y-%m-%d %H:%M:%SZ\""),
            (&MACHINE_LEARNING, "%s"),
            (&CLOUD_SHELL, "\"%s\""),
        ] {
            let date = end.strftime(form).to_string();
            let body = format!(r#"{{"access_token":"t","expires_on":{date}}}"#);
            let script = vec![Answer::json(200, body)];
            let token = fetch(protocol, &Selector::Unnamed, script).await.unwrap();
            let left = token.remaining().as_secs();
            assert!((10_790..=10_800).contains(&left), "{date}: {left}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn errors_are_named_with_what_to_check() {
        let nested = r#"{"error":{"code":"BadRequest","message":"the message"}}"#;
        let client = Selector::ClientId("the-id".into());
        for (protocol, selector, status, word) in [
            (
                &MACHINE_LEARNING,
                &Selector::Unnamed,
                400,
                "DEFAULT_IDENTITY_CLIENT_ID",
            ),
            (&MACHINE_LEARNING, &client, 400, "the-id"),
            (&MACHINE_LEARNING, &client, 401, "MSI_SECRET"),
            (&APP_SERVICE_2017, &client, 404, "the-id"),
            (&CLOUD_SHELL, &Selector::Unnamed, 400, "some resources only"),
            (&CLOUD_SHELL, &Selector::Unnamed, 403, "some resources only"),
            (&AUTOMATION, &client, 403, "IDENTITY_HEADER"),
        ] {
            let script = vec![Answer::json(status, nested)];
            let error = fetch(protocol, selector, script).await.unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(word) && text.contains("the message"),
                "{text}"
            );
            assert!(!error.is_transient());
        }
        for status in [200, 302, 400, 404] {
            let script = vec![Answer::json(status, "<html>Sign in</html>")];
            let error = fetch(&CLOUD_SHELL, &Selector::Unnamed, script).await;
            assert!(
                matches!(error, Err(FetchError::NotATokenEndpoint { .. })),
                "{status}: {error:?}"
            );
        }
        let script = vec![Answer::json(200, r#"{"token":"t"}"#)];
        let error = fetch(&CLOUD_SHELL, &Selector::Unnamed, script).await;
        assert!(
            matches!(error, Err(FetchError::Malformed { .. })),
            "{error:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_three_times_more() {
        for protocol in [
            &MACHINE_LEARNING,
            &CLOUD_SHELL,
            &APP_SERVICE_2017,
            &AUTOMATION,
        ] {
            for status in [408, 429, 500, 502, 503, 504] {
                let (source, http) = made(protocol, &[], vec![Answer::status(status); 4]);
                let error = source.fetch(&Selector::Unnamed, &Resource::new("r")).await;
                assert!(error.unwrap_err().is_transient(), "{status}");
                let times: Vec<_> = http.seen().iter().map(|(at, _)| *at).collect();
                let span = *times.last().unwrap() - times[0];
                assert_eq!(times.len(), 4, "{status}");
                let seconds = Duration::from_secs(7)..=Duration::from_millis(8800);
                assert!(seconds.contains(&span), "{status}: {span:?}");
            }
        }
    }

    #[tokio::test]
    async fn an_id_without_a_name_is_never_dropped() {
        let object = Selector::ObjectId("o".into());
        for protocol in [&MACHINE_LEARNING, &CLOUD_SHELL, &SANDBOX, &APP_SERVICE_2017] {
            let error = fetch(protocol, &object, Vec::new()).await.unwrap_err();
            let named = matches!(
                error,
                FetchError::Platform(PlatformError::UnsupportedSelector { .. })
            );
            assert!(named, "{error:?}");
        }
    }
}
