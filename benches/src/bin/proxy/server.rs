//! The canned server as a process: in clear, or with TLS first (TDS 8.0).

use std::fs;
use std::sync::Arc;

use entrada_benches::canned::{self, Answers};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::BufWriter;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::Outcome;

/// `PORT`, and for TLS the file that its certificate is written to.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let port: u16 = arguments.first().ok_or("no port")?.parse()?;
    let acceptor = arguments.get(1).map(|file| acceptor(file)).transpose()?;
    tokio::runtime::Runtime::new()?.block_on(serve(port, acceptor))
}

async fn serve(port: u16, acceptor: Option<TlsAcceptor>) -> Outcome {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], port)).into())?;
    socket.listen(4096)?;
    let listener = TcpListener::from_std(socket.into())?;
    let answers = Answers::with_tables();
    loop {
        let (stream, _) = listener.accept().await?;
        let (answers, acceptor) = (Arc::clone(&answers), acceptor.clone());
        tokio::spawn(async move {
            stream.set_nodelay(true)?;
            match acceptor {
                // Records of a packet each, but not a system call for each.
                Some(tls) => {
                    let stream = tls.accept(BufWriter::with_capacity(65536, stream)).await?;
                    canned::serve(stream, &answers).await
                }
                None => canned::serve(BufWriter::with_capacity(65536, stream), &answers).await,
            }
        });
    }
}

fn acceptor(file: &str) -> Outcome<TlsAcceptor> {
    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names)?.self_signed(&key)?;
    fs::write(file, certificate.pem())?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"tds/8.0".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
