//! Whatever lies in an `ossec.conf`, it is read or refused.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use wpk_config::OssecConf;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(conf) = OssecConf::parse(Path::new("ossec.conf"), bytes) {
        let _ = conf.to_settings();
    }
});
