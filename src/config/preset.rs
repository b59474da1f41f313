//! Route tables that come with Leafrank, in the same YAML that a settings file uses.
//!
//! The words under `presets` and what they stand for. A route in a settings file replaces a preset's
//! of the same name.

/// A route table built in.
#[derive(Debug)]
pub struct Preset {
    /// The word under `presets`.
    pub name: &'static str,
    /// The file as problems name it.
    pub file: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// All presets.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "leafloaf",
        file: "config/presets/leafloaf.yaml",
        text: include_str!("../../config/presets/leafloaf.yaml"),
    },
    Preset {
        name: "weaviate",
        file: "config/presets/weaviate.yaml",
        text: include_str!("../../config/presets/weaviate.yaml"),
    },
    Preset {
        name: "demo",
        file: "config/presets/demo.yaml",
        text: include_str!("../../config/presets/demo.yaml"),
    },
];
