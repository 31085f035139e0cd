//! T-SQL text made from typed parts: names in brackets, texts as `N'…'`
//! literals, security identifiers as hexadecimal. Nothing that comes from
//! outside is ever spliced into a statement as it stands.

mod name;
mod sid;
mod statement;

pub use name::{Name, NameError};
pub use sid::Sid;
pub use statement::Statement;
