//! Certificates as files, and the strings and variables that clients are given.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::gateway::Certificates;
use super::state_dir::StateDir;
use super::{Assignment, Emulator, EmulatorError, ManagedIdentity};

const CA: &str = "ca.pem";
const SERVER: &str = "server.pem";

/// Connection strings for one database, one for each family of drivers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStrings {
    /// For ADO.NET, and for this crate.
    pub ado_net: String,
    /// For Microsoft's ODBC driver 18.
    pub odbc: String,
    /// For Microsoft's JDBC driver.
    pub jdbc: String,
    /// For mssql-python, which takes ODBC's keywords but no `Driver`.
    pub mssql_python: String,
}

/// The folder with the certificates: the state folder, or one that vanishes with the emulator.
#[derive(Debug)]
pub(super) struct Published {
    folder: PathBuf,
    temporary: bool,
}

impl Published {
    pub(super) fn new(
        state: Option<&StateDir>,
        certificates: &Certificates,
    ) -> Result<Self, EmulatorError> {
        if let Some(state) = state {
            return Ok(Self {
                folder: state.path_of(""),
                temporary: false,
            });
        }
        let name = format!("entrada-emulator-{}", Uuid::new_v4().simple());
        let published = Self {
            folder: std::env::temp_dir().join(name),
            temporary: true,
        };
        let folder = StateDir::open(&published.folder)?;
        folder.write_public(CA, certificates.ca_pem())?;
        folder.write_public(SERVER, certificates.server_pem())?;
        Ok(published)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        if self.temporary {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl Emulator {
    /// A file with the certificate authority's certificate. It is removed with the emulator unless
    /// that has a state folder.
    #[must_use]
    pub fn ca_certificate_file(&self) -> PathBuf {
        self.published().path(CA)
    }

    /// A file with the gateway's own certificate, for `ServerCertificate=`; likewise.
    #[must_use]
    pub fn server_certificate_file(&self) -> PathBuf {
        self.published().path(SERVER)
    }

    /// An ADO.NET connection string that logs in as the machine's managed identity, complete with
    /// `ServerCertificate`.
    #[must_use]
    pub fn connection_string(&self, database: &str) -> String {
        self.connection_strings(database, None).ado_net
    }

    /// Connection strings for the machine's managed identity, or for the user-assigned one given.
    #[must_use]
    pub fn connection_strings(
        &self,
        database: &str,
        identity: Option<&ManagedIdentity>,
    ) -> ConnectionStrings {
        let (host, port) = (reachable(self.sql_addr().ip()), self.sql_addr().port());
        let certificate = self.server_certificate_file();
        let client_id = identity
            .filter(|identity| identity.assignment == Assignment::User)
            .map(|identity| identity.client_id);
        let odbc = format!(
            "Server=tcp:{host},{port};Database={};Authentication=ActiveDirectoryMsi;\
             Encrypt=strict;ServerCertificate={}{}",
            braced(database),
            braced(&lossy(&certificate)),
            user("UID", client_id),
        );
        ConnectionStrings {
            ado_net: format!(
                "Server=tcp:{host},{port};Database={};Authentication=ActiveDirectoryMSI;\
                 Encrypt=Mandatory;ServerCertificate={}{}",
                ado_value(database),
                ado_value(&lossy(&certificate)),
                user("User ID", client_id),
            ),
            odbc: format!("Driver={{ODBC Driver 18 for SQL Server}};{odbc}"),
            jdbc: format!(
                "jdbc:sqlserver://{};databaseName={};\
                 authentication=ActiveDirectoryManagedIdentity;encrypt=strict;\
                 serverCertificate={}{}",
                SocketAddr::new(host, port),
                braced(database),
                braced(&lossy(&certificate)),
                user("msiClientId", client_id),
            ),
            mssql_python: odbc,
        }
    }
}

/// The address for clients on this machine: whoever listens everywhere listens on loopback too.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

fn user(keyword: &str, client_id: Option<Uuid>) -> String {
    client_id.map_or_else(String::new, |id| format!(";{keyword}={id}"))
}

fn lossy(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A value as ADO.NET reads it.
fn ado_value(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('"', "\"\""))
    }
}

/// A value as ODBC and JDBC read it.
fn braced(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        format!("{{{}}}", text.replace('}', "}}"))
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "._-/\\:".contains(c))
}
