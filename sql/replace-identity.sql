-- Purpose: Gives a user to an identity that was made anew, with all that it may do: the id changes, the rest stays.
--
-- Variables:
--   PrincipalName (name): The user as it is called in this database. Example: orders-api
--   PrincipalId (guid): The new client id (application id) of an application or a managed identity, the new
--     object id of a person or a group. Example: 00112233-4455-6677-8899-aabbccddeeff
--   PrincipalType (E|X): E for an application, a managed identity or a person, X for a group. Default: E
--
-- Needs: Membership in db_owner.
--
-- Changes: Drops the user and creates it with the new id; its roles, permissions, default schema and what it
--   owns come back.
--
-- Notes:
--   * An identity that is deleted and made anew has another id. The user of the old one stays, and logins of
--     the new one fail with error 18456, though the name is the same.
--   * Nobody checks the id. Whoever holds a token for the principal with this id can log in and do what the old
--     one could. Compare it with `az ad sp show` or the portal first.
--   * All of it is done, or nothing. Extended properties of the user are lost, and what it granted to others
--     comes from the owner of the thing afterwards.
--   * What was done is returned as rows. Run again it changes nothing.
--   * Run with sqlcmd, give every variable and double the quotes ('') in the values. `entrada script` does
--     both, and knows the defaults.
--
-- Sources:
--   https://learn.microsoft.com/sql/t-sql/statements/create-user-transact-sql
--   https://learn.microsoft.com/sql/t-sql/statements/alter-authorization-transact-sql
--   https://learn.microsoft.com/azure/azure-sql/database/authentication-aad-service-principal
SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @principal nvarchar(4000) = N'$(PrincipalName)';
DECLARE @id nvarchar(4000) = N'$(PrincipalId)';
DECLARE @type nvarchar(4000) = N'$(PrincipalType)';

DECLARE @user nvarchar(258) = QUOTENAME(@principal);
DECLARE @principal_id int;
DECLARE @owner_id int = 1;
DECLARE @old_sid varbinary(85);
DECLARE @old_type char(1);
DECLARE @schema sysname;
DECLARE @sid varbinary(16);
DECLARE @found sysname;
DECLARE @wrong nvarchar(max);
DECLARE @message nvarchar(2048);
DECLARE @sql nvarchar(max);
DECLARE @todo TABLE (step int IDENTITY(1, 1) PRIMARY KEY, line nvarchar(max) NOT NULL);
DECLARE @keep TABLE (line nvarchar(max) NOT NULL);

IF @user IS NULL OR DATALENGTH(@principal) NOT BETWEEN 2 AND 256
    THROW 50000, N'PrincipalName must have 1 to 128 characters.', 1;
IF @type NOT IN (N'E', N'X')
    THROW 50000, N'PrincipalType must be E (application, managed identity, person) or X (group).', 1;
IF TRY_CAST(@id AS uniqueidentifier) IS NULL OR DATALENGTH(@id) <> 72
    THROW 50000, N'PrincipalId must be an id of 36 characters such as 00112233-4455-6677-8899-aabbccddeeff.', 1;

SET @sid = CAST(CAST(@id AS uniqueidentifier) AS varbinary(16));

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

SELECT
    @old_sid = sid,
    @old_type = type,
    @schema = ISNULL(default_schema_name, N'dbo')
FROM sys.database_principals
WHERE principal_id = @principal_id;

IF @old_type NOT IN ('E', 'X')
    THROW 50000, N'PrincipalName must be a user of Entra: this one is of another kind, or a role.', 1;
IF @principal_id = DATABASE_PRINCIPAL_ID()
    THROW 50000, N'PrincipalName is the user that runs this. Run it as somebody else.', 1;

IF @old_sid = @sid AND @old_type = @type
BEGIN
    PRINT N'Nothing to do: the user ' + @user + N' has the id ' + @id + N'.';
    RETURN;
END;

SELECT @found = name
FROM sys.database_principals
WHERE sid = @sid AND principal_id <> @principal_id;

IF @found IS NOT NULL
BEGIN
    SET @message = REPLACE(
        N'The id ' + @id + N' is already that of the user ' + QUOTENAME(@found)
        + N'. Drop that one first (drop-user).', N'%', N'%%'
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
SELECT N'ALTER AUTHORIZATION ON SCHEMA::' + QUOTENAME(name) + N' TO ' + N'[dbo]' + N';'
FROM sys.schemas
WHERE principal_id = @principal_id
ORDER BY name;

INSERT INTO @todo (line)
SELECT
    N'ALTER AUTHORIZATION ON OBJECT::' + QUOTENAME(SCHEMA_NAME(schema_id)) + N'.' + QUOTENAME(name)
    + N' TO ' + N'[dbo]' + N';'
FROM sys.objects
WHERE principal_id = @principal_id
ORDER BY schema_id, name;

INSERT INTO @todo (line)
SELECT N'ALTER AUTHORIZATION ON ROLE::' + QUOTENAME(name) + N' TO ' + N'[dbo]' + N';'
FROM sys.database_principals
WHERE owning_principal_id = @principal_id AND type = 'R'
ORDER BY name;

INSERT INTO @todo (line)
VALUES
(N'DROP USER ' + @user + N';'),
(
    N'CREATE USER ' + @user + N' WITH SID = ' + CONVERT(nvarchar(34), @sid, 1) + N', TYPE = ' + @type
    + N', DEFAULT_SCHEMA = ' + QUOTENAME(@schema) + N';'
);

INSERT INTO @todo (line)
SELECT N'ALTER AUTHORIZATION ON SCHEMA::' + QUOTENAME(name) + N' TO ' + @user + N';'
FROM sys.schemas
WHERE principal_id = @principal_id
ORDER BY name;

INSERT INTO @todo (line)
SELECT
    N'ALTER AUTHORIZATION ON OBJECT::' + QUOTENAME(SCHEMA_NAME(schema_id)) + N'.' + QUOTENAME(name)
    + N' TO ' + @user + N';'
FROM sys.objects
WHERE principal_id = @principal_id
ORDER BY schema_id, name;

INSERT INTO @todo (line)
SELECT N'ALTER AUTHORIZATION ON ROLE::' + QUOTENAME(name) + N' TO ' + @user + N';'
FROM sys.database_principals
WHERE owning_principal_id = @principal_id AND type = 'R'
ORDER BY name;

INSERT INTO @todo (line)
SELECT line
FROM @keep;

INSERT INTO @todo (line)
SELECT
    IIF(p.state = 'D', N'DENY ', N'GRANT ') + p.permission_name COLLATE DATABASE_DEFAULT
    + ISNULL(N' (' + QUOTENAME(c.name) + N')', N'')
    + CASE p.class
        WHEN 1 THEN
            N' ON OBJECT::' + QUOTENAME(SCHEMA_NAME(o.schema_id)) + N'.' + QUOTENAME(o.name)
        WHEN 3 THEN N' ON SCHEMA::' + QUOTENAME(s.name)
        WHEN 4 THEN N' ON ' + IIF(t.type = 'R', N'ROLE::', N'USER::') + QUOTENAME(t.name)
        ELSE N''
    END
    + N' TO ' + @user + IIF(p.state = 'W', N' WITH GRANT OPTION;', N';')
FROM sys.database_permissions AS p
INNER JOIN sys.database_principals AS e ON p.grantee_principal_id = e.principal_id
LEFT JOIN sys.all_objects AS o ON p.class = 1 AND p.major_id = o.object_id
LEFT JOIN sys.columns AS c ON p.class = 1 AND p.major_id = c.object_id AND p.minor_id = c.column_id
LEFT JOIN sys.schemas AS s ON p.class = 3 AND p.major_id = s.schema_id
LEFT JOIN sys.database_principals AS t ON p.class = 4 AND p.major_id = t.principal_id
WHERE
    p.grantee_principal_id = @principal_id
    AND p.class IN (0, 1, 3, 4)
    AND (p.class <> 0 OR p.type <> 'CO' OR p.state = 'D')
    AND (p.class <> 4 OR t.principal_id <> @principal_id)
    AND ISNULL(o.principal_id, 0) <> @principal_id
    AND ISNULL(s.principal_id, 0) <> @principal_id
    AND ISNULL(t.owning_principal_id, 0) <> @principal_id
ORDER BY p.class, p.major_id, p.minor_id, p.permission_name;

IF NOT EXISTS (
    SELECT 1
    FROM sys.database_permissions
    WHERE class = 0 AND type = 'CO' AND grantee_principal_id = @principal_id
)
    INSERT INTO @todo (line)
    VALUES (N'REVOKE CONNECT FROM ' + @user + N';');

INSERT INTO @todo (line)
SELECT N'ALTER ROLE ' + QUOTENAME(r.name) + N' ADD MEMBER ' + @user + N';'
FROM sys.database_role_members AS m
INNER JOIN sys.database_principals AS r ON m.role_principal_id = r.principal_id
WHERE m.member_principal_id = @principal_id
ORDER BY r.name;

SELECT @sql = STRING_AGG(line, NCHAR(10)) WITHIN GROUP (ORDER BY step)
FROM @todo;

BEGIN TRANSACTION;
EXEC sys.sp_executesql @sql;
COMMIT TRANSACTION;

SELECT line AS [done]
FROM @todo
ORDER BY step;

PRINT N'The user ' + @user + N' is now that of the id ' + @id + N'.';
