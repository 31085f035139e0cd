if @table_qualifier = '%' and @table_owner = '' and @table_name = ''
    select name as TABLE_QUALIFIER, cast(null as nvarchar(128)) as TABLE_OWNER,
        cast(null as nvarchar(128)) as TABLE_NAME, cast(null as varchar(32)) as TABLE_TYPE,
        cast(null as varchar(254)) as REMARKS
    from sys.databases order by name
else if @table_owner = '%' and @table_name = '' and isnull(@table_qualifier, '') in ('', db_name())
    select cast(null as nvarchar(128)) as TABLE_QUALIFIER, name as TABLE_OWNER,
        cast(null as nvarchar(128)) as TABLE_NAME, cast(null as varchar(32)) as TABLE_TYPE,
        cast(null as varchar(254)) as REMARKS
    from sys.schemas order by name
else if @table_type = '%' and @table_owner = '' and @table_name = ''
    select cast(null as nvarchar(128)) as TABLE_QUALIFIER, cast(null as nvarchar(128)) as TABLE_OWNER,
        cast(null as nvarchar(128)) as TABLE_NAME, cast(t.kind as varchar(32)) as TABLE_TYPE,
        cast(null as varchar(254)) as REMARKS
    from (values ('SYSTEM TABLE'), ('TABLE'), ('VIEW')) as t(kind) order by t.kind
else
    select db_name() as TABLE_QUALIFIER, s.name as TABLE_OWNER, o.name as TABLE_NAME,
        cast(case o.type when 'U' then 'TABLE' else 'VIEW' end as varchar(32)) as TABLE_TYPE,
        cast(null as varchar(254)) as REMARKS
    from sys.all_objects o join sys.schemas s on s.schema_id = o.schema_id
    where o.type in ('U', 'V')
        and (@table_name is null or (@fusepattern = 1 and o.name like @table_name) or o.name = @table_name)
        and (@table_owner is null or (@fusepattern = 1 and s.name like @table_owner) or s.name = @table_owner)
        and (@table_type is null
            or charindex(case o.type when 'U' then '''TABLE''' else '''VIEW''' end, upper(@table_type)) > 0)
    order by 4, 1, 2, 3
