//! `POST /v1/sign/digest`: a batch of digests, or of octets to be signed as they are.

use super::exchange::Exchange;
use super::sign;
use crate::http::answer;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::http::answer::malformed;
use crate::http::label;
use crate::problem::Problem;
use crate::wire;
use std::collections::HashSet;
use std::sync::Arc;

/// Characters of an item's id.
const ITEM_ID: usize = 64;

pub(crate) async fn sign_digests(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [] = exchange.query([])?;
    let caller = exchange.caller()?;
    let signing_token = sign::signing_token(exchange)?;
    let idempotency_key = sign::idempotency_key(exchange)?;
    let mut request: wire::SignDigests =
        exchange.json(exchange.door.documents.digests_json_bytes).await?;
    request.credential = request.credential.map(sign::credential_id).transpose()?;
    sign::level_of(request.level.as_deref())?;
    check_items(&mut request.items)?;
    let operations = Arc::clone(exchange.operations());
    let release = exchange.door.shared.releases.begin();
    let work = async move {
        operations.sign_digests(&caller, &signing_token, idempotency_key, request).await
    };
    let batch = exchange.to_the_end(work).await?;
    let mut answer = answer::json(&batch.answer)?;
    answer.headers_mut().insert(
        &sign::SIGNING_SESSION_REMAINING,
        sign::remaining(batch.remaining_signatures, batch.remaining_seconds)?,
    );
    Ok(answer::keeping(answer, release))
}

/// Ids are unique and short, labels are clean. What the octets are is the keeper's to judge.
fn check_items(items: &mut [wire::DigestItem]) -> Result<(), Problem> {
    let mut ids = HashSet::with_capacity(items.len());
    for item in items.iter() {
        if !(1..=ITEM_ID).contains(&item.id.chars().count()) {
            return Err(malformed(format!("items: an id has 1 to {ITEM_ID} characters")));
        }
        if !ids.insert(item.id.as_str()) {
            return Err(malformed("items: an id is given twice"));
        }
    }
    for item in items {
        item.label = item.label.as_deref().map(label::clean).transpose()?.flatten();
    }
    Ok(())
}
