-- Purpose: Lets a user or a role execute the procedures and functions of a schema, and nothing else.
--
-- Variables:
--   PrincipalName (name): The user, or a role, as it is called in this database. Example: orders-api
--   SchemaName (name): The schema that holds the procedures. Default: dbo
--
-- Needs: CONTROL on the schema, as its owner and db_owner have it.
--
-- Changes: Grants EXECUTE on the schema.
--
-- Notes:
--   * It is every procedure and scalar function of the schema, what is added later included. For a single one
--     run grant-on-object with EXECUTE.
--   * A procedure passes on to its caller what its owner may do with tables of the same owner, so no right on
--     the tables is needed, except in dynamic SQL inside of the procedure.
--   * Run again it changes nothing.
--   * Run with sqlcmd, give every variable and double the quotes ('') in the values. `entrada script` does
--     both, and knows the defaults.
--
-- Sources:
--   https://learn.microsoft.com/sql/t-sql/statements/grant-schema-permissions-transact-sql
--   https://learn.microsoft.com/sql/relational-databases/tutorial-ownership-chains-and-context-switching
SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @principal nvarchar(4000) = N'$(PrincipalName)';
DECLARE @schema_name nvarchar(4000) = N'$(SchemaName)';

DECLARE @user nvarchar(258) = QUOTENAME(@principal);
DECLARE @schema nvarchar(258) = QUOTENAME(@schema_name);
DECLARE @schema_id int;
DECLARE @principal_id int;
DECLARE @wrong nvarchar(max);
DECLARE @message nvarchar(2048);
DECLARE @sql nvarchar(max);
DECLARE @wanted TABLE (name nvarchar(max) NOT NULL);

IF @user IS NULL OR DATALENGTH(@principal) NOT BETWEEN 2 AND 256
    THROW 50000, N'PrincipalName must have 1 to 128 characters.', 1;
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

INSERT INTO @wanted (name)
VALUES (N'EXECUTE');

SELECT @wrong = STRING_AGG(CAST(p.permission_name AS nvarchar(max)), N', ')
FROM sys.database_permissions AS p
WHERE
    p.class = 3
    AND p.major_id = @schema_id
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
        N'GRANT ' + w.name + N' ON SCHEMA::' + @schema + N' TO ' + @user + N';', NCHAR(10)
    )
FROM @wanted AS w
WHERE NOT EXISTS (
    SELECT 1
    FROM sys.database_permissions AS p
    WHERE
        p.class = 3
        AND p.major_id = @schema_id
        AND p.minor_id = 0
        AND p.grantee_principal_id = @principal_id
        AND p.permission_name = w.name COLLATE DATABASE_DEFAULT
        AND p.state IN ('G', 'W')
);

IF @sql IS NULL
    PRINT N'Nothing to do: ' + @user + N' has EXECUTE on the schema.';
ELSE
BEGIN
    BEGIN TRANSACTION;
    EXEC sys.sp_executesql @sql;
    COMMIT TRANSACTION;
    PRINT @sql;
END;
