//! Plan, apply, plan again: for manifests and databases made by chance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use entrada::grants::{
    Desired, Identity, Membership, Mode, Permission, PermissionState, Principal, Securable, plan,
};
use entrada::tsql::{Name, Sid};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::bench::*;

/// Few enough for CI; each has a database of its own and applies four plans.
const CASES: u32 = 16;
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
    /// The same people as before and a few more, whose permissions are now of
    /// other states; every fourth time it has nothing to do with what was before.
    fn after(mut self, before: &Self, turn: u8) -> Self {
        if turn == 0 {
            return self;
        }
        self.users.splice(0..0, before.users.iter().copied());
        self.roles.splice(0..0, before.roles.iter().copied());
        let turned = before.permissions.iter();
        let turned = turned.map(|&(state, action, on, mask, to)| {
            ((state + turn) % 4, action, on, mask ^ turn, to)
        });
        self.permissions.extend(turned);
        self
    }

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

/// What the engine itself makes of a manifest when somebody writes its statements
/// by hand, one after another: no plan, and nothing of the code under test.
fn by_hand(database: &mut Database, desired: &Desired) {
    database.run(&MAKE);
    let mut batches = Vec::new();
    for role in desired.roles.iter().filter(|r| r.name.as_str() != "always") {
        batches.push(format!("CREATE ROLE {}", quoted(&role.name)));
    }
    for user in &desired.principals {
        let Identity::BySid(id) = user.identity else {
            panic!("{user:?}");
        };
        let sid: String = Sid::from_id(id).to_string();
        let name = quoted(&user.name);
        batches.push(format!("CREATE USER {name} WITH SID = {sid}, TYPE = E"));
    }
    for Membership { role, member, .. } in &desired.memberships {
        let (role, member) = (quoted(role), quoted(member));
        batches.push(format!("ALTER ROLE {role} ADD MEMBER {member}"));
    }
    batches.extend(sayings(desired));
    let batches: Vec<&str> = batches.iter().map(String::as_str).collect();
    database.run(&batches);
}

/// Of all that is said of one thing DENY holds, then WITH GRANT OPTION. What is
/// said of a column counts if it is something else than what holds for the whole.
fn sayings(desired: &Desired) -> Vec<String> {
    type Said = BTreeMap<(Name, Securable, &'static str), BTreeMap<Option<Name>, u8>>;
    let mut said = Said::new();
    for permission in &desired.permissions {
        let rank = match permission.state {
            PermissionState::Deny => 3,
            PermissionState::GrantWithGrantOption => 2,
            _ => 1,
        };
        let columns: Vec<Option<Name>> = match &permission.columns[..] {
            [] => vec![None],
            names => names.iter().cloned().map(Some).collect(),
        };
        let Permission { to, on, action, .. } = permission.clone();
        let levels = said.entry((to, on, action)).or_default();
        for column in columns {
            let level = levels.entry(column).or_default();
            *level = rank.max(*level);
        }
    }
    let mut lines = Vec::new();
    for ((to, on, action), levels) in said {
        let whole = levels.get(&None).copied().unwrap_or(0);
        // None comes first: the whole before its columns.
        for (column, level) in levels {
            if column.is_some() && (level == whole || (whole == 2 && level == 1)) {
                continue;
            }
            let verb = if level == 3 { "DENY" } else { "GRANT" };
            let column = column.map_or_else(String::new, |c| format!(" ({})", quoted(&c)));
            let on = match &on {
                Securable::Schema(name) => format!(" ON SCHEMA::{}", quoted(name)),
                Securable::Object { schema, name } => {
                    format!(" ON OBJECT::{}.{}", quoted(schema), quoted(name))
                }
                Securable::Role(name) => format!(" ON ROLE::{}", quoted(name)),
                _ => String::new(),
            };
            let option = if level == 2 { " WITH GRANT OPTION" } else { "" };
            let to = quoted(&to);
            lines.push(format!("{verb} {action}{column}{on} TO {to}{option}"));
        }
    }
    lines
}

fn quoted(name: &Name) -> String {
    format!("[{}]", name.as_str().replace(']', "]]"))
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
    let made = (seeds(), seeds(), 0..3u8, 0..4u8);
    let tested = runner.run(&made, |(first, second, mode, turn)| {
        let second = second.after(&first, turn);
        count.set(count.get() + 1);
        let mode = [Mode::Additive, Mode::Authoritative, Mode::Prune][usize::from(mode)];
        let mut database = bench.database(&format!("case{}", count.get()));
        database.run(&MAKE);
        let outcome = runtime.block_on(round(&bench, &mut database, &first, &second, mode));
        outcomes_cell.borrow_mut().insert(outcome);
        Ok(())
    });
    tested.unwrap();
    let ran = RAN.lock().unwrap().split_off(0);
    runtime.block_on(judged(ran));
    // The manifests must not all be such that nothing is tried.
    assert!(outcomes.contains("reached"), "{outcomes:?}");
    assert!(outcomes.contains("refused"), "{outcomes:?}");
}

async fn round(
    bench: &Bench,
    database: &mut Database,
    first: &Seeds,
    second: &Seeds,
    mode: Mode,
) -> &'static str {
    let first = first.desired();
    let observed = database.observe(&first).await;
    if plan(&first, &observed, Mode::Prune).is_err() {
        return "senseless";
    }
    let ran = database.reach(&first, Mode::Prune).await;
    RAN.lock().unwrap().extend(ran);
    pruned(bench, database, &first);

    let second = second.desired();
    let observed = database.observe(&second).await;
    let before = database.catalogue();
    let Ok(planned) = plan(&second, &observed, mode) else {
        assert_eq!(database.catalogue(), before);
        return "refused";
    };
    RAN.lock().unwrap().extend(statements(&planned));
    database.apply(&planned).await.unwrap();
    let left = database.plan(&second, mode).await;
    assert_eq!(statements(&left), Vec::<String>::new());
    let after = database.catalogue();
    match mode {
        Mode::Prune => pruned(bench, database, &second),
        Mode::Additive => nothing_is_taken(&before, &after, &second),
        _ => {}
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

/// Every statement that ran.
static RAN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// One statement of each shape is T-SQL by the judge's grammar, and would not be
/// without its last name.
async fn judged(ran: Vec<String>) {
    let mut shapes = BTreeMap::new();
    for statement in ran {
        shapes.entry(shape(&statement)).or_insert(statement);
    }
    for word in ["CREATE USER", "DROP USER", "DROP ROLE", "DENY", "REVOKE"] {
        assert!(shapes.keys().any(|shape| shape.starts_with(word)), "{word}");
    }
    assert!(shapes.len() > 20, "{shapes:#?}");
    // The judge cannot read `[` inside of a name.
    let readable = |(shape, text): (String, String)| (shape, text.replace("[[x", "[_x"));
    let texts: Vec<(String, String)> = shapes.into_iter().map(readable).collect();
    crate::support::grammar::parses(&texts).await;
    let spoiled: Vec<(&str, String)> = texts
        .iter()
        .filter(|(shape, _)| shape.ends_with("TO []") || shape.ends_with("FROM []"))
        .map(|(shape, text)| (shape.as_str(), text[..text.rfind(" [").unwrap()].to_owned()))
        .collect();
    assert!(!spoiled.is_empty());
    if let Some(found) = crate::support::grammar::errors(&spoiled).await {
        for ((shape, text), errors) in spoiled.iter().zip(found) {
            assert!(!errors.is_empty(), "{shape}: {text}");
        }
    }
}

/// A statement with its names and numbers taken out.
fn shape(statement: &str) -> String {
    let mut shape = String::new();
    let mut inside = false;
    let mut chars = statement.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ']' if inside && chars.peek() == Some(&']') => drop(chars.next()),
            ']' if inside => {
                inside = false;
                shape.push(']');
            }
            _ if inside => {}
            '[' => {
                inside = true;
                shape.push('[');
            }
            '0'..='9' | 'A'..='F' if shape.ends_with("0x") => {}
            _ => shape.push(c),
        }
    }
    shape
}

/// A database that was pruned to a manifest is what statements by hand make.
fn pruned(bench: &Bench, database: &mut Database, desired: &Desired) {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let mut other = bench.database(&format!("hand{number}"));
    by_hand(&mut other, desired);
    assert_eq!(database.catalogue(), other.catalogue(), "{desired:#?}");
}

/// Nobody is gone or has left a role, and no permission is, unless it was widened
/// or a DENY that is written has replaced it.
fn nothing_is_taken(before: &[String], after: &[String], desired: &Desired) {
    for row in before.iter().filter(|row| !after.contains(row)) {
        let fields: Vec<&str> = row.split(" | ").collect();
        let [state, action, class, on, column, to, by] = fields[..] else {
            panic!("{row} is gone");
        };
        let denied = desired
            .permissions
            .iter()
            .any(|p| p.state == PermissionState::Deny && p.action == action && p.to.as_str() == to);
        let of = |state: &str, column: &str| {
            after.contains(&[state, action, class, on, column, to, by].join(" | "))
        };
        let holds = |state: &str| of(state, column) || of(state, "NULL");
        let kept = match state {
            "DENY" => holds("DENY"),
            "GRANT_WITH_GRANT_OPTION" => holds(state),
            _ => holds("GRANT_WITH_GRANT_OPTION") || holds(state) || (denied && holds("DENY")),
        };
        assert!(kept, "{row} is gone: {after:#?}");
    }
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
