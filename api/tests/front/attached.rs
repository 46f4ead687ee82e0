//! `packaging=attached` with real CMS, judged by OpenSSL.

use crate::support::rig::Rig;
use crate::support::signer::Signer;
use std::process::Command;

#[tokio::test]
async fn content_of_any_size_comes_back_inside_its_signature() {
    let rig = Rig::new();
    *rig.keeper.signer.lock().unwrap() = Some(Signer::new(&rig.pki.client2));
    let folder = rig.pki.folder.path();
    for size in [0, 1, 100_000, 2_000_000, 16 * 1024 * 1024] {
        let content: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let reply = rig.connect().await.sign("?packaging=attached", "", &content).await;
        assert_eq!(reply.status, 200, "{size}: {}", reply.code());
        assert_eq!(reply.header("content-type"), "application/pkcs7-mime; smime-type=signed-data");
        std::fs::write(folder.join("signed.p7m"), &reply.body).unwrap();
        let verified = Command::new("openssl")
            .args(["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any"])
            .args(["-in", "signed.p7m", "-out", "content", "-CAfile"])
            .arg(&rig.pki.clients.file)
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
        assert!(std::fs::read(folder.join("content")).unwrap() == content);
    }
    let mut client = rig.connect().await;
    let reply = client.sign("?packaging=attached", "", &vec![0; 16 * 1024 * 1024 + 1]).await;
    assert_eq!(reply.code(), "body_too_large");
}
