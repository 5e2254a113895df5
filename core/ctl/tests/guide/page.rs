//! The pages as they lie in the tree, and the sources that they speak of.

use std::fs;
use std::path::{Path, PathBuf};

/// A page of the guide.
pub struct Page {
    pub topic: String,
    pub text: String,
}

/// A block of code: what stands behind its three backquotes, and its lines.
pub struct Block {
    pub language: String,
    pub code: String,
}

/// The root of the sources.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of the sources.
pub fn source(path: &str) -> String {
    let file = root().join(path);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All Rust files below these folders of the sources.
pub fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut left: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut found = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let name = path.file_name().unwrap_or_default();
            if name != "target" && name != "tests" {
                left.extend(
                    fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            }
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

pub fn pages() -> Vec<Page> {
    let folder = root().join("core/ctl/guide");
    let mut found: Vec<Page> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|file| Page {
            topic: file.file_stem().unwrap().to_str().unwrap().to_owned(),
            text: fs::read_to_string(file).unwrap(),
        })
        .collect();
    found.sort_by(|a, b| a.topic.cmp(&b.topic));
    assert!(found.len() >= 13);
    found
}

pub fn page(topic: &str) -> String {
    source(&format!("core/ctl/guide/{topic}.md"))
}

impl Page {
    pub fn blocks(&self) -> Vec<Block> {
        let mut found = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            if let Some(language) = line.strip_prefix("```") {
                let code: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
                found.push(Block {
                    language: language.to_owned(),
                    code: code.join("\n") + "\n",
                });
            }
        }
        found
    }

    /// The page without its blocks.
    pub fn prose(&self) -> String {
        let mut inside = false;
        let lines = self.text.lines().filter(|line| {
            let border = line.starts_with("```");
            inside ^= border;
            !inside && !border
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What stands in backquotes in its prose.
    pub fn code(&self) -> Vec<String> {
        let prose = self.prose().replace('\n', " ");
        let words = prose.split('`').skip(1).step_by(2);
        words.map(str::to_owned).collect()
    }

    /// Where its links lead to.
    pub fn links(&self) -> Vec<String> {
        let prose = self.prose().replace('\n', " ");
        let links = prose.split("](").skip(1);
        links
            .filter_map(|rest| rest.split_once(')'))
            .map(|(place, _)| place.to_owned())
            .collect()
    }
}
