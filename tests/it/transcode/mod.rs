//! Clients of all versions, judged by what the facts about the protocol say and
//! by nothing that the transcoder is made of.

mod answer;
mod answers;
mod bytes;
mod cases;
mod client;
mod conversation;
mod differential;
mod direct;
mod generated;
mod limits;
mod parameters;
mod requests;
mod samples;
mod scripted;
mod show;
mod types;
mod version;
mod write;
