//! Golden files: what came out last time, under tests/golden; LEAFRANK_BLESS=1 writes them anew.

use std::path::PathBuf;

/// What the golden file `name` holds.
pub fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_default()
}

/// Fails where `text` is not what the golden file `name` holds.
pub fn check(name: &str, text: &str) {
    let path = path(name);
    if std::env::var_os("LEAFRANK_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let golden = read(name);
    for (number, (was, is)) in golden.lines().zip(text.lines()).enumerate() {
        assert_eq!(was, is, "{name}:{}; LEAFRANK_BLESS=1 accepts the change", number + 1);
    }
    assert_eq!(golden.lines().count(), text.lines().count(), "{name}: lines");
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}
