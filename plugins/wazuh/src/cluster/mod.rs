//! The task store of a worker node (PROTOCOL.md, section 10).
//!
//! In a cluster the tasks are the master's: every question about one goes
//! through the cluster daemon's socket to the task manager there, which may be
//! a plain 4.x manager and knows the messages of section 3 and no others. The
//! engine needs a little more to carry tasks out (how, and whether the
//! installer was begun), and that is kept in a small file of our own.
//!
//! The daemon enters through [`cluster`] (`[store] type =
//! "cluster"`). Inside: `header` (bytes around a message), `link` (one question
//! with its time limit and attempts), `master` (the messages, in pieces that
//! fit a frame), `shown` (statuses and times as the master writes them), `local`
//! (our file), `tables`, `rows`, `queue`, `history`, `words` and `confirmations` (what is
//! in it), `examine` (what the doctor is told), `create`, `anew` and `settle` (the
//! procedures that must survive a crash between the master and our file), `claims`,
//! `moves` and `remember` (the other calls), `inner` (what they share), `store` (the
//! trait).
//!
//! # What a crash or a lost answer leaves behind
//! A row is written before the master is asked for the task. The task then is
//! - carried out, if this program died before the answer came (nobody was told
//!   that there is no task): it is found at the master and adopted;
//! - ended as Failed with the text of code 4, if the caller was told that the
//!   task manager did not answer; unless the caller asks again before that, and
//!   gets this very task.
//!
//! A Pending task of this node that no row knows (the file was lost) is adopted
//! by the next request for its agent, since nothing else would ever end it.
//!
//! # What a built-in module does meanwhile
//! It runs on each node and cancels all that waits for its node whenever it starts
//! (PROTOCOL.md, section 14). A master of ours is told which tasks this node holds the
//! orders of (section 15) and spares them. What any other cancels is created anew there
//! under a new id, and waits on; both timelines say so.
//!
//! # What the master alone does
//! Time-outs and the clean-up of old tasks. There is no message that marks a
//! task as alive, so the master's `task_timeout` must be longer than a delivery;
//! a delivery that takes longer is not finished, since the master is asked
//! before the installer is begun. An agent's word that the master does not take, since
//! the task timed out there, stays in the timeline here.

mod anew;
mod claims;
mod confirmations;
mod create;
mod examine;
mod header;
mod history;
mod inner;
mod link;
mod local;
mod master;
mod moves;
mod plugin;
mod queue;
mod remember;
mod rows;
mod settings;
mod settle;
mod shown;
mod store;
mod tables;
mod words;

pub use plugin::cluster;
pub use settings::ClusterSettings;
pub use store::ClusterStore;
