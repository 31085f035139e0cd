//! CREATE USER for Entra principals on a server that knows none.

use entrada::emulator::{EntraKind, EntraPrincipal};
use entrada::tds::{PacketStatus, PacketType, Place, TypeId, TypeInfo, all_headers};
use uuid::Uuid;

use super::Pair;
use crate::raw_client::soon;

const NAMES: &str =
    "SELECT name FROM sys.database_principals WHERE type = 'S' AND principal_id > 4 ORDER BY name";

#[tokio::test]
async fn users_are_found_by_sid_whatever_their_name() {
    let pair = Pair::start().await;
    let identity = pair.gateway.identities().remove(0);
    let sid: String = identity
        .client_id
        .to_bytes_le()
        .iter()
        .map(|b| format!("{b:02X}"))
        .collect();
    let mut admin = pair.admin().await;
    let create = format!("CREATE USER [any name] WITH SID = 0x{sid}, TYPE = E");
    admin.run(&create).await;
    assert_eq!(pair.app().await.one("SELECT USER_NAME()").await, "any name");
    let again = format!("CREATE USER twice WITH TYPE = E, SID = 0x{sid}");
    assert_eq!(admin.errors(&again).await, [15063]);
    assert_eq!(admin.errors(&create).await, [15063]);
    assert_eq!(admin.ask(NAMES).await.rows(), [["any name"]]);
    admin.run("DROP USER [any name]").await;
    let (_, refused) = pair.try_token("demo-app").await;
    assert_eq!(
        refused.refusal(),
        Some((
            18456,
            "Login failed for user '<token-identified principal>'."
        ))
    );
    // A statement's condition holds for all that takes its place.
    admin
        .run("IF 1 = 0 CREATE USER [demo-app] FROM EXTERNAL PROVIDER; SELECT 1")
        .await;
    assert_eq!(admin.ask(NAMES).await.rows().len(), 0);
    admin
        .run("IF 1 = 1 CREATE USER [demo-app] FROM EXTERNAL PROVIDER ELSE SELECT 1")
        .await;
    assert_eq!(pair.app().await.one("SELECT USER_NAME()").await, "demo-app");
}

#[tokio::test]
async fn a_name_that_is_taken_does_not_get_the_sid() {
    let pair = Pair::start().await;
    let mut admin = pair.admin().await;
    admin
        .run("CREATE USER boss WITHOUT LOGIN; ALTER ROLE db_owner ADD MEMBER boss")
        .await;
    let sid = "00112233445566778899AABBCCDDEEFF";
    let taken = format!("CREATE USER boss WITH SID = 0x{sid}, TYPE = E");
    assert_eq!(admin.errors(&taken).await, [15023]);
    assert_eq!(
        admin
            .one("SELECT COUNT(*) FROM sys.extended_properties")
            .await,
        "0"
    );
}

#[tokio::test]
async fn groups_let_members_in_and_names_work_without_sid() {
    let pair = Pair::start().await;
    let mut admin = pair.admin().await;
    admin.run("CREATE USER [demo-worker] WITHOUT LOGIN").await;
    let (_, answer) = pair.try_token("demo-worker").await;
    assert!(answer.ack.is_some(), "{answer:?}");
    let tenant = pair.gateway.tenant_id();
    let group = EntraPrincipal::person_or_group(EntraKind::Group, "team", tenant, Uuid::new_v4());
    let mut member = entrada::emulator::ManagedIdentity::user_assigned("member");
    member.groups.push(group.object_id);
    pair.gateway.directory().insert(group);
    pair.gateway.assign_identity(member);
    admin.run("CREATE USER team FROM EXTERNAL PROVIDER").await;
    let (client, answer) = pair.try_token("member").await;
    assert!(answer.ack.is_some(), "{answer:?}");
    assert_eq!(
        super::Client(client).one("SELECT USER_NAME()").await,
        "team"
    );
}

#[tokio::test]
async fn unknown_principals_are_refused_before_the_batch_runs() {
    let pair = Pair::start().await;
    let mut admin = pair.admin().await;
    let sql = "DELETE t; CREATE USER stranger FROM EXTERNAL PROVIDER";
    let answer = admin.ask(sql).await;
    assert_eq!(answer.error(), 33130);
    assert_eq!(
        answer.errors[0].message,
        "Principal 'stranger' could not be found or this principal type is not supported."
    );
    assert_eq!(admin.one("SELECT COUNT(*) FROM t").await, "1");
}

#[tokio::test]
async fn texts_and_parameterised_statements_are_told_apart() {
    let pair = Pair::start().await;
    let mut admin = pair.admin().await;
    let text = "SELECT 'CREATE USER [demo-app] FROM EXTERNAL PROVIDER' /* CREATE USER x FROM EXTERNAL PROVIDER */";
    let unchanged = admin.one(text).await;
    assert_eq!(unchanged, "CREATE USER [demo-app] FROM EXTERNAL PROVIDER");
    let mut call = all_headers(0);
    call.extend([0xFF, 0xFF, 10, 0, 0, 0, 0, 0]);
    let info = TypeInfo::ShortLen {
        id: TypeId::NVARCHAR,
        max: 8000,
        collation: Some(entrada::tds::Collation::SQL_LATIN1_GENERAL_CP1_CI_AS),
    };
    info.encode(Place::Parameter, &mut call).unwrap();
    let sql = "CREATE USER [demo-app] FROM EXTERNAL PROVIDER";
    let sql: Vec<u8> = sql.encode_utf16().flat_map(u16::to_le_bytes).collect();
    info.write_value(Place::Parameter, Some(&sql), &mut call)
        .unwrap();
    admin
        .0
        .send(PacketType::RPC, PacketStatus::NORMAL, &call)
        .await;
    let message = soon("the answer", admin.0.receive()).await.unwrap();
    let answer = crate::engine::answer::read(&message.payload);
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    assert_eq!(pair.app().await.one("SELECT USER_NAME()").await, "demo-app");
}
