select db_name() as TABLE_QUALIFIER, c.table_owner as TABLE_OWNER, c.table_name as TABLE_NAME,
    c.column_name as COLUMN_NAME,
    cast(case when {100} = 0 and c.is_new = 1 then -9
        when @odbcver = 2 and c.data_type = 93 then 11
        when @odbcver = 2 and c.data_type = 91 then 9
        else c.data_type end as smallint) as DATA_TYPE,
    c.type_name as TYPE_NAME,
    case when @odbcver = 2 and c.type_name = 'float' then 15 when @odbcver = 2 and c.type_name = 'real' then 7
        else c.precision end as PRECISION,
    case when {100} = 0 and c.is_new = 1 then c.precision * 2 else c.length end as LENGTH,
    cast(case when {100} = 0 and c.is_new = 1 then null else c.scale end as smallint) as SCALE,
    cast(case when @odbcver = 3 and c.radix = 10 and c.type_name in ('float', 'real') then 2 else c.radix end
        as smallint) as RADIX,
    cast(c.is_nullable as smallint) as NULLABLE, cast(null as varchar(254)) as REMARKS,
    cast(c.column_def as nvarchar(4000)) as COLUMN_DEF,
    cast(case when {100} = 0 and c.is_new = 1 then -9 else c.sql_data_type end as smallint) as SQL_DATA_TYPE,
    cast(case when {100} = 0 and c.is_new = 1 then null else c.sql_datetime_sub end as smallint) as SQL_DATETIME_SUB,
    case when {100} = 0 and c.is_new = 1 then c.precision * 2 else c.octets end as CHAR_OCTET_LENGTH,
    c.ordinal as ORDINAL_POSITION,
    cast(case c.is_nullable when 1 then 'YES' else 'NO' end as varchar(254)) as IS_NULLABLE,
    /*100*/cast(0 as smallint) as SS_IS_SPARSE, cast(0 as smallint) as SS_IS_COLUMN_SET,
    /*100*/cast(0 as smallint) as SS_IS_COMPUTED, cast(c.is_identity as smallint) as SS_IS_IDENTITY,
    /*100*/cast(null as nvarchar(128)) as SS_UDT_CATALOG_NAME, cast(null as nvarchar(128)) as SS_UDT_SCHEMA_NAME,
    /*100*/cast(null as nvarchar(4000)) as SS_UDT_ASSEMBLY_TYPE_NAME,
    /*100*/cast(null as nvarchar(128)) as SS_XML_SCHEMACOLLECTION_CATALOG_NAME,
    /*100*/cast(null as nvarchar(128)) as SS_XML_SCHEMACOLLECTION_SCHEMA_NAME,
    /*100*/cast(null as nvarchar(128)) as SS_XML_SCHEMACOLLECTION_NAME,
    c.ss_data_type as SS_DATA_TYPE
from sys.spt_columns_odbc_view c
where ((@fusepattern = 1 and c.table_name like @table_name) or c.table_name = @table_name)
    and (@table_owner is null or (@fusepattern = 1 and c.table_owner like @table_owner) or c.table_owner = @table_owner)
    and (@column_name is null or (@fusepattern = 1 and c.column_name like @column_name) or c.column_name = @column_name)
order by 1, 2, 3, c.ordinal
