//! A client that does as little as a client can: it logs in, asks, and counts bytes.

use std::io::{Read, Write};
use std::net::TcpStream;

use entrada::tds::{
    self, Encryption, Login7, PacketStatus, PacketType, Prelogin, TdsVersion, Version,
    write_message,
};

use super::Outcome;

/// Asks for the long answer.
pub(crate) const LONG: &str = "SELECT id, amount, name FROM dbo.customers";
/// Asks for the short one.
pub(crate) const SHORT: &str = "SELECT 1";

/// A logged-in client in clear.
pub(crate) struct Client<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
    version: TdsVersion,
}

impl Client {
    pub(crate) fn connect(port: u16) -> Outcome<Self> {
        Self::of_version(port, TdsVersion::V7_4)
    }

    /// One that speaks this version.
    pub(crate) fn of_version(port: u16, version: TdsVersion) -> Outcome<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Client::log_in_as(stream, version)
    }

    /// Asks, and reads no more of the answer than this.
    pub(crate) fn read_some(&mut self, sql: &str, bytes: usize) -> Outcome {
        let batch = self.batch_payload(sql);
        self.send(PacketType::SQL_BATCH, &batch)?;
        let mut some = vec![0; bytes];
        Ok(self.stream.read_exact(&mut some)?)
    }
}

impl<S: Read + Write> Client<S> {
    fn log_in_as(stream: S, version: TdsVersion) -> Outcome<Self> {
        let mut client = Self {
            stream,
            buffer: vec![0; 256 * 1024],
            version,
        };
        let mut prelogin = Vec::new();
        Prelogin::new(Version::default(), Encryption::NOT_SUP).encode(&mut prelogin)?;
        client.ask(PacketType::PRELOGIN, &prelogin)?;
        let mut login = Vec::new();
        let asked = Login7 {
            user_name: "bench".to_owned(),
            app_name: "bench".to_owned(),
            tds_version: version,
            ..Login7::default()
        };
        asked.encode(&mut login)?;
        let answered = client.ask(PacketType::LOGIN7, &login)?;
        if answered < 100 {
            return Err("the login was refused".into());
        }
        Ok(client)
    }

    /// The bare connection, without the buffer.
    pub(crate) fn into_idle(self) -> S {
        self.stream
    }

    /// Sends a batch and reads its answer; returns how many bytes that had.
    pub(crate) fn batch(&mut self, sql: &str) -> Outcome<usize> {
        let batch = self.batch_payload(sql);
        self.ask(PacketType::SQL_BATCH, &batch)
    }

    fn batch_payload(&self, sql: &str) -> Vec<u8> {
        let mut payload = match self.version {
            version if version < TdsVersion::V7_2 => Vec::new(),
            _ => tds::all_headers(0),
        };
        payload.extend(sql.encode_utf16().flat_map(u16::to_le_bytes));
        payload
    }

    fn ask(&mut self, packet_type: PacketType, payload: &[u8]) -> Outcome<usize> {
        self.send(packet_type, payload)?;
        self.read_message()
    }

    fn send(&mut self, packet_type: PacketType, payload: &[u8]) -> Outcome {
        let mut packets = Vec::new();
        write_message(
            packet_type,
            PacketStatus::NORMAL,
            payload,
            4096,
            &mut packets,
        );
        Ok(self.stream.write_all(&packets)?)
    }

    /// Reads to the end of a message by the headers of its packets.
    fn read_message(&mut self) -> Outcome<usize> {
        let (mut total, mut start, mut end) = (0, 0, 0);
        loop {
            while end - start >= 8 {
                let header = &self.buffer[start..];
                let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
                let last = header[1] & 1 != 0;
                if end - start < length {
                    break;
                }
                start += length;
                total += length;
                if last {
                    return Ok(total);
                }
            }
            self.buffer.copy_within(start..end, 0);
            (start, end) = (0, end - start);
            let read = self.stream.read(&mut self.buffer[end..])?;
            if read == 0 {
                return Err("the connection was closed".into());
            }
            end += read;
        }
    }
}
