//! All refusals of PROTOCOL.md, section 2, over the real socket.

use serde_json::{Value, json};
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, Repository, fleet};

/// A request and the whole answer.
struct Case {
    request: Value,
    answer: String,
}

fn whole(code: u8, text: &str, detail: &str) -> String {
    format!(
        r#"{{"error":{code},"data":[{{"error":{code},"message":{detail:?}}}],"message":{text:?}}}"#
    )
}

fn one(code: u8, text: &str, agent: i64) -> String {
    format!(
        r#"{{"error":0,"data":[{{"error":{code},"message":{text:?},"agent":{agent}}}],"message":"Success"}}"#
    )
}

fn missing() -> String {
    let text = "Required parameters in json message where not found";
    whole(2, text, text)
}

fn not_recognized(detail: &str) -> String {
    whole(3, "JSON parameter not recognized", detail)
}

fn api(command: &str, parameters: Value) -> Value {
    json!({"origin": {"module": "api"}, "command": command, "parameters": parameters})
}

fn requests() -> Vec<Case> {
    let case = |request: Value, answer: String| Case { request, answer };
    let upgrade = |parameters: Value| api("upgrade", parameters);
    let mut cases = vec![
        case(json!({}), missing()),
        case(
            json!({"origin": {"module": "api"}, "command": "upgrade"}),
            missing(),
        ),
        case(
            json!({"command": "upgrade", "parameters": {"agents": [1]}}),
            missing(),
        ),
        case(
            json!({"origin": {"module": "cli"}, "command": "upgrade", "parameters": {"agents": [1]}}),
            not_recognized("Parameter \"module\" should be \"api\""),
        ),
        case(upgrade(json!({})), missing()),
        case(upgrade(json!({"agents": []})), missing()),
        case(api("upgrade_custom", json!({"agents": [1]})), missing()),
        case(
            api("downgrade", json!({"agents": [1]})),
            not_recognized("JSON parameter not recognized"),
        ),
        case(
            upgrade(json!({"agents": [1, "2"]})),
            not_recognized("Agent id not recognized"),
        ),
        case(
            upgrade(json!({"agents": [1.5]})),
            not_recognized("Agent id not recognized"),
        ),
    ];
    for name in ["wpk_repo", "version", "package_type"] {
        cases.push(case(
            upgrade(json!({"agents": [1], name: 1})),
            not_recognized(&format!("Parameter \"{name}\" should be a string")),
        ));
    }
    for name in ["use_http", "force_upgrade"] {
        cases.push(case(
            upgrade(json!({"agents": [1], name: "yes"})),
            not_recognized(&format!("Parameter \"{name}\" should be true or false")),
        ));
    }
    cases.push(case(
        upgrade(json!({"agents": [1], "package_type": "zip"})),
        not_recognized("Invalid parameter \"package_type\", value should be \"rpm\" or \"deb\""),
    ));
    for name in ["file_path", "installer"] {
        let mut parameters = json!({"agents": [1], "file_path": "/x"});
        parameters[name] = json!(1);
        cases.push(case(
            api("upgrade_custom", parameters),
            not_recognized(&format!("Parameter \"{name}\" should be a string")),
        ));
    }
    cases.push(case(
        api(
            "upgrade_update_status",
            json!({"agents": [1], "error": "0"}),
        ),
        not_recognized("Parameter \"error\" should be a number"),
    ));
    cases
}

/// What the agents of the table are, and what the request asks beside.
fn agents() -> Vec<(&'static str, Value, Value, u8, &'static str)> {
    let not_found = "Agent information not found in database";
    let no_package = "The WPK for this platform is not available";
    let too_old = "Remote upgrade is not available for this agent version";
    let newer = "Current agent version is greater or equal";
    let above = "Upgrading an agent to a version higher than the manager requires the force flag";
    vec![
        (
            "disconnected",
            json!({"connection_status": "disconnected"}),
            json!({}),
            8,
            "Agent is not active",
        ),
        (
            "never connected",
            json!({"connection_status": "never_connected"}),
            json!({}),
            8,
            "Agent is not active",
        ),
        (
            "no platform",
            json!({"os_platform": null}),
            json!({}),
            6,
            not_found,
        ),
        (
            "no architecture",
            json!({"os_arch": null}),
            json!({}),
            6,
            not_found,
        ),
        (
            "no major",
            json!({"os_major": null}),
            json!({}),
            6,
            not_found,
        ),
        (
            "ubuntu without minor",
            json!({"os_minor": null}),
            json!({}),
            6,
            not_found,
        ),
        (
            "solaris",
            json!({"os_platform": "solaris"}),
            json!({}),
            9,
            no_package,
        ),
        (
            "sunos",
            json!({"os_platform": "sunos"}),
            json!({}),
            9,
            no_package,
        ),
        (
            "aix",
            json!({"os_platform": "aix"}),
            json!({}),
            9,
            no_package,
        ),
        (
            "hp-ux",
            json!({"os_platform": "hp-ux"}),
            json!({}),
            9,
            no_package,
        ),
        (
            "bsd",
            json!({"os_platform": "bsd"}),
            json!({}),
            9,
            no_package,
        ),
        (
            "sles 11",
            json!({"os_platform": "sles", "os_major": "11"}),
            json!({}),
            9,
            no_package,
        ),
        (
            "centos 5",
            json!({"os_platform": "centos", "os_major": "5"}),
            json!({}),
            9,
            no_package,
        ),
        (
            "no version",
            json!({"version": null}),
            json!({}),
            6,
            not_found,
        ),
        (
            "version without v",
            json!({"version": "4.7.0"}),
            json!({}),
            6,
            not_found,
        ),
        (
            "below v3.0.0",
            json!({"version": "Wazuh v2.9.9"}),
            json!({"force_upgrade": true}),
            11,
            too_old,
        ),
        (
            "darwin below v4.3.0",
            json!({"os_platform": "darwin", "version": "Wazuh v4.2.7"}),
            json!({}),
            11,
            too_old,
        ),
        (
            "same version",
            json!({"version": "Wazuh v4.14.8"}),
            json!({"version": "v4.14.8"}),
            12,
            newer,
        ),
        (
            "later version",
            json!({"version": "Wazuh v4.14.10"}),
            json!({"version": "4.14.8"}),
            12,
            newer,
        ),
        (
            "above the manager",
            json!({}),
            json!({"version": "v4.14.10"}),
            13,
            above,
        ),
    ]
}

#[tokio::test]
async fn whole_requests_are_refused_with_their_code_and_text() {
    let manager = Manager::start("").await.unwrap();
    let socket = manager.home.upgrade_socket();
    for Case { request, answer } in requests() {
        let got = wpk_testkit::ask(&socket, request.to_string())
            .await
            .expect("an answer");
        assert_eq!(String::from_utf8(got).unwrap(), answer, "{request}");
    }
    let text = "Could not parse message JSON";
    for broken in ["{", "", "nonsense", "{\"command\":\"upgrade\",}"] {
        let got = wpk_testkit::ask(&socket, broken).await;
        // A frame of length 0 is closed without an answer, as recorded.
        let expected = (!broken.is_empty()).then(|| whole(1, text, text));
        assert_eq!(
            got.map(|bytes| String::from_utf8(bytes).unwrap()),
            expected,
            "{broken:?}"
        );
    }
    assert_eq!(manager.remoted.frames().len(), 0);
}

#[tokio::test]
async fn single_agents_are_refused_with_their_code_and_text() {
    let repository = Repository::start().await.unwrap();
    repository
        .publish("v4.14.8", b"not really a package")
        .unwrap();
    let manager = Manager::start("").await.unwrap();
    let socket = manager.home.upgrade_socket();
    for (name, columns, more, code, text) in agents() {
        let mut row = agent_row(1, "Wazuh v4.7.0");
        for (column, value) in columns.as_object().unwrap() {
            row[column] = value.clone();
        }
        manager.wdb.set_agent(row);
        let mut parameters =
            json!({"agents": [1], "wpk_repo": repository.base(), "use_http": true});
        for (key, value) in more.as_object().unwrap() {
            parameters[key] = value.clone();
        }
        let request = api("upgrade", parameters).to_string();
        let got = wpk_testkit::ask(&socket, &request)
            .await
            .expect("an answer");
        assert_eq!(
            String::from_utf8(got).unwrap(),
            one(code, text, 1),
            "{name}"
        );
    }
    let ids = [
        (9, 6, "Agent information not found in database"),
        (0, 7, "Action not available for Manager (agent 000)"),
        (-1, 6, "Agent information not found in database"),
        (2_147_483_648, 6, "Agent information not found in database"),
    ];
    for (id, code, text) in ids {
        let request = api("upgrade_custom", json!({"agents": [id], "file_path": "/x"})).to_string();
        let got = wpk_testkit::ask(&socket, &request)
            .await
            .expect("an answer");
        assert_eq!(
            String::from_utf8(got).unwrap(),
            one(code, text, id),
            "agent {id}"
        );
    }
    // None of them left a task.
    let items = manager
        .ask(api("upgrade_result", json!({"agents": [1, 9, 0]})).to_string())
        .await
        .unwrap();
    for item in items["data"].as_array().unwrap() {
        assert_eq!(item["error"], 3, "{item}");
    }
}

#[tokio::test]
async fn an_agent_that_is_upgrading_is_refused_and_so_is_its_double() {
    let (manager, _repository, parameters) = fleet("", 3, &[1; 1000]).await.unwrap();
    // The agents never report, so their tasks stay in progress.
    manager.remoted.set_rules("1 upgrade @noack\n").unwrap();
    let items = manager.upgrade(&[1, 2, 1, 9], parameters.clone()).await;
    let text = "Upgrade procedure could not start. Agent already upgrading";
    assert_eq!(
        Value::from(items),
        json!([
            // The rules are applied to all agents before live tasks are looked at.
            {"error": 6, "message": "Agent information not found in database", "agent": 9},
            {"error": 10, "message": text, "agent": 1},
            {"error": 0, "message": "Success", "agent": 1, "task_id": 1},
            {"error": 0, "message": "Success", "agent": 2, "task_id": 2},
        ])
    );
    manager
        .remoted
        .wait_for(1, "upgrade", wpk_testkit::manager::PATIENCE)
        .await
        .unwrap();
    let items = manager.upgrade(&[1], parameters.clone()).await;
    assert_eq!(
        Value::from(items),
        json!([{"error": 10, "message": text, "agent": 1}])
    );
    // Force changes nothing about that.
    let mut forced = parameters;
    forced["force_upgrade"] = json!(true);
    let items = manager.upgrade(&[1], forced).await;
    assert_eq!(items[0]["error"], 10);
}

#[tokio::test]
async fn without_a_version_the_latest_of_the_repository_decides() {
    let repository = Repository::start().await.unwrap();
    repository.publish("v4.14.7", &[1; 1000]).unwrap();
    repository.publish("v4.14.8", &[2; 1000]).unwrap();
    let manager = Manager::start("").await.unwrap();
    manager.wdb.set_agent(agent_row(1, "Wazuh v4.14.8"));
    manager.wdb.set_agent(agent_row(2, "Wazuh v4.14.7"));
    let parameters = json!({"wpk_repo": repository.base(), "use_http": true});
    let items = manager.upgrade(&[1, 2], parameters.clone()).await;
    assert_eq!(items[0]["error"], 12, "{items:?}");
    assert_eq!(items[1]["error"], 0, "{items:?}");
    manager.wait_for_status(2, &["Updated"]).await.unwrap();
    assert_eq!(manager.remoted.received(2).unwrap(), vec![2; 1000]);

    // A latest version above the manager's needs force.
    repository.publish("v4.15.0", &[3; 1000]).unwrap();
    assert_eq!(manager.upgrade(&[1], parameters).await[0]["error"], 13);
}

#[tokio::test]
async fn the_4x_dialect_asks_for_no_origin_and_no_file_path() {
    let manager = Manager::start("dialect = \"wazuh-4\"").await.unwrap();
    manager.wdb.set_agent(agent_row(1, "Wazuh v4.7.0"));
    let request = json!({"command": "upgrade_custom", "parameters": {"agents": [1]}});
    let answer = manager.ask(request.to_string()).await.unwrap();
    assert_eq!(answer["data"][0]["task_id"], 1, "{answer}");
    let item = wpk_testkit::wait_until(wpk_testkit::manager::PATIENCE, async || {
        let request = json!({"command": "upgrade_result", "parameters": {"agents": [1]}});
        let item = manager.ask(request.to_string()).await?["data"][0].clone();
        (item["status"] == "Error").then_some(item)
    })
    .await
    .unwrap();
    assert_eq!(item["error_msg"], "The WPK file does not exist");
}
