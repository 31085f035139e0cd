//! Protocol versions (MS-TDS 2.2.6.4, 2.2.7.14).

use std::cmp::Ordering;
use std::fmt;

/// A protocol version, as the number in LOGIN7.
///
/// Ordered by age, so `version >= TdsVersion::V7_2` asks what it seems to ask;
/// 8.0 is the highest although its number is the lowest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TdsVersion(pub u32);

impl TdsVersion {
    /// 7.0, SQL Server 7.
    pub const V7_0: Self = Self(0x7000_0000);
    /// 7.1, SQL Server 2000.
    pub const V7_1: Self = Self(0x7100_0000);
    /// 7.1 Revision 1, SQL Server 2000 SP1; what clients of "7.1" send.
    pub const V7_1_REV1: Self = Self(0x7100_0001);
    /// 7.2, SQL Server 2005.
    pub const V7_2: Self = Self(0x7209_0002);
    /// 7.3.A, SQL Server 2008.
    pub const V7_3A: Self = Self(0x730A_0003);
    /// 7.3.B, SQL Server 2008 R2.
    pub const V7_3B: Self = Self(0x730B_0003);
    /// 7.4, SQL Server 2012 and later, Azure SQL.
    pub const V7_4: Self = Self(0x7400_0004);
    /// 8.0: 7.4 inside of a connection that began with TLS.
    pub const V8_0: Self = Self(0x0800_0000);

    const KNOWN: [Self; 8] = [
        Self::V8_0,
        Self::V7_4,
        Self::V7_3B,
        Self::V7_3A,
        Self::V7_2,
        Self::V7_1_REV1,
        Self::V7_1,
        Self::V7_0,
    ];

    /// A number that grows with the version.
    #[must_use]
    pub fn rank(self) -> u32 {
        if self == Self::V8_0 { u32::MAX } else { self.0 }
    }

    /// The highest version of the specification that is not above this one;
    /// 7.0 if there is none.
    #[must_use]
    pub fn round_down(self) -> Self {
        let known = Self::KNOWN.into_iter().find(|&known| known <= self);
        known.unwrap_or(Self::V7_0)
    }

    /// Reads the big-endian form in LOGINACK, where 7.0 and 7.1 have numbers of
    /// their own.
    #[must_use]
    pub fn from_login_ack(bytes: [u8; 4]) -> Self {
        match u32::from_be_bytes(bytes) {
            0x0700_0000 => Self::V7_0,
            0x0701_0000 => Self::V7_1,
            other => Self(other),
        }
    }

    /// The big-endian form in LOGINACK.
    #[must_use]
    pub fn to_login_ack(self) -> [u8; 4] {
        match self {
            Self::V7_0 => [7, 0, 0, 0],
            Self::V7_1 => [7, 1, 0, 0],
            Self(other) => other.to_be_bytes(),
        }
    }
}

impl PartialOrd for TdsVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TdsVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl fmt::Display for TdsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::V7_0 => "7.0",
            Self::V7_1 => "7.1",
            Self::V7_1_REV1 => "7.1r1",
            Self::V7_2 => "7.2",
            Self::V7_3A => "7.3A",
            Self::V7_3B => "7.3B",
            Self::V7_4 => "7.4",
            Self::V8_0 => "8.0",
            Self(other) => return write!(f, "{other:#010x}"),
        })
    }
}

impl fmt::Debug for TdsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TdsVersion({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_age() {
        let mut by_age = TdsVersion::KNOWN;
        by_age.reverse();
        assert!(by_age.is_sorted_by(|a, b| a < b));
        assert!(TdsVersion::V8_0 > TdsVersion::V7_4);
    }

    #[test]
    fn what_lies_between_is_rounded_down() {
        let round = |version| TdsVersion(version).round_down();
        assert_eq!(round(0x730A_0002), TdsVersion::V7_2);
        assert_eq!(round(0x7500_0000), TdsVersion::V7_4);
        assert_eq!(round(0x0000_0000), TdsVersion::V7_0);
        for known in TdsVersion::KNOWN {
            assert_eq!(known.round_down(), known);
        }
    }

    #[test]
    fn the_acknowledgement_has_numbers_of_its_own() {
        assert_eq!(TdsVersion::V7_1.to_login_ack(), [7, 1, 0, 0]);
        assert_eq!(TdsVersion::V7_4.to_login_ack(), [0x74, 0, 0, 4]);
        assert_eq!(TdsVersion::V8_0.to_login_ack(), [8, 0, 0, 0]);
        for known in TdsVersion::KNOWN {
            assert_eq!(TdsVersion::from_login_ack(known.to_login_ack()), known);
        }
    }
}
