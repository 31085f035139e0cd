-- Purpose: Takes a user out of a role.
--
-- Variables:
--   PrincipalName (name): The user, or a role, as it is called in this database. Example: orders-api
--   RoleName (name): The role of the database's own, or a fixed one. Example: orders_service
--
-- Needs: ALTER on the role or ALTER ANY ROLE; membership in db_owner for a fixed role.
--
-- Changes: Takes one member out of the role.
--
-- Notes:
--   * Run again it changes nothing.
--   * What the user may do by itself or by other roles stays. To take away all of it run revoke.
--   * Run with sqlcmd, give every variable and double the quotes ('') in the values. `entrada script` does
--     both, and knows the defaults.
--
-- Sources:
--   https://learn.microsoft.com/sql/t-sql/statements/alter-role-transact-sql
SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @principal nvarchar(4000) = N'$(PrincipalName)';
DECLARE @role_name nvarchar(4000) = N'$(RoleName)';

DECLARE @user nvarchar(258) = QUOTENAME(@principal);
DECLARE @role nvarchar(258) = QUOTENAME(@role_name);
DECLARE @principal_id int;
DECLARE @role_id int;
DECLARE @message nvarchar(2048);
DECLARE @sql nvarchar(max);

IF @user IS NULL OR DATALENGTH(@principal) NOT BETWEEN 2 AND 256
    THROW 50000, N'PrincipalName must have 1 to 128 characters.', 1;
IF @role IS NULL OR DATALENGTH(@role_name) NOT BETWEEN 2 AND 256
    THROW 50000, N'RoleName must have 1 to 128 characters.', 1;

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

SELECT @role_id = principal_id
FROM sys.database_principals
WHERE name = @role_name AND type = 'R' AND principal_id <> 0;

IF @role_id IS NULL
BEGIN
    SET @message = REPLACE(
        N'There is no role ' + @role + N' in the database ' + QUOTENAME(DB_NAME())
        + N', or it is public, which has everybody as a member.', N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

IF NOT EXISTS (
    SELECT 1
    FROM sys.database_role_members
    WHERE role_principal_id = @role_id AND member_principal_id = @principal_id
)
    PRINT N'Nothing to do: ' + @user + N' is not a member of ' + @role + N'.';
ELSE
BEGIN
    SET @sql = N'ALTER ROLE ' + @role + N' DROP MEMBER ' + @user + N';';
    EXEC sys.sp_executesql @sql;
    PRINT @sql;
END;
