//! The forwarding backend: one emulator's gateway in front of another emulator, which takes the
//! place of a real SQL Server.

mod context;
mod login;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod program;
mod relay;
mod users;

use entrada::emulator::{Emulator, EmulatorBuilder};
use entrada::tds::{PacketStatus, Token};

use crate::engine::answer::{Answer, read};
use crate::raw_client::{Form, LoginAnswer, RawClient, password_login, soon, token_login};

const ADMIN: &str = "sa";
const PASSWORD: &str = "It's;s3cret!";
const SQL: &str = "https://database.windows.net/";

/// A server and a gateway in front of it.
struct Pair {
    server: Emulator,
    gateway: Emulator,
}

/// A client that is logged in.
struct Client(RawClient);

/// A connection string for the server, of its administrator.
fn backend(server: &Emulator) -> String {
    format!(
        "Server=127.0.0.1,{};Database=shop;User ID={ADMIN};Password=\"{PASSWORD}\";ServerCertificate={}",
        server.sql_addr().port(),
        server.server_certificate_file().display()
    )
}

/// A server with the database `shop`, and in it a table `t` with the row 1.
async fn server() -> Emulator {
    let builder = Emulator::builder()
        .sql_admin(ADMIN, PASSWORD)
        .database("shop")
        .database("other")
        .script("shop", "CREATE TABLE t (id int); INSERT t VALUES (1)");
    builder.start().await.unwrap()
}

fn gateway(server: &Emulator) -> EmulatorBuilder {
    Emulator::builder().backend(backend(server))
}

impl Pair {
    async fn start() -> Self {
        let server = server().await;
        let gateway = gateway(&server).start().await.unwrap();
        Self { server, gateway }
    }

    /// One where `demo-app` is a user who may read.
    async fn with_reader() -> Self {
        let pair = Self::start().await;
        let mut admin = pair.admin().await;
        admin
            .run("CREATE USER [demo-app] FROM EXTERNAL PROVIDER; GRANT SELECT ON t TO [demo-app]")
            .await;
        pair
    }

    async fn try_token(&self, identity: &str) -> (RawClient, LoginAnswer) {
        let token = self.gateway.issue_token(identity, SQL).unwrap().token;
        let mut client = soon("TLS", RawClient::ready(&self.gateway, Form::Tunnelled)).await;
        let answer = soon("the login", client.login(&token_login(&token, "shop"))).await;
        (client, answer)
    }

    async fn app(&self) -> Client {
        let (client, answer) = self.try_token("demo-app").await;
        assert!(answer.ack.is_some(), "{answer:?}");
        Client(client)
    }

    /// The server's administrator, by way of the gateway.
    async fn admin(&self) -> Client {
        let mut client = soon("TLS", RawClient::ready(&self.gateway, Form::Tunnelled)).await;
        let login = password_login(ADMIN, PASSWORD, "shop");
        let answer = soon("the login", client.login(&login)).await;
        assert!(answer.ack.is_some(), "{answer:?}");
        Client(client)
    }
}

impl Client {
    async fn ask(&mut self, sql: &str) -> Answer {
        read(&soon(sql, self.0.batch(sql)).await)
    }

    /// Runs a batch that must succeed.
    async fn run(&mut self, sql: &str) {
        let answer = self.ask(sql).await;
        assert!(answer.errors.is_empty(), "{sql}: {:?}", answer.errors);
    }

    /// The numbers of the errors.
    async fn errors(&mut self, sql: &str) -> Vec<i32> {
        let answer = self.ask(sql).await;
        answer.errors.iter().map(|error| error.number).collect()
    }

    /// The values of the only row.
    async fn one(&mut self, sql: &str) -> String {
        let rows = self.ask(sql).await.rows();
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0].join("|")
    }

    /// Sends a batch with these bits; `None` if the connection ends without an answer.
    async fn with_bits(&mut self, sql: &str, bits: PacketStatus) -> Option<Answer> {
        self.0.send_batch(sql, bits).await;
        let message = soon(sql, self.0.receive()).await?;
        Some(read(&message.payload))
    }

    /// Whether the other side has closed the connection.
    async fn is_gone(&mut self) -> bool {
        soon("the end", self.0.receive()).await.is_none()
    }
}

/// What a single row of a single value says.
fn only(answer: &Answer) -> &str {
    let [(_, rows)] = &answer.results[..] else {
        panic!("{answer:?}")
    };
    &rows[0][0]
}

/// The environment changes of an answer.
fn changes(answer: &Answer) -> Vec<&entrada::tds::EnvChange> {
    let tokens = answer.tokens.iter();
    tokens
        .filter_map(|token| match token {
            Token::EnvChange(change) => Some(change),
            _ => None,
        })
        .collect()
}
