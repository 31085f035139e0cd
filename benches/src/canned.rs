//! A server on loopback that takes any login and answers with canned bytes: a batch that
//! reads from a table gets a million rows, or what [`tables`] has under its name, any other
//! one row.
//!
//! It computes nothing, so that what is measured is the client, or what stands between.

mod tables;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use entrada::tds::{self, PacketType};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// Rows in each answer.
pub const ROWS: u32 = 1_000_000;

/// Until anything is negotiated, and after it: the default packet size.
const PACKET_SIZE: usize = 4096;

/// What the server says.
pub struct Answers {
    one: Vec<u8>,
    rows: Vec<u8>,
    /// By the name of the table in UTF-16.
    others: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Answers {
    /// Puts the answers together.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            one: message(&one()),
            rows: message(&rows()),
            others: Vec::new(),
        })
    }

    /// The same with the results of [`tables`], which are large.
    pub fn with_tables() -> Arc<Self> {
        let others = tables::all().into_iter();
        Arc::new(Self {
            one: message(&one()),
            rows: message(&rows()),
            others: others
                .map(|(name, tokens)| (utf16(name), message(&tokens)))
                .collect(),
        })
    }

    /// Bytes of the long answer, packet headers included.
    pub fn long(&self) -> usize {
        self.rows.len()
    }
}

/// Starts the server; it ends with the runtime.
pub async fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let answers = Answers::new();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answers = Arc::clone(&answers);
            tokio::spawn(async move {
                stream.set_nodelay(true)?;
                serve(stream, &answers).await
            });
        }
    });
    Ok(address)
}

/// Serves one client to its end.
pub async fn serve<S>(mut stream: S, answers: &Answers) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match read_message(&mut stream).await? {
            Asked::Prelogin => stream.write_all(&message(PRELOGIN)).await?,
            Asked::Login => stream.write_all(&message(&login())).await?,
            Asked::Short => stream.write_all(&answers.one).await?,
            Asked::Long(text) => {
                let named = |name: &[u8]| text.windows(name.len()).any(|window| window == name);
                let other = answers.others.iter().find(|(name, _)| named(name));
                let rows = other.map_or(&answers.rows, |(_, rows)| rows);
                // A packet at a time: SQL Server puts each into a TLS record of its own.
                for packet in rows.chunks(PACKET_SIZE) {
                    stream.write_all(packet).await?;
                }
            }
        }
        stream.flush().await?;
    }
}

/// What a message is.
enum Asked {
    Prelogin,
    Login,
    /// A batch that reads from no table, such as the one by which a pool resets a session.
    Short,
    /// One that does, and its text.
    Long(Vec<u8>),
}

/// Reads to the end of a message.
async fn read_message<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Asked> {
    let from: Vec<u8> = utf16("FROM");
    let mut text = Vec::new();
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header).await?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let mut payload = vec![0; length.saturating_sub(header.len())];
        stream.read_exact(&mut payload).await?;
        text.extend(payload);
        if header[1] & 0x01 != 0 {
            return Ok(match PacketType(header[0]) {
                PacketType::PRELOGIN => Asked::Prelogin,
                PacketType::LOGIN7 => Asked::Login,
                _ if text.windows(from.len()).any(|window| window == from) => Asked::Long(text),
                _ => Asked::Short,
            });
        }
    }
}

fn message(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    tds::write_message(
        PacketType::TABULAR_RESULT,
        tds::PacketStatus::default(),
        payload,
        PACKET_SIZE,
        &mut out,
    );
    out
}

/// VERSION 12.0.2000, ENCRYPTION not supported, INSTOPT empty, THREADID absent, MARS off.
const PRELOGIN: &[u8] = &[
    0x00, 0x00, 0x1a, 0x00, 0x06, 0x01, 0x00, 0x20, 0x00, 0x01, 0x02, 0x00, 0x21, 0x00, 0x01, 0x03,
    0x00, 0x22, 0x00, 0x00, 0x04, 0x00, 0x22, 0x00, 0x01, 0xff, 12, 0, 0x07, 0xd0, 0, 0, 0x02, 0,
    0,
];

fn login() -> Vec<u8> {
    let mut out = Vec::new();
    let change = |out: &mut Vec<u8>, kind: u8, new: &[u8], old: &[u8]| {
        out.push(0xe3);
        out.extend((new.len() as u16 + old.len() as u16 + 1).to_le_bytes());
        out.push(kind);
        out.extend(new);
        out.extend(old);
    };
    change(&mut out, 1, &b_varchar("master"), &[0]);
    change(&mut out, 7, &[5, 0x09, 0x04, 0xd0, 0x00, 0x34], &[0]);
    change(&mut out, 2, &b_varchar("us_english"), &[0]);
    let mut ack = vec![1, 0x74, 0, 0, 4];
    ack.extend(b_varchar("Microsoft SQL Server\0\0"));
    ack.extend([12, 0, 0x07, 0xd0]);
    out.push(0xad);
    out.extend((ack.len() as u16).to_le_bytes());
    out.extend(ack);
    change(&mut out, 4, &b_varchar("4096"), &b_varchar("4096"));
    out.extend([0xfd; 1]);
    out.extend([0; 12]);
    out
}

/// One row of one int, preceded by the acknowledgement of a reset, which is harmless if none was asked.
fn one() -> Vec<u8> {
    let mut out = vec![0xe3, 3, 0, 18, 0, 0];
    out.extend([0x81, 1, 0, 0, 0, 0, 0, 1, 0, 0x26, 4, 0]);
    out.extend([0xd1, 4, 1, 0, 0, 0]);
    out.extend([0xfd, 0x10, 0, 0xc1, 0]);
    out.extend(1u64.to_le_bytes());
    out
}

/// `id int, amount bigint, name nvarchar(50)`.
fn rows() -> Vec<u8> {
    let mut out = vec![0x81, 3, 0];
    for (name, type_info) in [
        ("id", &[0x26, 4][..]),
        ("amount", &[0x26, 8]),
        ("name", &[0xe7, 100, 0, 0x09, 0x04, 0xd0, 0x00, 0x34]),
    ] {
        out.extend([0, 0, 0, 0, 1, 0]);
        out.extend(type_info);
        out.extend(b_varchar(name));
    }
    for id in 0..ROWS {
        out.push(0xd1);
        out.push(4);
        out.extend(id.to_le_bytes());
        out.push(8);
        out.extend((u64::from(id) * 1000).to_le_bytes());
        let name: Vec<u8> = utf16(&format!("customer {id:09}"));
        out.extend((name.len() as u16).to_le_bytes());
        out.extend(name);
    }
    out.extend([0xfd, 0x10, 0, 0xc1, 0]);
    out.extend(u64::from(ROWS).to_le_bytes());
    out
}

fn b_varchar(text: &str) -> Vec<u8> {
    let mut out = vec![text.encode_utf16().count() as u8];
    out.extend(utf16(text));
    out
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
