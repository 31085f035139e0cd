-- Purpose: Creates a user for an Entra principal by its name, which the server looks up in the directory.
--
-- Variables:
--   PrincipalName (name): The display name of an application, a managed identity or a group, the user
--     principal name of a person. Example: orders-api
--   DefaultSchema (name): The schema in which names without one are looked up. Default: dbo
--
-- Needs: ALTER ANY USER in the database and a login with Entra; the server's own identity, or else the login,
--   must be allowed to read the directory (Directory Readers).
--
-- Changes: Adds one user with the right to connect and no other.
--
-- Notes:
--   * Error 33130: the directory has no such principal, or must not be asked. Error 33131: several have this
--     name; run create-user-by-object-id. Without rights in the directory run create-user-by-sid.
--   * The server takes the principal that has the name now. Whoever may name applications in the directory
--     can have one of this name, so look at the id that is printed.
--   * Run again it changes nothing, and fails if the name is that of another kind of user or of a role.
--   * Run with sqlcmd, give every variable and double the quotes ('') in the values. `entrada script` does
--     both, and knows the defaults.
--
-- Sources:
--   https://learn.microsoft.com/sql/t-sql/statements/create-user-transact-sql
--   https://learn.microsoft.com/azure/azure-sql/database/authentication-aad-directory-readers-role
SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @principal nvarchar(4000) = N'$(PrincipalName)';
DECLARE @schema nvarchar(4000) = N'$(DefaultSchema)';

DECLARE @user nvarchar(258) = QUOTENAME(@principal);
DECLARE @default_schema nvarchar(258) = QUOTENAME(@schema);
DECLARE @found_type char(1);
DECLARE @id nvarchar(36);
DECLARE @message nvarchar(2048);
DECLARE @sql nvarchar(max);

IF DB_NAME() = N'master'
    THROW 50000, N'This is the database master: connect to the one that the principal shall use.', 1;
IF @user IS NULL OR DATALENGTH(@principal) NOT BETWEEN 2 AND 256
    THROW 50000, N'PrincipalName must have 1 to 128 characters.', 1;
IF @default_schema IS NULL OR DATALENGTH(@schema) NOT BETWEEN 2 AND 256
    THROW 50000, N'DefaultSchema must have 1 to 128 characters.', 1;

SELECT @found_type = type
FROM sys.database_principals
WHERE name = @principal;

IF @found_type NOT IN ('E', 'X')
BEGIN
    SET @message = REPLACE(
        N'There is already a user or role ' + @user + N' that is not of Entra. Drop or rename it first.',
        N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

IF @found_type IS NULL
BEGIN
    SET @sql = N'CREATE USER ' + @user + N' FROM EXTERNAL PROVIDER WITH DEFAULT_SCHEMA = '
        + @default_schema + N';';
    EXEC sys.sp_executesql @sql;
    PRINT @sql;
END;

SELECT @id = CONVERT(nvarchar(36), CAST(CAST(sid AS binary(16)) AS uniqueidentifier))
FROM sys.database_principals
WHERE name = @principal;

IF @found_type IS NULL
    PRINT N'Created the user ' + @user + N' for the id ' + @id + N'.';
ELSE
    PRINT N'Nothing to do: the user ' + @user + N' exists with the id ' + @id + N'.';
