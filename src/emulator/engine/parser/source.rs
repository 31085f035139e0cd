//! The text of a statement as it was written, for the catalogue.

use sqlparser::tokenizer::{Location, Token};

use super::Reader;

impl Reader {
    /// Where the next token begins, for [`since`](Self::since).
    pub(super) fn place(&self) -> Location {
        self.inner.peek_token_ref().span.start
    }

    /// The text as it was written, from a place to the end of what was read.
    pub(super) fn since(&self, start: Location) -> String {
        let mut index = self.inner.get_current_index();
        while index > 0 && matches!(self.inner.token_at(index).token, Token::Whitespace(_)) {
            index -= 1;
        }
        let end = self.inner.token_at(index).span.end;
        let mut line = 1u64;
        let mut column = 1u64;
        let mut taken = String::new();
        for c in self.text.chars() {
            let here = (line, column);
            if here >= (end.line, end.column) {
                break;
            }
            if here >= (start.line, start.column) {
                taken.push(c);
            }
            if c == '\n' {
                (line, column) = (line + 1, 1);
            } else {
                column += 1;
            }
        }
        taken
    }
}
