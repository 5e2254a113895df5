//! What is read of an `ossec.conf`, and what is said of the rest.

use super::*;

fn read_text(text: &str) -> Result<OssecConf, Vec<Finding>> {
    read(Path::new("/x/ossec.conf"), text.as_bytes())
}

#[test]
fn several_roots_comments_and_other_modules_are_read() {
    let conf = read_text(
            r#"<!-- Wazuh - Manager -->
<ossec_config>
  <global><jsonout_output>yes</jsonout_output><white_list>^localhost$</white_list></global>
  <agent-upgrade>
    <enabled>no</enabled>
    <wpk_repository>example.org/wpk?a=1&b=2</wpk_repository>
    <chunk_size>1024</chunk_size>
    <!-- <max_threads>1</max_threads> -->
    <max_threads>0</max_threads>
  </agent-upgrade>
  <cluster><name>wazuh</name><node_name>one</node_name><node_type>worker</node_type><disabled>no</disabled></cluster>
</ossec_config>

<ossec_config>
  <task-manager><task_timeout>20m</task_timeout><cleanup_time>2d</cleanup_time></task-manager>
  <agent-upgrade><chunk_size>2048</chunk_size></agent-upgrade>
  <localfile><log_format>syslog</log_format><location>/var/log/x</location></localfile>
</ossec_config>
"#,
        )
        .unwrap();
    let warned: Vec<&str> = conf.warnings.iter().map(|w| w.key.as_str()).collect();
    assert_eq!(warned, ["agent-upgrade.enabled"]);
    assert_eq!(
        conf.to_settings(),
        json!({
            "delivery": {"chunk_size": 2048, "max_concurrent": 0},
            "tasks": {"task_timeout": "20m", "cleanup_time": "2d"},
            "node": {"name": "one", "role": "worker"},
        })
    );
    assert_eq!(
        conf.wpk_repository.as_deref(),
        Some("example.org/wpk?a=1&b=2")
    );
}

#[test]
fn an_empty_file_says_nothing() {
    let conf = read_text("<ossec_config></ossec_config>").unwrap();
    assert_eq!(conf.warnings, []);
    assert_eq!(conf.to_settings(), json!({}));
    let off = "<ossec_config><cluster><node_type>worker</node_type><disabled>yes</disabled></cluster></ossec_config>";
    assert_eq!(
        read_text(off).unwrap().to_settings(),
        json!({"node": {"role": "master"}})
    );
}

#[test]
fn the_name_of_an_option_is_repeated_short_and_clean() {
    let name = format!("\u{1b}[2J{}", "a".repeat(20_000));
    let text =
        format!("<ossec_config><agent-upgrade><{name}>1</{name}></agent-upgrade></ossec_config>");
    let [warning] = &read_text(&text).unwrap().warnings[..] else {
        panic!("one warning");
    };
    assert!(
        warning.to_string().len() < 300,
        "{} bytes",
        warning.to_string().len()
    );
    assert!(!warning.to_string().contains('\u{1b}'));
}

#[test]
fn every_mistake_has_its_line_and_option() {
    let findings = read_text(
            "<ossec_config>\n<agent-upgrade>\n\n<chunk_size>63</chunk_size>\n\
             <max_threads>257</max_threads>\n</agent-upgrade>\n<task-manager>\n<task_timeout>0s</task_timeout>\n\
             <cleanup_time>5x</cleanup_time></task-manager>\n<cluster><node_type>both</node_type></cluster>\n</ossec_config>",
        )
        .unwrap_err();
    let places: Vec<String> = findings
        .iter()
        .map(|finding| {
            format!(
                "{} {}",
                finding.origin.as_deref().unwrap_or(""),
                finding.key
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            "/x/ossec.conf:4 agent-upgrade.chunk_size",
            "/x/ossec.conf:5 agent-upgrade.max_threads",
            "/x/ossec.conf:8 task-manager.task_timeout",
            "/x/ossec.conf:9 task-manager.cleanup_time",
            "/x/ossec.conf:10 cluster.node_type",
        ]
    );
    let broken = read_text("<ossec_config>\n<cluster>\n</ossec_config>").unwrap_err();
    assert_eq!(broken.len(), 1);
    assert!(
        broken[0].origin.as_deref().unwrap().ends_with(":3"),
        "{broken:?}"
    );
    assert!(!read_text("<ossec_config><cluster>").unwrap_err().is_empty());
    let crossed = "<ossec_config><task-manager><task_timeout>2h</task_timeout><cleanup_time>1h</cleanup_time></task-manager></ossec_config>";
    assert_eq!(
        read_text(crossed).unwrap_err()[0].key,
        "task-manager.cleanup_time"
    );
}
