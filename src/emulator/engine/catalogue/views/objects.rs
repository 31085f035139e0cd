//! Schemas, objects, tables, views and what is said of modules.

use super::SystemView;

/// Columns that all views of objects begin with.
macro_rules! object {
    ($more:literal) => {
        concat!(
            "name sysname,object_id int,principal_id int?,schema_id int,parent_object_id int,type char(2),\
             type_desc nvarchar(60)?,create_date datetime,modify_date datetime,is_ms_shipped bit,\
             is_published bit,is_schema_published bit",
            $more
        )
    };
}
pub(super) use object;

/// The rows of `object!` from the objects `o` of some kinds.
macro_rules! object_rows {
    ($more:literal, $from:literal) => {
        concat!(
            "SELECT o.name,o.id,o.owner,o.schema_id,o.parent,substr(o.kind||' ',1,2),",
            "CASE o.kind WHEN 'U' THEN 'USER_TABLE' WHEN 'V' THEN 'VIEW' WHEN 'PK' THEN 'PRIMARY_KEY_CONSTRAINT' \
             WHEN 'UQ' THEN 'UNIQUE_CONSTRAINT' WHEN 'C' THEN 'CHECK_CONSTRAINT' WHEN 'F' THEN \
             'FOREIGN_KEY_CONSTRAINT' ELSE 'DEFAULT_CONSTRAINT' END,",
            "o.created,o.modified,0,0,0",
            $more,
            " FROM {objects} o",
            $from
        )
    };
}
pub(super) use object_rows;

/// Rows of `object!` for system views.
macro_rules! system_rows {
    ($where:literal) => {
        concat!(
            "SELECT column2,column3,NULL,column1,0,'V ','VIEW',657127296000000000,657127296000000000,1,0,0",
            $where
        )
    };
}

pub(super) const VIEWS: &[SystemView] = &[
    SystemView::sys(
        "schemas",
        "name sysname,schema_id int,principal_id int?",
        "SELECT name,id,owner FROM {schemas}",
    ),
    SystemView::sys("objects", object!(""), object_rows!("", "")),
    SystemView::sys(
        "all_objects",
        object!(""),
        concat!(
            object_rows!("", ""),
            " UNION ALL ",
            system_rows!(" FROM (VALUES {system_views})")
        ),
    ),
    SystemView::sys(
        "system_objects",
        object!(""),
        system_rows!(" FROM (VALUES {system_views})"),
    ),
    SystemView::sys(
        "tables",
        object!(
            ",lob_data_space_id int,filestream_data_space_id int?,max_column_id_used int,\
             lock_on_bulk_load bit,uses_ansi_nulls bit?,is_replicated bit?,has_replication_filter bit?,\
             is_merge_published bit?,is_sync_tran_subscribed bit?,has_unchecked_assembly_data bit,\
             text_in_row_limit int?,large_value_types_out_of_row bit?,is_tracked_by_cdc bit?,\
             lock_escalation tinyint?,lock_escalation_desc nvarchar(60)?,is_filetable bit?,\
             is_memory_optimized bit?,durability tinyint?,durability_desc nvarchar(60)?,\
             temporal_type tinyint?,temporal_type_desc nvarchar(60)?,history_table_id int?,\
             is_remote_data_archive_enabled bit?,is_external bit,history_retention_period int?,\
             history_retention_period_unit int?,history_retention_period_unit_desc nvarchar(10)?,\
             is_node bit?,is_edge bit?,ledger_type tinyint?,ledger_type_desc nvarchar(60)?,\
             ledger_view_id int?,is_dropped_ledger_table bit?"
        ),
        object_rows!(
            ",0,NULL,(SELECT ifnull(max(c.id),0) FROM {d}.\"~columns\" c WHERE c.object_id=o.id),0,1,0,0,0,0,0,0,0,0,\
             0,'TABLE',0,0,0,'SCHEMA_AND_DATA',0,'NON_TEMPORAL_TABLE',NULL,0,0,NULL,NULL,NULL,0,0,0,\
             'NON_LEDGER_TABLE',NULL,0",
            " WHERE o.kind='U'"
        ),
    ),
    SystemView::sys(
        "views",
        object!(
            ",is_replicated bit?,has_replication_filter bit?,has_opaque_metadata bit,\
             has_unchecked_assembly_data bit,with_check_option bit,is_date_correlation_view bit,\
             is_tracked_by_cdc bit?,has_snapshot bit?,ledger_view_type tinyint?,\
             ledger_view_type_desc nvarchar(60)?,is_dropped_ledger_view bit?"
        ),
        object_rows!(
            ",0,0,0,0,0,0,0,0,0,'NON_LEDGER_VIEW',0",
            " WHERE o.kind='V'"
        ),
    ),
    SystemView::sys(
        "all_views",
        object!(""),
        concat!(
            object_rows!("", " WHERE o.kind='V'"),
            " UNION ALL ",
            system_rows!(" FROM (VALUES {system_views})")
        ),
    ),
    SystemView::sys(
        "system_views",
        object!(""),
        system_rows!(" FROM (VALUES {system_views})"),
    ),
    SystemView::sys(
        "procedures",
        object!(
            ",is_auto_executed bit,is_execution_replicated bit?,is_repl_serializable_only bit?,skips_repl_constraints bit?"
        ),
        object_rows!(",0,0,0,0", " WHERE 0"),
    ),
    SystemView::sys("all_parameters", PARAMETERS, NO_PARAMETERS),
    SystemView::sys("parameters", PARAMETERS, NO_PARAMETERS),
    SystemView::sys(
        "synonyms",
        object!(",base_object_name nvarchar(1035)?"),
        object_rows!(",NULL", " WHERE 0"),
    ),
    SystemView::sys(
        "sequences",
        object!(
            ",start_value bigint,increment bigint,minimum_value bigint?,maximum_value bigint?,is_cycling bit?,is_cached bit?,cache_size int?,system_type_id tinyint,user_type_id int,precision tinyint,scale tinyint?,current_value bigint,is_exhausted bit,last_used_value bigint?"
        ),
        object_rows!(
            ",NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL",
            " WHERE 0"
        ),
    ),
    SystemView::sys(
        "triggers",
        "name sysname,object_id int,parent_class tinyint,parent_class_desc nvarchar(60)?,parent_id int,\
         type char(2),type_desc nvarchar(60)?,create_date datetime,modify_date datetime,is_ms_shipped bit,\
         is_disabled bit,is_not_for_replication bit,is_instead_of_trigger bit",
        "SELECT NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL WHERE 0",
    ),
    SystemView::sys("sql_modules", MODULES, MODULE_ROWS),
    SystemView::sys("all_sql_modules", MODULES, MODULE_ROWS),
    SystemView::sys(
        "extended_properties",
        "class tinyint,class_desc nvarchar(60)?,major_id int,minor_id int,name sysname,value sql_variant?",
        "SELECT class,'DATABASE_PRINCIPAL',major,minor,name,value FROM {d}.\"~properties\"",
    ),
    SystemView::sys(
        "sysobjects",
        "name sysname,id int,xtype char(2),uid smallint?,info smallint?,status int?,base_schema_ver int?,\
         replinfo int?,parent_obj int,crdate datetime,ftcatid smallint?,schema_ver int?,\
         stats_schema_ver int?,type char(2)?,userstat smallint?,sysstat smallint?,indexdel smallint?,\
         refdate datetime,version int?,deltrig int?,instrig int?,updtrig int?,seltrig int?,category int?,\
         cache smallint?",
        "SELECT name,id,substr(kind||' ',1,2),schema_id,0,0,0,0,parent,created,0,0,0,CASE kind WHEN 'PK' THEN 'K ' WHEN 'UQ' THEN 'K ' \
         ELSE substr(kind||' ',1,2) END,NULL,NULL,0,created,0,0,0,0,0,0,0 FROM {objects}",
    ),
];

const PARAMETERS: &str = "object_id int,name sysname?,parameter_id int,system_type_id tinyint,user_type_id int,\
    max_length smallint,precision tinyint,scale tinyint,is_output bit,is_cursor_ref bit,has_default_value bit,\
    is_xml_document bit,default_value nvarchar(4000)?,xml_collection_id int,is_readonly bit,is_nullable bit?";
const NO_PARAMETERS: &str = "SELECT NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL WHERE 0";

const MODULES: &str = "object_id int,definition nvarchar(max)?,uses_ansi_nulls bit?,uses_quoted_identifier bit?,\
    is_schema_bound bit?,uses_database_collation bit?,is_recompiled bit?,null_on_null_input bit?,\
    execute_as_principal_id int?,uses_native_compilation bit?,inline_type bit?,is_inlineable bit?";
const MODULE_ROWS: &str = "SELECT id,source,1,1,0,0,0,0,NULL,0,0,0 FROM {objects} WHERE kind='V'";
