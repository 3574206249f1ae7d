//! The transaction coordinator: transactional ids, their producer ids and epochs, what is open and what must end.

pub mod generated;
