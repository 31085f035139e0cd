-- Purpose: Creates a user for an Entra principal by its id, without asking the directory.
--
-- Variables:
--   PrincipalName (name): What the user is called in this database. Any name will do; the one that the
--     principal has in the directory is easiest to recognise. Example: orders-api
--   PrincipalId (guid): The client id (application id) of an application or a managed identity, the object
--     id of a person or a group. Example: 00112233-4455-6677-8899-aabbccddeeff
--   PrincipalType (E|X): E for an application, a managed identity or a person, X for a group. Default: E
--   DefaultSchema (name): The schema in which names without one are looked up. Default: dbo
--
-- Needs: ALTER ANY USER in the database; neither a login to Entra nor a right in the directory.
--
-- Changes: Adds one user with the right to connect and no other.
--
-- Notes:
--   * Nobody checks the id. Whoever holds a token for the principal with this id can log in, so a wrong id
--     lets somebody else in, and the object id of an application (instead of its client id) nobody at all:
--     its logins fail with error 18456. Compare the id with `az ad sp show` or the portal first.
--   * Run again it changes nothing, and fails if the name or the id belongs to another user. If the identity
--     was deleted and made anew, replace-identity keeps what the user may do.
--   * The id becomes the SID with its first three fields turned around, as CAST to varbinary does it.
--   * Run with sqlcmd, give every variable and double the quotes ('') in the values. `entrada script` does
--     both, and knows the defaults.
--
-- Sources:
--   https://learn.microsoft.com/sql/t-sql/statements/create-user-transact-sql
--   https://learn.microsoft.com/azure/azure-sql/database/authentication-aad-service-principal
SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @principal nvarchar(4000) = N'$(PrincipalName)';
DECLARE @id nvarchar(4000) = N'$(PrincipalId)';
DECLARE @type nvarchar(4000) = N'$(PrincipalType)';
DECLARE @schema nvarchar(4000) = N'$(DefaultSchema)';

DECLARE @user nvarchar(258) = QUOTENAME(@principal);
DECLARE @default_schema nvarchar(258) = QUOTENAME(@schema);
DECLARE @sid varbinary(16);
DECLARE @found sysname;
DECLARE @found_sid varbinary(85);
DECLARE @found_type char(1);
DECLARE @message nvarchar(2048);
DECLARE @sql nvarchar(max);

IF DB_NAME() = N'master'
    THROW 50000, N'This is the database master: connect to the one that the principal shall use.', 1;
IF @user IS NULL OR DATALENGTH(@principal) NOT BETWEEN 2 AND 256
    THROW 50000, N'PrincipalName must have 1 to 128 characters.', 1;
IF @default_schema IS NULL OR DATALENGTH(@schema) NOT BETWEEN 2 AND 256
    THROW 50000, N'DefaultSchema must have 1 to 128 characters.', 1;
IF @type NOT IN (N'E', N'X')
    THROW 50000, N'PrincipalType must be E (application, managed identity, person) or X (group).', 1;
IF TRY_CAST(@id AS uniqueidentifier) IS NULL OR DATALENGTH(@id) <> 72
    THROW 50000, N'PrincipalId must be an id of 36 characters such as 00112233-4455-6677-8899-aabbccddeeff.', 1;

SET @sid = CAST(CAST(@id AS uniqueidentifier) AS varbinary(16));

SELECT
    @found = name,
    @found_sid = sid,
    @found_type = type
FROM sys.database_principals
WHERE name = @principal;

IF @found IS NOT NULL AND @found_sid = @sid AND @found_type = @type
BEGIN
    PRINT N'Nothing to do: the user ' + @user + N' exists with the id ' + @id + N'.';
    RETURN;
END;

IF @found IS NOT NULL
BEGIN
    SET @message = REPLACE(
        N'There is already a user or role ' + @user + N' with another id or of another type. '
        + N'If its identity was made anew, run replace-identity; else choose another name.', N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

SELECT @found = name
FROM sys.database_principals
WHERE sid = @sid;

IF @found IS NOT NULL
BEGIN
    SET @message = REPLACE(
        N'The id ' + @id + N' is already that of the user ' + QUOTENAME(@found)
        + N'. Use that one, or drop it first (drop-user).', N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

SET @sql = N'CREATE USER ' + @user
    + N' WITH SID = ' + CONVERT(nvarchar(34), @sid, 1)
    + N', TYPE = ' + @type
    + N', DEFAULT_SCHEMA = ' + @default_schema + N';';
EXEC sys.sp_executesql @sql;

PRINT @sql;
PRINT N'Created the user ' + @user + N' for the id ' + @id + N'.';
