//! From a detached signature to an attached one.

use crate::error::CmsError;
use crate::view::SignedDataView;

/// Inserts the content into a detached signature that this crate has written.
///
/// The content is not signed anew: what is signed is its digest, and that is compared here.
///
/// # Errors
/// [`CmsError::OtherContent`] when `content` is not what was signed; [`CmsError::AlreadyAttached`]; else as
/// [`SignedDataView::parse`].
/// # Source
/// RFC 5652 §5.2 (eContent).
pub fn attach(detached_der: &[u8], content: &[u8]) -> Result<Vec<u8>, CmsError> {
    let detached = SignedDataView::parse(detached_der)?;
    if detached.content().is_some() {
        return Err(CmsError::AlreadyAttached);
    }
    detached.check_content(content)?;
    Ok(detached.with_content(content).to_der())
}
