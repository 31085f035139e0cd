select db_name() as PROCEDURE_QUALIFIER, s.name as PROCEDURE_OWNER, cast(p.name + ';1' as nvarchar(134)) as PROCEDURE_NAME,
    -1 as NUM_INPUT_PARAMS, -1 as NUM_OUTPUT_PARAMS, -1 as NUM_RESULT_SETS, cast(null as varchar(254)) as REMARKS,
    cast(2 as smallint) as PROCEDURE_TYPE
from sys.procedures p join sys.schemas s on s.schema_id = p.schema_id
where (@sp_name is null or p.name like @sp_name) and (@sp_owner is null or s.name like @sp_owner)
order by 1, 2, 3
