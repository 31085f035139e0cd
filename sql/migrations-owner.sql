-- Purpose: Lets a migration tool change the schema and the rows, with less than db_owner.
--
-- Variables:
--   PrincipalName (name): The user, or a role, as it is called in this database. Example: orders-api
--
-- Needs: Membership in db_owner: only it may add members to fixed roles.
--
-- Changes: Adds the user to db_datareader, db_datawriter and db_ddladmin, and grants EXECUTE and VIEW DEFINITION.
--
-- Notes:
--   * It can create, alter and drop schemas, tables, views, procedures, functions, types, sequences, indexes
--     and triggers, change rows, take application locks, and so run EF Core, Flyway, Liquibase and the like.
--   * It cannot create users or roles, add members, grant or deny, change the database's options or its
--     auditing, back up or drop the database. Migrations that do so need db-owner, or better: leave grants to
--     `entrada grants`.
--   * db_ddladmin can be turned into more: it may change a procedure or a trigger that somebody with more
--     rights then runs. Give it to the identity of the deployment and not to that of the service.
--   * It takes nothing away: what else the user is a member of is printed.
--   * Run with sqlcmd, give every variable and double the quotes ('') in the values. `entrada script` does
--     both, and knows the defaults.
--
-- Sources:
--   https://learn.microsoft.com/sql/relational-databases/security/authentication-access/database-level-roles
--   https://learn.microsoft.com/sql/relational-databases/security/permissions-database-engine
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
VALUES (N'db_datareader'), (N'db_datawriter'), (N'db_ddladmin');

INSERT INTO @todo (line)
SELECT N'ALTER ROLE ' + QUOTENAME(w.name) + N' ADD MEMBER ' + @user + N';'
FROM @wanted AS w
WHERE NOT EXISTS (
    SELECT 1
    FROM sys.database_role_members AS m
    INNER JOIN sys.database_principals AS r ON m.role_principal_id = r.principal_id
    WHERE m.member_principal_id = @principal_id AND r.name = w.name COLLATE DATABASE_DEFAULT
);

DELETE FROM @wanted;

INSERT INTO @wanted (name)
VALUES (N'EXECUTE'), (N'VIEW DEFINITION');

INSERT INTO @todo (line)
SELECT N'GRANT ' + w.name + N' TO ' + @user + N';'
FROM @wanted AS w
WHERE NOT EXISTS (
    SELECT 1
    FROM sys.database_permissions AS p
    WHERE
        p.class = 0
        AND p.grantee_principal_id = @principal_id
        AND p.permission_name = w.name COLLATE DATABASE_DEFAULT
        AND p.state IN ('G', 'W')
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
WHERE m.member_principal_id = @principal_id AND r.name NOT IN (N'db_datareader', N'db_datawriter', N'db_ddladmin');

IF @others IS NOT NULL
    PRINT N'Note: ' + @user + N' is also a member of ' + @others + N', and may do what these may.';
