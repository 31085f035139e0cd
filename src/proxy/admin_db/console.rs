//! One client's requests, carried out.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::answer::Answer;
use super::login::in_database;
use super::procedure::Prepared as Handles;
use super::sql::{
    self, Context, DATABASE, Kind, Param, Params, Prepared, Rows, SqlError, Statement, constant,
    same_name,
};
use super::tables::Catalogue;
use super::transaction::Transactions;
use crate::proxy::registry::Entry;
use crate::proxy::shared::{Live, Shared};
use crate::tds::{
    DecodeError, EnvChange, Login7, Message, Moment, PacketStatus, PacketType, RpcCall, Scalar,
    TdsVersion, decode_utf16_lossy, parse_all_headers,
};

/// What a client of the admin database has done so far.
pub(super) struct Console<'a> {
    pub(super) live: &'a Live,
    pub(super) entry: &'a Entry,
    pub(super) shared: &'a Shared,
    /// Who it is, for the log.
    pub(super) user: String,
    version: TdsVersion,
    login: String,
    host: String,
    application: String,
    last_rows: i64,
    pub(super) transactions: Transactions,
    pub(super) handles: Handles,
}

impl<'a> Console<'a> {
    pub(super) fn new(
        version: TdsVersion,
        user: String,
        login: &Login7,
        live: &'a Live,
        entry: &'a Entry,
        shared: &'a Shared,
    ) -> Self {
        Self {
            live,
            entry,
            shared,
            login: user.clone(),
            user,
            version,
            host: login.host_name.clone(),
            application: login.app_name.clone(),
            last_rows: 0,
            transactions: Transactions::default(),
            handles: Handles::default(),
        }
    }

    pub(super) fn version(&self) -> TdsVersion {
        self.version
    }

    /// The answer to a whole message.
    ///
    /// # Cancel safety
    /// A command may have been carried out whose answer is lost.
    pub(super) async fn answer(&mut self, message: &Message) -> Vec<u8> {
        let mut answer = Answer::new(self.version);
        let resets = PacketStatus::RESET_CONNECTION.0 | PacketStatus::RESET_CONNECTION_SKIP_TRAN.0;
        if message.status.0 & resets != 0 {
            self.transactions = Transactions::default();
            self.handles = Handles::default();
            answer.env_change(EnvChange::ResetAcknowledged);
        }
        let content = match self.content(message) {
            Ok(content) => content,
            Err(error) => {
                answer.error(&error.into());
                answer.failed();
                return answer.finish();
            }
        };
        match message.packet_type {
            PacketType::SQL_BATCH => {
                let text = decode_utf16_lossy(content);
                let done = self.batch(&text, &[], &mut answer).await;
                Self::conclude(done, &mut answer);
            }
            PacketType::RPC => self.calls(content, &mut answer).await,
            PacketType::TRANSACTION_MANAGER => {
                let done = self.transactions.request(content, &mut answer);
                Self::conclude(done, &mut answer);
            }
            other => {
                let what = format!("messages of the type {:#04x}", other.0);
                Self::conclude(Err(SqlError::unknown(what)), &mut answer);
            }
        }
        answer.finish()
    }

    /// What to say of a message that cannot be read; nothing can be read after it.
    pub(super) fn broken(&self, error: &DecodeError) -> Vec<u8> {
        let mut answer = Answer::new(self.version);
        Self::conclude(Err(error.clone().into()), &mut answer);
        answer.finish()
    }

    /// A request without its headers, which there are from 7.2 on.
    fn content<'m>(&self, message: &'m Message) -> Result<&'m [u8], DecodeError> {
        if self.version < TdsVersion::V7_2 || message.packet_type == PacketType::BULK_LOAD {
            return Ok(&message.payload);
        }
        parse_all_headers(&message.payload).map(|(_, content)| content)
    }

    async fn calls(&mut self, content: &[u8], answer: &mut Answer) {
        let calls = match RpcCall::decode_all(self.version, content) {
            Ok(calls) => calls,
            Err(error) => return Self::conclude(Err(error.into()), answer),
        };
        let several = calls.len() > 1;
        for (at, call) in calls.iter().enumerate() {
            if let Err(error) = answer.check_size() {
                return Self::conclude(Err(error), answer);
            }
            self.call(call, answer).await;
            if several && at + 1 < calls.len() {
                answer.one_of_several();
            }
        }
    }

    /// Carries out statement after statement, up to the first that fails.
    pub(super) async fn batch(
        &mut self,
        text: &str,
        params: &Params,
        answer: &mut Answer,
    ) -> Result<(), SqlError> {
        for statement in sql::parse(text)? {
            answer.check_size()?;
            self.statement(&statement, params, answer).await?;
        }
        Ok(())
    }

    async fn statement(
        &mut self,
        statement: &Statement,
        params: &Params,
        answer: &mut Answer,
    ) -> Result<(), SqlError> {
        let Some(statement) = self.chosen(statement, params)? else {
            return Ok(());
        };
        match statement {
            Statement::Select(query) => {
                let prepared = Prepared::new(query, &self.catalogue(), params, &self.context())?;
                let rows = run(prepared).await?;
                self.result(&rows, answer);
            }
            Statement::Show(name) => self.show(name, answer)?,
            Statement::Kill(id) => {
                let id = constant(id, params, &self.context())?;
                self.kill(&id, answer).await?;
            }
            Statement::Pause(target) => self.pause(target.as_deref(), answer)?,
            Statement::Resume(target) => self.resume(target.as_deref(), answer)?,
            Statement::Reconnect(target) => self.reconnect(target.as_deref(), answer)?,
            // Drivers look at the DONE of these as of any statement.
            Statement::Set | Statement::Save => answer.done_nothing(),
            Statement::Use(name) => use_database(name, answer)?,
            Statement::Begin => self.transactions.begin(answer),
            Statement::Commit => self.transactions.commit(answer),
            Statement::Rollback => self.transactions.rollback(answer),
            Statement::Print(text) => {
                let text = constant(text, params, &self.context())?;
                if let Scalar::Text(text) = sql::convert(&text, Kind::Text(4000))? {
                    answer.note(text);
                }
                answer.done_nothing();
            }
            Statement::Execute {
                procedure,
                arguments,
            } => {
                let mut given = Vec::new();
                for (name, value) in arguments {
                    let value = constant(value, params, &self.context())?;
                    given.push(Param {
                        name: name.clone(),
                        kind: Kind::of(&value),
                        value,
                    });
                }
                self.execute(procedure, given, answer).await?;
            }
            Statement::If { .. } => {}
        }
        Ok(())
    }

    /// The statement that is left when every IF is decided.
    fn chosen<'s>(
        &self,
        mut statement: &'s Statement,
        params: &Params,
    ) -> Result<Option<&'s Statement>, SqlError> {
        while let Statement::If {
            condition,
            then,
            otherwise,
        } = statement
        {
            let truth = constant(condition, params, &self.context())?;
            let next = match truth {
                Scalar::Bit(true) => Some(&**then),
                _ => otherwise.as_deref(),
            };
            match next {
                Some(next) => statement = next,
                None => return Ok(None),
            }
        }
        Ok(Some(statement))
    }

    fn show(&mut self, name: &str, answer: &mut Answer) -> Result<(), SqlError> {
        let rows = self.catalogue().whole(name)?;
        self.result(&rows, answer);
        Ok(())
    }

    fn result(&mut self, rows: &Rows, answer: &mut Answer) {
        self.last_rows = i64::try_from(rows.rows.len()).unwrap_or(i64::MAX);
        answer.rows(rows);
    }

    fn catalogue(&self) -> Catalogue<'_> {
        Catalogue {
            live: self.live,
            shared: self.shared,
        }
    }

    fn context(&self) -> Context {
        Context {
            id: i64::try_from(self.entry.id).unwrap_or(i64::MAX),
            login: self.login.clone(),
            host: self.host.clone(),
            application: self.application.clone(),
            now: moment(SystemTime::now()),
            open_transactions: self.transactions.open(),
            last_rows: self.last_rows,
        }
    }

    /// Ends what was begun, with the error if there is one.
    fn conclude(done: Result<(), SqlError>, answer: &mut Answer) {
        if let Err(error) = done {
            answer.error(&error);
            answer.failed();
        }
    }
}

/// Runs a query where it holds nobody up.
async fn run(prepared: Prepared) -> Result<Rows, SqlError> {
    match tokio::task::spawn_blocking(|| prepared.run()).await {
        Ok(rows) => rows,
        Err(error) => {
            tracing::error!(%error, "a query of the admin database broke down");
            Err(SqlError::unknown("such a query"))
        }
    }
}

fn use_database(name: &str, answer: &mut Answer) -> Result<(), SqlError> {
    if !same_name(name, DATABASE) {
        return Err(SqlError::NoDatabase {
            name: name.chars().take(128).collect(),
        });
    }
    answer.env_change(EnvChange::Database {
        new: DATABASE.to_owned(),
        old: DATABASE.to_owned(),
    });
    answer.info(in_database());
    answer.done_nothing();
    Ok(())
}

/// A time of the clock, in UTC.
pub(super) fn moment(time: SystemTime) -> Moment {
    let units = |time: Duration| i64::try_from(time.as_nanos() / 100).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => Moment(units(since)),
        Err(before) => Moment(-units(before.duration())),
    }
}
