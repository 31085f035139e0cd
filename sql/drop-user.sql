-- Purpose: Drops a user, and gives what it owns to somebody else.
--
-- Variables:
--   PrincipalName (name): The user as it is called in this database. Example: orders-api
--   NewOwner (name): Who owns then what the user owned: schemas, objects and roles. Default: dbo
--
-- Needs: Membership in db_owner.
--
-- Changes: Changes the owner of schemas, objects and roles that the user owns, then drops the user.
--
-- Notes:
--   * Nobody else loses anything: what the user granted to others, and what is granted on objects whose owner
--     changes (the server takes that away), is granted again by the new owner.
--   * All of it is done, or nothing. It stops where the user owns what is no schema, object or role (types,
--     certificates, keys, assemblies): the server's error 15136 and its kin say so.
--   * The identity stays in the directory. It may still come in as a member of a group that is a user here.
--   * What was done is returned as rows. Run again it changes nothing.
--   * Run with sqlcmd, give every variable and double the quotes ('') in the values. `entrada script` does
--     both, and knows the defaults.
--
-- Sources:
--   https://learn.microsoft.com/sql/t-sql/statements/drop-user-transact-sql
--   https://learn.microsoft.com/sql/t-sql/statements/alter-authorization-transact-sql
SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @principal nvarchar(4000) = N'$(PrincipalName)';
DECLARE @owner_name nvarchar(4000) = N'$(NewOwner)';

DECLARE @user nvarchar(258) = QUOTENAME(@principal);
DECLARE @owner nvarchar(258) = QUOTENAME(@owner_name);
DECLARE @principal_id int;
DECLARE @type char(1);
DECLARE @owner_id int;
DECLARE @wrong nvarchar(max);
DECLARE @message nvarchar(2048);
DECLARE @sql nvarchar(max);
DECLARE @todo TABLE (step int IDENTITY(1, 1) PRIMARY KEY, line nvarchar(max) NOT NULL);
DECLARE @keep TABLE (line nvarchar(max) NOT NULL);

IF @user IS NULL OR DATALENGTH(@principal) NOT BETWEEN 2 AND 256
    THROW 50000, N'PrincipalName must have 1 to 128 characters.', 1;
IF @owner IS NULL OR DATALENGTH(@owner_name) NOT BETWEEN 2 AND 256
    THROW 50000, N'NewOwner must have 1 to 128 characters.', 1;

SELECT
    @principal_id = principal_id,
    @type = type
FROM sys.database_principals
WHERE name = @principal;

IF @principal_id IS NULL
BEGIN
    PRINT N'Nothing to do: there is no user ' + @user + N'.';
    RETURN;
END;

IF @type IN ('R', 'A') OR @principal_id <= 4
    THROW 50000, N'PrincipalName must be a user, and not dbo, guest or a role.', 1;
IF @principal_id = DATABASE_PRINCIPAL_ID()
    THROW 50000, N'PrincipalName is the user that runs this. Run it as somebody else.', 1;

SELECT @owner_id = principal_id
FROM sys.database_principals
WHERE name = @owner_name;

IF @owner_id IS NULL OR @owner_id = @principal_id
BEGIN
    SET @message = REPLACE(
        N'There is no other user or role ' + @owner + N' that could own things. Mend NewOwner.', N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

SELECT @wrong = STRING_AGG(CAST(p.permission_name + N' on ' + p.class_desc AS nvarchar(max)), N', ')
FROM sys.database_permissions AS p
WHERE
    p.class NOT IN (0, 1, 3, 4)
    AND (p.grantee_principal_id = @principal_id OR p.grantor_principal_id = @principal_id);

IF @wrong IS NOT NULL
BEGIN
    SET @message = REPLACE(
        @user + N' is concerned by permissions on what this script does not know: ' + LEFT(@wrong, 500)
        + N'. Take these away by hand first.', N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

IF EXISTS (
    SELECT 1
    FROM sys.database_permissions AS a
    INNER JOIN sys.database_permissions AS b
        ON
            a.class = b.class
            AND a.major_id = b.major_id
            AND a.minor_id = b.minor_id
            AND a.type = b.type
            AND a.grantee_principal_id = b.grantor_principal_id
    WHERE a.grantor_principal_id = @principal_id AND a.state = 'W'
)
BEGIN
    SET @message = REPLACE(
        N'Others pass on what ' + @user + N' granted to them (WITH GRANT OPTION). Revoke that by hand first.',
        N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

INSERT INTO @keep (line)
SELECT DISTINCT
    IIF(p.state = 'D', N'DENY ', N'GRANT ') + p.permission_name COLLATE DATABASE_DEFAULT
    + ISNULL(N' (' + QUOTENAME(c.name) + N')', N'')
    + CASE p.class
        WHEN 1 THEN
            N' ON OBJECT::' + QUOTENAME(SCHEMA_NAME(o.schema_id)) + N'.' + QUOTENAME(o.name)
        WHEN 3 THEN N' ON SCHEMA::' + QUOTENAME(s.name)
        WHEN 4 THEN N' ON ' + IIF(t.type = 'R', N'ROLE::', N'USER::') + QUOTENAME(t.name)
        ELSE N''
    END
    + N' TO ' + QUOTENAME(e.name) + IIF(p.state = 'W', N' WITH GRANT OPTION;', N';')
FROM sys.database_permissions AS p
INNER JOIN sys.database_principals AS e ON p.grantee_principal_id = e.principal_id
LEFT JOIN sys.all_objects AS o ON p.class = 1 AND p.major_id = o.object_id
LEFT JOIN sys.columns AS c ON p.class = 1 AND p.major_id = c.object_id AND p.minor_id = c.column_id
LEFT JOIN sys.schemas AS s ON p.class = 3 AND p.major_id = s.schema_id
LEFT JOIN sys.database_principals AS t ON p.class = 4 AND p.major_id = t.principal_id
WHERE
    p.grantee_principal_id NOT IN (@principal_id, @owner_id)
    AND p.class IN (0, 1, 3, 4)
    AND (
        p.grantor_principal_id = @principal_id
        OR o.principal_id = @principal_id
        OR (
            o.principal_id IS NULL
            AND o.schema_id IN (SELECT x.schema_id FROM sys.schemas AS x WHERE x.principal_id = @principal_id)
        )
    );

INSERT INTO @todo (line)
SELECT
    N'REVOKE ' + p.permission_name COLLATE DATABASE_DEFAULT
    + ISNULL(N' (' + QUOTENAME(c.name) + N')', N'')
    + CASE p.class
        WHEN 1 THEN
            N' ON OBJECT::' + QUOTENAME(SCHEMA_NAME(o.schema_id)) + N'.' + QUOTENAME(o.name)
        WHEN 3 THEN N' ON SCHEMA::' + QUOTENAME(s.name)
        WHEN 4 THEN N' ON ' + IIF(t.type = 'R', N'ROLE::', N'USER::') + QUOTENAME(t.name)
        ELSE N''
    END
    + N' FROM ' + QUOTENAME(e.name) + N' CASCADE AS ' + @user + N';'
FROM sys.database_permissions AS p
INNER JOIN sys.database_principals AS e ON p.grantee_principal_id = e.principal_id
LEFT JOIN sys.all_objects AS o ON p.class = 1 AND p.major_id = o.object_id
LEFT JOIN sys.columns AS c ON p.class = 1 AND p.major_id = c.object_id AND p.minor_id = c.column_id
LEFT JOIN sys.schemas AS s ON p.class = 3 AND p.major_id = s.schema_id
LEFT JOIN sys.database_principals AS t ON p.class = 4 AND p.major_id = t.principal_id
WHERE
    p.grantor_principal_id = @principal_id
    AND p.grantee_principal_id <> @principal_id
    AND p.class IN (0, 1, 3, 4);

INSERT INTO @todo (line)
SELECT N'ALTER AUTHORIZATION ON SCHEMA::' + QUOTENAME(name) + N' TO ' + @owner + N';'
FROM sys.schemas
WHERE principal_id = @principal_id
ORDER BY name;

INSERT INTO @todo (line)
SELECT
    N'ALTER AUTHORIZATION ON OBJECT::' + QUOTENAME(SCHEMA_NAME(schema_id)) + N'.' + QUOTENAME(name)
    + N' TO ' + @owner + N';'
FROM sys.objects
WHERE principal_id = @principal_id
ORDER BY schema_id, name;

INSERT INTO @todo (line)
SELECT N'ALTER AUTHORIZATION ON ROLE::' + QUOTENAME(name) + N' TO ' + @owner + N';'
FROM sys.database_principals
WHERE owning_principal_id = @principal_id AND type = 'R'
ORDER BY name;

INSERT INTO @todo (line)
SELECT line
FROM @keep;

INSERT INTO @todo (line)
VALUES (N'DROP USER ' + @user + N';');

SELECT @sql = STRING_AGG(line, NCHAR(10)) WITHIN GROUP (ORDER BY step)
FROM @todo;

BEGIN TRANSACTION;
EXEC sys.sp_executesql @sql;
COMMIT TRANSACTION;

SELECT line AS [done]
FROM @todo
ORDER BY step;

PRINT N'Dropped the user ' + @user + N'.';
