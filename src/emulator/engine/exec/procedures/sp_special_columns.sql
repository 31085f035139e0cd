if @col_type = 'V'
    select cast(null as smallint) as SCOPE, c.column_name as COLUMN_NAME, cast(c.data_type as smallint) as DATA_TYPE,
        c.type_name as TYPE_NAME, c.precision as PRECISION, c.length as LENGTH, cast(c.scale as smallint) as SCALE,
        cast(1 as smallint) as PSEUDO_COLUMN
    from sys.spt_columns_odbc_view c
    where c.table_name = @table_name and c.table_owner = isnull(@table_owner, c.table_owner) and c.type_name = 'timestamp'
else
    select cast(case @scope when 'C' then 0 else 1 end as smallint) as SCOPE, c.column_name as COLUMN_NAME,
        cast(case when {100} = 0 and c.is_new = 1 then -9 when @odbcver = 2 and c.data_type = 93 then 11
            when @odbcver = 2 and c.data_type = 91 then 9 else c.data_type end as smallint) as DATA_TYPE,
        c.type_name as TYPE_NAME, c.precision as PRECISION, c.length as LENGTH, cast(c.scale as smallint) as SCALE,
        cast(1 as smallint) as PSEUDO_COLUMN
    from sys.spt_columns_odbc_view c
        join sys.index_columns k on k.object_id = c.object_id and k.column_id = c.column_id
    where c.table_name = @table_name and c.table_owner = isnull(@table_owner, c.table_owner)
        and k.is_included_column = 0
        and k.index_id = (select min(i.index_id) from sys.indexes i
            where i.object_id = c.object_id and i.is_unique = 1
                and (@nullable <> 'O' or not exists (select 1 from sys.index_columns x
                    join sys.columns y on y.object_id = x.object_id and y.column_id = x.column_id
                    where x.object_id = i.object_id and x.index_id = i.index_id and y.is_nullable = 1)))
    order by k.key_ordinal
