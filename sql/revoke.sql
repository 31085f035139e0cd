-- Purpose: Takes away all that a user or a role may do: its memberships and what is granted to it.
--
-- Variables:
--   PrincipalName (name): The user, or a role, as it is called in this database. Example: orders-api
--   Connecting (keep|revoke): Whether the user may still log in, which a database lets nobody do by
--     itself. Default: keep
--
-- Needs: Membership in db_owner; db_securityadmin is enough where the user is in no fixed role.
--
-- Changes: Takes the user out of every role, and revokes every permission that is granted to it.
--
-- Notes:
--   * What it may do as a member of a group of the directory that is a user here too, or because public may,
--     stays. So does what it owns; drop-user gives that to somebody else.
--   * A DENY stays, as its end would allow more. It goes with the user (drop-user).
--   * Where it was allowed to grant, those whom it granted lose that too (CASCADE).
--   * Sessions that are open lose their rights at once, and stay open.
--   * What was done is returned as rows. Run again it changes nothing.
--   * Run with sqlcmd, give every variable and double the quotes ('') in the values. `entrada script` does
--     both, and knows the defaults.
--
-- Sources:
--   https://learn.microsoft.com/sql/t-sql/statements/revoke-transact-sql
--   https://learn.microsoft.com/sql/t-sql/statements/alter-role-transact-sql
SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @principal nvarchar(4000) = N'$(PrincipalName)';
DECLARE @connecting nvarchar(4000) = N'$(Connecting)';

DECLARE @user nvarchar(258) = QUOTENAME(@principal);
DECLARE @principal_id int;
DECLARE @wrong nvarchar(max);
DECLARE @message nvarchar(2048);
DECLARE @sql nvarchar(max);
DECLARE @todo TABLE (step int IDENTITY(1, 1) PRIMARY KEY, line nvarchar(max) NOT NULL);

IF @user IS NULL OR DATALENGTH(@principal) NOT BETWEEN 2 AND 256
    THROW 50000, N'PrincipalName must have 1 to 128 characters.', 1;
IF @connecting NOT IN (N'keep', N'revoke')
    THROW 50000, N'Connecting must be keep or revoke.', 1;

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

IF @principal_id <= 4 OR @principal_id >= 16384
    THROW 50000, N'PrincipalName must not be dbo, public, guest or a fixed role.', 1;

SELECT @wrong = STRING_AGG(CAST(p.permission_name + N' on ' + p.class_desc AS nvarchar(max)), N', ')
FROM sys.database_permissions AS p
WHERE
    p.class NOT IN (0, 1, 3, 4)
    AND p.state IN ('G', 'W') AND p.grantee_principal_id = @principal_id;

IF @wrong IS NOT NULL
BEGIN
    SET @message = REPLACE(
        @user + N' is concerned by permissions on what this script does not know: ' + LEFT(@wrong, 500)
        + N'. Take these away by hand first.', N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

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
    + N' FROM ' + @user + N' CASCADE'
    + IIF(p.grantor_principal_id = 1, N'', N' AS ' + QUOTENAME(USER_NAME(p.grantor_principal_id))) + N';'
FROM sys.database_permissions AS p
INNER JOIN sys.database_principals AS e ON p.grantee_principal_id = e.principal_id
LEFT JOIN sys.all_objects AS o ON p.class = 1 AND p.major_id = o.object_id
LEFT JOIN sys.columns AS c ON p.class = 1 AND p.major_id = c.object_id AND p.minor_id = c.column_id
LEFT JOIN sys.schemas AS s ON p.class = 3 AND p.major_id = s.schema_id
LEFT JOIN sys.database_principals AS t ON p.class = 4 AND p.major_id = t.principal_id
WHERE
    p.grantee_principal_id = @principal_id
    AND p.state IN ('G', 'W')
    AND p.class IN (0, 1, 3, 4)
    AND (p.type <> 'CO' OR @connecting = N'revoke')
ORDER BY p.class, p.major_id, p.minor_id, p.permission_name;

INSERT INTO @todo (line)
SELECT N'ALTER ROLE ' + QUOTENAME(r.name) + N' DROP MEMBER ' + @user + N';'
FROM sys.database_role_members AS m
INNER JOIN sys.database_principals AS r ON m.role_principal_id = r.principal_id
WHERE m.member_principal_id = @principal_id
ORDER BY r.name;

SELECT @sql = STRING_AGG(line, NCHAR(10)) WITHIN GROUP (ORDER BY step)
FROM @todo;

IF @sql IS NULL
BEGIN
    PRINT N'Nothing to do: ' + @user + N' is in no role, and nothing is granted to it.';
    RETURN;
END;

BEGIN TRANSACTION;
EXEC sys.sp_executesql @sql;
COMMIT TRANSACTION;

SELECT line AS [done]
FROM @todo
ORDER BY step;

PRINT N'Took away all that ' + @user + N' was allowed to do.';
