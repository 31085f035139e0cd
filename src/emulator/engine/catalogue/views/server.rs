//! The server, its databases and the session itself.

use super::SystemView;

pub(super) const VIEWS: &[SystemView] = &[
    SystemView::sys(
        "databases",
        "name sysname,database_id int,source_database_id int?,owner_sid varbinary(85)?,create_date datetime,\
         compatibility_level tinyint,collation_name sysname?,user_access tinyint?,\
         user_access_desc nvarchar(60)?,is_read_only bit?,is_auto_close_on bit,is_auto_shrink_on bit?,\
         state tinyint?,state_desc nvarchar(60)?,is_in_standby bit?,is_cleanly_shutdown bit?,\
         is_supplemental_logging_enabled bit?,snapshot_isolation_state tinyint?,\
         snapshot_isolation_state_desc nvarchar(60)?,is_read_committed_snapshot_on bit?,\
         recovery_model tinyint?,recovery_model_desc nvarchar(60)?,page_verify_option tinyint?,\
         page_verify_option_desc nvarchar(60)?,is_auto_create_stats_on bit?,\
         is_auto_create_stats_incremental_on bit?,is_auto_update_stats_on bit?,\
         is_auto_update_stats_async_on bit?,is_ansi_null_default_on bit?,is_ansi_nulls_on bit?,\
         is_ansi_padding_on bit?,is_ansi_warnings_on bit?,is_arithabort_on bit?,\
         is_concat_null_yields_null_on bit?,is_numeric_roundabort_on bit?,is_quoted_identifier_on bit?,\
         is_recursive_triggers_on bit?,is_cursor_close_on_commit_on bit?,is_local_cursor_default bit?,\
         is_fulltext_enabled bit?,is_trustworthy_on bit?,is_db_chaining_on bit?,is_encrypted bit?,\
         containment tinyint?,containment_desc nvarchar(60)?",
        "SELECT column2,column1,NULL,NULL,{login_time},170,'SQL_Latin1_General_CP1_CI_AS',0,'MULTI_USER',0,0,0,0,\
         'ONLINE',0,0,0,1,'ON',1,1,'FULL',2,'CHECKSUM',1,0,1,0,0,0,0,0,0,0,0,0,0,0,0,1,0,0,1,0,'NONE' \
         FROM (VALUES {databases}) WHERE column1 IN (1,{db_id}) OR {db_id}=1",
    ),
    SystemView::sys(
        "dm_exec_sessions",
        "session_id smallint,login_time datetime,host_name nvarchar(128)?,program_name nvarchar(128)?,\
         host_process_id int?,client_version int?,client_interface_name nvarchar(32)?,\
         login_name nvarchar(128),nt_domain nvarchar(128)?,nt_user_name nvarchar(128)?,status nvarchar(30),\
         context_info varbinary(128)?,is_user_process bit,text_size int,language nvarchar(128)?,\
         date_format nvarchar(3)?,date_first smallint,transaction_isolation_level smallint,lock_timeout int,\
         deadlock_priority int,row_count bigint,prev_error int,original_login_name nvarchar(128),\
         database_id smallint,open_transaction_count int,last_request_start_time datetime,\
         last_request_end_time datetime?",
        "SELECT {spid},{login_time},{host},{program},{process},7,substr({interface},1,32),{login},'','','running',\
         x'',1,{textsize},'us_english','mdy',{datefirst},{isolation},{lock_timeout},0,{rowcount},{error},{login},\
         {db_id},{tran},{now},{now}",
    ),
    SystemView::sys(
        "dm_exec_connections",
        "session_id int?,most_recent_session_id int?,connect_time datetime,net_transport nvarchar(40),\
         protocol_type nvarchar(40)?,protocol_version int?,endpoint_id int?,encrypt_option nvarchar(40),\
         node_affinity smallint,parent_connection_id uniqueidentifier?",
        "SELECT {spid},{spid},{login_time},'TCP','TSQL',1946157060,4,{encrypted},0,NULL",
    ),
    SystemView::sys(
        "server_principals",
        "name sysname,principal_id int,sid varbinary(85)?,type char(1),type_desc nvarchar(60)?,\
         is_disabled bit?,create_date datetime,modify_date datetime,default_database_name sysname?,\
         default_language_name sysname?,credential_id int?,owning_principal_id int?,is_fixed_role bit",
        "SELECT 'public',2,x'02','R','SERVER_ROLE',0,{login_time},{login_time},NULL,NULL,NULL,1,0 UNION ALL \
         SELECT {login},257,NULL,'S','SQL_LOGIN',0,{login_time},{login_time},'master','us_english',NULL,NULL,0 \
         WHERE {db_id}=1",
    ),
];
