//! An identity can do what the manifest says, and not one step more.

use std::cell::Cell;

use entrada::emulator::{EngineSession, EntraKind, EntraPrincipal, Principal as Login};
use entrada::grants::{Desired, Mode, Permission, PermissionState, Securable};
use entrada::tsql::Name;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
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
    let by_role = (action == "SELECT" && who.contains(&name("db_datareader")))
        || (action != "SELECT" && who.contains(&name("db_datawriter")));
    (by_role || !said.is_empty()) && said.iter().all(|p| p.state != PermissionState::Deny)
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

const USERS: [(&str, u128); 2] = [("api", 1), ("o]ther", 2)];

/// Brings a new database to the manifest, has every identity try everything, and
/// counts what was allowed and what refused.
async fn tried(bench: &Bench, text: &str, desired: &Desired) -> [usize; 2] {
    let mut database = bench.database(text);
    database.run(&["EXEC ('CREATE SCHEMA [s]]1]')"]);
    for (schema, table) in TABLES {
        let on = format!("{}.{}", name(schema), name(table));
        database.run(&[&format!("CREATE TABLE {on} (a int, b int)")]);
    }
    database.reach(desired, Mode::Prune).await;
    let mut tried = [0, 0];
    for (user, id) in USERS {
        let mut session = login(bench, text, user, id);
        let who = with_roles(desired, user);
        for Trial { sql, refused } in trials(desired, &who) {
            let answer = ask(&mut session, &sql);
            let number = answer.errors.first().map(|error| error.number);
            assert_eq!(number, refused, "{user}: {sql}: {desired:#?}");
            tried[usize::from(refused.is_some())] += 1;
        }
    }
    tried
}

/// Somebody and the roles of that one, by the manifest.
fn with_roles(desired: &Desired, user: &str) -> Vec<Name> {
    let mut who = vec![name(user)];
    let mut at = 0;
    while at < who.len() {
        let into = desired.memberships.iter().filter(|m| m.member == who[at]);
        let new: Vec<Name> = into.map(|m| m.role.clone()).collect();
        who.extend(new);
        at += 1;
    }
    who
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_can_do_what_the_manifest_says_and_no_more() {
    let bench = Bench::start().await;
    assert_eq!(tried(&bench, "rights", &manifest()).await, [7, 27]);
}

/// Memberships by bits; state, action, thing and grantee of permissions.
type Seeds = (u8, Vec<(bool, usize, usize, usize)>);

fn generated((bits, permissions): &Seeds) -> Desired {
    let mut desired = manifest();
    desired.permissions.clear();
    let pairs = [
        ("reader", "writer"),
        ("reader", "api"),
        ("writer", "api"),
        ("reader", "o]ther"),
        ("writer", "o]ther"),
        ("db_datareader", "reader"),
        ("db_datawriter", "o]ther"),
        ("db_datareader", "api"),
    ];
    let chosen = pairs
        .iter()
        .enumerate()
        .filter(|(at, _)| bits >> at & 1 == 1);
    desired.memberships = chosen.map(|(_, (role, who))| member(role, who)).collect();
    for (denies, action, on, to) in permissions {
        let on = match TABLES.get(*on) {
            Some((schema, name)) => table(schema, name),
            None if *on == 3 => Securable::Database,
            None => Securable::Schema(name(["dbo", "s]1"][on - 4])),
        };
        let to = ["api", "o]ther", "reader", "writer"][*to];
        let make = if *denies { deny } else { grant };
        desired.permissions.push(make(ACTIONS[*action], on, to));
    }
    desired
}

#[test]
fn identities_can_do_what_any_manifest_says_and_no_more() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Pools are made for the runtime that they live in.
    let _entered = runtime.enter();
    let bench = runtime.block_on(Bench::start());
    let mut config = Config::with_cases(10);
    config.failure_persistence = None;
    config.max_shrink_iters = 40;
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let permission = (prop::bool::weighted(0.25), 0..4usize, 0..6usize, 0..4usize);
    let seeds = (any::<u8>(), prop::collection::vec(permission, 0..10));
    let (cases, both) = (Cell::new(0), Cell::new([0, 0]));
    let ran = TestRunner::new_with_rng(config, rng).run(&seeds, |seeds| {
        cases.set(cases.get() + 1);
        let (text, desired) = (format!("any{}", cases.get()), generated(&seeds));
        let [allowed, refused] = runtime.block_on(tried(&bench, &text, &desired));
        let [before, too] = both.get();
        both.set([before + allowed, too + refused]);
        Ok(())
    });
    ran.unwrap();
    let [allowed, refused] = both.get();
    assert!(allowed > 50 && refused > 150, "{allowed} {refused}");
}

/// The identity's own login, by the client id that its user was made of.
fn login(bench: &Bench, database: &str, user: &str, id: u128) -> EngineSession {
    let principal = EntraPrincipal::application(
        EntraKind::ManagedIdentity,
        user,
        Uuid::from_u128(9),
        Uuid::from_u128(id),
        Uuid::from_u128(1000 + id),
    );
    let engine = bench.emulator.engine();
    engine
        .connect(&Login::Entra(principal), Some(database))
        .unwrap()
}
