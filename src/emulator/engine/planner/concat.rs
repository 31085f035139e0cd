//! Texts put together: CONCAT, CONCAT_WS and STRING_AGG.

use super::super::error::SqlResult;
use super::super::types::{MAX, SqlType};
use super::{Planner, Typed};

use SqlType as T;

impl Planner<'_> {
    /// NULLs count as empty; each value becomes text as by CAST.
    pub(super) fn concat(&mut self, args: &[Typed], separator: Option<Typed>) -> SqlResult<Typed> {
        let mut total = 0usize;
        let mut max = false;
        let mut unicode = false;
        let gaps = args.len().saturating_sub(1);
        let parts = args.iter().map(|arg| (arg, 1));
        for (part, times) in parts.chain(separator.iter().map(|s| (s, gaps))) {
            total += usize::from(most_characters(part)) * times;
            max |= !part.is_null() && part.ty.length() == Some(MAX);
            unicode |= !part.is_null() && part.ty.is_unicode();
        }
        let texts = args
            .iter()
            .map(|a| self.characters(a).map(|t| t.sql))
            .collect::<SqlResult<Vec<_>>>()?
            .join(",");
        let sql = match separator {
            None => format!("concat({texts})"),
            Some(separator) => format!("concat_ws(ifnull({},''),{texts})", separator.sql),
        };
        let full = plain(unicode, MAX);
        let most = longest(unicode);
        if max {
            return Ok(Typed::new(sql, full).not_null());
        }
        let ty = plain(unicode, u16::try_from(total).unwrap_or(MAX).clamp(1, most));
        if total <= usize::from(most) {
            return Ok(Typed::new(sql, ty).not_null());
        }
        // What does not fit a plain type is cut.
        let cut = format!("t_cv({sql},{},{},NULL)", full.code(), ty.code());
        Ok(Typed::new(cut, ty).not_null())
    }

    /// STRING_AGG. Numbers and dates become Unicode text; a plain type has a limit.
    pub(super) fn string_agg(
        &mut self,
        value: &Typed,
        separator: &Typed,
        within: &str,
        over: &str,
    ) -> SqlResult<Typed> {
        let unicode = value.ty.is_unicode() || !value.ty.is_text();
        let max = value.ty.length() == Some(MAX);
        let (value, separator) = (self.characters(value)?, self.characters(separator)?);
        let sql = format!("string_agg({},{}{within}){over}", value.sql, separator.sql);
        if max {
            return Ok(Typed::new(sql, plain(unicode, MAX)));
        }
        let most = longest(unicode);
        Ok(Typed::new(
            format!("t_agglimit({sql},{most})"),
            plain(unicode, most),
        ))
    }
}

fn plain(unicode: bool, n: u16) -> SqlType {
    if unicode {
        T::NVarChar(n)
    } else {
        T::VarChar(n)
    }
}

fn longest(unicode: bool) -> u16 {
    if unicode { 4000 } else { 8000 }
}

/// How long a value's text may be.
fn most_characters(value: &Typed) -> u16 {
    if value.is_null() {
        return 1;
    }
    match value.ty {
        T::Bit => 1,
        T::TinyInt => 3,
        T::SmallInt => 6,
        T::Int => 12,
        T::BigInt => 20,
        T::UniqueIdentifier => 36,
        T::Decimal { precision, .. } => u16::from(precision) + 3,
        ty if ty.is_text() || ty.is_binary() => ty.length().unwrap_or(MAX),
        _ => 40,
    }
}
