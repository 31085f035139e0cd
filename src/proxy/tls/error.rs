//! Why there is no certificate to show to clients.

use std::io;
use std::path::PathBuf;

/// Why there is no certificate to show to clients.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read or written.
    #[error("`{}` cannot be used", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is no certificate chain.
    #[error("`{}` holds no certificate; it must be a PEM file with the server's certificate first", .path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file is no private key.
    #[error("`{}` holds no private key; it must be a PEM file with an unencrypted PKCS#8, PKCS#1 or SEC1 key", .path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is not that of the certificate, or of a kind that is not supported.
    #[error("the key in `{}` does not fit the certificate in `{}`", .key.display(), .certificate.display())]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
    /// The certificate has ended.
    #[error("the certificate in `{}` ended at {ended}; renew it", .path.display())]
    Ended {
        /// The file.
        path: PathBuf,
        /// When, in UTC.
        ended: jiff::Timestamp,
    },
    /// The state folder is open to others, who could have put an authority there.
    #[error("`{}` can be changed by others, so that what it holds cannot be trusted; chown it to the proxy's user and chmod it to 700 (files: 600)", .path.display())]
    OpenToOthers {
        /// The folder or file.
        path: PathBuf,
    },
    /// The kept authority cannot be read.
    #[error("the local CA in `{}` is damaged; delete the file to have a new one made, and give clients its certificate", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The authority cannot vouch for a name.
    #[error("the local CA in `{}` was made for other names than `{name}`; delete the file to have a new one made, and give clients its certificate, or set a certificate of your own", .path.display())]
    NotPermitted {
        /// The authority's file.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// A name cannot stand in a certificate.
    #[error("`{name}` cannot stand in a certificate: it is neither a host name nor an address")]
    Name {
        /// The name.
        name: String,
    },
    /// No certificate could be made.
    #[error("no certificate could be made")]
    Make {
        /// What rcgen said.
        #[from]
        source: rcgen::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls {
        /// What rustls said.
        source: rustls::Error,
    },
}
