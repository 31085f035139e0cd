use super::*;

#[test]
fn no_table_is_there_twice() {
    let mut names: Vec<String> = Catalogue::definitions()
        .map(|table| format!("{}.{}", table.schema, table.name).to_lowercase())
        .collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for table in Catalogue::definitions() {
        let mut columns: Vec<_> = table.columns.iter().map(|(name, _)| name).collect();
        columns.sort();
        columns.dedup();
        assert_eq!(columns.len(), table.columns.len(), "{}", table.name);
    }
}
