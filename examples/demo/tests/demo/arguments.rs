//! What stands behind the program's name.

use tokio::process::Command;

#[tokio::test]
async fn what_is_not_known_is_refused_with_the_usage_before_anything_is_built() {
    for (arguments, code) in [
        (&["rolout"][..], 2),
        (&["rollout", "--fast"], 2),
        (&["--help"], 0),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        let output = command.args(arguments).output().await.unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert_eq!(output.status.code(), Some(code), "{out}{err}");
        let (told, silent) = if code == 0 { (out, err) } else { (err, out) };
        assert!(
            told.contains("usage: cargo run --release -p demo"),
            "{told}"
        );
        assert_eq!(silent, "");
    }
}
