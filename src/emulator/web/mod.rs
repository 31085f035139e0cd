//! The HTTP and HTTPS listeners of everything but SQL: identity endpoints, Entra, Key Vault, issuers.
//!
//! Both serve the same. Who is asked for follows from the host that a request names, so that clients
//! can use real names, which the HTTP listener's CONNECT tunnels to the HTTPS listener.

mod connect;
mod desk;
mod faults;
mod hosts;
mod listeners;
mod serve;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::gateway::Certificates;
use super::{EmulatorError, Faults};
pub(super) use desk::{Host, Services};
pub(super) use faults::{page, perform};
pub(super) use hosts::{CLUSTER, TOKEN_PROXY, certificate_names, is_played, vault_suffix};
pub(super) use listeners::Line;
use listeners::{Encrypted, Plain, bound_socket, listen};

/// The bound but not yet serving listeners.
#[derive(Debug)]
pub(super) struct WebServer {
    http: TcpListener,
    https: TcpListener,
    pub(super) http_address: SocketAddr,
    pub(super) https_address: SocketAddr,
}

impl WebServer {
    pub(super) fn bind(http: SocketAddr, https: SocketAddr) -> Result<Self, EmulatorError> {
        let (http, http_address) = bind(http, "identity endpoints")?;
        let (https, https_address) = bind(https, "HTTPS")?;
        Ok(Self {
            http,
            https,
            http_address,
            https_address,
        })
    }

    /// Serves until `shutdown`; follows the switch in `faults` that closes and opens the ports.
    pub(super) async fn run(
        self,
        services: Services,
        tls: TlsAcceptor,
        faults: Faults,
        shutdown: CancellationToken,
    ) {
        let mut wanted = faults.identity_wanted();
        let (mut http, mut https) = (self.http, self.https);
        loop {
            let cut = shutdown.child_token();
            let router = desk::router(services.clone(), self.https_address, cut.clone());
            let plain = Plain::new(http, cut.clone());
            let encrypted = Encrypted::new(Plain::new(https, cut.clone()), tls.clone());
            faults.identity_is(true);
            tokio::select! {
                _ = wanted.wait_for(|up| !*up) => {}
                () = shutdown.cancelled() => {}
                () = serve::serve(plain, router.clone(), cut.clone()) => {}
                () = serve::serve(encrypted, router, cut.clone()) => {}
            }
            cut.cancel();
            if shutdown.is_cancelled() {
                return;
            }
            // A socket that is bound and does not listen refuses connections and keeps the port.
            let addresses = [self.http_address, self.https_address];
            let placeholders = addresses.map(bound_socket);
            faults.identity_is(false);
            tokio::select! {
                _ = wanted.wait_for(|up| *up) => {}
                () = shutdown.cancelled() => return,
            }
            let mut reopened = addresses.into_iter().zip(placeholders).map(reopen);
            (http, https) = match (reopened.next(), reopened.next()) {
                (Some(Ok(http)), Some(Ok(https))) => (http, https),
                _ => return,
            };
        }
    }
}

fn bind(
    address: SocketAddr,
    what: &'static str,
) -> Result<(TcpListener, SocketAddr), EmulatorError> {
    bound_socket(address)
        .and_then(listen)
        .and_then(|listener| {
            let address = listener.local_addr()?;
            Ok((listener, address))
        })
        .map_err(|source| EmulatorError::Bind {
            what,
            address,
            source,
        })
}

fn reopen((address, kept): (SocketAddr, io::Result<socket2::Socket>)) -> io::Result<TcpListener> {
    let reopened = kept.or_else(|_| bound_socket(address)).and_then(listen);
    if let Err(error) = &reopened {
        tracing::error!(%error, %address, "cannot listen again");
    }
    reopened
}

/// TLS 1.2 and 1.3 with the emulator's certificate, for HTTP/1.1.
pub(super) fn acceptor(certificates: &Certificates) -> Result<TlsAcceptor, EmulatorError> {
    let tls = |source| EmulatorError::Tls { source };
    let (chain, key) = certificates.server()?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// SHA-1 over the certificate that the HTTPS listener shows, 40 hex digits in upper case.
pub(super) fn thumbprint(certificates: &Certificates) -> Result<String, EmulatorError> {
    let (chain, _) = certificates.server()?;
    let leaf = chain.first().map(AsRef::as_ref).unwrap_or_default();
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, leaf);
    Ok(hash.as_ref().iter().map(|b| format!("{b:02X}")).collect())
}
