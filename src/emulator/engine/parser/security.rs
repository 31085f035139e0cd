//! Users, logins, roles and permissions.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};
use sqlparser::tokenizer::Token;

use super::super::error::{SqlError, SqlResult};
use super::super::types::convert::hex;
use super::Reader;
use super::ast::{AsWho, Ending, Kind, Security, Target, UserKind, Verb};

impl Reader {
    pub(super) fn security(&mut self) -> SqlResult<Kind> {
        for (word, verb) in [
            ("GRANT", Verb::Grant),
            ("DENY", Verb::Deny),
            ("REVOKE", Verb::Revoke),
        ] {
            if self.eat(&[word]) {
                return self.permission(verb);
            }
        }
        if self.eat(&["REVERT"]) {
            let mut cookie = None;
            if self.eat(&["WITH"]) {
                self.expect(&["COOKIE"])?;
                self.expect_token(&Token::Eq)?;
                cookie = Some(Box::new(self.expr()?));
            }
            return Ok(Kind::Security(Security::Revert(cookie)));
        }
        if self.eat(&["ALTER", "AUTHORIZATION"]) {
            self.expect(&["ON"])?;
            let on = self.target()?;
            self.expect(&["TO"])?;
            let owner = if self.eat(&["SCHEMA", "OWNER"]) {
                None
            } else {
                Some(self.ident()?)
            };
            return Ok(Kind::Security(Security::Authorization { on, owner }));
        }
        let words = [0, 1].map(|n| self.word_at(n).unwrap_or_default());
        let words = [words[0].as_str(), words[1].as_str()];
        if !matches!(words[1], "USER" | "ROLE" | "LOGIN") {
            return Err(SqlError::unsupported(words.join(" ")));
        }
        self.parser().advance_token();
        self.parser().advance_token();
        let security = match words {
            ["CREATE", "USER"] => self.create_user()?,
            ["CREATE", "ROLE"] => Security::CreateRole {
                name: self.ident()?,
                owner: if self.eat(&["AUTHORIZATION"]) {
                    Some(self.ident()?)
                } else {
                    None
                },
            },
            ["CREATE", "LOGIN"] => self.create_login()?,
            ["ALTER", "ROLE"] => self.alter_role()?,
            ["ALTER", "USER"] => self.alter_user()?,
            _ => return Err(SqlError::unsupported(words.join(" "))),
        };
        Ok(Kind::Security(security))
    }

    pub(super) fn drop_principal(&mut self, what: &str) -> SqlResult<Kind> {
        self.parser().advance_token();
        let if_exists = self.eat(&["IF", "EXISTS"]);
        let name = self.ident()?;
        Ok(Kind::Security(match what {
            "USER" => Security::DropUser { name, if_exists },
            "ROLE" => Security::DropRole { name, if_exists },
            _ => Security::DropLogin { name },
        }))
    }

    pub(super) fn execute_as(&mut self) -> SqlResult<Kind> {
        let who = if self.eat(&["CALLER"]) {
            AsWho::Caller
        } else if self.peek(&["LOGIN"]) {
            return Err(SqlError::unsupported("EXECUTE AS LOGIN"));
        } else {
            self.expect(&["USER"])?;
            self.expect_token(&Token::Eq)?;
            AsWho::User(self.string()?)
        };
        let mut ending = Ending::Revert;
        if self.eat(&["WITH"]) {
            if self.eat(&["NO", "REVERT"]) {
                ending = Ending::NoRevert;
            }
            if !matches!(ending, Ending::NoRevert) || self.peek(&["COOKIE"]) {
                self.expect(&["COOKIE", "INTO"])?;
                let variable = self.peek_variable().ok_or_else(|| self.unexpected())?;
                self.parser().advance_token();
                ending = Ending::Cookie(variable);
            }
        }
        Ok(Kind::Security(Security::ExecuteAs(who, ending)))
    }

    fn create_user(&mut self) -> SqlResult<Security> {
        let name = self.ident()?;
        let mut how = None;
        if self.eat(&["FROM", "EXTERNAL", "PROVIDER"]) {
            how = Some(UserKind::External { object_id: None });
        } else if self.eat(&["FOR", "LOGIN"]) || self.eat(&["FROM", "LOGIN"]) {
            how = Some(UserKind::Login(self.ident()?));
        } else if self.eat(&["WITHOUT", "LOGIN"]) {
            how = Some(UserKind::WithoutLogin);
        }
        let mut schema = None;
        let (mut sid, mut kind) = (None, None);
        if self.eat(&["WITH"]) {
            let options = self.list(Self::user_option)?;
            for (option, value) in options {
                match (option.as_str(), &mut how) {
                    ("DEFAULT_SCHEMA", _) => schema = Some(Ident::new(value)),
                    ("PASSWORD", None) => how = Some(UserKind::Password(value)),
                    ("SID", None) => sid = hex(value.trim_start_matches("0x")),
                    ("TYPE", None) => kind = value.to_uppercase().chars().next(),
                    ("OBJECT_ID", Some(UserKind::External { object_id })) => {
                        *object_id = Some(value)
                    }
                    ("DEFAULT_LANGUAGE" | "ALLOW_ENCRYPTED_VALUE_MODIFICATIONS", _) => {}
                    (other, _) => return Err(SqlError::syntax_near(other)),
                }
            }
        }
        let how = match (how, sid) {
            (Some(how), None) => how,
            (None, Some(sid)) => UserKind::Sid {
                sid,
                external_type: kind,
            },
            (None, None) => UserKind::Login(name.clone()),
            (Some(_), Some(_)) => return Err(SqlError::syntax_near("SID")),
        };
        Ok(Security::CreateUser { name, how, schema })
    }

    /// `NAME = value`, the value as text.
    fn user_option(&mut self) -> SqlResult<(String, String)> {
        let name = self.ident()?.value.to_uppercase();
        self.expect_token(&Token::Eq)?;
        let value = match self.parser().peek_token_ref().token.clone() {
            Token::HexStringLiteral(text) => {
                self.parser().advance_token();
                text
            }
            Token::SingleQuotedString(_) | Token::NationalStringLiteral(_) => self.string()?,
            _ => self.ident()?.value,
        };
        Ok((name, value))
    }

    fn create_login(&mut self) -> SqlResult<Security> {
        let name = self.ident()?;
        if self.eat(&["FROM", "EXTERNAL", "PROVIDER"]) {
            return Ok(Security::CreateLogin {
                name,
                password: None,
                external: true,
            });
        }
        self.expect(&["WITH"])?;
        let options = self.list(Self::user_option)?;
        let mut password = None;
        for (option, value) in options {
            match option.as_str() {
                "PASSWORD" => password = Some(value),
                "CHECK_POLICY" | "CHECK_EXPIRATION" | "DEFAULT_DATABASE" | "DEFAULT_LANGUAGE" => {}
                other => return Err(SqlError::unsupported(format!("CREATE LOGIN WITH {other}"))),
            }
        }
        Ok(Security::CreateLogin {
            name,
            password,
            external: false,
        })
    }

    fn alter_role(&mut self) -> SqlResult<Security> {
        let role = self.ident()?;
        let add = self.eat(&["ADD", "MEMBER"]);
        if add || self.eat(&["DROP", "MEMBER"]) {
            let member = self.ident()?;
            return Ok(Security::AlterRole { role, member, add });
        }
        self.expect(&["WITH", "NAME"])?;
        self.expect_token(&Token::Eq)?;
        Ok(Security::RenameRole {
            role,
            new_name: self.ident()?,
        })
    }

    fn alter_user(&mut self) -> SqlResult<Security> {
        let name = self.ident()?;
        self.expect(&["WITH"])?;
        let (mut new_name, mut schema, mut login) = (None, None, None);
        for (option, value) in self.list(Self::user_option)? {
            match option.as_str() {
                "NAME" => new_name = Some(Ident::new(value)),
                "DEFAULT_SCHEMA" => schema = Some(Ident::new(value)),
                "LOGIN" => login = Some(Ident::new(value)),
                other => return Err(SqlError::unsupported(format!("ALTER USER WITH {other}"))),
            }
        }
        Ok(Security::AlterUser {
            name,
            new_name,
            schema,
            login,
        })
    }

    fn permission(&mut self, verb: Verb) -> SqlResult<Kind> {
        let grant_option = verb == Verb::Revoke && self.eat(&["GRANT", "OPTION", "FOR"]);
        let mut permissions = self.list(Self::permission_name)?;
        let on = if self.eat(&["ON"]) {
            Some(self.target()?)
        } else {
            None
        };
        // GRANT SELECT ON t (a, b) means the same as GRANT SELECT (a, b) ON t.
        if on.is_some() && self.peek_token(&Token::LParen) {
            let columns = self.in_parens(|r| r.list(Self::ident))?;
            for (_, own) in &mut permissions {
                own.extend(columns.iter().cloned());
            }
        }
        if !(self.eat(&["TO"]) || (verb == Verb::Revoke && self.eat(&["FROM"]))) {
            return Err(self.unexpected());
        }
        let to = self.list(Self::ident)?;
        let with_option = self.eat(&["WITH", "GRANT", "OPTION"]);
        let cascade = self.eat(&["CASCADE"]);
        let grantor = if self.eat(&["AS"]) {
            Some(self.ident()?)
        } else {
            None
        };
        Ok(Kind::Security(Security::Permission {
            verb,
            permissions,
            on,
            to,
            grant_option: grant_option || with_option,
            cascade,
            grantor,
        }))
    }

    fn permission_name(&mut self) -> SqlResult<(String, Vec<Ident>)> {
        let mut words = Vec::new();
        while let Some(word) = self.word_at(0) {
            if matches!(word.as_str(), "ON" | "TO" | "FROM") {
                break;
            }
            words.push(word);
            self.parser().advance_token();
        }
        if words.is_empty() {
            return Err(self.unexpected());
        }
        let columns = if self.peek_token(&Token::LParen) {
            self.in_parens(|r| r.list(Self::ident))?
        } else {
            Vec::new()
        };
        Ok((words.join(" "), columns))
    }

    fn target(&mut self) -> SqlResult<Target> {
        let mut class = "OBJECT".to_owned();
        if matches!(
            self.parser().peek_nth_token_ref(1).token,
            Token::DoubleColon
        ) {
            class = self.word_at(0).ok_or_else(|| self.unexpected())?;
            self.parser().advance_token();
            self.parser().advance_token();
        }
        let mut parts = vec![ObjectNamePart::Identifier(self.ident()?)];
        while self.eat_token(&Token::Period) {
            parts.push(ObjectNamePart::Identifier(self.ident()?));
        }
        Ok(Target {
            class,
            name: ObjectName(parts),
        })
    }
}
