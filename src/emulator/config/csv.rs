//! Comma-separated values (RFC 4180).

/// A line's fields; an empty one without quotes is `None`.
pub(super) type Record = Vec<Option<String>>;

/// All lines. Empty lines are left out.
pub(super) fn read(text: &str) -> Result<Vec<Record>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = Vec::new();
    let (mut record, mut line) = (Record::new(), 1);
    let mut rest = text.chars().peekable();
    while rest.peek().is_some() {
        let began = line;
        let field = if rest.next_if_eq(&'"').is_some() {
            let mut field = String::new();
            loop {
                match rest.next() {
                    Some('"') if rest.next_if_eq(&'"').is_some() => field.push('"'),
                    Some('"') => break,
                    Some(c) => {
                        line += usize::from(c == '\n');
                        field.push(c);
                    }
                    None => {
                        return Err(format!("the quotes that open in line {began} do not close"));
                    }
                }
            }
            Some(field)
        } else {
            let mut field = String::new();
            while let Some(c) = rest.next_if(|c| !matches!(c, ',' | '\n' | '\r')) {
                field.push(c);
            }
            (!field.is_empty()).then_some(field)
        };
        record.push(field);
        let ends = match rest.next() {
            Some(',') => {
                // A comma at the very end has an empty field behind it.
                if rest.peek().is_none() {
                    record.push(None);
                }
                rest.peek().is_none()
            }
            Some('\r') => {
                rest.next_if_eq(&'\n');
                true
            }
            Some('\n') | None => true,
            Some(_) => {
                return Err(format!(
                    "in line {line}, quotes close in the middle of a field"
                ));
            }
        };
        if ends {
            line += 1;
            let full = std::mem::take(&mut record);
            if full != [None] {
                records.push(full);
            }
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_commas_and_empty_fields() {
        let text = "a,b\r\n1,\"x, \"\"y\"\"\nz\"\n\n,\"\"\nlast,";
        let some = |s: &str| Some(s.to_owned());
        let wanted: Vec<Record> = vec![
            vec![some("a"), some("b")],
            vec![some("1"), some("x, \"y\"\nz")],
            vec![None, some("")],
            vec![some("last"), None],
        ];
        assert_eq!(read(text).unwrap(), wanted);
    }

    #[test]
    fn broken_quotes_have_a_line() {
        assert!(read("a\n\"b").unwrap_err().contains("line 2"));
        assert!(read("a\n\"b\"c").unwrap_err().contains("line 2"));
    }
}
