//! The versions that are transcoded.

use crate::tds::TdsVersion;

/// A version of TDS whose clients cannot read what a 7.4 session says.
///
/// 7.3.B is none of them: a session that has negotiated no feature says nothing
/// that such a client does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OldVersion {
    /// 7.1 as of SQL Server 2000 without service pack; TABNAME has one part.
    V7_1,
    /// 7.1 Revision 1, SQL Server 2000 SP1: jTDS, FreeTDS, MDAC.
    V7_1Rev1,
    /// 7.2, SQL Server 2005: .NET 2.0, Native Client 9.
    V7_2,
    /// 7.3.A, SQL Server 2008: Native Client 10.
    V7_3A,
}

impl OldVersion {
    /// The version to transcode to, for a client that was granted `version`.
    /// `None` if nothing needs to be transcoded for it, and for 7.0, which cannot
    /// be served: it has no collations.
    #[must_use]
    pub fn of(version: TdsVersion) -> Option<Self> {
        match version.round_down() {
            TdsVersion::V7_1 => Some(Self::V7_1),
            TdsVersion::V7_1_REV1 => Some(Self::V7_1Rev1),
            TdsVersion::V7_2 => Some(Self::V7_2),
            TdsVersion::V7_3A => Some(Self::V7_3A),
            _ => None,
        }
    }

    /// The version's number.
    #[must_use]
    pub fn tds_version(self) -> TdsVersion {
        match self {
            Self::V7_1 => TdsVersion::V7_1,
            Self::V7_1Rev1 => TdsVersion::V7_1_REV1,
            Self::V7_2 => TdsVersion::V7_2,
            Self::V7_3A => TdsVersion::V7_3A,
        }
    }

    /// Whether it is one of the two forms of 7.1, whose requests differ, too.
    #[must_use]
    pub fn is_7_1(self) -> bool {
        self <= Self::V7_1Rev1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_must_be_is_transcoded() {
        for new in [TdsVersion::V7_3B, TdsVersion::V7_4, TdsVersion::V8_0] {
            assert_eq!(OldVersion::of(new), None, "{new}");
        }
        assert_eq!(OldVersion::of(TdsVersion::V7_0), None);
        let old = [
            OldVersion::V7_1,
            OldVersion::V7_1Rev1,
            OldVersion::V7_2,
            OldVersion::V7_3A,
        ];
        for version in old {
            assert_eq!(OldVersion::of(version.tds_version()), Some(version));
        }
        assert!(OldVersion::V7_1.is_7_1() && OldVersion::V7_1Rev1.is_7_1());
        assert!(!OldVersion::V7_2.is_7_1());
    }
}
