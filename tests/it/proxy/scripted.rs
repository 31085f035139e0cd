//! A proxy in front of a server that follows a script, reached in clear with a
//! SQL login, so that the script sees all that comes.

use std::io;
use std::net::Ipv4Addr;

use entrada::proxy::Proxy;
use entrada::proxy::config::{Config, ListenAddress};
use entrada::tds::{
    DoneStatus, Encryption, Login7, Message, PacketStatus, PacketType, ServerMessage, TdsVersion,
    Token, read_tokens, write_message,
};
use entrada::token::{Environment, Sources};

use super::address;
use crate::raw_client::{LoginAnswer, RawClient};
use crate::support::fake_server::{Conn, FakeServer, done, encode, granted};

/// A proxy in front of the script, for sessions that are not kept.
pub(super) async fn before<T: Send + 'static>(server: &FakeServer<T>) -> Proxy {
    let port = server.address.port();
    let connection = format!("sqlserver://u:p@127.0.0.1:{port}?database=shop&encrypt=disable");
    start(connection).await
}

pub(super) async fn start(connection: String) -> Proxy {
    let mut config = Config::for_connection(connection);
    config.listeners[0].address = ListenAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    config.targets[0].pool.keep = false;
    let sources = Sources::new(Environment::from_pairs::<&str, &str>([]));
    Proxy::start(config, sources).await.unwrap()
}

/// The server's side of a login.
pub(super) async fn let_in(conn: &mut Conn) -> io::Result<Login7> {
    conn.prelogin(Encryption::NOT_SUP, None).await?;
    let login = conn.login().await?;
    conn.tokens(&granted(&login)).await?;
    Ok(login)
}

/// A client that is logged in.
pub(super) async fn client(proxy: &Proxy) -> RawClient {
    client_with(proxy, &login()).await.0
}

pub(super) async fn client_with(proxy: &Proxy, login: &Login7) -> (RawClient, LoginAnswer) {
    let mut client = RawClient::tcp(address(proxy)).await;
    client.prelogin(Encryption::NOT_SUP, None).await;
    let answer = client.login(login).await;
    assert!(answer.ack.is_some(), "{:?}", answer.errors);
    (client, answer)
}

pub(super) fn login() -> Login7 {
    Login7 {
        user_name: "legacy".to_owned(),
        app_name: "old program".to_owned(),
        ..Login7::default()
    }
}

/// An answer of `size` bytes beside its DONE; their meaning is nobody's business.
pub(super) fn reply(size: usize, status: DoneStatus) -> Vec<u8> {
    let mut payload = vec![0xD1; size];
    payload.extend(encode(&[done(status)]));
    let mut bytes = Vec::new();
    let kind = PacketType::TABULAR_RESULT;
    write_message(kind, PacketStatus::NORMAL, &payload, 4096, &mut bytes);
    bytes
}

/// Whether the message ends in DONE with all of these bits.
pub(super) fn ends_in(message: &Message, status: DoneStatus) -> bool {
    let done = encode(&[done(status)]);
    message.payload.ends_with(&done)
}

pub(super) fn errors(message: &Message) -> Vec<ServerMessage> {
    let tokens = read_tokens(&message.payload, TdsVersion::V7_4).unwrap();
    let errors = tokens.into_iter().filter_map(|token| match token {
        Token::Error(error) => Some(error),
        _ => None,
    });
    errors.collect()
}
