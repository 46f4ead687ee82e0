//! What every test of the front needs.

pub mod client;
pub mod keeper;
pub mod paper_letter;
pub mod paper_my_number;
pub mod paper_own_page;
pub mod paper_portal;
pub mod paper_saved;
pub mod pki;
pub mod rig;
pub mod signer;
pub mod tools;
