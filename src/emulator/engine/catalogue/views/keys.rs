//! Indexes, keys, checks and defaults.

use super::SystemView;
use super::objects::{object, object_rows};

/// Names of `delete_referential_action`, as a CASE without its end.
pub(super) const ACTIONS: &str =
    "WHEN 1 THEN 'CASCADE' WHEN 2 THEN 'SET_NULL' WHEN 3 THEN 'SET_DEFAULT' ELSE 'NO_ACTION' END";

/// The unique index that a foreign key `f` refers to.
macro_rules! referred_index {
    () => {
        "(SELECT i.id FROM {d}.\"~indexes\" i WHERE i.object_id=f.referenced AND i.is_unique AND \
         (SELECT group_concat(k.column_id) FROM (SELECT column_id FROM {d}.\"~index_columns\" WHERE \
         object_id=f.referenced AND index_id=i.id AND NOT included ORDER BY column_id) k)=\
         (SELECT group_concat(k.referenced_column) FROM (SELECT referenced_column FROM \
         {d}.\"~foreign_key_columns\" WHERE id=f.id ORDER BY referenced_column) k) ORDER BY i.id LIMIT 1)"
    };
}
pub(super) use referred_index;

pub(super) const VIEWS: &[SystemView] = &[
    SystemView::sys(
        "indexes",
        "object_id int,name sysname?,index_id int,type tinyint,type_desc nvarchar(60)?,is_unique bit?,\
         data_space_id int?,ignore_dup_key bit?,is_primary_key bit?,is_unique_constraint bit?,\
         fill_factor tinyint,is_padded bit?,is_disabled bit?,is_hypothetical bit?,\
         is_ignored_in_optimization bit?,allow_row_locks bit?,allow_page_locks bit?,has_filter bit?,\
         filter_definition nvarchar(max)?,compression_delay int?,suppress_dup_key_messages bit?,\
         auto_created bit?,optimize_for_sequential_key bit?",
        "SELECT o.id,NULL,0,0,'HEAP',0,1,0,0,0,0,0,0,0,0,1,1,0,NULL,NULL,0,0,0 FROM {objects} o WHERE o.kind='U' AND \
         NOT EXISTS (SELECT 1 FROM {d}.\"~indexes\" i WHERE i.object_id=o.id AND i.id=1) UNION ALL \
         SELECT o.id,i.name,i.id,CASE i.id WHEN 1 THEN 1 ELSE 2 END,CASE i.id WHEN 1 THEN 'CLUSTERED' ELSE \
         'NONCLUSTERED' END,i.is_unique,1,0,i.kind='PK',i.kind='UQ',0,0,0,0,0,1,1,i.filter IS NOT NULL,i.filter,NULL,0,0,0 \
         FROM {d}.\"~indexes\" i JOIN {objects} o ON o.id=i.object_id",
    ),
    SystemView::sys(
        "index_columns",
        "object_id int,index_id int,index_column_id int,column_id int,key_ordinal tinyint,\
         partition_ordinal tinyint,is_descending_key bit?,is_included_column bit?,\
         column_store_order_ordinal tinyint",
        "SELECT k.object_id,k.index_id,k.ordinal,k.column_id,CASE k.included WHEN 0 THEN k.ordinal ELSE 0 END,0,\
         k.descending,k.included,0 FROM {d}.\"~index_columns\" k JOIN {objects} o ON o.id=k.object_id",
    ),
    SystemView::sys(
        "key_constraints",
        object!(",unique_index_id int?,is_system_named bit,is_enforced bit"),
        object_rows!(
            ",(SELECT i.id FROM {d}.\"~indexes\" i WHERE i.object_id=o.parent AND i.name=o.name),o.system_named,1",
            " WHERE o.kind IN ('PK','UQ')"
        ),
    ),
    SystemView::sys(
        "default_constraints",
        object!(",parent_column_id int,definition nvarchar(max)?,is_system_named bit"),
        object_rows!(
            ",o.parent_column,o.definition,o.system_named",
            " WHERE o.kind='D'"
        ),
    ),
    SystemView::sys(
        "check_constraints",
        object!(
            ",is_disabled bit,is_not_for_replication bit,is_not_trusted bit,parent_column_id int,\
             definition nvarchar(max)?,uses_database_collation bit?,is_system_named bit"
        ),
        object_rows!(
            ",0,0,0,o.parent_column,o.definition,1,o.system_named",
            " WHERE o.kind='C'"
        ),
    ),
    SystemView::sys(
        "foreign_keys",
        object!(
            ",referenced_object_id int?,key_index_id int?,is_disabled bit,is_not_for_replication bit,\
             is_not_trusted bit,delete_referential_action tinyint?,\
             delete_referential_action_desc nvarchar(60)?,update_referential_action tinyint?,\
             update_referential_action_desc nvarchar(60)?,is_system_named bit"
        ),
        concat!(
            "SELECT o.*,f.referenced,",
            referred_index!(),
            ",0,0,0,f.on_delete,CASE f.on_delete {actions},f.on_update,CASE f.on_update {actions},n.system_named FROM (",
            object_rows!("", " WHERE o.kind='F'"),
            ") o JOIN {d}.\"~objects\" n ON n.id=o.id JOIN {d}.\"~foreign_keys\" f ON f.id=o.id"
        ),
    ),
    SystemView::sys(
        "foreign_key_columns",
        "constraint_object_id int,constraint_column_id int,parent_object_id int,parent_column_id int,\
         referenced_object_id int,referenced_column_id int",
        "SELECT o.id,k.ordinal,o.parent,k.parent_column,f.referenced,k.referenced_column FROM \
         {d}.\"~foreign_key_columns\" k JOIN {d}.\"~foreign_keys\" f ON f.id=k.id JOIN {objects} o ON o.id=k.id",
    ),
];
