//! Where ours differs on purpose. Every entry names a row of the table in
//! `tests/conformance/README.md` and says what ours does instead, so that a
//! difference cannot hide another one behind it.

/// A deliberate difference of some cases.
#[derive(Debug)]
pub struct Difference {
    /// The names of cases; `*` stands for any text, `{a,b}` for either.
    pub cases: &'static str,
    /// The row of the table.
    pub reason: &'static str,
    /// What must be found in what ours does; where several things differ, one
    /// of the parts between ` | `.
    pub ours: &'static str,
}

impl Difference {
    pub fn covers(&self, name: &str) -> bool {
        alternatives(self.cases)
            .iter()
            .any(|pattern| matches(pattern, name))
    }
}

/// `x{a,b}y` as `xay` and `xby`.
fn alternatives(pattern: &str) -> Vec<String> {
    let whole = || vec![pattern.to_owned()];
    let Some((start, rest)) = pattern.split_once('{') else {
        return whole();
    };
    let Some((words, rest)) = rest.split_once('}') else {
        return whole();
    };
    let each = words.split(',').map(|word| format!("{start}{word}{rest}"));
    each.flat_map(|pattern| alternatives(&pattern)).collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|tail| {
            let ends = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
            ends.into_iter().any(|at| matches(rest, &tail[at..]))
        }),
    }
}

const fn row(cases: &'static str, reason: &'static str, ours: &'static str) -> Difference {
    Difference {
        cases,
        reason,
        ours,
    }
}

const NO_VERSION: &str = "The version of the WPK does not exist in the repository";
const UNREACHABLE: &str = "The repository is not reachable";
const NO_FILE: &str = "The WPK file does not exist";
const NO_PACKAGE: &str = "The WPK for this platform is not available";

/// `requests.jsonl`
pub const REQUESTS: &[Difference] = &[
    row("upgrade/case_keys_*", "key-case", r#""error":2"#),
    row("upgrade/dup_agents_case", "key-case", r#""agent":2"#),
    row("task/case_keys", "key-case", r#""error":1"#),
    row(
        "upgrade/dup_command_first_wins",
        "duplicate-keys",
        r#""task_id":1"#,
    ),
    row(
        r"upgrade/unknown_command_'upgrade\x00x'",
        "nul",
        r#""error":3"#,
    ),
    row(
        "upgrade*/ids_float_*",
        "fractions",
        "Agent id not recognized",
    ),
    row(
        "task/{upgrade,upgrade_custom,upgrade_get_status,upgrade_update_status,upgrade_result}/ids_float_{1_9,0_5,neg_0_5}",
        "fractions",
        "Invalid message",
    ),
    row(
        "{json/upgrade/exp_400,upgrade*/ids_e20}",
        "id-range",
        r#""agent":9223372036854775807"#,
    ),
    row(
        "task/upgrade{,_get_status,_result}/ids_e20",
        "id-range",
        r#""agent":9223372036854775807"#,
    ),
    row(
        "upgrade{,_result}/ids_neg_e20",
        "id-range",
        r#""agent":-9223372036854775808"#,
    ),
    row(
        "task/upgrade{,_custom,_get_status,_update_status,_result}/ids_neg_e20",
        "id-range",
        r#""agent":-9223372036854775808"#,
    ),
    row(
        "{upgrade*,task/upgrade_result}/ids_int_max_plus1",
        "id-range",
        r#""agent":2147483648"#,
    ),
    row(
        "{upgrade*,task/upgrade}/ids_uint_max_plus2",
        "id-range",
        r#""agent":4294967297"#,
    ),
    row(
        "upgrade{,_custom,_update_status,_result}/ids_{neg1,neg1_then_1,one_neg1_two}",
        "id-range",
        r#""agent":-1"#,
    ),
    row(
        "task/upgrade{,_custom,_get_status,_update_status,_result}/ids_{neg1,neg1_then_1,one_neg1_two}",
        "id-range",
        r#""agent":-1"#,
    ),
    row("task/upgrade/ids_neg2", "id-range", r#""agent":-2"#),
    row(
        "task/upgrade{,_custom,_get_status,_update_status,_result}/agents_is_object1",
        "object-as-list",
        "Invalid message",
    ),
    row(
        "frame/upgrade/len_{65537,70000}_ws_padded",
        "long-requests",
        r#""task_id":1"#,
    ),
    row(
        "frame/task/len_65540_ws_padded",
        "long-requests",
        "No task in DB",
    ),
    // The second answer, in hexadecimal digits.
    row(
        "frame/task/two_frames_one_connection",
        "several-frames",
        "7d580000007b",
    ),
    row(
        "upgrade_update_status/ids_zero*",
        "one-unknown-agent",
        r#"{"error":3,"message":"No task in DB","agent":0}"#,
    ),
    row(
        "upgrade_update_status/{error_is_one,error_is_float,In progress_*_to_'Done'_error_1,In progress_*_to_'Done'_error_2}",
        "contradictions",
        r#""STATUS":"Failed""#,
    ),
    row(
        "upgrade_update_status/{error_value_0,In progress_*_to_'Failed'_error_0}",
        "contradictions",
        r#""STATUS":"Done""#,
    ),
    row(
        "upgrade/to_'{v4,v4.8,v4.8.0.1,v4.14.9-rc1,v4.x.0}'_*",
        "no-version",
        NO_VERSION,
    ),
    row(
        "upgrade/to_'{v,abc,V4.8.0,v99999999999.0.0,latest,,v-4.8.0}'_*_force_True",
        "no-version",
        NO_VERSION,
    ),
    row("upgrade/version_len_5", "no-version", NO_VERSION),
    row("upgrade_custom/file_is_directory", "directory", NO_FILE),
];

/// `deliveries.jsonl`
pub const DELIVERIES: &[Difference] = &[
    row(
        "transfer/{new,legacy}/open_reply_'err Response timeout'",
        "open-time-out",
        "lock_restart open | {\"lock_restart\":1,\"open\":1}",
    ),
    row(
        "transfer/{new,legacy}/upgrade_reply_'{err Response timeout,@close}'",
        "silence",
        r#""status":"Updating""#,
    ),
    row("transfer/*/custom_directory", "directory", NO_FILE),
    row("repo/scheme_inside_url", "addresses", UNREACHABLE),
    row(
        "repo/version_without_v",
        "version-without-v",
        "wazuh_agent_v4.14.8_linux_amd64.deb.wpk",
    ),
    row(
        "versions_file/{crlf,two_spaces,tab,extra_column}",
        "versions-file",
        r#""STATUS":"Done""#,
    ),
    row(
        "ack/error_0_status_Failed",
        "contradictions",
        r#""STATUS":"Done""#,
    ),
    row(
        "ack/error_2_status_Done",
        "contradictions",
        r#""STATUS":"Failed""#,
    ),
];

/// `channel_frames.jsonl`
pub const FRAMES: &[Difference] = &[row("transfer/*/custom_directory#*", "directory", "none")];

/// `repository_urls.jsonl`
pub const URLS: &[Difference] = &[
    row(
        "platform_x_version/{arch,opensuse-tumbleweed} - - x86_64/{v3.0.0,v3.3.9} - -/-",
        "no-os-version",
        NO_PACKAGE,
    ),
    row(
        "repo_param/*/- - {ftp://r.local/,r.local?x=http://y,r local}*",
        "addresses",
        UNREACHABLE,
    ),
    row(
        "repo_param/*/- - HTTP://r.local/*",
        "addresses",
        "http://r.local/linux/deb/amd64/versions",
    ),
    // No host has a name of that length.
    row(
        "repo_param/*/- - aaaa*(511 characters) over https/-",
        "addresses",
        UNREACHABLE,
    ),
    row(
        "odd_version_string/*/4.14.9 - -/-",
        "version-without-v",
        "wazuh_agent_v4.14.9_linux_amd64.deb.wpk",
    ),
    row(
        "odd_version_string/*/{v4.9,v4.14.9-rc1,v3,v4.9.0/../../y} - -/-",
        "no-version",
        NO_VERSION,
    ),
    // The same end, but nobody is asked on the way there.
    row(
        "odd_version_string/*/{latest,v,../../x} - -/-",
        "no-version",
        "",
    ),
];

const WRITE: &str = r#""error":10,"message":"Cannot write file""#;
const EXECUTE: &str = r#""error":18,"message":"Error executing command""#;
const UNMERGE: &str = r#""error":16,"message":"Error unmerging file""#;

/// `agent.jsonl`
pub const AGENT: &[Difference] = &[
    row(
        "generic/case_key",
        "key-case",
        r#""error":2,"message":"Command not found""#,
    ),
    row(
        r"pending_result/'{10,21}\n'/open",
        "result-file",
        r#""error":0,"message":"ok""#,
    ),
    row(
        "write/{shorter_length,zero_length,float_length,longer_length_by_1,longer_length_by_64}",
        "exact-writes",
        WRITE,
    ),
    row(
        "write/{bad_base64,base64_no_pad,base64_newline,base64_space,base64_urlsafe,base64_odd1,base64_3}",
        "exact-writes",
        WRITE,
    ),
    row("write_bad/len_70000", "exact-writes", WRITE),
    // The SHA-1 of `hellox`, which is all that was written here.
    row(
        "sha1/ok",
        "exact-writes",
        "8d902a4d572bf8f2a6b9f6e5459f3405768821a1",
    ),
    row("write_bad/no_buffer", "crashes", WRITE),
    row(
        "sha1/symlink",
        "links",
        r#""error":12,"message":"Cannot generate SHA1""#,
    ),
    row(
        "upgrade/installer_exit_127",
        "crashes",
        r#""error":0,"message":"127""#,
    ),
    row(
        "upgrade/installer_with_space",
        "crashes",
        r#""error":0,"message":"0""#,
    ),
    row(
        "upgrade/installer_{not_script,bad_interpreter,directory}",
        "crashes",
        EXECUTE,
    ),
    row("upgrade/installer_empty_file", "no-shell", EXECUTE),
    row("upgrade/size_smaller_than_data", "crashes", UNMERGE),
    row(
        "upgrade/installer_{killed_by_signal,timeout_3s}",
        "installer-end",
        EXECUTE,
    ),
    row(
        "upgrade/{plain_not_gzip,truncated_gzip}",
        "gzip",
        r#""error":14,"message":"Could not uncompress package""#,
    ),
    row(
        "upgrade/{absolute_name,size_negative,size_not_number,crlf_header}",
        "merged",
        UNMERGE,
    ),
];
