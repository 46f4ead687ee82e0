//! Which token: by label or serial number, never by slot.

use crate::config::TokenSelector;
use crate::error::HsmError;
use cryptoki::context::Pkcs11;
use cryptoki::slot::Slot;
use cryptoki::slot::TokenInfo;

/// What the module and the token say of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenFacts {
    /// Label.
    pub label: String,
    /// Serial number.
    pub serial: String,
    /// Who made the token.
    pub manufacturer: String,
    /// Model.
    pub model: String,
    /// Firmware version, `2.6`.
    pub firmware: String,
    /// Who made the module, and its version: `SoftHSM 2.6`.
    pub module: String,
}

impl TokenFacts {
    pub(crate) fn read(pkcs11: &Pkcs11, slot: Slot) -> Result<Self, HsmError> {
        let library = pkcs11.get_library_info()?;
        let token = pkcs11.get_token_info(slot)?;
        Ok(Self {
            label: token.label().to_owned(),
            serial: token.serial_number().to_owned(),
            manufacturer: token.manufacturer_id().to_owned(),
            model: token.model().to_owned(),
            firmware: token.firmware_version().to_string(),
            module: format!("{} {}", library.manufacturer_id(), library.library_version()),
        })
    }

    /// SoftHSM 2.6.1 has data races between the creation of objects and everything else (its issues 576 and 578).
    pub(crate) fn needs_pause_for_admin(&self) -> bool {
        self.module.starts_with("SoftHSM")
    }
}

/// The slot of the one token that `selector` names.
///
/// # Errors
/// [`HsmError::TokenMissing`] with the tokens there are; [`HsmError::TokenAmbiguous`] when several match.
pub(crate) fn find(pkcs11: &Pkcs11, selector: &TokenSelector) -> Result<Slot, HsmError> {
    let mut matching = Vec::new();
    let mut present = Vec::new();
    for slot in pkcs11.get_slots_with_token()? {
        // A reader whose token is being pulled says so here; it is not the one we look for.
        let Ok(token) = pkcs11.get_token_info(slot) else { continue };
        if !token.token_initialized() {
            continue;
        }
        present.push(format!("\"{}\" {}", token.label(), token.serial_number()));
        if matches(selector, &token) {
            matching.push(slot);
        }
    }
    match matching.as_slice() {
        [slot] => Ok(*slot),
        [] => Err(HsmError::TokenMissing {
            selector: selector.to_string(),
            present: match present.is_empty() {
                true => "none".into(),
                false => present.join(", "),
            },
        }),
        several => {
            Err(HsmError::TokenAmbiguous { selector: selector.to_string(), count: several.len() })
        }
    }
}

fn matches(selector: &TokenSelector, token: &TokenInfo) -> bool {
    match selector {
        TokenSelector::Label(label) => token.label() == label,
        TokenSelector::Serial(serial) => token.serial_number() == serial,
    }
}
