//! A database that scripts are run in, and what stands in its catalogue.

use entrada::emulator::{
    Engine, EngineSession, EntraKind, EntraPrincipal, InMemoryDirectory, Principal,
};
use entrada::scripts;
use uuid::Uuid;

use crate::engine::answer::{Answer, admin, ask, engine};

/// What stands in the catalogue about users and rights, by names.
const CATALOGUE: &str = "\
    SELECT 'principal', name, type, CONVERT(nvarchar(200), sid, 1), default_schema_name,
        USER_NAME(owning_principal_id)
    FROM sys.database_principals WHERE is_fixed_role = 0
    UNION ALL SELECT 'member', USER_NAME(role_principal_id), USER_NAME(member_principal_id), '', '', ''
    FROM sys.database_role_members
    UNION ALL SELECT 'permission', USER_NAME(grantee_principal_id), state, permission_name,
        CONCAT(class, ' ', CASE class WHEN 1 THEN OBJECT_NAME(major_id) WHEN 3 THEN SCHEMA_NAME(major_id)
            WHEN 4 THEN USER_NAME(major_id) END, ' ', minor_id), USER_NAME(grantor_principal_id)
    FROM sys.database_permissions WHERE major_id >= 0
    UNION ALL SELECT 'schema', name, USER_NAME(principal_id), '', '', '' FROM sys.schemas
    UNION ALL SELECT 'object', name, USER_NAME(principal_id), '', '', '' FROM sys.objects
    ORDER BY 1, 2, 3, 4, 5, 6";

/// A database with a session of its owner.
pub(super) struct Place {
    pub(super) engine: Engine,
    pub(super) directory: InMemoryDirectory,
    pub(super) dbo: EngineSession,
    /// The statements that scripts say they ran.
    pub(super) statements: Vec<String>,
}

impl Place {
    /// Two schemas, each with a table that holds a row.
    pub(super) fn new() -> Self {
        let (engine, directory) = engine();
        let dbo = admin(&engine);
        let statements = Vec::new();
        let mut place = Self {
            engine,
            directory,
            dbo,
            statements,
        };
        place.admin("CREATE TABLE dbo.t(id int, secret int); INSERT dbo.t VALUES (1, 2)");
        place.admin("EXEC(N'CREATE SCHEMA sales')");
        place.admin("CREATE TABLE sales.u(id int); INSERT sales.u VALUES (1)");
        place
    }

    /// A managed identity of the tenant.
    pub(super) fn app(&self, name: &str) -> EntraPrincipal {
        let [tenant, client, object] = [Uuid::from_u128(7), Uuid::new_v4(), Uuid::new_v4()];
        let kind = EntraKind::ManagedIdentity;
        let app = EntraPrincipal::application(kind, name, tenant, client, object);
        self.directory.insert(app.clone());
        app
    }

    /// A managed identity with a user of its name.
    pub(super) fn user(&mut self, name: &str) -> EntraPrincipal {
        let app = self.app(name);
        self.run("create-user-by-sid", &by_sid(name, &app));
        app
    }

    /// Runs statements as the owner.
    pub(super) fn admin(&mut self, sql: &str) -> Answer {
        let answer = ask(&mut self.dbo, sql);
        assert!(answer.errors.is_empty(), "{sql}: {:?}", answer.errors);
        answer
    }

    /// Logs in, or gives the error's number.
    pub(super) fn login(&self, who: &EntraPrincipal) -> Result<EngineSession, i32> {
        let principal = Principal::Entra(who.clone());
        let session = self.engine.connect(&principal, Some("app"));
        session.map_err(|error| error.number)
    }

    /// The numbers of the errors that statements get from somebody, those in a row only once.
    pub(super) fn errors_of(&self, who: &EntraPrincipal, sql: &str) -> Vec<i32> {
        let mut session = self.login(who).unwrap();
        let mut found = numbers(&ask(&mut session, sql));
        found.dedup();
        found
    }

    /// Runs a script as the owner, and gives its messages.
    pub(super) fn run(&mut self, name: &str, values: &[(&str, &str)]) -> Vec<String> {
        let answer = self.try_run(name, values);
        assert!(answer.errors.is_empty(), "{name}: {:?}", answer.errors);
        for line in lines(&answer) {
            let first = line.split(' ').next().unwrap();
            if ["ALTER", "CREATE", "DENY", "DROP", "GRANT", "REVOKE"].contains(&first) {
                self.statements.push(line);
            }
        }
        answer.infos.into_iter().map(|info| info.message).collect()
    }

    /// Runs a script as the owner.
    pub(super) fn try_run(&mut self, name: &str, values: &[(&str, &str)]) -> Answer {
        let text = scripts::find(name).unwrap().fill(values).unwrap();
        run_batches(&mut self.dbo, &text)
    }

    /// Runs a script that stops with an error of its own, and gives that; nothing has changed.
    pub(super) fn refused(&mut self, name: &str, values: &[(&str, &str)]) -> String {
        let before = self.catalogue();
        let answer = self.try_run(name, values);
        assert_eq!(numbers(&answer), [50000], "{name}: {:?}", answer.errors);
        assert_eq!(self.catalogue(), before, "{name}");
        answer.errors[0].message.clone()
    }

    /// Runs a script twice: the second time there is nothing to do, and nothing changes.
    pub(super) fn twice(&mut self, name: &str, values: &[(&str, &str)]) {
        let before = self.catalogue();
        self.run(name, values);
        let after = self.catalogue();
        assert_ne!(before, after, "{name} does nothing");
        let said = self.run(name, values);
        assert!(said[0].starts_with("Nothing to do: "), "{name}: {said:?}");
        assert_eq!(self.catalogue(), after, "{name}");
    }

    pub(super) fn catalogue(&mut self) -> Vec<Vec<String>> {
        self.admin(CATALOGUE).rows()
    }
}

/// Variables of create-user-by-sid for an application.
pub(super) fn by_sid<'v>(name: &'v str, app: &EntraPrincipal) -> [(&'static str, &'v str); 2] {
    let id: &'static str = app.client_id.unwrap().to_string().leak();
    [("PrincipalName", name), ("PrincipalId", id)]
}

pub(super) fn numbers(answer: &Answer) -> Vec<i32> {
    answer.errors.iter().map(|error| error.number).collect()
}

/// Sends a script as sqlcmd does: what stands between lines that say GO.
pub(super) fn run_batches(session: &mut EngineSession, text: &str) -> Answer {
    let is_go = |line: &&str| line.trim().eq_ignore_ascii_case("go");
    assert_eq!(text.lines().filter(is_go).count(), 0, "one batch: {text}");
    ask(session, text)
}

/// Fills in a script as sqlcmd does: the value as it is, wherever the variable stands.
pub(super) fn sqlcmd(text: &str, values: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("$({name})"), value);
    }
    text
}

/// What was printed, and the rows of results called `done`, line by line.
fn lines(answer: &Answer) -> Vec<String> {
    let printed = answer.infos.iter().map(|info| info.message.as_str());
    let done = answer
        .results
        .iter()
        .filter(|(columns, _)| columns[0].name == "done");
    let done = done.flat_map(|(_, rows)| rows.iter().map(|row| row[0].as_str()));
    let all = printed.chain(done);
    all.flat_map(|text| text.split(";\n").map(str::to_owned))
        .collect()
}
