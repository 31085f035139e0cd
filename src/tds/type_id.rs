//! The types of SQL Server by their number (MS-TDS 2.2.5.4).

use std::fmt;

/// The type byte (MS-TDS 2.2.5.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeId(pub u8);

/// Names, in the specification's spelling without "TYPE".
macro_rules! type_ids {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl TypeId {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// The specification's name, if it is a known type.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

type_ids! {
    /// No type, in parameters without a value.
    NULL = 0x1F;
    /// tinyint.
    INT1 = 0x30;
    /// bit.
    BIT = 0x32;
    /// smallint.
    INT2 = 0x34;
    /// int.
    INT4 = 0x38;
    /// bigint.
    INT8 = 0x7F;
    /// real.
    FLT4 = 0x3B;
    /// float.
    FLT8 = 0x3E;
    /// smallmoney.
    MONEY4 = 0x7A;
    /// money.
    MONEY = 0x3C;
    /// smalldatetime.
    DATETIM4 = 0x3A;
    /// datetime.
    DATETIME = 0x3D;
    /// uniqueidentifier.
    GUID = 0x24;
    /// An integer that may be NULL.
    INTN = 0x26;
    /// A bit that may be NULL.
    BITN = 0x68;
    /// real or float that may be NULL.
    FLTN = 0x6D;
    /// smallmoney or money that may be NULL.
    MONEYN = 0x6E;
    /// smalldatetime or datetime that may be NULL.
    DATETIMN = 0x6F;
    /// decimal, as old clients send it.
    DECIMAL = 0x37;
    /// numeric, as old clients send it.
    NUMERIC = 0x3F;
    /// decimal.
    DECIMALN = 0x6A;
    /// numeric.
    NUMERICN = 0x6C;
    /// date.
    DATEN = 0x28;
    /// time.
    TIMEN = 0x29;
    /// datetime2.
    DATETIME2N = 0x2A;
    /// datetimeoffset; on the wire in UTC.
    DATETIMEOFFSETN = 0x2B;
    /// char, as old clients send it.
    CHAR = 0x2F;
    /// varchar, as old clients send it.
    VARCHAR = 0x27;
    /// binary, as old clients send it.
    BINARY = 0x2D;
    /// varbinary, as old clients send it.
    VARBINARY = 0x25;
    /// varbinary.
    BIGVARBIN = 0xA5;
    /// binary, rowversion.
    BIGBINARY = 0xAD;
    /// varchar.
    BIGVARCHR = 0xA7;
    /// char.
    BIGCHAR = 0xAF;
    /// nvarchar.
    NVARCHAR = 0xE7;
    /// nchar.
    NCHAR = 0xEF;
    /// text.
    TEXT = 0x23;
    /// ntext.
    NTEXT = 0x63;
    /// image.
    IMAGE = 0x22;
    /// `sql_variant`.
    SSVARIANT = 0x62;
    /// xml.
    XML = 0xF1;
    /// A type of the CLR: hierarchyid, geometry, geography and the like.
    UDT = 0xF0;
    /// A table-valued parameter; its layout is not described here.
    TVP = 0xF3;
    /// json.
    JSON = 0xF4;
    /// vector.
    VECTOR = 0xF5;
}

impl TypeId {
    /// Length in bytes of a type that has no length on the wire.
    pub(super) fn fixed_len(self) -> Option<u8> {
        Some(match self {
            Self::NULL => 0,
            Self::INT1 | Self::BIT => 1,
            Self::INT2 => 2,
            Self::INT4 | Self::FLT4 | Self::MONEY4 | Self::DATETIM4 => 4,
            Self::INT8 | Self::FLT8 | Self::MONEY | Self::DATETIME => 8,
            _ => return None,
        })
    }

    /// Whether TYPE_INFO names a collation.
    pub(super) fn has_collation(self) -> bool {
        matches!(
            self,
            Self::BIGVARCHR
                | Self::BIGCHAR
                | Self::NVARCHAR
                | Self::NCHAR
                | Self::TEXT
                | Self::NTEXT
        )
    }
}

impl fmt::Debug for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#04x}", self.0),
        }
    }
}
