"""The table that the walk in src/net/schema.rs follows: every request, field by field, and what it takes once decoded."""

from schema import END, FIXED, within

HEAD = """//! The schemas of all requests as one flat table, for the walk in schema.rs.
//!
//! Made by scripts/generate.py from scripts/schemas/message-schemas.tsv; never edited by hand. The fields of a struct lie
//! next to each other; `Struct(first, count)` names them by place. `.array(bytes)` tells what one element takes in memory.

use super::Kind::{{Bytes, Fixed, String, Struct}};
use super::{{Field, MAX, Message, field, message}};

"""

# What the decoded form of a value takes in the struct that holds it: a string and a blob are a slice of the frame
# (four words), an array is a Vec (three words), and every struct ends with a map of the tagged fields it did not know.
SLICE, VEC, UNKNOWN_TAGS = 32, 24, 24


def file(schemas):
    rows, messages = [], []
    for schema in schemas:
        first, count = place(schema, schema.fields, "", rows)
        since = schema.flexible[0] if schema.flexible else None
        messages.append(
            f'message({schema.api_key}, "{schema.name.removesuffix("Request")}", {schema.versions[0]}, {schema.versions[1]},'
            f' {"MAX" if since is None else since}, Struct({first}, {count})),')
    return (HEAD.format()
            + f"pub(super) static MESSAGES: [Message; {len(messages)}] = [{''.join(messages)}];\n\n"
            + f"pub(super) static FIELDS: [Field; {len(rows)}] = [{''.join(row + ',' for row in rows)}];\n")


def place(schema, fields, path, rows):
    """Lays the fields of one struct next to each other, those inside them behind; where they lie."""
    fields = [f for f in fields if within(f.versions, schema.versions)]
    first = len(rows)
    rows.extend([None] * len(fields))
    for index, field in enumerate(fields):
        name = path + field.name
        if field.is_struct:
            kind = "Struct({}, {})".format(*place(schema, field.fields, name + ".", rows))
        elif field.type in FIXED:
            kind = f"Fixed({FIXED[field.type][1]})"
        else:
            kind = "String" if field.type == "string" else "Bytes"
        row = f'field("{name}", {kind}, {versions(field.versions)})'
        if field.is_struct and field.nullable and field.tag is not None:
            raise SystemExit(f"{name}: a tagged struct that may be null begins with a varint, which the walk does not know")
        if field.is_array:
            row += f".array({element_size(field)})"
        if field.nullable:
            row += f".nullable({versions(field.nullable)})"
        if field.tag is not None:
            row += f".tag({field.tag})"
        rows[first + index] = row
    return first, len(fields)


def versions(span):
    return f"{span[0]}, {'MAX' if span[1] == END else span[1]}"


def element_size(field):
    if field.is_struct:
        return struct_size(field.fields)
    return FIXED[field.type][1] if field.type in FIXED else SLICE


def struct_size(fields):
    # Rust packs by size, so padding comes once; a struct that may be null has one more word at most.
    size = UNKNOWN_TAGS + sum(field_size(f) for f in fields)
    return (size + 7) // 8 * 8


def field_size(field):
    if field.is_array:
        return VEC
    if field.is_struct:
        return struct_size(field.fields) + (8 if field.nullable else 0)
    return FIXED[field.type][1] if field.type in FIXED else SLICE
