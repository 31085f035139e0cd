//! Functions of `sql_variant`.

use super::super::error::SqlResult;
use super::super::types::SqlType;
use super::{Planner, Typed};

use SqlType as T;

impl Planner<'_> {
    pub(super) fn variant_call(&mut self, name: &str, args: &[Typed]) -> SqlResult<Option<Typed>> {
        let ("SQL_VARIANT_PROPERTY", [value, property]) = (name, args) else {
            return Ok(None);
        };
        let value = self.coerce(value.clone(), T::Variant)?;
        let property = self.coerce(property.clone(), T::NVarChar(128))?;
        let sql = format!("t_vprop({},{})", value.sql, property.sql);
        Ok(Some(Typed::new(sql, T::Variant)))
    }
}
