//! Another configuration in place of the one in force.

use std::time::Duration;

use entrada::Secret;
use entrada::proxy::config::{Admission, Config, TlsMode, UserConfig};
use entrada::proxy::{Proxy, hash_password};
use entrada::tds::{Encryption, Login7};
use rustix::process::Signal;

use super::program::{Program, answers, client};
use super::{address, azure, config, connection, proxy, sources};
use crate::raw_client::{RawClient, soon};

#[tokio::test]
async fn a_session_goes_on_while_its_target_changes_and_new_clients_get_the_new_one() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let at = address(&proxy);
    let mut old = client(at, "old").await;
    assert!(
        answers(
            &mut old,
            "CREATE TABLE #kept (id int); SELECT DB_NAME()",
            "shop"
        )
        .await
    );

    let mut changed = config(&emulator);
    changed.targets[0].connection = format!("{};Application Name=x", connection(&emulator)).into();
    let changes = proxy.reload(changed.clone()).await.unwrap();
    assert_eq!(changes.targets_changed, ["default"]);
    assert_eq!(address(&proxy), at);
    // What the client has made in its session is still there.
    assert!(
        answers(
            &mut old,
            "SELECT 'still ' + CAST(COUNT(*) AS nvarchar(9)) FROM #kept",
            "still 0"
        )
        .await
    );
    let mut new = client(at, "new").await;
    assert!(answers(&mut new, "SELECT DB_NAME()", "shop").await);

    let same = proxy.reload(changed).await.unwrap();
    assert_eq!(same.to_string(), "the same listeners and targets");
    soon("the end", proxy.shutdown(std::time::Duration::ZERO)).await;
}

#[tokio::test]
async fn what_cannot_be_used_changes_nothing() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let at = address(&proxy);
    let broken: [fn(&mut Config); 4] = [
        |config| config.targets[0].connection = "Server=a;Encrypt=perhaps".into(),
        |config| config.listeners[0].target = Some("nowhere".to_owned()),
        |config| config.listeners.clear(),
        |config| config.listeners[0].tls.certificate = Some(("no.pem".into(), "no.key".into())),
    ];
    for (number, spoil) in broken.into_iter().enumerate() {
        let mut config = config(&emulator);
        spoil(&mut config);
        assert!(proxy.reload(config).await.is_err(), "{number}");
        assert_eq!(address(&proxy), at);
        let mut client = client(at, "x").await;
        assert!(
            answers(&mut client, "SELECT DB_NAME()", "shop").await,
            "{number}"
        );
    }
}

#[tokio::test]
async fn hangup_reads_the_file_again_and_the_log_says_what_changed() {
    let emulator = azure().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    let path = file.to_str().unwrap();
    let write = |more: &str| {
        let connection = connection(&emulator);
        let text = format!(
            "[[target]]\nname = \"shop\"\nconnection = '''{connection}'''\n\
             [[listener]]\nlisten = \"127.0.0.1:0\"\ntls = \"off\"\ntarget = \"shop\"\n{more}"
        );
        std::fs::write(&file, text).unwrap();
    };
    write("");
    let mut program = Program::start(&emulator, &["--config", path]).await;
    let mut staying = client(program.address(), "staying").await;

    write(
        "[[target]]\nname = \"more\"\nconnection = \"Server=a.example;User ID=u;Password=Pa55\"\n",
    );
    program.signal(Signal::HUP);
    program
        .logs("the configuration was read again: targets +more")
        .await;

    write("[limits]\nconections = 1\n");
    program.signal(Signal::HUP);
    let line = program.logs("the one before stays in force").await;
    assert!(
        line.contains(
            "line 9, column 1, limits.conections: there is no such key; did you mean connections?"
        ),
        "{line}"
    );
    assert!(answers(&mut staying, "SELECT DB_NAME()", "shop").await);
    let mut another = client(program.address(), "another").await;
    assert!(answers(&mut another, "SELECT DB_NAME()", "shop").await);
    drop((staying, another));
    program.signal(Signal::TERM);
    assert!(program.ends().await.success());
    assert!(!program.logged.join("\n").contains("Pa55"));
}

/// A client that has connected and not sent its LOGIN7 yet when the
/// configuration is replaced; whether it is let in.
async fn is_let_in_across(
    before: impl FnOnce(&mut Config),
    after: impl FnOnce(&mut Config),
) -> Result<(), i32> {
    let emulator = azure().await;
    let mut first = config(&emulator);
    before(&mut first);
    let proxy = Proxy::start(first, sources(&emulator)).await.unwrap();
    let mut client = RawClient::tcp(address(&proxy)).await;
    client.prelogin(Encryption::NOT_SUP, None).await;
    let mut second = config(&emulator);
    after(&mut second);
    proxy.reload(second).await.unwrap();
    let login = Login7 {
        user_name: "bob".to_owned(),
        password: Secret::new("bob-marker"),
        ..Login7::default()
    };
    let answer = soon("the answer", client.login(&login)).await;
    soon("the end", proxy.shutdown(Duration::ZERO)).await;
    answer.refusal().map_or(Ok(()), |(number, _)| Err(number))
}

#[tokio::test]
async fn a_client_on_its_way_must_be_welcome_before_and_after() {
    let nobody = |config: &mut Config| {
        config.listeners[0].admission = Admission::Listed {
            uids: vec![4_000_000],
            gids: vec![],
        };
    };
    let any = |config: &mut Config| config.listeners[0].admission = Admission::Any;
    let users = |name: &'static str| {
        move |config: &mut Config| {
            let hash = hash_password(&Secret::new("bob-marker")).unwrap();
            config.listeners[0].admission = Admission::Password;
            config.users = vec![UserConfig::new(name, hash)];
        }
    };
    let encrypted = |config: &mut Config| config.listeners[0].tls.mode = TlsMode::Required;
    let gone = |config: &mut Config| config.listeners[0].name = "another".to_owned();
    assert_eq!(is_let_in_across(|_| {}, any).await, Ok(()));
    assert_eq!(is_let_in_across(users("bob"), users("BOB")).await, Ok(()));
    assert_eq!(is_let_in_across(any, nobody).await, Err(18456));
    assert_eq!(is_let_in_across(nobody, any).await, Err(18456));
    assert_eq!(
        is_let_in_across(users("bob"), users("eve")).await,
        Err(18456)
    );
    assert_eq!(is_let_in_across(|_| {}, encrypted).await, Err(40613));
    assert_eq!(is_let_in_across(|_| {}, gone).await, Err(40613));
}
