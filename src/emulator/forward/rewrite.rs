//! `CREATE USER` for Entra principals, put into what a server without Entra understands: a user
//! without login that carries the principal's SID as an extended property. Everything else in a
//! batch passes as it is.

use uuid::Uuid;

use super::context::{PROPERTY, hex, literal};
use super::lexer::{Kind, Lexeme, lexemes};
use crate::emulator::{Directory, EntraPrincipal};
use crate::tds::ServerMessage;

/// A statement that makes a user for an Entra principal.
struct CreateUser {
    start: usize,
    end: usize,
    /// The name as it is written.
    written: String,
    name: String,
    /// As it is written.
    schema: Option<String>,
    who: Who,
}

/// Which principal.
enum Who {
    Named,
    ObjectId(String),
    Sid(Vec<u8>),
}

/// The batch with its statements put into others; `None` if there is none to put.
///
/// # Errors
/// What Azure SQL says of a principal that the tenant does not know. The batch is not run then.
pub(super) fn rewritten(
    sql: &str,
    directory: &dyn Directory,
) -> Result<Option<String>, ServerMessage> {
    if !may_concern(sql) {
        return Ok(None);
    }
    let tokens = lexemes(sql);
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < tokens.len() {
        let rest = tokens.get(at..).unwrap_or_default();
        let Some((statement, used)) = Parser::new(sql, rest).create_user() else {
            at += 1;
            continue;
        };
        let sid = sid_of(&statement, directory)?;
        out.push_str(sql.get(copied..statement.start).unwrap_or_default());
        out.push_str(&replacement(&statement, &sid));
        let replaced = sql.get(statement.start..statement.end).unwrap_or_default();
        // Errors that come later keep their line numbers.
        out.extend(replaced.chars().filter(|c| *c == '\n'));
        copied = statement.end;
        at += used;
    }
    if copied == 0 {
        return Ok(None);
    }
    out.push_str(sql.get(copied..).unwrap_or_default());
    Ok(Some(out))
}

/// A quick look, since nearly no batch makes users.
fn may_concern(sql: &str) -> bool {
    let has = |word: &str| {
        sql.as_bytes()
            .windows(word.len())
            .any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
    };
    has("user") && (has("external") || has("sid"))
}

fn sid_of(statement: &CreateUser, directory: &dyn Directory) -> Result<Vec<u8>, ServerMessage> {
    let error = |number, text: String| ServerMessage::new(number, 1, 16, text);
    let name = &statement.name;
    let unknown = || {
        error(
            33130,
            format!(
                "Principal '{name}' could not be found or this principal type is not supported."
            ),
        )
    };
    let found = match &statement.who {
        Who::Sid(sid) if sid.len() == 16 => return Ok(sid.clone()),
        Who::Sid(_) => {
            let text = "Invalid value given for parameter SID. Specify a valid parameter value.";
            return Err(error(15021, text.to_owned()));
        }
        Who::ObjectId(id) => Uuid::try_parse(id)
            .ok()
            .and_then(|id| directory.find_by_object_id(id)),
        Who::Named => {
            let mut found = directory.find_all_by_name(name);
            if found.len() > 1 {
                let text = format!(
                    "Principal '{name}' has a duplicate display name. Make the display name unique in Azure Active Directory and execute this statement again."
                );
                return Err(error(33131, text));
            }
            found.pop()
        }
    };
    let found: EntraPrincipal = found.ok_or_else(unknown)?;
    Ok(found.sid().to_vec())
}

/// One statement in place of one statement, so that an IF before it still holds for all of it.
fn replacement(statement: &CreateUser, sid: &[u8]) -> String {
    let CreateUser {
        written,
        name,
        schema,
        ..
    } = statement;
    let (sid, name) = (hex(sid), literal(name));
    let schema = match schema {
        Some(schema) => format!(" WITH DEFAULT_SCHEMA = {schema}"),
        None => String::new(),
    };
    format!(
        "BEGIN IF EXISTS (SELECT * FROM sys.extended_properties WHERE class = 4 AND \
         name = N'{PROPERTY}' AND CAST(value AS varbinary(85)) = {sid}) RAISERROR(15063, 16, 1) \
         ELSE BEGIN CREATE USER {written} WITHOUT LOGIN{schema}; IF @@ERROR = 0 \
         EXEC sys.sp_addextendedproperty @name = N'{PROPERTY}', @value = {sid}, \
         @level0type = N'USER', @level0name = {name} END END"
    )
}

/// Reads a statement off the front of the tokens.
struct Parser<'a> {
    sql: &'a str,
    tokens: &'a [Lexeme],
    at: usize,
}

impl<'a> Parser<'a> {
    fn new(sql: &'a str, tokens: &'a [Lexeme]) -> Self {
        Self { sql, tokens, at: 0 }
    }

    /// The statement and how many tokens it has; `None` if this is no such statement, or one with
    /// options that the server had better judge itself.
    fn create_user(mut self) -> Option<(CreateUser, usize)> {
        let start = self.tokens.first()?.start;
        self.word("CREATE")?;
        self.word("USER")?;
        let (written, name) = self.name()?;
        let external = self.word("FROM").is_some();
        if external {
            self.word("EXTERNAL")?;
            self.word("PROVIDER")?;
        }
        let mut who = external.then_some(Who::Named);
        let (mut schema, mut typed) = (None, false);
        if self.word("WITH").is_some() {
            loop {
                let option = self.option()?;
                self.symbol('=')?;
                match option.as_str() {
                    "DEFAULT_SCHEMA" => schema = Some(self.name()?.0),
                    "OBJECT_ID" if external => who = Some(Who::ObjectId(self.text()?)),
                    "SID" if !external => who = Some(Who::Sid(self.binary()?)),
                    "TYPE" if !external => {
                        typed = matches!(self.option()?.as_str(), "E" | "X");
                    }
                    _ => return None,
                }
                if self.symbol(',').is_none() {
                    break;
                }
            }
        }
        let who = who.filter(|_| external || typed)?;
        let end = self.tokens.get(self.at.checked_sub(1)?)?.end;
        let statement = CreateUser {
            start,
            end,
            written,
            name,
            schema,
            who,
        };
        Some((statement, self.at))
    }

    fn peek(&self) -> Option<&'a Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn word(&mut self, wanted: &str) -> Option<()> {
        match self.peek()? {
            Kind::Word(word) if word.eq_ignore_ascii_case(wanted) => self.at += 1,
            _ => return None,
        }
        Some(())
    }

    fn symbol(&mut self, wanted: char) -> Option<()> {
        match self.peek()? {
            Kind::Symbol(symbol) if *symbol == wanted => self.at += 1,
            _ => return None,
        }
        Some(())
    }

    /// A name as it is written and as it is meant.
    fn name(&mut self) -> Option<(String, String)> {
        let token = self.tokens.get(self.at)?;
        let name = match &token.kind {
            Kind::Word(name) if !name.starts_with('@') => name.clone(),
            Kind::Quoted(name) => name.clone(),
            _ => return None,
        };
        self.at += 1;
        let written = self.sql.get(token.start..token.end)?.to_owned();
        Some((written, name))
    }

    /// A word in capitals.
    fn option(&mut self) -> Option<String> {
        let Kind::Word(word) = self.peek()? else {
            return None;
        };
        self.at += 1;
        Some(word.to_uppercase())
    }

    fn text(&mut self) -> Option<String> {
        let Kind::Text(text) = self.peek()? else {
            return None;
        };
        self.at += 1;
        Some(text.clone())
    }

    fn binary(&mut self) -> Option<Vec<u8>> {
        let Kind::Word(word) = self.peek()? else {
            return None;
        };
        let digits = word
            .strip_prefix("0x")
            .or_else(|| word.strip_prefix("0X"))?;
        let digits: Vec<u32> = digits
            .chars()
            .map(|c| c.to_digit(16))
            .collect::<Option<_>>()?;
        let (pairs, []) = digits.as_chunks::<2>() else {
            return None;
        };
        self.at += 1;
        let byte = |[high, low]: &[u32; 2]| u8::try_from(high << 4 | low).ok();
        pairs.iter().map(byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::{EntraKind, InMemoryDirectory};

    fn directory() -> InMemoryDirectory {
        let directory = InMemoryDirectory::new();
        let id = Uuid::from_u128(1);
        let object = Uuid::from_u128(2);
        directory.insert(EntraPrincipal::application(
            EntraKind::ManagedIdentity,
            "o'rders",
            Uuid::nil(),
            id,
            object,
        ));
        directory
    }

    fn put(sql: &str) -> Option<String> {
        rewritten(sql, &directory()).unwrap()
    }

    #[test]
    fn users_of_the_provider_get_the_sid_of_their_principal() {
        let sql = "if 1=1 CREATE USER [o'rders]\n FROM EXTERNAL PROVIDER WITH DEFAULT_SCHEMA=[a b];\nselect 1";
        let put = put(sql).unwrap();
        assert!(put.starts_with("if 1=1 BEGIN IF EXISTS"), "{put}");
        assert!(put.ends_with("END END\n;\nselect 1"), "{put}");
        let parts = [
            "CREATE USER [o'rders] WITHOUT LOGIN WITH DEFAULT_SCHEMA = [a b];",
            "@value = 0x00000000000000000000000000000001,",
            "@level0name = N'o''rders' END END",
        ];
        for part in parts {
            assert!(put.contains(part), "{part} in {put}");
        }
    }

    #[test]
    fn users_by_sid_and_by_object_id_are_known_too() {
        let sid = "00112233445566778899AABBCCDDEEFF";
        for kind in ["E", "x"] {
            let sql = format!("create user u with sid=0x{sid} , type = {kind}");
            assert!(put(&sql).unwrap().contains(&format!("@value = 0x{sid}")));
        }
        let sql = "CREATE USER \"any name\" FROM EXTERNAL PROVIDER WITH OBJECT_ID = '00000000-0000-0000-0000-000000000002'";
        assert!(put(sql).unwrap().contains("N'any name'"));
        let two = "create user a with sid=0x00112233445566778899AABBCCDDEEFF,type=E create user b with sid=0x00112233445566778899AABBCCDDEEFE,type=X";
        assert_eq!(put(two).unwrap().matches("WITHOUT LOGIN").count(), 2);
    }

    #[test]
    fn what_is_not_such_a_statement_stays_as_it_is() {
        for sql in [
            "CREATE USER u WITHOUT LOGIN -- no sid",
            "CREATE USER u WITH PASSWORD = 'x', SID = 0x0011",
            "CREATE USER u WITH SID = 0x00112233445566778899AABBCCDDEEFF",
            "PRINT 'CREATE USER [o''rders] FROM EXTERNAL PROVIDER'",
            "/* CREATE USER [o'rders] FROM EXTERNAL PROVIDER */ SELECT 1",
            "-- CREATE USER [o'rders] FROM EXTERNAL PROVIDER",
            "SELECT [CREATE USER x FROM EXTERNAL PROVIDER] FROM t",
            "GRANT CREATE USER TO external_sid",
            "CREATE USER @u FROM EXTERNAL PROVIDER",
            "CREATE LOGIN user1 FROM EXTERNAL PROVIDER",
            "CREATE USER u FROM EXTERNAL PROVIDER WITH NONSENSE = 1",
        ] {
            assert_eq!(put(sql), None, "{sql}");
        }
    }

    #[test]
    fn unknown_principals_are_refused_in_azures_words() {
        let number = |sql: &str| rewritten(sql, &directory()).unwrap_err().number;
        assert_eq!(number("CREATE USER nobody FROM EXTERNAL PROVIDER"), 33130);
        assert_eq!(number("CREATE USER u WITH SID = 0x01, TYPE = E"), 15021);
        let directory = directory();
        let object = Uuid::from_u128(9);
        let person =
            EntraPrincipal::person_or_group(EntraKind::User, "O'RDERS", Uuid::nil(), object);
        directory.insert(person);
        let twice = rewritten("CREATE USER [o'rders] FROM EXTERNAL PROVIDER", &directory);
        assert_eq!(twice.unwrap_err().number, 33131);
    }
}
