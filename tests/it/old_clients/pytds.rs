//! python-tds: `tds_version=`.

use super::{Script, does};

const SCRIPT: &[Script] = &[Script::Python("pytds_old_judge.py")];

#[tokio::test]
async fn tds_7_0_is_refused() {
    does("python-tds", "7.0", SCRIPT).await;
}

#[tokio::test]
async fn tds_7_1() {
    does("python-tds", "7.1", SCRIPT).await;
}

#[tokio::test]
async fn tds_7_1_revision_1() {
    does("python-tds", "7.1r1", SCRIPT).await;
}

#[tokio::test]
async fn tds_7_2() {
    does("python-tds", "7.2", SCRIPT).await;
}

#[tokio::test]
async fn tds_7_3_a() {
    does("python-tds", "7.3A", SCRIPT).await;
}

#[tokio::test]
async fn tds_7_3_b() {
    does("python-tds", "7.3B", SCRIPT).await;
}

/// What the others are compared with.
#[tokio::test]
async fn tds_7_4() {
    does("python-tds", "7.4", SCRIPT).await;
}
