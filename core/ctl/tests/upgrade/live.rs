//! A real manager with agents that run their installers until the test says otherwise, watched
//! on a terminal: nobody is shown as waiting whose installer was begun.

use tokio::runtime::Runtime;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{fleet, fleet::RELEASE};

use crate::common::terminal::*;

/// A package of this many bytes is delivered between two looks at a manager.
const PACKAGE: usize = 1 << 20;

#[test]
fn nobody_stays_at_an_empty_bar() {
    let runtime = Runtime::new().unwrap();
    for agents in [1, 20, 200] {
        let package = vec![7; PACKAGE];
        let (manager, repository, _) = runtime.block_on(fleet("", agents, &package)).unwrap();
        manager.remoted.keep_bytes(false);
        manager.remoted.set_rules("* upgrade @noack").unwrap();
        let (socket, base) = (manager.home.upgrade_socket(), repository.base());
        let ids = format!("1-{agents}");
        let upgrade = ["upgrade", &ids, "--watch", "--repository", &base, "--http"];
        let mut terminal = Terminal::start(&socket, 100, 40, &upgrade);
        // The last agent is delivered to: from now on nothing changes by itself.
        let picture = terminal.picture_with(&format!("{agents} installing"));
        assert!(
            picture[1].ends_with(&format!("] 0/{agents} ended")),
            "{picture:#?}"
        );
        let full = format!("[{}]", "=".repeat(20));
        let rows: Vec<_> = picture
            .iter()
            .filter(|line| line.starts_with("  0"))
            .collect();
        assert_eq!(
            rows.len(),
            usize::try_from(agents).unwrap().min(34),
            "{picture:#?}"
        );
        for row in rows {
            assert!(row.contains(&full) && row.contains("agent"), "{picture:#?}");
        }
        let more = picture
            .iter()
            .any(|line| *line == format!("  and {} more", agents - agents.min(34)));
        assert_eq!(more, agents > 34, "{picture:#?}");

        // Somebody else attaches, and leaves again.
        let mut other = Terminal::start(&socket, 80, 24, &["watch"]);
        other.wait_for(&format!("{agents} installing"));
        other.interrupt();
        let (said, status) = other.end();
        assert_eq!(status, Some(130), "{said}");
        assert!(said.contains("go on in the manager"), "{said}");

        let rows = (1..=i64::from(agents)).map(|id| agent_row(id, &format!("Wazuh {RELEASE}")));
        manager.wdb.set_agents(rows);
        let words = async {
            for agent in 1..=agents {
                manager.remoted.acknowledge(agent, 0, "Done").await.unwrap();
            }
        };
        runtime.block_on(words);
        let (said, status) = terminal.end();
        assert_eq!(status, Some(0), "{said}");
        assert!(
            said.contains(&format!("{agents} agents: {agents} updated")),
            "{said}"
        );
        // What stands below the picture fits the window as well, whatever its width.
        for columns in [40, 80] {
            let asked = ["result", &ids];
            let (said, _) = Terminal::start(&socket, columns, 24, &asked).end();
            assert!(said.contains("001"), "{said}");
            for line in said.lines() {
                let width = line.trim_end().chars().count();
                assert!(width <= usize::from(columns), "{columns}: {line:?}");
            }
        }
    }
}
