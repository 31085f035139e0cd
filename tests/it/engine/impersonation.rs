//! EXECUTE AS, REVERT, and what does not lead out of another user's context.

use entrada::emulator::EngineSession;
use entrada::tds::{PacketType, Place, TypeId, TypeInfo};

use super::answer::{Answer, ask, message, one, send, session};

const NONE: [i32; 0] = [];
const ENTER: &str =
    "DECLARE @c varbinary(8000); EXECUTE AS USER = N'u' WITH COOKIE INTO @c; SELECT @c";

fn with_user() -> (entrada::emulator::Engine, EngineSession) {
    let (engine, mut dbo) = session();
    for sql in [
        "CREATE USER u WITHOUT LOGIN; CREATE USER other WITHOUT LOGIN",
        "CREATE TABLE t(id int)",
    ] {
        assert!(ask(&mut dbo, sql).errors.is_empty(), "{sql}");
    }
    (engine, dbo)
}

/// Runs a batch of which only the errors matter, and returns their numbers.
fn errors(session: &mut EngineSession, sql: &str) -> Vec<i32> {
    let answer = ask(session, sql);
    answer.errors.iter().map(|error| error.number).collect()
}

/// A call of sp_executesql, or of another procedure, with one text.
fn call(session: &mut EngineSession, procedure: &str, text: Option<&str>) -> Answer {
    let utf16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let name = utf16(procedure);
    let mut body = u16::try_from(name.len() / 2)
        .unwrap()
        .to_le_bytes()
        .to_vec();
    body.extend(name);
    body.extend([0, 0]);
    if let Some(text) = text {
        let nvarchar = TypeInfo::ShortLen {
            id: TypeId::NVARCHAR,
            max: 8000,
            collation: Some(entrada::tds::Collation::SQL_LATIN1_GENERAL_CP1_CI_AS),
        };
        body.extend([0, 0]);
        nvarchar.encode(Place::Parameter, &mut body).unwrap();
        let text = utf16(text);
        nvarchar
            .write_value(Place::Parameter, Some(&text), &mut body)
            .unwrap();
    }
    send(session, &message(PacketType::RPC, &body))
}

#[test]
fn rights_and_names_are_those_of_the_user_until_revert() {
    let (_engine, mut dbo) = with_user();
    assert_eq!(
        one(&mut dbo, "SELECT USER_NAME(), SUSER_SNAME()"),
        "dbo|admin"
    );
    assert_eq!(errors(&mut dbo, "EXECUTE AS USER = 'u'"), NONE);
    let names = one(
        &mut dbo,
        "SELECT USER_NAME(), SUSER_SNAME(), ORIGINAL_LOGIN()",
    );
    let names: Vec<&str> = names.split('|').collect();
    assert_eq!((names[0], names[2]), ("u", "admin"));
    assert!(names[1].starts_with("S-1-9-3-"), "{names:?}");
    assert_eq!(errors(&mut dbo, "SELECT * FROM t"), [229]);
    assert_eq!(
        errors(&mut dbo, "CREATE LOGIN l WITH PASSWORD = 'P4ssw0rd!'"),
        [15247]
    );
    assert_eq!(errors(&mut dbo, "USE master"), [40508]);
    assert_eq!(errors(&mut dbo, "EXECUTE AS USER = 'other'"), [15517]);
    assert_eq!(errors(&mut dbo, "EXECUTE AS USER = 'nobody'"), [15517]);
    assert_eq!(errors(&mut dbo, "REVERT; SELECT * FROM t"), NONE);
    assert_eq!(
        errors(&mut dbo, "REVERT"),
        NONE,
        "there is nothing to leave"
    );
}

#[test]
fn a_cookie_is_the_only_way_out() {
    let (_engine, mut dbo) = with_user();
    let cookie = one(&mut dbo, ENTER);
    assert_eq!(errors(&mut dbo, "REVERT"), [15591]);
    let wrong = "DECLARE @c varbinary(8000) = 0x01; REVERT WITH COOKIE = @c";
    assert_eq!(errors(&mut dbo, wrong), [15589]);
    assert_eq!(
        errors(&mut dbo, "EXECUTE AS USER = 'u'; REVERT"),
        NONE,
        "one's own"
    );
    assert_eq!(one(&mut dbo, "SELECT USER_NAME()"), "u");
    let out = format!("DECLARE @c varbinary(8000) = 0x{cookie}; REVERT WITH COOKIE = @c");
    assert_eq!(errors(&mut dbo, &out), NONE);
    assert_eq!(one(&mut dbo, "SELECT USER_NAME()"), "dbo");
    assert_ne!(one(&mut dbo, ENTER), cookie);
    assert_eq!(errors(&mut dbo, &out), [15589], "a used one");
}

#[test]
fn without_revert_there_is_no_way_out() {
    let (_engine, mut dbo) = with_user();
    assert_eq!(
        errors(&mut dbo, "EXECUTE AS USER = 'u' WITH NO REVERT"),
        NONE
    );
    assert_eq!(errors(&mut dbo, "REVERT"), [15196]);
    assert_eq!(one(&mut dbo, "SELECT USER_NAME()"), "u");
}

#[test]
fn a_context_ends_with_the_module_that_entered_it() {
    let (_engine, mut dbo) = with_user();
    assert_eq!(errors(&mut dbo, "EXEC('EXECUTE AS USER = ''u''')"), NONE);
    assert_eq!(one(&mut dbo, "SELECT USER_NAME()"), "dbo");
    assert!(
        call(&mut dbo, "sp_executesql", Some("EXECUTE AS USER = 'u'"))
            .errors
            .is_empty()
    );
    assert_eq!(one(&mut dbo, "SELECT USER_NAME()"), "dbo");
    assert_eq!(call(&mut dbo, "sp_executesql", Some(ENTER)).error(), 15590);
    assert_eq!(errors(&mut dbo, "EXECUTE AS USER = 'u'"), NONE);
    assert_eq!(errors(&mut dbo, "EXEC('REVERT')"), NONE);
    assert!(
        call(&mut dbo, "sp_executesql", Some("REVERT"))
            .errors
            .is_empty()
    );
    assert_eq!(
        one(&mut dbo, "SELECT USER_NAME()"),
        "u",
        "not theirs to leave"
    );
}

#[test]
fn a_session_that_is_reset_inside_is_over() {
    for keep in [false, true] {
        let (_engine, mut dbo) = with_user();
        assert!(dbo.reset().is_ok() && !dbo.is_over());
        one(&mut dbo, ENTER);
        let refused = match keep {
            true => dbo.reset_keeping_transaction(),
            false => dbo.reset(),
        };
        let refused = refused.unwrap_err();
        assert_eq!((refused.number, refused.class), (18059, 20));
        assert!(dbo.is_over());
    }
    let (_engine, mut dbo) = with_user();
    one(&mut dbo, ENTER);
    assert_eq!(call(&mut dbo, "sp_reset_connection", None).error(), 18059);
    assert!(dbo.is_over());
}

#[test]
fn users_have_extended_properties() {
    let (_engine, mut dbo) = with_user();
    let add = "EXEC sys.sp_addextendedproperty @name = N'p', @value = 0x0102, @level0type = N'USER', @level0name = N'u'";
    assert_eq!(errors(&mut dbo, add), NONE);
    assert_eq!(errors(&mut dbo, add), [15233]);
    let sql = "SELECT p.name, e.class, e.name, CAST(e.value AS varbinary(85)) FROM sys.database_principals AS p
        JOIN sys.extended_properties AS e ON e.class = 4 AND e.major_id = p.principal_id AND e.minor_id = 0";
    assert_eq!(one(&mut dbo, sql), "u|4|p|0102");
    let table = "EXEC sp_addextendedproperty 'p', 1, 'SCHEMA', 'dbo', 'TABLE', 't'";
    assert_eq!(errors(&mut dbo, table), [40517]);
    assert_eq!(errors(&mut dbo, "DROP USER u"), NONE);
    assert_eq!(
        ask(&mut dbo, "SELECT * FROM sys.extended_properties")
            .rows()
            .len(),
        0
    );
}
