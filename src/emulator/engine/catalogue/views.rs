//! Catalogue views: `sys.tables` and its kin, as queries on the engine's own tables.

use super::super::planner::scope::SourceColumn;
use super::super::session::State;
use super::super::types::SqlType;
use super::tables::same_name;

use SqlType as T;

/// A view that every database has.
pub(crate) struct SystemView {
    pub(crate) schema: &'static str,
    name: &'static str,
    columns: &'static [(&'static str, SqlType)],
    /// A SELECT with the columns in order; `{d}` is the database, `{…}` the session's values.
    query: &'static str,
}

const NAME: SqlType = T::NVarChar(128);
const BIN: SqlType = T::VarBinary(85);

impl SystemView {
    pub(crate) fn columns(&self) -> Vec<SourceColumn> {
        self.columns
            .iter()
            .enumerate()
            .map(|(index, (name, ty))| SourceColumn {
                name: (*name).to_owned(),
                sql: format!("c{}", index + 1),
                ty: *ty,
                nullable: true,
                identity: false,
            })
            .collect()
    }

    /// The query with the session's values filled in, its columns called c1, c2 and so on.
    pub(crate) fn sql(&self, state: &State, now: i64) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let databases: Vec<String> = state
            .shared
            .store
            .all()
            .iter()
            .map(|d| format!("({},{})", d.id, quoted(&d.name)))
            .collect();
        let text = self
            .query
            .replace("{d}", &state.database.alias())
            .replace("{db}", &quoted(&state.database.name))
            .replace("{spid}", &state.spid.to_string())
            .replace("{login}", &quoted(&state.login_name))
            .replace("{isolation}", &(state.isolation as i64).to_string())
            .replace("{tran}", &state.tran.count.to_string())
            .replace(
                "{now}",
                &super::super::types::datetime::round_datetime(now).to_string(),
            )
            .replace("{databases}", &databases.join(","));
        let names: Vec<String> = (1..=self.columns.len()).map(|n| format!("c{n}")).collect();
        let view = format!("v{}", state.spid);
        format!(
            "WITH {view}({0}) AS ({text}) SELECT {0} FROM {view}",
            names.join(",")
        )
    }
}

/// Finds a catalogue view; without a schema there is none.
pub(crate) fn find(schema: Option<&str>, name: &str) -> Option<&'static SystemView> {
    let schema = schema?;
    VIEWS
        .iter()
        .find(|v| same_name(v.schema, schema) && same_name(v.name, name))
}

/// Whether the schema belongs to the system.
pub(crate) fn is_system_schema(name: &str) -> bool {
    same_name(name, "sys") || same_name(name, "INFORMATION_SCHEMA")
}

const VIEWS: &[SystemView] = &[
    SystemView {
        schema: "sys",
        name: "databases",
        columns: &[
            ("name", NAME),
            ("database_id", T::Int),
            ("create_date", T::DateTime),
            ("compatibility_level", T::TinyInt),
            ("collation_name", NAME),
            ("user_access", T::TinyInt),
            ("is_read_only", T::Bit),
            ("state", T::TinyInt),
            ("state_desc", T::NVarChar(60)),
            ("snapshot_isolation_state", T::TinyInt),
            ("is_read_committed_snapshot_on", T::Bit),
            ("containment", T::TinyInt),
        ],
        query: "SELECT column2,column1,{now},170,'SQL_Latin1_General_CP1_CI_AS',0,0,0,'ONLINE',1,1,0 FROM (VALUES {databases})",
    },
    SystemView {
        schema: "sys",
        name: "schemas",
        columns: &[
            ("name", NAME),
            ("schema_id", T::Int),
            ("principal_id", T::Int),
        ],
        query: "SELECT name,id,owner FROM {d}.\"~schemas\"",
    },
    SystemView {
        schema: "sys",
        name: "objects",
        columns: OBJECTS,
        query: "SELECT name,id,NULL,schema_id,parent,substr(kind||'  ',1,2),CASE kind WHEN 'U' THEN 'USER_TABLE' WHEN 'V' THEN 'VIEW' WHEN 'PK' THEN 'PRIMARY_KEY_CONSTRAINT' WHEN 'UQ' THEN 'UNIQUE_CONSTRAINT' WHEN 'C' THEN 'CHECK_CONSTRAINT' WHEN 'F' THEN 'FOREIGN_KEY_CONSTRAINT' ELSE 'DEFAULT_CONSTRAINT' END,created,modified,0 FROM {d}.\"~objects\"",
    },
    SystemView {
        schema: "sys",
        name: "tables",
        columns: OBJECTS,
        query: "SELECT name,id,NULL,schema_id,0,'U ','USER_TABLE',created,modified,0 FROM {d}.\"~objects\" WHERE kind='U'",
    },
    SystemView {
        schema: "sys",
        name: "views",
        columns: OBJECTS,
        query: "SELECT name,id,NULL,schema_id,0,'V ','VIEW',created,modified,0 FROM {d}.\"~objects\" WHERE kind='V'",
    },
    SystemView {
        schema: "sys",
        name: "columns",
        columns: &[
            ("object_id", T::Int),
            ("name", NAME),
            ("column_id", T::Int),
            ("system_type_id", T::TinyInt),
            ("user_type_id", T::Int),
            ("max_length", T::SmallInt),
            ("precision", T::TinyInt),
            ("scale", T::TinyInt),
            ("collation_name", NAME),
            ("is_nullable", T::Bit),
            ("is_identity", T::Bit),
            ("is_computed", T::Bit),
            ("default_object_id", T::Int),
        ],
        query: "SELECT object_id,name,id,t_type('id',type),t_type('id',type),t_type('length',type),t_type('precision',type),t_type('scale',type),t_type('collation',type),nullable,seed IS NOT NULL,0,0 FROM {d}.\"~columns\"",
    },
    SystemView {
        schema: "sys",
        name: "types",
        columns: &[
            ("name", NAME),
            ("system_type_id", T::TinyInt),
            ("user_type_id", T::Int),
            ("schema_id", T::Int),
            ("max_length", T::SmallInt),
            ("precision", T::TinyInt),
            ("scale", T::TinyInt),
            ("is_nullable", T::Bit),
            ("is_user_defined", T::Bit),
        ],
        query: "SELECT column2,column1,column1,4,column3,column4,column5,1,0 FROM (VALUES (36,'uniqueidentifier',16,0,0),(40,'date',3,10,0),(41,'time',5,16,7),(42,'datetime2',8,27,7),(43,'datetimeoffset',10,34,7),(48,'tinyint',1,3,0),(52,'smallint',2,5,0),(56,'int',4,10,0),(58,'smalldatetime',4,16,0),(59,'real',4,24,0),(60,'money',8,19,4),(61,'datetime',8,23,3),(62,'float',8,53,0),(104,'bit',1,1,0),(106,'decimal',17,38,38),(122,'smallmoney',4,10,4),(127,'bigint',8,19,0),(165,'varbinary',8000,0,0),(167,'varchar',8000,0,0),(173,'binary',8000,0,0),(175,'char',8000,0,0),(231,'nvarchar',8000,0,0),(239,'nchar',8000,0,0))",
    },
    SystemView {
        schema: "sys",
        name: "database_principals",
        columns: &[
            ("name", NAME),
            ("principal_id", T::Int),
            ("type", T::Char(1)),
            ("type_desc", T::NVarChar(60)),
            ("default_schema_name", NAME),
            ("create_date", T::DateTime),
            ("modify_date", T::DateTime),
            ("owning_principal_id", T::Int),
            ("sid", BIN),
            ("is_fixed_role", T::Bit),
            ("authentication_type", T::Int),
            ("authentication_type_desc", T::NVarChar(60)),
        ],
        query: "SELECT name,id,kind,CASE kind WHEN 'E' THEN 'EXTERNAL_USER' WHEN 'X' THEN 'EXTERNAL_GROUP' WHEN 'R' THEN 'DATABASE_ROLE' ELSE 'SQL_USER' END,default_schema,created,created,owner,sid,fixed,auth,CASE auth WHEN 1 THEN 'INSTANCE' WHEN 2 THEN 'DATABASE' WHEN 4 THEN 'EXTERNAL' ELSE 'NONE' END FROM {d}.\"~principals\"",
    },
    SystemView {
        schema: "sys",
        name: "database_role_members",
        columns: &[
            ("role_principal_id", T::Int),
            ("member_principal_id", T::Int),
        ],
        query: "SELECT role_id,member_id FROM {d}.\"~members\"",
    },
    SystemView {
        schema: "sys",
        name: "database_permissions",
        columns: &[
            ("class", T::TinyInt),
            ("class_desc", T::NVarChar(60)),
            ("major_id", T::Int),
            ("minor_id", T::Int),
            ("grantee_principal_id", T::Int),
            ("grantor_principal_id", T::Int),
            ("type", T::Char(4)),
            ("permission_name", NAME),
            ("state", T::Char(1)),
            ("state_desc", T::NVarChar(60)),
        ],
        query: "SELECT class,CASE class WHEN 0 THEN 'DATABASE' WHEN 1 THEN 'OBJECT_OR_COLUMN' ELSE 'SCHEMA' END,major,0,grantee,grantor,t_permission(permission),permission,state,CASE state WHEN 'D' THEN 'DENY' WHEN 'W' THEN 'GRANT_WITH_GRANT_OPTION' ELSE 'GRANT' END FROM {d}.\"~permissions\"",
    },
    SystemView {
        schema: "sys",
        name: "dm_exec_sessions",
        columns: &[
            ("session_id", T::SmallInt),
            ("login_time", T::DateTime),
            ("program_name", NAME),
            ("login_name", NAME),
            ("original_login_name", NAME),
            ("status", T::NVarChar(30)),
            ("transaction_isolation_level", T::SmallInt),
            ("open_transaction_count", T::Int),
            ("is_user_process", T::Bit),
            ("database_id", T::SmallInt),
        ],
        query: "SELECT {spid},{now},NULL,{login},{login},'running',{isolation},{tran},1,(SELECT column1 FROM (VALUES {databases}) WHERE column2={db})",
    },
    SystemView {
        schema: "INFORMATION_SCHEMA",
        name: "TABLES",
        columns: &[
            ("TABLE_CATALOG", NAME),
            ("TABLE_SCHEMA", NAME),
            ("TABLE_NAME", NAME),
            ("TABLE_TYPE", T::VarChar(10)),
        ],
        query: "SELECT {db},s.name,o.name,CASE o.kind WHEN 'U' THEN 'BASE TABLE' ELSE 'VIEW' END FROM {d}.\"~objects\" o JOIN {d}.\"~schemas\" s ON s.id=o.schema_id WHERE o.kind IN ('U','V')",
    },
    SystemView {
        schema: "INFORMATION_SCHEMA",
        name: "COLUMNS",
        columns: &[
            ("TABLE_CATALOG", NAME),
            ("TABLE_SCHEMA", NAME),
            ("TABLE_NAME", NAME),
            ("COLUMN_NAME", NAME),
            ("ORDINAL_POSITION", T::Int),
            ("COLUMN_DEFAULT", T::NVarChar(4000)),
            ("IS_NULLABLE", T::VarChar(3)),
            ("DATA_TYPE", NAME),
            ("CHARACTER_MAXIMUM_LENGTH", T::Int),
            ("NUMERIC_PRECISION", T::TinyInt),
            ("NUMERIC_SCALE", T::Int),
            ("DATETIME_PRECISION", T::SmallInt),
            ("COLLATION_NAME", NAME),
        ],
        query: "SELECT {db},s.name,o.name,c.name,c.id,'('||c.default_text||')',CASE c.nullable WHEN 1 THEN 'YES' ELSE 'NO' END,t_type('name',c.type),t_type('characters',c.type),t_type('digits',c.type),t_type('places',c.type),t_type('fraction',c.type),t_type('collation',c.type) FROM {d}.\"~columns\" c JOIN {d}.\"~objects\" o ON o.id=c.object_id JOIN {d}.\"~schemas\" s ON s.id=o.schema_id",
    },
    SystemView {
        schema: "INFORMATION_SCHEMA",
        name: "SCHEMATA",
        columns: &[
            ("CATALOG_NAME", NAME),
            ("SCHEMA_NAME", NAME),
            ("SCHEMA_OWNER", NAME),
        ],
        query: "SELECT {db},s.name,p.name FROM {d}.\"~schemas\" s LEFT JOIN {d}.\"~principals\" p ON p.id=s.owner",
    },
];

const OBJECTS: &[(&str, SqlType)] = &[
    ("name", NAME),
    ("object_id", T::Int),
    ("principal_id", T::Int),
    ("schema_id", T::Int),
    ("parent_object_id", T::Int),
    ("type", T::Char(2)),
    ("type_desc", T::NVarChar(60)),
    ("create_date", T::DateTime),
    ("modify_date", T::DateTime),
    ("is_ms_shipped", T::Bit),
];
