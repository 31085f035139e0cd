//! tedious: `options.tdsVersion`.

use super::{Script, does};

/// What depends on the version, and what does not.
const SCRIPTS: &[Script] = &[
    Script::Node("tedious_old_judge.js"),
    Script::Node("tedious_judge.js"),
];

#[tokio::test]
async fn tds_7_1() {
    does("tedious", "7.1", SCRIPTS).await;
}

#[tokio::test]
async fn tds_7_2() {
    does("tedious", "7.2", SCRIPTS).await;
}

#[tokio::test]
async fn tds_7_3_a() {
    does("tedious", "7.3A", SCRIPTS).await;
}

#[tokio::test]
async fn tds_7_3_b() {
    does("tedious", "7.3B", SCRIPTS).await;
}

/// What the others are compared with.
#[tokio::test]
async fn tds_7_4() {
    does("tedious", "7.4", SCRIPTS).await;
}
