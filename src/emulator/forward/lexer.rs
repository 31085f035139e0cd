//! Just enough of T-SQL's lexical rules to find statements and leave everything else alone: texts,
//! quoted names and comments are stepped over whole.

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lexeme {
    pub(super) kind: Kind,
    /// Byte offsets in the text.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An unquoted word: keyword, name, variable or number.
    Word(String),
    /// A name between brackets or double quotes, without them.
    Quoted(String),
    /// A text, without its quotes.
    Text(String),
    Symbol(char),
}

/// The tokens of a batch, without white space and comments. A text, name or comment that has no end
/// ends the list: the server will say what is wrong with it.
pub(super) fn lexemes(sql: &str) -> Vec<Lexeme> {
    let mut lexer = Lexer { sql, at: 0 };
    let mut found = Vec::new();
    while let Some(lexeme) = lexer.next() {
        found.push(lexeme);
    }
    found
}

struct Lexer<'a> {
    sql: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<Lexeme> {
        self.skip()?;
        let start = self.at;
        let first = self.peek()?;
        let kind = match first {
            '\'' => Kind::Text(self.quoted('\'')?),
            '"' => Kind::Quoted(self.quoted('"')?),
            '[' => Kind::Quoted(self.quoted(']')?),
            'N' | 'n'
                if self
                    .rest()
                    .get(1..)
                    .is_some_and(|rest| rest.starts_with('\'')) =>
            {
                self.at += 1;
                Kind::Text(self.quoted('\'')?)
            }
            c if in_word(c) => Kind::Word(self.word()),
            c => {
                self.at += c.len_utf8();
                Kind::Symbol(c)
            }
        };
        Some(Lexeme {
            kind,
            start,
            end: self.at,
        })
    }

    fn rest(&self) -> &str {
        self.sql.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Steps over white space and comments; `None` if a comment has no end.
    fn skip(&mut self) -> Option<()> {
        loop {
            let rest = self.rest();
            if rest.starts_with("--") {
                self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                self.at += comment(rest)?;
            } else {
                match self.peek() {
                    Some(c) if c.is_whitespace() || c.is_control() => self.at += c.len_utf8(),
                    _ => return Some(()),
                }
            }
        }
    }

    /// What stands between the quotes, of which the closing one is doubled inside.
    fn quoted(&mut self, close: char) -> Option<String> {
        let mut content = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        loop {
            let (at, c) = chars.next()?;
            if c != close {
                content.push(c);
            } else if chars.next_if(|(_, next)| *next == close).is_some() {
                content.push(close);
            } else {
                self.at += at + close.len_utf8();
                return Some(content);
            }
        }
    }

    fn word(&mut self) -> String {
        let rest = self.rest();
        let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default().to_owned();
        self.at += end;
        word
    }
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '#' | '$')
}

/// The length of the comment at the front; comments nest.
fn comment(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += rest.chars().next()?.len_utf8();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(sql: &str) -> Vec<Kind> {
        lexemes(sql).into_iter().map(|lexeme| lexeme.kind).collect()
    }

    #[test]
    fn quotes_and_comments_are_stepped_over() {
        let word = |text: &str| Kind::Word(text.into());
        assert_eq!(
            kinds("a /* b /* c */ 'd */ N'e''f' [g]]h] \"i\"\"j\" -- k\n0x1F;"),
            [
                word("a"),
                Kind::Text("e'f".into()),
                Kind::Quoted("g]h".into()),
                Kind::Quoted("i\"j".into()),
                word("0x1F"),
                Kind::Symbol(';'),
            ]
        );
        assert_eq!(kinds("a 'no end"), [word("a")]);
        assert_eq!(kinds("a /* no end"), [word("a")]);
        assert_eq!(kinds("ä_1#$@x"), [word("ä_1#$@x")]);
    }

    #[test]
    fn places_are_those_of_the_text() {
        let sql = "  créer [x]";
        let found = lexemes(sql);
        let texts: Vec<&str> = found.iter().map(|l| &sql[l.start..l.end]).collect();
        assert_eq!(texts, ["créer", "[x]"]);
    }
}
