//! RAISERROR and DBCC CHECKIDENT.

use sqlparser::ast::Expr;

use super::super::catalogue::tables::QualifiedName;
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::RaiseOptions;
use super::super::types::{MAX, SqlType, Value, convert};
use super::super::wire::out::command;
use super::Run;

/// Longest width or precision of a format.
const MAX_WIDTH: usize = 2047;

impl Run<'_, '_> {
    pub(super) fn raise_error(&mut self, args: &[Expr], options: RaiseOptions) -> SqlResult<()> {
        let [message, severity, state, rest @ ..] = args else {
            return Err(SqlError::syntax_near(")"));
        };
        let (ty, message) = self.value(message, None)?;
        let format = match message {
            Value::Text(format) => format,
            Value::Null if ty.is_text() => String::new(),
            Value::Int(15063) => {
                return Err(SqlError::new(
                    15063,
                    "The login already has an account under a different user name.",
                ));
            }
            _ if ty.is_integer() => {
                return Err(SqlError::unsupported("RAISERROR with a message id"));
            }
            _ => return Err(SqlError::syntax_near("RAISERROR")),
        };
        let class = u8::try_from(self.integer(severity)?.clamp(0, 25)).unwrap_or(16);
        let state = u8::try_from(self.integer(state)?.clamp(0, 255)).unwrap_or(1);
        let mut values = Vec::new();
        for arg in rest {
            values.push(self.value(arg, None)?);
        }
        if options.log {
            return Err(SqlError::new(
                2778,
                "Only System Administrator can specify WITH LOG option for RAISERROR command.",
            ));
        }
        if class > 18 {
            return Err(SqlError::new(
                2754,
                "Error severity levels greater than 18 can only be specified by members of the sysadmin role, using the WITH LOG option.",
            ));
        }
        let error = SqlError::new(50_000, fill(&format, values)?)
            .class(class)
            .state(state);
        if class <= 10 {
            self.out.info(&error);
            if options.now {
                self.out.flush();
            }
            self.state.rowcount = 0;
            if options.set_error {
                return Err(SqlError::unsupported(
                    "RAISERROR WITH SETERROR below severity 11",
                ));
            }
            return Ok(());
        }
        self.state.raised = true;
        Err(error)
    }

    /// `DBCC CHECKIDENT (table, RESEED, value)`: the next row gets the value after it, or the value
    /// itself if there never was a row.
    pub(super) fn reseed(&mut self, name: &str, value: i64) -> SqlResult<()> {
        let missing = || {
            SqlError::new(
                2501,
                format!("Cannot find a table or object with the name \"{name}\". Check the system catalog."),
            )
            .state(45)
        };
        let wanted = QualifiedName::parse(name).ok_or_else(missing)?;
        let planner = self.planner();
        let table = planner.find_table(&wanted).map_err(|_| missing())?;
        planner.require(&table, "ALTER")?;
        let Some((_, increment)) = table.identity_column().and_then(|c| c.identity) else {
            return Err(SqlError::new(
                7997,
                format!("'{name}' does not contain an identity column."),
            ));
        };
        self.write(table.is_temp(), |run| {
            run.state.conn.execute(
                &format!(
                    "UPDATE {}.\"~objects\" SET identity_next = iif(identity_next IS NULL, ?1, ?1 + ?3) WHERE id = ?2",
                    table.alias
                ),
                [value, table.id, increment],
            )?;
            Ok(())
        })?;
        self.state
            .tran
            .identities
            .retain(|known| known.table != table.id || known.alias != table.alias);
        let info = "DBCC execution completed. If DBCC printed error messages, contact your system administrator.";
        self.out.info(&SqlError::new(2528, info).class(0));
        self.out.done(command::OTHER, None, false);
        Ok(())
    }
}

/// How one place of a format is filled.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "printf's flags, each of which may stand beside the others"
)]
struct Place {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    prefix: bool,
    width: usize,
    precision: Option<usize>,
}

/// printf's formats, as far as RAISERROR has them: `%d %i %o %s %u %x %X` with flags, width and
/// precision.
fn fill(format: &str, values: Vec<(SqlType, Value)>) -> SqlResult<String> {
    let mut values = values.into_iter();
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let mut place = Place::default();
        while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '+' | '0' | '#' | ' ')) {
            match flag {
                '-' => place.left = true,
                '+' => place.plus = true,
                '0' => place.zero = true,
                '#' => place.prefix = true,
                _ => place.space = true,
            }
        }
        place.width = size(&mut chars, &mut values)?.unwrap_or(0);
        if chars.next_if_eq(&'.').is_some() {
            place.precision = Some(size(&mut chars, &mut values)?.unwrap_or(0));
        }
        let long = chars.next_if(|c| matches!(c, 'h' | 'l' | 'I'));
        if long == Some('I') {
            // %I64d is a bigint.
            for digit in ['6', '4'] {
                let _ = chars.next_if_eq(&digit);
            }
        }
        let kind = chars.next().unwrap_or('%');
        if !matches!(kind, 'd' | 'i' | 'o' | 's' | 'u' | 'x' | 'X') {
            return Err(SqlError::new(
                2787,
                format!("Invalid format specification: '%{kind}'."),
            ));
        }
        out.push_str(&filled(&place, kind, values.next())?);
    }
    Ok(out)
}

/// A width or precision: digits, or the next value for `*`.
fn size(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    values: &mut std::vec::IntoIter<(SqlType, Value)>,
) -> SqlResult<Option<usize>> {
    if chars.next_if_eq(&'*').is_some() {
        return match values.next() {
            Some((_, Value::Int(n))) => Ok(Some(usize::try_from(n).unwrap_or(0).min(MAX_WIDTH))),
            _ => Err(SqlError::unsupported(
                "RAISERROR with a width that is no int",
            )),
        };
    }
    let mut digits = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    Ok(digits.parse::<usize>().ok().map(|n| n.min(MAX_WIDTH)))
}

fn filled(place: &Place, kind: char, value: Option<(SqlType, Value)>) -> SqlResult<String> {
    let mismatch = || {
        SqlError::new(
            2786,
            "The data type of substitution parameter does not match the expected type of the format specification.",
        )
    };
    let body = match value {
        None | Some((_, Value::Null)) => "(null)".to_owned(),
        Some((ty, value)) if kind == 's' => {
            if !ty.is_text() {
                return Err(mismatch());
            }
            let text = match convert::cast(value, ty, SqlType::NVarChar(MAX), None)? {
                Value::Text(text) => text,
                _ => String::new(),
            };
            text.chars()
                .take(place.precision.unwrap_or(usize::MAX))
                .collect()
        }
        Some((_, Value::Int(n))) => number(place, kind, n),
        Some(_) => return Err(mismatch()),
    };
    let missing = place.width.saturating_sub(body.chars().count());
    Ok(if place.left {
        body + &" ".repeat(missing)
    } else if place.zero && kind != 's' && place.precision.is_none() {
        let signs = body.len() - body.trim_start_matches(['-', '+', ' ']).len();
        let (sign, digits) = body.split_at(signs);
        format!("{sign}{}{digits}", "0".repeat(missing))
    } else {
        " ".repeat(missing) + &body
    })
}

fn number(place: &Place, kind: char, n: i64) -> String {
    // Negative numbers of %u, %o and %x show the bits of an int.
    let bits = i32::try_from(n).map_or_else(|_| n.cast_unsigned(), |n| n.cast_unsigned().into());
    let mut digits = match kind {
        'o' => format!("{bits:o}"),
        'x' => format!("{bits:x}"),
        'X' => format!("{bits:X}"),
        'u' => bits.to_string(),
        _ => n.unsigned_abs().to_string(),
    };
    let least = place.precision.unwrap_or(0);
    digits = format!("{}{digits}", "0".repeat(least.saturating_sub(digits.len())));
    let sign = match kind {
        'd' | 'i' if n < 0 => "-",
        'd' | 'i' if place.plus => "+",
        'd' | 'i' if place.space => " ",
        'o' if place.prefix => "0",
        'x' if place.prefix => "0x",
        'X' if place.prefix => "0X",
        _ => "",
    };
    format!("{sign}{digits}")
}
