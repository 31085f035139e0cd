//! The token sources against the emulator's identity endpoints, which share no code with them.

use std::sync::Arc;
use std::time::Duration;

use entrada::emulator::{Emulator, IdentityFault, ManagedIdentity as Assigned};
use entrada::target::{Auth, Cloud, Identity};
use entrada::token::{AccessToken, Environment, FetchError, TokenCache, TokenSlot, source_for};

fn slot(env: Vec<(String, String)>, identity: Identity) -> TokenSlot {
    let env = Environment::from_pairs(env);
    let source = source_for(&Auth::ManagedIdentity(identity), &Cloud::Public, &env).unwrap();
    TokenCache::new().slot(source, Cloud::Public)
}

fn client_of(token: &AccessToken) -> String {
    token.claims().unwrap().client_id.unwrap()
}

async fn emulator_with(user_assigned: &Assigned) -> Emulator {
    let builder = Emulator::builder().identity(Assigned::system_assigned("machine"));
    builder
        .identity(user_assigned.clone())
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn every_way_to_name_an_identity_gets_that_identitys_token() {
    let app = Assigned::user_assigned("app");
    let system = Assigned::system_assigned("machine");
    let emulator = emulator_with(&app).await;
    let (client, object) = (app.client_id.to_string(), app.object_id.to_string());
    let named = [
        (Identity::SystemAssigned, &system),
        (Identity::ClientId(client.clone()), &app),
        (Identity::ObjectId(object.clone()), &app),
        (Identity::ResourceId(app.resource_id.clone()), &app),
        (Identity::ClientOrObjectId(client), &app),
    ];
    for (identity, expected) in named {
        for env in [
            emulator.imds_environment(),
            emulator.app_service_environment(),
        ] {
            let token = slot(env, identity.clone()).get().await.unwrap();
            let claims = token.claims().unwrap();
            assert_eq!(
                claims.client_id,
                Some(expected.client_id.to_string()),
                "{identity:?}"
            );
            assert_eq!(
                claims.audience.as_deref(),
                Some("https://database.windows.net/")
            );
            let left = token.remaining();
            assert!(left > Duration::from_secs(80_000), "{left:?}");
        }
    }
    // What an ODBC string calls UID may be an object id anywhere.
    for env in [
        emulator.imds_environment(),
        emulator.app_service_environment(),
    ] {
        let uid = Identity::ClientOrObjectId(object.clone());
        let token = slot(env, uid).get().await.unwrap();
        assert_eq!(client_of(&token), app.client_id.to_string());
    }
    emulator.shutdown().await;
}

#[tokio::test]
async fn an_identity_that_is_not_assigned_is_named_on_both_platforms() {
    let emulator = emulator_with(&Assigned::user_assigned("app")).await;
    let stranger = Assigned::user_assigned("stranger").client_id.to_string();
    for env in [
        emulator.imds_environment(),
        emulator.app_service_environment(),
    ] {
        let error = slot(env, Identity::ClientId(stranger.clone()))
            .get()
            .await
            .unwrap_err();
        let reason = error.reason().unwrap().to_string();
        assert!(
            reason.contains(&stranger) && reason.contains("assigned"),
            "{reason}"
        );
        assert!(!error.is_transient(), "{error:?}");
    }
    emulator.shutdown().await;
}

#[tokio::test]
async fn a_passing_failure_is_not_felt_and_a_strange_answer_is_named() {
    let emulator = emulator_with(&Assigned::user_assigned("app")).await;
    let restart = IdentityFault::Status {
        status: 503,
        retry_after: Some(Duration::ZERO),
    };
    emulator.faults().identity(restart, Some(2));
    slot(emulator.imds_environment(), Identity::SystemAssigned)
        .get()
        .await
        .unwrap();
    for fault in [IdentityFault::Html, IdentityFault::Garbage] {
        emulator.faults().identity(fault, Some(1));
        let answer = slot(emulator.imds_environment(), Identity::SystemAssigned)
            .get()
            .await;
        let error = answer.unwrap_err();
        assert!(
            matches!(error.reason(), Some(FetchError::NotATokenEndpoint { .. })),
            "{error:?}"
        );
    }
    emulator.shutdown().await;
}

#[tokio::test]
async fn a_token_outlives_its_endpoint_and_two_identities_stay_apart() {
    let app = Assigned::user_assigned("app");
    let emulator = emulator_with(&app).await;
    let cache = TokenCache::new();
    let env = Environment::from_pairs(emulator.imds_environment());
    let slots: Vec<_> = [
        Identity::SystemAssigned,
        Identity::ClientId(app.client_id.to_string()),
    ]
    .map(|identity| source_for(&Auth::ManagedIdentity(identity), &Cloud::Public, &env).unwrap())
    .map(|source| cache.slot(Arc::clone(&source), Cloud::Public))
    .into();
    let before = [slots[0].get().await.unwrap(), slots[1].get().await.unwrap()];
    assert_ne!(client_of(&before[0]), client_of(&before[1]));
    emulator.faults().identity_down().await;
    for (slot, before) in slots.iter().zip(&before) {
        assert_eq!(slot.get().await.unwrap().secret(), before.secret());
    }
    emulator.faults().identity_up().await;
    // A refusal brings a token from the endpoint again, which has another one by now.
    emulator.revoke_tokens().unwrap();
    let again = slots[0].replace(&before[0]).await.unwrap();
    assert_eq!(client_of(&again), client_of(&before[0]));
    emulator.shutdown().await;
}
