//! The procedures' texts.
//!
//! Lines that begin with `/*100*/` belong to the forms whose names end so; `{100}` is 1 in them.

use super::Catalogued;

pub(super) const ALL: &[Catalogued] = &[
    Catalogued {
        names: &["sp_tables", "sp_tables_rowset"],
        parameters: "@table_name nvarchar(384)=null,@table_owner nvarchar(384)=null,\
            @table_qualifier nvarchar(128)=null,@table_type varchar(100)=null,@fusepattern bit=1",
        body: include_str!("sp_tables.sql"),
    },
    Catalogued {
        names: &["sp_columns", "sp_columns_90", "sp_columns_100"],
        parameters: "@table_name nvarchar(384),@table_owner nvarchar(384)=null,\
            @table_qualifier nvarchar(128)=null,@column_name nvarchar(384)=null,@namescope int=0,\
            @odbcver int=2,@fusepattern bit=1",
        body: include_str!("sp_columns.sql"),
    },
    Catalogued {
        names: &["sp_pkeys"],
        parameters: "@table_name nvarchar(128),@table_owner nvarchar(128)=null,\
            @table_qualifier nvarchar(128)=null",
        body: include_str!("sp_pkeys.sql"),
    },
    Catalogued {
        names: &["sp_fkeys"],
        parameters: "@pktable_name nvarchar(128)=null,@pktable_owner nvarchar(128)=null,\
            @pktable_qualifier nvarchar(128)=null,@fktable_name nvarchar(128)=null,\
            @fktable_owner nvarchar(128)=null,@fktable_qualifier nvarchar(128)=null",
        body: include_str!("sp_fkeys.sql"),
    },
    Catalogued {
        names: &["sp_statistics", "sp_statistics_90", "sp_statistics_100"],
        parameters: "@table_name nvarchar(128),@table_owner nvarchar(128)=null,\
            @table_qualifier nvarchar(128)=null,@index_name nvarchar(128)='%',@is_unique char(1)='N',\
            @accuracy char(1)='Q'",
        body: include_str!("sp_statistics.sql"),
    },
    Catalogued {
        names: &[
            "sp_special_columns",
            "sp_special_columns_90",
            "sp_special_columns_100",
        ],
        parameters: "@table_name nvarchar(128),@table_owner nvarchar(128)=null,\
            @table_qualifier nvarchar(128)=null,@col_type char(1)='R',@scope char(1)='T',\
            @nullable char(1)='U',@odbcver int=2",
        body: include_str!("sp_special_columns.sql"),
    },
    Catalogued {
        names: &[
            "sp_datatype_info",
            "sp_datatype_info_90",
            "sp_datatype_info_100",
        ],
        parameters: "@data_type int=0,@odbcver tinyint=2",
        body: include_str!("sp_datatype_info.sql"),
    },
    Catalogued {
        names: &["sp_server_info"],
        parameters: "@attribute_id int=null",
        body: include_str!("sp_server_info.sql"),
    },
    Catalogued {
        names: &["sp_stored_procedures"],
        parameters: "@sp_name nvarchar(390)=null,@sp_owner nvarchar(384)=null,\
            @sp_qualifier nvarchar(128)=null,@fusepattern bit=1",
        body: include_str!("sp_stored_procedures.sql"),
    },
    Catalogued {
        names: &[
            "sp_sproc_columns",
            "sp_sproc_columns_90",
            "sp_sproc_columns_100",
        ],
        parameters: "@procedure_name nvarchar(390)='%',@procedure_owner nvarchar(384)=null,\
            @procedure_qualifier nvarchar(128)=null,@column_name nvarchar(384)=null,@odbcver int=2,\
            @fusepattern bit=1",
        body: include_str!("sp_sproc_columns.sql"),
    },
    Catalogued {
        names: &["sp_table_privileges"],
        parameters: "@table_name nvarchar(384),@table_owner nvarchar(384)=null,\
            @table_qualifier nvarchar(128)=null,@fusepattern bit=1",
        body: include_str!("sp_table_privileges.sql"),
    },
    Catalogued {
        names: &["sp_tablecollations_90", "sp_tablecollations_100"],
        parameters: "@object nvarchar(4000)",
        body: "select cast(c.column_id as int) as colid, c.name, \
            case when c.collation_name is not null then cast(0x0904D00034 as binary(5)) end as tds_collation_28, \
            c.collation_name as collation_28 from sys.all_columns c \
            where c.object_id = object_id(@object) order by c.column_id",
    },
];
