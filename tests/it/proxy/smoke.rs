//! The path as a whole.

use entrada::tds::{Encryption, Login7, PacketStatus};

use super::{address, azure, proxy};
use crate::raw_client::{RawClient, soon};

#[tokio::test]
async fn a_client_without_a_token_queries_the_database() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    soon("the query", async {
        let mut client = RawClient::tcp(address(&proxy)).await;
        client.prelogin(Encryption::NOT_SUP, None).await;
        let login = Login7 {
            user_name: "legacy".to_owned(),
            app_name: "old program".to_owned(),
            ..Login7::default()
        };
        let answer = client.login(&login).await;
        assert_eq!(answer.database(), Some("shop"));
        client
            .send_batch("SELECT USER_NAME()", PacketStatus::NORMAL)
            .await;
        let result = client.receive().await.unwrap().payload;
        let name: Vec<u8> = "app".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(result.windows(name.len()).any(|window| window == name));
    })
    .await;
}
