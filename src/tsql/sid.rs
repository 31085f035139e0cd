//! Security identifiers of Entra principals.

use std::fmt;

use uuid::Uuid;

/// What a database knows an Entra principal by: the sixteen bytes of the client
/// id for applications and managed identities, of the object id for users and
/// groups.
///
/// The bytes are those of `CAST(CAST(N'…' AS uniqueidentifier) AS varbinary(16))`:
/// the first three fields of the id are little-endian, as Windows keeps them.
/// `Display` is a T-SQL literal, `0x…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid([u8; 16]);

impl Sid {
    /// The identifier made of a client id or an object id.
    #[must_use]
    pub fn from_id(id: Uuid) -> Self {
        Self(id.to_bytes_le())
    }

    /// Reads `sys.database_principals.sid`; `None` unless it has sixteen bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The client id or object id that it was made of.
    #[must_use]
    pub fn id(self) -> Uuid {
        Uuid::from_bytes_le(self.0)
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_fields_are_turned_around() {
        let id: Uuid = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
        let sid = Sid::from_id(id);
        assert_eq!(sid.to_string(), "0x33221100554477668899AABBCCDDEEFF");
        assert_eq!(sid.id(), id);
    }
}
