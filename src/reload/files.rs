//! Reading the rules file, the knowledge tables and the model file, once.
//!
//! In: the paths of the settings. Out: their bytes as one [`Content`] with a hash that tells
//! whether anything changed, and from it a compiled table or every problem. No file is read beyond
//! the limit of a text.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::config::RulesFile;
use crate::model::{FILE_BYTES_MAX, Model};
use crate::rules::knowledge::Knowledge;
use crate::rules::{Rules, SHIPPED_FILE, SHIPPED_TEXT};
use crate::types::problem::Problem;
use crate::yaml::TEXT_BYTES_MAX;

/// Knowledge tables read from one directory at most.
pub(super) const KNOWLEDGE_FILES_MAX: usize = 64;

/// A text and its name in problems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) name: String,
    pub(super) text: String,
}

/// Everything a table is made of.
#[derive(Clone, Debug)]
pub(super) struct Content {
    /// `None`: the shipped rules.
    pub(super) rules: Option<Text>,
    /// `None`: the shipped tables.
    pub(super) knowledge: Option<Vec<Text>>,
    /// `None`: the model built in.
    pub(super) model: Option<ModelFile>,
}

/// A model file and its name in problems.
#[derive(Clone, Debug)]
pub(super) struct ModelFile {
    pub(super) name: String,
    pub(super) bytes: Arc<[u8]>,
}

impl Content {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    /// Every file that cannot be read.
    pub(super) fn read(files: &RulesFile) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let rules = files.path.as_deref().and_then(|path| match read_text(path) {
            Ok(text) => Some(text),
            Err(error) if files.may_be_missing && error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                problems.push(unreadable(path, &error));
                None
            }
        });
        let knowledge = files.knowledge_dir.as_deref().map(|directory| {
            let (texts, faults) = read_tables(directory);
            problems.extend(faults);
            texts
        });
        let model = files.model.as_deref().and_then(|path| {
            read_model(path).map_err(|error| problems.push(unreadable(path, &error))).ok()
        });
        if problems.is_empty() { Ok(Self { rules, knowledge, model }) } else { Err(problems) }
    }

    /// Whether the rules or the model are there and hold nothing, as in the middle of a save in place.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.as_ref().is_some_and(|rules| rules.text.trim().is_empty())
            || self.model.as_ref().is_some_and(|model| model.bytes.is_empty())
    }

    /// Two contents with one hash compile to the same table, on every replica: directories are
    /// left out of it.
    pub(super) fn hash(&self) -> u64 {
        let mut hash = Xxh3::new();
        let knowledge = self.knowledge.iter().flatten();
        for Text { name, text } in self.rules.iter().chain(knowledge) {
            for part in [name.rsplit('/').next().unwrap_or_default(), text] {
                hash.update(&(part.len() as u64).to_le_bytes());
                hash.update(part.as_bytes());
            }
        }
        hash.update(&[u8::from(self.rules.is_some()), u8::from(self.knowledge.is_some())]);
        if let Some(model) = &self.model {
            hash.update(&model.bytes);
        }
        hash.digest()
    }

    /// The knowledge tables.
    ///
    /// # Errors
    /// Every problem in them.
    pub(super) fn knowledge(&self) -> Result<Arc<Knowledge>, Vec<Problem>> {
        let Some(texts) = &self.knowledge else { return Ok(Knowledge::shipped()) };
        let texts: Vec<(&str, &str)> =
            texts.iter().map(|text| (text.name.as_str(), text.text.as_str())).collect();
        Knowledge::parse(&texts).map(Arc::new)
    }

    /// Compiles rules and knowledge together.
    ///
    /// # Errors
    /// Every problem in all of them.
    pub(super) fn compile(&self) -> Result<Rules, Vec<Problem>> {
        let (knowledge, mut problems) = match self.knowledge() {
            Ok(knowledge) => (knowledge, Vec::new()),
            Err(problems) => (Knowledge::shipped(), problems),
        };
        let rules = match &self.rules {
            Some(Text { name, text }) => Rules::compile(name, text, knowledge),
            None => Rules::compile(SHIPPED_FILE, SHIPPED_TEXT, knowledge),
        };
        let model = self.model.as_ref().map(|ModelFile { name, bytes }| {
            Model::read(bytes).map_err(|refused| refused.of(name))
        });
        let model = model.transpose().map_err(|problem| problems.push(problem)).ok().flatten();
        match rules {
            Ok(mut rules) if problems.is_empty() => {
                if let Some((model, version)) = model {
                    rules.serve(model, version);
                }
                if self.knowledge.is_some() || self.model.is_some() {
                    rules.version = Arc::from(format!("{:08x}", self.hash() >> 32));
                }
                Ok(rules)
            }
            Ok(_) => Err(problems),
            Err(more) => {
                problems.splice(0..0, more);
                Err(problems)
            }
        }
    }
}

/// Reads and compiles the rules once, as `leafrank check` does.
///
/// # Errors
/// Every problem in the rules file, the knowledge tables and the model file.
pub fn check(files: &RulesFile) -> Result<Rules, Vec<Problem>> {
    Content::read(files)?.compile()
}

/// Compiles a text as if it stood in the rules file, with the knowledge tables as they are on disk.
///
/// # Errors
/// Every problem in it and in the knowledge tables.
pub fn check_text(files: &RulesFile, text: &str) -> Result<Rules, Vec<Problem>> {
    let tables = RulesFile { path: None, ..files.clone() };
    let name = name_of(files);
    let rules = Some(Text { name, text: text.to_owned() });
    Content { rules, ..Content::read(&tables)? }.compile()
}

/// The rules file's name in problems.
pub fn name_of(files: &RulesFile) -> String {
    let path = files.path.as_ref();
    path.map_or_else(|| SHIPPED_FILE.to_owned(), |path| path.display().to_string())
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::with_file(&path.display().to_string(), format!("cannot be read: {error}"))
}

/// Reads one text, a byte beyond its limit at most: `compile` refuses it then.
pub(super) fn read_text(path: &Path) -> io::Result<Text> {
    let mut text = String::new();
    File::open(path)?.take(TEXT_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok(Text { name: path.display().to_string(), text })
}

/// Reads a model file, a byte beyond its limit at most: [`Model::read`] refuses it then.
pub(super) fn read_model(path: &Path) -> io::Result<ModelFile> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(ModelFile { name: path.display().to_string(), bytes: bytes.into() })
}

/// The `*.yaml` files of a directory by name, and what of it cannot be read.
fn read_tables(directory: &Path) -> (Vec<Text>, Vec<Problem>) {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return (Vec::new(), vec![unreadable(directory, &error)]),
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .take(KNOWLEDGE_FILES_MAX + 1)
        .collect();
    paths.sort();
    if paths.len() > KNOWLEDGE_FILES_MAX {
        let found = format!("more than {KNOWLEDGE_FILES_MAX} tables");
        return (Vec::new(), vec![Problem::with_file(&directory.display().to_string(), found)]);
    }
    let mut problems = Vec::new();
    let mut texts = Vec::new();
    for path in paths {
        match read_text(&path) {
            Ok(text) => texts.push(text),
            Err(error) => problems.push(unreadable(&path, &error)),
        }
    }
    (texts, problems)
}
