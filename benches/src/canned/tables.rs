//! Results whose rows give a transcoder different things to do.

use super::{b_varchar, utf16};

const COLLATION: [u8; 5] = [0x09, 0x04, 0xd0, 0x00, 0x34];

/// The name of each table and the tokens of its result.
pub(super) fn all() -> [(&'static str, Vec<u8>); 7] {
    [
        ("dbo.wide", wide()),
        ("dbo.nulls", nulls(true)),
        ("dbo.full", nulls(false)),
        ("dbo.dates", dates()),
        ("dbo.texts", texts()),
        ("dbo.known", values(true)),
        ("dbo.unknown", values(false)),
    ]
}

/// 30 columns, most of them short texts.
fn wide() -> Vec<u8> {
    let mut columns = Vec::new();
    for number in 0..30 {
        columns.push(match number % 3 {
            0 => vec![0x26, 4],
            _ => nvarchar(60),
        });
    }
    let mut out = metadata(&columns);
    for id in 0..60_000_u32 {
        out.push(0xd1);
        for number in 0..30_u32 {
            if number % 3 == 0 {
                out.push(4);
                out.extend((id + number).to_le_bytes());
            } else {
                put_text(&mut out, &format!("value {id:06} of {number:02}"));
            }
        }
    }
    finish(out, 60_000)
}

/// 24 columns, of which a row has three; the others are NULL, by a bitmap or each in its place.
fn nulls(by_bitmap: bool) -> Vec<u8> {
    const ROWS: u32 = 1_000_000;
    let columns: Vec<_> = (0..24)
        .map(|number| match number % 2 {
            0 => vec![0x26, 4],
            _ => nvarchar(60),
        })
        .collect();
    let mut out = metadata(&columns);
    for id in 0..ROWS {
        if by_bitmap {
            out.extend([0xd2, 0xfc, 0xff, 0xfe]);
        } else {
            out.push(0xd1);
        }
        for number in 0..24 {
            match number {
                0 | 16 => {
                    out.push(4);
                    out.extend(id.to_le_bytes());
                }
                1 => put_text(&mut out, &format!("{id:07}")),
                _ if by_bitmap => {}
                _ if number % 2 == 0 => out.push(0),
                _ => out.extend([0xff, 0xff]),
            }
        }
    }
    finish(out, ROWS)
}

/// An int, two datetime2(7) and a date.
fn dates() -> Vec<u8> {
    const ROWS: u32 = 1_500_000;
    let mut out = metadata(&[vec![0x26, 4], vec![0x2a, 7], vec![0x2a, 3], vec![0x28]]);
    for id in 0..ROWS {
        let day = (738_000 + id % 1000).to_le_bytes();
        let ticks = (u64::from(id) * 571_234).to_le_bytes();
        out.extend([0xd1, 4]);
        out.extend(id.to_le_bytes());
        out.push(8);
        out.extend(&ticks[..5]);
        out.extend(&day[..3]);
        out.push(7);
        out.extend(&(id * 37).to_le_bytes());
        out.extend(&day[..3]);
        out.push(3);
        out.extend(&day[..3]);
    }
    finish(out, ROWS)
}

/// The rows of [`dates`] as a client of 7.1 gets them. Every text is of the right length; what it
/// says does not matter to who only relays it.
fn texts() -> Vec<u8> {
    const ROWS: u32 = 1_500_000;
    let mut out = metadata(&[vec![0x26, 4], nvarchar(54), nvarchar(46), nvarchar(20)]);
    for id in 0..ROWS {
        out.extend([0xd1, 4]);
        out.extend(id.to_le_bytes());
        put_text(&mut out, "2021-07-31 12:34:56.7654321");
        put_text(&mut out, "2021-07-31 12:34:56.765");
        put_text(&mut out, "2021-07-31");
    }
    finish(out, ROWS)
}

/// An int and a varchar(max) of 100 kB in chunks of 8000 bytes, with its total before it or not.
fn values(known: bool) -> Vec<u8> {
    const ROWS: u32 = 500;
    const SIZE: usize = 100_000;
    let mut long = vec![0xa7, 0xff, 0xff];
    long.extend(COLLATION);
    let mut out = metadata(&[vec![0x26, 4], long]);
    let text = vec![b'x'; SIZE];
    for id in 0..ROWS {
        out.extend([0xd1, 4]);
        out.extend(id.to_le_bytes());
        let total = if known { SIZE as u64 } else { u64::MAX - 1 };
        out.extend(total.to_le_bytes());
        for chunk in text.chunks(8000) {
            out.extend((chunk.len() as u32).to_le_bytes());
            out.extend(chunk);
        }
        out.extend([0; 4]);
    }
    finish(out, ROWS)
}

fn nvarchar(bytes: u16) -> Vec<u8> {
    let mut out = vec![0xe7];
    out.extend(bytes.to_le_bytes());
    out.extend(COLLATION);
    out
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let text = utf16(text);
    out.extend((text.len() as u16).to_le_bytes());
    out.extend(text);
}

fn metadata(columns: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0x81];
    out.extend((columns.len() as u16).to_le_bytes());
    for (number, type_info) in columns.iter().enumerate() {
        // User type 0; nullable.
        out.extend([0, 0, 0, 0, 1, 0]);
        out.extend(type_info);
        out.extend(b_varchar(&format!("c{number}")));
    }
    out
}

fn finish(mut out: Vec<u8>, rows: u32) -> Vec<u8> {
    out.extend([0xfd, 0x10, 0, 0xc1, 0]);
    out.extend(u64::from(rows).to_le_bytes());
    out
}
