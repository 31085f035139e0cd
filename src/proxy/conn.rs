//! One client, from its first byte to its last.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;

use super::admin_db;
use super::admission::Route;
use super::client::{ClientSocket, Greeted, greet};
use super::refusal;
use super::registry::{Entry, Phase};
use super::relay::{self, End};
use super::shared::{Live, Shared};
use super::upstream::Condition;
use crate::tds::ServerMessage;

/// Serves a client to its end.
pub(super) async fn serve(socket: ClientSocket, listener: String, shared: Arc<Shared>) {
    let entry = shared.registry.enter(&listener, socket.peer().to_string());
    tokio::select! {
        () = entry.kill.cancelled() => {}
        () = run(socket, &entry, &shared) => {}
    }
}

async fn run(socket: ClientSocket, entry: &Entry, shared: &Shared) {
    let live = shared.live.load_full();
    let Some(listener) = live.listener(&entry.listener) else {
        return;
    };
    let Some(tls) = live.tls(&entry.listener) else {
        return;
    };
    let peer = socket.peer().clone();
    let mut greeted = match greet(socket, tls, live.config.limits.login_timeout).await {
        Ok(greeted) => greeted,
        Err(error) => return error.log(entry.id, &entry.listener, &entry.peer),
    };
    let admitted = live
        .gate
        .admit(&live, listener, &peer, &greeted.login, greeted.encrypted)
        .await;
    match admitted {
        Ok(admitted) => match admitted.route {
            Route::Admin => {
                let end = admin_db::serve(greeted, admitted.user, &live, entry, shared).await;
                tracing::debug!(id = entry.id, end = end.word(), "admin database left");
            }
            route => take_to(route, greeted, &live, entry, shared).await,
        },
        Err(denial) => {
            refuse(&mut greeted, &refusal::of_denial(&denial)).await;
        }
    }
}

async fn take_to(route: Route, mut greeted: Greeted, _live: &Live, entry: &Entry, shared: &Shared) {
    let Route::Target { target, database } = route else {
        return;
    };
    entry.learn(|known| known.state = Phase::Waiting);
    let lease = shared
        .upstreams
        .lease(&target, &greeted.login, database.as_deref())
        .await;
    let mut lease = match lease {
        Ok(lease) => lease,
        Err(error) => return refuse(&mut greeted, &refusal::of_lease(&error)).await,
    };
    let Greeted {
        mut stream,
        mut front,
        ..
    } = greeted;
    if front
        .accept(lease.info(), lease.info().packet_size)
        .is_err()
    {
        return;
    }
    if stream.write_all(&front.take_output()).await.is_err() {
        return lease.give_back(Condition::AtRest);
    }
    entry.learn(|known| known.state = Phase::Relaying);
    if let End::Left = relay::run(&mut stream, &mut lease, front.into_rest(), entry).await {
        lease.give_back(Condition::AtRest);
    }
}

async fn refuse(greeted: &mut Greeted, message: &ServerMessage) {
    if greeted.front.refuse(message).is_ok() {
        let _ = greeted.stream.write_all(&greeted.front.take_output()).await;
        let _ = greeted.stream.shutdown().await;
    }
}
