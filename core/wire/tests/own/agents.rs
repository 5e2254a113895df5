//! Items about agents and tokens.

use wpk_api::{AgentInfo, ConnectionStatus, Enrollment, Labels, Platform};
use wpk_wire::own::{EnrolledAgent, IncompleteEnrolment, ListedAgent};
use wpk_wire::own::{IssueToken, NewToken};
use wpk_wire::{UpgradeCode, UpgradeCommand};

use crate::common::*;

#[test]
fn listed_agents() {
    let whole = AgentInfo {
        id: agent(7),
        name: Some("web".into()),
        platform: Platform {
            name: Some("ubuntu".into()),
            major: Some("22".into()),
            minor: Some("04".into()),
            arch: Some("x86_64".into()),
        },
        version: Some("Wazuh v4.7.0".into()),
        connection: ConnectionStatus::NeverConnected,
        group: Some("default".into()),
        node: Some("node01".into()),
    };
    let listed = ListedAgent::from(whole);
    let got = sent(
        listed.to_item(),
        concat!(
            r#""error":0,"message":"Success","agent":7,"connection_status":"never_connected","#,
            r#""group":"default","name":"web","node_name":"node01","os_arch":"x86_64","#,
            r#""os_major":"22","os_minor":"04","os_platform":"ubuntu","version":"Wazuh v4.7.0""#
        ),
    );
    assert_eq!(ListedAgent::from_item(&got).unwrap(), listed);

    // What an agent does not have is not sent, and a new word or member harms nobody.
    let bare =
        item(r#""error":0,"message":"Success","agent":1,"connection_status":"asleep","new":[1]"#);
    let bare = ListedAgent::from_item(&bare).unwrap();
    assert_eq!(bare.connection, ConnectionStatus::Unknown);
    sent(
        bare.to_item(),
        r#""error":0,"message":"Success","agent":1,"connection_status":"unknown""#,
    );
    let silent = item(r#""error":0,"message":"Success","agent":1"#);
    assert_eq!(ListedAgent::from_item(&silent).unwrap(), bare);
    for nobody in ["", r#","agent":-1"#] {
        let item = item(&format!(r#""error":0,"message":"Success"{nobody}"#));
        assert_eq!(ListedAgent::from_item(&item), None);
    }
}

#[test]
fn tokens() {
    let day = IssueToken {
        uses: 1,
        expires_in: 86_400,
        labels: Labels::new(),
    };
    assert_eq!(read(UpgradeCommand::AgentToken, "{}").unwrap(), day.into());
    for (parameters, word) in [
        (r#"{"uses":-1}"#, "uses"),
        (r#"{"expires_in":"1h"}"#, "expires_in"),
        (r#"{"labels":7}"#, "labels"),
    ] {
        let (_, text) = refused(UpgradeCommand::AgentToken, parameters);
        assert!(text.contains(word), "{text}");
    }
    let missing = refused(UpgradeCommand::AgentTokenRevoke, "{}").0;
    assert_eq!(missing, UpgradeCode::RequiredParameters);
    let token = NewToken {
        token: "a7".into(),
        text: "wpk1.secret".into(),
        expires: 5,
        address: None,
    };
    let got = sent(
        token.to_item(),
        r#""error":0,"message":"Success","expires":5,"text":"wpk1.secret","token":"a7""#,
    );
    assert_eq!(NewToken::from_item(&got).unwrap(), token);
    assert!(!format!("{token:?}").contains("secret"));
}

#[test]
fn enrolled_agents() {
    let pem = |what: &str| format!("-----BEGIN {what}-----\nx\n");
    let enrollment = Enrollment {
        id: agent(7),
        name: "web".into(),
        key_pem: pem("PRIVATE KEY"),
        certificate_pem: pem("CERTIFICATE"),
        ca_pem: pem("CERTIFICATE"),
        address: None,
    };
    let enrolled = EnrolledAgent::from(enrollment);
    let got = sent(
        enrolled.to_item(),
        concat!(
            r#""error":0,"message":"Success","agent":7,"address":null,"#,
            r#""ca":"-----BEGIN CERTIFICATE-----\nx\n","certificate":"-----BEGIN CERTIFICATE-----\nx\n","#,
            r#""key":"-----BEGIN PRIVATE KEY-----\nx\n","name":"web""#
        ),
    );
    assert_eq!(EnrolledAgent::from_item(&got).unwrap(), enrolled);
    let shown = format!("{enrolled:?}");
    assert!(shown.contains("\"web\"") && !shown.contains("PRIVATE"));

    let of = |members: &str| {
        let item = item(&format!(r#""error":0,"message":"Success"{members}"#));
        EnrolledAgent::from_item(&item)
    };
    let parts =
        r#","agent":7,"key":" -----BEGIN k","certificate":"-----BEGIN c","ca":"-----BEGIN a""#;
    let address = |text: &str| of(&format!("{parts},\"address\":{text}")).unwrap().address;
    assert_eq!(address("\"m:1\"").as_deref(), Some("m:1"));
    assert_eq!(address("\"\""), None);
    assert_eq!(of(parts).unwrap().address, None);
    for (members, text) in [
        ("", "missing field `agent`"),
        (r#","agent":7"#, "has no `key`"),
        (r#","agent":7,"key":"no pem""#, "has no PEM in `key`"),
        (r#","agent":7,"key":"-----BEGIN k""#, "has no `certificate`"),
        (
            r#","agent":7,"key":"-----BEGIN k","certificate":"-----BEGIN c","ca":"-----BEGIN""#,
            "has no PEM in `ca`",
        ),
    ] {
        let error: IncompleteEnrolment = of(members).unwrap_err();
        assert!(error.to_string().contains(text), "{members}: {error}");
    }
}
