//! LOGIN7: who the client is and what it wants (MS-TDS 2.2.6.4).

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use std::fmt;

use super::{Feature, TdsVersion};
use crate::secret::Secret;

/// A login.
///
/// `Debug` shows no password, no integrated-login blob and no token.
#[derive(Clone, PartialEq, Eq)]
pub struct Login7 {
    /// The highest version that the client speaks.
    pub tds_version: TdsVersion,
    /// The packet size asked for; 0 leaves it to the server.
    pub packet_size: u32,
    /// The driver's version.
    pub client_prog_version: u32,
    /// The client's process id.
    pub client_pid: u32,
    /// The id of a primary connection; 0 in practice.
    pub connection_id: u32,
    /// [`option_flags1`](crate::tds::option_flags1) bits.
    pub option_flags1: u8,
    /// [`option_flags2`](crate::tds::option_flags2) bits.
    pub option_flags2: u8,
    /// [`type_flags`](crate::tds::type_flags) bits.
    pub type_flags: u8,
    /// [`option_flags3`](crate::tds::option_flags3) bits. `EXTENSION` is added
    /// when there are features to send.
    pub option_flags3: u8,
    /// Minutes; not used by servers.
    pub time_zone: i32,
    /// The client's language code.
    pub lcid: u32,
    /// The client's machine.
    pub host_name: String,
    /// The SQL login; empty with a token.
    pub user_name: String,
    /// Its password; on the wire it is scrambled, which hides nothing.
    pub password: Secret,
    /// The application, as APP_NAME() shows it.
    pub app_name: String,
    /// The server, as the client was told to call it. Azure's gateway finds the
    /// logical server by it.
    pub server_name: String,
    /// The driver.
    pub library_name: String,
    /// The session's language; empty for the login's default.
    pub language: String,
    /// The database; empty for the login's default.
    pub database: String,
    /// The client's network card, or random.
    pub client_id: [u8; 6],
    /// The first blob of integrated login.
    pub sspi: Vec<u8>,
    /// A database file to attach.
    pub attach_db_file: String,
    /// A new password; 7.2 and later.
    pub change_password: Secret,
    /// Feature requests; 7.4 and later.
    pub features: Vec<Feature>,
}

impl Default for Login7 {
    /// An empty 7.4 login that asks for 4096-byte packets and the notices that
    /// every driver asks for; no user, no secret, no features.
    fn default() -> Self {
        Self {
            tds_version: TdsVersion::V7_4,
            packet_size: 4096,
            client_prog_version: 0,
            client_pid: 0,
            connection_id: 0,
            option_flags1: option_flags1::DUMPLOAD_OFF
                | option_flags1::USE_DB_NOTIFY
                | option_flags1::INIT_DB_FATAL
                | option_flags1::SET_LANG_NOTIFY,
            option_flags2: option_flags2::INIT_LANG_FATAL | option_flags2::ODBC,
            type_flags: 0,
            option_flags3: option_flags3::UNKNOWN_COLLATION_HANDLING,
            time_zone: 0,
            lcid: 0x0409,
            host_name: String::new(),
            user_name: String::new(),
            password: Secret::default(),
            app_name: String::new(),
            server_name: String::new(),
            library_name: String::new(),
            language: String::new(),
            database: String::new(),
            client_id: [0; 6],
            sspi: Vec::new(),
            attach_db_file: String::new(),
            change_password: Secret::default(),
            features: Vec::new(),
        }
    }
}

impl Login7 {
    /// The feature with this id, if the client asks for it.
    #[must_use]
    pub fn feature(&self, id: super::FeatureId) -> Option<&Feature> {
        self.features.iter().find(|feature| feature.id == id)
    }

    /// Whether the client announces that it only reads.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.type_flags & type_flags::READ_ONLY_INTENT != 0
    }
}

impl fmt::Debug for Login7 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login7")
            .field("tds_version", &self.tds_version)
            .field("packet_size", &self.packet_size)
            .field("client_prog_version", &self.client_prog_version)
            .field("client_pid", &self.client_pid)
            .field("connection_id", &self.connection_id)
            .field("option_flags1", &self.option_flags1)
            .field("option_flags2", &self.option_flags2)
            .field("type_flags", &self.type_flags)
            .field("option_flags3", &self.option_flags3)
            .field("time_zone", &self.time_zone)
            .field("lcid", &self.lcid)
            .field("host_name", &self.host_name)
            .field("user_name", &self.user_name)
            .field("password", &self.password)
            .field("app_name", &self.app_name)
            .field("server_name", &self.server_name)
            .field("library_name", &self.library_name)
            .field("language", &self.language)
            .field("database", &self.database)
            .field("client_id", &self.client_id)
            .field("sspi", &format_args!("{} bytes", self.sspi.len()))
            .field("attach_db_file", &self.attach_db_file)
            .field("change_password", &self.change_password)
            .field("features", &self.features)
            .finish()
    }
}

/// Bits of [`Login7::option_flags1`].
pub mod option_flags1 {
    /// fDumpLoad: the client does *not* need bulk copy and dump/load.
    pub const DUMPLOAD_OFF: u8 = 0x10;
    /// fUseDB: report changes of the database.
    pub const USE_DB_NOTIFY: u8 = 0x20;
    /// fDatabase: the login fails if the database cannot be opened.
    pub const INIT_DB_FATAL: u8 = 0x40;
    /// fSetLang: report changes of the language.
    pub const SET_LANG_NOTIFY: u8 = 0x80;
}

/// Bits of [`Login7::option_flags2`].
pub mod option_flags2 {
    /// fLanguage: the login fails if the language cannot be set.
    pub const INIT_LANG_FATAL: u8 = 0x01;
    /// fODBC: ANSI defaults on, text unlimited.
    pub const ODBC: u8 = 0x02;
    /// fIntSecurity: integrated login; must be off with FEDAUTH.
    pub const INTEGRATED_SECURITY: u8 = 0x80;
}

/// Bits of [`Login7::type_flags`].
pub mod type_flags {
    /// fOLEDB: as fODBC, for an OLE DB client.
    pub const OLEDB: u8 = 0x10;
    /// fReadOnlyIntent: the client only reads; it may be sent to a replica.
    pub const READ_ONLY_INTENT: u8 = 0x20;
}

/// Bits of [`Login7::option_flags3`].
pub mod option_flags3 {
    /// fChangePassword: a new password is given.
    pub const CHANGE_PASSWORD: u8 = 0x01;
    /// fSendYukonBinaryXML.
    pub const BINARY_XML: u8 = 0x02;
    /// fUserInstance.
    pub const USER_INSTANCE: u8 = 0x04;
    /// fUnknownCollationHandling: the client takes collations it does not know.
    pub const UNKNOWN_COLLATION_HANDLING: u8 = 0x08;
    /// fExtension: feature requests follow.
    pub const EXTENSION: u8 = 0x10;
}

/// Bound of a whole login in bytes: 128 KiB - 1.
pub(super) const MAX_LOGIN: usize = 128 * 1024 - 1;
/// Bound of a text in UTF-16 units.
const MAX_TEXT: usize = 128;
/// Bound of the file name in UTF-16 units.
const MAX_FILE: usize = 260;
/// Length of the fixed part up to 7.1, and from 7.2.
const FIXED_7_1: usize = 86;
const FIXED_7_2: usize = 94;
const WHAT: &str = "LOGIN7";

/// How the wire scrambles a password: nibbles swapped, then XOR 0xA5.
fn scramble(byte: u8) -> u8 {
    byte.rotate_left(4) ^ 0xA5
}

fn unscramble(byte: u8) -> u8 {
    (byte ^ 0xA5).rotate_left(4)
}
