//! What the options of `entrada proxy` mean.

use std::net::SocketAddr;

use super::Args;
use super::state_dir;
use crate::proxy::Config;
use crate::proxy::config::{Admission, ListenAddress, TlsMode};

/// Puts the options in the place of what the configuration says.
pub(super) fn apply(args: &Args, config: &mut Config) {
    if let Some((first, more)) = args.listen.split_first() {
        let like = config.listeners.first().cloned();
        if let Some(mut listener) = like {
            listener.address = first.clone();
            config.listeners = vec![listener.clone()];
            for (number, address) in (2..).zip(more) {
                let mut another = listener.clone();
                another.name = format!("default-{number}");
                another.address = address.clone();
                config.listeners.push(another);
            }
        }
    }
    for listener in &mut config.listeners {
        if let Some(mode) = args.tls {
            listener.tls.mode = mode;
        }
        if let Some(admission) = &args.admission {
            listener.admission = admission.clone();
        }
    }
    if args.admin.is_some() {
        config.admin.listen = args.admin;
    }
    if args.state.is_some() {
        config.state_dir.clone_from(&args.state);
    }
    if config.state_dir.is_none() {
        config.state_dir = state_dir::default();
    }
}

/// Names are not looked up: the proxy listens where it was told to, and nowhere else.
pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "write an IP address and a port, as 127.0.0.1:9433, [::1]:9433 or 127.0.0.1:0")
}

pub(super) fn listen(text: &str) -> Result<ListenAddress, &'static str> {
    text.parse()
}

pub(super) fn tls(text: &str) -> Result<TlsMode, &'static str> {
    text.parse()
}

pub(super) fn admission(text: &str) -> Result<Admission, &'static str> {
    let numbers = |list: &str| {
        list.split(',')
            .map(|number| number.trim().parse().ok())
            .collect()
    };
    let listed = |uids: Option<Vec<u32>>, gids: Option<Vec<u32>>| match (uids, gids) {
        (Some(uids), Some(gids)) => Ok(Admission::Listed { uids, gids }),
        _ => Err("write numbers of users or groups, as uid:1000,1001 or gid:100"),
    };
    match text.split_once(':') {
        Some(("uid", list)) => listed(numbers(list), Some(Vec::new())),
        Some(("gid", list)) => listed(Some(Vec::new()), numbers(list)),
        _ => match text {
            "same-user" => Ok(Admission::SameUser),
            "any" => Ok(Admission::Any),
            "password" => Err("users and their passwords are written in a file: see --config"),
            _ => Err("write same-user, uid:N, gid:N or any"),
        },
    }
}
