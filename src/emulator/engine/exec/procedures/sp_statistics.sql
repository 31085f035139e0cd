select db_name() as TABLE_QUALIFIER, s.name as TABLE_OWNER, t.name as TABLE_NAME, cast(null as smallint) as NON_UNIQUE,
    cast(null as nvarchar(128)) as INDEX_QUALIFIER, cast(null as nvarchar(128)) as INDEX_NAME,
    cast(0 as smallint) as TYPE, cast(null as smallint) as SEQ_IN_INDEX, cast(null as nvarchar(128)) as COLUMN_NAME,
    cast(null as varchar(1)) as COLLATION, cast(null as int) as CARDINALITY, cast(null as int) as PAGES,
    cast(null as varchar(128)) as FILTER_CONDITION
from sys.tables t join sys.schemas s on s.schema_id = t.schema_id
where t.name = @table_name and s.name = isnull(@table_owner, s.name)
union all
select db_name(), s.name, t.name, cast(case i.is_unique when 1 then 0 else 1 end as smallint), t.name, i.name,
    cast(case i.type when 1 then 1 else 3 end as smallint), cast(k.key_ordinal as smallint), c.name,
    cast(case k.is_descending_key when 1 then 'D' else 'A' end as varchar(1)), cast(null as int), cast(null as int),
    cast(null as varchar(128))
from sys.tables t join sys.schemas s on s.schema_id = t.schema_id
    join sys.indexes i on i.object_id = t.object_id and i.index_id > 0
    join sys.index_columns k on k.object_id = t.object_id and k.index_id = i.index_id and k.is_included_column = 0
    join sys.columns c on c.object_id = t.object_id and c.column_id = k.column_id
where t.name = @table_name and s.name = isnull(@table_owner, s.name)
    and (@index_name is null or i.name like @index_name) and (@is_unique <> 'Y' or i.is_unique = 1)
order by 4, 7, 6, 8
