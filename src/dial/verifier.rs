//! How a server's certificate is judged.

use std::sync::Arc;
#[cfg(feature = "check")]
use std::sync::{Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// What a certificate must be like.
#[derive(Debug)]
enum Rule {
    /// Anything goes (TrustServerCertificate, or encryption of the login only).
    Any,
    /// This very certificate (ServerCertificate).
    Exactly(CertificateDer<'static>),
}

/// Judges the certificate by a rule of our own, and the handshake's signature
/// by the usual ones: whoever shows a certificate must hold its key.
#[derive(Debug)]
pub(super) struct ByRule {
    rule: Rule,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ByRule {
    pub(super) fn any(provider: &CryptoProvider) -> Self {
        Self {
            rule: Rule::Any,
            algorithms: provider.signature_verification_algorithms,
        }
    }

    pub(super) fn exactly(certificate: CertificateDer<'static>, provider: &CryptoProvider) -> Self {
        Self {
            rule: Rule::Exactly(certificate),
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl ServerCertVerifier for ByRule {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.rule {
            Rule::Exactly(pinned) if pinned != end_entity => Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            )),
            Rule::Any | Rule::Exactly(_) => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Looks for another name in the certificate than the one dialled
/// (HostNameInCertificate); everything else is as the inner verifier has it.
#[derive(Debug)]
pub(super) struct Renamed {
    pub(super) name: ServerName<'static>,
    pub(super) inner: Arc<dyn ServerCertVerifier>,
}

impl ServerCertVerifier for Renamed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.inner
            .verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Remembers the certificates that a server shows, whatever comes of them.
#[cfg(feature = "check")]
#[derive(Debug)]
pub(super) struct Watching {
    pub(super) inner: Arc<dyn ServerCertVerifier>,
    pub(super) seen: Arc<Mutex<Vec<CertificateDer<'static>>>>,
}

#[cfg(feature = "check")]
impl ServerCertVerifier for Watching {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = std::iter::once(end_entity).chain(intermediates);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            shown.map(|one| one.clone().into_owned()).collect();
        self.inner
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
