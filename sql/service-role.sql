-- Purpose: Makes a role that may do just what a service needs in one schema, and adds the service's user to it.
--
-- Variables:
--   PrincipalName (name): The user of the service. Example: orders-api
--   RoleName (name): The role; it is created if it is not there. Example: orders_service
--   SchemaName (name): The schema that the service works in. Default: dbo
--   Permissions (permissions): What it may do with all that the schema holds and will hold, with commas
--     between: of SELECT, INSERT, UPDATE, DELETE, EXECUTE, REFERENCES, VIEW DEFINITION, VIEW CHANGE TRACKING.
--     Default: SELECT, INSERT, UPDATE, DELETE
--
-- Needs: ALTER ANY ROLE (and CREATE ROLE), and CONTROL on the schema, as its owner and db_owner have them.
--
-- Changes: Creates a role that dbo owns, grants it permissions on the schema, adds one member to it.
--
-- Notes:
--   * This is a role of the database and no application role as of sp_setapprole.
--   * For single tables or procedures run grant-on-object with the role as PrincipalName, and leave the
--     schema's permissions at what all of it needs. Run it again with other schemas to add these.
--   * Nothing is taken away: permissions that are no longer named stay. `entrada grants` can do that.
--   * Rights over the schema itself (ALTER, CONTROL, TAKE OWNERSHIP) are refused.
--   * A view or procedure passes on to its caller what its owner may do with tables of the same owner. A
--     service that calls procedures needs EXECUTE and nothing on the tables.
--   * Run with sqlcmd, give every variable and double the quotes ('') in the values. `entrada script` does
--     both, and knows the defaults.
--
-- Sources:
--   https://learn.microsoft.com/sql/t-sql/statements/grant-schema-permissions-transact-sql
--   https://learn.microsoft.com/sql/t-sql/statements/create-role-transact-sql
SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @principal nvarchar(4000) = N'$(PrincipalName)';
DECLARE @role_name nvarchar(4000) = N'$(RoleName)';
DECLARE @schema_name nvarchar(4000) = N'$(SchemaName)';
DECLARE @permissions nvarchar(max) = N'$(Permissions)';

DECLARE @user nvarchar(258) = QUOTENAME(@principal);
DECLARE @role nvarchar(258) = QUOTENAME(@role_name);
DECLARE @schema nvarchar(258) = QUOTENAME(@schema_name);
DECLARE @principal_id int;
DECLARE @role_id int;
DECLARE @role_type char(1);
DECLARE @schema_id int;
DECLARE @wrong nvarchar(max);
DECLARE @message nvarchar(2048);
DECLARE @sql nvarchar(max);
DECLARE @wanted TABLE (name nvarchar(max) NOT NULL);
DECLARE @todo TABLE (step int IDENTITY(1, 1) PRIMARY KEY, line nvarchar(max) NOT NULL);

IF @user IS NULL OR DATALENGTH(@principal) NOT BETWEEN 2 AND 256
    THROW 50000, N'PrincipalName must have 1 to 128 characters.', 1;
IF @role IS NULL OR DATALENGTH(@role_name) NOT BETWEEN 2 AND 256
    THROW 50000, N'RoleName must have 1 to 128 characters.', 1;
IF @schema IS NULL OR DATALENGTH(@schema_name) NOT BETWEEN 2 AND 256
    THROW 50000, N'SchemaName must have 1 to 128 characters.', 1;

SELECT @principal_id = principal_id
FROM sys.database_principals
WHERE name = @principal;

IF @principal_id IS NULL
BEGIN
    SET @message = REPLACE(
        N'There is no user ' + @user + N' in the database ' + QUOTENAME(DB_NAME())
        + N'. Create it first (create-user, create-user-by-object-id or create-user-by-sid).', N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

SELECT @schema_id = schema_id
FROM sys.schemas
WHERE name = @schema_name;

IF @schema_id IS NULL
BEGIN
    SET @message = REPLACE(
        N'There is no schema ' + @schema + N' in the database ' + QUOTENAME(DB_NAME())
        + N'. Create it first, or mend SchemaName.', N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

SELECT
    @role_id = principal_id,
    @role_type = type
FROM sys.database_principals
WHERE name = @role_name;

IF @role_type <> 'R' OR @role_id = 0 OR @role_id >= 16384
BEGIN
    SET @message = REPLACE(
        N'The name ' + @role + N' is that of a user or a fixed role. Choose another RoleName.', N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

INSERT INTO @wanted (name)
SELECT DISTINCT UPPER(TRIM(value))
FROM STRING_SPLIT(@permissions, N',');

SELECT @wrong = STRING_AGG(name, N', ')
FROM @wanted
WHERE name NOT IN (
    N'SELECT', N'INSERT', N'UPDATE', N'DELETE', N'EXECUTE', N'REFERENCES',
    N'VIEW DEFINITION', N'VIEW CHANGE TRACKING'
);

IF @wrong IS NOT NULL
BEGIN
    SET @message = REPLACE(
        N'Permissions has what this script does not grant on a schema: ' + LEFT(@wrong, 500) + N'.',
        N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

SELECT @wrong = STRING_AGG(CAST(p.permission_name AS nvarchar(max)), N', ')
FROM sys.database_permissions AS p
WHERE
    p.class = 3
    AND p.major_id = @schema_id
    AND p.minor_id = 0
    AND p.grantee_principal_id = @role_id
    AND p.state = 'D'
    AND EXISTS (SELECT 1 FROM @wanted AS w WHERE w.name = p.permission_name COLLATE DATABASE_DEFAULT);

IF @wrong IS NOT NULL
BEGIN
    SET @message = REPLACE(
        @role + N' is denied ' + @wrong + N' there. A GRANT would undo that: REVOKE the DENY first if it '
        + N'shall go.', N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

IF @role_id IS NULL
    INSERT INTO @todo (line)
    VALUES (N'CREATE ROLE ' + @role + N' AUTHORIZATION [dbo];');

INSERT INTO @todo (line)
SELECT N'GRANT ' + w.name + N' ON SCHEMA::' + @schema + N' TO ' + @role + N';'
FROM @wanted AS w
WHERE NOT EXISTS (
    SELECT 1
    FROM sys.database_permissions AS p
    WHERE
        p.class = 3
        AND p.major_id = @schema_id
        AND p.grantee_principal_id = @role_id
        AND p.permission_name = w.name COLLATE DATABASE_DEFAULT
        AND p.state IN ('G', 'W')
);

IF NOT EXISTS (
    SELECT 1
    FROM sys.database_role_members
    WHERE role_principal_id = @role_id AND member_principal_id = @principal_id
)
    INSERT INTO @todo (line)
    VALUES (N'ALTER ROLE ' + @role + N' ADD MEMBER ' + @user + N';');

SELECT @sql = STRING_AGG(line, NCHAR(10)) WITHIN GROUP (ORDER BY step)
FROM @todo;

IF @sql IS NULL
    PRINT N'Nothing to do: ' + @role + N' has these permissions, and ' + @user + N' is a member.';
ELSE
BEGIN
    BEGIN TRANSACTION;
    EXEC sys.sp_executesql @sql;
    COMMIT TRANSACTION;
    PRINT @sql;
END;
