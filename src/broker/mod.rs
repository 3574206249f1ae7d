//! DRIVES: tasks, waiting, and the order append, commit, answer.
