use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::linux::{End, Ends, Pair, judge};
use super::{Peer, PeerAddress, Who, canonical, proc_net, sock_diag};

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Client and accepted connection, with the client's address as accept says it.
async fn connect(
    listen: SocketAddr,
    to: impl Fn(u16) -> SocketAddr,
) -> (TcpStream, TcpStream, SocketAddr) {
    let listener = TcpListener::bind(listen).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect(to(port)).await.unwrap();
    let (accepted, address) = listener.accept().await.unwrap();
    (client, accepted, address)
}

fn pair(accepted: &TcpStream) -> Pair {
    Pair {
        client: canonical(accepted.peer_addr().unwrap()),
        server: canonical(accepted.local_addr().unwrap()),
    }
}

#[tokio::test]
async fn the_kernel_names_the_owner_of_either_family() {
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let mapped = |port| SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port));
    let plain = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let six = |port| SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    type To = fn(u16) -> SocketAddr;
    let cases: [(SocketAddr, To); 5] = [
        (v4, plain),
        (v6, six),
        (both, plain),
        (both, mapped),
        (v4, mapped),
    ];
    for (listen, to) in cases {
        let (_client, accepted, address) = connect(listen, to).await;
        let peer = Peer::of_tcp(&accepted, address, None).await;
        assert_eq!(peer.uid, Some(own_uid()), "{listen} {}", to(0));
        // The tables of text tell the same.
        let turns = Semaphore::new(1);
        let read = proc_net::ends(pair(&accepted), &turns).await.unwrap();
        let asked = sock_diag::ends(pair(&accepted)).unwrap().unwrap();
        assert_eq!(read, asked);
    }
}

#[tokio::test]
async fn a_closed_clients_socket_belongs_to_nobody() {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (client, accepted, address) = connect(any, |port| (Ipv4Addr::LOCALHOST, port).into()).await;
    drop(client);
    // The close is seen here first, so that the client's end waits by now.
    let mut byte = [0];
    accepted.readable().await.unwrap();
    assert_eq!(accepted.try_read(&mut byte).unwrap(), 0);
    let turns = Semaphore::new(1);
    let peer = Peer::of_tcp(&accepted, address, Some(&turns)).await;
    assert_eq!(peer.uid, None);
}

#[tokio::test]
async fn a_listener_at_the_clients_address_is_not_the_client() {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    // Asked for a connection that does not exist, the kernel answers with the
    // listener at the address.
    let listener = TcpListener::bind(any).await.unwrap();
    let here = listener.local_addr().unwrap();
    let other = TcpListener::bind(any).await.unwrap();
    let pair = Pair {
        client: here,
        server: other.local_addr().unwrap(),
    };
    assert!(sock_diag::ends(pair).is_err());
    assert_eq!(proc_net::ends(pair, &Semaphore::new(1)).await, None);
}

#[tokio::test]
async fn a_peer_on_another_address_of_this_machine_has_no_uid() {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (_client, accepted, _) = connect(any, |port| (Ipv4Addr::LOCALHOST, port).into()).await;
    let foreign = SocketAddr::from(([192, 0, 2, 7], 50_000));
    let peer = Peer::of_tcp(&accepted, foreign, None).await;
    assert_eq!((peer.uid, peer.is_on_loopback()), (None, false));
    assert_eq!(peer.to_string(), "192.0.2.7:50000");
}

#[tokio::test]
async fn a_forged_source_port_finds_nothing() {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (_client, accepted, address) =
        connect(any, |port| (Ipv4Addr::LOCALHOST, port).into()).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(any).unwrap();
    let free = socket.local_addr().unwrap();
    assert_ne!(free, address);
    let turns = Semaphore::new(1);
    let peer = Peer::of_tcp(&accepted, free, Some(&turns)).await;
    assert_eq!(peer.uid, None);
}

#[test]
fn only_a_held_and_established_socket_of_this_very_connection_counts() {
    let end = |state, uid, inode| End { state, uid, inode };
    let ends = |client, server| Ends { client, server };
    let ours = end(1, 7, 99);
    assert_eq!(judge(ends(end(1, 1000, 5), ours), 99), Some(1000));
    // TIME_WAIT and orphans say root.
    for state in [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] {
        assert_eq!(judge(ends(end(state, 0, 0), ours), 99), None);
        assert_eq!(judge(ends(end(state, 1000, 5), ours), 99), None);
    }
    assert_eq!(judge(ends(end(1, 0, 0), ours), 99), None);
    // The same addresses and ports in another network namespace.
    assert_eq!(judge(ends(end(1, 1000, 5), ours), 98), None);
    assert_eq!(judge(ends(end(1, 1000, 5), end(1, 7, 0)), 0), None);
}

#[test]
fn tables_are_read_whatever_they_hold() {
    let pair = Pair {
        client: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)),
        server: SocketAddr::from((Ipv4Addr::LOCALHOST, 1433)),
    };
    let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    let word = u32::from_ne_bytes([127, 0, 0, 1]);
    let mapped = u32::from_ne_bytes([0, 0, 0xff, 0xff]);
    let four = format!(
        "{head}   0: {word:08X}:0599 {word:08X}:9C40 01 00000000:00000000 00:00000000 00000000    33        0 77 1 0 20 4 30 10 -1\n"
    );
    let six = format!(
        "{head}   0: 0000000000000000{mapped:08X}{word:08X}:9C40 0000000000000000{mapped:08X}{word:08X}:0599 06 00000000:00000000 03:0000176F 00000000     0        0 0 3\n"
    );
    let found = proc_net::find(pair, [four.as_bytes(), six.as_bytes()].into_iter()).unwrap();
    assert_eq!((found.server.uid, found.server.inode), (33, 77));
    assert_eq!((found.client.state, found.client.uid), (6, 0));
    for junk in [
        "",
        "\n\n",
        "x",
        "a b c d e f g h i j",
        "0: 00:00 é:1 01 a b c 1 2 3",
    ] {
        let text = format!("{head}{junk}");
        assert_eq!(proc_net::find(pair, [text.as_bytes()].into_iter()), None);
    }
}

#[tokio::test]
async fn a_unix_socket_tells_uid_and_pid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let _client = UnixStream::connect(&path).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let peer = Peer::of_unix(&accepted);
    assert_eq!(peer.uid, Some(own_uid()));
    assert_eq!(peer.pid, Some(std::process::id()));
    assert_eq!(peer.address, PeerAddress::Unix);
}

#[test]
fn machines_are_counted_by_their_network() {
    let who = |text: &str| Peer::tcp(SocketAddr::new(text.parse().unwrap(), 1)).who();
    assert_eq!(who("2001:db8::1"), who("2001:db8::ffff:1"));
    assert_ne!(who("2001:db8::1"), who("2001:db8:0:1::1"));
    assert_eq!(who("::ffff:192.0.2.1"), who("192.0.2.1"));
    assert_ne!(who("192.0.2.1"), who("192.0.2.2"));
    let mut peer = Peer::tcp(SocketAddr::from(([127, 0, 0, 1], 1)));
    peer.uid = Some(5);
    assert_eq!(peer.who(), Who::Uid(5));
}
