//! `entrada emulator` as a user runs it who makes mistakes.

use std::net::TcpListener;

use assert_cmd::Command;

/// The exit code and the standard error of a run that ends by itself.
fn run(folder: &std::path::Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::cargo_bin("entrada").unwrap();
    let command = command.current_dir(folder).env_clear().arg("emulator");
    let output = command.args(arguments).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), told)
}

#[test]
fn a_mistake_in_the_configuration_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (
            "[server]\nlisten = \"localhost:1433\"",
            "c.toml is not valid at line 2, column 10: an address is an IP address and a port",
        ),
        (
            "[[database]]\nname = \"d\"\nscripts = [\"none.sql\"]",
            "cannot read none.sql for the configuration",
        ),
        (
            "[[database]]\nname = \"d\"\nsql = \"\"\"\nselect 1\ngo\nselec 1\n\"\"\"",
            "refuses the seed \"sql\" of the database \"d\": error 2812, line 3: ",
        ),
        (
            "[[database]]\nname = \"d\"\n[[database.table]]\nname = \"t\"\ncolumns = [\"a nonsense\"]",
            "refuses the seed \"table t\" of the database \"d\": error 2715, line 1: ",
        ),
        (
            "[[vault]]\nname = \"shop\"\nreaders = [\"nobody\"]",
            "no identity \"nobody\" is defined; the emulator knows ",
        ),
        (
            "[[vault]]\nname = \"shop.eu\"\nsecret = [{ name = \"a\", value = \"b\" }]",
            "\"shop.eu\" is no name for a key vault: write 3 to 24 letters, digits and hyphens",
        ),
        (
            "[[application]]\nname = \"a\"\nclient_id = \"00000000-0000-0000-0000-000000000001\"\n\
             [[application]]\nname = \"b\"\nclient_id = \"00000000-0000-0000-0000-000000000001\"",
            "client id \"00000000-0000-0000-0000-000000000001\"",
        ),
    ];
    for (text, wanted) in cases {
        std::fs::write(folder.path().join("c.toml"), text).unwrap();
        let (code, told) = run(folder.path(), &["--config", "c.toml", "--check-config"]);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains(wanted), "{told}");
    }
}

#[test]
fn arguments_and_addresses_have_exit_codes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let free = "127.0.0.1:0";
    let cases: [(&[&str], i32, &str); 4] = [
        (
            &["--listen", "localhost:1433"],
            2,
            "write an IP address and a port",
        ),
        (
            &["--listen", &taken, "--identity-listen", free],
            4,
            "for the SQL gateway; choose another address or port",
        ),
        (
            &["--listen", "0.0.0.0:0", "--identity-listen", free],
            2,
            "(--allow-beyond-loopback)",
        ),
        (&["--platform", "vm"], 2, "is no platform; write imds, "),
    ];
    for (arguments, wanted, words) in cases {
        let (code, told) = run(folder.path(), arguments);
        assert_eq!(code, Some(wanted), "{told}");
        assert!(told.contains(words), "{told}");
    }
}
