//! Extended properties of users. Those of other things are refused.

use rusqlite::params;

use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::Arg;
use super::super::types::{SqlType, Value, convert};
use super::Run;

/// The parameters in their order.
const PARAMETERS: [&str; 8] = [
    "@name",
    "@value",
    "@level0type",
    "@level0name",
    "@level1type",
    "@level1name",
    "@level2type",
    "@level2name",
];

impl Run<'_, '_> {
    /// `sp_addextendedproperty`.
    pub(super) fn add_extended_property(&mut self, args: &[Arg]) -> SqlResult<i32> {
        let mut given: [Option<Value>; 8] = Default::default();
        for (index, arg) in args.iter().enumerate() {
            let index = match &arg.name {
                None => Some(index),
                Some(name) => PARAMETERS.iter().position(|p| p.eq_ignore_ascii_case(name)),
            };
            let slot = index.and_then(|index| given.get_mut(index));
            let slot = slot.ok_or_else(|| too_many("sp_addextendedproperty"))?;
            *slot = Some(self.value(&arg.value, Some(SqlType::Variant))?.1);
        }
        let [name, value, level, user, rest @ ..] = given;
        let text = |value: Option<Value>| -> SqlResult<String> {
            let value = value.unwrap_or(Value::Null);
            match convert::cast(value, SqlType::Variant, SqlType::NVarChar(128), None)? {
                Value::Text(text) => Ok(text),
                _ => Ok(String::new()),
            }
        };
        let level = text(level)?;
        if !level.eq_ignore_ascii_case("USER") || rest.iter().flatten().any(|v| !v.is_null()) {
            return Err(SqlError::unsupported(
                "sp_addextendedproperty for anything but a user",
            ));
        }
        let (name, user) = (text(name)?, text(user)?);
        self.add_to_user(&name, value.unwrap_or(Value::Null), &user)?;
        Ok(0)
    }

    fn add_to_user(&mut self, name: &str, value: Value, user: &str) -> SqlResult<()> {
        let invisible = || {
            SqlError::new(
                15135,
                format!(
                    "Object is invalid. Extended properties are not permitted on '{user}', or the object does not exist."
                ),
            )
        };
        let id = self.id_of(user)?.ok_or_else(invisible)?;
        if self.kind_of(id)?.0 == "R"
            || self
                .planner()
                .require_on_database("ALTER ANY USER")
                .is_err()
        {
            return Err(invisible());
        }
        let alias = self.alias();
        let made = self.write(false, |run| {
            Ok(run.state.conn.execute(
                &format!("INSERT OR IGNORE INTO {alias}.\"~properties\"(class, major, minor, name, value) VALUES (4, ?1, 0, ?2, ?3)"),
                params![id, name, value.into_stored()],
            )?)
        })?;
        match made {
            0 => Err(SqlError::new(
                15233,
                format!("Property cannot be added. Property '{name}' already exists for '{user}'."),
            )),
            _ => Ok(()),
        }
    }
}

fn too_many(procedure: &str) -> SqlError {
    SqlError::new(
        8144,
        format!("Procedure or function {procedure} has too many arguments specified."),
    )
    .state(2)
}
