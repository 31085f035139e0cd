select db_name() as TABLE_QUALIFIER, s.name as TABLE_OWNER, t.name as TABLE_NAME, user_name(s.principal_id) as GRANTOR,
    user_name(s.principal_id) as GRANTEE, cast(p.name as varchar(32)) as PRIVILEGE, cast('YES' as varchar(3)) as IS_GRANTABLE
from sys.tables t join sys.schemas s on s.schema_id = t.schema_id
    cross join (values ('DELETE'), ('INSERT'), ('REFERENCES'), ('SELECT'), ('UPDATE')) as p(name)
where ((@fusepattern = 1 and t.name like @table_name) or t.name = @table_name)
    and (@table_owner is null or (@fusepattern = 1 and s.name like @table_owner) or s.name = @table_owner)
union all
select db_name(), g.TABLE_SCHEMA, g.TABLE_NAME, g.GRANTOR, g.GRANTEE, cast(g.PRIVILEGE_TYPE as varchar(32)), g.IS_GRANTABLE
from INFORMATION_SCHEMA.TABLE_PRIVILEGES g
where ((@fusepattern = 1 and g.TABLE_NAME like @table_name) or g.TABLE_NAME = @table_name)
    and (@table_owner is null or (@fusepattern = 1 and g.TABLE_SCHEMA like @table_owner) or g.TABLE_SCHEMA = @table_owner)
order by 1, 2, 3, 6
