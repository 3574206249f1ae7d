//! Every meter by name, with its help line.
