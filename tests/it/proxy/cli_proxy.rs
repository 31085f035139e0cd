//! `entrada proxy` as users run it.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::program::{Program, answers, bare, client, run};
use super::{azure, connection};
use crate::raw_client::soon;

#[tokio::test]
async fn a_client_is_served_and_the_log_tells_who_it_was() {
    let emulator = azure().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("conn");
    std::fs::write(&file, format!("{}\r\n", connection(&emulator))).unwrap();
    let conn = format!("file:{}", file.display());
    let arguments = [&*conn, "--listen", "127.0.0.1:0", "--tls", "off"];
    let mut program = Program::start(&emulator, &arguments).await;
    assert_eq!(program.ready["listeners"][0]["tls"], "off");
    assert_eq!(program.ready["admin"], Value::Null);
    let mut client = client(program.address(), "old\nprogram\u{202e}").await;
    assert!(answers(&mut client, "SELECT DB_NAME()", "shop").await);
    drop(client);
    let line = program.logs("a client has left").await;
    let record: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(record["target"], "entrada::proxy::access", "{line}");
    let fields = &record["fields"];
    assert_eq!(fields["user"], "legacy", "{line}");
    assert_eq!(fields["application"], "old?program?", "{line}");
    assert_eq!(fields["database"], "shop", "{line}");
    assert_eq!(fields["listener"], "default", "{line}");
    assert_eq!(fields["requests"], 1, "{line}");
    assert!(
        fields["bytes_in"].as_u64() > Some(0) && fields["bytes_out"].as_u64() > Some(0),
        "{line}"
    );
    assert!(
        fields["spid"].as_u64() > Some(0) && fields["seconds"].as_f64() > Some(0.0),
        "{line}"
    );
    program.signal(Signal::INT);
    assert_eq!(program.ends().await.code(), Some(0));
}

#[tokio::test]
async fn a_configuration_is_checked_without_dialling() {
    let folder = tempfile::tempdir().unwrap();
    let check = async |text: &str| {
        std::fs::write(folder.path().join("p.toml"), text).unwrap();
        run(folder.path(), &["--config", "p.toml", "--check-config"]).await
    };
    let good = "[[target]]\nconnection = \"Server=nowhere.invalid;User ID=u;Password=Pa55\"\n\
                [[listener]]\nlisten = \"127.0.0.1:1\"\n";
    let (code, said, told) = check(good).await;
    assert_eq!((code, &*told), (Some(0), ""));
    assert_eq!(
        said,
        "the configuration is good: 1 listener, 1 target, 0 users\n"
    );
    let (code, said, told) = check(&good.replace("listen =", "lisen =")).await;
    assert_eq!((code, &*said), (Some(2), ""));
    assert_eq!(
        told,
        "entrada: p.toml has 2 mistakes\n  \
         line 3, column 1, listener.listen: it is missing; write \"127.0.0.1:1433\", \"unix:/path\" or \"systemd:NAME\"\n  \
         line 4, column 1, listener.lisen: there is no such key; did you mean listen?\n"
    );
    let (code, _, told) = check(&good.replace("User ID=u;", "")).await;
    assert_eq!(code, Some(2));
    assert!(
        told.contains("line 2, column 14, target.connection: ") && !told.contains("Pa55"),
        "{told}"
    );
    let (code, _, told) = run(folder.path(), &["--config", "none.toml", "--check-config"]).await;
    assert_eq!(code, Some(2));
    assert!(
        told.contains("cannot read the configuration none.toml: "),
        "{told}"
    );
}

#[tokio::test]
async fn mistakes_in_arguments_have_exit_codes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let conn = "Server=nowhere.invalid;User ID=u;Password=Pa55";
    let cases: [(&[&str], i32, &str); 9] = [
        (&[], 2, "required arguments"),
        (&[conn, "--config", "x.toml"], 2, "cannot be used with"),
        (
            &[conn, "--listen", "localhost:1433"],
            2,
            "write an IP address and a port",
        ),
        (&[conn, "--listen", &taken], 4, "cannot listen on"),
        (
            &[conn, "--listen", "0.0.0.0:0"],
            2,
            "can be reached from other machines",
        ),
        (
            &[conn, "--admission", "password"],
            2,
            "users and their passwords are written in a file",
        ),
        (
            &[conn, "--tls", "on"],
            2,
            "write off, optional, required or strict",
        ),
        (&["env:NOTHING"], 2, "the variable NOTHING is not set"),
        (
            &["Server=a;Encrypt=perhaps;Password=Pa55"],
            2,
            "target.connection: ",
        ),
    ];
    for (arguments, wanted, words) in cases {
        let (code, said, told) = run(folder.path(), arguments).await;
        assert_eq!(code, Some(wanted), "{arguments:?} {told}");
        assert!(told.contains(words), "{arguments:?} {told}");
        assert!(!told.contains("Pa55") && said.is_empty(), "{told}");
    }
}

#[tokio::test]
async fn the_local_authority_is_printed_without_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let ca = || run(folder.path(), &["--print-ca", "--state", "state"]);
    let (code, first, told) = ca().await;
    assert_eq!((code, &*told), (Some(0), ""));
    assert!(first.starts_with("-----BEGIN CERTIFICATE-----"), "{first}");
    assert!(!first.contains("PRIVATE"), "{first}");
    assert_eq!(ca().await.1, first);
    let (code, _, told) = run(folder.path(), &["--print-ca"]).await;
    assert_eq!(code, Some(2));
    assert!(told.contains("name one by --state"), "{told}");
}

#[tokio::test]
async fn the_command_that_is_printed_prints_the_proxys_own_authority() {
    let folder = tempfile::tempdir().unwrap();
    let conn = "Server=127.0.0.1,9;User ID=a;Password=b";
    let mut proxy = bare(&[conn, "--listen", "127.0.0.1:0", "--state", "it's a state"]);
    proxy.current_dir(folder.path()).stdin(Stdio::null());
    let proxy = proxy.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut proxy = proxy.kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(proxy.stdout.take().unwrap()).lines();
    let command = loop {
        let line = soon("a line", lines.next_line()).await.unwrap();
        let line = line.expect("a command before the end");
        if let Some(command) = line.strip_prefix("CA certificate  entrada") {
            break format!("{}{command}", env!("CARGO_BIN_EXE_entrada"));
        }
    };
    let printed = Command::new("sh").args(["-c", &command]).output();
    let printed = soon("the command", printed).await.unwrap();
    let told = String::from_utf8_lossy(&printed.stderr);
    assert!(printed.status.success(), "{command}: {told}");
    let (_, own, _) = run(folder.path(), &["--print-ca", "--state", "it's a state"]).await;
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), own, "{command}");
}

#[tokio::test]
async fn a_password_on_the_standard_input_is_hashed() {
    let hash = async |input: &str| {
        let mut command = bare(&["hash-password"]);
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = soon("the hash", child.wait_with_output()).await.unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, first) = hash("Pa55 word\n").await;
    assert_eq!(code, Some(0));
    assert!(first.starts_with("$argon2id$v=19$m="), "{first}");
    assert!(
        first.lines().count() == 1 && first.ends_with('\n'),
        "{first}"
    );
    assert_ne!(
        hash("Pa55 word\r\n").await.1,
        first,
        "each has a salt of its own"
    );
    assert_eq!(hash("\n").await.0, Some(2));
}

#[tokio::test]
async fn a_probe_needs_no_other_program() {
    let emulator = azure().await;
    let connection = connection(&emulator);
    let arguments = [
        &*connection,
        "--listen",
        "127.0.0.1:0",
        "--tls",
        "off",
        "--admin",
        "127.0.0.1:0",
    ];
    let program = Program::start(&emulator, &arguments).await;
    let admin = program.ready["admin"].as_str().unwrap();
    let admin = admin.strip_prefix("http://").unwrap();
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["health", "--admin", admin, "--live"][..],
        &["health", "--admin", admin],
    ] {
        let (code, said, told) = run(folder.path(), arguments).await;
        assert_eq!((code, &*told), (Some(0), ""), "{said}");
    }
    drop(program);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap().to_string();
    drop(free);
    let (code, _, _) = run(folder.path(), &["health", "--admin", &nobody]).await;
    assert_eq!(code, Some(4));
}
