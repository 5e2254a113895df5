//! Both ends of a command.

use wpk_api::AgentId;
use wpk_wire::{
    Dialect, Item, OwnRequest, Refusal, Response, UpgradeCode, UpgradeCommand, UpgradeRequest,
};

pub(crate) fn agent(id: i64) -> AgentId {
    AgentId::new(id).unwrap()
}

pub(crate) fn parse(text: &str) -> Result<OwnRequest, Refusal> {
    match UpgradeRequest::parse(text.as_bytes(), Dialect::Documented)? {
        UpgradeRequest::Own(request) => Ok(request),
        other => panic!("{other:?}"),
    }
}

/// The parameters of a command, read.
pub(crate) fn read(command: UpgradeCommand, parameters: &str) -> Result<OwnRequest, Refusal> {
    parse(&format!(
        r#"{{"command":"{command}","parameters":{parameters}}}"#
    ))
}

pub(crate) fn refused(command: UpgradeCommand, parameters: &str) -> (UpgradeCode, String) {
    let refusal = read(command, parameters).unwrap_err();
    (
        refusal.code().upgrade().unwrap(),
        refusal.detail().to_owned(),
    )
}

/// The only item of an answer, printed and read again.
pub(crate) fn sent(item: Item, bytes: &str) -> Item {
    let answer = Response::success(vec![item]).to_bytes();
    let expected = format!(r#"{{"error":0,"data":[{{{bytes}}}],"message":"Success"}}"#);
    assert_eq!(std::str::from_utf8(&answer).unwrap(), expected);
    Response::parse(&answer).unwrap().data.remove(0)
}

/// An item that some peer sent.
pub(crate) fn item(members: &str) -> Item {
    let answer = format!(r#"{{"error":0,"data":[{{{members}}}],"message":"Success"}}"#);
    Response::parse(answer.as_bytes()).unwrap().data.remove(0)
}
