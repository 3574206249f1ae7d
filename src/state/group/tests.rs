//! Every rule of the coordinator, from the outside: inputs in, answers and records out.
