//! `compose.yaml` and what stands below `deploy/`, as the tools of each field read it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::prelude::*;
use serde_json::Value;

use crate::support::clients::{node, python, tool};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn deploy() -> String {
    root().join("deploy").to_str().unwrap().to_owned()
}

/// Fails unless every feature was fine, and says how many there were.
fn all_fine(lines: &[Value]) -> usize {
    let features = lines.iter().filter(|line| line["feature"].is_string());
    let faults: Vec<_> = features.clone().filter(|line| line["ok"] != true).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    features.count()
}

#[tokio::test]
async fn dockerfiles_and_kubernetes_manifests_are_valid() {
    let told = python("deploy_judge.py", &[], [("DEPLOY", deploy())]).await;
    let Some(lines) = told else { return };
    assert_eq!(all_fine(&lines), 3);
}

#[tokio::test]
async fn terraform_and_nomad_files_are_valid() {
    let told = node("hcl_judge.js", &[], [("DEPLOY".to_owned(), deploy())]).await;
    let Some(lines) = told else { return };
    assert_eq!(all_fine(&lines), 6);
}

#[test]
fn the_compose_file_is_valid_with_and_without_its_profile() {
    let need = "docker-compose is needed to read compose.yaml";
    let file = root().join("compose.yaml");
    let file = file.to_str().unwrap();
    let services = |profile: &[&str]| {
        let arguments = [&["-f", file], profile, &["config", "--services"]].concat();
        let told = tool("docker-compose", &arguments, need)?;
        let mut services: Vec<String> = told.lines().map(str::to_owned).collect();
        services.sort();
        Some(services)
    };
    let Some(plain) = services(&[]) else { return };
    assert!(plain.contains(&"client".to_owned()), "{plain:?}");
    let all = services(&["--profile", "sqlserver"]).unwrap();
    assert!(all.contains(&"sqlserver".to_owned()), "{all:?}");
}

#[test]
fn systemd_takes_the_units_and_finds_them_hardened() {
    let need = "systemd-analyze is needed to check the units";
    let folder = tempfile::tempdir().unwrap();
    for unit in ["entrada.service", "entrada.socket"] {
        let text = fs::read_to_string(root().join("deploy/systemd").join(unit)).unwrap();
        let text = text.replace("/usr/local/bin/entrada", env!("CARGO_BIN_EXE_entrada"));
        fs::write(folder.path().join(unit), text).unwrap();
    }
    if tool("systemd-analyze", &["--version"], need).is_none() {
        return;
    }
    let path = |unit: &str| folder.path().join(unit);
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .args([path("entrada.service"), path("entrada.socket")])
        .assert()
        .success();
    let told = String::from_utf8_lossy(&verified.get_output().stderr).into_owned();
    assert!(!told.contains("entrada"), "{told}");
    // 0 is locked up, 100 wide open; a unit without any of it has 96.
    Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--threshold=20"])
        .arg(path("entrada.service"))
        .assert()
        .success();
}

#[test]
fn every_configuration_in_them_is_good() {
    let read = |file: &str| fs::read_to_string(root().join("deploy").join(file)).unwrap();
    let kubernetes = read("kubernetes/legacy-app.yaml");
    let nomad = read("nomad/entrada.nomad.hcl");
    let configurations = [
        ("systemd", read("systemd/proxy.toml")),
        (
            "kubernetes",
            between(&kubernetes, "proxy.toml: |\n", "\n---"),
        ),
        ("nomad", between(&nomad, "<<-EOT\n", "EOT\n")),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (place, text) in configurations {
        assert!(text.contains("[[listener]]"), "{place}: {text}");
        let file: PathBuf = folder.path().join(format!("{place}.toml"));
        fs::write(&file, text).unwrap();
        Command::new(env!("CARGO_BIN_EXE_entrada"))
            .args(["proxy", "--check-config", "--config"])
            .arg(&file)
            .args(["--state".as_ref(), folder.path().as_os_str()])
            // What the webhook gives to a pod.
            .env("AZURE_CLIENT_ID", ID)
            .env("AZURE_TENANT_ID", ID)
            .env("AZURE_FEDERATED_TOKEN_FILE", folder.path().join("token"))
            .assert()
            .success();
    }
}

const ID: &str = "00000000-0000-0000-0000-000000000000";

/// What stands between two marks. TOML does not mind the indentation.
fn between(text: &str, begin: &str, end: &str) -> String {
    let (_, rest) = text.split_once(begin).unwrap();
    rest.split_once(end).unwrap().0.to_owned()
}
