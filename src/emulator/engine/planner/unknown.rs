//! Functions that Azure SQL has and this engine has not.
//!
//! A call of one is no misspelling, so the error must say whose gap it is.

use super::super::error::SqlError;

/// Built-in functions of T-SQL, scalar and table-valued, that are not implemented.
const MISSING: &[&str] = &[
    "ASSEMBLYPROPERTY",
    "BINARY_CHECKSUM",
    "CERTENCODED",
    "CHECKSUM",
    "CHECKSUM_AGG",
    "COMPRESS",
    "CONTAINSTABLE",
    "CURRENT_TRANSACTION_ID",
    "DECOMPRESS",
    "DECRYPTBYKEY",
    "ENCRYPTBYKEY",
    "FILEPROPERTY",
    "FREETEXTTABLE",
    "GROUPING",
    "GROUPING_ID",
    "INDEXKEY_PROPERTY",
    "INDEX_COL",
    "JSON_ARRAY",
    "JSON_OBJECT",
    "LOGINPROPERTY",
    "OPENQUERY",
    "OPENROWSET",
    "OPENXML",
    "PARSE",
    "PERCENTILE_CONT",
    "PERCENTILE_DISC",
    "PERMISSIONS",
    "PWDCOMPARE",
    "PWDENCRYPT",
    "STATS_DATE",
    "TRY_PARSE",
    "TYPEPROPERTY",
];

/// What a value of type xml can be asked.
const XML_METHODS: &[&str] = &["EXIST", "MODIFY", "NODES", "QUERY", "VALUE"];

/// The error for a name that is called and is not known.
pub(super) fn function(name: &str) -> SqlError {
    missing(name).unwrap_or_else(|| {
        SqlError::new(
            195,
            format!("'{name}' is not a recognized built-in function name."),
        )
        .class(15)
        .state(10)
    })
}

/// The error for a function that Azure SQL would know.
pub(super) fn missing(name: &str) -> Option<SqlError> {
    if let Some((_, method)) = name.rsplit_once('.')
        && XML_METHODS.iter().any(|m| m.eq_ignore_ascii_case(method))
    {
        let method = method.to_lowercase();
        return Some(SqlError::unsupported(format!("xml method {method}()")));
    }
    MISSING
        .iter()
        .find(|known| known.eq_ignore_ascii_case(name))
        .map(SqlError::unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_told_from_a_misspelling() {
        assert_eq!(function("compress").number, 40517);
        assert_eq!(function("STRING_SPLITS").number, 195);
    }

    #[test]
    fn the_list_is_in_order_and_names_nothing_twice() {
        assert!(MISSING.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
