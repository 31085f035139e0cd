//! What to do about the server's errors.

use crate::pool::tiberius::error::Error as DriverError;

/// What helps against an error, as the end of a sentence; empty if nothing is
/// known.
pub(super) fn of(error: &DriverError) -> &'static str {
    error.code().map_or("", by_number)
}

fn by_number(number: u32) -> &'static str {
    match number {
        229 | 262 | 297 | 300 | 15151 | 15247 => {
            " (whoever runs this lacks a right; a member of db_owner has them all)"
        }
        1205 => " (a deadlock; try again)",
        1222 => " (a lock was not free in time; try again)",
        4617 | 4624 => {
            " (the server lets nobody give rights to itself, to dbo or to fixed roles; take them out of the manifest)"
        }
        15023 => {
            " (the database takes this name for one that it has; names that differ in accents or width may be one in its collation)"
        }
        15063 => " (the identity has a user under another name already)",
        15138 | 15421 | 15284 => " (whoever is dropped still owns or has granted something)",
        15144 => " (the role has members that cannot be seen)",
        33130 => {
            " (Entra has no such name, or more than one; write its client_id or object_id instead, which asks nobody)"
        }
        33131 => {
            " (Entra has this display name more than once; write the object_id or the client_id)"
        }
        33134 => {
            " (the server's own identity may not read Entra; give it Directory Readers, or write the client_id or object_id as a SID, which asks nobody)"
        }
        33159 => {
            " (only somebody who logged in by Entra may create users from it; log in so, or write the id as a SID)"
        }
        _ => "",
    }
}
