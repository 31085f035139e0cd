select db_name() as PKTABLE_QUALIFIER, ps.name as PKTABLE_OWNER, pt.name as PKTABLE_NAME, pc.name as PKCOLUMN_NAME,
    db_name() as FKTABLE_QUALIFIER, fs.name as FKTABLE_OWNER, ft.name as FKTABLE_NAME, fc.name as FKCOLUMN_NAME,
    cast(k.constraint_column_id as smallint) as KEY_SEQ,
    cast(case f.update_referential_action when 0 then 1 when 1 then 0 else f.update_referential_action end as smallint) as UPDATE_RULE,
    cast(case f.delete_referential_action when 0 then 1 when 1 then 0 else f.delete_referential_action end as smallint) as DELETE_RULE,
    f.name as FK_NAME, i.name as PK_NAME, cast(7 as smallint) as DEFERRABILITY
from sys.foreign_keys f
    join sys.foreign_key_columns k on k.constraint_object_id = f.object_id
    join sys.tables pt on pt.object_id = f.referenced_object_id
    join sys.schemas ps on ps.schema_id = pt.schema_id
    join sys.columns pc on pc.object_id = pt.object_id and pc.column_id = k.referenced_column_id
    join sys.tables ft on ft.object_id = f.parent_object_id
    join sys.schemas fs on fs.schema_id = ft.schema_id
    join sys.columns fc on fc.object_id = ft.object_id and fc.column_id = k.parent_column_id
    left join sys.indexes i on i.object_id = pt.object_id and i.index_id = f.key_index_id
where (@pktable_name is null or pt.name = @pktable_name) and (@pktable_owner is null or ps.name = @pktable_owner)
    and (@fktable_name is null or ft.name = @fktable_name) and (@fktable_owner is null or fs.name = @fktable_owner)
order by 5, 6, 7, 9, 8
