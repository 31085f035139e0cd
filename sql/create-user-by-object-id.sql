-- Purpose: Creates a user for the Entra principal with an object id, where its display name is not unique.
--
-- Variables:
--   PrincipalName (name): What the user is called in this database: the display name, with a suffix of your
--     choice that tells it from others. Example: orders-api-staging
--   ObjectId (guid): The object id of the person, the group or the service principal: of an application, that
--     of the enterprise application, not of its registration. Example: 00112233-4455-6677-8899-aabbccddeeff
--   DefaultSchema (name): The schema in which names without one are looked up. Default: dbo
--
-- Needs: ALTER ANY USER in the database and a login with Entra; the server's own identity, or else the login,
--   must be allowed to read the directory (Directory Readers).
--
-- Changes: Adds one user with the right to connect and no other.
--
-- Notes:
--   * Error 33130: the directory has no principal with this id, or must not be asked. Without rights in the
--     directory run create-user-by-sid.
--   * What is printed is what the database knows the user by: the client id of an application or a managed
--     identity, the object id of a person or a group.
--   * Run again it changes nothing, and fails if the name is that of another kind of user or of a role. Whether
--     an application that exists has this object id cannot be told from the database: compare what is printed.
--   * Run with sqlcmd, give every variable and double the quotes ('') in the values. `entrada script` does
--     both, and knows the defaults.
--
-- Sources:
--   https://learn.microsoft.com/sql/t-sql/statements/create-user-transact-sql
--   https://learn.microsoft.com/azure/azure-sql/database/authentication-microsoft-entra-create-users-with-nonunique-names
SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @principal nvarchar(4000) = N'$(PrincipalName)';
DECLARE @object_id nvarchar(4000) = N'$(ObjectId)';
DECLARE @schema nvarchar(4000) = N'$(DefaultSchema)';

DECLARE @user nvarchar(258) = QUOTENAME(@principal);
DECLARE @default_schema nvarchar(258) = QUOTENAME(@schema);
DECLARE @found_type char(1);
DECLARE @found_sid varbinary(85);
DECLARE @id nvarchar(36);
DECLARE @message nvarchar(2048);
DECLARE @sql nvarchar(max);

IF DB_NAME() = N'master'
    THROW 50000, N'This is the database master: connect to the one that the principal shall use.', 1;
IF @user IS NULL OR DATALENGTH(@principal) NOT BETWEEN 2 AND 256
    THROW 50000, N'PrincipalName must have 1 to 128 characters.', 1;
IF TRY_CAST(@object_id AS uniqueidentifier) IS NULL OR DATALENGTH(@object_id) <> 72
    THROW 50000, N'ObjectId must be an id of 36 characters such as 00112233-4455-6677-8899-aabbccddeeff.', 1;
IF @default_schema IS NULL OR DATALENGTH(@schema) NOT BETWEEN 2 AND 256
    THROW 50000, N'DefaultSchema must have 1 to 128 characters.', 1;

SELECT
    @found_type = type,
    @found_sid = sid
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

IF @found_type = 'X' AND @found_sid <> CAST(CAST(@object_id AS uniqueidentifier) AS varbinary(16))
BEGIN
    SET @message = REPLACE(
        N'The group ' + @user + N' exists with another object id. '
        + N'If it was made anew, run replace-identity; else choose another name.', N'%', N'%%'
    );
    THROW 50000, @message, 1;
END;

IF @found_type IS NULL
BEGIN
    SET @sql = N'CREATE USER ' + @user + N' FROM EXTERNAL PROVIDER WITH OBJECT_ID = '''
        + CONVERT(nvarchar(36), CAST(@object_id AS uniqueidentifier)) + N''';';
    IF @schema <> N'dbo'
        SET @sql = @sql + N' ALTER USER ' + @user + N' WITH DEFAULT_SCHEMA = ' + @default_schema + N';';

    BEGIN TRANSACTION;
    EXEC sys.sp_executesql @sql;
    COMMIT TRANSACTION;
    PRINT @sql;
END;

SELECT @id = CONVERT(nvarchar(36), CAST(CAST(sid AS binary(16)) AS uniqueidentifier))
FROM sys.database_principals
WHERE name = @principal;

IF @found_type IS NULL
    PRINT N'Created the user ' + @user + N' for the id ' + @id + N'.';
ELSE
    PRINT N'Nothing to do: the user ' + @user + N' exists with the id ' + @id + N'.';
