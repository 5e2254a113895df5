//! No circle of files inside a crate: whoever reads a file can start with the
//! files it names and never comes back to it.
//!
//! An arrow leads from a file to the file that defines a name which the first one
//! uses. No arrows: a parent's `mod` declarations and what it hands on of its
//! children (`pub use`), since that is a table of contents; code for tests. A
//! child that uses an item of its parent while the parent uses one of the child's
//! is a circle like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::modules::{Found, Module, Modules};
use crate::tree::{crates, root, shown};

/// Which files a file uses, and by which names.
type Arrows = BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>;

fn arrows(modules: &Modules) -> Arrows {
    let mut arrows = Arrows::new();
    for (module, source) in &modules.0 {
        let used = source.uses.iter().map(|one| (&one.path, one.public));
        let named = source.paths.iter().map(|path| (path, false));
        for (path, public) in used.chain(named) {
            let Found::Item(home, name) = modules.resolve(module, path) else {
                continue;
            };
            let handed_on = public && is_below(&home, module);
            if home != *module && !handed_on {
                let to = modules.0[&home].file.clone();
                let from = arrows.entry(source.file.clone()).or_default();
                from.entry(to).or_default().insert(name);
            }
        }
    }
    arrows
}

fn is_below(inner: &Module, outer: &Module) -> bool {
    inner.len() > outer.len() && inner.starts_with(outer)
}

/// The sets of files that can all be reached from one another.
fn circles(arrows: &Arrows) -> Vec<BTreeSet<PathBuf>> {
    let reach = |from: &PathBuf| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(file) = open.pop() {
            for next in arrows.get(file).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&PathBuf, BTreeSet<PathBuf>> =
        arrows.keys().map(|file| (file, reach(file))).collect();
    let mut found = BTreeSet::new();
    for (file, there) in &reached {
        let back = there
            .iter()
            .filter(|other| reached.get(other).is_some_and(|of| of.contains(*file)));
        let circle: BTreeSet<PathBuf> = back.cloned().collect();
        if !circle.is_empty() {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

/// A circle as somebody who must open it wants to see it.
fn told(circle: &BTreeSet<PathBuf>, arrows: &Arrows, src: &Path) -> String {
    let mut text = format!(
        "{} has a circle of {} files:\n",
        shown(src.parent().unwrap_or(src)),
        circle.len()
    );
    let short = |file: &Path| file.strip_prefix(src).unwrap_or(file).display().to_string();
    for from in circle {
        for (to, names) in arrows.get(from).into_iter().flatten() {
            if circle.contains(to) {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                let (from, to) = (short(from), short(to));
                text += &format!("  {from} -> {to}: {}\n", names.join(", "));
            }
        }
    }
    text
}

/// Circles of the crate in `folder`: the files below `src`, and the text.
fn of_crate(folder: &Path) -> Result<Vec<(BTreeSet<String>, String)>, String> {
    let src = folder.join("src");
    let mut found = Vec::new();
    for root in ["lib.rs", "main.rs"].map(|name| src.join(name)) {
        if !root.is_file() {
            continue;
        }
        let arrows = arrows(&Modules::read(&root)?);
        for circle in circles(&arrows) {
            let names = circle
                .iter()
                .map(|file| file.strip_prefix(&src).unwrap_or(file))
                .map(|file| file.display().to_string());
            found.push((names.collect(), told(&circle, &arrows, &src)));
        }
    }
    Ok(found)
}

/// That nothing is complained of must not come from seeing nothing.
#[test]
fn arrows_are_seen() {
    let src = root().join("core/package/src");
    let arrows = arrows(&Modules::read(&src.join("lib.rs")).unwrap());
    let names = &arrows[&src.join("verify.rs")][&src.join("reader.rs")];
    assert!(names.contains("Package"), "{names:?}");
    let seen: usize = arrows.values().map(BTreeMap::len).sum();
    assert!(seen >= 40, "only {seen} arrows are seen in core/package");
}

#[test]
fn no_crate_has_a_circle_of_files() {
    let mut wrong = Vec::new();
    for folder in crates() {
        match of_crate(&folder) {
            Ok(circles) => wrong.extend(circles.into_iter().map(|(_, text)| text)),
            Err(error) => wrong.push(error),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::made;

    const LIB: &str = "mod a;\nmod b;\nmod c;\npub use a::A;\npub use b::inner::Deep;\n";

    fn circles_of(files: &[(&str, &str)]) -> Vec<BTreeSet<String>> {
        let home = made(files);
        let found = of_crate(home.path()).unwrap();
        found.into_iter().map(|(files, _)| files).collect()
    }

    fn circle(files: &[&str]) -> BTreeSet<String> {
        files.iter().map(|&file| file.to_owned()).collect()
    }

    #[test]
    fn siblings_that_use_each_other_are_a_circle() {
        // Once by a `use` in braces, once by the parent's word for it, once by a path.
        let files = [
            ("src/lib.rs", LIB),
            ("src/a.rs", "use crate::{b::B, c};\npub struct A(B);\n"),
            (
                "src/b.rs",
                "pub mod inner;\nuse super::c::C;\npub struct B(C);\n",
            ),
            ("src/b/inner.rs", "pub struct Deep;\n"),
            ("src/c.rs", "pub struct C;\nfn f() { crate::A::new(); }\n"),
        ];
        assert_eq!(circles_of(&files), [circle(&["a.rs", "b.rs", "c.rs"])]);
        let home = made(&files);
        let (_, text) = of_crate(home.path()).unwrap().remove(0);
        for arrow in [
            "a.rs -> b.rs: B\n",
            "b.rs -> c.rs: C\n",
            "c.rs -> a.rs: A\n",
        ] {
            assert!(text.contains(arrow), "{arrow:?} is not in {text}");
        }
    }

    #[test]
    fn a_parent_hands_on_what_is_its_childrens() {
        let files = [
            ("src/lib.rs", LIB),
            ("src/a.rs", "pub struct A;\n"),
            (
                "src/b/mod.rs",
                "pub mod inner;\npub(crate) use inner::*;\npub struct B;\n",
            ),
            // The parent's item: no circle, as long as the parent only hands on.
            ("src/b/inner.rs", "use super::B;\npub struct Deep(B);\n"),
            (
                "src/c.rs",
                "use crate::b::Deep;\n#[cfg(test)]\nmod tests { use crate::A; }\n",
            ),
        ];
        assert!(circles_of(&files).is_empty());
    }

    #[test]
    fn a_parent_that_works_with_a_child_that_works_with_it_is_a_circle() {
        let files = [
            ("src/lib.rs", LIB),
            ("src/a.rs", "pub struct A;\n"),
            (
                "src/b/mod.rs",
                "pub mod inner;\npub struct B;\nfn f() { inner::g(); }\n",
            ),
            (
                "src/b/inner.rs",
                "use super::B;\npub struct Deep(B);\npub fn g() {}\n",
            ),
            ("src/c.rs", "// use crate::A;\n"),
        ];
        assert_eq!(circles_of(&files), [circle(&["b/inner.rs", "b/mod.rs"])]);
    }

    #[test]
    fn names_are_looked_up_where_they_are_defined() {
        // b knows c by a's word only; the arrow leads to c, and c uses b.
        let files = [
            ("src/lib.rs", LIB),
            ("src/a.rs", "pub use crate::c as renamed;\npub struct A;\n"),
            (
                "src/b.rs",
                "pub mod inner;\nuse crate::a::renamed::{C as Other};\npub struct B(Other);\n",
            ),
            ("src/b/inner.rs", "pub struct Deep;\n"),
            (
                "src/c.rs",
                "use crate::b;\npub struct C;\nfn f(_: b::B) {}\n",
            ),
        ];
        assert_eq!(circles_of(&files), [circle(&["b.rs", "c.rs"])]);
    }
}
