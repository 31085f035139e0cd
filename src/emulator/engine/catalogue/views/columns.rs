//! Columns and types.

use super::SystemView;

/// The columns of `sys.columns`.
macro_rules! column {
    ($more:literal) => {
        concat!(
            "object_id int,name sysname?,column_id int,system_type_id tinyint,user_type_id int,\
             max_length smallint,precision tinyint,scale tinyint,collation_name sysname?,is_nullable bit?,\
             is_ansi_padded bit,is_rowguidcol bit,is_identity bit,is_computed bit,is_filestream bit,\
             is_replicated bit?,is_non_sql_subscribed bit?,is_merge_published bit?,is_dts_replicated bit?,\
             is_xml_document bit,xml_collection_id int,default_object_id int,rule_object_id int,is_sparse bit,\
             is_column_set bit,generated_always_type tinyint?,generated_always_type_desc nvarchar(60)?,\
             encryption_type int?,encryption_type_desc nvarchar(64)?,encryption_algorithm_name sysname?,\
             column_encryption_key_id int?,column_encryption_key_database_name sysname?,is_hidden bit?,\
             is_masked bit,graph_type int?,graph_type_desc nvarchar(60)?",
            $more
        )
    };
}

/// Their values for the columns `c` of the objects `o`.
macro_rules! column_rows {
    ($more:literal, $where:literal) => {
        concat!(
            "SELECT c.object_id,c.name,c.id,t_type('id',c.type),t_type('id',c.type),t_type('length',c.type),\
             t_type('precision',c.type),t_type('scale',c.type),t_type('collation',c.type),c.nullable,\
             t_type('collation',c.type) IS NOT NULL OR t_type('name',c.type) IN ('binary','varbinary'),\
             0,c.seed IS NOT NULL,0,0,0,0,0,0,0,0,\
             ifnull((SELECT d.id FROM {d}.\"~objects\" d WHERE d.parent=c.object_id AND d.kind='D' AND \
             d.name=c.default_name),0),0,0,0,0,'NOT_APPLICABLE',NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL",
            $more,
            " FROM {d}.\"~columns\" c JOIN {objects} o ON o.id=c.object_id",
            $where
        )
    };
}

/// The same for the columns of system views.
macro_rules! system_column_rows {
    () => {
        "SELECT column1,column2,column3,t_type('id',column4),CASE column6 WHEN 1 THEN 256 ELSE \
         t_type('id',column4) END,t_type('length',column4),t_type('precision',column4),\
         t_type('scale',column4),t_type('collation',column4),column5,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,\
         'NOT_APPLICABLE',NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL FROM (VALUES {system_columns})"
    };
}

pub(super) const VIEWS: &[SystemView] = &[
    // What sp_columns and its kin tell of columns, in ODBC's terms.
    SystemView::sys(
        "spt_columns_odbc_view",
        "object_id int,table_owner sysname,table_name sysname,column_id int,column_name sysname,ordinal int,\
         data_type int,type_name sysname,precision int,length int,scale int?,radix int?,is_nullable bit,\
         is_identity bit,column_def nvarchar(max)?,sql_data_type int,sql_datetime_sub int?,octets int?,\
         ss_data_type tinyint?,is_new bit",
        "SELECT o.id,s.name,o.name,c.id,c.name,row_number() OVER (PARTITION BY c.object_id ORDER BY c.id),\
         t_odbc('type',c.type,0),t_type('name',c.type)||CASE WHEN c.seed IS NULL THEN '' ELSE \
         CASE WHEN t_type('name',c.type) IN ('decimal','numeric') THEN '() identity' ELSE ' identity' END END,\
         t_odbc('precision',c.type,0),t_odbc('length',c.type,0),t_odbc('scale',c.type,0),\
         t_odbc('radix',c.type,0),c.nullable,c.seed IS NOT NULL,(SELECT d.definition FROM {d}.\"~objects\" d \
         WHERE d.parent=c.object_id AND d.kind='D' AND d.name=c.default_name),t_odbc('sql',c.type,0),\
         t_odbc('sub',c.type,0),t_odbc('octets',c.type,0),t_odbc('ss',c.type,c.nullable),\
         t_type('name',c.type) IN ('date','time','datetime2','datetimeoffset') \
         FROM {d}.\"~columns\" c JOIN {objects} o ON o.id=c.object_id JOIN {d}.\"~schemas\" s ON s.id=o.schema_id",
    ),
    SystemView::sys("columns", column!(""), column_rows!("", "")),
    SystemView::sys(
        "all_columns",
        column!(""),
        concat!(column_rows!("", ""), " UNION ALL ", system_column_rows!()),
    ),
    SystemView::sys("system_columns", column!(""), system_column_rows!()),
    SystemView::sys(
        "identity_columns",
        column!(
            ",seed_value sql_variant?,increment_value sql_variant?,last_value sql_variant?,is_not_for_replication bit?"
        ),
        column_rows!(
            ",t_cv(t_cv(c.seed,{bigint},c.type,NULL),c.type,{variant},NULL),\
             t_cv(t_cv(c.increment,{bigint},c.type,NULL),c.type,{variant},NULL),\
             t_cv(t_cv(o.identity_next-c.increment,{bigint},c.type,NULL),c.type,{variant},NULL),0",
            " WHERE c.seed IS NOT NULL"
        ),
    ),
    SystemView::sys(
        "computed_columns",
        column!(",definition nvarchar(max)?,uses_database_collation bit,is_persisted bit"),
        column_rows!(",NULL,0,0", " WHERE 0"),
    ),
    SystemView::sys(
        "types",
        "name sysname,system_type_id tinyint,user_type_id int,schema_id int,principal_id int?,\
         max_length smallint,precision tinyint,scale tinyint,collation_name sysname?,is_nullable bit?,\
         is_user_defined bit,is_assembly_type bit,default_object_id int,rule_object_id int,is_table_type bit",
        concat!(
            "SELECT column1,column2,column3,4,NULL,column4,column5,column6,CASE column7 WHEN 1 THEN \
             'SQL_Latin1_General_CP1_CI_AS' END,column3 NOT IN (189,256),0,0,0,0,0 FROM (VALUES ",
            "('image',34,34,16,0,0,0),('text',35,35,16,0,0,1),('uniqueidentifier',36,36,16,0,0,0),\
             ('date',40,40,3,10,0,0),('time',41,41,5,16,7,0),('datetime2',42,42,8,27,7,0),\
             ('datetimeoffset',43,43,10,34,7,0),('tinyint',48,48,1,3,0,0),('smallint',52,52,2,5,0,0),\
             ('int',56,56,4,10,0,0),('smalldatetime',58,58,4,16,0,0),('real',59,59,4,24,0,0),\
             ('money',60,60,8,19,4,0),('datetime',61,61,8,23,3,0),('float',62,62,8,53,0,0),\
             ('sql_variant',98,98,8016,0,0,0),('ntext',99,99,16,0,0,1),('bit',104,104,1,1,0,0),\
             ('decimal',106,106,17,38,38,0),('numeric',108,108,17,38,38,0),\
             ('smallmoney',122,122,4,10,4,0),('bigint',127,127,8,19,0,0),('varbinary',165,165,8000,0,0,0),\
             ('varchar',167,167,8000,0,0,1),('binary',173,173,8000,0,0,0),('char',175,175,8000,0,0,1),\
             ('timestamp',189,189,8,0,0,0),('nvarchar',231,231,8000,0,0,1),('nchar',239,239,8000,0,0,1),\
             ('xml',241,241,-1,0,0,0),('sysname',231,256,256,0,0,1))"
        ),
    ),
];
