//! Tests of the faults' words.

use super::*;
use crate::emulator::ArcChallenge;

fn parse(text: &str) -> FaultSpec {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn each_kind_has_its_words_and_says_them_again() {
    let to = Redirect::To {
        server: "::1".into(),
        port: 11000,
    };
    let retry_after = Some(Duration::from_secs(7));
    let status = IdentityFault::Status {
        status: 429,
        retry_after,
    };
    let pause = Duration::from_micros(50);
    let after = GatewayFault::CloseAfter(100);
    let slow = GatewayFault::Slow(Duration::from_millis(1500));
    for (words, spec) in [
        (
            "login-error:40613*2",
            FaultSpec::login_error(40613).times(2),
        ),
        (
            "request-error:40501/3",
            FaultSpec::request_error(40501).every(3),
        ),
        (
            "gateway:request:close-after:100",
            FaultSpec::gateway(GatewayStep::Request, after),
        ),
        (
            "gateway:login:slow:1500ms",
            FaultSpec::gateway(GatewayStep::Login, slow),
        ),
        (
            "identity:status:429:7*3",
            FaultSpec::identity(status).times(3),
        ),
        ("redirect", FaultSpec::redirect(Redirect::Node)),
        ("redirect:::1:11000", FaultSpec::redirect(to)),
        ("slow-bytes:50us", FaultSpec::slow_bytes(pause)),
        (
            "failover@20s",
            FaultSpec::failover().lasting(Duration::from_secs(20)),
        ),
        (
            "database:a:b:paused/2@90s*3",
            FaultSpec::database("a:b", DatabaseState::Paused)
                .every(2)
                .lasting(Duration::from_secs(90))
                .times(3),
        ),
        ("identity:down", FaultSpec::identity_down()),
        (
            "identity:booting*4",
            FaultSpec::identity(IdentityFault::Booting).times(4),
        ),
    ] {
        assert_eq!(parse(words), spec, "{words}");
        assert_eq!(spec.to_string(), words);
    }
}

#[test]
fn a_platform_can_have_a_fault_of_its_own() {
    for (words, spec) in [
        (
            "arc:dot-dot",
            FaultSpec::platform(
                Platform::Arc,
                IdentityFault::ArcChallenge(ArcChallenge::DotDot),
            ),
        ),
        (
            "service-fabric:redirect*1",
            FaultSpec::platform(Platform::ServiceFabric, IdentityFault::Redirect).times(1),
        ),
    ] {
        assert_eq!(parse(words), spec, "{words}");
        assert_eq!(spec.to_string(), words);
    }
    assert!(
        "imds:symlink".parse::<FaultSpec>().is_err(),
        "only Azure Arc has challenges"
    );
    assert!("vm:html".parse::<FaultSpec>().is_err());
}

#[test]
fn short_words_mean_longer_ones() {
    for (short, long) in [
        ("identity:booting", "identity:booting*4"),
        ("identity:booting@10s", "identity:booting@10s"),
        ("identity:upgrading", "identity:status:410@70s"),
        ("identity:upgrading*2", "identity:status:410*2"),
        ("gateway:failover*2", "failover*2"),
        ("login-error:1@2m", "login-error:1@120s"),
        ("login-error:1*2@3s", "login-error:1@3s*2"),
    ] {
        assert_eq!(parse(short).to_string(), long);
    }
}

#[test]
fn other_words_are_refused() {
    let error = |text: &str| text.parse::<FaultSpec>().unwrap_err();
    for text in [
        "",
        "gateway:login",
        "gateway:nowhere:reset",
        "identity:tea",
        "database:paused",
        "database:x:asleep",
    ] {
        let error = error(text);
        assert!(
            matches!(error, FaultSpecError::Unknown { .. }),
            "{text}: {error}"
        );
    }
    for text in [
        "login-error:many",
        "login-error:1*x",
        "login-error:1*",
        "login-error:1@2",
        "login-error:1@-2s",
        "login-error:1/x",
        "slow-bytes:5",
        "identity:slow:5d",
    ] {
        let error = error(text);
        assert!(
            matches!(error, FaultSpecError::BadValue { .. }),
            "{text}: {error}"
        );
    }
    for text in ["identity:down*2", "identity:down@2s", "identity:down/2"] {
        let error = error(text);
        assert!(
            matches!(error, FaultSpecError::NotCounted { .. }),
            "{text}: {error}"
        );
    }
}
