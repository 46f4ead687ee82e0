//! Where the PIN comes from: one private file, read once.

use nix::fcntl::OFlag;
use secrecy::SecretString;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Name of the systemd credential that holds the PIN.
pub const CREDENTIAL: &str = "hsm-pin";

/// Longest PIN file. PKCS#11 tokens allow 255 octets at most.
pub const MAX_PIN_BYTES: usize = 255;

/// Why there is no PIN.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// Neither a file was named nor did systemd pass a credential.
    #[error("no PIN: pass it with LoadCredentialEncrypted=hsm-pin:... or name a file")]
    NoCredential,
    /// The file cannot be opened or read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody else than its owner may use the file, or it is no plain file.
    #[error(
        "{path} has mode {mode:04o}: make it a plain file that only its owner can read (chmod 0400)"
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Empty, too long, or not UTF-8.
    #[error("{0} does not hold one PIN of 1 to 255 octets of UTF-8")]
    Shape(PathBuf),
}

/// Reads the PIN from `file`, or else from the credential `hsm-pin` that systemd passed.
///
/// # Errors
/// [`PinError`]; none of them holds a part of the PIN.
/// # Source
/// systemd.exec(5), `LoadCredential=`: a private directory named by `$CREDENTIALS_DIRECTORY`.
pub fn read_pin(file: Option<&Path>) -> Result<SecretString, PinError> {
    if let Some(file) = file {
        return read(file, OWNER_ONLY);
    }
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or(PinError::NoCredential)?;
    read(&Path::new(&directory).join(CREDENTIAL), OWNER_OR_ACL_MASK)
}

/// Permission bits that a file named by the operator must not have.
const OWNER_ONLY: u32 = 0o077;
/// systemd lets the service's user in by an ACL, whose mask shows as the group's read bit; the directory is private.
const OWNER_OR_ACL_MASK: u32 = 0o037;

fn read(path: &Path, forbidden: u32) -> Result<SecretString, PinError> {
    let unreadable = |source| PinError::Unreadable { path: path.into(), source };
    let mut options = File::options();
    // A named pipe in place of the file must not hold up the start. Links are followed: the mode judged is that of the
    // file opened.
    let file =
        options.read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() || metadata.mode() & forbidden != 0 {
        return Err(PinError::Exposed { path: path.into(), mode: metadata.mode() & 0o7777 });
    }
    // One octet for the newline and one to notice a file that is too long.
    let mut octets = Zeroizing::new(Vec::with_capacity(MAX_PIN_BYTES + 2));
    file.take(MAX_PIN_BYTES as u64 + 2).read_to_end(&mut octets).map_err(unreadable)?;
    let pin = octets.strip_suffix(b"\n").unwrap_or(&octets);
    match std::str::from_utf8(pin) {
        Ok(pin) if !pin.is_empty() && pin.len() <= MAX_PIN_BYTES => Ok(SecretString::from(pin)),
        _ => Err(PinError::Shape(path.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pin");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    fn pin(content: &[u8], mode: u32) -> Result<String, PinError> {
        let (_dir, path) = file(content, mode);
        read_pin(Some(&path)).map(|pin| pin.expose_secret().to_owned())
    }

    #[test]
    fn one_trailing_newline_is_trimmed_and_nothing_else() {
        assert_eq!(pin(b"1234", 0o400).unwrap(), "1234");
        assert_eq!(pin(b"1234\n", 0o600).unwrap(), "1234");
        assert_eq!(pin(b" 1234 \n\n", 0o600).unwrap(), " 1234 \n");
    }

    #[test]
    fn file_that_others_can_use_is_refused() {
        for mode in [0o440, 0o404, 0o420, 0o402, 0o401, 0o644] {
            assert!(matches!(pin(b"1234", mode), Err(PinError::Exposed { .. })), "{mode:o}");
        }
    }

    #[test]
    fn pin_of_impossible_length_is_refused() {
        assert_eq!(pin(&[b'x'; 255], 0o400).unwrap().len(), 255);
        for content in [b"".as_slice(), b"\n", &[b'x'; 256], &[b'x'; 5000], &[0xff, 0xfe]] {
            assert!(matches!(pin(content, 0o400), Err(PinError::Shape(_))));
        }
    }

    #[test]
    fn directory_or_missing_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read_pin(Some(dir.path())), Err(PinError::Exposed { .. })));
        let missing = dir.path().join("none");
        assert!(matches!(read_pin(Some(&missing)), Err(PinError::Unreadable { .. })));
    }
}
