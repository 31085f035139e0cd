//! Plan, apply, plan again: for manifests and databases made by chance.

use std::collections::BTreeSet;

use entrada::grants::{Desired, Mode, Permission, PermissionState, Principal, Securable, plan};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::bench::*;

/// Few enough for CI; each has a database of its own and applies four plans.
const CASES: u32 = 24;
const ROLES: std::ops::Range<usize> = 7..11;
const FIXED: [&str; 2] = ["db_datareader", "db_ddladmin"];

/// Numbers from which everything else follows.
#[derive(Clone, Debug)]
struct Seeds {
    /// Which identity has which user, and whether it is authoritative.
    users: Vec<(usize, bool)>,
    roles: Vec<(usize, bool)>,
    members: Vec<(usize, usize)>,
    /// State, action, thing, columns, grantee.
    permissions: Vec<(u8, usize, usize, u8, usize)>,
}

fn seeds() -> impl Strategy<Value = Seeds> {
    let users = prop::collection::vec((0..7usize, any::<bool>()), 0..5);
    let roles = prop::collection::vec((ROLES, any::<bool>()), 0..4);
    let members = prop::collection::vec((0..13usize, 0..11usize), 0..6);
    let permission = (0..4u8, 0..5usize, 0..7usize, 0..4u8, 0..11usize);
    let permissions = prop::collection::vec(permission, 0..8);
    (users, roles, members, permissions).prop_map(|(users, roles, members, permissions)| Seeds {
        users,
        roles,
        members,
        permissions,
    })
}

/// Things that every database here has.
fn thing(at: usize) -> Securable {
    match at {
        0 => Securable::Database,
        1 => Securable::Schema(name("dbo")),
        2 => Securable::Schema(name(HOSTILE[0])),
        3 => table(HOSTILE[0], HOSTILE[1]),
        4 => table("dbo", HOSTILE[6]),
        5 => Securable::Role(name("always")),
        _ => table("dbo", "plain"),
    }
}

const MAKE: [&str; 5] = [
    "EXEC ('CREATE SCHEMA [a]]b]')",
    "CREATE TABLE [a]]b].[o'brien] ([c]]1] int, [ c2] int)",
    "CREATE TABLE dbo.[😀 party 🎉] ([c]]1] int, [ c2] int)",
    "CREATE TABLE dbo.plain ([c]]1] int, [ c2] int)",
    "CREATE ROLE always",
];

impl Seeds {
    fn desired(&self) -> Desired {
        let mut desired = Desired::default();
        desired.roles.push(role("always"));
        let mut there = BTreeSet::new();
        for (at, authoritative) in &self.users {
            if there.insert(*at) {
                let mut user: Principal = app(HOSTILE[*at], *at as u128);
                user.authoritative = *authoritative;
                desired.principals.push(user);
            }
        }
        for (at, authoritative) in &self.roles {
            if there.insert(*at) {
                let mut role = role(HOSTILE[*at]);
                role.authoritative = *authoritative;
                desired.roles.push(role);
            }
        }
        let mut pairs = BTreeSet::new();
        for (role, who) in &self.members {
            // Roles hold those before them, so that no ring arises.
            let fixed = role.checked_sub(11).map(|at| FIXED[at]);
            let fits =
                fixed.is_some() || (ROLES.contains(role) && there.contains(role) && who < role);
            if fits && there.contains(who) && pairs.insert((*role, *who)) {
                let role = fixed.unwrap_or(HOSTILE[*role]);
                desired.memberships.push(member(role, HOSTILE[*who]));
            }
        }
        for (state, action, on, mask, to) in &self.permissions {
            let on = thing(*on);
            if there.contains(to) {
                desired
                    .permissions
                    .extend(permission(*state, *action, on, *mask, HOSTILE[*to]));
            }
        }
        desired
    }
}

fn permission(state: u8, action: usize, on: Securable, mask: u8, to: &str) -> Option<Permission> {
    let action = ["SELECT", "UPDATE", "INSERT", "VIEW DEFINITION", "CONTROL"][action];
    if !entrada::grants::action::fits(action, &on) {
        return None;
    }
    let state = match state {
        0 => PermissionState::Deny,
        1 => PermissionState::GrantWithGrantOption,
        _ => PermissionState::Grant,
    };
    let is_table = matches!(on, Securable::Object { .. });
    let mut made = Permission::new(state, action, on, name(to));
    if is_table && entrada::grants::action::takes_columns(action) {
        for (bit, column) in ["c]1", " c2"].iter().enumerate() {
            if mask & (1 << bit) != 0 {
                made.columns.push(name(column));
            }
        }
    }
    Some(made)
}

/// What a database has that was pruned to a manifest: written down without the
/// help of the code under test.
fn expected(desired: &Desired) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = desired
        .memberships
        .iter()
        .map(|m| format!("member | {} | {}", m.role.as_str(), m.member.as_str()))
        .collect();
    for role in &desired.roles {
        all.insert(format!(
            "principal | {} | R | NULL | NULL | dbo",
            role.name.as_str()
        ));
    }
    all
}

#[test]
fn plan_apply_plan_is_empty() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    // Pools are made for the runtime that they live in.
    let _entered = runtime.enter();
    let bench = runtime.block_on(Bench::start());
    let mut config = Config::with_cases(CASES);
    config.failure_persistence = None;
    config.max_shrink_iters = 40;
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let count = std::cell::Cell::new(0);
    let mut outcomes = BTreeSet::new();
    let outcomes_cell = std::cell::RefCell::new(&mut outcomes);
    let tested = runner.run(&(seeds(), seeds(), 0..3u8), |(first, second, mode)| {
        count.set(count.get() + 1);
        let mode = [Mode::Additive, Mode::Authoritative, Mode::Prune][usize::from(mode)];
        let mut database = bench.database(&format!("case{}", count.get()));
        database.run(&MAKE);
        let outcome = runtime.block_on(round(&mut database, &first, &second, mode));
        outcomes_cell.borrow_mut().insert(outcome);
        Ok(())
    });
    tested.unwrap();
    // The manifests must not all be such that nothing is tried.
    assert!(outcomes.contains("reached"), "{outcomes:?}");
    assert!(outcomes.contains("refused"), "{outcomes:?}");
}

async fn round(database: &mut Database, first: &Seeds, second: &Seeds, mode: Mode) -> &'static str {
    let first = first.desired();
    let observed = database.observe(&first).await;
    if plan(&first, &observed, Mode::Prune).is_err() {
        return "senseless";
    }
    database.reach(&first, Mode::Prune).await;
    pruned(database, &first);

    let second = second.desired();
    let observed = database.observe(&second).await;
    let before = database.catalogue();
    let Ok(planned) = plan(&second, &observed, mode) else {
        assert_eq!(database.catalogue(), before);
        return "refused";
    };
    database.apply(&planned).await.unwrap();
    let left = database.plan(&second, mode).await;
    assert_eq!(statements(&left), Vec::<String>::new());
    if mode == Mode::Prune {
        pruned(database, &second);
    }
    let after = database.catalogue();
    if mode == Mode::Additive {
        // Nobody is gone and nobody has left a role.
        for row in before
            .iter()
            .filter(|row| row.starts_with("principal") || row.starts_with("member"))
        {
            assert!(after.contains(row), "{row} is gone");
        }
    }

    // What is exported is what is there, and an empty database becomes the same by it.
    let exported = database.observe(&Desired::default()).await.to_desired();
    for mode in [Mode::Additive, Mode::Prune] {
        let plan = database.plan(&exported, mode).await;
        assert_eq!(statements(&plan), Vec::<String>::new(), "{exported:?}");
    }
    assert_eq!(database.catalogue(), after);
    "reached"
}

fn pruned(database: &mut Database, desired: &Desired) {
    let found: BTreeSet<String> = database
        .catalogue()
        .into_iter()
        .filter(|row| {
            row.starts_with("member") || (row.starts_with("principal") && row.contains(" | R | "))
        })
        .collect();
    assert_eq!(found, expected(desired));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_survive() {
    let bench = Bench::start().await;
    let mut database = bench.database("hostile");
    let longest = "x".repeat(127) + "]";
    let emoji = "😀".repeat(64);
    let names: Vec<&str> = HOSTILE
        .iter()
        .copied()
        .chain([&*longest, &*emoji])
        .collect();
    database.run(&MAKE);
    let mut desired = Desired::default();
    for (at, user) in names.iter().enumerate() {
        let mut principal = app(user, at as u128 + 1);
        principal.default_schema = Some(name("a]b"));
        desired.principals.push(principal);
        let shorter = name(user).as_str().encode_utf16().count() < 128;
        if shorter {
            let text = format!("r{user}").chars().take(100).collect::<String>();
            desired.roles.push(role(&text));
            desired.memberships.push(member(&text, user));
            let on = table(HOSTILE[0], HOSTILE[1]);
            desired
                .permissions
                .push(columns(grant("SELECT", on, &text), &["c]1", " c2"]));
        }
        desired.permissions.push(deny("DELETE", thing(4), user));
    }
    let ran = database.reach(&desired, Mode::Additive).await;
    assert!(ran.contains(&"CREATE USER [[x]]; DROP USER y --] WITH SID = 0x00000000000000000000000000000004, TYPE = E".to_owned()));
    let mut found = database.rows("SELECT name FROM sys.database_principals WHERE type = 'E'");
    found.sort();
    let mut wanted: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    wanted.sort();
    assert_eq!(found, wanted);

    let mut other = bench.database("adopted");
    other.run(&MAKE);
    let exported = database.observe(&Desired::default()).await.to_desired();
    other.reach(&exported, Mode::Prune).await;
    assert_eq!(other.catalogue(), database.catalogue());
}
