//! Calls of stored procedures: a client's RPC request, and the values that come
//! back from it (MS-TDS 2.2.6.6 and 2.2.7.19).

use super::{
    DecodeError, EncodeError, Place, Put, Reader, TdsVersion, TypeId, TypeInfo, column_flags,
    token_id,
};

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcCall {
    /// What is called.
    pub procedure: RpcProcedure,
    /// What it is given, in order.
    pub params: Vec<RpcParam>,
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RpcProcedure {
    /// One of the procedures that have a number: see [`proc_id`].
    Id(u16),
    /// A procedure by its name.
    Name(String),
}

/// A value given to a procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcParam {
    /// Its name with the `@`, or nothing.
    pub name: String,
    /// Whether its value is to come back.
    pub by_ref: bool,
    /// Whether the procedure's default is meant.
    pub default: bool,
    /// The type.
    pub type_info: TypeInfo,
    /// The value's bytes; `None` is NULL.
    pub value: Option<Vec<u8>>,
}

/// The numbers of procedures (MS-TDS 2.2.6.6).
pub mod proc_id {
    /// `sp_executesql`
    pub const EXECUTE_SQL: u16 = 10;
    /// `sp_prepare`
    pub const PREPARE: u16 = 11;
    /// `sp_execute`
    pub const EXECUTE: u16 = 12;
    /// `sp_prepexec`
    pub const PREP_EXEC: u16 = 13;
    /// `sp_unprepare`
    pub const UNPREPARE: u16 = 15;
}

impl RpcCall {
    /// Reads the calls of a request, which stand after ALL_HEADERS. Those that
    /// are marked as not to be executed are left out.
    ///
    /// # Errors
    /// [`DecodeError::UnknownType`] for table-valued parameters too, and
    /// [`DecodeError::Invalid`] for encrypted ones: their layout is not known
    /// here, and so nothing behind them.
    pub fn decode_all(version: TdsVersion, bytes: &[u8]) -> Result<Vec<Self>, DecodeError> {
        let mut reader = Reader::named(WHAT, bytes);
        let mut calls = Vec::new();
        while !reader.is_empty() {
            let (call, execute) = Self::decode(version, &mut reader)?;
            if execute {
                calls.push(call);
            }
        }
        Ok(calls)
    }

    fn decode(version: TdsVersion, reader: &mut Reader<'_>) -> Result<(Self, bool), DecodeError> {
        let procedure = match reader.u16_le()? {
            u16::MAX => RpcProcedure::Id(reader.u16_le()?),
            units => RpcProcedure::Name(reader.utf16(units.into())?),
        };
        let _option_flags = reader.u16_le()?;
        let mut params = Vec::new();
        let execute = loop {
            match reader.peek() {
                None => break true,
                Some(byte) if is_separator(version, byte) => {
                    reader.skip(1)?;
                    break byte != NO_EXEC;
                }
                Some(_) => params.push(RpcParam::decode(reader)?),
            }
        };
        Ok((Self { procedure, params }, execute))
    }
}

impl RpcParam {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const BY_REF: u8 = 1;
        const DEFAULT: u8 = 2;
        const ENCRYPTED: u8 = 8;
        let name = reader.b_varchar()?;
        let status = reader.u8()?;
        if status & ENCRYPTED != 0 {
            return Err(DecodeError::Invalid {
                what: WHAT,
                problem: "a parameter is encrypted",
            });
        }
        if reader.peek() == Some(TypeId::TVP.0) {
            return Err(DecodeError::UnknownType {
                type_id: TypeId::TVP.0,
            });
        }
        let type_info = TypeInfo::decode(Place::Parameter, reader)?;
        let value = type_info.read_value(Place::Parameter, reader)?;
        Ok(Self {
            name,
            by_ref: status & BY_REF != 0,
            default: status & DEFAULT != 0,
            type_info,
            value: value.map(std::borrow::Cow::into_owned),
        })
    }

    /// Appends the RETURNVALUE that brings this parameter's value back; it was
    /// the call's `ordinal`-th, from 0. Up to 7.1 the token tells its length in
    /// place of the ordinal.
    ///
    /// # Errors
    /// [`EncodeError`] for a name or value that has no form on the wire.
    pub fn encode_returned(
        &self,
        version: TdsVersion,
        ordinal: u16,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        const OUTPUT: u8 = 1;
        let old = version < TdsVersion::V7_2;
        let mut rest = Vec::new();
        rest.put_b_varchar("the parameter's name", &self.name)?;
        rest.put_u8(OUTPUT);
        if old {
            rest.put_u16_le(0);
        } else {
            rest.put_u32_le(0);
        }
        rest.put_u16_le(column_flags::NULLABLE);
        self.type_info.encode(Place::Parameter, &mut rest)?;
        self.type_info
            .write_value(Place::Parameter, self.value.as_deref(), &mut rest)?;
        out.put_u8(token_id::RETURNVALUE);
        if old {
            return out.put_us_varbyte("RETURNVALUE", &rest);
        }
        out.put_u16_le(ordinal);
        out.put_slice(&rest);
        Ok(())
    }
}

const WHAT: &str = "the procedure call";
/// The call before it is not to be executed; from 7.2 on.
const NO_EXEC: u8 = 0xFE;

fn is_separator(version: TdsVersion, byte: u8) -> bool {
    if version < TdsVersion::V7_2 {
        byte == 0x80
    } else {
        matches!(byte, 0xFF | NO_EXEC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int_param() -> RpcParam {
        RpcParam {
            name: String::new(),
            by_ref: true,
            default: false,
            type_info: TypeInfo::ByteLen {
                id: TypeId::INTN,
                max: 4,
            },
            value: Some(vec![7, 0, 0, 0]),
        }
    }

    #[test]
    fn calls_are_told_apart_by_the_version_s_separator() {
        // sp_execute with the handle 7 by reference, twice.
        let call = [0xFF, 0xFF, 12, 0, 0, 0, 0, 1, 0x26, 4, 4, 7, 0, 0, 0];
        let two = |separator: u8| [&call[..], &[separator], &call[..]].concat();
        let expected = RpcCall {
            procedure: RpcProcedure::Id(proc_id::EXECUTE),
            params: vec![int_param()],
        };
        let both = vec![expected.clone(), expected.clone()];
        assert_eq!(
            RpcCall::decode_all(TdsVersion::V7_4, &two(0xFF)),
            Ok(both.clone())
        );
        assert_eq!(RpcCall::decode_all(TdsVersion::V7_1, &two(0x80)), Ok(both));
        let second = RpcCall::decode_all(TdsVersion::V7_4, &two(0xFE));
        assert_eq!(second, Ok(vec![expected]));
        for end in 1..call.len() {
            assert!(RpcCall::decode_all(TdsVersion::V7_4, &call[..end]).is_err() || end == 6);
        }
    }

    #[test]
    fn a_procedure_s_name_is_read() {
        let call = [2, 0, b's', 0, b'p', 0, 0, 0];
        let calls = RpcCall::decode_all(TdsVersion::V7_4, &call).unwrap();
        assert_eq!(calls[0].procedure, RpcProcedure::Name("sp".to_owned()));
    }

    #[test]
    fn what_cannot_be_read_over_is_an_error() {
        let table = [0xFF, 0xFF, 10, 0, 0, 0, 0, 0, 0xF3];
        let encrypted = [0xFF, 0xFF, 10, 0, 0, 0, 0, 8, 0x26, 4, 0];
        assert!(RpcCall::decode_all(TdsVersion::V7_4, &table).is_err());
        assert!(RpcCall::decode_all(TdsVersion::V7_4, &encrypted).is_err());
    }

    #[test]
    fn the_returned_value_has_a_length_up_to_7_1() {
        let returned = |version| {
            let mut out = Vec::new();
            int_param().encode_returned(version, 2, &mut out).unwrap();
            out
        };
        assert_eq!(
            returned(TdsVersion::V7_1),
            [0xAC, 13, 0, 0, 1, 0, 0, 1, 0, 0x26, 4, 4, 7, 0, 0, 0]
        );
        assert_eq!(
            returned(TdsVersion::V7_4),
            [0xAC, 2, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0x26, 4, 4, 7, 0, 0, 0]
        );
    }
}
