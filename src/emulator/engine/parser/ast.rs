//! Statements as this engine knows them; queries and expressions are sqlparser's.

use sqlparser::ast::{Cte, Expr, Ident, ObjectName, Query, SelectItem, TableWithJoins};

use super::super::session::state::Declared;
use super::super::types::SqlType;

/// `CREATE PROCEDURE`
#[derive(Clone, Debug)]
pub(crate) struct Procedure {
    pub(crate) name: ObjectName,
    pub(crate) parameters: Vec<(Declared, Option<Expr>)>,
    /// Its statements, on the lines where they stand in the batch.
    pub(crate) body: String,
}

/// A statement and the line on which it begins.
#[derive(Clone, Debug)]
pub(crate) struct Stmt {
    pub(crate) line: u32,
    pub(crate) kind: Kind,
}

/// What a statement does.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Block(Vec<Stmt>),
    If(Box<Expr>, Box<Stmt>, Option<Box<Stmt>>),
    While(Box<Expr>, Box<Stmt>),
    TryCatch(Vec<Stmt>, Vec<Stmt>),
    Break,
    Continue,
    Return(Option<Box<Expr>>),
    Declare(Vec<Declaration>),
    /// `DECLARE @t TABLE (…)`; the table's name is the variable's.
    DeclareTable(Box<CreateTable>),
    SetVariable(String, Box<Expr>),
    Set(SetOption),
    Print(Box<Expr>),
    RaiseError(Vec<Expr>, RaiseOptions),
    /// `DBCC CHECKIDENT (table, RESEED, value)`
    Reseed(String, i64),
    /// `WAITFOR DELAY 'hh:mm:ss'`
    WaitFor(Box<Expr>),
    /// DROP of what this engine has not, or as procedures of the session only.
    DropNothing {
        what: String,
        names: Vec<ObjectName>,
        if_exists: bool,
    },
    CreateProcedure(Box<Procedure>),
    Throw(Option<[Box<Expr>; 3]>),
    Exec(Exec),
    Use(Ident),
    Begin(TranName),
    Commit,
    Rollback(TranName),
    Save(TranName),
    Query(Box<Query>, QueryOptions),
    Insert(Box<Insert>),
    InsertBulk(Box<InsertBulk>),
    Update(Box<Update>),
    Delete(Box<Delete>),
    Truncate(ObjectName),
    CreateTable(Box<CreateTable>),
    DropTable {
        names: Vec<ObjectName>,
        if_exists: bool,
    },
    AlterTable(ObjectName, Box<AlterTable>),
    CreateIndex(CreateIndex),
    DropIndex {
        name: Ident,
        table: ObjectName,
        if_exists: bool,
    },
    CreateView {
        name: ObjectName,
        columns: Vec<Ident>,
        query: Box<Query>,
        how: ViewChange,
        /// The whole statement as the catalogue keeps it.
        source: String,
    },
    DropView {
        names: Vec<ObjectName>,
        if_exists: bool,
    },
    CreateSchema {
        name: Ident,
        owner: Option<Ident>,
    },
    DropSchema {
        name: Ident,
        if_exists: bool,
    },
    CreateDatabase(Ident),
    DropDatabase {
        name: Ident,
        if_exists: bool,
    },
    Security(Security),
    UserOptions,
}

/// `INSERT BULK`, which announces the rows of a bulk load.
#[derive(Clone, Debug)]
pub(crate) struct InsertBulk {
    pub(crate) table: ObjectName,
    /// The columns that get values and the types of these; none stands for all.
    pub(crate) columns: Vec<(Ident, SqlType)>,
    pub(crate) check_constraints: bool,
    pub(crate) keep_nulls: bool,
}

/// `WITH …` of RAISERROR.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RaiseOptions {
    /// Sends the message at once.
    pub(crate) now: bool,
    /// Sets @@ERROR whatever the severity.
    pub(crate) set_error: bool,
    pub(crate) log: bool,
}

/// `OPTION (…)` of a query.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QueryOptions {
    /// Steps of recursion; 0 is without end. Defaults to 100 when absent.
    pub(crate) max_recursion: Option<i64>,
}

/// One variable of DECLARE.
#[derive(Clone, Debug)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    pub(crate) ty: SqlType,
    pub(crate) value: Option<Expr>,
}

/// A transaction's or savepoint's name.
#[derive(Clone, Debug)]
pub(crate) enum TranName {
    None,
    Name(String),
    Variable(String),
}

/// SET options that are known.
#[derive(Clone, Debug)]
pub(crate) enum SetOption {
    NoCount(bool),
    XactAbort(bool),
    ImplicitTransactions(bool),
    NoExec(bool),
    FmtOnly(bool),
    RowCount(Box<Expr>),
    LockTimeout(Box<Expr>),
    TextSize(i64),
    DateFirst(Box<Expr>),
    IdentityInsert(ObjectName, bool),
    Isolation(super::super::session::state::Isolation),
    /// Accepted without effect here: it is already so.
    Accepted,
}

/// EXEC.
#[derive(Clone, Debug)]
pub(crate) enum Exec {
    /// `EXEC ('text' + @x)`
    Text(Box<Expr>),
    /// `EXEC name @a = 1, 2`
    Procedure {
        result: Option<String>,
        name: ObjectName,
        args: Vec<Arg>,
    },
}

/// An argument of EXEC.
#[derive(Clone, Debug)]
pub(crate) struct Arg {
    pub(crate) name: Option<String>,
    pub(crate) value: Expr,
    pub(crate) output: bool,
}

/// OUTPUT of a statement that changes rows.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) items: Vec<SelectItem>,
    pub(crate) into: Option<(ObjectName, Vec<Ident>)>,
}

/// Where inserted rows come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Query(Box<Query>),
    Defaults,
    /// Rows that dynamic SQL or a procedure returns.
    Exec(Exec),
}

#[derive(Clone, Debug)]
pub(crate) struct Insert {
    pub(crate) with: Vec<Cte>,
    pub(crate) top: Option<Expr>,
    pub(crate) table: ObjectName,
    pub(crate) columns: Vec<Ident>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) source: Source,
    pub(crate) options: QueryOptions,
}

#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub(crate) with: Vec<Cte>,
    pub(crate) top: Option<Expr>,
    pub(crate) table: ObjectName,
    pub(crate) sets: Vec<Assign>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) from: Vec<TableWithJoins>,
    pub(crate) filter: Option<Expr>,
    pub(crate) options: QueryOptions,
}

/// `column = value`, `@variable = value` or `@variable = column = value`.
#[derive(Clone, Debug)]
pub(crate) struct Assign {
    pub(crate) variable: Option<String>,
    pub(crate) column: Option<Ident>,
    /// None is DEFAULT.
    pub(crate) value: Option<Expr>,
}

#[derive(Clone, Debug)]
pub(crate) struct Delete {
    pub(crate) with: Vec<Cte>,
    pub(crate) top: Option<Expr>,
    pub(crate) table: ObjectName,
    pub(crate) outputs: Vec<Output>,
    pub(crate) from: Vec<TableWithJoins>,
    pub(crate) filter: Option<Expr>,
    pub(crate) options: QueryOptions,
}

#[derive(Clone, Debug)]
pub(crate) struct CreateTable {
    pub(crate) name: ObjectName,
    pub(crate) columns: Vec<Column>,
    pub(crate) constraints: Vec<Constraint>,
}

/// CREATE, CREATE OR ALTER or ALTER VIEW.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ViewChange {
    Create,
    CreateOrAlter,
    Alter,
}

/// What ALTER TABLE does.
#[derive(Clone, Debug)]
pub(crate) enum AlterTable {
    Add {
        columns: Vec<Column>,
        constraints: Vec<Constraint>,
        /// Without WITH NOCHECK: the rows that are there must keep the new constraints, too.
        checked: bool,
    },
    Column {
        name: Ident,
        ty: SqlType,
        nullable: bool,
    },
    Drop(Vec<Dropped>),
}

/// A column or constraint that ALTER TABLE drops.
#[derive(Clone, Debug)]
pub(crate) struct Dropped {
    pub(crate) column: bool,
    pub(crate) name: Ident,
    pub(crate) if_exists: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: Ident,
    pub(crate) ty: SqlType,
    pub(crate) nullable: Option<bool>,
    pub(crate) identity: Option<(i64, i64)>,
    pub(crate) default: Option<(Option<Ident>, Expr)>,
    pub(crate) constraints: Vec<Constraint>,
}

#[derive(Clone, Debug)]
pub(crate) struct Constraint {
    pub(crate) name: Option<Ident>,
    pub(crate) kind: ConstraintKind,
}

#[derive(Clone, Debug)]
pub(crate) enum ConstraintKind {
    PrimaryKey(Vec<(Ident, bool)>),
    Unique(Vec<(Ident, bool)>),
    Check(Expr),
    /// `DEFAULT value FOR column` of ALTER TABLE.
    Default(Ident, Expr),
    ForeignKey {
        columns: Vec<Ident>,
        table: ObjectName,
        parent: Vec<Ident>,
        actions: String,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct CreateIndex {
    pub(crate) name: Ident,
    pub(crate) table: ObjectName,
    pub(crate) unique: bool,
    pub(crate) columns: Vec<(Ident, bool)>,
    /// WHERE of a filtered index.
    pub(crate) filter: Option<Expr>,
}

/// Users, roles, permissions.
#[derive(Clone, Debug)]
pub(crate) enum Security {
    CreateUser {
        name: Ident,
        how: UserKind,
        schema: Option<Ident>,
    },
    DropUser {
        name: Ident,
        if_exists: bool,
    },
    AlterUser {
        name: Ident,
        new_name: Option<Ident>,
        schema: Option<Ident>,
        login: Option<Ident>,
    },
    CreateRole {
        name: Ident,
        owner: Option<Ident>,
    },
    DropRole {
        name: Ident,
        if_exists: bool,
    },
    AlterRole {
        role: Ident,
        member: Ident,
        add: bool,
    },
    RenameRole {
        role: Ident,
        new_name: Ident,
    },
    CreateLogin {
        name: Ident,
        password: Option<String>,
        external: bool,
    },
    DropLogin {
        name: Ident,
    },
    Permission {
        verb: Verb,
        permissions: Vec<(String, Vec<Ident>)>,
        on: Option<Target>,
        to: Vec<Ident>,
        grant_option: bool,
        cascade: bool,
        grantor: Option<Ident>,
    },
    /// ALTER AUTHORIZATION; without a name the owner of the schema.
    Authorization {
        on: Target,
        owner: Option<Ident>,
    },
    ExecuteAs(AsWho, Ending),
    /// With the cookie, if one is given.
    Revert(Option<Box<Expr>>),
}

/// How CREATE USER says who the user is.
#[derive(Clone, Debug)]
pub(crate) enum UserKind {
    External {
        object_id: Option<String>,
    },
    Sid {
        sid: Vec<u8>,
        external_type: Option<char>,
    },
    Login(Ident),
    Password(String),
    WithoutLogin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Grant,
    Deny,
    Revoke,
}

/// `ON [class::]name`.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) class: String,
    pub(crate) name: ObjectName,
}

/// EXECUTE AS.
#[derive(Clone, Debug)]
pub(crate) enum AsWho {
    Caller,
    User(String),
}

/// How a context that EXECUTE AS enters is left again.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// By REVERT.
    Revert,
    /// Not at all.
    NoRevert,
    /// By REVERT WITH COOKIE; the cookie goes into this variable.
    Cookie(String),
}
