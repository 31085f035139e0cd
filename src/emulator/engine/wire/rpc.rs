//! RPC requests (MS-TDS 2.2.6.6).

use super::super::error::{SqlError, SqlResult};
use super::super::types::{SqlType, Value};
use super::{types, values};
use crate::tds::{DecodeError, Place, Reader, TypeInfo};

/// One call of a request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) procedure: Procedure,
    pub(crate) params: Vec<Param>,
}

/// Which procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Procedure {
    Id(u16),
    Name(String),
}

/// A parameter as it came.
#[derive(Clone, Debug)]
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) output: bool,
    pub(crate) default: bool,
    pub(crate) ty: SqlType,
    pub(crate) value: Value,
}

/// Most parameters of one call.
const MAX_PARAMS: usize = 2100;
const NAME_LIMIT: u8 = 0x80;
/// The type of table-valued parameters (MS-TDS 2.2.5.5.5).
const TABLE: u8 = 0xF3;

/// Reads the calls after ALL_HEADERS.
pub(crate) fn read(bytes: &[u8]) -> SqlResult<Vec<Call>> {
    let mut reader = Reader::new(bytes);
    let mut calls = Vec::new();
    while !reader.is_empty() {
        let (call, execute) = read_call(&mut reader)?;
        if execute {
            calls.push(call);
        }
    }
    Ok(calls)
}

fn incorrect(error: DecodeError) -> SqlError {
    SqlError::new(
        8009,
        format!(
            "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect: {error}."
        ),
    )
}

fn read_call(reader: &mut Reader<'_>) -> SqlResult<(Call, bool)> {
    let procedure = match reader.u16_le().map_err(incorrect)? {
        u16::MAX => Procedure::Id(reader.u16_le().map_err(incorrect)?),
        units => Procedure::Name(reader.utf16(units.into()).map_err(incorrect)?),
    };
    reader.skip(2).map_err(incorrect)?;
    let mut call = Call {
        procedure,
        params: Vec::new(),
    };
    loop {
        match reader.peek() {
            None => return Ok((call, true)),
            Some(separator @ (0x80 | 0xFE | 0xFF)) => {
                reader.skip(1).map_err(incorrect)?;
                return Ok((call, separator != 0xFE));
            }
            Some(length) if length < NAME_LIMIT => call.params.push(read_param(reader)?),
            Some(_) => {
                return Err(SqlError::new(
                    8009,
                    "The incoming remote procedure call protocol stream is incorrect: a parameter's name is too long.",
                ));
            }
        }
        if call.params.len() > MAX_PARAMS {
            return Err(SqlError::new(
                8003,
                "The incoming request has too many parameters. The server supports a maximum of 2100 \
                 parameters. Reduce the number of parameters and resend the request.",
            ));
        }
    }
}

fn read_param(reader: &mut Reader<'_>) -> SqlResult<Param> {
    const OUTPUT: u8 = 1;
    const DEFAULT: u8 = 2;
    const ENCRYPTED: u8 = 8;
    let name = reader.b_varchar().map_err(incorrect)?;
    let status = reader.u8().map_err(incorrect)?;
    if status & ENCRYPTED != 0 {
        return Err(SqlError::unsupported("encrypted parameters"));
    }
    if reader.peek() == Some(TABLE) {
        return Err(SqlError::unsupported("table-valued parameters"));
    }
    let info = TypeInfo::decode(Place::Parameter, reader).map_err(|error| match error {
        DecodeError::UnknownType { .. } => {
            SqlError::unsupported(format!("a parameter of this type ({error})"))
        }
        other => incorrect(other),
    })?;
    let bytes = info
        .read_value(Place::Parameter, reader)
        .map_err(incorrect)?;
    let ty = types::from_wire(&info)?;
    let value = match bytes {
        None => Value::Null,
        Some(bytes) => values::read(&bytes, ty)?,
    };
    Ok(Param {
        name,
        output: status & OUTPUT != 0,
        default: status & DEFAULT != 0,
        ty,
        value,
    })
}
