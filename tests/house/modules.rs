//! The module tree of a crate: its files, what each defines, what each brings
//! in with `use`, and which file a path such as `crate::a::b::C` ends in.
//!
//! All of it is read as text. What macros generate is not seen; a name that
//! cannot be found is taken for one of the module that the path names.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::text::{bare, is_word, matching, without_tests};

/// The names from the crate's root to a module; empty for the root.
pub type Module = Vec<String>;

/// One path of a `use`, its braces taken apart.
#[derive(Debug, Clone)]
pub struct Use {
    /// The names as written; of `a::*` without the star.
    pub path: Vec<String>,
    /// The name it is known by here; `None` for a star.
    pub bound: Option<String>,
    /// Whether it hands the name on.
    pub public: bool,
}

/// One file.
#[derive(Debug)]
pub struct Source {
    pub file: PathBuf,
    pub uses: Vec<Use>,
    /// Every other path in it.
    pub paths: BTreeSet<Vec<String>>,
    children: BTreeSet<String>,
    defines: HashSet<String>,
}

/// What a path ends in.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A module itself.
    Module(Module),
    /// An item, and the module whose file defines it.
    Item(Module, String),
    /// Something of another crate.
    Elsewhere,
}

/// The modules that are reached from one root file.
#[derive(Debug)]
pub struct Modules(pub BTreeMap<Module, Source>);

impl Modules {
    /// Reads `root` (a `lib.rs` or `main.rs`) and all modules below it.
    pub fn read(root: &Path) -> Result<Self, String> {
        let mut modules = Self(BTreeMap::new());
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        let mut open = vec![(Module::new(), root.to_owned(), folder)];
        while let Some((module, file, folder)) = open.pop() {
            let source = Source::read(&file)?;
            for child in &source.children {
                let mut inner = module.clone();
                inner.push(child.clone());
                let below = folder.join(child);
                let file = [folder.join(format!("{child}.rs")), below.join("mod.rs")]
                    .into_iter()
                    .find(|file| file.is_file())
                    .ok_or_else(|| format!("{}: no file for mod {child}", source.file.display()))?;
                open.push((inner, file, below));
            }
            modules.0.insert(module, source);
        }
        Ok(modules)
    }

    /// Where `path`, written in `module`, leads.
    pub fn resolve(&self, module: &Module, path: &[String]) -> Found {
        self.follow(module, path, &mut HashSet::new())
    }

    fn follow(
        &self,
        module: &Module,
        path: &[String],
        seen: &mut HashSet<(Module, Vec<String>)>,
    ) -> Found {
        if !seen.insert((module.clone(), path.to_vec())) {
            return Found::Elsewhere;
        }
        let Some((first, rest)) = path.split_first() else {
            return Found::Module(module.clone());
        };
        match first.as_str() {
            "crate" => self.descend(Module::new(), rest, seen),
            "self" => self.descend(module.clone(), rest, seen),
            "super" => {
                let mut parent = module.clone();
                parent.pop();
                // `super::super` goes on upwards.
                self.follow(&parent, &prefixed("self", rest), seen)
            }
            name if self.child(module, name).is_some() => self.descend(module.clone(), path, seen),
            name => match self.bound(module, name) {
                Some(target) => {
                    let whole = [target.as_slice(), rest].concat();
                    self.follow(module, &whole, seen)
                }
                None => Found::Elsewhere,
            },
        }
    }

    /// `path` in `module`, from inside the crate.
    fn descend(
        &self,
        mut module: Module,
        mut path: &[String],
        seen: &mut HashSet<(Module, Vec<String>)>,
    ) -> Found {
        while let Some((name, rest)) = path.split_first() {
            if name == "super" || name == "self" {
                return self.follow(&module, path, seen);
            }
            let Some(child) = self.child(&module, name) else {
                break;
            };
            (module, path) = (child, rest);
        }
        let Some((name, rest)) = path.split_first() else {
            return Found::Module(module);
        };
        if self.defines(&module, name) {
            return Found::Item(module, name.clone());
        }
        if let Some(target) = self.bound(&module, name) {
            let whole = [target.as_slice(), rest].concat();
            return match self.follow(&module, &whole, seen) {
                Found::Elsewhere => Found::Elsewhere,
                found => found,
            };
        }
        let stars = self.0.get(&module).into_iter().flat_map(|source| {
            let stars = source.uses.iter().filter(|one| one.bound.is_none());
            stars.map(|one| one.path.clone())
        });
        for star in stars {
            if let Found::Module(starred) = self.follow(&module, &star, seen)
                && self.defines(&starred, name)
            {
                return Found::Item(starred, name.clone());
            }
        }
        let exported = self.0.iter().find(|(_, source)| {
            // `#[macro_export]` puts a macro at the root, wherever it is.
            module.is_empty() && source.defines.contains(&format!("{name}!"))
        });
        let home = exported.map_or(module, |(home, _)| home.clone());
        Found::Item(home, name.clone())
    }

    fn child(&self, module: &Module, name: &str) -> Option<Module> {
        let mut child = module.clone();
        child.push(name.to_owned());
        self.0.contains_key(&child).then_some(child)
    }

    fn defines(&self, module: &Module, name: &str) -> bool {
        self.0
            .get(module)
            .is_some_and(|source| source.defines.contains(name))
    }

    fn bound(&self, module: &Module, name: &str) -> Option<Vec<String>> {
        let uses = &self.0.get(module)?.uses;
        let found = uses.iter().find(|one| one.bound.as_deref() == Some(name))?;
        // `use name;` and `use name::x as name` would lead back to themselves.
        (found.path.first().map(String::as_str) != Some(name)).then(|| found.path.clone())
    }
}

fn prefixed(first: &str, rest: &[String]) -> Vec<String> {
    let mut path = vec![first.to_owned()];
    path.extend_from_slice(rest);
    if rest.first().is_some_and(|name| name == "super") {
        path.remove(0);
    }
    path
}

impl Source {
    fn read(file: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let text = without_tests(&bare(&text));
        if text.contains("#[path") {
            return Err(format!(
                "{}: a module's file must lie where its name says, without #[path]",
                file.display()
            ));
        }
        let (uses, body) = take_uses(&text);
        Ok(Self {
            file: file.to_owned(),
            uses,
            paths: paths(&body),
            children: declared(&body),
            defines: defined(&body),
        })
    }
}

/// The `use`s of a text, and the text without them.
fn take_uses(text: &str) -> (Vec<Use>, String) {
    let (mut uses, mut body) = (Vec::new(), String::new());
    let mut rest = text;
    while let Some(at) = word(rest, "use") {
        let (before, statement) = rest.split_at(at);
        let end = statement.find(';').unwrap_or(statement.len());
        let line = before.rsplit(['\n', ';', '{', '}']).next();
        let public = line.is_some_and(|line| line.trim_start().starts_with("pub"));
        let tree = statement[..end].trim_start_matches("use").trim();
        // `use<'a>` says what a type captures.
        if !tree.starts_with('<') {
            take_apart(&[], tree, public, &mut uses);
        }
        body.push_str(before);
        body.push(' ');
        rest = &statement[end..];
    }
    body.push_str(rest);
    (uses, body)
}

fn take_apart(prefix: &[String], tree: &str, public: bool, uses: &mut Vec<Use>) {
    let tree = tree.trim().trim_start_matches("::");
    if let Some(open) = tree.find('{') {
        let close = open + matching(&tree[open..], '{', '}');
        let prefix = [prefix, &names(&tree[..open])].concat();
        for part in split(&tree[open + 1..close - 1]) {
            take_apart(&prefix, part, public, uses);
        }
        return;
    }
    let (path, renamed) = match tree.split_once(" as ") {
        Some((path, name)) => (path, Some(name.trim().to_owned())),
        None => (tree, None),
    };
    let mut path = [prefix, &names(path)].concat();
    if path.is_empty() {
        return;
    }
    // `a::{self}` is `a`.
    if path.len() > 1 && path.last().is_some_and(|name| name == "self") {
        path.pop();
    }
    let bound = (!tree.ends_with('*')).then(|| renamed.or_else(|| path.last().cloned()));
    uses.push(Use {
        path,
        bound: bound.flatten(),
        public,
    });
}

fn names(path: &str) -> Vec<String> {
    path.split("::")
        .map(|name| name.trim().trim_start_matches("r#"))
        .filter(|name| !name.is_empty() && *name != "*")
        .map(str::to_owned)
        .collect()
}

/// Splits at the commas that are in no braces.
fn split(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[from..]);
    parts
}

/// Where `wanted` stands as a whole word.
fn word(text: &str, wanted: &str) -> Option<usize> {
    let found = text.match_indices(wanted).find(|(at, _)| {
        !text[..*at].ends_with(is_word) && !text[at + wanted.len()..].starts_with(is_word)
    });
    found.map(|(at, _)| at)
}

/// Every path of two names or more, `a::b` of `a::b::<T>(c)` and the like.
fn paths(body: &str) -> BTreeSet<Vec<String>> {
    let pieces = body.split(|c: char| !is_word(c) && c != ':');
    pieces
        .filter(|piece| piece.contains("::") && !piece.starts_with("::"))
        .map(|piece| names(piece.trim_end_matches(':')))
        .filter(|path| path.len() > 1)
        .collect()
}

/// The names of `mod name;`.
fn declared(body: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in body.lines() {
        if let Some(at) = word(line, "mod")
            && let Some(name) = line[at + 3..].trim().strip_suffix(';')
        {
            found.insert(name.trim_start_matches("r#").to_owned());
        }
    }
    found
}

/// The items that stand at the left edge of a file.
fn defined(body: &str) -> HashSet<String> {
    const KINDS: [&str; 9] = [
        "struct",
        "enum",
        "union",
        "trait",
        "type",
        "fn",
        "const",
        "static",
        "macro_rules",
    ];
    let mut found = HashSet::new();
    for line in body.lines().filter(|line| !line.starts_with([' ', '}'])) {
        let mut words = line.split(|c| !is_word(c)).filter(|word| !word.is_empty());
        let Some(kind) = words.find(|word| KINDS.contains(word)) else {
            continue;
        };
        // `const fn name`, `static mut NAME`.
        let name = words.find(|word| !["fn", "mut", "unsafe", "async", "extern"].contains(word));
        if let Some(name) = name {
            found.insert(name.to_owned());
            if kind == "macro_rules" {
                found.insert(format!("{name}!"));
            }
        }
    }
    found
}
