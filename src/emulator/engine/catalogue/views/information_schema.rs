//! The standard's views.

use super::SystemView;
use super::keys::referred_index;

pub(super) const VIEWS: &[SystemView] = &[
    SystemView::information(
        "TABLES",
        "TABLE_CATALOG nvarchar(128)?,TABLE_SCHEMA sysname?,TABLE_NAME sysname,TABLE_TYPE varchar(10)?",
        "SELECT {db},s.name,o.name,CASE o.kind WHEN 'U' THEN 'BASE TABLE' ELSE 'VIEW' END FROM {objects} o \
         JOIN {d}.\"~schemas\" s ON s.id=o.schema_id WHERE o.kind IN ('U','V')",
    ),
    SystemView::information(
        "VIEWS",
        "TABLE_CATALOG nvarchar(128)?,TABLE_SCHEMA nvarchar(128)?,TABLE_NAME sysname,\
         VIEW_DEFINITION nvarchar(4000)?,CHECK_OPTION varchar(7)?,IS_UPDATABLE varchar(2)",
        "SELECT {db},s.name,o.name,CASE WHEN length(o.source)<=4000 THEN o.source END,'NONE','NO' FROM {objects} o \
         JOIN {d}.\"~schemas\" s ON s.id=o.schema_id WHERE o.kind='V'",
    ),
    SystemView::information(
        "COLUMNS",
        "TABLE_CATALOG nvarchar(128)?,TABLE_SCHEMA nvarchar(128)?,TABLE_NAME sysname,COLUMN_NAME sysname?,\
         ORDINAL_POSITION int?,COLUMN_DEFAULT nvarchar(4000)?,IS_NULLABLE varchar(3)?,\
         DATA_TYPE nvarchar(128)?,CHARACTER_MAXIMUM_LENGTH int?,CHARACTER_OCTET_LENGTH int?,\
         NUMERIC_PRECISION tinyint?,NUMERIC_PRECISION_RADIX smallint?,NUMERIC_SCALE int?,\
         DATETIME_PRECISION smallint?,CHARACTER_SET_CATALOG sysname?,CHARACTER_SET_SCHEMA sysname?,\
         CHARACTER_SET_NAME sysname?,COLLATION_CATALOG sysname?,COLLATION_SCHEMA sysname?,\
         COLLATION_NAME sysname?,DOMAIN_CATALOG sysname?,DOMAIN_SCHEMA sysname?,DOMAIN_NAME sysname?",
        "SELECT {db},s.name,o.name,c.name,row_number() OVER (PARTITION BY c.object_id ORDER BY c.id),\
         (SELECT d.definition FROM {d}.\"~objects\" d WHERE d.parent=c.object_id AND d.kind='D' AND \
         d.name=c.default_name),CASE c.nullable WHEN 1 THEN 'YES' ELSE 'NO' END,t_type('name',c.type),\
         t_type('characters',c.type),t_type('octets',c.type),t_type('digits',c.type),t_type('radix',c.type),\
         t_type('places',c.type),t_type('fraction',c.type),NULL,NULL,t_type('charset',c.type),NULL,NULL,\
         t_type('collation',c.type),NULL,NULL,NULL FROM {d}.\"~columns\" c JOIN {objects} o ON o.id=c.object_id \
         JOIN {d}.\"~schemas\" s ON s.id=o.schema_id",
    ),
    SystemView::information(
        "SCHEMATA",
        "CATALOG_NAME sysname?,SCHEMA_NAME nvarchar(128),SCHEMA_OWNER nvarchar(128)?,\
         DEFAULT_CHARACTER_SET_CATALOG varchar(6)?,DEFAULT_CHARACTER_SET_SCHEMA varchar(3)?,\
         DEFAULT_CHARACTER_SET_NAME sysname?",
        "SELECT {db},s.name,p.name,NULL,NULL,'iso_1' FROM {schemas} s LEFT JOIN {d}.\"~principals\" p ON p.id=s.owner",
    ),
    SystemView::information(
        "TABLE_CONSTRAINTS",
        "CONSTRAINT_CATALOG nvarchar(128)?,CONSTRAINT_SCHEMA nvarchar(128)?,CONSTRAINT_NAME sysname,\
         TABLE_CATALOG nvarchar(128)?,TABLE_SCHEMA nvarchar(128)?,TABLE_NAME sysname?,\
         CONSTRAINT_TYPE varchar(11)?,IS_DEFERRABLE varchar(2),INITIALLY_DEFERRED varchar(2)",
        "SELECT {db},s.name,o.name,{db},s.name,t.name,CASE o.kind WHEN 'C' THEN 'CHECK' WHEN 'UQ' THEN 'UNIQUE' \
         WHEN 'PK' THEN 'PRIMARY KEY' ELSE 'FOREIGN KEY' END,'NO','NO' FROM {objects} o \
         JOIN {d}.\"~objects\" t ON t.id=o.parent JOIN {d}.\"~schemas\" s ON s.id=t.schema_id \
         WHERE o.kind IN ('C','UQ','PK','F')",
    ),
    SystemView::information(
        "KEY_COLUMN_USAGE",
        "CONSTRAINT_CATALOG nvarchar(128)?,CONSTRAINT_SCHEMA nvarchar(128)?,CONSTRAINT_NAME nvarchar(128),\
         TABLE_CATALOG nvarchar(128)?,TABLE_SCHEMA nvarchar(128)?,TABLE_NAME nvarchar(128),\
         COLUMN_NAME nvarchar(128)?,ORDINAL_POSITION int",
        "SELECT {db},s.name,o.name,{db},s.name,t.name,c.name,k.ordinal FROM {objects} o \
         JOIN {d}.\"~objects\" t ON t.id=o.parent JOIN {d}.\"~schemas\" s ON s.id=t.schema_id \
         JOIN {d}.\"~indexes\" i ON i.object_id=t.id AND i.name=o.name \
         JOIN {d}.\"~index_columns\" k ON k.object_id=t.id AND k.index_id=i.id \
         JOIN {d}.\"~columns\" c ON c.object_id=t.id AND c.id=k.column_id WHERE o.kind IN ('PK','UQ') UNION ALL \
         SELECT {db},s.name,o.name,{db},s.name,t.name,c.name,k.ordinal FROM {objects} o \
         JOIN {d}.\"~objects\" t ON t.id=o.parent JOIN {d}.\"~schemas\" s ON s.id=t.schema_id \
         JOIN {d}.\"~foreign_key_columns\" k ON k.id=o.id \
         JOIN {d}.\"~columns\" c ON c.object_id=t.id AND c.id=k.parent_column WHERE o.kind='F'",
    ),
    SystemView::information(
        "REFERENTIAL_CONSTRAINTS",
        "CONSTRAINT_CATALOG nvarchar(128)?,CONSTRAINT_SCHEMA nvarchar(128)?,CONSTRAINT_NAME sysname,\
         UNIQUE_CONSTRAINT_CATALOG nvarchar(128)?,UNIQUE_CONSTRAINT_SCHEMA nvarchar(128)?,\
         UNIQUE_CONSTRAINT_NAME sysname?,MATCH_OPTION varchar(7)?,UPDATE_RULE varchar(11)?,\
         DELETE_RULE varchar(11)?",
        concat!(
            "SELECT {db},s.name,o.name,{db},(SELECT rs.name FROM {d}.\"~objects\" r JOIN {d}.\"~schemas\" rs ON \
             rs.id=r.schema_id WHERE r.id=f.referenced),(SELECT n.name FROM {d}.\"~indexes\" n WHERE \
             n.object_id=f.referenced AND n.id=",
            referred_index!(),
            "),'SIMPLE',replace(CASE f.on_update {actions},'_',' '),replace(CASE f.on_delete {actions},'_',' ') \
             FROM {objects} o JOIN {d}.\"~schemas\" s ON s.id=o.schema_id JOIN {d}.\"~foreign_keys\" f ON f.id=o.id"
        ),
    ),
    SystemView::information(
        "CONSTRAINT_COLUMN_USAGE",
        "TABLE_CATALOG nvarchar(128)?,TABLE_SCHEMA nvarchar(128)?,TABLE_NAME nvarchar(128),\
         COLUMN_NAME nvarchar(128)?,CONSTRAINT_CATALOG nvarchar(128)?,CONSTRAINT_SCHEMA nvarchar(128)?,\
         CONSTRAINT_NAME nvarchar(128)",
        "SELECT {db},s.name,t.name,c.name,{db},s.name,o.name FROM {objects} o \
         JOIN {d}.\"~objects\" t ON t.id=o.parent JOIN {d}.\"~schemas\" s ON s.id=t.schema_id \
         JOIN {d}.\"~indexes\" i ON i.object_id=t.id AND i.name=o.name \
         JOIN {d}.\"~index_columns\" k ON k.object_id=t.id AND k.index_id=i.id \
         JOIN {d}.\"~columns\" c ON c.object_id=t.id AND c.id=k.column_id WHERE o.kind IN ('PK','UQ') UNION ALL \
         SELECT {db},s.name,t.name,c.name,{db},s.name,o.name FROM {objects} o \
         JOIN {d}.\"~objects\" t ON t.id=o.parent JOIN {d}.\"~schemas\" s ON s.id=t.schema_id \
         JOIN {d}.\"~foreign_key_columns\" k ON k.id=o.id \
         JOIN {d}.\"~columns\" c ON c.object_id=t.id AND c.id=k.parent_column WHERE o.kind='F' UNION ALL \
         SELECT {db},s.name,t.name,c.name,{db},s.name,o.name FROM {objects} o \
         JOIN {d}.\"~objects\" t ON t.id=o.parent JOIN {d}.\"~schemas\" s ON s.id=t.schema_id \
         JOIN {d}.\"~columns\" c ON c.object_id=t.id AND \
         instr(lower(o.definition),'['||lower(replace(c.name,']',']]'))||']')>0 WHERE o.kind='C'",
    ),
    SystemView::information(
        "CONSTRAINT_TABLE_USAGE",
        "TABLE_CATALOG nvarchar(128)?,TABLE_SCHEMA nvarchar(128)?,TABLE_NAME sysname,\
         CONSTRAINT_CATALOG nvarchar(128)?,CONSTRAINT_SCHEMA nvarchar(128)?,CONSTRAINT_NAME sysname",
        "SELECT {db},s.name,t.name,{db},s.name,o.name FROM {objects} o JOIN {d}.\"~objects\" t ON t.id=o.parent \
         JOIN {d}.\"~schemas\" s ON s.id=t.schema_id WHERE o.kind IN ('C','UQ','PK','F')",
    ),
    SystemView::information(
        "CHECK_CONSTRAINTS",
        "CONSTRAINT_CATALOG nvarchar(128)?,CONSTRAINT_SCHEMA nvarchar(128)?,CONSTRAINT_NAME sysname,\
         CHECK_CLAUSE nvarchar(4000)?",
        "SELECT {db},s.name,o.name,o.definition FROM {objects} o JOIN {d}.\"~schemas\" s ON s.id=o.schema_id \
         WHERE o.kind='C'",
    ),
    SystemView::information(
        "ROUTINES",
        "SPECIFIC_CATALOG nvarchar(128)?,SPECIFIC_SCHEMA nvarchar(128)?,SPECIFIC_NAME nvarchar(128),\
         ROUTINE_CATALOG nvarchar(128)?,ROUTINE_SCHEMA nvarchar(128)?,ROUTINE_NAME nvarchar(128),\
         ROUTINE_TYPE nvarchar(20)?,DATA_TYPE sysname?,ROUTINE_DEFINITION nvarchar(4000)?,CREATED datetime,\
         LAST_ALTERED datetime",
        "SELECT NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL WHERE 0",
    ),
    SystemView::information(
        "PARAMETERS",
        "SPECIFIC_CATALOG nvarchar(128)?,SPECIFIC_SCHEMA nvarchar(128)?,SPECIFIC_NAME nvarchar(128),\
         ORDINAL_POSITION int,PARAMETER_MODE nvarchar(10)?,IS_RESULT nvarchar(10)?,AS_LOCATOR nvarchar(10)?,\
         PARAMETER_NAME sysname?,DATA_TYPE nvarchar(128)?,CHARACTER_MAXIMUM_LENGTH int?",
        "SELECT NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL WHERE 0",
    ),
    SystemView::information(
        "DOMAINS",
        "DOMAIN_CATALOG nvarchar(128)?,DOMAIN_SCHEMA nvarchar(128)?,DOMAIN_NAME sysname,DATA_TYPE sysname?",
        "SELECT NULL,NULL,NULL,NULL WHERE 0",
    ),
    SystemView::information(
        "SEQUENCES",
        "SEQUENCE_CATALOG nvarchar(128)?,SEQUENCE_SCHEMA nvarchar(128)?,SEQUENCE_NAME sysname,\
         DATA_TYPE nvarchar(128)?,CYCLE_OPTION bit?",
        "SELECT NULL,NULL,NULL,NULL,NULL WHERE 0",
    ),
    SystemView::information(
        "TABLE_PRIVILEGES",
        "GRANTOR nvarchar(128)?,GRANTEE nvarchar(128)?,TABLE_CATALOG nvarchar(128)?,\
         TABLE_SCHEMA nvarchar(128)?,TABLE_NAME sysname,PRIVILEGE_TYPE varchar(10)?,IS_GRANTABLE varchar(3)?",
        "SELECT g.name,e.name,{db},s.name,o.name,r.permission,CASE r.state WHEN 'W' THEN 'YES' ELSE 'NO' END \
         FROM {permissions} r JOIN {objects} o ON o.id=r.major JOIN {d}.\"~schemas\" s ON s.id=o.schema_id \
         JOIN {d}.\"~principals\" g ON g.id=r.grantor JOIN {d}.\"~principals\" e ON e.id=r.grantee \
         WHERE r.class=1 AND r.minor=0 AND r.state IN ('G','W') AND \
         r.permission IN ('SELECT','INSERT','UPDATE','DELETE','REFERENCES')",
    ),
    SystemView::information(
        "COLUMN_PRIVILEGES",
        "GRANTOR nvarchar(128)?,GRANTEE nvarchar(128)?,TABLE_CATALOG nvarchar(128)?,\
         TABLE_SCHEMA nvarchar(128)?,TABLE_NAME sysname,COLUMN_NAME sysname?,PRIVILEGE_TYPE varchar(10)?,\
         IS_GRANTABLE varchar(3)?",
        "SELECT g.name,e.name,{db},s.name,o.name,c.name,r.permission,CASE r.state WHEN 'W' THEN 'YES' ELSE 'NO' END \
         FROM {permissions} r JOIN {objects} o ON o.id=r.major JOIN {d}.\"~schemas\" s ON s.id=o.schema_id \
         JOIN {d}.\"~columns\" c ON c.object_id=o.id AND r.minor IN (0,c.id) \
         JOIN {d}.\"~principals\" g ON g.id=r.grantor JOIN {d}.\"~principals\" e ON e.id=r.grantee \
         WHERE r.class=1 AND r.state IN ('G','W') AND r.permission IN ('SELECT','UPDATE','REFERENCES')",
    ),
];
