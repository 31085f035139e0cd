//! The reader of XML: checks it and writes what it says.

use super::super::error::{SqlError, SqlResult};
use super::xml::Fault;

/// Deepest nesting that SQL Server keeps.
const MAX_DEPTH: usize = 128;

/// Reads a document or fragment once, from start to end.
pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
    out: String,
    open: Vec<Element<'t>>,
    /// The last start tag lacks its `>`: it may become `/>`.
    half_open: bool,
    keep_white: bool,
}

struct Element<'t> {
    name: &'t str,
    /// Prefixes that it declares.
    prefixes: Vec<&'t str>,
    /// xml:space, which the inner elements inherit.
    keep_white: bool,
}

/// Text between two tags.
#[derive(Default)]
struct Run {
    text: String,
    /// Something other than white space is in it, or white space that was written as an entity.
    counts: bool,
    /// Something other than white space is in it.
    is_text: bool,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, keep_white: bool) -> Self {
        Self {
            text,
            at: 0,
            out: String::with_capacity(text.len()),
            open: Vec::new(),
            half_open: false,
            keep_white,
        }
    }

    pub(super) fn read(mut self) -> SqlResult<String> {
        if self.rest().starts_with('\u{FEFF}') {
            self.at = '\u{FEFF}'.len_utf8();
        }
        if let Some(rest) = self.rest().strip_prefix("<?xml")
            && rest.starts_with(is_white)
        {
            self.past("?>")?;
        }
        while self.at < self.text.len() {
            self.run()?;
            self.markup()?;
        }
        if !self.open.is_empty() {
            return Err(self.fault(Fault::END));
        }
        Ok(self.out)
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn fault(&self, fault: Fault) -> SqlError {
        fault.at(self.text, self.at)
    }

    /// What lies before `end`, which is passed.
    fn past(&mut self, end: &str) -> SqlResult<&'t str> {
        let Some((before, _)) = self.rest().split_once(end) else {
            self.at = self.text.len();
            return Err(self.fault(Fault::END));
        };
        if let Some(bad) = before.find(|c| !is_char(c)) {
            self.at += bad;
            return Err(self.fault(Fault::CHARACTER));
        }
        self.at += before.len() + end.len();
        Ok(before)
    }

    fn eat(&mut self, start: &str) -> bool {
        let found = self.rest().starts_with(start);
        if found {
            self.at += start.len();
        }
        found
    }

    fn white(&mut self) -> bool {
        let rest = self.rest();
        let after = rest.trim_start_matches(is_white);
        self.at += rest.len() - after.len();
        after.len() < rest.len()
    }

    fn close_start_tag(&mut self) {
        if std::mem::take(&mut self.half_open) {
            self.out.push('>');
        }
    }

    /// Text up to the next tag, comment or instruction; CDATA is text.
    fn run(&mut self) -> SqlResult<()> {
        let mut run = Run::default();
        while let Some(c) = self.peek() {
            match c {
                '<' if self.eat("<![CDATA[") => {
                    let text = self.past("]]>")?;
                    run.text
                        .push_str(&text.replace("\r\n", "\n").replace('\r', "\n"));
                    run.counts |= !text.is_empty();
                    run.is_text |= !text.chars().all(is_white);
                }
                '<' => break,
                '&' => {
                    let c = self.entity()?;
                    run.text.push(c);
                    run.counts = true;
                    run.is_text |= !is_white(c);
                }
                '\r' => {
                    self.at += 1;
                    if self.peek() != Some('\n') {
                        run.text.push('\n');
                    }
                }
                c if !is_char(c) => return Err(self.fault(Fault::CHARACTER)),
                c => {
                    self.at += c.len_utf8();
                    run.text.push(c);
                    run.counts |= !is_white(c);
                    run.is_text |= !is_white(c);
                }
            }
        }
        self.put_run(&run);
        Ok(())
    }

    fn put_run(&mut self, run: &Run) {
        let keep = match self.open.last() {
            Some(element) => element.keep_white,
            None => self.keep_white,
        };
        if run.text.is_empty() || !run.counts && !keep {
            return;
        }
        self.close_start_tag();
        for c in run.text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '\r' => self.out.push_str("&#x0D;"),
                // White space alone would be lost when it is read again.
                c if run.counts && !run.is_text => {
                    self.out.push_str(&format!("&#x{:02X};", u32::from(c)));
                }
                c => self.out.push(c),
            }
        }
    }

    /// A reference to a character, by number or by one of the five names.
    fn entity(&mut self) -> SqlResult<char> {
        self.at += 1;
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '#'));
        let name = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        if !rest.get(name.len()..).unwrap_or_default().starts_with(';') {
            self.at += name.len();
            return Err(self.fault(Fault::SEMICOLON));
        }
        let found = match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let Some(number) = name.strip_prefix('#') else {
                    return Err(self.fault(Fault::ENTITY));
                };
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                let found = code.ok().and_then(char::from_u32).filter(|c| is_char(*c));
                found.ok_or_else(|| self.fault(Fault::CHARACTER))?
            }
        };
        self.at += name.len() + 1;
        Ok(found)
    }

    fn markup(&mut self) -> SqlResult<()> {
        if self.eat("<!--") {
            let comment = self.past("-->")?;
            if comment.contains("--") {
                return Err(self.fault(Fault::SYNTAX));
            }
            self.close_start_tag();
            self.out.extend(["<!--", comment, "-->"]);
        } else if self.eat("<!DOCTYPE") {
            return Err(SqlError::new(
                6359,
                "Parsing XML with internal subset DTDs not allowed. Use CONVERT with style option 2 to \
                 enable limited internal subset DTD support.",
            ));
        } else if self.eat("<?") {
            let instruction = self.past("?>")?;
            let target = instruction.split(is_white).next().unwrap_or_default();
            if target.eq_ignore_ascii_case("xml") {
                return Err(self.fault(Fault::DECLARATION));
            }
            self.close_start_tag();
            self.out.extend(["<?", instruction, "?>"]);
        } else if self.eat("</") {
            self.end_tag()?;
        } else if self.eat("<") {
            self.start_tag()?;
        }
        Ok(())
    }

    fn end_tag(&mut self) -> SqlResult<()> {
        let Some(element) = self.open.pop() else {
            return Err(self.fault(Fault::SYNTAX));
        };
        let name = self.name()?;
        if name != element.name {
            return Err(self.fault(Fault::END_TAG));
        }
        self.white();
        self.greater()?;
        if std::mem::take(&mut self.half_open) {
            self.out.push_str("/>");
        } else {
            self.out.extend(["</", name, ">"]);
        }
        Ok(())
    }

    fn greater(&mut self) -> SqlResult<()> {
        match self.peek() {
            None => Err(self.fault(Fault::END)),
            Some('>') => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.fault(Fault::GREATER)),
        }
    }

    fn start_tag(&mut self) -> SqlResult<()> {
        if self.open.len() >= MAX_DEPTH {
            return Err(SqlError::new(
                6335,
                "XML datatype instance has too many levels of nested nodes. Maximum allowed depth is 128 \
                 levels.",
            ));
        }
        let name = self.name()?;
        self.close_start_tag();
        self.out.extend(["<", name]);
        self.half_open = true;
        let keep_white = self.open.last().map_or(self.keep_white, |e| e.keep_white);
        self.open.push(Element {
            name,
            prefixes: Vec::new(),
            keep_white,
        });
        let mut names: Vec<&str> = Vec::new();
        loop {
            let spaced = self.white();
            match self.peek() {
                None => return Err(self.fault(Fault::END)),
                Some('>') => {
                    self.at += 1;
                    break;
                }
                Some('/') => {
                    self.at += 1;
                    self.greater()?;
                    self.prefixes_are_declared(name, &names)?;
                    self.open.pop();
                    self.half_open = false;
                    self.out.push_str("/>");
                    return Ok(());
                }
                Some(_) if !spaced => return Err(self.fault(Fault::WHITE)),
                Some(_) => names.push(self.attribute(&names)?),
            }
        }
        self.prefixes_are_declared(name, &names)
    }

    /// Reads and writes an attribute; its name, which is none of `others`.
    fn attribute(&mut self, others: &[&str]) -> SqlResult<&'t str> {
        let name = self.name()?;
        if others.contains(&name) {
            return Err(self.fault(Fault::DUPLICATE));
        }
        self.white();
        if !self.eat("=") {
            return Err(self.fault(Fault::EQUAL));
        }
        self.white();
        let Some(quote @ ('"' | '\'')) = self.peek() else {
            return Err(self.fault(Fault::LITERAL));
        };
        self.at += 1;
        self.out.extend([" ", name, "=\""]);
        let start = self.out.len();
        self.attribute_value(quote)?;
        if let Some(element) = self.open.last_mut() {
            element.prefixes.extend(name.strip_prefix("xmlns:"));
            if name == "xml:space" {
                element.keep_white = self.out.get(start..) == Some("preserve");
            }
        }
        self.out.push('"');
        Ok(name)
    }

    fn attribute_value(&mut self, quote: char) -> SqlResult<()> {
        loop {
            let Some(c) = self.peek() else {
                return Err(self.fault(Fault::END));
            };
            if c == '<' {
                return Err(self.fault(Fault::LESS_IN_VALUE));
            }
            if !is_char(c) {
                return Err(self.fault(Fault::CHARACTER));
            }
            if c == '&' {
                let c = self.entity()?;
                self.put_in_attribute(c);
                continue;
            }
            self.at += c.len_utf8();
            match c {
                c if c == quote => return Ok(()),
                // A line end of two characters is one space.
                '\r' if self.peek() == Some('\n') => {}
                c if is_white(c) => self.out.push(' '),
                c => self.put_in_attribute(c),
            }
        }
    }

    fn put_in_attribute(&mut self, c: char) {
        match c {
            '&' => self.out.push_str("&amp;"),
            '<' => self.out.push_str("&lt;"),
            '>' => self.out.push_str("&gt;"),
            '"' => self.out.push_str("&quot;"),
            '\t' => self.out.push_str("&#x09;"),
            '\n' => self.out.push_str("&#x0A;"),
            '\r' => self.out.push_str("&#x0D;"),
            c => self.out.push(c),
        }
    }

    /// A name with at most one prefix.
    fn name(&mut self) -> SqlResult<&'t str> {
        let rest = self.rest();
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or_default();
        let parts: Vec<&str> = name.split(':').collect();
        let starts = |part: &&str| part.chars().next().is_some_and(is_name_start);
        if rest.is_empty() {
            return Err(self.fault(Fault::END));
        }
        if parts.len() > 2 || !parts.iter().all(starts) {
            return Err(self.fault(Fault::NAME));
        }
        self.at += end;
        Ok(name)
    }

    fn prefixes_are_declared(&self, element: &str, attributes: &[&str]) -> SqlResult<()> {
        for name in attributes.iter().chain([&element]) {
            let Some((prefix, _)) = name.split_once(':') else {
                continue;
            };
            let declared = matches!(prefix, "xml" | "xmlns")
                || self.open.iter().any(|e| e.prefixes.contains(&prefix));
            if !declared {
                return Err(self.fault(Fault::PREFIX));
            }
        }
        Ok(())
    }
}

fn is_white(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// A character that XML 1.0 allows.
fn is_char(c: char) -> bool {
    is_white(c) || c >= ' ' && !matches!(c, '\u{FFFE}' | '\u{FFFF}')
}

fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn is_name(c: char) -> bool {
    is_name_start(c) || c.is_alphanumeric() || matches!(c, '-' | '.' | ':' | '\u{B7}')
}
