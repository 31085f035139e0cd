//! TLS as a server, in both of TDS's forms.

use std::sync::Arc;

use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificates::Certificates;
use super::error::ConnectionError;
use super::stream::{Stream, Tunnel};
use crate::emulator::EmulatorError;

/// The protocol name of TDS 8.0 (MS-TDS 1.9).
const ALPN: &[u8] = b"tds/8.0";

/// The two ways to be a TLS server.
pub(super) struct Acceptors {
    tunnelled: TlsAcceptor,
    strict: TlsAcceptor,
}

impl Acceptors {
    pub(super) fn new(certificates: &Certificates) -> Result<Self, EmulatorError> {
        // Drivers do not get past a tunnelled handshake of TLS 1.3, whose tickets come after its end.
        let mut tunnelled = config(certificates, &[&rustls::version::TLS12])?;
        tunnelled.session_storage = Arc::new(NoServerSessionStorage {});
        let mut strict = config(
            certificates,
            &[&rustls::version::TLS13, &rustls::version::TLS12],
        )?;
        // A client that offers no ALPN is taken too; one that offers only others is not.
        strict.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            tunnelled: TlsAcceptor::from(Arc::new(tunnelled)),
            strict: TlsAcceptor::from(Arc::new(strict)),
        })
    }

    /// The handshake inside of PRELOGIN packets; the stream that comes out carries bare records.
    pub(super) async fn tunnelled<S: Stream>(
        &self,
        stream: S,
    ) -> Result<TlsStream<Tunnel<S>>, ConnectionError> {
        let mut tls = self
            .tunnelled
            .accept(Tunnel::new(stream))
            .await
            .map_err(ConnectionError::Tls)?;
        tls.get_mut().0.open();
        Ok(tls)
    }

    /// The handshake first, and everything else inside.
    pub(super) async fn strict<S: Stream>(
        &self,
        stream: S,
    ) -> Result<impl Stream + use<S>, ConnectionError> {
        self.strict
            .accept(stream)
            .await
            .map_err(ConnectionError::Tls)
    }
}

fn config(
    certificates: &Certificates,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ServerConfig, EmulatorError> {
    let tls = |source| EmulatorError::Tls { source };
    let (chain, key) = certificates.server()?;
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .map_err(tls)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(tls)
}
