//! The agent's two answers, and the file between them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::super::super::testing::{Answer, ScriptedHttp};
use super::super::PlatformError;
use super::*;

const KEY: &str = "MARKER-key";

const URL: &str = "http://127.0.0.1:40342/metadata/identity/oauth2/token\
                   ?api-version=2020-06-01&resource=https%3A%2F%2Fr%2F";

/// The folder of the keys, which holds one.
fn keys() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.key"), KEY).unwrap();
    folder
}

fn challenge(path: &Path) -> Answer {
    realm(&format!("Basic realm={}", path.display()))
}

fn realm(text: &str) -> Answer {
    Answer::json(401, "").with_header("www-authenticate", text)
}

fn agent(folder: &TempDir, script: Vec<Answer>) -> (ArcAgent, Arc<ScriptedHttp>) {
    let http = Arc::new(ScriptedHttp::new(script));
    let env = Environment::from_pairs::<String, String>([]);
    let keys = Some(folder.path().to_owned());
    let agent = ArcAgent::new(&env, keys, Arc::clone(&http) as Arc<dyn Transport>).unwrap();
    (agent, http)
}

async fn ask(
    folder: &TempDir,
    selector: &Selector,
    script: Vec<Answer>,
) -> (Result<AccessToken, FetchError>, Vec<HttpRequest>) {
    let (agent, http) = agent(folder, script);
    let outcome = agent.fetch(selector, &Resource::new("https://r/")).await;
    let seen = http.seen().into_iter().map(|(_, request)| request);
    (outcome, seen.collect())
}

async fn refusal(folder: &TempDir, first: Answer) -> String {
    let (outcome, seen) = ask(folder, &Selector::Unnamed, vec![first]).await;
    let error = outcome.unwrap_err();
    assert_eq!(seen.len(), 1, "nothing was sent after {error}");
    assert!(!error.is_transient());
    assert!(!format!("{error} {error:?}").contains("MARKER"));
    error.to_string()
}

fn headers(request: &HttpRequest) -> Vec<(&str, &str)> {
    let headers = request.headers.iter();
    headers
        .map(|(name, value)| (*name, value.expose()))
        .collect()
}

fn token_for(name: &str, id: &str) -> Answer {
    let body = format!(r#"{{"access_token":"MARKER-token","expires_in":"60","{name}":"{id}"}}"#);
    Answer::json(200, body)
}

#[tokio::test]
async fn both_requests_are_exact_and_the_key_goes_as_it_is() {
    let folder = keys();
    let path = folder.path().join("a.key");
    for text in [
        format!("Basic realm={}", path.display()),
        format!("basic Realm=\"{}\", charset=\"UTF-8\"", path.display()),
    ] {
        let script = vec![realm(&text), Answer::token("t", 60)];
        let (outcome, seen) = ask(&folder, &Selector::Unnamed, script).await;
        outcome.unwrap();
        assert!(seen.iter().all(|request| request.url.as_str() == URL));
        assert_eq!(headers(&seen[0]), [("metadata", "true")]);
        let authorization = format!("Basic {KEY}");
        assert_eq!(
            headers(&seen[1]),
            [
                ("metadata", "true"),
                ("authorization", authorization.as_str())
            ]
        );
        assert!(!format!("{seen:?}").contains("MARKER"));
    }
}

#[tokio::test]
async fn the_address_may_stand_in_the_variable() {
    let at = |address: &str| {
        let env = Environment::from_pairs([("IDENTITY_ENDPOINT", address)]);
        ArcAgent::new(&env, Some("/k".into()), Arc::new(ScriptedHttp::new([])))
    };
    assert_eq!(at("http://h:1/p?q").unwrap().address(), "http://h:1/p");
    assert!(at("h:1").is_err());
}

#[tokio::test]
async fn a_user_assigned_identity_must_be_echoed() {
    let folder = keys();
    let path = folder.path().join("a.key");
    for (selector, name, parameter) in [
        (
            Selector::ClientId("Id".into()),
            "client_id",
            "&client_id=Id",
        ),
        (
            Selector::ObjectId("Id".into()),
            "object_id",
            "&object_id=Id",
        ),
        (
            Selector::ResourceId("Id".into()),
            "msi_res_id",
            "&msi_res_id=Id",
        ),
    ] {
        let script = |last| vec![challenge(&path), last];
        let (outcome, seen) = ask(&folder, &selector, script(token_for(name, "iD"))).await;
        outcome.unwrap();
        assert!(
            seen.iter()
                .all(|request| request.url.as_str() == format!("{URL}{parameter}"))
        );
        let (outcome, _) = ask(&folder, &selector, script(token_for(name, "other"))).await;
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, FetchError::WrongIdentity { .. }),
            "{error:?}"
        );
        // An agent that is too old gives the machine's own token, and echoes nothing.
        let (outcome, _) = ask(&folder, &selector, script(token_for("resource", "r"))).await;
        let error = outcome.unwrap_err();
        let unconfirmed = matches!(
            error,
            FetchError::Platform(PlatformError::UnconfirmedIdentity { .. })
        );
        assert!(
            unconfirmed && error.to_string().contains("too old"),
            "{error:?}"
        );
        assert!(!format!("{error} {error:?}").contains("MARKER"));
    }
}

#[tokio::test]
async fn what_is_no_challenge_is_refused() {
    let folder = keys();
    for (first, word) in [
        (Answer::token("MARKER", 60), "without one"),
        (Answer::json(401, ""), "missing"),
        (realm("Bearer realm=/x.key"), "Basic realm="),
        (realm("Basic"), "Basic realm="),
        (realm("Basic realm"), "Basic realm="),
        (realm("Basic charset=UTF-8"), "Basic realm="),
        (realm("Basic realm=\"/never closed"), "Basic realm="),
        (realm("Basic realm="), "empty"),
        (realm("Basic realm=\"\""), "empty"),
        (realm("Basic realm=/a\tb.key"), "control"),
        (
            Answer::json(400, r#"{"error":"invalid_request"}"#),
            "invalid_request",
        ),
        (Answer::json(302, ""), "302"),
        (Answer::json(404, "<html>"), "404"),
    ] {
        let text = refusal(&folder, first).await;
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[tokio::test]
async fn no_file_but_a_key_in_the_folder_is_read() {
    let folder = keys();
    let at = |name: &str| folder.path().join(name);
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("b.key");
    fs::write(&secret, "MARKER").unwrap();
    fs::create_dir(at("deeper")).unwrap();
    fs::write(at("deeper/c.key"), "MARKER").unwrap();
    fs::write(at("d.txt"), "MARKER").unwrap();
    fs::create_dir(at("folder.key")).unwrap();
    symlink(&secret, at("link.key")).unwrap();
    symlink(at("a.key"), at("near.key")).unwrap();
    fs::write(at("large.key"), "M".repeat(4097)).unwrap();
    fs::write(at("empty.key"), " \n").unwrap();
    fs::write(at("lines.key"), "MARKER\nx").unwrap();
    fs::write(at("binary.key"), b"MARKER\xff").unwrap();
    let up = format!("{}/../{}/a.key", folder.path().display(), "x");
    for (path, word) in [
        (secret.clone(), "not in the folder"),
        (at("deeper/c.key"), "not in the folder"),
        (up.into(), "`..`"),
        ("a.key".into(), "not absolute"),
        (at("d.txt"), ".key"),
        (at(".key"), ".key"),
        (at("folder.key"), "regular file"),
        (at("link.key"), "symbolic link"),
        (at("near.key"), "symbolic link"),
        (at("large.key"), "4096"),
        (at("empty.key"), "fits into a header"),
        (at("lines.key"), "fits into a header"),
        (at("binary.key"), "fits into a header"),
        (at("absent.key"), "azcmagent show"),
    ] {
        let text = refusal(&folder, challenge(&path)).await;
        assert!(text.contains(word), "{word}: {text}");
    }
    fs::write(at("full.key"), "k".repeat(4096)).unwrap();
    let script = vec![challenge(&at("full.key")), Answer::token("t", 60)];
    ask(&folder, &Selector::Unnamed, script).await.0.unwrap();
}

#[tokio::test]
async fn nobody_waits_for_a_pipe() {
    let folder = keys();
    let path = folder.path().join("pipe.key");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let text = refusal(&folder, challenge(&path)).await;
    assert!(text.contains("regular file"), "{text}");
}

#[tokio::test]
async fn a_key_that_may_not_be_read_names_the_group() {
    let folder = keys();
    let path = folder.path().join("a.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
    // Root may read everything.
    if fs::read(&path).is_err() {
        let text = refusal(&folder, challenge(&path)).await;
        assert!(text.contains("himds"), "{text}");
    }
}

#[tokio::test]
async fn a_key_that_a_stranger_made_is_not_read() {
    let (himds, stranger) = (998, 1000);
    assert!(arc_key::is_trusted(himds, himds) && arc_key::is_trusted(0, himds));
    assert!(!arc_key::is_trusted(stranger, himds) && !arc_key::is_trusted(stranger, 0));
    let folder = keys();
    let path = folder.path().join("a.key");
    // Only root may give files away.
    if std::os::unix::fs::chown(&path, Some(stranger), None).is_ok() {
        let text = refusal(&folder, challenge(&path)).await;
        assert!(text.contains("owner of its folder"), "{text}");
    }
}

#[test]
fn a_permission_error_names_the_group() {
    let cause = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let error = arc_key::unreadable(Path::new("/k/a.key"), cause);
    let text = error.to_string();
    assert!(
        text.contains("himds") && text.contains("/k/a.key"),
        "{text}"
    );
}

#[tokio::test]
async fn a_401_to_the_key_starts_again_once() {
    let folder = keys();
    let path = folder.path().join("a.key");
    let stale = || [challenge(&path), Answer::json(401, "")];
    let script = [
        stale().to_vec(),
        vec![challenge(&path), Answer::token("t", 60)],
    ]
    .concat();
    let (outcome, seen) = ask(&folder, &Selector::Unnamed, script).await;
    outcome.unwrap();
    let with_key = |request: &HttpRequest| headers(request).len() == 2;
    let legs: Vec<_> = seen.iter().map(with_key).collect();
    assert_eq!(legs, [false, true, false, true]);
    let script = [stale(), stale()].concat();
    let (outcome, seen) = ask(&folder, &Selector::Unnamed, script).await;
    assert!(outcome.unwrap_err().to_string().contains("himds"));
    assert_eq!(seen.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn only_the_second_leg_is_tried_again() {
    let folder = keys();
    let path = folder.path().join("a.key");
    for first in [
        Answer::status(503),
        Answer::status(500),
        Answer::retry_after(429, 1),
        Answer::Refused,
        Answer::TimedOut,
    ] {
        let (outcome, seen) = ask(&folder, &Selector::Unnamed, vec![first]).await;
        assert!(outcome.unwrap_err().is_transient());
        assert_eq!(seen.len(), 1);
    }
    for second in [
        Answer::status(408),
        Answer::status(429),
        Answer::status(500),
        Answer::status(503),
        Answer::Refused,
    ] {
        let mut script = vec![challenge(&path)];
        script.extend(vec![second; 4]);
        let (agent, http) = agent(&folder, script);
        let error = agent
            .fetch(&Selector::Unnamed, &Resource::new("r"))
            .await
            .unwrap_err();
        assert!(
            matches!(error, FetchError::GaveUp { tries: 4, .. }),
            "{error:?}"
        );
        let times: Vec<_> = http.seen().iter().map(|(at, _)| *at).collect();
        let waits = times[1..]
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_secs_f64());
        for (wait, base) in waits.zip([1.0, 2.0, 4.0]) {
            assert!((base..=base * 1.25 + 0.01).contains(&wait), "{wait}");
        }
    }
    for (status, body, word) in [
        (
            400,
            r#"{"error":"invalid_request","error_description":"d"}"#,
            "no identity",
        ),
        (400, r#"{"error":"invalid_resource"}"#, "cloud"),
        (403, r#"{"error":"access_denied"}"#, "azcmagent"),
        (404, "<html>", "no JSON"),
        (200, "<html>", "no JSON"),
        (200, "{}", "access_token"),
    ] {
        let script = vec![challenge(&path), Answer::json(status, body)];
        let (outcome, seen) = ask(&folder, &Selector::Unnamed, script).await;
        let text = outcome.unwrap_err().to_string();
        assert!(text.contains(word), "{status} {body}: {text}");
        assert_eq!(seen.len(), 2);
    }
}
