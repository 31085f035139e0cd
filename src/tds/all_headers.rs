//! ALL_HEADERS: what stands before a request's content from 7.2 on
//! (MS-TDS 2.2.5.3).

use super::{DecodeError, Put, Reader};

/// The headers that every request needs: one transaction descriptor, one
/// request outstanding. The descriptor is 0 in autocommit mode, else the one
/// that ENVCHANGE 8 told.
#[must_use]
pub fn all_headers(transaction_descriptor: u64) -> Vec<u8> {
    let mut headers = Vec::with_capacity(TOTAL_LEN as usize);
    headers.put_u32_le(TOTAL_LEN);
    headers.put_u32_le(TRANSACTION_LEN);
    headers.put_u16_le(TRANSACTION_DESCRIPTOR);
    headers.put_u64_le(transaction_descriptor);
    headers.put_u32_le(1);
    headers
}

/// Reads the headers of a request: the transaction descriptor, and the content
/// that follows. Other headers are skipped.
///
/// # Errors
/// [`DecodeError`] if lengths do not add up or the descriptor is missing.
pub fn parse_all_headers(payload: &[u8]) -> Result<(u64, &[u8]), DecodeError> {
    let mut message = Reader::named(WHAT, payload);
    let mut headers = Reader::named(WHAT, sized(&mut message)?);
    let mut descriptor = None;
    while !headers.is_empty() {
        let mut header = Reader::named(WHAT, sized(&mut headers)?);
        if header.u16_le()? == TRANSACTION_DESCRIPTOR {
            descriptor = Some(header.u64_le()?);
        }
    }
    match descriptor {
        Some(descriptor) => Ok((descriptor, message.rest())),
        None => Err(DecodeError::Invalid {
            what: WHAT,
            problem: "the transaction descriptor is missing",
        }),
    }
}

const WHAT: &str = "ALL_HEADERS";
const TRANSACTION_DESCRIPTOR: u16 = 2;
const TRANSACTION_LEN: u32 = 4 + 2 + 8 + 4;
const TOTAL_LEN: u32 = 4 + TRANSACTION_LEN;

/// Content after a length of four bytes that counts itself.
fn sized<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let len = usize::try_from(reader.u32_le()?).unwrap_or(usize::MAX);
    let content = len.checked_sub(4).ok_or(DecodeError::Invalid {
        what: WHAT,
        problem: "a length is below 4, its own",
    })?;
    reader.take(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_headers_have_22_bytes() {
        let expected = [
            0x16, 0, 0, 0, 0x12, 0, 0, 0, 2, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
        ];
        assert_eq!(all_headers(9), expected);
    }

    #[test]
    fn other_headers_are_skipped_and_lengths_checked() {
        let mut headers = vec![0x1E, 0, 0, 0];
        headers.extend_from_slice(&[8, 0, 0, 0, 3, 0, 0xAA, 0xBB]);
        headers.extend_from_slice(&all_headers(9)[4..]);
        headers.extend_from_slice(b"rest");
        assert_eq!(parse_all_headers(&headers), Ok((9, &b"rest"[..])));

        let invalid =
            |bytes: &[u8]| matches!(parse_all_headers(bytes), Err(DecodeError::Invalid { .. }));
        assert!(invalid(&[3, 0, 0, 0]), "a length below itself");
        assert!(invalid(&[4, 0, 0, 0]), "no descriptor");
        assert!(parse_all_headers(&[0xFF; 8]).is_err(), "beyond the message");
    }
}
