//! SQL Browser: the port of a named instance (MC-SQLR 2.2, UDP 1434).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// The port of SQL Browser.
pub(super) const PORT: u16 = 1434;
/// MC-SQLR 2.2.4: the request for one instance.
const CLNT_UCAST_INST: u8 = 0x04;
/// MC-SQLR 2.2.5: every answer starts with it.
const SVR_RESP: u8 = 0x05;
/// MC-SQLR 2.2.4: longer names do not exist.
const MAX_INSTANCE: usize = 32;
/// No UDP datagram is larger. The answer for one instance should not exceed
/// 1,024 bytes, but some servers tell all of their instances.
const MAX_ANSWER: usize = 65_507;
/// Packets get lost: ask so often, and wait so long each time.
const TRIES: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(1);
/// Asking more addresses than this helps nobody.
const MAX_ADDRESSES: usize = 8;

/// Why the port of a named instance is not known.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BrowserError {
    /// The name cannot be an instance's.
    #[error(
        "`{instance}` cannot be an instance: a name has 1 to {MAX_INSTANCE} bytes; write `host,port` to do without one"
    )]
    Name {
        /// The instance asked for.
        instance: String,
    },
    /// The socket could not be used.
    #[error(
        "SQL Browser on {address} cannot be asked for the instance `{instance}`; write `host,port` to do without it"
    )]
    Io {
        /// The instance asked for.
        instance: String,
        /// Where SQL Browser was expected.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// Nobody answered.
    #[error(
        "SQL Browser on {address} gave no answer for the instance `{instance}`: either it does not run, a firewall stops UDP, or there is no such instance; write `host,port` to do without it"
    )]
    NoAnswer {
        /// The instance asked for.
        instance: String,
        /// Where SQL Browser was expected.
        address: SocketAddr,
    },
    /// The answer could not be read.
    #[error("what answers on {address} is not SQL Browser")]
    Garbage {
        /// Where SQL Browser was expected.
        address: SocketAddr,
    },
    /// The instance exists, but it does not listen on TCP.
    #[error(
        "the instance `{instance}` on {address} does not listen on TCP; enable TCP/IP in SQL Server's configuration"
    )]
    NoTcp {
        /// The instance asked for.
        instance: String,
        /// Where SQL Browser runs.
        address: SocketAddr,
    },
}

/// Asks all addresses of a host for an instance's TCP port; the first good
/// answer counts.
///
/// Ends after three seconds at the latest.
pub(super) async fn port_of(
    instance: &str,
    addresses: &[SocketAddr],
    browser_port: u16,
) -> Result<u16, BrowserError> {
    let name_fits = (1..=MAX_INSTANCE).contains(&instance.len()) && !instance.contains('\0');
    if !name_fits {
        return Err(BrowserError::Name {
            instance: instance.to_owned(),
        });
    }
    let mut asked: FuturesUnordered<_> = addresses
        .iter()
        .take(MAX_ADDRESSES)
        .map(|address| ask(instance, SocketAddr::new(address.ip(), browser_port)))
        .collect();
    let mut worst: Option<BrowserError> = None;
    while let Some(outcome) = asked.next().await {
        match outcome {
            Ok(port) => return Ok(port),
            // An answer, however bad, says more than silence.
            Err(error) if worst.is_none() || !matches!(error, BrowserError::NoAnswer { .. }) => {
                worst = Some(error);
            }
            Err(_) => {}
        }
    }
    Err(worst.unwrap_or_else(|| BrowserError::Name {
        instance: instance.to_owned(),
    }))
}

async fn ask(instance: &str, address: SocketAddr) -> Result<u16, BrowserError> {
    let failed = |source: io::Error| BrowserError::Io {
        instance: instance.to_owned(),
        address,
        source: Arc::new(source),
    };
    let any = if address.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
    };
    let socket = UdpSocket::bind(any).await.map_err(failed)?;
    // Connected, so that the kernel drops what others send.
    socket.connect(address).await.map_err(failed)?;
    let mut request = vec![CLNT_UCAST_INST];
    request.extend_from_slice(instance.as_bytes());
    request.push(0);
    let mut buffer = vec![0; MAX_ANSWER];
    let mut garbage = false;
    for _ in 0..TRIES {
        socket.send(&request).await.map_err(failed)?;
        let answer = timeout(
            PATIENCE,
            listen(&socket, instance, &mut buffer, &mut garbage),
        )
        .await;
        match answer {
            Ok(Ok(Some(port))) => return Ok(port),
            Ok(Ok(None)) => {
                return Err(BrowserError::NoTcp {
                    instance: instance.to_owned(),
                    address,
                });
            }
            Ok(Err(error)) => return Err(failed(error)),
            Err(_) => {}
        }
    }
    Err(if garbage {
        BrowserError::Garbage { address }
    } else {
        BrowserError::NoAnswer {
            instance: instance.to_owned(),
            address,
        }
    })
}

/// Reads until an answer tells of the instance; anything else is passed over.
async fn listen(
    socket: &UdpSocket,
    instance: &str,
    buffer: &mut [u8],
    garbage: &mut bool,
) -> io::Result<Option<u16>> {
    loop {
        let length = socket.recv(buffer).await?;
        match read_answer(buffer.get(..length).unwrap_or_default(), instance) {
            Some(Entry::Tcp(port)) => return Ok(Some(port)),
            Some(Entry::NoTcp) => return Ok(None),
            None => *garbage = true,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Entry {
    Tcp(u16),
    NoTcp,
}

/// `None` if the datagram is no answer, or tells of other instances only.
fn read_answer(datagram: &[u8], instance: &str) -> Option<Entry> {
    let [SVR_RESP, low, high, rest @ ..] = datagram else {
        return None;
    };
    let size = usize::from(u16::from_le_bytes([*low, *high]));
    let text = String::from_utf8_lossy(rest.get(..size)?);
    text.split(";;").find_map(|entry| {
        let mut fields = entry.split(';');
        let mut named = false;
        let mut port = None;
        while let (Some(key), Some(value)) = (fields.next(), fields.next()) {
            if key.eq_ignore_ascii_case("InstanceName") {
                named = value.eq_ignore_ascii_case(instance);
            } else if key.eq_ignore_ascii_case("tcp") {
                port = value.trim().parse::<u16>().ok().filter(|port| *port != 0);
            }
        }
        named.then(|| port.map_or(Entry::NoTcp, Entry::Tcp))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "ServerName;S;InstanceName;OTHER;IsClustered;No;Version;16.0.1;tcp;1500;;\
                       ServerName;S;InstanceName;Sales;IsClustered;No;Version;16.0.1;np;\\\\S\\pipe\\x;tcp;51433;;";

    fn answer(text: &str) -> Vec<u8> {
        let mut bytes = vec![SVR_RESP];
        bytes.extend_from_slice(&u16::try_from(text.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    async fn server() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    #[test]
    fn the_port_is_the_right_instance_s() {
        assert_eq!(read_answer(&answer(TWO), "SALES"), Some(Entry::Tcp(51433)));
        assert_eq!(read_answer(&answer(TWO), "other"), Some(Entry::Tcp(1500)));
        assert_eq!(read_answer(&answer(TWO), "sale"), None);
        let pipe = answer("ServerName;S;InstanceName;P;np;\\\\S\\pipe\\x;;");
        assert_eq!(read_answer(&pipe, "p"), Some(Entry::NoTcp));
        let zero = answer("ServerName;S;InstanceName;P;tcp;0;;");
        assert_eq!(read_answer(&zero, "p"), Some(Entry::NoTcp));
    }

    #[test]
    fn no_datagram_panics() {
        let whole = answer(TWO);
        for length in 0..whole.len() {
            assert_eq!(read_answer(&whole[..length], "sales"), None);
        }
        assert_eq!(
            read_answer(&[SVR_RESP, 4, 0, 0xff, 0xfe, b';', b';'], "x"),
            None
        );
    }

    #[tokio::test]
    async fn a_lost_request_is_sent_again() {
        let (socket, address) = server().await;
        let serve = async {
            let mut buffer = [0; 64];
            socket.recv_from(&mut buffer).await.unwrap();
            let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..length], b"\x04sales\0");
            socket.send_to(b"rubbish", peer).await.unwrap();
            socket.send_to(&answer(TWO), peer).await.unwrap();
        };
        let asked = [address];
        let (port, ()) = tokio::join!(port_of("sales", &asked, address.port()), serve);
        assert_eq!(port.unwrap(), 51433);
    }

    #[tokio::test]
    async fn an_answer_from_elsewhere_does_not_count() {
        let (socket, address) = server().await;
        let (other, _) = server().await;
        let serve = async {
            let mut buffer = [0; 64];
            let (_, peer) = socket.recv_from(&mut buffer).await.unwrap();
            let forged = answer("ServerName;S;InstanceName;sales;tcp;666;;");
            other.send_to(&forged, peer).await.unwrap();
            socket.send_to(&answer(TWO), peer).await.unwrap();
        };
        let asked = [address];
        let (port, ()) = tokio::join!(port_of("sales", &asked, address.port()), serve);
        assert_eq!(port.unwrap(), 51433);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_garbage_end_by_themselves() {
        let (silent, address) = server().await;
        let error = port_of("sales", &[address], address.port())
            .await
            .unwrap_err();
        assert!(matches!(error, BrowserError::NoAnswer { .. }), "{error}");
        drop(silent);
        let error = port_of("sales", &[address], address.port())
            .await
            .unwrap_err();
        assert!(matches!(error, BrowserError::Io { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_is_not_sent() {
        for name in ["", "a\0b", &"x".repeat(33)] {
            let error = port_of(name, &[], 1).await.unwrap_err();
            assert!(matches!(error, BrowserError::Name { .. }), "{error}");
        }
    }
}
