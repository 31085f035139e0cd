//! What each script lets somebody do, and what not.

use entrada::emulator::{EntraKind, EntraPrincipal};
use uuid::Uuid;

use super::place::{Place, by_sid, numbers, run_batches};
use crate::engine::answer::{ask, one};

const READ: &str = "SELECT id FROM dbo.t";
const WRITE: &str = "INSERT dbo.t VALUES (3, 4); UPDATE dbo.t SET secret = 5 WHERE id = 3; DELETE dbo.t WHERE id = 3";
const DEFINE: &str = "CREATE TABLE dbo.n(id int); ALTER TABLE dbo.n ADD b int; DROP TABLE dbo.n";
const NONE: [i32; 0] = [];

fn named(name: &str) -> [(&'static str, &str); 1] {
    [("PrincipalName", name)]
}

#[test]
fn users_are_made_by_name_by_object_id_and_by_sid() {
    let mut place = Place::new();
    let app = place.app("orders");
    assert_eq!(place.login(&app).err(), Some(18456));
    place.twice("create-user", &named("orders"));
    let mut session = place.login(&app).unwrap();
    assert_eq!(one(&mut session, "SELECT USER_NAME()"), "orders");
    assert_eq!(numbers(&ask(&mut session, READ)), [229]);

    let [first, second] = [place.app("twin"), place.app("twin")];
    let answer = place.try_run("create-user", &named("twin"));
    assert_eq!(answer.error(), 33131);
    let id = second.object_id.to_string();
    let values = [
        ("PrincipalName", "twin-2"),
        ("ObjectId", &id),
        ("DefaultSchema", "sales"),
    ];
    place.twice("create-user-by-object-id", &values);
    assert_eq!(place.login(&first).err(), Some(18456));
    let mut session = place.login(&second).unwrap();
    assert_eq!(
        one(&mut session, "SELECT USER_NAME(), SCHEMA_NAME()"),
        "twin-2|sales"
    );

    let team = EntraPrincipal::person_or_group(
        EntraKind::Group,
        "team",
        Uuid::from_u128(7),
        Uuid::new_v4(),
    );
    let mut member = place.app("worker");
    member.groups.push(team.object_id);
    let id = team.object_id.to_string();
    let values = [
        ("PrincipalName", "team"),
        ("PrincipalId", &id),
        ("PrincipalType", "X"),
    ];
    place.twice("create-user-by-sid", &values);
    place.run("read-only", &named("team"));
    assert_eq!(place.errors_of(&member, READ), NONE);
    assert_eq!(place.errors_of(&member, WRITE), [229]);
}

#[test]
fn a_user_that_is_there_otherwise_is_not_taken_for_the_same() {
    let mut place = Place::new();
    let app = place.user("orders");
    place.admin("CREATE ROLE things; CREATE USER old WITHOUT LOGIN");
    let other = Uuid::new_v4().to_string();
    let values = [("PrincipalName", "orders"), ("PrincipalId", other.as_str())];
    let said = place.refused("create-user-by-sid", &values);
    assert!(
        said.contains("[orders] with another id") && said.contains("replace-identity"),
        "{said}"
    );
    let said = place.refused("create-user-by-sid", &by_sid("x%y", &app));
    assert!(said.contains("already that of the user [orders]"), "{said}");
    for name in ["things", "old"] {
        let said = place.refused("create-user", &named(name));
        assert!(
            said.contains(&format!("[{name}] that is not of Entra")),
            "{said}"
        );
    }
    let said = place.refused("read-only", &named("100% wrong"));
    let missing = "There is no user [100% wrong] in the database [app]. Create it first";
    assert!(said.starts_with(missing), "{said}");
}

#[test]
fn fixed_roles_by_purpose() {
    let create = "CREATE USER z WITHOUT LOGIN; DROP USER z";
    let grant = "GRANT SELECT ON dbo.t TO public; REVOKE SELECT ON dbo.t FROM public";
    for (script, expected) in [
        ("read-only", [&NONE[..], &[229], &[262], &[15247], &[15151]]),
        ("read-write", [&NONE[..], &NONE, &[262], &[15247], &[15151]]),
        (
            "migrations-owner",
            [&NONE[..], &NONE, &NONE, &[15247], &[15151]],
        ),
        ("db-owner", [&NONE[..], &NONE, &NONE, &NONE, &NONE]),
    ] {
        let mut place = Place::new();
        let app = place.user("orders");
        place.twice(script, &named("orders"));
        for (sql, expected) in [READ, WRITE, DEFINE, create, grant].iter().zip(expected) {
            // What follows the first refusal is about what it did not make.
            let found = place.errors_of(&app, sql);
            assert_eq!(found.first(), expected.first(), "{script}: {sql}");
        }
        place.twice("revoke", &named("orders"));
        assert_eq!(place.errors_of(&app, READ), [229], "{script}");
    }
}

#[test]
fn fixed_roles_by_name() {
    let mut place = Place::new();
    let app = place.user("orders");
    place.admin("CREATE ROLE own");
    let with = |roles: &'static str| [("PrincipalName", "orders"), ("RoleNames", roles)];
    let said = place.refused("add-to-fixed-roles", &with("db_datareader,db_owner"));
    assert!(said.contains("run db-owner"), "{said}");
    let said = place.refused("add-to-fixed-roles", &with("db_datareader, own,public"));
    assert!(
        said.contains("own, public") || said.contains("public, own"),
        "{said}"
    );
    place.twice("add-to-fixed-roles", &with("db_datareader, db_datawriter"));
    assert_eq!(place.errors_of(&app, WRITE), NONE);
    let said = place.refused(
        "add-to-role",
        &[("PrincipalName", "orders"), ("RoleName", "db_owner")],
    );
    assert!(said.contains("a fixed one"), "{said}");
}

#[test]
fn a_service_s_role_reaches_one_schema() {
    let mut place = Place::new();
    let app = place.user("orders");
    let values = [
        ("PrincipalName", "orders"),
        ("RoleName", "service"),
        ("SchemaName", "sales"),
    ];
    place.twice("service-role", &values);
    assert_eq!(
        place.errors_of(
            &app,
            "INSERT sales.u VALUES (2); SELECT * FROM sales.u; DELETE sales.u"
        ),
        NONE
    );
    assert_eq!(place.errors_of(&app, READ), [229]);
    assert_eq!(place.errors_of(&app, "CREATE TABLE sales.n(id int)"), [262]);
    let object = [
        ("PrincipalName", "service"),
        ("ObjectName", "t"),
        ("Permissions", "select, Update"),
    ];
    place.twice("grant-on-object", &object);
    assert_eq!(
        place.errors_of(&app, "UPDATE dbo.t SET secret = 1 WHERE id = 1"),
        NONE
    );
    assert_eq!(place.errors_of(&app, WRITE), [229]);
    place.twice("remove-from-role", &values[..2]);
    assert_eq!(place.errors_of(&app, READ), [229]);
    place.twice("add-to-role", &values[..2]);
    assert_eq!(place.errors_of(&app, READ), NONE);

    for (permissions, wrong) in [("CONTROL", "CONTROL"), ("SELECT, ALTER", "ALTER")] {
        let values = [values[0], values[1], ("Permissions", permissions)];
        let said = place.refused("service-role", &values);
        assert!(said.contains(&format!("on a schema: {wrong}.")), "{said}");
    }
    let said = place.refused("service-role", &[values[0], ("RoleName", "orders")]);
    assert!(said.contains("[orders] is that of a user"), "{said}");
    place.admin("DENY SELECT ON SCHEMA::dbo TO service");
    let said = place.refused("service-role", &values[..2]);
    assert!(said.contains("[service] is denied SELECT"), "{said}");
    let said = place.refused("grant-on-object", &[values[0], ("ObjectName", "none")]);
    assert!(said.contains("no [dbo].[none]"), "{said}");
}

#[test]
fn executing_is_granted_and_nothing_else() {
    let mut place = Place::new();
    let app = place.user("orders");
    place.twice("execute-procedures", &named("orders"));
    let mut session = place.login(&app).unwrap();
    let may = |permission| format!("SELECT HAS_PERMS_BY_NAME(N'dbo', N'SCHEMA', N'{permission}')");
    assert_eq!(one(&mut session, &may("EXECUTE")), "1");
    assert_eq!(one(&mut session, &may("SELECT")), "0");
    assert_eq!(numbers(&ask(&mut session, READ)), [229]);
}

#[test]
fn revoke_takes_all_and_leaves_denials() {
    let mut place = Place::new();
    let app = place.user("orders");
    let other = place.user("other");
    place.run("read-write", &named("orders"));
    place.run(
        "service-role",
        &[("PrincipalName", "orders"), ("RoleName", "service")],
    );
    place.admin("GRANT SELECT (id) ON sales.u TO orders; DENY DELETE ON sales.u TO orders");
    place.admin("GRANT SELECT ON dbo.t TO orders WITH GRANT OPTION");
    let mut session = place.login(&app).unwrap();
    assert_eq!(
        numbers(&ask(&mut session, "GRANT SELECT ON dbo.t TO other")),
        NONE
    );
    assert_eq!(place.errors_of(&other, READ), NONE);
    place.twice("revoke", &named("orders"));
    assert_eq!(numbers(&ask(&mut session, READ)), [229]);
    assert_eq!(numbers(&ask(&mut session, "SELECT id FROM sales.u")), [229]);
    assert_eq!(
        place.errors_of(&other, READ),
        [229],
        "what it had granted goes with it"
    );
    let left = place.admin(
        "SELECT permission_name, state FROM sys.database_permissions
         WHERE USER_NAME(grantee_principal_id) = N'orders' ORDER BY 1",
    );
    assert_eq!(left.rows(), [["CONNECT", "G"], ["DELETE", "D"]]);
    place.twice(
        "revoke",
        &[("PrincipalName", "orders"), ("Connecting", "revoke")],
    );
    assert!(place.login(&app).is_err());
    let said = place.refused("revoke", &named("public"));
    assert!(said.contains("must not be dbo, public"), "{said}");
}

/// A user that owns a schema, an object and a role, and has granted rights on them.
fn owner(place: &mut Place) -> (EntraPrincipal, EntraPrincipal) {
    let (owner, other) = (place.user("owner"), place.user("other"));
    place.admin(
        "CREATE ROLE theirs; CREATE TABLE sales.w(id int, b int); INSERT sales.w VALUES (1, 2)",
    );
    place.admin("ALTER AUTHORIZATION ON SCHEMA::sales TO owner; ALTER AUTHORIZATION ON OBJECT::dbo.t TO owner");
    place.admin("ALTER AUTHORIZATION ON ROLE::theirs TO owner; ALTER ROLE theirs ADD MEMBER other");
    place.admin("GRANT SELECT ON sales.u TO other; GRANT SELECT (id) ON sales.w TO theirs");
    place.admin("GRANT INSERT ON SCHEMA::sales TO other; GRANT SELECT ON dbo.t TO other; DENY SELECT (secret) ON dbo.t TO other");
    place.admin("ALTER ROLE db_datareader ADD MEMBER owner; GRANT VIEW DEFINITION TO owner");
    place.admin(
        "GRANT EXECUTE ON SCHEMA::dbo TO owner WITH GRANT OPTION; DENY CREATE TABLE TO owner",
    );
    (owner, other)
}

/// What `other` may do by the rights that hang on `owner`.
fn others_keep_theirs(place: &Place, other: &EntraPrincipal) {
    let may = "SELECT id FROM sales.u; SELECT id FROM sales.w; INSERT sales.u VALUES (9); SELECT id FROM dbo.t";
    assert_eq!(place.errors_of(other, may), NONE);
    assert_eq!(place.errors_of(other, "SELECT b FROM sales.w"), [230]);
    assert_eq!(place.errors_of(other, "SELECT secret FROM dbo.t"), [230]);
}

#[test]
fn dropping_gives_away_what_was_owned_and_nobody_else_loses() {
    let mut place = Place::new();
    let (owner, other) = owner(&mut place);
    others_keep_theirs(&place, &other);
    let said = place.refused(
        "drop-user",
        &[("PrincipalName", "owner"), ("NewOwner", "nobody")],
    );
    assert!(said.contains("no other user or role [nobody]"), "{said}");
    place.twice("drop-user", &named("owner"));
    assert_eq!(place.login(&owner).err(), Some(18456));
    others_keep_theirs(&place, &other);
    let owners = place.admin(
        "SELECT USER_NAME(principal_id) FROM sys.schemas WHERE name = N'sales'
         UNION ALL SELECT USER_NAME(principal_id) FROM sys.objects WHERE name = N't'
         UNION ALL SELECT USER_NAME(owning_principal_id) FROM sys.database_principals WHERE name = N'theirs'",
    );
    assert_eq!(owners.rows(), [["dbo"], ["dbo"], ["dbo"]]);
    for name in ["dbo", "guest", "theirs", "db_owner"] {
        let said = place.refused("drop-user", &named(name));
        assert!(
            said.starts_with("PrincipalName must be a user"),
            "{name}: {said}"
        );
    }
}

#[test]
fn an_identity_made_anew_gets_all_that_the_old_one_had() {
    let mut place = Place::new();
    let (old, other) = owner(&mut place);
    let before: Vec<_> = without_sids(place.catalogue());
    let new = place.app("owner");
    place.twice("replace-identity", &by_sid("owner", &new));
    assert_eq!(without_sids(place.catalogue()), before);
    assert_eq!(place.login(&old).err(), Some(18456));
    others_keep_theirs(&place, &other);
    let may = "SELECT id FROM dbo.t; CREATE TABLE #x(id int); DROP TABLE sales.w";
    assert_eq!(place.errors_of(&new, may), NONE);
    let said = place.refused("replace-identity", &by_sid("other", &new));
    assert!(said.contains("already that of the user [owner]"), "{said}");
}

fn without_sids(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    for row in rows.iter_mut().filter(|row| row[0] == "principal") {
        row[3].clear();
    }
    rows
}

/// Somebody who may drop and create users, but not put them into roles.
#[test]
fn a_change_of_several_steps_is_done_or_not() {
    let mut place = Place::new();
    let operator = place.user("operator");
    place.user("orders");
    place.run(
        "service-role",
        &[("PrincipalName", "orders"), ("RoleName", "service")],
    );
    place.admin("GRANT ALTER ANY USER, VIEW DEFINITION TO operator");
    let before = place.catalogue();
    let new = place.app("orders");
    let script = entrada::scripts::find("replace-identity").unwrap();
    let text = script.fill(&by_sid("orders", &new)).unwrap();
    let mut session = place.login(&operator).unwrap();
    let answer = run_batches(&mut session, &text);
    assert_eq!(numbers(&answer), [15151], "{:?}", answer.errors);
    assert_eq!(one(&mut session, "SELECT @@TRANCOUNT"), "0");
    assert_eq!(place.catalogue(), before);
}

#[test]
fn the_audit_tells_who_may_what_and_changes_nothing() {
    let mut place = Place::new();
    let (_, other) = owner(&mut place);
    place.user("idle");
    place.admin("CREATE ROLE outer_role; ALTER ROLE outer_role ADD MEMBER theirs; ALTER ROLE db_owner ADD MEMBER outer_role");
    let before = place.catalogue();
    let answer = place.try_run("audit", &[]);
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    assert_eq!(place.catalogue(), before);
    let [users, members, given, may, power, owned, odd] = &answer.results[..] else {
        panic!("{} results", answer.results.len());
    };
    let has = |result: &(Vec<_>, Vec<Vec<String>>), wanted: &[&str]| {
        let found = result
            .1
            .iter()
            .any(|row| wanted.iter().all(|w| row.iter().any(|v| v == w)));
        assert!(found, "{wanted:?} in {:#?}", result.1);
    };
    has(users, &["other", "EXTERNAL_USER", "EXTERNAL", "dbo"]);
    has(
        members,
        &[
            "other",
            "db_owner",
            "[theirs] > [outer_role] > [db_owner]",
            "3",
        ],
    );
    has(
        given,
        &["theirs", "GRANT", "SELECT", "[sales].[w] ([id])", "owner"],
    );
    has(given, &["other", "DENY", "SELECT", "[dbo].[t] ([secret])"]);
    has(
        may,
        &["other", "GRANT", "SELECT", "[sales].[w] ([id])", "theirs"],
    );
    has(may, &["other", "FIXED ROLE", "db_owner", "database"]);
    has(power, &["other", "db_owner"]);
    has(power, &["owner", "EXECUTE", "SCHEMA"]);
    has(owned, &["owner", "schema", "sales"]);
    has(owned, &["owner", "role", "theirs"]);
    has(owned, &["owner", "object", "t"]);
    has(odd, &["idle", "user may connect and nothing else"]);
    assert!(!odd.1.iter().any(|row| row[0] == "owner"), "{odd:?}");

    let text = entrada::scripts::find("audit").unwrap().text;
    let mut session = place.login(&other).unwrap();
    let answer = run_batches(&mut session, text);
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
}
