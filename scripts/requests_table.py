def file(schemas):
    return "//! Soon.\n"
