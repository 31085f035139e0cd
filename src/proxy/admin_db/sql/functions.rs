//! Functions and global variables, as far as tools ask for them.

use super::error::SqlError;
use super::expr::{Expr, joined_kind};
use super::value::{self, Kind, MAX_TEXT, convert, same_name};
use super::{Context, DATABASE, SERVER};
use crate::tds::Scalar;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    AppName,
    Coalesce,
    Concat,
    DatabaseProperty,
    DbId,
    DbName,
    HasAccess,
    HostName,
    Left,
    Len,
    Lower,
    Login,
    Now,
    NullIf,
    Right,
    SchemaName,
    ServerProperty,
    Substring,
    Trim,
    Upper,
    User,
}

/// Names, what they are, and how many arguments they take.
const FUNCTIONS: &[(&str, Function, usize, usize)] = &[
    ("abs", Function::Abs, 1, 1),
    ("app_name", Function::AppName, 0, 0),
    ("coalesce", Function::Coalesce, 1, 100),
    ("concat", Function::Concat, 1, 100),
    ("current_timestamp", Function::Now, 0, 0),
    ("current_user", Function::User, 0, 0),
    ("databasepropertyex", Function::DatabaseProperty, 2, 2),
    ("db_id", Function::DbId, 0, 1),
    ("db_name", Function::DbName, 0, 1),
    ("getdate", Function::Now, 0, 0),
    ("getutcdate", Function::Now, 0, 0),
    ("has_dbaccess", Function::HasAccess, 1, 1),
    ("host_name", Function::HostName, 0, 0),
    ("isnull", Function::Coalesce, 2, 2),
    ("left", Function::Left, 2, 2),
    ("len", Function::Len, 1, 1),
    ("lower", Function::Lower, 1, 1),
    ("ltrim", Function::Trim, 1, 1),
    ("nullif", Function::NullIf, 2, 2),
    ("original_login", Function::Login, 0, 0),
    ("right", Function::Right, 2, 2),
    ("rtrim", Function::Trim, 1, 1),
    ("schema_name", Function::SchemaName, 0, 1),
    ("serverproperty", Function::ServerProperty, 1, 1),
    ("session_user", Function::User, 0, 0),
    ("substring", Function::Substring, 3, 3),
    ("suser_name", Function::Login, 0, 0),
    ("suser_sname", Function::Login, 0, 0),
    ("sysdatetime", Function::Now, 0, 0),
    ("system_user", Function::Login, 0, 0),
    ("sysutcdatetime", Function::Now, 0, 0),
    ("trim", Function::Trim, 1, 1),
    ("upper", Function::Upper, 1, 1),
    ("user", Function::User, 0, 0),
    ("user_name", Function::User, 0, 1),
];

impl Function {
    /// The function of that name, given so many arguments.
    pub(super) fn named(name: &str, arguments: usize) -> Result<Self, SqlError> {
        let found = FUNCTIONS.iter().find(|(known, ..)| same_name(known, name));
        let (_, function, least, most) = found.ok_or_else(|| SqlError::NoFunction {
            name: super::error::shortened(name),
        })?;
        if !(*least..=*most).contains(&arguments) {
            return Err(SqlError::Arguments {
                name: name.to_lowercase(),
                given: arguments,
            });
        }
        Ok(*function)
    }

    pub(super) fn kind(self, arguments: &[Expr]) -> Kind {
        match self {
            Self::Abs => arguments.first().map_or(Kind::Int, Expr::kind),
            Self::Coalesce => joined_kind(arguments.iter()),
            Self::NullIf => arguments.first().map_or(Kind::Int, Expr::kind),
            Self::DbId | Self::HasAccess | Self::Len => Kind::Int,
            Self::Now => Kind::Moment,
            Self::Concat => Kind::Text(MAX_TEXT),
            Self::Left | Self::Lower | Self::Right | Self::Substring | Self::Trim | Self::Upper => {
                match arguments.first().map(Expr::kind) {
                    Some(Kind::Text(chars)) => Kind::Text(chars),
                    _ => Kind::Text(40),
                }
            }
            _ => Kind::Text(128),
        }
    }

    pub(super) fn call(self, given: &[Scalar], context: &Context) -> Result<Scalar, SqlError> {
        let text = |text: &str| Ok(Scalar::Text(text.to_owned()));
        let first = given.first().unwrap_or(&Scalar::Null);
        match self {
            Self::AppName => text(&context.application),
            Self::HostName => text(&context.host),
            Self::Login => text(&context.login),
            Self::User | Self::SchemaName => text("dbo"),
            Self::Now => Ok(Scalar::Moment(context.now)),
            Self::DbName => Ok(match given.first() {
                None | Some(Scalar::Int(1)) => Scalar::Text(DATABASE.to_owned()),
                Some(_) => Scalar::Null,
            }),
            Self::DbId | Self::HasAccess => Ok(match given.first() {
                Some(Scalar::Text(name)) if !same_name(name, DATABASE) => Scalar::Null,
                _ => Scalar::Int(1),
            }),
            Self::ServerProperty => Ok(server_property(first)),
            Self::DatabaseProperty => Ok(database_property(given.get(1))),
            Self::Coalesce => {
                let value = given.iter().find(|value| **value != Scalar::Null);
                Ok(value.cloned().unwrap_or(Scalar::Null))
            }
            Self::NullIf => {
                let second = given.get(1).unwrap_or(&Scalar::Null);
                let same = value::compare(first, second)?.is_some_and(|order| order.is_eq());
                Ok(if same { Scalar::Null } else { first.clone() })
            }
            Self::Abs => match first {
                Scalar::Float(float) => Ok(Scalar::Float(float.abs())),
                Scalar::Null => Ok(Scalar::Null),
                other => match convert(other, Kind::BigInt)? {
                    Scalar::Int(int) => {
                        int.checked_abs().map(Scalar::Int).ok_or(SqlError::Overflow)
                    }
                    other => Ok(other),
                },
            },
            Self::Concat => {
                let texts = given.iter().filter_map(value::text);
                Ok(Scalar::Text(value::cut(texts.collect(), MAX_TEXT.into())))
            }
            _ => self.of_text(first, given),
        }
    }

    /// The functions that look at a text.
    fn of_text(self, first: &Scalar, given: &[Scalar]) -> Result<Scalar, SqlError> {
        let Some(text) = value::text(first) else {
            return Ok(Scalar::Null);
        };
        let number = |at: usize| match convert(given.get(at).unwrap_or(&Scalar::Null), Kind::BigInt)
        {
            Ok(Scalar::Int(int)) => Ok(Some(int)),
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        };
        let skip_take = |skip: i64, take: i64| {
            // SUBSTRING counts from 1; what lies before counts too.
            let from = usize::try_from(skip.max(0)).unwrap_or(usize::MAX);
            let take = take.saturating_add(skip.min(0)).max(0);
            let take = usize::try_from(take).unwrap_or(usize::MAX);
            Scalar::Text(text.chars().skip(from).take(take).collect())
        };
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        Ok(match self {
            Self::Len => {
                let units = text.trim_end_matches(' ').encode_utf16().count();
                Scalar::Int(i64::try_from(units).unwrap_or(i64::MAX))
            }
            Self::Lower => Scalar::Text(text.to_lowercase()),
            Self::Upper => Scalar::Text(text.to_uppercase()),
            Self::Trim => Scalar::Text(text.trim().to_owned()),
            Self::Left => number(1)?.map_or(Scalar::Null, |take| skip_take(0, take)),
            Self::Right => number(1)?.map_or(Scalar::Null, |take| {
                skip_take(length.saturating_sub(take.max(0)).max(0), take)
            }),
            _ => match (number(1)?, number(2)?) {
                (Some(start), Some(take)) => skip_take(start.saturating_sub(1), take),
                _ => Scalar::Null,
            },
        })
    }
}

/// A global variable, such as `@@VERSION`.
pub(super) fn global(name: &str, context: &Context) -> Option<Scalar> {
    let text = |text: &str| Scalar::Text(text.to_owned());
    Some(match name.to_ascii_lowercase().as_str() {
        "@@version" => Scalar::Text(version()),
        "@@spid" => Scalar::Int(context.id),
        "@@servername" => text(SERVER),
        "@@servicename" => text("MSSQLSERVER"),
        "@@language" => text("us_english"),
        "@@trancount" => Scalar::Int(context.open_transactions),
        "@@rowcount" => Scalar::Int(context.last_rows),
        "@@error" | "@@options" | "@@langid" | "@@nestlevel" | "@@procid" => Scalar::Int(0),
        "@@fetch_status" | "@@lock_timeout" => Scalar::Int(-1),
        "@@textsize" => Scalar::Int(i32::MAX.into()),
        "@@datefirst" => Scalar::Int(7),
        "@@max_precision" => Scalar::Int(38),
        "@@microsoftversion" => Scalar::Int(0x0C00_07D0),
        "@@identity" => Scalar::Null,
        _ => return None,
    })
}

/// What `@@VERSION` and the table `version` say.
pub(in crate::proxy) fn version() -> String {
    format!(
        "Entrada {} - admin database (speaks as Microsoft SQL Azure 12.0.2000.8)",
        env!("CARGO_PKG_VERSION")
    )
}

fn server_property(name: &Scalar) -> Scalar {
    let Some(name) = value::text(name) else {
        return Scalar::Null;
    };
    let text = |text: &str| Scalar::Text(text.to_owned());
    match name.to_ascii_lowercase().as_str() {
        "productversion" => text("12.0.2000.8"),
        "productlevel" => text("RTM"),
        "productmajorversion" => text("12"),
        "edition" => text("Entrada"),
        // 5 is Azure SQL Database, the nearest.
        "engineedition" => text("5"),
        "servername" | "machinename" => text(SERVER),
        "collation" => text(COLLATION),
        "isclustered" | "ishadrenabled" | "isintegratedsecurityonly" | "issingleuser" => text("0"),
        _ => Scalar::Null,
    }
}

fn database_property(name: Option<&Scalar>) -> Scalar {
    let text = |text: &str| Scalar::Text(text.to_owned());
    match name
        .and_then(value::text)
        .unwrap_or_default()
        .to_ascii_lowercase()
        .as_str()
    {
        "collation" => text(COLLATION),
        "status" => text("ONLINE"),
        "updateability" => text("READ_ONLY"),
        _ => Scalar::Null,
    }
}

const COLLATION: &str = "SQL_Latin1_General_CP1_CI_AS";
