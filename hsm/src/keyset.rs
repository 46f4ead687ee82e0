//! One digest over everything the token holds, to notice a token that was rolled back or tampered with.

use crate::objects::Holdings;
use crate::objects::Inventory;
use aws_lc_rs::digest;
use std::collections::BTreeMap;

/// A multiset of objects, each as the SHA-256 of class, CKA_ID and public part; 80 octets an object.
///
/// An object's digest is over: its class in ASCII, `0x00`, the length of CKA_ID as 8 octets big-endian, CKA_ID, and the
/// public octets: SubjectPublicKeyInfo DER of a public key, modulus of an RSA private key, DER of a certificate, else
/// nothing. The digest of the set is SHA-256 over the objects' digests in ascending order.
#[derive(Default)]
pub(crate) struct KeySet(BTreeMap<[u8; 32], usize>);

impl KeySet {
    pub(crate) fn of(inventory: &Inventory) -> Self {
        let mut set = Self::default();
        for (cka_id, holdings) in inventory {
            set.add(cka_id, holdings);
        }
        set
    }

    /// Adds what was made under `cka_id`.
    pub(crate) fn add(&mut self, cka_id: &[u8], holdings: &Holdings) {
        for object in objects(cka_id, holdings) {
            *self.0.entry(object).or_default() += 1;
        }
    }

    /// Removes what was destroyed under `cka_id`.
    pub(crate) fn remove(&mut self, cka_id: &[u8], holdings: &Holdings) {
        for object in objects(cka_id, holdings) {
            if let Some(count) = self.0.get_mut(&object) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(&object);
                }
            }
        }
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        for (object, count) in &self.0 {
            for _ in 0..*count {
                context.update(object);
            }
        }
        sha256(context)
    }
}

fn objects(cka_id: &[u8], holdings: &Holdings) -> Vec<[u8; 32]> {
    let private = holdings.private.iter().map(|object| {
        object_digest("private", cka_id, object.modulus.as_deref().unwrap_or_default())
    });
    let public = holdings.public.iter().map(|object| {
        let spki_der = object.key.as_ref().map(|(_, spki_der)| spki_der.as_slice());
        object_digest("public", cka_id, spki_der.unwrap_or_default())
    });
    let secret = holdings.secret.iter().map(|_| object_digest("secret", cka_id, &[]));
    let certificates = holdings.certificates.iter();
    let certificates =
        certificates.map(|object| object_digest("certificate", cka_id, &object.certificate_der));
    private.chain(public).chain(secret).chain(certificates).collect()
}

fn object_digest(class: &str, cka_id: &[u8], public: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(class.as_bytes());
    context.update(&[0]);
    context.update(&(cka_id.len() as u64).to_be_bytes());
    context.update(cka_id);
    context.update(public);
    sha256(context)
}

fn sha256(context: digest::Context) -> [u8; 32] {
    let mut octets = [0; 32];
    octets.copy_from_slice(context.finish().as_ref());
    octets
}
