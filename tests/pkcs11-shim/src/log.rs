//! The call log: one line a call, written in one piece so that threads do not mix.

use crate::rv;
use cryptoki_sys::CK_RV;
use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;

static LOG: OnceLock<Option<File>> = OnceLock::new();

/// Notes that `function` returned `rv`.
pub(crate) fn returned(function: &str, rv: CK_RV) {
    let log = LOG.get_or_init(|| {
        let path = std::env::var_os("SHIM_LOG")?;
        File::options().append(true).create(true).open(path).ok()
    });
    if let Some(mut log) = log.as_ref() {
        let _ = log.write_all(format!("{function} {}\n", rv::name(rv)).as_bytes());
    }
}
