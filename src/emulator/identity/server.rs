//! The HTTP listener of the identity endpoints: routes, injected faults, and being gone.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{any, get};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::faults::{self, Endpoint};
use super::query::Query;
use super::{Identity, app_service, discovery, imds};
use crate::emulator::recorded::Requests;
use crate::emulator::{EmulatorError, Faults, IdentityRequest, RequestKind};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// The bound but not yet serving endpoints.
#[derive(Debug)]
pub(crate) struct IdentityServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl IdentityServer {
    pub(crate) fn bind(address: SocketAddr) -> Result<Self, EmulatorError> {
        bound_socket(address)
            .and_then(listen)
            .and_then(|listener| {
                Ok(Self {
                    address: listener.local_addr()?,
                    listener,
                })
            })
            .map_err(|source| EmulatorError::Bind {
                what: "identity endpoints",
                address,
                source,
            })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`; follows the switch in `faults` that closes and opens the port.
    pub(crate) async fn run(
        self,
        identity: Arc<Identity>,
        faults: Faults,
        recorded: Requests,
        shutdown: CancellationToken,
    ) {
        let router = router(identity, faults.clone(), recorded);
        let mut wanted = faults.identity_wanted();
        let mut listener = self.listener;
        loop {
            let cut = shutdown.child_token();
            let serve = axum::serve(
                Cuttable {
                    listener,
                    cut: cut.clone(),
                },
                router.clone(),
            );
            faults.identity_is(true);
            tokio::select! {
                _ = wanted.wait_for(|up| !*up) => {}
                () = shutdown.cancelled() => {}
                _ = serve.into_future() => {}
            }
            cut.cancel();
            if shutdown.is_cancelled() {
                return;
            }
            // A socket that is bound and does not listen refuses connections and keeps the port.
            let placeholder = bound_socket(self.address);
            faults.identity_is(false);
            tokio::select! {
                _ = wanted.wait_for(|up| *up) => {}
                () = shutdown.cancelled() => return,
            }
            let reopened = placeholder
                .or_else(|_| bound_socket(self.address))
                .and_then(listen);
            listener = match reopened {
                Ok(listener) => listener,
                Err(error) => {
                    tracing::error!(%error, address = %self.address, "cannot listen again");
                    return;
                }
            };
        }
    }
}

fn router(identity: Arc<Identity>, faults: Faults, recorded: Requests) -> Router {
    let shared = |endpoint| Shared {
        identity: identity.clone(),
        faults: faults.clone(),
        recorded: recorded.clone(),
        endpoint,
    };
    // Azure's libraries for JavaScript ask with a slash at the end.
    let imds = [
        "/metadata/identity/oauth2/token",
        "/metadata/identity/oauth2/token/",
    ]
    .into_iter()
    .fold(Router::new(), |router, path| {
        router.route(path, get(imds::token).fallback(imds::wrong_method))
    })
    .layer(from_fn_with_state(shared(Endpoint::Imds), watched));
    let app_service = Router::new()
        .route("/msi/token", get(app_service::token))
        .layer(from_fn_with_state(shared(Endpoint::AppService), watched));
    Router::new()
        .merge(imds)
        .merge(app_service)
        .route(
            "/{tenant}/.well-known/openid-configuration",
            get(discovery::configuration_v1),
        )
        .route(
            "/{tenant}/v2.0/.well-known/openid-configuration",
            get(discovery::configuration_v2),
        )
        .route("/{tenant}/discovery/keys", get(discovery::keys))
        .route("/{tenant}/discovery/v2.0/keys", get(discovery::keys))
        .fallback(any(|| async { StatusCode::NOT_FOUND }))
        .with_state(identity)
}

#[derive(Clone)]
struct Shared {
    identity: Arc<Identity>,
    faults: Faults,
    recorded: Requests,
    endpoint: Endpoint,
}

/// Counts and records a token request around what answers it.
async fn watched(State(shared): State<Shared>, call: Request, next: Next) -> Response {
    let counts = shared.identity.counters.counts();
    match shared.endpoint {
        Endpoint::Imds => counts.imds_requests.add_one(),
        Endpoint::AppService => counts.app_service_requests.add_one(),
    }
    let ticket = shared.recorded.begin(describe(shared.endpoint, &call));
    let response = answer(&shared, call, next).await;
    shared.recorded.amend(ticket, |kind| {
        if let RequestKind::Identity(request) = kind {
            request.status = Some(response.status().as_u16());
        }
    });
    response
}

async fn answer(shared: &Shared, call: Request, next: Next) -> Response {
    let _place = match (shared.endpoint, shared.identity.admit()) {
        (Endpoint::Imds, Err(_)) => {
            return faults::status(Endpoint::Imds, StatusCode::TOO_MANY_REQUESTS, None);
        }
        (_, place) => place.ok().flatten(),
    };
    match shared.faults.take_identity() {
        None => next.run(call).await,
        Some(fault) => faults::perform(shared.endpoint, fault, call, next).await,
    }
}

fn describe(endpoint: Endpoint, call: &Request) -> RequestKind {
    const SELECTORS: [&str; 6] = [
        "client_id",
        "object_id",
        "principal_id",
        "msi_res_id",
        "mi_res_id",
        "clientid",
    ];
    let query = Query::parse(call.uri().query()).unwrap_or_default();
    let of = |name: &str| query.filled(name).map(str::to_owned);
    let agent = call.headers().get(header::USER_AGENT);
    RequestKind::Identity(IdentityRequest {
        endpoint: match endpoint {
            Endpoint::Imds => "imds",
            Endpoint::AppService => "app-service",
        },
        method: call.method().to_string(),
        resource: of("resource"),
        api_version: of("api-version"),
        selector: SELECTORS
            .iter()
            .find_map(|name| Some(((*name).to_owned(), of(name)?))),
        user_agent: agent.and_then(|v| v.to_str().ok()).map(str::to_owned),
        status: None,
    })
}

fn bound_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Windows gives this option another meaning: there it lets others steal the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn listen(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A listener whose connections end when the token is cancelled.
struct Cuttable {
    listener: TcpListener,
    cut: CancellationToken,
}

impl axum::serve::Listener for Cuttable {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The TCP listener's own `accept` waits and tries again when the process is out of sockets.
        let (stream, peer) = axum::serve::Listener::accept(&mut self.listener).await;
        let cut = Box::pin(self.cut.clone().cancelled_owned());
        (CuttableStream { stream, cut }, peer)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

struct CuttableStream {
    stream: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl CuttableStream {
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}
