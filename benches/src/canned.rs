//! A server on loopback that takes any login and answers any batch with a million canned rows.
//!
//! It speaks no TLS and computes nothing, so that what is measured is the client.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use entrada::tds::{self, PacketType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Rows in each answer.
pub const ROWS: u32 = 1_000_000;

/// Until anything is negotiated, and after it: the default packet size.
const PACKET_SIZE: usize = 4096;

/// Starts the server; it ends with the runtime.
pub async fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let rows: Arc<[u8]> = message(&rows()).into();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&rows)));
        }
    });
    Ok(address)
}

async fn serve(mut stream: TcpStream, rows: Arc<[u8]>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        match read_message(&mut stream).await? {
            PacketType::PRELOGIN => stream.write_all(&message(PRELOGIN)).await?,
            PacketType::LOGIN7 => stream.write_all(&message(&login())).await?,
            _ => stream.write_all(&rows).await?,
        }
    }
}

/// Reads to the end of a message and tells its type.
async fn read_message(stream: &mut TcpStream) -> io::Result<PacketType> {
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header).await?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let mut payload = vec![0; length.saturating_sub(header.len())];
        stream.read_exact(&mut payload).await?;
        if header[1] & 0x01 != 0 {
            return Ok(PacketType(header[0]));
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
