//! pymssql, which brings FreeTDS: `tds_version=`.

use super::{Script, does};

const SCRIPT: &[Script] = &[Script::Python("pymssql_old_judge.py")];

#[tokio::test]
async fn tds_7_0_is_refused() {
    does("pymssql", "7.0", SCRIPT).await;
}

#[tokio::test]
async fn tds_7_1() {
    does("pymssql", "7.1", SCRIPT).await;
}

#[tokio::test]
async fn tds_7_2() {
    does("pymssql", "7.2", SCRIPT).await;
}

#[tokio::test]
async fn tds_7_3() {
    does("pymssql", "7.3", SCRIPT).await;
}

/// What the others are compared with.
#[tokio::test]
async fn tds_7_4() {
    does("pymssql", "7.4", SCRIPT).await;
}
