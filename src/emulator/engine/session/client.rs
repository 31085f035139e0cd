//! What a login tells of the program behind a session.

/// The client's own words about itself, as LOGIN7 carried them: `HOST_NAME()`, `APP_NAME()` and
/// `sys.dm_exec_sessions` show them. Defaults to empty names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientInfo {
    /// The client's machine.
    pub host_name: String,
    /// The application.
    pub program_name: String,
    /// The client's process id.
    pub process_id: u32,
    /// The driver.
    pub interface_name: String,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
}
