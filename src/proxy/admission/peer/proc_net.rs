//! The kernel's tables of TCP sockets as text (proc_pid_net(5)), for places
//! where netlink is not allowed: systemd's RestrictAddressFamilies=, seccomp
//! filters, sandboxes.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::canonical;
use super::linux::{End, Ends, Pair};

/// A connection between sockets of both families stands in one table at one end
/// and in the other at the other end.
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
/// Bound of one table: some 400,000 sockets.
const MAX_TABLE: u64 = 64 << 20;

/// Both ends of a connection, or `None` if the tables do not show it.
///
/// # Cancel safety
/// A read that has begun goes on to its end, and only then gives its turn back.
pub(super) async fn ends(pair: Pair, turns: &Semaphore) -> Option<Ends> {
    let _turn = turns.acquire().await.ok()?;
    spawn_blocking(move || find(pair, TABLES.iter().filter_map(|path| File::open(path).ok())))
        .await
        .ok()?
}

/// Looks for both ends in tables.
pub(super) fn find(pair: Pair, tables: impl Iterator<Item = impl Read>) -> Option<Ends> {
    let (mut client, mut server) = (None, None);
    for table in tables {
        let lines = BufReader::new(table.take(MAX_TABLE)).lines();
        for line in lines.map_while(Result::ok).skip(1) {
            let Some((local, remote, end)) = row(&line) else {
                continue;
            };
            if (local, remote) == (pair.client, pair.server) {
                client = Some(end);
            } else if (local, remote) == (pair.server, pair.client) {
                server = Some(end);
            }
            if let (Some(client), Some(server)) = (client, server) {
                return Some(Ends { client, server });
            }
        }
    }
    None
}

/// `sl local rem st tx:rx tr:tm retrnsmt uid timeout inode ..`
fn row(line: &str) -> Option<(SocketAddr, SocketAddr, End)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = address(fields.next()?)?;
    let remote = address(fields.next()?)?;
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let mut fields = fields.skip(3);
    let uid = fields.next()?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some((local, remote, End { state, uid, inode }))
}

/// `0100007F:0599`: words of the address as the machine reads them, the port as
/// a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = [0; 16];
    let count = words.len() / 8;
    for (index, place) in bytes.chunks_mut(4).take(count).enumerate() {
        let word = words.get(index * 8..index * 8 + 8)?;
        place.copy_from_slice(&u32::from_str_radix(word, 16).ok()?.to_ne_bytes());
    }
    let ip = match (count, words.len()) {
        (1, 8) => Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into(),
        (4, 32) => Ipv6Addr::from(bytes).into(),
        _ => return None,
    };
    Some(canonical(SocketAddr::new(ip, port)))
}
