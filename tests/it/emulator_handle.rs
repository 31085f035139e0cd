//! Starting an emulator, and what its handle gives to clients.

use entrada::emulator::{Emulator, EmulatorBuilder, EmulatorError, ManagedIdentity};
use entrada::target::{Auth, Encrypt, Identity, Target};

use crate::raw_client::{Form, RawClient, password_login, soon};

#[tokio::test]
async fn its_connection_strings_mean_the_same_in_every_dialect() {
    let emulator = Emulator::builder().start().await.unwrap();
    let worker = emulator.identities()[1].clone();
    for identity in [None, Some(&worker)] {
        let strings = emulator.connection_strings("demo", identity);
        let all = [
            &strings.ado_net,
            &strings.odbc,
            &strings.jdbc,
            &strings.mssql_python,
        ];
        for text in all {
            let target = Target::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            let address = format!("127.0.0.1,{}", emulator.sql_addr().port());
            assert_eq!(target.server.to_string(), address, "{text}");
            assert_eq!(target.database.as_deref(), Some("demo"), "{text}");
            let pinned = target.tls.server_certificate.as_deref();
            assert_eq!(
                pinned,
                Some(emulator.server_certificate_file().as_path()),
                "{text}"
            );
            let strict = *text != strings.ado_net;
            assert_eq!(target.tls.encrypt == Encrypt::Strict, strict, "{text}");
            let Auth::ManagedIdentity(who) = &target.auth else {
                panic!("{:?}", target.auth)
            };
            match (identity, who) {
                (None, Identity::SystemAssigned) => {}
                (
                    Some(worker),
                    Identity::ClientId(id)
                    | Identity::ObjectId(id)
                    | Identity::ClientOrObjectId(id),
                ) => assert_eq!(*id, worker.client_id.to_string(), "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn the_example_configuration_starts() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/emulator.toml");
    let loopback = "127.0.0.1:0".parse().unwrap();
    let builder = EmulatorBuilder::from_config_file(path.as_ref()).unwrap();
    let emulator = builder
        .sql_address(loopback)
        .identity_address(loopback)
        .start()
        .await
        .unwrap();
    assert_eq!(emulator.engine().databases(), ["master", "orders"]);
    let rows = "if (select count(*) from orders) <> 2 throw 50001, N'not those rows', 1";
    emulator.run_sql("orders", rows).await.unwrap();
    emulator.faults().clear();
    let mut client = RawClient::ready(&emulator, Form::Tunnelled).await;
    let login = password_login("legacy", "Only-For-Tests-2", "orders");
    let answer = soon("the login", client.login(&login)).await;
    assert_eq!(answer.database(), Some("orders"));
}

#[tokio::test]
async fn a_table_takes_its_rows_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let config = "[[database]]\nname = \"shop\"\n[[database.table]]\nname = \"sales.items\"\n\
                  columns = [\"id int\", \"price decimal(9,2)\", \"name nvarchar(20)\"]\n\
                  csv = \"items.csv\"\n";
    write("emulator.toml", config);
    write("items.csv", "name,id,price\n\"a, b\",1,9.50\n,2,\n");
    let path = folder.path().join("emulator.toml");
    let builder = EmulatorBuilder::from_config_file(&path).unwrap();
    let emulator = builder.start().await.unwrap();
    let check = "if (select count(*) from sales.items where id = 1 and price = 9.5 and name = N'a, b') \
                 + (select count(*) from sales.items where id = 2 and price is null and name is null) \
                 <> 2 throw 50001, N'not those rows', 1";
    emulator.run_sql("shop", check).await.unwrap();
    write("items.csv", "name,id\nx\n");
    let error = EmulatorBuilder::from_config_file(&path).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("emulator.toml is not valid at line 6"),
        "{text}"
    );
    assert!(text.contains("a line of the file has 1 fields"), "{text}");
}

#[tokio::test]
async fn its_variables_point_at_its_endpoints() {
    let emulator = Emulator::builder().start().await.unwrap();
    let names: Vec<_> = emulator
        .environment()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let wanted = [
        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
        "IDENTITY_ENDPOINT",
        "IDENTITY_HEADER",
    ];
    assert_eq!(names, wanted);
    assert_eq!(emulator.imds_environment()[0].1, emulator.imds_url());
}

#[tokio::test]
async fn certificates_for_clients_vanish_with_it_and_kept_ones_stay() {
    let emulator = Emulator::builder().start().await.unwrap();
    let file = emulator.server_certificate_file();
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        emulator.server_certificate_pem()
    );
    soon("the shutdown", emulator.shutdown()).await;
    assert!(!file.exists() && !file.parent().unwrap().exists());

    let state = tempfile::tempdir().unwrap();
    let start = || Emulator::builder().state_dir(state.path()).start();
    let first = start().await.unwrap();
    let (ca, key) = (first.ca_certificate_pem().to_owned(), jwks(&first).await);
    soon("the shutdown", first.shutdown()).await;
    let second = start().await.unwrap();
    assert_eq!(
        (second.ca_certificate_pem(), jwks(&second).await),
        (ca.as_str(), key)
    );
    assert_eq!(second.ca_certificate_file(), state.path().join("ca.pem"));
}

#[tokio::test]
async fn it_refuses_to_start_with_a_reason() {
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let error = Emulator::builder()
        .sql_address(everywhere)
        .start()
        .await
        .unwrap_err();
    assert!(
        matches!(error, EmulatorError::NotLoopback { .. }),
        "{error}"
    );
    let one = || ManagedIdentity::user_assigned("one");
    let twice = Emulator::builder()
        .identity(one())
        .identity(one())
        .start()
        .await
        .unwrap_err();
    assert!(matches!(twice, EmulatorError::Duplicate { .. }), "{twice}");
    let two_systems = Emulator::builder()
        .identity(ManagedIdentity::system_assigned("a"))
        .identity(ManagedIdentity::system_assigned("b"));
    let error = two_systems.start().await.unwrap_err();
    assert!(matches!(error, EmulatorError::Duplicate { .. }), "{error}");
    let running = Emulator::builder().start().await.unwrap();
    let taken = Emulator::builder()
        .sql_address(running.sql_addr())
        .start()
        .await
        .unwrap_err();
    assert!(matches!(taken, EmulatorError::Bind { .. }), "{taken}");
    let unknown = running
        .issue_token("nobody", "https://database.windows.net/")
        .unwrap_err();
    assert!(
        unknown.to_string().contains("demo-app, demo-worker"),
        "{unknown}"
    );
}

/// Runs the program until it says that it is ready, and ends it as a service manager would.
#[cfg(all(unix, feature = "cli"))]
#[tokio::test]
async fn the_program_tells_when_it_is_ready_and_ends_on_sigterm() {
    use std::process::Stdio;
    use tokio::io::{AsyncBufReadExt, BufReader};

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("emulator.toml");
    std::fs::write(&config, "[[database]]\nname = \"shop\"\n").unwrap();
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_entrada"))
        .args(["emulator", "--format", "json", "--listen", "127.0.0.1:0"])
        .args(["--identity-listen", "127.0.0.1:0", "--config"])
        .arg(&config)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(program.stdout.take().unwrap());
    soon("the first line", output.read_line(&mut line))
        .await
        .unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(ready["databases"], serde_json::json!(["master", "shop"]));
    let address = ready["sql"].as_str().unwrap();
    tokio::net::TcpStream::connect(address).await.unwrap();
    let admin = reqwest::Client::builder().no_proxy().build().unwrap();
    let status = admin
        .get(format!("{}/status", ready["admin"].as_str().unwrap()))
        .bearer_auth(ready["admin_key"].as_str().unwrap());
    assert_eq!(
        soon("the status", status.send()).await.unwrap().status(),
        200
    );
    let pid = program.id().unwrap().to_string();
    let killed = tokio::process::Command::new("kill")
        .arg(pid)
        .status()
        .await
        .unwrap();
    assert!(killed.success());
    assert!(soon("the end", program.wait()).await.unwrap().success());
}

#[cfg(feature = "cli")]
#[test]
fn the_program_names_the_place_of_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("emulator.toml");
    std::fs::write(&config, "[server]\nlisten = 5\n").unwrap();
    let assert = assert_cmd::Command::cargo_bin("entrada")
        .unwrap()
        .args(["emulator", "--config"])
        .arg(&config)
        .assert()
        .code(2);
    let error = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(
        error.contains("emulator.toml is not valid at line 2, column"),
        "{error}"
    );
}

#[cfg(feature = "cli")]
#[test]
fn the_program_checks_a_configuration_down_to_its_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("emulator.toml");
    let check = |text: &str| {
        std::fs::write(&config, text).unwrap();
        assert_cmd::Command::cargo_bin("entrada")
            .unwrap()
            .args(["emulator", "--check-config", "--config"])
            .arg(&config)
            .assert()
    };
    check("[[database]]\nname = \"shop\"\nsql = \"create table t (id int)\"\n").code(0);
    let assert =
        check("[[database]]\nname = \"shop\"\nsql = \"create tabel t (id int)\"\n").failure();
    let error = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(error.contains("\"shop\""), "{error}");
    check("[server]\nlisten = \"0.0.0.0:1\"\n").code(2);
}

async fn jwks(emulator: &Emulator) -> String {
    let url = format!("{}/discovery/keys", emulator.authority_url());
    reqwest::get(url).await.unwrap().text().await.unwrap()
}
