//! Scripts, and what they make, by the grammar of sqlfluff.

use entrada::scripts::{self, Kind, Script};

use super::hostile;
use super::place::{Place, by_sid};
use crate::support::grammar::{errors, parses};

const ID: &str = "00112233-4455-6677-8899-aabbccddeeff";

/// A script whose names are all this one.
fn filled(script: &Script, name: &str) -> String {
    let values: Vec<(&str, &str)> = script
        .variables
        .iter()
        .filter_map(|variable| match variable.kind {
            Kind::Name => Some((variable.name.as_str(), name)),
            Kind::Guid => Some((variable.name.as_str(), ID)),
            _ => None,
        })
        .collect();
    script.fill(&values).unwrap()
}

#[tokio::test]
async fn every_script_is_t_sql() {
    let scripts = scripts::all().iter();
    let mut texts: Vec<(String, String)> = scripts
        .map(|script| (script.name.to_owned(), filled(script, "orders")))
        .collect();
    // As it stands in the file, and the lines that hostile names make of one.
    let script = scripts::find("create-user").unwrap();
    texts.push(("a file".to_owned(), script.text.to_owned()));
    for name in hostile::names() {
        let text = filled(script, &name);
        let line = text
            .lines()
            .find(|line| line.starts_with("DECLARE @principal "));
        texts.push((format!("{name:?}"), line.unwrap().to_owned()));
    }
    parses(&texts).await;
}

/// Dynamic SQL is a text to the grammar, so what the scripts ran is given to it, too.
#[tokio::test]
async fn what_scripts_run_is_t_sql() {
    let mut place = Place::new();
    let user = "o'br]ien";
    place.app("by name");
    place.run("create-user", &[("PrincipalName", "by name")]);
    let id = place.app("by id").object_id.to_string();
    let values = [
        ("PrincipalName", "by id"),
        ("ObjectId", &id),
        ("DefaultSchema", "sales"),
    ];
    place.run("create-user-by-object-id", &values);
    place.user(user);
    let name = ("PrincipalName", user);
    place.run("migrations-owner", &[name]);
    place.run(
        "service-role",
        &[name, ("RoleName", "r"), ("SchemaName", "sales")],
    );
    place.run("grant-on-object", &[name, ("ObjectName", "t")]);
    place.run("execute-procedures", &[name]);
    place.admin("ALTER AUTHORIZATION ON SCHEMA::sales TO [o'br]]ien]; ALTER AUTHORIZATION ON OBJECT::dbo.t TO [o'br]]ien]");
    place.admin("ALTER AUTHORIZATION ON ROLE::r TO [o'br]]ien]; GRANT UPDATE (id) ON dbo.t TO [by id] WITH GRANT OPTION");
    place.admin("GRANT IMPERSONATE ON USER::[by id] TO [o'br]]ien] WITH GRANT OPTION; DENY DELETE ON sales.u TO [by id]");
    let other = place.app("made anew");
    place.run("replace-identity", &by_sid(user, &other));
    place.run("revoke", &[name]);
    place.run(
        "remove-from-role",
        &[("PrincipalName", "by id"), ("RoleName", "r")],
    );
    place.run("drop-user", &[name]);
    let texts: Vec<(String, String)> = place
        .statements
        .iter()
        .map(|line| ("run".to_owned(), line.clone()))
        .collect();
    assert!(texts.len() > 30, "{texts:#?}");
    parses(&texts).await;
}

#[tokio::test]
async fn the_grammar_refuses_what_is_spoiled() {
    let script = filled(scripts::find("revoke").unwrap(), "orders");
    let mut texts = vec![("valid".to_owned(), script.clone())];
    for (word, instead) in [
        ("FROM sys.database_principals\nWHERE", "FROM\nWHERE"),
        ("BEGIN TRANSACTION;", "BEGIN TRANSACTION THEN;"),
        ("THROW 50000, @message, 1;", "THROW 50000, , 1;"),
        ("N'orders'", "N'ord'ers'"),
        ("    RETURN;\nEND;", "    RETURN;"),
    ] {
        assert!(script.contains(word), "{word}");
        texts.push((instead.to_owned(), script.replacen(word, instead, 1)));
    }
    for sql in [
        "GRANT SELECT ON SCHEMA::[dbo] [u]",
        "ALTER ROLE [r] ADD [u]",
        "CREATE USER [a]b]",
    ] {
        texts.push((sql.to_owned(), sql.to_owned()));
    }
    let Some(found) = errors(&texts).await else {
        return;
    };
    for ((name, _), errors) in texts.iter().zip(found) {
        assert_eq!(errors.is_empty(), name == "valid", "{name}: {errors:?}");
    }
}
