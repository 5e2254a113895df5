//! What is refused, all at once, and where it is told.

use std::path::Path;
use tempfile::TempDir;

use crate::common::*;

#[test]
fn every_mistake_is_found_with_its_key() {
    let findings = refused(
        r#"
        home = "relative"
        dialect = "klingon"
        colour = "blue"
        [node]
        nmae = "x"
        version = "latest"
        [directory]
        type = 5
        [[provider]]
        url = "x"
        [cache]
        verify_signature = true
        max_size = 0
        [delivery]
        chunk_size = 63
        attempts = 0
        [tasks]
        task_timeout = "0s"
        cleanup_time = "soon"
        "#,
        &[
            "cache.ca_store",
            "cache.max_size",
            "colour",
            "delivery.attempts",
            "delivery.chunk_size",
            "dialect",
            "directory.type",
            "home",
            "node.nmae",
            "node.version",
            "provider.0",
            "tasks.cleanup_time",
            "tasks.task_timeout",
        ],
    );
    for finding in &findings {
        let origin = finding.origin.as_ref().unwrap();
        let line = origin.rsplit_once("wpkd.toml:").map(|(_, line)| line);
        assert!(
            line.is_some_and(|line| line.parse::<u32>().is_ok()),
            "{finding}"
        );
    }
}

#[test]
fn ranges_are_checked() {
    refused(
        r#"
        source = []
        provider = []
        [delivery]
        attempts = 101
        max_concurrent = 1000000
        max_bandwidth = "10B/s"
        max_memory = "1KiB"
        [tasks]
        task_timeout = "2h"
        cleanup_time = "1h"
        confirm_within = "2d"
        [cache]
        max_size = "3GiB"
        max_total = "2GiB"
        [directory]
        type = "line"
        [transport]
        type = "other"
        "#,
        &[
            "cache.max_total",
            "delivery.attempts",
            "delivery.max_bandwidth",
            "delivery.max_concurrent",
            "delivery.max_memory",
            "directory.type",
            "provider",
            "source",
            "tasks.cleanup_time",
            "tasks.confirm_within",
        ],
    );
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_named() {
    let findings = load(Some(Path::new("/nonexistent/wpkd.toml"))).unwrap_err();
    assert_eq!(findings.len(), 1);
    assert!(
        findings[0]
            .to_string()
            .starts_with("/nonexistent/wpkd.toml: cannot be read"),
        "{}",
        findings[0]
    );
    let findings = load_text("home = \"/x\"\n[node\n").unwrap_err();
    assert_eq!(findings.len(), 1);
    let text = findings[0].to_string();
    assert!(
        text.contains("wpkd.toml") && text.contains("line 2"),
        "{text}"
    );
}

#[test]
fn a_mistake_hides_no_other_and_parts_must_fit_together() {
    refused(
        r#"
        home = "/nonexistent"
        [delivery]
        chunk_size = "1KiB"
        attempts = 0
        max_bandwidth = 5
        [cache]
        verify_signature = true
        ca_store = "etc/ca.pem"
        [[source]]
        type = "door"
        [[source]]
        type = "door"
        path = "/nonexistent/door"
        wrong = 1
        [[source]]
        type = "line"
        [directory]
        type = "other"
        [transport]
        type = "other"
        "#,
        &[
            "cache.ca_store",
            "delivery.attempts",
            "delivery.chunk_size",
            "delivery.max_bandwidth",
            "source.1.path",
            "source.1.wrong",
            "source.2.type",
        ],
    );
}

#[test]
fn mistakes_in_observers_are_found_like_those_in_any_section() {
    let one = "[[observer]]\ntype = \"diary\"\n";
    let found = refused(&(one.replace("diary", "dairy") + one), &["observer.0.type"]);
    assert!(found[0].message.contains("known are diary"), "{found:?}");
    let found = refused(&one.replace("[[observer]]", "[observer]"), &["observer"]);
    assert!(found[0].message.contains("write [[observer]]"), "{found:?}");
    refused(&format!("{one}wrong = 1\n"), &["observer.0.wrong"]);
    refused("[[observer]]\npath = \"a\"\n", &["observer.0"]);
    refused(&one.replace("observer", "observers"), &["observers"]);
    // Two of them in one place, and one where somebody serves.
    let found = refused(
        &format!("{one}path = \"a\"\n{one}path = \"a\"\n"),
        &["observer.1.path"],
    );
    assert!(found[0].message.contains("observer.0.path"), "{found:?}");
    let found = refused(&format!("{one}path = \"door\"\n"), &["observer.0.path"]);
    assert!(found[0].message.contains("source.0.path"), "{found:?}");
}

#[test]
fn a_mistake_is_told_at_its_file_its_line_and_its_key_as_it_is_written() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("wpkd.toml");
    let drop_in = folder.path().join("conf.d/10-mirror.toml");
    std::fs::create_dir(drop_in.parent().unwrap()).unwrap();
    let main = "home = \"/x\"\n\n[[provider]]\ntype = \"shelf\"\n\n[[provider]]\ntype = \"file\"\nwrong = 1\n\
                [tasks]\ntask_timeout = \"soon\"\n";
    std::fs::write(&file, main).unwrap();
    let more = "# a mirror\n[[provider]]\ntype = \"shelf\"\n[[provider]]\ntype = \"s3\"\n[cache]\nmax_size = \"big\"\n";
    std::fs::write(&drop_in, more).unwrap();
    let mut told: Vec<String> = load(Some(&file))
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    // By the number of the line as text: 10 before 8.
    told.sort();
    let (main, more) = (file.display(), drop_in.display());
    assert_eq!(told.len(), 4, "{told:?}");
    for (line, begin) in told.iter().zip([
        format!("{more}:5: [[provider]] number 2: type: "),
        format!("{more}:7: cache.max_size: "),
        format!("{main}:10: tasks.task_timeout: "),
        format!("{main}:8: [[provider]] number 2: wrong: "),
    ]) {
        assert!(line.starts_with(&begin), "{line}\n{begin}");
    }
}

#[test]
fn a_typo_makes_no_second_mistake_elsewhere() {
    for (text, key) in [
        // The directory needs a transport that was meant, but not found.
        (
            "[directory]\ntype = \"line\"\n[transprot]\ntype = \"line\"\n[[source]]\ntype = \"line\"\n",
            "transprot",
        ),
        (
            "[directory]\ntype = \"line\"\n[transport]\ntype = \"lnie\"\n",
            "transport.type",
        ),
        (
            "[directroy]\ntype = \"other\"\n[transport]\ntype = \"other\"\n",
            "directroy",
        ),
        (
            "[tasks]\ntask_timeuot = \"5m\"\ncleanup_time = \"10m\"\n",
            "tasks.task_timeuot",
        ),
        (
            "[cache]\nverify_signature = true\nca_stroe = [\"x\"]\n",
            "cache.ca_stroe",
        ),
        ("[[providre]]\ntype = \"shelf\"\n", "providre"),
    ] {
        refused(text, &[key]);
    }
    // And hides none: both times are there, and do not fit.
    refused(
        "[tasks]\ntask_timeout = \"5m\"\ncleanup_time = \"1m\"\nonrestart = 1\n",
        &["tasks.cleanup_time", "tasks.onrestart"],
    );
}

#[test]
fn where_metrics_are_served_is_an_address_and_a_port() {
    for wrong in ["\"localhost\"", "\"127.0.0.1\"", "9474"] {
        let found = load_text(&format!("[telemetry]\nlisten = {wrong}\n")).unwrap_err();
        assert_eq!(keys(&found), ["telemetry.listen"], "{wrong}");
        assert!(found[0].message.contains("127.0.0.1:9474"), "{found:?}");
    }
    let settings = load_text("[telemetry]\nlisten = \"[::1]:9474\"\n").unwrap();
    assert_eq!(settings.telemetry.listen.unwrap().port(), 9474);
}
