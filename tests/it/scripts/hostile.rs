//! Names that would break out of a script, if they could.

use entrada::scripts;

use super::place::{Place, by_sid, run_batches, sqlcmd};
use crate::engine::answer::one;

/// Names that a database may have.
pub(super) fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "a]b",
        "]]",
        "o'brien",
        "'; DROP TABLE dbo.t; --",
        "[dbo]",
        "  leading",
        "😀 and 😀",
        "שלום مرحبا",
        "\u{202e}turned",
        "x%y%%z",
        "/* -- */",
        "$(PrincipalName)",
        "N'$(RoleName)'",
        "two\nGO\nlines",
        "carriage\r\nGO\r\n:quit",
        "tab\tand\u{85}next",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("x".repeat(128));
    names.push("]".repeat(128));
    names.push("'".repeat(128));
    names.push("😀".repeat(64));
    names
}

#[test]
fn every_script_takes_hostile_names_and_ends_where_it_began() {
    for name in names() {
        let mut place = Place::new();
        let start = place.catalogue();
        let app = place.app("hostile");
        let schema = format!(
            "EXEC(N'CREATE SCHEMA [{}]')",
            name.replace(']', "]]").replace('\'', "''")
        );
        place.admin(&schema);
        let table = format!("CREATE TABLE [{0}].[{0}](id int)", name.replace(']', "]]"));
        place.admin(&table);
        let empty = place.catalogue();
        let user = [("PrincipalName", name.as_str())];
        let with = |more: &[(&'static str, &'static str)]| [&user, more].concat();

        place.twice("create-user-by-sid", &by_sid(&name, &app));
        let mut session = place.login(&app).unwrap();
        assert_eq!(one(&mut session, "SELECT USER_NAME()"), name);
        for script in ["read-write", "migrations-owner"] {
            place.twice(script, &user);
        }
        let role = format!(
            "{}r",
            &name[..name.len() - name.chars().last().unwrap().len_utf8()]
        );
        let role = ("RoleName", role.as_str());
        let schema = ("SchemaName", name.as_str());
        place.twice("service-role", &[user[0], role, schema]);
        place.twice("remove-from-role", &[user[0], role]);
        place.twice("add-to-role", &[user[0], role]);
        place.twice("execute-procedures", &[user[0], schema]);
        let object = ("ObjectName", name.as_str());
        place.twice("grant-on-object", &[user[0], schema, object]);
        let other = place.app("made anew");
        place.twice("replace-identity", &by_sid(&name, &other));
        let mut session = place.login(&other).unwrap();
        assert_eq!(one(&mut session, "SELECT USER_NAME()"), name);
        assert_eq!(place.login(&app).err(), Some(18456));
        place.twice("revoke", &user);
        place.twice("revoke", &with(&[("Connecting", "revoke")]));
        place.twice("drop-user", &user);

        let role = format!("DROP ROLE [{}]", role.1.replace(']', "]]"));
        place.admin(&role);
        assert_eq!(place.catalogue(), empty, "{name:?}");
        let drop = format!(
            "DROP TABLE [{0}].[{0}]; DROP SCHEMA [{0}]",
            name.replace(']', "]]")
        );
        place.admin(&drop);
        assert_eq!(place.catalogue(), start, "{name:?}");
    }
}

/// A DBA who gives a name to sqlcmd itself doubles its quotes. What a name on one line and without
/// a variable of sqlcmd's then becomes is the same as by `fill`.
#[test]
fn sqlcmd_s_own_substitution_does_the_same() {
    for name in names() {
        if name.contains(['\n', '\r']) || name.contains("$(") {
            continue;
        }
        let mut place = Place::new();
        let app = place.app("hostile");
        let script = scripts::find("create-user-by-sid").unwrap();
        let id = app.client_id.unwrap().to_string();
        let doubled = name.replace('\'', "''");
        let values = [
            ("PrincipalName", doubled.as_str()),
            ("PrincipalId", &id),
            ("PrincipalType", "E"),
            ("DefaultSchema", "dbo"),
        ];
        let answer = run_batches(&mut place.dbo, &sqlcmd(script.text, &values));
        assert!(answer.errors.is_empty(), "{name:?}: {:?}", answer.errors);
        let mut session = place.login(&app).unwrap();
        assert_eq!(one(&mut session, "SELECT USER_NAME()"), name);
    }
}

/// sqlcmd puts in what it is given, too long or empty as it may be: the script itself looks.
#[test]
fn what_sqlcmd_lets_through_the_script_refuses() {
    let mut place = Place::new();
    let script = scripts::find("create-user-by-sid").unwrap();
    let long = "x".repeat(129);
    let id = "00112233-4455-6677-8899-aabbccddeeff";
    let braces = format!("{{{id}}}");
    for (name, id, kind, schema, says) in [
        (
            "",
            id,
            "E",
            "dbo",
            "PrincipalName must have 1 to 128 characters.",
        ),
        (
            &long,
            id,
            "E",
            "dbo",
            "PrincipalName must have 1 to 128 characters.",
        ),
        (
            "a",
            "x",
            "E",
            "dbo",
            "PrincipalId must be an id of 36 characters",
        ),
        (
            "a",
            &braces,
            "E",
            "dbo",
            "PrincipalId must be an id of 36 characters",
        ),
        ("a", id, "S", "dbo", "PrincipalType must be E"),
        (
            "a",
            id,
            "E",
            "",
            "DefaultSchema must have 1 to 128 characters.",
        ),
    ] {
        let values = [
            ("PrincipalName", name),
            ("PrincipalId", id),
            ("PrincipalType", kind),
            ("DefaultSchema", schema),
        ];
        let before = place.catalogue();
        let answer = run_batches(&mut place.dbo, &sqlcmd(script.text, &values));
        assert_eq!(answer.error(), 50000);
        assert!(
            answer.errors[0].message.starts_with(says),
            "{:?}",
            answer.errors
        );
        assert_eq!(place.catalogue(), before);
    }
}
