//! Service Fabric: an endpoint with TLS, known by its certificate's thumbprint.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA1_OUTPUT_LEN, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::super::Environment;
use super::super::error::FetchError;
use super::super::http::{HttpReply, HttpRequest, Transport, endpoint_name};
use super::super::http_client::{builder, exchange, finish};
use super::super::retry::RetryPolicy;
use super::PlatformError;
use super::app_service::APP_SERVICE;
use super::selector::Names;
use super::variable::Protocol;
use crate::target::IdentityPlatform;

/// Which identity an application has is the cluster's business; it cannot be named.
pub(super) const SERVICE_FABRIC: Protocol = Protocol {
    platform: IdentityPlatform::ServiceFabric,
    proof: Some(("secret", "IDENTITY_HEADER")),
    version: Some("2019-07-01-preview"),
    metadata: false,
    https_only: true,
    names: Names::none("the cluster binds one identity to the application, so name none"),
    policy: &RetryPolicy::SERVICE_FABRIC,
    advice: "bind one to the service in the application's manifest, and check the resource, \
             its slash included",
    ..APP_SERVICE
};

/// To the server whose certificate has the thumbprint in a variable, and to
/// nobody else: no request leaves before that is known.
///
/// The thumbprint takes the place of a chain to an authority, as the endpoint's
/// certificate is self-signed. It is read for each request, as the rest is.
#[derive(Debug)]
pub(super) struct PinnedHttp {
    env: Environment,
    client: Mutex<Option<Client>>,
}

impl PinnedHttp {
    /// Fails now rather than at the first login if the thumbprint is none.
    pub(super) fn new(env: &Environment) -> Result<Self, FetchError> {
        Thumbprint::read(env)?;
        Ok(Self {
            env: env.clone(),
            client: Mutex::default(),
        })
    }

    fn client(&self) -> Result<Client, FetchError> {
        let pinned = Thumbprint::read(&self.env)?;
        let mut held = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some(client) if client.pinned == pinned => Ok(client.clone()),
            _ => Ok(held.insert(Client::new(pinned)?).clone()),
        }
    }
}

#[async_trait]
impl Transport for PinnedHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpReply, FetchError> {
        let client = self.client()?;
        let advice = "check that the application has a managed identity";
        let endpoint = endpoint_name(&request.url);
        let sent = exchange(&client.http, request, advice).await;
        sent.map_err(|error| match client.refused.take() {
            Some(shown) => {
                let (pinned, shown) = (client.pinned.to_string(), shown.to_string());
                PlatformError::WrongCertificate {
                    endpoint,
                    pinned,
                    shown,
                }
                .into()
            }
            None => error,
        })
    }
}

#[derive(Debug, Clone)]
struct Client {
    pinned: Thumbprint,
    http: reqwest::Client,
    refused: Arc<Refused>,
}

impl Client {
    fn new(pinned: Thumbprint) -> Result<Self, FetchError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let refused = Arc::new(Refused::default());
        let pin = Pin {
            pinned,
            refused: Arc::clone(&refused),
            algorithms: provider.signature_verification_algorithms,
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| FetchError::Client(error.into()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pin))
            .with_no_client_auth();
        let http = finish(builder().https_only(true).tls_backend_preconfigured(config))?;
        Ok(Self {
            pinned,
            http,
            refused,
        })
    }
}

/// The thumbprint of a certificate that was refused: what a handshake fails
/// with passes through too many hands to be recognised afterwards.
#[derive(Debug, Default)]
struct Refused(Mutex<Option<Thumbprint>>);

impl Refused {
    fn set(&self, shown: Thumbprint) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
    }

    fn take(&self) -> Option<Thumbprint> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Takes one certificate for good, and nothing else. Whoever shows it must hold
/// its key: the handshake's signature is checked as always.
#[derive(Debug)]
struct Pin {
    pinned: Thumbprint,
    refused: Arc<Refused>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = Thumbprint::of(end_entity);
        if verify_slices_are_equal(&shown.0, &self.pinned.0).is_err() {
            self.refused.set(shown);
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// SHA-1 over a certificate's DER, as Windows names certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Thumbprint([u8; SHA1_OUTPUT_LEN]);

impl Thumbprint {
    fn of(certificate: &[u8]) -> Self {
        let mut print = [0; SHA1_OUTPUT_LEN];
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate);
        print.copy_from_slice(hash.as_ref());
        Self(print)
    }

    fn read(env: &Environment) -> Result<Self, FetchError> {
        let variable = THUMBPRINT;
        let text = env.var(variable);
        let text = text.ok_or(FetchError::MissingVariable { variable })?;
        Self::parse(&text).ok_or(PlatformError::Thumbprint { variable }.into())
    }

    /// Digits may be parted by spaces and colons. What Windows shows begins with
    /// a mark that cannot be seen (U+200E), and often gets copied along.
    fn parse(text: &str) -> Option<Self> {
        let parting = |c: &char| c.is_whitespace() || matches!(c, ':' | '\u{200e}');
        let mut digits = text.chars().filter(|c| !parting(c));
        let mut print = [0; SHA1_OUTPUT_LEN];
        for byte in &mut print {
            let (high, low) = (digits.next()?.to_digit(16)?, digits.next()?.to_digit(16)?);
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        digits.next().is_none().then_some(Self(print))
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

const THUMBPRINT: &str = "IDENTITY_SERVER_THUMBPRINT";

#[cfg(test)]
mod tests;
