//! What the login's answer says of us.

use tokio::time::Instant;

use super::sql::{DATABASE, SERVER};
use crate::session::LoginInfo;
use crate::tds::{
    CHANGED_DATABASE, CHANGED_LANGUAGE, Collation, DEFAULT_PACKET_SIZE, EnvChange, LoginAck,
    ServerMessage, TdsVersion, Version,
};

/// The version that clients are told: that of Azure SQL Database, from which
/// they derive what a server can do.
const VERSION: Version = Version {
    major: 12,
    minor: 0,
    build: 2000,
    sub_build: 0,
};
/// [`VERSION`] as LOGINACK has it.
const ACK_VERSION: [u8; 4] = [12, 0, 0x07, 0xD0];
const LANGUAGE: &str = "us_english";

/// An INFO of our own.
pub(super) fn info(number: i32, message: String) -> ServerMessage {
    ServerMessage {
        number,
        state: 1,
        class: 0,
        message,
        server: SERVER.to_owned(),
        procedure: String::new(),
        line: 1,
    }
}

/// The INFO that says which database the session is in.
pub(super) fn in_database() -> ServerMessage {
    let text = format!("Changed database context to '{DATABASE}'.");
    ServerMessage {
        state: 2,
        ..info(CHANGED_DATABASE, text)
    }
}

/// A login as a server's would be.
pub(super) fn login_info(spid: u16, encrypted: bool) -> LoginInfo {
    let Collation(collation) = Collation::SQL_LATIN1_GENERAL_CP1_CI_AS;
    let language = info(
        CHANGED_LANGUAGE,
        format!("Changed language setting to {LANGUAGE}."),
    );
    LoginInfo {
        tds_version: TdsVersion::V7_4,
        packet_size: DEFAULT_PACKET_SIZE,
        database: DATABASE.to_owned(),
        language: LANGUAGE.to_owned(),
        collation: collation.to_vec(),
        spid,
        ack: LoginAck {
            interface: 1,
            tds_version: TdsVersion::V7_4,
            program_name: LoginAck::PROGRAM_NAME.to_owned(),
            version: ACK_VERSION,
        },
        env_changes: vec![
            EnvChange::Database {
                new: DATABASE.to_owned(),
                old: "master".to_owned(),
            },
            EnvChange::Collation {
                new: collation.to_vec(),
                old: Vec::new(),
            },
            EnvChange::Language {
                new: LANGUAGE.to_owned(),
                old: String::new(),
            },
        ],
        infos: vec![in_database(), language],
        features: Vec::new(),
        server: SERVER.to_owned(),
        endpoint: String::new(),
        server_version: VERSION,
        encrypted,
        token_expires: None,
        identity: String::new(),
        opened: Instant::now(),
        redirects: 0,
    }
}
