//! Features that a login asks for and a server acknowledges
//! (MS-TDS 2.2.6.4 FeatureExt, 2.2.7.11 FEATUREEXTACK).

use std::fmt;

use zeroize::Zeroize;

use super::{DecodeError, EncodeError, Put, Reader};

/// Which feature.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FeatureId(pub u8);

impl FeatureId {
    /// Idle connection resiliency.
    pub const SESSIONRECOVERY: Self = Self(0x01);
    /// Login with a token.
    pub const FEDAUTH: Self = Self(0x02);
    /// Always Encrypted.
    pub const COLUMNENCRYPTION: Self = Self(0x04);
    /// Transactions across servers.
    pub const GLOBALTRANSACTIONS: Self = Self(0x05);
    /// Azure SQL's read-only and failover support.
    pub const AZURESQLSUPPORT: Self = Self(0x08);
    /// Sensitivity labels on columns.
    pub const DATACLASSIFICATION: Self = Self(0x09);
    /// UTF-8 collations.
    pub const UTF8_SUPPORT: Self = Self(0x0A);
    /// The client may cache the server's address.
    pub const AZURESQLDNSCACHING: Self = Self(0x0B);
    /// The json type.
    pub const JSONSUPPORT: Self = Self(0x0D);
    /// The vector type.
    pub const VECTORSUPPORT: Self = Self(0x0E);
    /// Routing that names a database.
    pub const ENHANCEDROUTINGSUPPORT: Self = Self(0x0F);
    /// The driver's description of itself.
    pub const USERAGENT: Self = Self(0x10);

    /// The specification's name, if it is a known feature.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::SESSIONRECOVERY => "SESSIONRECOVERY",
            Self::FEDAUTH => "FEDAUTH",
            Self::COLUMNENCRYPTION => "COLUMNENCRYPTION",
            Self::GLOBALTRANSACTIONS => "GLOBALTRANSACTIONS",
            Self::AZURESQLSUPPORT => "AZURESQLSUPPORT",
            Self::DATACLASSIFICATION => "DATACLASSIFICATION",
            Self::UTF8_SUPPORT => "UTF8_SUPPORT",
            Self::AZURESQLDNSCACHING => "AZURESQLDNSCACHING",
            Self::JSONSUPPORT => "JSONSUPPORT",
            Self::VECTORSUPPORT => "VECTORSUPPORT",
            Self::ENHANCEDROUTINGSUPPORT => "ENHANCEDROUTINGSUPPORT",
            Self::USERAGENT => "USERAGENT",
            _ => return None,
        })
    }
}

impl fmt::Debug for FeatureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#04x}", self.0),
        }
    }
}

/// A feature with its data: a request in LOGIN7, an acknowledgement in
/// FEATUREEXTACK.
///
/// The data of a [`FEDAUTH`](FeatureId::FEDAUTH) feature holds a token: `Debug`
/// does not show it, and it is overwritten on drop.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Feature {
    /// Which feature.
    pub id: FeatureId,
    /// Its data, as the feature defines.
    pub data: Vec<u8>,
}

impl Feature {
    /// A feature with its data.
    #[must_use]
    pub fn new(id: FeatureId, data: impl Into<Vec<u8>>) -> Self {
        Self {
            id,
            data: data.into(),
        }
    }
}

impl Drop for Feature {
    fn drop(&mut self) {
        if self.id == FeatureId::FEDAUTH {
            self.data.zeroize();
        }
    }
}

impl fmt::Debug for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Feature");
        f.field("id", &self.id);
        if self.id == FeatureId::FEDAUTH {
            f.field("data", &format_args!("{} bytes", self.data.len()));
        } else {
            f.field("data", &self.data);
        }
        f.finish()
    }
}

const TERMINATOR: u8 = 0xFF;
/// Id and length before each feature's data.
const FEATURE_HEAD: usize = 5;

/// Length of the list in bytes, its end mark included.
pub(super) fn features_len(features: &[Feature]) -> usize {
    let data: usize = features.iter().map(|feature| feature.data.len()).sum();
    data + features.len() * FEATURE_HEAD + 1
}

/// Appends the list and its end mark.
pub(super) fn encode_features(features: &[Feature], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    for feature in features {
        if feature.id.0 == TERMINATOR {
            return Err(EncodeError::Unsupported {
                what: "feature 0xff",
                problem: "that id marks the end of the list",
            });
        }
        out.put_u8(feature.id.0);
        out.put_l_varbyte("the feature's data", &feature.data)?;
    }
    out.put_u8(TERMINATOR);
    Ok(())
}

/// Reads a list up to and including its end mark.
pub(super) fn decode_features(reader: &mut Reader<'_>) -> Result<Vec<Feature>, DecodeError> {
    let mut features = Vec::new();
    loop {
        let id = reader.u8()?;
        if id == TERMINATOR {
            return Ok(features);
        }
        features.push(Feature::new(FeatureId(id), reader.l_varbyte()?));
    }
}
