-- Purpose: Adds a user to fixed roles of the database, such as db_datareader.
--
-- Variables:
--   PrincipalName (name): The user, or a role, as it is called in this database. Example: orders-api
--   RoleNames (names): The roles, with commas between them. Default: db_datareader
--
-- Needs: Membership in db_owner: only it may add members to fixed roles.
--
-- Changes: Adds the user to the roles that it is not in.
--
-- Notes:
--   * db_owner is refused: what it means stands in db-owner. A role of the database's own: add-to-role.
--   * db_accessadmin and db_securityadmin can give their members all that db_owner has.
--   * Run again it changes nothing.
--   * Run with sqlcmd, give every variable and double the quotes ('') in the values. `entrada script` does
--     both, and knows the defaults.
--
-- Sources:
--   https://learn.microsoft.com/sql/relational-databases/security/authentication-access/database-level-roles
SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @principal nvarchar(4000) = N'$(PrincipalName)';
DECLARE @role_names nvarchar(max) = N'$(RoleNames)';

DECLARE @user nvarchar(258) = QUOTENAME(@principal);
DECLARE @principal_id int;
DECLARE @wrong nvarchar(max);
DECLARE @message nvarchar(2048);
DECLARE @sql nvarchar(max);
DECLARE @wanted TABLE (name nvarchar(max) NOT NULL);

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
SELECT DISTINCT TRIM(value)
FROM STRING_SPLIT(@role_names, N',');

IF EXISTS (SELECT 1 FROM @wanted WHERE name = N'db_owner')
    THROW 50000, N'RoleNames has db_owner, which may do everything: run db-owner if that is meant.', 1;

SELECT @wrong = STRING_AGG(w.name, N', ')
FROM @wanted AS w
WHERE NOT EXISTS (
    SELECT 1
    FROM sys.database_principals AS r
    WHERE r.name = w.name COLLATE DATABASE_DEFAULT AND r.is_fixed_role = 1
);

IF @wrong IS NOT NULL
BEGIN
    SET @message = REPLACE(
        N'RoleNames has what is no fixed role: ' + LEFT(@wrong, 500)
        + N'. For a role of the database''s own run add-to-role.', N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

SELECT
    @sql = STRING_AGG(
        CAST(N'ALTER ROLE ' + QUOTENAME(r.name) + N' ADD MEMBER ' + @user + N';' AS nvarchar(max)), NCHAR(10)
    ) WITHIN GROUP (ORDER BY r.name)
FROM sys.database_principals AS r
WHERE
    r.is_fixed_role = 1
    AND EXISTS (SELECT 1 FROM @wanted AS w WHERE w.name = r.name COLLATE DATABASE_DEFAULT)
    AND NOT EXISTS (
        SELECT 1
        FROM sys.database_role_members AS m
        WHERE m.role_principal_id = r.principal_id AND m.member_principal_id = @principal_id
    );

IF @sql IS NULL
    PRINT N'Nothing to do: ' + @user + N' is a member of all of them.';
ELSE
BEGIN
    BEGIN TRANSACTION;
    EXEC sys.sp_executesql @sql;
    COMMIT TRANSACTION;
    PRINT @sql;
END;
