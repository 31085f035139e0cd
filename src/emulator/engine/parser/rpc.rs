//! Names in RPC requests.

use sqlparser::ast::ObjectName;

use super::super::error::SqlResult;
use super::Reader;

/// Reads the name of a procedure as an RPC request has it.
pub(crate) fn procedure_name(name: &str) -> SqlResult<ObjectName> {
    let mut reader = Reader::new(name)?;
    let procedure = reader.object_name()?;
    if reader.at_end() {
        Ok(procedure)
    } else {
        Err(reader.unexpected())
    }
}
