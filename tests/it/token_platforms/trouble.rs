//! The platforms' endpoints, and whoever poses as one, at their worst.

use super::*;

#[tokio::test]
async fn arcs_key_is_read_by_the_rules_or_not_at_all() {
    let azure = Azure::start().await;
    let ask = || azure.ask(at(Platform::Arc), Identity::SystemAssigned);
    for challenge in ["outside", "dot-dot", "symlink", "txt", "big"] {
        azure.fault(&format!("arc:{challenge}*1"));
        let outcome = ask().await;
        let reason = reason(&outcome);
        let refused = matches!(
            reason,
            FetchError::Platform(PlatformError::KeyFileRefused { .. })
        );
        assert!(refused, "{challenge}: {reason:?}");
        // Every one of these keys is good, so the second request would have shown it.
        assert_eq!(azure.asked(), 1, "{challenge}");
    }
    for challenge in ["no-header", "no-realm", "200", "html"] {
        azure.fault(&format!("arc:{challenge}*1"));
        let outcome = ask().await;
        let reason = reason(&outcome);
        let broken = matches!(
            reason,
            FetchError::Platform(PlatformError::Challenge { .. })
        );
        assert!(broken, "{challenge}: {reason:?}");
        assert_eq!(azure.asked(), 1, "{challenge}");
    }
    azure.fault("arc:missing*1");
    let outcome = ask().await;
    let unreadable = matches!(
        reason(&outcome),
        FetchError::Platform(PlatformError::KeyFileUnreadable { .. })
    );
    assert!(unreadable, "{outcome:?}");
    azure.fault("arc:quoted*1");
    ask().await.unwrap();
    // The folder is the agent's own unless it is said otherwise.
    let env = Environment::from_pairs(azure.variables(Platform::Arc));
    let auth = Auth::ManagedIdentity(Identity::SystemAssigned);
    let strict = Sources::new(env).source(&auth, &Cloud::Public).unwrap();
    azure.asked();
    let outcome = token(&*strict).await;
    let refused = matches!(
        reason(&outcome),
        FetchError::Platform(PlatformError::KeyFileRefused { .. })
    );
    assert!(refused && azure.asked() == 1, "{outcome:?}");
}

#[tokio::test]
async fn a_token_for_another_identity_than_the_one_named_is_thrown_away() {
    let azure = Azure::start().await;
    for here in [
        Platform::Imds,
        Platform::AppService,
        Platform::Automation,
        Platform::Arc,
    ] {
        for identity in azure.ids() {
            azure.fault(&format!("{here}:ignores-selector*2"));
            let outcome = azure.ask(at(here), identity.clone()).await;
            azure.emulator.faults().clear();
            // Whose resource id a token is for is told by agents of Azure Arc only.
            if matches!(identity, Identity::ResourceId(_)) && here != Platform::Arc {
                continue;
            }
            let thrown_away = matches!(
                reason(&outcome),
                FetchError::WrongIdentity { .. }
                    | FetchError::Platform(PlatformError::UnconfirmedIdentity { .. })
            );
            assert!(thrown_away, "{here} {identity:?}: {outcome:?}");
            azure.ask(at(here), identity).await.unwrap();
        }
    }
}

#[tokio::test]
async fn strange_answers_are_named_and_passing_failures_not_felt() {
    let azure = Azure::start().await;
    for row in &ROWS {
        let here = row.here;
        for fault in ["html", "garbage", "redirect", "oversized", "unreachable"] {
            azure.fault(&format!("{here}:{fault}*1"));
            let outcome = azure.ask(row, Identity::SystemAssigned).await;
            let reason = reason(&outcome);
            let expected = match (here, fault) {
                (_, "oversized") => matches!(reason, FetchError::TooLarge { .. }),
                (Platform::Arc, "html" | "garbage") => matches!(
                    reason,
                    FetchError::Platform(PlatformError::Challenge { .. })
                ),
                (Platform::Imds, "unreachable") => matches!(reason, FetchError::NoEndpoint { .. }),
                _ => matches!(reason, FetchError::NotATokenEndpoint { .. }),
            };
            assert!(expected, "{here} {fault}: {reason:?}");
            assert_eq!(azure.asked(), 1, "{here} {fault}");
        }
        azure.fault(&format!("{here}:status:503:0*2"));
        let outcome = azure.ask(row, Identity::SystemAssigned).await;
        match here {
            // The request for the challenge is never sent twice.
            Platform::Arc => {
                assert!(outcome.as_ref().unwrap_err().is_transient(), "{outcome:?}");
                assert_eq!(azure.asked(), 1);
            }
            _ => {
                outcome.unwrap_or_else(|error| panic!("{here}: {error:?}"));
                assert_eq!(azure.asked(), 3, "{here}");
            }
        }
        azure.emulator.faults().clear();
    }
}

#[tokio::test]
async fn service_fabrics_secret_goes_to_nobody_but_the_pinned_server() {
    let azure = Azure::start().await;
    let row = at(Platform::ServiceFabric);
    let mut variables = azure.variables(row.here);
    let auth = on(row.named, Identity::SystemAssigned);
    let pin = |variables: &mut Variables| {
        let mut all = variables.iter_mut();
        let found = all.find(|(name, _)| name == "IDENTITY_SERVER_THUMBPRINT");
        found.unwrap().1 = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33".into();
    };
    pin(&mut variables);
    let sources = azure.sources(variables.clone());
    let outcome = token(&*sources.source(&auth, &Cloud::Public).unwrap()).await;
    let Err(error) = &outcome else {
        panic!("there is a token");
    };
    let wrong = matches!(
        reason(&outcome),
        FetchError::Platform(PlatformError::WrongCertificate { .. })
    );
    assert!(wrong && !error.is_transient(), "{error:?}");
    assert_eq!(azure.asked(), 0, "only the handshake came");
    for (name, value) in &mut variables {
        if name == "IDENTITY_ENDPOINT" {
            *value = value.replace("https://", "http://");
        }
    }
    let made = azure.sources(variables).source(&auth, &Cloud::Public);
    assert!(matches!(reason(&made), FetchError::InvalidEndpoint { .. }));
}

#[tokio::test]
async fn a_secret_that_was_changed_is_asked_for() {
    let azure = Azure::start().await;
    for row in &ROWS {
        let before = azure.source(row, Identity::SystemAssigned);
        let has_secret = azure
            .variables(row.here)
            .iter()
            .any(|(name, _)| name == "IDENTITY_HEADER" || name == "MSI_SECRET");
        azure.emulator.rotate_secret(row.here);
        let outcome = token(&*before).await;
        if !has_secret {
            outcome.unwrap();
            continue;
        }
        let reason = reason(&outcome);
        let refused = matches!(reason, FetchError::Refused { .. });
        assert!(refused, "{}: {reason:?}", row.here);
        // Service Fabric takes whoever does not have the secret for another application.
        if row.here != Platform::ServiceFabric {
            let text = reason.to_string();
            let named = text.contains("IDENTITY_HEADER") || text.contains("MSI_SECRET");
            assert!(named, "{text}");
        }
        azure.ask(row, Identity::SystemAssigned).await.unwrap();
    }
}
