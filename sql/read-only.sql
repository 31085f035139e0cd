-- Purpose: Lets a user read every table and view, and change nothing.
--
-- Variables:
--   PrincipalName (name): The user, or a role, as it is called in this database. Example: orders-api
--
-- Needs: Membership in db_owner: only it may add members to fixed roles.
--
-- Changes: Adds the user to db_datareader.
--
-- Notes:
--   * It reads all of the database, what is added later included. To let it read one schema only, run
--     service-role with SELECT.
--   * It takes nothing away: what else the user is a member of is printed.
--   * Run with sqlcmd, give every variable and double the quotes ('') in the values. `entrada script` does
--     both, and knows the defaults.
--
-- Sources:
--   https://learn.microsoft.com/sql/relational-databases/security/authentication-access/database-level-roles
SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @principal nvarchar(4000) = N'$(PrincipalName)';

DECLARE @user nvarchar(258) = QUOTENAME(@principal);
DECLARE @principal_id int;
DECLARE @others nvarchar(max);
DECLARE @message nvarchar(2048);
DECLARE @sql nvarchar(max);
DECLARE @wanted TABLE (name sysname NOT NULL);
DECLARE @todo TABLE (step int IDENTITY(1, 1) PRIMARY KEY, line nvarchar(max) NOT NULL);

IF @user IS NULL OR DATALENGTH(@principal) NOT BETWEEN 2 AND 256
    THROW 50000, N'PrincipalName must have 1 to 128 characters.', 1;

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

INSERT INTO @wanted (name)
VALUES (N'db_datareader');

INSERT INTO @todo (line)
SELECT N'ALTER ROLE ' + QUOTENAME(w.name) + N' ADD MEMBER ' + @user + N';'
FROM @wanted AS w
WHERE NOT EXISTS (
    SELECT 1
    FROM sys.database_role_members AS m
    INNER JOIN sys.database_principals AS r ON m.role_principal_id = r.principal_id
    WHERE m.member_principal_id = @principal_id AND r.name = w.name COLLATE DATABASE_DEFAULT
);

SELECT @sql = STRING_AGG(line, NCHAR(10)) WITHIN GROUP (ORDER BY step)
FROM @todo;

IF @sql IS NULL
    PRINT N'Nothing to do: ' + @user + N' has all of it.';
ELSE
BEGIN
    BEGIN TRANSACTION;
    EXEC sys.sp_executesql @sql;
    COMMIT TRANSACTION;
    PRINT @sql;
END;

SELECT @others = STRING_AGG(CAST(QUOTENAME(r.name) AS nvarchar(max)), N', ')
FROM sys.database_role_members AS m
INNER JOIN sys.database_principals AS r ON m.role_principal_id = r.principal_id
WHERE m.member_principal_id = @principal_id AND r.name NOT IN (N'db_datareader');

IF @others IS NOT NULL
    PRINT N'Note: ' + @user + N' is also a member of ' + @others + N', and may do what these may.';
