//! `wpkctl repo add` on real folders.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::*;
use wpk_package::authority::{Authority, SigningKey, Validity};
use wpk_package::{BuildOptions, Signer, Source, build, sha1_of_file};

struct Place {
    dir: tempfile::TempDir,
    signer: Signer,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::generate().unwrap();
        let authority = Authority::root("root", Validity::days(1), &key).unwrap();
        fs::write(dir.path().join("ca.pem"), authority.certificate_pem()).unwrap();
        let signer = authority.signer("signer", Validity::days(1), &key).unwrap();
        Self { dir, signer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A WPK with this content; answers path and SHA-1.
    fn wpk(&self, name: &str, content: &str) -> (String, String) {
        let (file, out) = (self.path("upgrade.sh"), self.path(name));
        fs::write(&file, content).unwrap();
        let sources = [Source {
            name: "upgrade.sh".into(),
            path: file,
        }];
        let built = build(&sources, &self.signer, &out, &BuildOptions::default()).unwrap();
        (out.to_str().unwrap().to_owned(), built.sha1)
    }

    fn add(&self, more: &[&str]) -> Run {
        let repo = self.path("repo");
        run(&[&["repo", "add", "--repo", repo.to_str().unwrap()][..], more].concat())
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path("repo").join(name)).unwrap()
    }
}

const LINUX: [&str; 6] = [
    "--platform",
    "linux",
    "--arch",
    "x86_64",
    "--package-type",
    "deb",
];

#[test]
fn every_row_of_the_layout_gets_its_file_and_list() {
    let place = Place::new();
    let (wpk, sha1) = place.wpk("any.wpk", "one");
    for (options, folder, file) in [
        (
            "--version v4.14.0 --platform windows",
            "windows",
            "wazuh_agent_v4.14.0_windows.wpk",
        ),
        (
            "--version 4.14.0 --platform macos --arch x86_64",
            "macos/pkg/intel64",
            "wazuh_agent_v4.14.0_macos_intel64.pkg.wpk",
        ),
        (
            "--version v4.8.0 --platform macos --arch arm64",
            "macos/arm64/pkg",
            "wazuh_agent_v4.8.0_macos_arm64.wpk",
        ),
        (
            "--version v4.14.0 --platform linux --arch aarch64 --package-type deb",
            "linux/deb/arm64",
            "wazuh_agent_v4.14.0_linux_arm64.deb.wpk",
        ),
        (
            "--version v4.14.0 --platform linux --arch x86_64 --package-type rpm",
            "linux/rpm/x86_64",
            "wazuh_agent_v4.14.0_linux_x86_64.rpm.wpk",
        ),
        (
            "--version v4.8.0 --platform linux --arch x86_64",
            "linux/x86_64",
            "wazuh_agent_v4.8.0_linux_x86_64.wpk",
        ),
        (
            "--version v3.3.0 --platform ubuntu --os-version 22.04 --arch x86_64",
            "ubuntu/22.04/x86_64",
            "wazuh_agent_v3.3.0_ubuntu_22.04_x86_64.wpk",
        ),
        (
            "--version v3.3.0 --platform centos --os-version 7 --arch x86_64",
            "centos/7/x86_64",
            "wazuh_agent_v3.3.0_centos_7_x86_64.wpk",
        ),
    ] {
        let mut arguments: Vec<&str> = options.split(' ').collect();
        let version = format!("v{}", arguments[1].trim_start_matches('v'));
        arguments.push(&wpk);
        place.add(&arguments).ended(0);
        assert_eq!(
            place.read(&format!("{folder}/versions")),
            format!("{version} {sha1}\n")
        );
        let added = place.path("repo").join(folder).join(file);
        assert_eq!(sha1_of_file(&added).unwrap(), sha1);
        assert_eq!(
            added.metadata().unwrap().permissions().mode() & 0o7777,
            0o644
        );
    }
}

#[test]
fn the_newest_is_first_and_the_same_version_is_replaced() {
    let place = Place::new();
    let (first, one) = place.wpk("one.wpk", "one");
    let (second, two) = place.wpk("two.wpk", "two");
    for version in ["v4.9.0", "v4.10.0", "v4.9.10"] {
        place
            .add(&[&LINUX[..], &["--version", version, &first]].concat())
            .ended(0);
    }
    let list = "linux/deb/amd64/versions";
    assert_eq!(
        place.read(list),
        format!("v4.10.0 {one}\nv4.9.10 {one}\nv4.9.0 {one}\n")
    );
    let added = place.add(&[&LINUX[..], &["--version", "v4.9.10", "--json", &second]].concat());
    assert_eq!(added.ended(0).objects()[0]["replaced"], true);
    assert_eq!(
        place.read(list),
        format!("v4.10.0 {one}\nv4.9.10 {two}\nv4.9.0 {one}\n")
    );
}

#[test]
fn names_of_repositories_say_where_they_belong() {
    let place = Place::new();
    let (deb, _) = place.wpk("wazuh_agent_v4.14.0_linux_amd64.deb.wpk", "deb");
    let (windows, _) = place.wpk("wazuh_agent_v4.14.0_windows.wpk", "windows");
    place.add(&[&deb, &windows]).ended(0);
    assert!(
        place
            .read("linux/deb/amd64/versions")
            .starts_with("v4.14.0 ")
    );
    assert!(place.read("windows/versions").starts_with("v4.14.0 "));
    let run = place.add(&[
        "--version",
        "v4.14.1",
        "--platform",
        "linux",
        "--arch",
        "x86_64",
        &deb,
        &deb,
    ]);
    assert!(run.ended(2).err.contains("add one of them"));
}

#[test]
fn what_cannot_be_placed_or_is_no_package_leaves_no_trace() {
    let place = Place::new();
    let (wpk, _) = place.wpk("any.wpk", "one");
    place.add(&[&wpk]).ended(2);
    for arch in ["../../x", "..", "a/b", "/etc", ".hidden", ""] {
        let options = [
            "--version",
            "v4.14.0",
            "--platform",
            "linux",
            "--package-type",
            "deb",
        ];
        place
            .add(&[&options[..], &["--arch", arch, &wpk]].concat())
            .ended(2);
    }
    place
        .add(&["--version", "v4.14.0", "--platform", "../../etc", &wpk])
        .ended(2);
    place
        .add(&["--version", "v4.14.0/../x", "--platform", "windows", &wpk])
        .ended(2);
    assert!(!place.path("repo").exists());

    let mut bytes = fs::read(&wpk).unwrap();
    bytes.truncate(bytes.len() - 20);
    let broken = place.path("broken.wpk");
    fs::write(&broken, bytes).unwrap();
    let options = [&LINUX[..], &["--version", "v4.14.0"]].concat();
    let run = place
        .add(&[&options[..], &[broken.to_str().unwrap()]].concat())
        .ended(1);
    assert!(run.err.contains("broken.wpk"), "{}", run.err);
    let folder = place.path("repo/linux/deb/amd64");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}

#[test]
fn only_what_the_named_ca_vouches_for_is_added() {
    let (place, other) = (Place::new(), Place::new());
    let (wpk, _) = place.wpk("any.wpk", "one");
    let options = [&LINUX[..], &["--version", "v4.14.0", &wpk, "--ca"]].concat();
    let (ours, theirs) = (place.path("ca.pem"), other.path("ca.pem"));
    place
        .add(&[&options[..], &[theirs.to_str().unwrap()]].concat())
        .ended(1);
    assert!(!place.path("repo/linux/deb/amd64/versions").exists());
    place
        .add(&[&options[..], &[ours.to_str().unwrap()]].concat())
        .ended(0);
}

#[test]
fn a_list_that_is_not_understood_is_left_alone() {
    let place = Place::new();
    let (wpk, _) = place.wpk("any.wpk", "one");
    let folder = place.path("repo/linux/deb/amd64");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("versions"), "latest is great\n").unwrap();
    let run = place
        .add(&[&LINUX[..], &["--version", "v4.14.0", &wpk]].concat())
        .ended(1);
    assert!(run.err.contains("versions: line 1"), "{}", run.err);
    assert_eq!(place.read("linux/deb/amd64/versions"), "latest is great\n");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
}

#[test]
fn a_list_the_manager_reads_is_read_and_kept() {
    let place = Place::new();
    let (wpk, sha1) = place.wpk("any.wpk", "one");
    let folder = place.path("repo/linux/deb/amd64");
    fs::create_dir_all(&folder).unwrap();
    let other = "a".repeat(40);
    let before = [
        format!("\u{feff}# our mirror\r\nv4.14.1-rc1 {other}\r\n").into_bytes(),
        format!("v4.13.0 {other} caf\u{e9}\n")
            .chars()
            .map(|c| c as u8)
            .collect(),
        format!("# for the old ones\n4.12.0 {}\tnote", other.to_uppercase()).into_bytes(),
    ];
    fs::write(folder.join("versions"), before.concat()).unwrap();
    place
        .add(&[&LINUX[..], &["--version", "v4.14.1", &wpk]].concat())
        .ended(0);
    let after = fs::read(folder.join("versions")).unwrap();
    // The release stands before its candidate: readers of 4.x take the first.
    let wanted = format!(
        "# our mirror\nv4.14.1 {sha1}\nv4.14.1-rc1 {other}\nv4.13.0 {other} caf\u{e9}\n\
         # for the old ones\nv4.12.0 {other} note\n"
    );
    let wanted: Vec<u8> = wanted.chars().map(|c| c as u8).collect();
    assert_eq!(after, wanted, "{}", String::from_utf8_lossy(&after));
}

#[test]
fn a_list_the_manager_does_not_read_is_left_alone() {
    let place = Place::new();
    let (wpk, _) = place.wpk("any.wpk", "one");
    let folder = place.path("repo/linux/deb/amd64");
    fs::create_dir_all(&folder).unwrap();
    let line = format!("v4.13.0 {}\n", "a".repeat(40));
    for (list, said) in [
        (line.replace(' ', "\u{a0}"), "line 1"),
        (line.replace(' ', "\u{b}"), "line 1"),
        (line.repeat(30_000), "longer than 1 MiB"),
    ] {
        fs::write(folder.join("versions"), &list).unwrap();
        let run = place
            .add(&[&LINUX[..], &["--version", "v4.14.0", &wpk]].concat())
            .ended(1);
        assert!(run.err.contains(said), "{}", run.err);
        assert!(place.read("linux/deb/amd64/versions") == list);
    }
}

#[test]
fn words_are_taken_as_the_manager_takes_them() {
    let place = Place::new();
    let (wpk, _) = place.wpk("any.wpk", "one");
    let (longest, longer) = ("a".repeat(40), "a".repeat(41));
    for (arch, ending) in [
        ("x..y", 2),
        (&*longer, 2),
        (&*longest, 0),
        ("x86+64", 0),
        ("_x", 0),
    ] {
        let options = ["--version", "v4.14.0", "--platform", "linux"];
        let kind = ["--package-type", "rpm"];
        // With `=`, or the option parser would judge what begins oddly.
        let arch = format!("--arch={arch}");
        place
            .add(&[&options[..], &kind, &[&arch, &wpk]].concat())
            .ended(ending);
    }
}

#[test]
fn links_do_not_lead_out_of_the_repository() {
    let place = Place::new();
    let (wpk, _) = place.wpk("any.wpk", "one");
    fs::create_dir(place.path("repo")).unwrap();
    fs::create_dir(place.path("outside")).unwrap();
    symlink(place.path("outside"), place.path("repo/linux")).unwrap();
    let run = place
        .add(&[&LINUX[..], &["--version", "v4.14.0", &wpk]].concat())
        .ended(1);
    assert!(
        run.err.contains("leads out of the repository"),
        "{}",
        run.err
    );
    assert_eq!(fs::read_dir(place.path("outside")).unwrap().count(), 0);
}

#[test]
fn many_runs_at_once_lose_no_entry() {
    let place = Place::new();
    let (wpk, sha1) = place.wpk("any.wpk", "one");
    let repo = place.path("repo");
    let children: Vec<_> = (1..=12)
        .map(|patch| {
            let version = format!("v4.14.{patch}");
            let arguments = [
                "repo",
                "add",
                "--repo",
                text(&repo),
                "--version",
                &version,
                &wpk,
            ];
            program(&[&arguments[..], &LINUX[..]].concat())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        Run::of(child.wait_with_output().unwrap()).ended(0);
    }
    let wanted: String = (1..=12)
        .rev()
        .map(|patch| format!("v4.14.{patch} {sha1}\n"))
        .collect();
    assert_eq!(place.read("linux/deb/amd64/versions"), wanted);
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
