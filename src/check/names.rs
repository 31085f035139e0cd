//! The chain of names (CNAME) behind a server's name. The system's resolver
//! gives addresses only, so a DNS server is asked by itself; all of this is for
//! the reader, and no answer is no fault.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, TYPE};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// A DNS server that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// More than DNS without extensions sends in a datagram (RFC 1035, 4.2.1).
const MAX_ANSWER: usize = 4096;
/// No sane chain is longer.
const MAX_NAMES: usize = 16;

/// The names that a name stands for, in order; none if it stands for itself or
/// nobody answers.
pub(super) async fn chain(host: &str, nameserver: Option<SocketAddr>) -> Vec<String> {
    let Some(server) = nameserver.or_else(first_nameserver) else {
        return Vec::new();
    };
    let asked = timeout(PATIENCE, ask(host, server)).await;
    asked.ok().flatten().unwrap_or_default()
}

/// The first server of `/etc/resolv.conf`.
fn first_nameserver() -> Option<SocketAddr> {
    let text = std::fs::read("/etc/resolv.conf").ok()?;
    let config = resolv_conf::Config::parse(text).ok()?;
    let first = config.nameservers.first()?;
    let ip = match first {
        resolv_conf::ScopedIp::V4(ip) => (*ip).into(),
        resolv_conf::ScopedIp::V6(ip, None) => (*ip).into(),
        resolv_conf::ScopedIp::V6(..) => return None,
    };
    Some(SocketAddr::new(ip, 53))
}

async fn ask(host: &str, server: SocketAddr) -> Option<Vec<String>> {
    let id = fastrand::u16(..);
    let mut query = Packet::new_query(id);
    query.set_flags(PacketFlag::RECURSION_DESIRED);
    query.questions.push(Question::new(
        Name::new(host.trim_end_matches('.')).ok()?,
        QTYPE::TYPE(TYPE::A),
        QCLASS::CLASS(CLASS::IN),
        false,
    ));
    let any: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).await.ok()?;
    // Only the server asked is listened to.
    socket.connect(server).await.ok()?;
    socket.send(&query.build_bytes_vec().ok()?).await.ok()?;
    let mut answer = vec![0; MAX_ANSWER];
    loop {
        let length = socket.recv(&mut answer).await.ok()?;
        let packet = answer.get(..length).and_then(|it| Packet::parse(it).ok());
        if let Some(packet) = packet.filter(|packet| packet.id() == id) {
            return Some(follow(host, &packet));
        }
    }
}

/// Follows the aliases of an answer from the name asked for.
fn follow(host: &str, answer: &Packet<'_>) -> Vec<String> {
    let mut chain = Vec::new();
    let mut name = host.trim_end_matches('.').to_owned();
    while chain.len() < MAX_NAMES {
        let next = answer
            .answers
            .iter()
            .find_map(|record| match &record.rdata {
                RData::CNAME(alias) if same(&record.name.to_string(), &name) => {
                    Some(alias.0.to_string())
                }
                _ => None,
            });
        match next {
            Some(next) => {
                chain.push(next.clone());
                name = next;
            }
            None => break,
        }
    }
    chain
}

fn same(a: &str, b: &str) -> bool {
    a.trim_end_matches('.').eq_ignore_ascii_case(b)
}
