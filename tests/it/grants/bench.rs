//! An emulator, databases in it, and what their catalogues hold.

use entrada::emulator::{Emulator, EngineSession};
use entrada::grants::{
    Applied, ApplyError, Desired, Identity, Membership, Mode, Observed, Permission,
    PermissionState, Plan, Principal, PrincipalKind, Role, Securable, apply, plan,
};
use entrada::pool::{Pool, PooledClient};
use entrada::target::Target;
use entrada::tsql::Name;
use uuid::Uuid;

use crate::engine::answer::{admin_of, ask};

const PASSWORD: &str = "s3cret!Pass";

/// Names that somebody will have one day.
pub(super) const HOSTILE: [&str; 14] = [
    "a]b",
    "o'brien",
    " lead",
    "[x]; DROP USER y --",
    "semi;'--",
    "\"quoted\"",
    "😀 party 🎉",
    "אבג \u{202e}gnp",
    "tab\tand\nline",
    "$(Var)",
    "select",
    "GO",
    "dot.ted",
    "ÄÖÜß",
];

pub(super) struct Bench {
    pub(super) emulator: Emulator,
}

/// A database with some things in it.
pub(super) struct Database {
    pub(super) pool: Pool,
    session: EngineSession,
}

impl Bench {
    pub(super) async fn start() -> Self {
        let emulator = Emulator::builder().sql_admin("sa", PASSWORD).start();
        Self {
            emulator: emulator.await.unwrap(),
        }
    }

    pub(super) fn database(&self, name: &str) -> Database {
        self.emulator.engine().create_database(name).unwrap();
        Database {
            pool: self.pool(name, "sa"),
            session: admin_of(self.emulator.engine(), name),
        }
    }

    pub(super) fn pool(&self, database: &str, user: &str) -> Pool {
        let text = self.emulator.connection_strings(database, None).ado_net;
        let login = format!("User ID={user};Password={PASSWORD}");
        let text = text.replace("Authentication=ActiveDirectoryMSI", &login);
        let target = Target::parse(&text).unwrap();
        Pool::builder(target).max_size(4).build().unwrap()
    }
}

impl Database {
    /// Statements of the administrator, each a batch of its own.
    pub(super) fn run(&mut self, batches: &[&str]) {
        for sql in batches {
            let answer = ask(&mut self.session, sql);
            assert!(answer.errors.is_empty(), "{sql}: {:?}", answer.errors);
        }
    }

    /// Rows of a query, their fields joined.
    pub(super) fn rows(&mut self, sql: &str) -> Vec<String> {
        let answer = ask(&mut self.session, sql);
        let rows = answer.rows();
        rows.iter().map(|row| row.join(" | ")).collect()
    }

    /// The users, roles, members, owners and permissions, in a form that can be
    /// compared. Asked of the engine itself.
    pub(super) fn catalogue(&mut self) -> Vec<String> {
        let mut all = self.rows(
            "SELECT 'principal', name, type, sid, default_schema_name, USER_NAME(owning_principal_id) \
             FROM sys.database_principals WHERE principal_id > 4 AND is_fixed_role = 0",
        );
        all.extend(self.rows(
            "SELECT 'member', USER_NAME(role_principal_id), USER_NAME(member_principal_id) \
             FROM sys.database_role_members",
        ));
        all.extend(self.rows(
            "SELECT 'schema', name, USER_NAME(principal_id) FROM sys.schemas \
             WHERE schema_id > 4 AND schema_id < 16384",
        ));
        all.extend(self.permissions());
        all.sort();
        all
    }

    /// Like `GRANT | SELECT | OBJECT_OR_COLUMN | t | a | app | dbo`.
    pub(super) fn permissions(&mut self) -> Vec<String> {
        let mut all = self.rows(
            "SELECT p.state_desc, p.permission_name, p.class_desc, \
             CASE p.class WHEN 1 THEN OBJECT_NAME(p.major_id) WHEN 3 THEN SCHEMA_NAME(p.major_id) \
             WHEN 4 THEN USER_NAME(p.major_id) ELSE '' END, COL_NAME(p.major_id, p.minor_id), \
             USER_NAME(p.grantee_principal_id), USER_NAME(p.grantor_principal_id) \
             FROM sys.database_permissions p",
        );
        all.sort();
        all
    }

    pub(super) async fn client(&self) -> PooledClient {
        self.pool.get().await.unwrap()
    }

    pub(super) async fn observe(&self, about: &Desired) -> Observed {
        let mut client = self.client().await;
        Observed::read(&mut client, about).await.unwrap()
    }

    pub(super) async fn plan(&self, desired: &Desired, mode: Mode) -> Plan {
        plan(desired, &self.observe(desired).await, mode).unwrap()
    }

    pub(super) async fn apply(&self, plan: &Plan) -> Result<Applied, ApplyError> {
        apply(self.client().await, plan, |_| {}).await
    }

    /// Plans, applies, and plans again.
    pub(super) async fn reach(&self, desired: &Desired, mode: Mode) -> Vec<String> {
        let plan = self.plan(desired, mode).await;
        self.apply(&plan).await.unwrap();
        let left = statements(&self.plan(desired, mode).await);
        assert_eq!(left, Vec::<String>::new(), "after {:?}", statements(&plan));
        statements(&plan)
    }
}

pub(super) fn statements(plan: &Plan) -> Vec<String> {
    let changes = plan.changes().iter();
    changes.map(|change| change.statement.to_string()).collect()
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// An application's user, by SID.
pub(super) fn app(text: &str, id: u128) -> Principal {
    let identity = Identity::BySid(Uuid::from_u128(id));
    Principal::new(name(text), PrincipalKind::Application, identity)
}

pub(super) fn role(text: &str) -> Role {
    Role::new(name(text))
}

pub(super) fn member(role: &str, member: &str) -> Membership {
    Membership::new(name(role), name(member))
}

pub(super) fn table(schema: &str, table: &str) -> Securable {
    Securable::Object {
        schema: name(schema),
        name: name(table),
    }
}

pub(super) fn grant(action: &'static str, on: Securable, to: &str) -> Permission {
    Permission::new(PermissionState::Grant, action, on, name(to))
}

pub(super) fn deny(action: &'static str, on: Securable, to: &str) -> Permission {
    Permission::new(PermissionState::Deny, action, on, name(to))
}

pub(super) fn columns(mut permission: Permission, names: &[&str]) -> Permission {
    permission.columns = names.iter().map(|text| name(text)).collect();
    permission
}
