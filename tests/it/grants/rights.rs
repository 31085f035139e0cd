//! An identity can do what the manifest says, and not one step more.

use entrada::emulator::{EngineSession, EntraKind, EntraPrincipal, Principal as Login};
use entrada::grants::{Desired, Mode, Permission, PermissionState, Securable};
use entrada::tsql::Name;
use uuid::Uuid;

use super::bench::*;
use crate::engine::answer::ask;

const TABLES: [(&str, &str); 3] = [("dbo", "orders"), ("dbo", "items"), ("s]1", "o'rders")];
const ACTIONS: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

/// Something that the identity tries, and whether it should work.
struct Trial {
    sql: String,
    /// The number of the refusal; `None` if it is allowed.
    refused: Option<i32>,
}

fn statement(action: &str, schema: &str, table: &str) -> String {
    let on = format!("{}.{}", name(schema), name(table));
    match action {
        "SELECT" => format!("SELECT a, b FROM {on}"),
        "INSERT" => format!("INSERT {on} (a, b) VALUES (1, 2)"),
        "UPDATE" => format!("UPDATE {on} SET a = 1, b = 2"),
        _ => format!("DELETE {on}"),
    }
}

/// What the manifest says of a table and an action, worked out anew: DENY
/// anywhere outweighs GRANT anywhere.
fn allowed(desired: &Desired, who: &[Name], action: &str, schema: &str, table: &str) -> bool {
    let applies = |permission: &&Permission| {
        let on = match &permission.on {
            Securable::Database => true,
            Securable::Schema(on) => on.as_str() == schema,
            Securable::Object { schema: s, name } => s.as_str() == schema && name.as_str() == table,
            _ => false,
        };
        on && permission.action == action
            && who.contains(&permission.to)
            && permission.columns.is_empty()
    };
    let said: Vec<&Permission> = desired.permissions.iter().filter(applies).collect();
    !said.is_empty() && said.iter().all(|p| p.state != PermissionState::Deny)
}

fn trials(desired: &Desired, who: &[Name]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (schema, table) in TABLES {
        for action in ACTIONS {
            let refused = (!allowed(desired, who, action, schema, table)).then_some(229);
            let sql = statement(action, schema, table);
            trials.push(Trial { sql, refused });
        }
    }
    for (sql, number) in [
        ("CREATE TABLE mine (a int)", 262),
        ("CREATE ROLE mine", 262),
        ("CREATE USER mine WITHOUT LOGIN", 15247),
        ("ALTER ROLE reader ADD MEMBER guest", 15151),
        ("GRANT SELECT ON dbo.orders TO guest", 15151),
    ] {
        trials.push(Trial {
            sql: sql.to_owned(),
            refused: Some(number),
        });
    }
    trials
}

fn manifest() -> Desired {
    let mut desired = Desired::default();
    desired.principals = vec![app("api", 1), app("o]ther", 2)];
    desired.roles = vec![role("reader"), role("writer")];
    desired.memberships = vec![
        member("reader", "writer"),
        member("writer", "api"),
        member("reader", "o]ther"),
    ];
    desired.permissions = vec![
        grant("SELECT", Securable::Schema(name("dbo")), "reader"),
        grant("INSERT", Securable::Database, "writer"),
        deny("INSERT", table("dbo", "items"), "api"),
        grant("UPDATE", table("dbo", "orders"), "writer"),
        grant("SELECT", table("dbo", "orders"), "writer"),
        grant("DELETE", table("s]1", "o'rders"), "o]ther"),
        deny("SELECT", table("dbo", "items"), "o]ther"),
    ];
    desired
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_can_do_what_the_manifest_says_and_no_more() {
    let bench = Bench::start().await;
    let mut database = bench.database("rights");
    database.run(&["EXEC ('CREATE SCHEMA [s]]1]')"]);
    for (schema, table) in TABLES {
        let sql = format!(
            "CREATE TABLE {}.{} (a int, b int)",
            name(schema),
            name(table)
        );
        database.run(&[&sql]);
    }
    let desired = manifest();
    database.reach(&desired, Mode::Prune).await;
    let (reader, writer) = (name("reader"), name("writer"));
    let mut tried = [0, 0];
    for (user, id, roles) in [
        ("api", 1, vec![reader.clone(), writer]),
        ("o]ther", 2, vec![reader]),
    ] {
        let mut session = login(&bench, user, id);
        let who: Vec<Name> = std::iter::once(name(user)).chain(roles).collect();
        for Trial { sql, refused } in trials(&desired, &who) {
            let answer = ask(&mut session, &sql);
            let number = answer.errors.first().map(|error| error.number);
            assert_eq!(number, refused, "{user}: {sql}: {:?}", answer.errors);
            tried[usize::from(refused.is_some())] += 1;
        }
    }
    assert_eq!(tried, [7, 27]);
}

/// The identity's own login, by the client id that its user was made of.
fn login(bench: &Bench, user: &str, id: u128) -> EngineSession {
    let principal = EntraPrincipal::application(
        EntraKind::ManagedIdentity,
        user,
        Uuid::from_u128(9),
        Uuid::from_u128(id),
        Uuid::from_u128(1000 + id),
    );
    let engine = bench.emulator.engine();
    engine
        .connect(&Login::Entra(principal), Some("rights"))
        .unwrap()
}
