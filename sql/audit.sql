-- Purpose: Shows who may do what in the database: users, nested roles, permissions, and what is odd.
--
-- Needs: VIEW DEFINITION in the database; without it one sees little more than oneself.
--
-- Changes: Nothing: it only reads.
--
-- Notes:
--   * Seven results: users with their ids; who is in which role, roles in roles included; permissions as they
--     were given; what each user may do, by whatever role; who can get at everything; who owns what; what is
--     odd.
--   * For external users and groups the id is the client id of an application or a managed identity, the
--     object id of a person or a group. A database does not know whether it still exists in the directory, nor
--     who is in a group.
--   * The administrators of the server are dbo in each database and so in none of these lists by their names.
--
-- Sources:
--   https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-database-principals-transact-sql
--   https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-database-permissions-transact-sql
SET NOCOUNT ON;
SET XACT_ABORT ON;

-- 1. Users. Those of Entra have the type EXTERNAL_USER or EXTERNAL_GROUP, and an id.
SELECT
    u.name AS [user],
    u.type_desc AS kind,
    u.authentication_type_desc AS authentication,
    IIF(u.type IN ('E', 'X'), CAST(CAST(u.sid AS binary(16)) AS uniqueidentifier), NULL) AS id,
    u.default_schema_name AS default_schema,
    u.create_date AS created
FROM sys.database_principals AS u
WHERE u.type NOT IN ('R', 'A')
ORDER BY u.name;

-- 2. Memberships, with those by way of other roles.
WITH members AS (
    SELECT
        m.member_principal_id AS principal_id,
        m.role_principal_id AS role_id,
        1 AS depth,
        CAST(QUOTENAME(r.name) AS nvarchar(max)) AS way
    FROM sys.database_role_members AS m
    INNER JOIN sys.database_principals AS r ON m.role_principal_id = r.principal_id
    UNION ALL
    SELECT
        n.principal_id,
        m.role_principal_id AS role_id,
        n.depth + 1 AS depth,
        n.way + N' > ' + QUOTENAME(r.name) AS way
    FROM members AS n
    INNER JOIN sys.database_role_members AS m ON n.role_id = m.member_principal_id
    INNER JOIN sys.database_principals AS r ON m.role_principal_id = r.principal_id
    WHERE n.depth < 32
)

SELECT
    u.name AS member,
    u.type_desc AS kind,
    r.name AS [role],
    n.depth,
    n.way
FROM members AS n
INNER JOIN sys.database_principals AS u ON n.principal_id = u.principal_id
INNER JOIN sys.database_principals AS r ON n.role_id = r.principal_id
ORDER BY u.name, n.depth, r.name;

-- 3. Permissions as they were given.
SELECT
    e.name AS grantee,
    e.type_desc AS kind,
    p.state_desc AS [state],
    p.permission_name AS permission,
    CASE p.class
        WHEN 0 THEN N'database'
        WHEN 1 THEN
            QUOTENAME(SCHEMA_NAME(o.schema_id)) + N'.' + QUOTENAME(o.name)
            + ISNULL(N' (' + QUOTENAME(c.name) + N')', N'')
        WHEN 3 THEN N'schema ' + QUOTENAME(s.name)
        WHEN 4 THEN IIF(t.type = 'R', N'role ', N'user ') + QUOTENAME(t.name)
        ELSE p.class_desc COLLATE DATABASE_DEFAULT + N' ' + CAST(p.major_id AS nvarchar(11))
    END AS securable,
    USER_NAME(p.grantor_principal_id) AS grantor
FROM sys.database_permissions AS p
INNER JOIN sys.database_principals AS e ON p.grantee_principal_id = e.principal_id
LEFT JOIN sys.all_objects AS o ON p.class = 1 AND p.major_id = o.object_id
LEFT JOIN sys.columns AS c ON p.class = 1 AND p.major_id = c.object_id AND p.minor_id = c.column_id
LEFT JOIN sys.schemas AS s ON p.class = 3 AND p.major_id = s.schema_id
LEFT JOIN sys.database_principals AS t ON p.class = 4 AND p.major_id = t.principal_id
WHERE p.major_id >= 0
ORDER BY e.name, p.class, p.permission_name;

-- 4. What each user may do: by itself, by its roles, because everybody may. A DENY goes before a GRANT.
WITH members AS (
    SELECT
        m.member_principal_id AS principal_id,
        m.role_principal_id AS role_id,
        1 AS depth,
        CAST(QUOTENAME(r.name) AS nvarchar(max)) AS way
    FROM sys.database_role_members AS m
    INNER JOIN sys.database_principals AS r ON m.role_principal_id = r.principal_id
    UNION ALL
    SELECT
        n.principal_id,
        m.role_principal_id AS role_id,
        n.depth + 1 AS depth,
        n.way + N' > ' + QUOTENAME(r.name) AS way
    FROM members AS n
    INNER JOIN sys.database_role_members AS m ON n.role_id = m.member_principal_id
    INNER JOIN sys.database_principals AS r ON m.role_principal_id = r.principal_id
    WHERE n.depth < 32
),

sources AS (
    SELECT
        principal_id,
        principal_id AS source_id
    FROM sys.database_principals
    UNION
    SELECT
        principal_id,
        role_id AS source_id
    FROM members
    UNION
    SELECT
        principal_id,
        0 AS source_id
    FROM sys.database_principals
)

SELECT
    u.name AS [user],
    p.state_desc AS [state],
    p.permission_name COLLATE DATABASE_DEFAULT AS permission,
    CASE p.class
        WHEN 0 THEN N'database'
        WHEN 1 THEN
            QUOTENAME(SCHEMA_NAME(o.schema_id)) + N'.' + QUOTENAME(o.name)
            + ISNULL(N' (' + QUOTENAME(c.name) + N')', N'')
        WHEN 3 THEN N'schema ' + QUOTENAME(s.name)
        WHEN 4 THEN IIF(t.type = 'R', N'role ', N'user ') + QUOTENAME(t.name)
        ELSE p.class_desc COLLATE DATABASE_DEFAULT + N' ' + CAST(p.major_id AS nvarchar(11))
    END AS securable,
    e.name AS by_way_of
FROM sys.database_permissions AS p
INNER JOIN sys.database_principals AS e ON p.grantee_principal_id = e.principal_id
LEFT JOIN sys.all_objects AS o ON p.class = 1 AND p.major_id = o.object_id
LEFT JOIN sys.columns AS c ON p.class = 1 AND p.major_id = c.object_id AND p.minor_id = c.column_id
LEFT JOIN sys.schemas AS s ON p.class = 3 AND p.major_id = s.schema_id
LEFT JOIN sys.database_principals AS t ON p.class = 4 AND p.major_id = t.principal_id
INNER JOIN sources AS w ON e.principal_id = w.source_id
INNER JOIN sys.database_principals AS u ON w.principal_id = u.principal_id
WHERE u.type NOT IN ('R', 'A') AND u.principal_id > 4 AND p.major_id >= 0
UNION ALL
SELECT
    u.name AS [user],
    N'FIXED ROLE' AS [state],
    r.name COLLATE DATABASE_DEFAULT AS permission,
    N'database' AS securable,
    n.way AS by_way_of
FROM members AS n
INNER JOIN sys.database_principals AS u ON n.principal_id = u.principal_id
INNER JOIN sys.database_principals AS r ON n.role_id = r.principal_id
WHERE r.is_fixed_role = 1 AND u.type NOT IN ('R', 'A') AND u.principal_id > 4
ORDER BY [user], securable, permission;

-- 5. Who can get at everything, or give it to others.
WITH members AS (
    SELECT
        m.member_principal_id AS principal_id,
        m.role_principal_id AS role_id,
        1 AS depth,
        CAST(QUOTENAME(r.name) AS nvarchar(max)) AS way
    FROM sys.database_role_members AS m
    INNER JOIN sys.database_principals AS r ON m.role_principal_id = r.principal_id
    UNION ALL
    SELECT
        n.principal_id,
        m.role_principal_id AS role_id,
        n.depth + 1 AS depth,
        n.way + N' > ' + QUOTENAME(r.name) AS way
    FROM members AS n
    INNER JOIN sys.database_role_members AS m ON n.role_id = m.member_principal_id
    INNER JOIN sys.database_principals AS r ON m.role_principal_id = r.principal_id
    WHERE n.depth < 32
)

SELECT
    u.name AS principal,
    u.type_desc AS kind,
    r.name COLLATE DATABASE_DEFAULT AS reason,
    n.way AS by_way_of
FROM members AS n
INNER JOIN sys.database_principals AS u ON n.principal_id = u.principal_id
INNER JOIN sys.database_principals AS r ON n.role_id = r.principal_id
WHERE r.name IN (N'db_owner', N'db_securityadmin', N'db_accessadmin', N'db_ddladmin')
UNION ALL
SELECT
    e.name AS principal,
    e.type_desc AS kind,
    p.permission_name COLLATE DATABASE_DEFAULT AS reason,
    p.class_desc COLLATE DATABASE_DEFAULT AS by_way_of
FROM sys.database_permissions AS p
INNER JOIN sys.database_principals AS e ON p.grantee_principal_id = e.principal_id
WHERE
    p.state IN ('G', 'W')
    AND (
        p.permission_name IN (N'CONTROL', N'IMPERSONATE', N'TAKE OWNERSHIP', N'UNMASK')
        OR (p.class = 0 AND p.permission_name LIKE N'ALTER%')
        OR p.state = 'W'
    )
ORDER BY principal, reason;

-- 6. Who owns what, apart from dbo and what the server made.
SELECT
    u.name AS [owner],
    N'schema' AS kind,
    s.name
FROM sys.schemas AS s
INNER JOIN sys.database_principals AS u ON s.principal_id = u.principal_id
WHERE u.principal_id > 4 AND u.principal_id < 16384
UNION ALL
SELECT
    u.name AS [owner],
    N'role' AS kind,
    r.name
FROM sys.database_principals AS r
INNER JOIN sys.database_principals AS u ON r.owning_principal_id = u.principal_id
WHERE r.type = 'R' AND u.principal_id > 4 AND u.principal_id < 16384
UNION ALL
SELECT
    u.name AS [owner],
    N'object' AS kind,
    o.name
FROM sys.objects AS o
INNER JOIN sys.database_principals AS u ON o.principal_id = u.principal_id
WHERE u.principal_id > 4 AND u.principal_id < 16384
ORDER BY [owner], kind, name;

-- 7. What is odd.
SELECT
    u.name AS principal,
    N'user may connect and nothing else' AS finding
FROM sys.database_principals AS u
WHERE
    u.type NOT IN ('R', 'A')
    AND u.principal_id > 4
    AND NOT EXISTS (SELECT 1 FROM sys.database_role_members AS m WHERE m.member_principal_id = u.principal_id)
    AND NOT EXISTS (
        SELECT 1
        FROM sys.database_permissions AS p
        WHERE p.grantee_principal_id = u.principal_id AND p.type <> 'CO' AND p.state IN ('G', 'W')
    )
    AND NOT EXISTS (SELECT 1 FROM sys.schemas AS s WHERE s.principal_id = u.principal_id)
UNION ALL
SELECT
    u.name AS principal,
    N'user must not connect' AS finding
FROM sys.database_principals AS u
WHERE
    u.type NOT IN ('R', 'A')
    AND u.principal_id > 4
    AND u.authentication_type <> 0
    AND NOT EXISTS (
        SELECT 1
        FROM sys.database_permissions AS p
        WHERE p.grantee_principal_id = u.principal_id AND p.type = 'CO' AND p.state IN ('G', 'W')
    )
UNION ALL
SELECT
    u.name AS principal,
    N'its default schema does not exist' AS finding
FROM sys.database_principals AS u
WHERE
    u.type NOT IN ('R', 'A')
    AND u.principal_id > 4
    AND u.default_schema_name IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM sys.schemas AS s WHERE s.name = u.default_schema_name)
UNION ALL
SELECT
    r.name AS principal,
    N'role has no members' AS finding
FROM sys.database_principals AS r
WHERE
    r.type = 'R'
    AND r.is_fixed_role = 0
    AND r.principal_id <> 0
    AND NOT EXISTS (SELECT 1 FROM sys.database_role_members AS m WHERE m.role_principal_id = r.principal_id)
UNION ALL
SELECT
    e.name AS principal,
    N'everybody is granted ' + p.permission_name AS finding
FROM sys.database_permissions AS p
INNER JOIN sys.database_principals AS e ON p.grantee_principal_id = e.principal_id
WHERE e.principal_id = 0 AND p.major_id >= 0 AND p.state IN ('G', 'W') AND p.type NOT IN ('VWCK', 'VWCM')
ORDER BY principal, finding;
