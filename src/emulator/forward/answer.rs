//! Answers to the gateway's own requests, which are small and read whole.

use crate::tds::{
    Column, DecodeError, EnvChange, Place, Reader, ServerMessage, TdsVersion, Token,
    decode_columns, read_token, token_id,
};

/// A value's bytes, or `None` for NULL.
pub(super) type Cell = Option<Vec<u8>>;

/// A whole answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The rows of each result.
    pub(super) results: Vec<Vec<Vec<Cell>>>,
    pub(super) errors: Vec<ServerMessage>,
    pub(super) changes: Vec<EnvChange>,
}

impl Answer {
    pub(super) fn read(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut answer = Self::default();
        let mut columns: Vec<Column> = Vec::new();
        let mut reader = Reader::named("the backend's answer", payload);
        while let Some(token) = reader.peek() {
            match token {
                token_id::COLMETADATA => {
                    reader.skip(1)?;
                    columns = decode_columns(&mut reader)?;
                    answer.results.push(Vec::new());
                }
                token_id::ROW | token_id::NBCROW => {
                    reader.skip(1)?;
                    let row = row(&columns, token == token_id::NBCROW, &mut reader)?;
                    if let Some(rows) = answer.results.last_mut() {
                        rows.push(row);
                    }
                }
                _ => match read_token(&mut reader, TdsVersion::V7_4)? {
                    Token::Error(error) => answer.errors.push(error),
                    Token::EnvChange(change) => answer.changes.push(change),
                    Token::EnvChanges(changes) => answer.changes.extend(changes),
                    _ => {}
                },
            }
        }
        Ok(answer)
    }

    /// The only row of the last result, if it has so many values.
    pub(super) fn last_row<const N: usize>(&self) -> Option<&[Cell; N]> {
        match self.results.last().map(Vec::as_slice) {
            Some([row]) => row.as_slice().try_into().ok(),
            _ => None,
        }
    }
}

/// Text in UTF-16, as nvarchar has it.
pub(super) fn text(cell: &Cell) -> Option<String> {
    let bytes = cell.as_ref()?;
    Reader::new(bytes).utf16(bytes.len() / 2).ok()
}

/// An integer of whatever width.
pub(super) fn integer(cell: &Cell) -> Option<i64> {
    let bytes = cell.as_ref()?;
    let mut wide = [0; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(wide))
}

fn row(
    columns: &[Column],
    bitmap: bool,
    reader: &mut Reader<'_>,
) -> Result<Vec<Cell>, DecodeError> {
    let nulls = match bitmap {
        true => reader.take(columns.len().div_ceil(8))?,
        false => &[],
    };
    let mut row = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let null = nulls
            .get(index / 8)
            .is_some_and(|byte| byte >> (index % 8) & 1 == 1);
        row.push(match null {
            true => None,
            false => column
                .type_info
                .read_value(Place::Row, reader)?
                .map(|bytes| bytes.into_owned()),
        });
    }
    Ok(row)
}
