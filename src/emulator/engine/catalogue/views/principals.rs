//! Principals and permissions.

use super::SystemView;

pub(super) const VIEWS: &[SystemView] = &[
    SystemView::sys(
        "database_principals",
        "name sysname,principal_id int,type char(1),type_desc nvarchar(60)?,default_schema_name sysname?,\
         create_date datetime,modify_date datetime,owning_principal_id int?,sid varbinary(85)?,\
         is_fixed_role bit,authentication_type int,authentication_type_desc nvarchar(60)?,\
         default_language_name sysname?,default_language_lcid int?,allow_encrypted_value_modifications bit",
        "SELECT name,id,kind,CASE kind WHEN 'E' THEN 'EXTERNAL_USER' WHEN 'X' THEN 'EXTERNAL_GROUP' WHEN 'R' THEN \
         'DATABASE_ROLE' ELSE 'SQL_USER' END,default_schema,created,created,CASE kind WHEN 'R' THEN owner END,sid,\
         fixed,auth,CASE auth WHEN 1 THEN 'INSTANCE' WHEN 2 THEN 'DATABASE' WHEN 4 THEN 'EXTERNAL' ELSE 'NONE' END,\
         NULL,NULL,0 FROM {principals}",
    ),
    SystemView::sys(
        "database_role_members",
        "role_principal_id int,member_principal_id int",
        "SELECT role_id,member_id FROM {members}",
    ),
    SystemView::sys(
        "database_permissions",
        "class tinyint,class_desc nvarchar(60)?,major_id int,minor_id int,grantee_principal_id int,\
         grantor_principal_id int,type char(4),permission_name nvarchar(128)?,state char(1),\
         state_desc nvarchar(60)?",
        "SELECT class,CASE class WHEN 0 THEN 'DATABASE' WHEN 1 THEN 'OBJECT_OR_COLUMN' WHEN 3 THEN 'SCHEMA' ELSE \
         'DATABASE_PRINCIPAL' END,major,minor,grantee,grantor,t_permission(permission),permission,state,\
         CASE state WHEN 'D' THEN 'DENY' WHEN 'W' THEN 'GRANT_WITH_GRANT_OPTION' ELSE 'GRANT' END FROM {permissions}",
    ),
    SystemView::sys(
        "sysusers",
        "uid smallint?,status smallint?,name sysname,sid varbinary(85)?,roles varbinary(2048)?,\
         createdate datetime,updatedate datetime,altuid smallint?,password varbinary(256)?,gid smallint?,\
         environ varchar(255)?,hasdbaccess int?,islogin int?,isntname int?,isntgroup int?,isntuser int?,\
         issqluser int?,isaliased int?,issqlrole int?,isapprole int?",
        "SELECT id,0,name,sid,NULL,created,created,owner,NULL,CASE kind WHEN 'R' THEN id ELSE 0 END,NULL,\
         id=1 OR EXISTS (SELECT 1 FROM {d}.\"~permissions\" r WHERE r.grantee=p.id AND r.permission='CONNECT' AND \
         r.state IN ('G','W')),kind<>'R',0,0,0,kind='S',0,kind='R',0 FROM {principals} p",
    ),
    SystemView::sys(
        "user_token",
        "principal_id int?,sid varbinary(85)?,name nvarchar(128)?,type nvarchar(128)?,usage nvarchar(128)?",
        "SELECT id,sid,name,CASE kind WHEN 'R' THEN 'ROLE' WHEN 'E' THEN 'EXTERNAL USER' WHEN 'X' THEN \
         'EXTERNAL GROUP' ELSE 'SQL USER' END,'GRANT OR DENY' FROM {d}.\"~principals\" WHERE id IN ({closure})",
    ),
];
