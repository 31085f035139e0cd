-- Purpose: Grants permissions on one table, view, procedure or function to a user or a role.
--
-- Variables:
--   PrincipalName (name): The user, or a role, as it is called in this database. Example: orders-api
--   SchemaName (name): The schema of the object. Default: dbo
--   ObjectName (name): The table, view, procedure or function. Example: Orders
--   Permissions (permissions): What shall be allowed, with commas between: of SELECT, INSERT, UPDATE, DELETE,
--     EXECUTE, REFERENCES, RECEIVE, VIEW DEFINITION, VIEW CHANGE TRACKING. Default: SELECT
--
-- Needs: CONTROL on the object, as its owner and db_owner have it.
--
-- Changes: Grants the permissions that are not there yet.
--
-- Notes:
--   * Rights over the object itself (ALTER, CONTROL, TAKE OWNERSHIP) are refused.
--   * What does not fit the kind of the object, such as EXECUTE on a table, the server refuses with error 4606,
--     and nothing is granted.
--   * Run again it changes nothing.
--   * Run with sqlcmd, give every variable and double the quotes ('') in the values. `entrada script` does
--     both, and knows the defaults.
--
-- Sources:
--   https://learn.microsoft.com/sql/t-sql/statements/grant-object-permissions-transact-sql
SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @principal nvarchar(4000) = N'$(PrincipalName)';
DECLARE @schema_name nvarchar(4000) = N'$(SchemaName)';
DECLARE @object_name nvarchar(4000) = N'$(ObjectName)';
DECLARE @permissions nvarchar(max) = N'$(Permissions)';

DECLARE @user nvarchar(258) = QUOTENAME(@principal);
DECLARE @schema nvarchar(258) = QUOTENAME(@schema_name);
DECLARE @object nvarchar(258) = QUOTENAME(@object_name);
DECLARE @object_id int;
DECLARE @principal_id int;
DECLARE @wrong nvarchar(max);
DECLARE @message nvarchar(2048);
DECLARE @sql nvarchar(max);
DECLARE @wanted TABLE (name nvarchar(max) NOT NULL);

IF @user IS NULL OR DATALENGTH(@principal) NOT BETWEEN 2 AND 256
    THROW 50000, N'PrincipalName must have 1 to 128 characters.', 1;
IF @schema IS NULL OR DATALENGTH(@schema_name) NOT BETWEEN 2 AND 256
    THROW 50000, N'SchemaName must have 1 to 128 characters.', 1;
IF @object IS NULL OR DATALENGTH(@object_name) NOT BETWEEN 2 AND 256
    THROW 50000, N'ObjectName must have 1 to 128 characters.', 1;

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

SET @object_id = OBJECT_ID(@schema + N'.' + @object);

IF @object_id IS NULL
BEGIN
    SET @message = REPLACE(
        N'There is no ' + @schema + N'.' + @object + N' in the database ' + QUOTENAME(DB_NAME())
        + N'. Mend SchemaName or ObjectName.', N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

INSERT INTO @wanted (name)
SELECT DISTINCT UPPER(TRIM(value))
FROM STRING_SPLIT(@permissions, N',');

SELECT @wrong = STRING_AGG(name, N', ')
FROM @wanted
WHERE name NOT IN (
    N'SELECT', N'INSERT', N'UPDATE', N'DELETE', N'EXECUTE', N'REFERENCES', N'RECEIVE',
    N'VIEW DEFINITION', N'VIEW CHANGE TRACKING'
);

IF @wrong IS NOT NULL
BEGIN
    SET @message = REPLACE(
        N'Permissions has what this script does not grant on an object: ' + LEFT(@wrong, 500) + N'.',
        N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

SELECT @wrong = STRING_AGG(CAST(p.permission_name AS nvarchar(max)), N', ')
FROM sys.database_permissions AS p
WHERE
    p.class = 1
    AND p.major_id = @object_id
    AND p.minor_id = 0
    AND p.grantee_principal_id = @principal_id
    AND p.state = 'D'
    AND EXISTS (SELECT 1 FROM @wanted AS w WHERE w.name = p.permission_name COLLATE DATABASE_DEFAULT);

IF @wrong IS NOT NULL
BEGIN
    SET @message = REPLACE(
        @user + N' is denied ' + @wrong + N' there. A GRANT would undo that: REVOKE the DENY first if it '
        + N'shall go.', N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

SELECT
    @sql = STRING_AGG(
        N'GRANT ' + w.name + N' ON OBJECT::' + @schema + N'.' + @object + N' TO ' + @user + N';', NCHAR(10)
    )
FROM @wanted AS w
WHERE NOT EXISTS (
    SELECT 1
    FROM sys.database_permissions AS p
    WHERE
        p.class = 1
        AND p.major_id = @object_id
        AND p.minor_id = 0
        AND p.grantee_principal_id = @principal_id
        AND p.permission_name = w.name COLLATE DATABASE_DEFAULT
        AND p.state IN ('G', 'W')
);

IF @sql IS NULL
    PRINT N'Nothing to do: ' + @user + N' has them.';
ELSE
BEGIN
    BEGIN TRANSACTION;
    EXEC sys.sp_executesql @sql;
    COMMIT TRANSACTION;
    PRINT @sql;
END;
