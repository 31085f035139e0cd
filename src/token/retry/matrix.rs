//! Which endpoint is asked again after what, and when: every row with every status.

use std::ops::RangeInclusive;

use url::Url;

use super::super::entra::{AppCredential, EntraApp};
use super::super::testing::{Answer, ScriptedHttp};
use super::super::{Environment, Resource, Sources};
use super::*;
use crate::secret::Secret;
use crate::target::Cloud;

/// What is known of an endpoint: which statuses are worth another try, and the
/// seconds before each of these.
struct Row {
    endpoint: Endpoint,
    retried: &'static [RangeInclusive<u16>],
    waits: &'static [f64],
}

#[derive(Debug, Clone, Copy)]
enum Endpoint {
    ByPolicy(&'static RetryPolicy),
    Entra,
}

const MATRIX: &[Row] = &[
    Row {
        endpoint: Endpoint::ByPolicy(&RetryPolicy::IMDS),
        retried: &[404..=404, 408..=408, 429..=429, 500..=599],
        waits: &[1.0, 2.0, 4.0, 8.0, 16.0],
    },
    Row {
        endpoint: Endpoint::ByPolicy(&RetryPolicy::APP_SERVICE),
        retried: &[408..=408, 429..=429, 500..=500, 502..=504],
        waits: &[1.0, 2.0, 4.0],
    },
    Row {
        endpoint: Endpoint::ByPolicy(&RetryPolicy::ARC),
        retried: &[408..=408, 429..=429, 500..=500, 502..=504],
        waits: &[1.0, 2.0, 4.0],
    },
    Row {
        endpoint: Endpoint::ByPolicy(&RetryPolicy::CLOUD_SHELL),
        retried: &[408..=408, 429..=429, 500..=500, 502..=504],
        waits: &[1.0, 2.0, 4.0],
    },
    Row {
        endpoint: Endpoint::ByPolicy(&RetryPolicy::MACHINE_LEARNING),
        retried: &[408..=408, 429..=429, 500..=500, 502..=504],
        waits: &[1.0, 2.0, 4.0],
    },
    Row {
        endpoint: Endpoint::ByPolicy(&RetryPolicy::SERVICE_FABRIC),
        retried: &[429..=429, 502..=504],
        waits: &[1.0, 2.0, 4.0, 8.0, 16.0],
    },
    Row {
        endpoint: Endpoint::Entra,
        retried: &[500..=599],
        waits: &[1.0, 2.0, 4.0],
    },
    Row {
        endpoint: Endpoint::ByPolicy(&RetryPolicy::KEY_VAULT),
        retried: &[408..=408, 429..=429, 500..=599],
        waits: &[1.0, 2.0, 4.0, 8.0, 16.0],
    },
];

/// Asks, and tells how it ended and the seconds between the tries.
async fn ask_endpoint(endpoint: Endpoint, script: Vec<Answer>) -> (bool, Vec<f64>) {
    let http = Arc::new(ScriptedHttp::new(script));
    let outcome = match endpoint {
        Endpoint::ByPolicy(policy) => {
            let url = Url::parse("http://h/").unwrap();
            let make = || Ok(HttpRequest::get(url.clone()));
            let judge = super::super::reply::not_a_token_endpoint;
            send(&*http, policy, make, judge).await.map(drop)
        }
        Endpoint::Entra => {
            let mut sources = Sources::new(Environment::from_pairs::<String, String>([]));
            sources.internet = Arc::clone(&http) as Arc<dyn Transport>;
            let secret = AppCredential::Secret(Secret::new("s"));
            let app = EntraApp::new(&sources, &Cloud::Public, Some("t.example"), "c", secret);
            let resource = Resource::new("https://database.windows.net/");
            app.unwrap().token(&resource).await.map(drop)
        }
    };
    let seen = http.seen();
    let gap = |pair: &[(Instant, HttpRequest)]| (pair[1].0 - pair[0].0).as_secs_f64();
    (outcome.is_ok(), seen.windows(2).map(gap).collect())
}

/// A wait is what is asked for, or up to a quarter more.
fn assert_waits(found: &[f64], expected: &[f64], what: &str) {
    let close =
        |(found, expected): (&f64, &f64)| (*expected..=expected * 1.25 + 0.01).contains(found);
    let fits = found.len() == expected.len() && found.iter().zip(expected).all(close);
    assert!(fits, "{what}: {found:?} instead of {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn every_status_is_tried_again_as_the_matrix_says() {
    for row in MATRIX {
        // A 410 of the metadata service has a test of its own.
        let own = |status: &u16| {
            let by = row.endpoint;
            *status == 410 && matches!(by, Endpoint::ByPolicy(p) if !p.gone_budget.is_zero())
        };
        for status in (201..600).filter(|status| !own(status)) {
            let listed = row.retried.iter().any(|range| range.contains(&status));
            let expected = if listed { row.waits } else { &[] };
            let (ok, waits) = ask_endpoint(row.endpoint, vec![Answer::status(status); 7]).await;
            assert!(!ok);
            assert_waits(&waits, expected, &format!("{:?} {status}", row.endpoint));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_ends_the_tries_everywhere() {
    for row in MATRIX {
        for trouble in [Answer::status(503), Answer::Refused, Answer::TimedOut] {
            let script = vec![trouble.clone(), trouble, Answer::token("t", 3600)];
            let (ok, waits) = ask_endpoint(row.endpoint, script).await;
            assert!(ok, "{:?}", row.endpoint);
            assert_waits(&waits, &row.waits[..2], &format!("{:?}", row.endpoint));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_goes_before_the_schedule_up_to_a_minute() {
    for row in MATRIX {
        let what = format!("{:?}", row.endpoint);
        for status in [429, 503] {
            let script = vec![Answer::retry_after(status, 37), Answer::token("t", 3600)];
            let (ok, waits) = ask_endpoint(row.endpoint, script).await;
            assert!(ok, "{what}");
            assert_waits(&waits, &[37.0], &what);
            let script = vec![Answer::retry_after(status, 61)];
            let (ok, waits) = ask_endpoint(row.endpoint, script).await;
            assert!(!ok && waits.is_empty(), "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn entra_is_asked_again_for_what_its_body_says() {
    for (body, retried) in [
        (r#"{"error":"temporarily_unavailable"}"#, true),
        (r#"{"error":"invalid_request","error_codes":[90033]}"#, true),
        (r#"{"error":"invalid_request","error_codes":[90061]}"#, true),
        (
            r#"{"error":"invalid_client","error_codes":[7000215]}"#,
            false,
        ),
        (r#"{"error":"invalid_client","error_codes":[70021]}"#, false),
        (r#"{"error":"invalid_grant","error_codes":[50196]}"#, false),
        (
            r#"{"error":"invalid_client","error_codes":[700024]}"#,
            false,
        ),
    ] {
        for status in [400, 401] {
            let script = vec![Answer::json(status, body); 4];
            let (_, waits) = ask_endpoint(Endpoint::Entra, script).await;
            let expected: &[f64] = if retried { &[1.0, 2.0, 4.0] } else { &[] };
            assert_waits(&waits, expected, body);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tries_pay_from_the_budget() {
    let http = Arc::new(ScriptedHttp::new(vec![Answer::status(503); 60]));
    let asking = (0..10).map(|_| {
        let http = Arc::clone(&http);
        async move {
            let url = Url::parse("http://h/").unwrap();
            let make = || Ok(HttpRequest::get(url.clone()));
            let judge = super::super::reply::not_a_token_endpoint;
            send(&*http, &RetryPolicy::IMDS, make, judge).await.is_err()
        }
    });
    assert!(
        futures_util::future::join_all(asking)
            .await
            .iter()
            .all(|failed| *failed)
    );
    let times: Vec<_> = http.seen().iter().map(|(at, _)| *at).collect();
    assert_eq!(times.len(), 60);
    for sixth in times.windows(6) {
        assert!(sixth[5] - sixth[0] >= Duration::from_secs(1), "{times:?}");
    }
}
