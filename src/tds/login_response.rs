//! LOGINACK: the server accepts the login (MS-TDS 2.2.7.14).

use super::{DecodeError, EncodeError, Put, Reader, TdsVersion};

/// The server accepts the login and tells what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginAck {
    /// 1 for T-SQL.
    pub interface: u8,
    /// The version that both will speak.
    pub tds_version: TdsVersion,
    /// The server's name as it stands. Real servers say "Microsoft SQL Server"
    /// followed by two NULs, and some drivers accept nothing else.
    pub program_name: String,
    /// Major, minor, and the build in two bytes, big-endian.
    pub version: [u8; 4],
}

impl LoginAck {
    /// The name that drivers expect, as SQL Server sends it.
    pub const PROGRAM_NAME: &'static str = "Microsoft SQL Server\0\0";

    /// Appends what follows the token byte, its length included.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] for a name beyond 255 UTF-16 units.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.len_prefixed_u16("LOGINACK", |out| {
            out.put_u8(self.interface);
            out.put_slice(&self.tds_version.to_login_ack());
            out.put_b_varchar("the server's program name", &self.program_name)?;
            out.put_slice(&self.version);
            Ok(())
        })
    }

    /// Reads what follows the token's length.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::named("LOGINACK", data);
        Ok(Self {
            interface: reader.u8()?,
            tds_version: TdsVersion::from_login_ack(reader.array()?),
            program_name: reader.b_varchar()?,
            version: reader.array()?,
        })
    }
}
