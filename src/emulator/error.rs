//! Why the emulator could not start.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the emulator could not start, or could not do what its owner asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// A certificate that an application is to have could not be read.
    #[error(
        "a certificate of the application {application:?} is not PEM; begin it with \
         -----BEGIN CERTIFICATE-----"
    )]
    ApplicationCertificate {
        /// The application's name.
        application: String,
    },
    /// The backend's connection string cannot be used.
    #[error("the backend's connection string cannot be used")]
    Backend {
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The backend's connection string does not log in by user and password.
    #[error(
        "the backend's connection string asks for {method}; the gateway logs in to a backend by user \
         and password of a SQL login"
    )]
    BackendAuth {
        /// The method that it names.
        method: &'static str,
    },
    /// Databases, users or scripts are given for a backend that has its own.
    #[error(
        "databases, users and scripts belong to the embedded engine, and a backend is configured in \
         its place; make them on the backend, or leave the backend out"
    )]
    BackendSeeds,
    /// A listener could not be opened.
    #[error("cannot listen on {address} for {what}; choose another address or port")]
    Bind {
        /// What would have listened there.
        what: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The certificate authority or the server certificate could not be made.
    #[error("cannot make the {what} certificate")]
    Certificate {
        /// Which certificate.
        what: &'static str,
        /// rcgen's reason.
        source: rcgen::Error,
    },
    /// The configuration file, or one that it names, could not be read.
    #[error("cannot read {path} for the configuration")]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The configuration is not what the emulator understands.
    #[error("the configuration {origin} is not valid at line {line}, column {column}: {problem}")]
    ConfigSyntax {
        /// The file, or a word for text that came from elsewhere.
        origin: String,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong there.
        problem: String,
    },
    /// Two identities, databases or logins exclude each other.
    #[error("the {what} {name:?} is defined twice")]
    Duplicate {
        /// What is doubled.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The key that signs tokens could not be made or used.
    #[error("cannot {what} the key that signs tokens")]
    Key {
        /// What was tried.
        what: &'static str,
        /// The cryptography's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something beyond loopback was to be listened on without that being allowed.
    #[error(
        "{address} can be reached from other machines, and whoever reaches the emulator gets tokens; \
         use a loopback address, or allow it expressly (--allow-beyond-loopback)"
    )]
    NotLoopback {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The admin endpoint was to listen beyond loopback, which nothing allows.
    #[error(
        "the admin endpoint listens on loopback only, and {address} can be reached from other machines"
    )]
    AdminNotLoopback {
        /// The address asked for.
        address: SocketAddr,
    },
    /// A name that Azure gives to nothing of that kind.
    #[error(
        "{name:?} is no name for a {what}: write {least} to {most} letters, digits and hyphens"
    )]
    Name {
        /// What was to have the name.
        what: &'static str,
        /// The name.
        name: String,
        /// Characters that it has at least.
        least: usize,
        /// Characters that it has at most.
        most: usize,
    },
    /// There is no identity of that name.
    #[error("no identity {name:?} is defined; the emulator knows {known}")]
    NoSuchIdentity {
        /// The name asked for.
        name: String,
        /// Those that exist.
        known: String,
    },
    /// The embedded engine could not start, or refused a statement of a script.
    #[error("the embedded engine refuses to {what} {database:?}")]
    Engine {
        /// What was tried.
        what: &'static str,
        /// With which database.
        database: String,
        /// The engine's reason.
        source: Box<super::EngineError>,
    },
    /// The embedded engine refused a statement of a seed: of a login, user, table, script or grant.
    #[error("the embedded engine refuses the seed {step:?} of the database {database:?}")]
    SeedRefused {
        /// The database.
        database: String,
        /// Which part of its seed.
        step: String,
        /// The engine's reason.
        source: Box<super::EngineError>,
    },
    /// A seed differs from what the kept databases have had.
    #[error(
        "the seed {step:?} of the database {database:?} {problem}, and seeds are applied once; take \
         the change back, add it as a new script, or start anew with another data file"
    )]
    Seed {
        /// The database.
        database: String,
        /// Which part of its seed.
        step: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The state folder could not be read or written.
    #[error("cannot use {path} of the state folder")]
    State {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of the state folder does not hold what it should.
    #[error("{path} of the state folder is damaged; delete it and start again")]
    StateDamaged {
        /// The file.
        path: PathBuf,
    },
    /// The TLS configuration was refused by rustls.
    #[error("cannot set TLS up for the SQL gateway")]
    Tls {
        /// rustls's reason.
        source: rustls::Error,
    },
}
