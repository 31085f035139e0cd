//! Users, roles and permissions that really refuse.

use entrada::emulator::{EntraKind, EntraPrincipal, Principal};
use uuid::Uuid;

use super::answer::{admin, ask, engine, one};

fn app(name: &str) -> EntraPrincipal {
    EntraPrincipal::application(
        EntraKind::ManagedIdentity,
        name,
        Uuid::from_u128(7),
        Uuid::new_v4(),
        Uuid::new_v4(),
    )
}

#[test]
fn a_token_needs_a_user_in_the_database() {
    let (engine, directory) = engine();
    let orders = app("orders");
    directory.insert(orders.clone());
    let principal = Principal::Entra(orders.clone());
    let refused = engine.connect(&principal, Some("app")).unwrap_err();
    assert_eq!(refused.number, 18456);
    assert_eq!(
        refused.message,
        "Login failed for user '<token-identified principal>'."
    );
    let mut dbo = admin(&engine);
    assert_eq!(
        ask(&mut dbo, "CREATE USER [nobody] FROM EXTERNAL PROVIDER").error(),
        33130
    );
    assert!(
        ask(&mut dbo, "CREATE USER [orders] FROM EXTERNAL PROVIDER")
            .errors
            .is_empty()
    );
    let mut session = engine.connect(&principal, Some("app")).unwrap();
    assert_eq!(
        one(&mut session, "SELECT USER_NAME(), DB_NAME()"),
        "orders|app"
    );
    assert_eq!(
        engine
            .connect(&principal, Some("nowhere"))
            .unwrap_err()
            .number,
        4060
    );
    assert_eq!(engine.connect(&principal, None).unwrap_err().number, 18456);
    ask(&mut dbo, "DROP USER orders");
    let sid: String = orders.sid().iter().map(|b| format!("{b:02X}")).collect();
    assert!(
        ask(
            &mut dbo,
            &format!("CREATE USER [by sid] WITH SID = 0x{sid}, TYPE = E")
        )
        .errors
        .is_empty()
    );
    let mut session = engine.connect(&principal, Some("app")).unwrap();
    assert_eq!(one(&mut session, "SELECT CURRENT_USER"), "by sid");
}

#[test]
fn roles_and_permissions_refuse() {
    let (engine, directory) = engine();
    let reader = app("reader");
    directory.insert(reader.clone());
    let mut dbo = admin(&engine);
    ask(
        &mut dbo,
        "CREATE TABLE t(id int PRIMARY KEY); CREATE TABLE u(id int)",
    );
    ask(&mut dbo, "CREATE VIEW dbo.v AS SELECT id FROM u");
    ask(&mut dbo, "CREATE USER reader FROM EXTERNAL PROVIDER");
    let mut session = engine
        .connect(&Principal::Entra(reader), Some("app"))
        .unwrap();
    let denied = ask(&mut session, "SELECT * FROM t");
    assert_eq!(denied.error(), 229);
    assert_eq!(
        denied.errors[0].message,
        "The SELECT permission was denied on the object 't', database 'app', schema 'dbo'."
    );
    ask(&mut dbo, "ALTER ROLE db_datareader ADD MEMBER reader");
    assert!(ask(&mut session, "SELECT * FROM t").errors.is_empty());
    assert_eq!(ask(&mut session, "INSERT t VALUES (1)").error(), 229);
    assert_eq!(ask(&mut session, "CREATE TABLE x(a int)").error(), 262);
    assert_eq!(
        ask(&mut session, "CREATE USER z WITHOUT LOGIN").error(),
        15247
    );
    assert_eq!(
        ask(&mut session, "ALTER ROLE db_owner ADD MEMBER reader").error(),
        15151
    );
    ask(
        &mut dbo,
        "DENY SELECT ON dbo.t TO reader; GRANT INSERT ON SCHEMA::dbo TO reader",
    );
    assert_eq!(ask(&mut session, "SELECT * FROM t").error(), 229);
    assert!(ask(&mut session, "INSERT t VALUES (1)").errors.is_empty());
    ask(
        &mut dbo,
        "ALTER ROLE db_datareader DROP MEMBER reader; GRANT SELECT ON v TO reader",
    );
    assert_eq!(ask(&mut session, "SELECT * FROM u").error(), 229);
    assert!(ask(&mut session, "SELECT * FROM v").errors.is_empty());
    let sql = "SELECT p.name, x.permission_name, x.state_desc FROM sys.database_permissions x
        JOIN sys.database_principals p ON p.principal_id = x.grantee_principal_id WHERE p.name = 'reader' ORDER BY x.permission_name";
    let rows = ask(&mut dbo, sql).rows();
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert_eq!(rows[0].join("|"), "reader|CONNECT|GRANT");
}

#[test]
fn a_group_lets_its_members_in() {
    let (engine, directory) = engine();
    let group = EntraPrincipal::person_or_group(
        EntraKind::Group,
        "team",
        Uuid::from_u128(7),
        Uuid::new_v4(),
    );
    directory.insert(group.clone());
    let mut member = app("worker");
    member.groups.push(group.object_id);
    let mut dbo = admin(&engine);
    ask(
        &mut dbo,
        "CREATE TABLE t(id int); CREATE USER team FROM EXTERNAL PROVIDER; CREATE ROLE r; GRANT SELECT ON t TO r; EXEC sp_addrolemember 'r', 'team'",
    );
    let mut session = engine
        .connect(&Principal::Entra(member), Some("app"))
        .unwrap();
    assert!(ask(&mut session, "SELECT * FROM t").errors.is_empty());
    assert_eq!(ask(&mut session, "DELETE t").error(), 229);
    assert_eq!(
        one(&mut session, "SELECT IS_MEMBER('r'), IS_MEMBER('db_owner')"),
        "1|0"
    );
}
