select db_name() as PROCEDURE_QUALIFIER, s.name as PROCEDURE_OWNER, cast(p.name as nvarchar(134)) as PROCEDURE_NAME,
    a.name as COLUMN_NAME, cast(1 as smallint) as COLUMN_TYPE, cast(0 as smallint) as DATA_TYPE, a.name as TYPE_NAME,
    0 as PRECISION, 0 as LENGTH, cast(null as smallint) as SCALE, cast(null as smallint) as RADIX,
    cast(1 as smallint) as NULLABLE, cast(null as varchar(254)) as REMARKS, cast(null as nvarchar(4000)) as COLUMN_DEF,
    cast(0 as smallint) as SQL_DATA_TYPE, cast(null as smallint) as SQL_DATETIME_SUB, cast(null as int) as CHAR_OCTET_LENGTH,
    a.parameter_id as ORDINAL_POSITION, cast('YES' as varchar(254)) as IS_NULLABLE, cast(0 as tinyint) as SS_DATA_TYPE
from sys.procedures p join sys.schemas s on s.schema_id = p.schema_id join sys.parameters a on a.object_id = p.object_id
where (@procedure_name is null or p.name like @procedure_name) and (@procedure_owner is null or s.name like @procedure_owner)
order by 1, 2, 3, 18
