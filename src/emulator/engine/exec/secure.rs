//! Users, logins, roles and permissions.

use rusqlite::params;
use sqlparser::ast::Ident;

use super::super::catalogue::now_ticks;
use super::super::catalogue::security::{self, Rights, Securable};
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Security, UserKind};
use super::super::session::login;
use super::super::types::datetime::round_datetime;
use super::super::wire::out::command;
use super::Run;
use crate::emulator::directory::{EntraKind, EntraPrincipal};

/// A principal that is to be made.
struct NewPrincipal {
    name: String,
    /// `S`, `E`, `X` or `R`.
    kind: char,
    sid: Option<Vec<u8>>,
    schema: Option<String>,
    /// `authentication_type`: 0 none, 1 instance, 2 database, 4 external.
    auth: i64,
    login: Option<String>,
    password: Option<(Vec<u8>, Vec<u8>)>,
    owner: Option<i64>,
}

impl Run<'_, '_> {
    pub(super) fn security(&mut self, statement: &Security) -> SqlResult<()> {
        match statement {
            Security::CreateUser { name, how, schema } => {
                self.create_user(name, how, schema.as_ref())?
            }
            Security::DropUser { name, if_exists } => {
                self.drop_principal(&name.value, *if_exists, false)?
            }
            Security::AlterUser {
                name,
                new_name,
                schema,
                login,
            } => {
                self.alter_user(
                    &name.value,
                    new_name.as_ref(),
                    schema.as_ref(),
                    login.as_ref(),
                )?;
            }
            Security::CreateRole { name, owner } => {
                self.create_role(&name.value, owner.as_ref())?
            }
            Security::DropRole { name, if_exists } => {
                self.drop_principal(&name.value, *if_exists, true)?
            }
            Security::AlterRole { role, member, add } => {
                self.alter_role(&role.value, &member.value, *add)?
            }
            Security::RenameRole { role, new_name } => {
                self.planner().require_on_database("ALTER ANY ROLE")?;
                let id = self.role(&role.value, "alter")?;
                if self.kind_of(id)?.1 {
                    return Err(SqlError::new(
                        15150,
                        format!("Cannot alter the role '{}'.", role.value),
                    ));
                }
                self.rename(id, &new_name.value)?;
            }
            Security::CreateLogin {
                name,
                password,
                external,
            } => self.create_login(&name.value, password.as_deref(), *external)?,
            Security::DropLogin { name } => self.drop_login(&name.value)?,
            Security::Permission { .. } => self.permission(statement)?,
            Security::Authorization { on, owner } => self.authorize(on, owner.as_ref())?,
            Security::ExecuteAs(who, ending) => self.execute_as(who, ending)?,
            Security::Revert(cookie) => self.revert(cookie.as_deref())?,
        }
        self.out.done(command::OTHER, None, false);
        Ok(())
    }

    pub(super) fn alias(&self) -> String {
        self.state.database.alias()
    }

    pub(super) fn id_of(&self, name: &str) -> SqlResult<Option<i64>> {
        security::id_by_name(&self.state.conn, &self.alias(), name)
    }

    fn create_user(
        &mut self,
        name: &Ident,
        how: &UserKind,
        schema: Option<&Ident>,
    ) -> SqlResult<()> {
        let name = name.value.as_str();
        if self
            .planner()
            .require_on_database("ALTER ANY USER")
            .is_err()
        {
            return Err(SqlError::new(
                15247,
                "User does not have permission to perform this action.",
            ));
        }
        let mut new = NewPrincipal {
            name: name.to_owned(),
            kind: 'S',
            sid: Some(uuid::Uuid::new_v4().as_bytes().to_vec()),
            schema: Some(schema.map_or_else(|| "dbo".to_owned(), |s| s.value.clone())),
            auth: 0,
            login: None,
            password: None,
            owner: None,
        };
        self.identify(&mut new, how)?;
        let id = self.insert_principal(&new)?;
        let alias = self.alias();
        self.state.conn.execute(
            &format!("INSERT INTO {alias}.\"~permissions\"(class, major, grantee, grantor, permission, state) VALUES (0, 0, ?1, 1, 'CONNECT', 'G')"),
            [id],
        )?;
        Ok(())
    }

    /// Fills in who the user is.
    fn identify(&self, new: &mut NewPrincipal, how: &UserKind) -> SqlResult<()> {
        match how {
            UserKind::External { object_id } => {
                let principal = self.find_external(&new.name, object_id.as_deref())?;
                new.kind = if principal.kind == EntraKind::Group {
                    'X'
                } else {
                    'E'
                };
                new.sid = Some(principal.sid().to_vec());
                new.auth = 4;
            }
            UserKind::Sid { sid, external_type } => {
                if sid.len() != 16 {
                    return Err(SqlError::new(
                        15021,
                        "Invalid value given for parameter SID. Specify a valid parameter value.",
                    ));
                }
                new.kind = match external_type {
                    Some('X') => 'X',
                    Some('E') => 'E',
                    _ => return Err(SqlError::syntax_near("SID")),
                };
                new.sid = Some(sid.clone());
                new.auth = 4;
            }
            UserKind::Login(login) => {
                let master = self.state.shared.store.open_master()?;
                let known: i64 = master.query_row(
                    "SELECT count(*) FROM \"~logins\" WHERE name = ?1",
                    [&login.value],
                    |row| row.get(0),
                )?;
                if known == 0 {
                    return Err(SqlError::new(
                        15007,
                        format!(
                            "'{}' is not a valid login or you do not have permission.",
                            login.value
                        ),
                    ));
                }
                new.login = Some(login.value.clone());
                new.auth = 1;
            }
            UserKind::Password(password) => {
                new.password = Some(login::hash(password)?);
                new.auth = 2;
            }
            // S-1-9-3 and four random parts.
            UserKind::WithoutLogin => {
                let random = uuid::Uuid::new_v4();
                let prefix = [1, 5, 0, 0, 0, 0, 0, 9, 3, 0, 0, 0];
                new.sid = Some([&prefix[..], random.as_bytes()].concat());
            }
        }
        Ok(())
    }

    /// Asks the tenant for the principal, as Azure asks Microsoft Graph.
    fn find_external(&self, name: &str, object_id: Option<&str>) -> SqlResult<EntraPrincipal> {
        let directory = &self.state.shared.options.directory;
        let not_found = || {
            SqlError::new(
                33130,
                format!(
                    "Principal '{name}' could not be found or this principal type is not supported."
                ),
            )
        };
        if let Some(id) = object_id {
            let id = uuid::Uuid::try_parse(id).map_err(|_| not_found())?;
            return directory.find_by_object_id(id).ok_or_else(not_found);
        }
        let mut found = directory.find_all_by_name(name);
        if found.len() > 1 {
            return Err(SqlError::new(
                33131,
                format!(
                    "Principal '{name}' has a duplicate display name. Make the display name unique in Azure Active Directory and execute this statement again."
                ),
            ));
        }
        found.pop().ok_or_else(not_found)
    }

    fn insert_principal(&mut self, new: &NewPrincipal) -> SqlResult<i64> {
        if self.id_of(&new.name)?.is_some() {
            return Err(SqlError::new(
                15023,
                format!(
                    "User, group, or role '{}' already exists in the current database.",
                    new.name
                ),
            ));
        }
        let alias = self.alias();
        if let Some(sid) = new.sid.as_ref().filter(|_| new.auth == 4)
            && security::id_by_sid(&self.state.conn, &alias, sid)?.is_some()
        {
            return Err(SqlError::new(
                15063,
                "The login already has an account under a different user name.",
            ));
        }
        let (salt, hash) = new.password.clone().unzip();
        let created = round_datetime(now_ticks());
        let database = self.state.database.id;
        let ids = &self.state.shared.clone().principal_ids;
        let last = ids.last(database);
        let id = self.write(false, |run| {
            Ok(run.state.conn.query_row(
                &format!(
                    "INSERT INTO {alias}.\"~principals\"(id, name, kind, sid, default_schema, auth, login, salt, hash, created, owner)
                     VALUES ((SELECT max(ifnull(max(id), 0), 4, ?11) + 1 FROM {alias}.\"~principals\" WHERE id < 16384),
                             ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING id"
                ),
                params![new.name, new.kind.to_string(), new.sid, new.schema, new.auth, new.login, salt, hash, created, new.owner, last],
                |row| row.get(0),
            )?)
        })?;
        ids.note(database, id);
        Ok(id)
    }

    pub(super) fn kind_of(&self, id: i64) -> SqlResult<(String, bool)> {
        let alias = self.alias();
        Ok(self.state.conn.query_row(
            &format!("SELECT kind, fixed OR id < 5 FROM {alias}.\"~principals\" WHERE id = ?1"),
            [id],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?)
    }

    pub(super) fn no_principal(verb: &str, what: &str, name: &str) -> SqlError {
        SqlError::new(
            15151,
            format!(
                "Cannot {verb} the {what} '{name}', because it does not exist or you do not have permission."
            ),
        )
    }

    fn alter_user(
        &mut self,
        name: &str,
        new_name: Option<&Ident>,
        schema: Option<&Ident>,
        login: Option<&Ident>,
    ) -> SqlResult<()> {
        let missing = || Self::no_principal("alter", "user", name);
        let id = self.id_of(name)?.ok_or_else(missing)?;
        if self.kind_of(id)?.0 == "R" || !self.may_alter_user(id, new_name, login)? {
            return Err(missing());
        }
        if self.kind_of(id)?.1 {
            return Err(SqlError::new(
                15150,
                format!("Cannot alter the user '{name}'."),
            ));
        }
        let alias = self.alias();
        for (column, value) in [("default_schema", schema), ("login", login)] {
            if let Some(value) = value {
                self.write(false, |run| {
                    run.state.conn.execute(
                        &format!("UPDATE {alias}.\"~principals\" SET {column} = ?1 WHERE id = ?2"),
                        params![value.value, id],
                    )?;
                    Ok(())
                })?;
            }
        }
        new_name.map_or(Ok(()), |new| self.rename(id, &new.value))
    }

    /// Another login takes the user over, and the name of somebody with all rights says who has
    /// them: both want CONTROL on the database. One's own default schema wants nothing.
    fn may_alter_user(
        &self,
        id: i64,
        new_name: Option<&Ident>,
        login: Option<&Ident>,
    ) -> SqlResult<bool> {
        let (conn, alias) = (&self.state.conn, self.alias());
        let rights = Rights::of(self.state.acting(), conn, &alias)?;
        let controls = |rights: &Rights| rights.allows("CONTROL", Securable::Database);
        if new_name.is_none() && login.is_none() {
            return Ok(self.state.acting().id == id
                || rights.allows("ALTER ANY USER", Securable::Database)
                || rights.allows("ALTER", Securable::Principal(id)));
        }
        let user = security::user_by_id(conn, &alias, id)?;
        let theirs = Rights::of(&user, conn, &alias)?;
        if login.is_some() || controls(&theirs) {
            return Ok(controls(&rights));
        }
        Ok(rights.allows("ALTER ANY USER", Securable::Database))
    }

    fn rename(&mut self, id: i64, name: &str) -> SqlResult<()> {
        if self.id_of(name)?.is_some_and(|other| other != id) {
            return Err(SqlError::new(
                15023,
                format!("User, group, or role '{name}' already exists in the current database."),
            ));
        }
        let alias = self.alias();
        self.write(false, |run| {
            run.state.conn.execute(
                &format!("UPDATE {alias}.\"~principals\" SET name = ?1 WHERE id = ?2"),
                params![name, id],
            )?;
            Ok(())
        })
    }

    fn create_role(&mut self, name: &str, owner: Option<&Ident>) -> SqlResult<()> {
        self.planner().require_on_database("CREATE ROLE")?;
        let owner = match owner {
            None => self.state.acting().id,
            Some(owner) => self
                .id_of(&owner.value)?
                .filter(|id| self.may_act_for(*id).unwrap_or(false))
                .ok_or_else(|| Self::no_principal("find", "user", &owner.value))?,
        };
        let new = NewPrincipal {
            name: name.to_owned(),
            kind: 'R',
            sid: None,
            schema: None,
            auth: 0,
            login: None,
            password: None,
            owner: Some(owner),
        };
        self.insert_principal(&new).map(|_| ())
    }

    /// Whether things may be made in the name of the principal: oneself, a role of one's own, or
    /// somebody whom one may impersonate.
    pub(super) fn may_act_for(&self, id: i64) -> SqlResult<bool> {
        let own = self
            .state
            .acting()
            .closure(&self.state.conn, &self.alias())?;
        Ok((id != 0 && own.contains(&id)) || self.may_impersonate(id)?)
    }

    fn role(&self, name: &str, verb: &str) -> SqlResult<i64> {
        let missing = || Self::no_principal(verb, "role", name);
        let id = self.id_of(name)?.ok_or_else(missing)?;
        let (kind, _) = self.kind_of(id)?;
        if kind == "R" && id != 0 {
            Ok(id)
        } else {
            Err(missing())
        }
    }

    fn alter_role(&mut self, role: &str, member: &str, add: bool) -> SqlResult<()> {
        let verb = if add { "add" } else { "drop" };
        let id = self.role(role, "alter")?;
        let member_id = self
            .id_of(member)?
            .ok_or_else(|| Self::no_principal(verb, "principal", member))?;
        let (_, fixed) = self.kind_of(id)?;
        let rights = Rights::of(self.state.acting(), &self.state.conn, &self.alias())?;
        let may = if fixed {
            self.is_owner()?
        } else {
            rights.allows("ALTER ANY ROLE", Securable::Database)
                || rights.allows("ALTER", Securable::Principal(id))
                || self.owns_role(id, &rights)?
        };
        if !may {
            return Err(Self::no_principal("alter", "role", role));
        }
        if member_id == 1 || (add && self.holds(member_id, id)?) {
            return Err(SqlError::new(
                15405,
                format!("Cannot use the special principal '{member}'."),
            ));
        }
        let alias = self.alias();
        let sql = if add {
            format!(
                "INSERT OR IGNORE INTO {alias}.\"~members\"(role_id, member_id) VALUES (?1, ?2)"
            )
        } else {
            format!("DELETE FROM {alias}.\"~members\" WHERE role_id = ?1 AND member_id = ?2")
        };
        self.write(false, |run| {
            run.state.conn.execute(&sql, [id, member_id])?;
            Ok(())
        })
    }

    pub(super) fn is_owner(&self) -> SqlResult<bool> {
        let user = self.state.acting();
        user.is_member(&self.state.conn, &self.alias(), 16384)
    }

    /// Whether a role is already inside of what it would hold.
    fn holds(&self, inner: i64, outer: i64) -> SqlResult<bool> {
        let user = security::user_by_id(&self.state.conn, &self.alias(), outer)?;
        user.is_member(&self.state.conn, &self.alias(), inner)
    }

    fn only_server_admin(&self) -> SqlResult<()> {
        if self.state.is_server_admin() {
            return Ok(());
        }
        Err(SqlError::new(
            15247,
            "User does not have permission to perform this action.",
        ))
    }

    fn create_login(
        &mut self,
        name: &str,
        password: Option<&str>,
        external: bool,
    ) -> SqlResult<()> {
        self.only_server_admin()?;
        if external {
            return Err(SqlError::unsupported("CREATE LOGIN FROM EXTERNAL PROVIDER"));
        }
        let (salt, hash) = login::hash(password.ok_or_else(|| SqlError::syntax_near("WITH"))?)?;
        let master = self.state.shared.store.open_master()?;
        let made = master.execute(
            "INSERT OR IGNORE INTO \"~logins\"(name, salt, hash, sid) VALUES (?1, ?2, ?3, ?4)",
            params![name, salt, hash, uuid::Uuid::new_v4().as_bytes().to_vec()],
        )?;
        if made == 0 {
            return Err(SqlError::new(
                15025,
                format!("The server principal '{name}' already exists."),
            )
            .state(2));
        }
        Ok(())
    }

    fn drop_login(&mut self, name: &str) -> SqlResult<()> {
        self.only_server_admin()?;
        let master = self.state.shared.store.open_master()?;
        if master.execute("DELETE FROM \"~logins\" WHERE name = ?1", [name])? == 0 {
            return Err(Self::no_principal("drop", "login", name));
        }
        Ok(())
    }
}
