//! What certificates are judged by: anchors and test mode from sealed records, intermediates and profiles from the
//! configuration, and how far each revocation list has come, so that none goes back over a restart.

use super::Keeper;
use attest::clock::UnixSeconds;
use attest::judge::Judge;
use attest::judge::Material;
use attest::judge::MaterialError;
use attest::judge::Profiles;
use attest::records::Anchor;
use attest::records::Mode;
use attest::records::TrustRecord;
use attest::revocation::CrlFloor;
use attest::revocation::CrlLimits;
use attest::trust::TrustError;
use attest::trust::TrustStore;
use serde::Deserialize;
use serde::Serialize;

/// The part that the configuration gives.
#[derive(Clone, Debug, Default)]
pub struct ConfiguredMaterial {
    /// CA certificates between anchors and leaves, DER.
    pub intermediates: Vec<Vec<u8>>,
    /// Profiles of cards and second certificates.
    pub profiles: Profiles,
}

/// Why there is nothing to judge by.
#[derive(Debug, thiserror::Error)]
pub enum MaterialFault {
    /// An anchor, an intermediate, or the numbers of revocation lists.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// A sealed record.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// How far every revocation list has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListFloors {
    lists: Vec<CrlFloor>,
    at: UnixSeconds,
}

impl TrustRecord for ListFloors {
    const PREFIX: &'static str = "f/";

    fn id(&self) -> String {
        LIST_FLOORS.to_owned()
    }
}

/// A judge by what is stored and configured; its lists come later.
///
/// # Errors
/// [`MaterialFault`]
pub async fn judge(
    configured: &ConfiguredMaterial,
    trust: &TrustStore,
    limits: CrlLimits,
) -> Result<Judge, MaterialFault> {
    let floors =
        trust.load::<ListFloors>(LIST_FLOORS).await?.map(|(floors, _)| floors).unwrap_or_default();
    Ok(Judge::new(material(configured, trust).await?, limits, &floors.lists)?)
}

async fn material(
    configured: &ConfiguredMaterial,
    trust: &TrustStore,
) -> Result<Material, TrustError> {
    let mode = trust.load::<Mode>(MODE).await?;
    Ok(Material {
        anchors: trust.load_all::<Anchor>().await?,
        intermediates: configured.intermediates.clone(),
        profiles: configured.profiles.clone(),
        danger_test_mode: mode.is_some_and(|(mode, _)| mode.danger_test_mode),
    })
}

impl Keeper {
    /// Judges by the stored anchors and test mode from now on, and everything in use once more. Called after each change
    /// of an anchor or of test mode.
    ///
    /// # Errors
    /// [`MaterialFault`]; what was judged by before stays in force.
    pub async fn reload_material(&self) -> Result<(), MaterialFault> {
        let parts = &self.parts;
        parts.judge.replace_material(material(&parts.settings.material, &parts.trust).await?)?;
        self.judge_all().await;
        Ok(())
    }

    /// Makes durable how far the lists have come.
    pub(super) async fn keep_floors(&self, now: UnixSeconds) {
        let floors = ListFloors { lists: self.parts.judge.crl_floors(), at: now };
        let kept = async {
            match self.parts.trust.load::<ListFloors>(LIST_FLOORS).await? {
                Some((kept, _)) if kept.lists == floors.lists => Ok(()),
                Some((_, rev)) => self.parts.trust.replace(&floors, rev).await,
                None => self.parts.trust.create(&floors).await,
            }
        };
        if let Err(error) = kept.await {
            tracing::error!(%error, "how far revocation lists have come is not durable");
        }
    }
}

const LIST_FLOORS: &str = "revocation-lists";
const MODE: &str = "mode";
