//! What a login may say differently from the target it belongs to.

use crate::tds::Feature;

/// Fields of a login that override the target's: what a proxy takes over from
/// its client, whose LOGIN7 they come from.
///
/// Each field defaults to `None`, which leaves the target's value or our own
/// in place. Credentials, the server's name and FEDAUTH are never overridden.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LoginProfile {
    /// Shown by the server as `program_name`.
    pub application_name: Option<String>,
    /// Shown by the server as `host_name`.
    pub host_name: Option<String>,
    /// The driver's name (CltIntName).
    pub library_name: Option<String>,
    /// The language of server messages.
    pub language: Option<String>,
    /// The database to log in to.
    pub database: Option<String>,
    /// The packet size to ask for, in bytes.
    pub packet_size: Option<u32>,
    /// Asks for a readable secondary, or forbids it.
    pub read_only: Option<bool>,
    /// The driver's version (ClientProgVer).
    pub client_version: Option<u32>,
    /// The client's process id.
    pub client_pid: Option<u32>,
    /// The client's locale (ClientLCID).
    pub lcid: Option<u32>,
    /// The client's network card (ClientID).
    pub client_id: Option<[u8; 6]>,
    /// OptionFlags1 as a whole.
    pub option_flags1: Option<u8>,
    /// OptionFlags2, of which IntSecurity is taken out.
    pub option_flags2: Option<u8>,
    /// TypeFlags, of which ReadOnlyIntent follows `read_only`.
    pub type_flags: Option<u8>,
    /// OptionFlags3, of which ChangePassword and UserInstance are taken out.
    pub option_flags3: Option<u8>,
    /// Features to ask for beside our own. FEDAUTH among them is passed over.
    pub features: Vec<Feature>,
}
