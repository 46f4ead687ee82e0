//! Checkpoints, keys and labels.

use crate::support::SoftSigner;
use crate::support::close;
use crate::support::ehr;
use crate::support::facts;
use crate::support::files;
use crate::support::fill;
use crate::support::open;
use crate::support::open_signed;
use appliance::audit::CheckpointSigner;
use appliance::audit::Entry;
use appliance::audit::Event;
use appliance::audit::Label;
use appliance::audit::LabelFound;
use appliance::audit::Principal;
use appliance::audit::verify::Fault;
use appliance::audit::verify::verify;
use async_trait::async_trait;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn growing_log_is_signed_by_itself_and_at_the_end() {
    let (directory, signer) = (tempfile::tempdir().unwrap(), SoftSigner::new());
    let log = open_signed(directory.path(), &signer);
    fill(&log, 0..10).await;
    for _try in 0..200 {
        if log.checkpoint().is_some_and(|signed| signed.checkpoint.size == 10) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(log.checkpoint().map(|signed| signed.checkpoint.size), Some(10));
    fill(&log, 10..15).await;
    close(log).await;
    let report = verify(directory.path(), std::slice::from_ref(&signer.spki_der), None).unwrap();
    assert!(report.is_good(), "{report}");
    assert_eq!((report.records, report.unsigned), (15, 0));
    assert_eq!(report.newest.unwrap().size, 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoint_that_is_asked_for_covers_what_was_recorded() {
    let (directory, signer) = (tempfile::tempdir().unwrap(), SoftSigner::new());
    let log = open_signed(directory.path(), &signer);
    fill(&log, 0..300).await;
    let signed = log.checkpoint_over(300).await.unwrap();
    let mut tree = log.archive().tree(signed.checkpoint.size).unwrap();
    assert_eq!(tree.root(), signed.checkpoint.root);
    assert!(tree.prove(299).unwrap().leads_to(&signed.checkpoint.root));
}

#[tokio::test(flavor = "multi_thread")]
async fn a11_old_checkpoints_verify_after_a_change_of_the_key_and_the_old_key_leads_to_the_new() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (SoftSigner::new(), SoftSigner::new());
    let log = open_signed(directory.path(), &old);
    fill(&log, 0..300).await;
    let approved_by = vec!["op-1".to_owned(), "op-2".to_owned()];
    let operator = Principal::Operator("op-1".to_owned());
    let shared: Arc<dyn CheckpointSigner> = Arc::<SoftSigner>::clone(&new);
    log.change_signer("r", operator, approved_by, shared).await.unwrap();
    fill(&log, 301..600).await;
    close(log).await;

    let report = verify(directory.path(), std::slice::from_ref(&old.spki_der), None).unwrap();
    assert!(report.is_good(), "{report}");
    assert_eq!(report.keys.len(), 2);
    assert_eq!(report.newest.unwrap().size, 600);
    // Who knows only the new key cannot say who signed before.
    let report = verify(directory.path(), std::slice::from_ref(&new.spki_der), None).unwrap();
    assert!(report.findings.iter().all(|f| matches!(f.fault, Fault::BadCheckpoint { .. })));
    assert!(!report.is_good());
    let stranger = SoftSigner::new();
    let report = verify(directory.path(), std::slice::from_ref(&stranger.spki_der), None).unwrap();
    assert!(!report.is_good());
}

#[tokio::test(flavor = "multi_thread")]
async fn key_that_signs_wrongly_makes_no_checkpoint() {
    struct Faulty(Arc<SoftSigner>);
    #[async_trait]
    impl CheckpointSigner for Faulty {
        fn spki_der(&self) -> &[u8] {
            &self.0.spki_der
        }
        async fn sign(&self, _note_text: &[u8]) -> Result<Vec<u8>, String> {
            self.0.sign(b"something else").await
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    log.set_signer(Arc::new(Faulty(SoftSigner::new()))).unwrap();
    fill(&log, 0..3).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(log.checkpoint().is_none());
    assert!(log.metrics().checkpoint_failures.get() > 0);
    assert!(!directory.path().join("checkpoint").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a8_label_is_kept_beside_the_log_until_it_is_erased() {
    let (directory, signer) = (tempfile::tempdir().unwrap(), SoftSigner::new());
    let log = open_signed(directory.path(), &signer);
    fill(&log, 0..5).await;
    let canary = "canary-label-7781";
    let event = Event::Signature(Box::new(facts(5)));
    let labelled = Entry::new("r-5", ehr(), event).labelled(Label::new(canary).unwrap());
    let receipt = log.append(labelled).await.unwrap();
    log.checkpoint_over(6).await.unwrap();
    let LabelFound::Kept(kept) = log.label(receipt.seq).unwrap() else { panic!("no label") };
    assert_eq!(kept.text(), canary);
    let holding = |name: &str| {
        let all = files(directory.path());
        let holds = |path: &std::path::PathBuf| {
            std::fs::read(path).unwrap().windows(name.len()).any(|w| w == name.as_bytes())
        };
        all.into_iter().filter(holds).count()
    };
    assert_eq!(holding(canary), 1, "the label is in one file only");

    let operator = Principal::Operator("op-1".to_owned());
    assert!(log.erase_label(receipt.seq, "r", operator, "asked for").await.unwrap());
    assert!(log.label(receipt.seq).unwrap() == LabelFound::Erased);
    assert_eq!(holding(canary), 0);
    assert_eq!(log.record(6).unwrap().unwrap().event.kind(), "label_erased");
    close(log).await;
    let report = verify(directory.path(), std::slice::from_ref(&signer.spki_der), None).unwrap();
    assert!(report.is_good(), "{report}");
}
