//! INSERT BULK: what comes before the rows of a bulk load.

use super::super::error::{SqlError, SqlResult};
use super::Reader;
use super::ast::{InsertBulk, Kind};
use sqlparser::tokenizer::Token;

impl Reader {
    /// `INSERT BULK t ([c] type, …) WITH (option, …)`, as drivers write it.
    pub(super) fn insert_bulk(&mut self) -> SqlResult<Kind> {
        self.expect(&["INSERT", "BULK"])?;
        let mut bulk = InsertBulk {
            table: self.object_name()?,
            columns: Vec::new(),
            check_constraints: false,
            keep_nulls: false,
        };
        if self.peek_token(&Token::LParen) {
            bulk.columns = self.in_parens(|r| {
                r.list(|r| {
                    let column = (r.ident()?, r.data_type()?);
                    if r.eat(&["COLLATE"]) {
                        r.ident()?;
                    }
                    Ok(column)
                })
            })?;
        }
        if self.eat(&["WITH"]) {
            self.in_parens(|r| r.list(|r| r.bulk_option(&mut bulk)))?;
        }
        Ok(Kind::InsertBulk(Box::new(bulk)))
    }

    fn bulk_option(&mut self, bulk: &mut InsertBulk) -> SqlResult<()> {
        let option = self.word_at(0).ok_or_else(|| self.unexpected())?;
        self.parser().advance_token();
        match option.as_str() {
            "CHECK_CONSTRAINTS" => bulk.check_constraints = true,
            "KEEP_NULLS" => bulk.keep_nulls = true,
            // There are no triggers, every write locks the database, and batches are the client's.
            "FIRE_TRIGGERS" | "TABLOCK" => {}
            "ROWS_PER_BATCH" | "KILOBYTES_PER_BATCH" => {
                self.expect_token(&Token::Eq)?;
                self.integer()?;
            }
            // A hint about the rows to come.
            "ORDER" => {
                self.in_parens(|r| {
                    r.list(|r| {
                        r.ident()?;
                        let _ = r.eat(&["ASC"]) || r.eat(&["DESC"]);
                        Ok(())
                    })
                })?;
            }
            other => {
                return Err(SqlError::unsupported(format!(
                    "INSERT BULK … WITH ({other})"
                )));
            }
        }
        Ok(())
    }
}
