//! Bulk loads: the rows after `INSERT BULK`.

use super::super::error::{SqlError, SqlResult};
use super::super::session::{RequestBody, State};
use super::super::wire::out::Out;

/// Answers a bulk load. An error waits until the client has sent its part.
pub(super) fn load(
    _state: &mut State,
    _out: &mut Out<'_>,
    body: &mut dyn RequestBody,
) -> SqlResult<()> {
    loop {
        match body.next() {
            Ok(Some(_)) => {}
            Ok(None) => return Err(SqlError::unsupported("bulk load")),
            Err(_) => return Err(SqlError::interrupted()),
        }
    }
}
