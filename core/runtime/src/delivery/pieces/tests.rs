use std::io::Write;

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::*;

const CHUNK: usize = 32_768;
const MIB: usize = 1 << 20;

/// A file of so many bytes, none like its neighbours.
fn file(len: usize) -> WpkFile {
    let mut file = tempfile::tempfile().unwrap();
    let bytes: Vec<u8> = (0..len).map(|i| (i / 7) as u8).collect();
    file.write_all(&bytes).unwrap();
    let sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d".parse().unwrap();
    WpkFile::new(file, "x".into(), "x.wpk".to_owned(), len as u64, sha1)
}

fn expected(file: &WpkFile, form: CommandForm, offset: usize, chunk: usize) -> BytesMut {
    let mut out = BytesMut::new();
    let write = AgentCommand::Write {
        file: &file.name,
        chunk: &file.read_at(offset as u64, chunk).unwrap(),
    };
    write.encode(form, &mut out);
    out
}

#[tokio::test]
async fn what_is_sent_is_the_file_in_either_form() {
    let file = file(MIB + 5_000);
    for (form, chunk) in [
        (CommandForm::Json, CHUNK),
        (CommandForm::Com, CHUNK),
        (CommandForm::Json, 64),
        (CommandForm::Com, 60_000),
    ] {
        let pieces = Pieces::new(0);
        let sender = pieces.send(&file, form, chunk);
        for offset in (0..MIB + 5_000).step_by(chunk) {
            let command = sender.command(offset as u64).await.unwrap();
            assert_eq!(command, expected(&file, form, offset, chunk), "{offset}");
        }
    }
}

/// Many who are at the same place get the same memory, and so do those who come later.
#[tokio::test]
async fn who_is_near_shares_what_was_read() {
    let (file, pieces) = (file(MIB), Pieces::new(32 << 20));
    let senders: Vec<_> = (0..100)
        .map(|_| pieces.send(&file, CommandForm::Json, CHUNK))
        .collect();
    for offset in (0..MIB as u64).step_by(CHUNK) {
        let got = join_all(senders.iter().map(|sender| sender.command(offset))).await;
        let first = got[0].as_ref().unwrap().as_ptr();
        assert!(
            got.iter()
                .all(|command| command.as_ref().unwrap().as_ptr() == first)
        );
        let late = senders[0].command(offset).await.unwrap();
        assert_eq!(late.as_ptr(), first, "kept");
    }
    assert!(!pieces.shelf().blocks.is_empty());
    drop(senders);
    assert!(pieces.shelf().blocks.is_empty());
}

/// A hundred deliveries, each at a place of its own, in a room for a few.
#[tokio::test]
async fn all_together_stay_in_their_room() {
    let (file, pieces) = (file(8 * MIB), Pieces::new(MIB as u64));
    let senders: Vec<_> = (0..100)
        .map(|_| pieces.send(&file, CommandForm::Json, CHUNK))
        .collect();
    let work = senders.iter().enumerate().map(|(number, sender)| {
        let file = &file;
        async move {
            for step in 0..8 {
                let offset = (number * 2 + step * 3) % 256 * CHUNK;
                let command = sender.command(offset as u64).await.unwrap();
                assert_eq!(command, expected(file, CommandForm::Json, offset, CHUNK));
                tokio::task::yield_now().await;
            }
        }
    });
    join_all(work).await;
    let kept: usize = (pieces.shelf().blocks.values())
        .flat_map(|kept| kept.block.iter().map(Bytes::len))
        .sum();
    assert!(kept <= MIB, "{kept} bytes are kept");
    pieces.forget(file.sha1);
    assert_eq!(pieces.room.available_permits(), pieces.size);
}

#[tokio::test]
async fn a_full_room_holds_nobody_for_ever() {
    let (file, pieces) = (file(8 * MIB), Pieces::new(MIB as u64));
    let all = pieces.room.clone();
    let on_its_way = all.acquire_many_owned(pieces.size as u32).await.unwrap();
    let sender = pieces.send(&file, CommandForm::Com, CHUNK);
    let mut waiting = Box::pin(sender.command(0));
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(on_its_way);
    let command = waiting.await.unwrap();
    assert_eq!(command, expected(&file, CommandForm::Com, 0, CHUNK));
}

#[tokio::test]
async fn a_file_that_became_shorter_is_told() {
    let mut short = file(CHUNK * 4);
    short.len += 1;
    let pieces = Pieces::new(0);
    let sender = pieces.send(&short, CommandForm::Json, CHUNK);
    let told = sender.command(4 * CHUNK as u64).await.map(drop);
    let told = told.map_err(|error| error.to_string());
    assert_eq!(told, Err("the WPK became shorter meanwhile".to_owned()));
    assert_eq!(pieces.room.available_permits(), pieces.size);
}
