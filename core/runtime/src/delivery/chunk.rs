//! How much of a file goes into one command.

use wpk_api::PEER_MAX_COMMAND;
use wpk_config::ChunkSize;
use wpk_wire::CommandForm;

/// What 4.x managers put into a command, in bytes (PROTOCOL.md, section 5).
const RECORDED_CHUNK: usize = 32_768;
/// More than the head and tail of any command, in bytes.
pub(super) const COMMAND_ROOM: usize = 1024;

/// How much of the file fits a command of a transport that carries less than a
/// 4.x peer does; one that carries as much is limited by the frame alone.
pub(super) fn carried(form: CommandForm, max_command: usize) -> usize {
    if max_command >= PEER_MAX_COMMAND {
        return usize::MAX;
    }
    let room = max_command.saturating_sub(COMMAND_ROOM);
    match form {
        CommandForm::Json => room / 4 * 3,
        CommandForm::Com => room,
    }
}

/// How much of it is sent at a time, where so much `fits`.
pub(super) fn chunk(wanted: Option<ChunkSize>, takes_json: bool, fits: usize) -> usize {
    match wanted {
        Some(ChunkSize::Auto) => fits,
        Some(ChunkSize::Bytes(bytes)) => bytes.min(fits),
        // A channel of ours has no recorded form to keep to.
        None if takes_json => fits,
        None => RECORDED_CHUNK.min(fits),
    }
}
