//! 18456 for a token that is good: what the database says about the identity.
//!
//! The server tells the one who is refused nothing more, so it takes somebody who
//! is let in to tell the cases apart. Without one, the likely case is named.

use uuid::Uuid;

use super::finding::{Failed, Kind};
use super::login::Scene;
use super::principal::{PLACEHOLDER, Principal};
use super::session::Entered;
use crate::causes;
use crate::dial::printable;
use crate::key_vault::KeyVault;
use crate::pool::Pool;
use crate::scripts;
use crate::target::Target;
use crate::tsql::{Name, Sid, Statement};

/// Groups beyond these are counted only.
const MAX_GROUPS: usize = 3;

/// A user as the catalogue has it.
#[derive(Debug)]
struct User {
    name: String,
    /// `E` for one of Entra, `X` for a group, `S` for SQL Server's own.
    kind: String,
    id: Option<Uuid>,
    /// Of the right to connect: `GRANT`, `DENY` or nothing.
    connect: String,
}

/// Why an identity with a good token is refused at a database.
pub(super) async fn no_way_in(scene: &Scene<'_>, database: &str) -> Failed {
    let claims = scene.held.and_then(|held| held.claims.as_ref());
    let Some(principal) = claims.map(Principal::of) else {
        return Failed::new(
            Kind::Auth,
            format!(
                "the server refuses the token, which shows nothing of whom it is for; most often the database `{database}` has no user for the identity"
            ),
            "create a user for the identity in that database (`entrada script create-user-by-sid`)",
        );
    };
    match look(scene, database, &principal).await {
        Ok(Some(users)) => judge(&users, database, &principal),
        Ok(None) => no_user(database, &principal).and(format!(
            "if there is a user for it already, that user was made with another id (the {} counts) or may not connect, and if it comes in through a group, its membership may be new: --admin CONN tells which",
            principal.id_name()
        )),
        Err(look) => no_user(database, &principal).and(format!(
            "the connection of --admin could not look for more: {}",
            look.trouble.cause
        )),
    }
}

/// Asks the catalogue by the connection of somebody who may, if there is one.
async fn look(
    scene: &Scene<'_>,
    database: &str,
    principal: &Principal,
) -> Result<Option<Vec<User>>, Failed> {
    let Some(admin) = &scene.options.admin else {
        return Ok(None);
    };
    let failed = |error: &dyn std::error::Error| {
        Failed::new(Kind::Auth, causes::chain(error), String::new())
    };
    let resolved = KeyVault::new(scene.options.sources.clone())
        .resolve(admin.expose())
        .await
        .map_err(|error| failed(&error))?;
    let mut target: Target = (*resolved.target()).clone();
    target.database = Some(database.to_owned());
    target.limits.connect_timeout = Some(scene.limit());
    let pool = Pool::builder(target)
        .max_size(1)
        .min_idle(0)
        .sources(scene.options.sources.clone())
        .build()
        .map_err(|error| failed(&error))?;
    let client = pool.get().await.map_err(|error| failed(&error))?;
    let mut entered = Entered::of(client, scene.limit());
    let rows = entered.rows(question(principal).as_str()).await?;
    let users = rows.iter().map(|row| {
        let text = |column: &str| {
            let text = row.try_get::<&str, _>(column).ok().flatten();
            text.unwrap_or_default().trim().to_owned()
        };
        let sid = row.try_get::<&[u8], _>("sid").ok().flatten();
        User {
            name: text("name"),
            kind: text("kind"),
            id: sid.and_then(Sid::from_bytes).map(Sid::id),
            connect: text("connect_state"),
        }
    });
    Ok(Some(users.collect()))
}

/// The users that have to do with the identity, by id or by name, and the groups.
fn question(principal: &Principal) -> Statement {
    let mut question = Statement::new(
        "SELECT TOP (200) p.name AS name, p.type AS kind, p.sid AS sid, c.state_desc AS connect_state \
         FROM sys.database_principals AS p \
         LEFT JOIN sys.database_permissions AS c ON c.grantee_principal_id = p.principal_id \
         AND c.class = 0 AND c.permission_name = N'CONNECT' \
         WHERE p.type = 'X' OR p.type IN ('E', 'S') AND (p.name = ",
    )
    .text(principal.name.as_deref().unwrap_or_default());
    for id in [principal.client_id, principal.object_id]
        .into_iter()
        .flatten()
    {
        question = question.words(" OR p.sid = ").sid(Sid::from_id(id));
    }
    // Groups last: there may be more than are read.
    question.words(") ORDER BY p.type, p.name")
}

fn judge(users: &[User], database: &str, principal: &Principal) -> Failed {
    let own = principal.id();
    let (groups, users): (Vec<&User>, Vec<&User>) = users.iter().partition(|user| user.kind == "X");
    let mut by_id = users.iter();
    if let Some(user) = by_id.find(|user| user.id.is_some() && user.id == own) {
        return may_not_connect(user, database);
    }
    let by_object = |user: &&&User| user.id.is_some() && user.id == principal.object_id;
    if let Some(user) = users.iter().find(by_object) {
        return remade(
            user,
            format!(
                "the user {} in `{database}` was made with the object id of the {}; the client id is what counts for applications and managed identities",
                user.name, principal.kind
            ),
            principal,
        );
    }
    match users.first() {
        Some(user) if user.kind == "E" => remade(
            user,
            format!(
                "the user {} in `{database}` has another id than the identity of that name: it was made for an identity that was deleted since, or for somebody else",
                user.name
            ),
            principal,
        ),
        other => stranger(other.is_some(), &groups, database, principal),
    }
}

/// No user of Entra is there for the identity. `taken` says whether its name is
/// that of a user of another kind.
fn stranger(taken: bool, groups: &[&User], database: &str, principal: &Principal) -> Failed {
    let (name, _) = principal.user_name();
    let same = |group: &&User| group.name.to_lowercase() == name.to_lowercase();
    let mut failed = if taken || groups.iter().any(same) {
        created(database, principal, &format!("{name}-identity")).and(format!(
            "the name {name} is taken in that database by a user that is none of Entra or by a group, so the script uses another (any name works, the id decides)"
        ))
    } else {
        no_user(database, principal)
    };
    let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    let Some(shown) = names
        .get(..names.len().min(MAX_GROUPS))
        .filter(|it| !it.is_empty())
    else {
        return failed;
    };
    let shown = match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    };
    failed.trouble.cause.push_str(&printable(&format!(
        ", and by what the server knows it is in no group that has one ({shown})"
    )));
    failed.and("if it is to come in through such a group, run no script: make it a member, and wait if it is one already, since a change of groups takes up to a day to reach a managed identity's token")
}

/// There is a user for the identity, and it is not let in.
fn may_not_connect(user: &User, database: &str) -> Failed {
    let Ok(name) = Name::new(&user.name) else {
        return stale(user, database);
    };
    let connect = Statement::new("GRANT CONNECT TO ").name(&name).to_string();
    match user.connect.as_str() {
        "DENY" => Failed::new(
            Kind::Auth,
            format!("the user {} in `{database}` is denied CONNECT", user.name),
            "let it connect again, as somebody who may grant in that database",
        )
        .with_script(Some(format!("{connect};\n"))),
        "" => Failed::new(
            Kind::Auth,
            format!("the user {} in `{database}` lacks CONNECT", user.name),
            "let it connect again, as somebody who may grant in that database",
        )
        .with_script(Some(format!("{connect};\n"))),
        _ => stale(user, database),
    }
}

fn stale(user: &User, database: &str) -> Failed {
    Failed::new(
        Kind::Auth,
        format!(
            "the user {} in `{database}` is there and may connect, and the server refuses the token all the same: what it knows of the identity may be old",
            user.name
        ),
        "wait some minutes and run the check again; changes of groups take up to a day to reach a managed identity's token",
    )
}

/// No user at all: the script that creates one.
fn no_user(database: &str, principal: &Principal) -> Failed {
    let (name, placeholder) = principal.user_name();
    let failed = created(database, principal, name);
    if placeholder {
        return failed.and(format!(
            "the token does not tell the application's name, so put it in place of {PLACEHOLDER} (any name works, the id decides)"
        ));
    }
    failed
}

fn created(database: &str, principal: &Principal, name: &str) -> Failed {
    Failed::new(
        Kind::Auth,
        format!("the database `{database}` has no user for {principal}"),
        format!(
            "run this script in the database `{database}` as somebody who may create users, and give the user its rights (`entrada grants`)"
        ),
    )
    .with_script(create(name, principal))
}

/// A user stands in the way: it goes, and another comes, with the same rights
/// if there is a script for that.
fn remade(user: &User, cause: String, principal: &Principal) -> Failed {
    let id = principal.id().map(|id| id.to_string()).unwrap_or_default();
    if let Some(script) = filled("replace-identity", &user.name, &id) {
        let fix = "replace the user: this script makes it anew with the right id, and it keeps what it may do (run it as a member of db_owner)";
        return Failed::new(Kind::Auth, cause, fix).with_script(Some(script));
    }
    let script = Name::new(&user.name).ok().and_then(|name| {
        let drop = Statement::new("DROP USER ").name(&name);
        Some(format!("{drop};\nGO\n{}", create(&user.name, principal)?))
    });
    let fix = "replace the user: this script drops it and creates it with the right id; note its roles and rights first (`entrada grants export`), since they go with it";
    Failed::new(Kind::Auth, cause, fix).with_script(script)
}

fn create(name: &str, principal: &Principal) -> Option<String> {
    filled("create-user-by-sid", name, &principal.id()?.to_string())
}

/// A script of ours for this user, without what its header says to those who
/// fill it in by hand.
fn filled(script: &str, name: &str, id: &str) -> Option<String> {
    let values = [("PrincipalName", name), ("PrincipalId", id)];
    let text = scripts::find(script)?.fill(&values).ok()?;
    let body = text.lines().skip_while(|line| line.starts_with("--"));
    Some(body.fold(String::new(), |text, line| text + line + "\n"))
}
