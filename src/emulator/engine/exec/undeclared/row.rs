//! A row of the answer, as T-SQL.

use super::super::super::functions::facets;
use super::super::super::types::{MAX, SqlType};
use super::super::super::wire::types::to_wire;
use crate::tds::TypeInfo;

/// A SELECT of the 24 documented columns.
pub(super) fn of(ordinal: usize, name: &str, ty: SqlType) -> String {
    let (id, length, precision, scale) = facets(ty);
    let length = match ty {
        ty if ty.length() == Some(MAX) => -1,
        _ => length,
    };
    let info = to_wire(ty);
    let tds_length = tds_length(&info, length);
    let text = |name: &str, column: &str| {
        let name = name.replace('\'', "''");
        format!("CAST(N'{name}' AS nvarchar(128)) AS {column}")
    };
    let null = |ty: &str, column: &str| format!("CAST(NULL AS {ty}) AS {column}");
    let number = |value: i64, ty: &str, column: &str| format!("CAST({value} AS {ty}) AS {column}");
    let full = ty.to_string();
    let columns = [
        number(
            i64::try_from(ordinal).unwrap_or(0),
            "int",
            "parameter_ordinal",
        ),
        text(name, "name"),
        number(id, "int", "suggested_system_type_id"),
        format!("CAST(N'{full}' AS nvarchar(256)) AS suggested_system_type_name"),
        number(length, "smallint", "suggested_max_length"),
        number(precision, "tinyint", "suggested_precision"),
        number(scale, "tinyint", "suggested_scale"),
        null("int", "suggested_user_type_id"),
        null("nvarchar(128)", "suggested_user_type_database"),
        null("nvarchar(128)", "suggested_user_type_schema"),
        null("nvarchar(128)", "suggested_user_type_name"),
        null("nvarchar(4000)", "suggested_assembly_qualified_type_name"),
        null("int", "suggested_xml_collection_id"),
        null("nvarchar(128)", "suggested_xml_collection_database"),
        null("nvarchar(128)", "suggested_xml_collection_schema"),
        null("nvarchar(128)", "suggested_xml_collection_name"),
        number(0, "bit", "suggested_is_xml_document"),
        number(0, "bit", "suggested_is_case_sensitive"),
        number(0, "bit", "suggested_is_fixed_length_clr_type"),
        number(1, "bit", "suggested_is_input"),
        number(0, "bit", "suggested_is_output"),
        null("nvarchar(128)", "formal_parameter_name"),
        number(info.id().0.into(), "int", "suggested_tds_type_id"),
        number(tds_length.into(), "int", "suggested_tds_length"),
    ];
    format!("SELECT {}", columns.join(", "))
}

/// `tds_length`, where the type's own length is this.
pub(super) fn tds_length(info: &TypeInfo, length: i64) -> u32 {
    match info {
        TypeInfo::ByteLen { max, .. } | TypeInfo::Decimal { max, .. } => u32::from(*max),
        TypeInfo::ShortLen { max, .. } => u32::from(*max),
        TypeInfo::LongLen { max, .. } | TypeInfo::Variant { max } => *max,
        _ => u32::try_from(length).unwrap_or(0),
    }
}
