//! `sp_set_session_context`.

use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::Arg;
use super::super::session::state::ContextEntry;
use super::super::types::{MAX, SqlType, Value, allow, convert};
use super::Run;

/// Most bytes that all entries of a session may have, as documented.
const LIMIT: usize = 1 << 20;

impl Run<'_, '_> {
    pub(super) fn set_session_context(&mut self, args: &[Arg]) -> SqlResult<i32> {
        let (mut key, mut value, mut read_only) = (None, None, false);
        for (index, arg) in args.iter().enumerate() {
            let name = match &arg.name {
                Some(name) => name.to_lowercase(),
                None => ["@key", "@value", "@read_only"]
                    .get(index)
                    .map_or_else(String::new, |n| (*n).to_owned()),
            };
            let (ty, given) = self.value(&arg.value, None)?;
            match name.as_str() {
                "@key" => match convert::cast(given, ty, SqlType::NVarChar(MAX), None)? {
                    Value::Text(text) => key = Some(text.trim_end_matches(' ').to_owned()),
                    _ => key = None,
                },
                "@value" => {
                    allow::allowed(ty, SqlType::Variant, false)?;
                    value = Some(convert::cast(given, ty, SqlType::Variant, None)?);
                }
                "@read_only" => {
                    read_only = convert::cast(given, ty, SqlType::Bit, None)? == Value::Int(1);
                }
                other => {
                    return Err(SqlError::new(
                        8145,
                        format!("{other} is not a parameter for procedure sp_set_session_context."),
                    ));
                }
            }
        }
        let missing = |name: &str| {
            SqlError::new(201, format!("Procedure or function 'sp_set_session_context' expects parameter '{name}', which was not supplied.")).state(4)
        };
        let key = key.ok_or_else(|| missing("@key"))?;
        let value = value.ok_or_else(|| missing("@value"))?;
        self.keep(key, ContextEntry { value, read_only })?;
        Ok(0)
    }

    fn keep(&mut self, key: String, entry: ContextEntry) -> SqlResult<()> {
        let context = &mut self.state.context;
        if context.get(&key).is_some_and(|old| old.read_only) {
            return Err(SqlError::new(
                15664,
                format!(
                    "Cannot set key '{key}' in the session context. The key has been set as read_only for \
                     this session."
                ),
            ));
        }
        if entry.value.is_null() && !entry.read_only {
            context.remove(&key);
            return Ok(());
        }
        let bytes: usize = context.iter().map(|(k, e)| k.len() + e.size()).sum();
        if bytes + key.len() + entry.size() > LIMIT {
            return Err(SqlError::unsupported("a session context beyond 1 MB"));
        }
        context.insert(key, entry);
        Ok(())
    }
}
