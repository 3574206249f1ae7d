"""The field tables as trees: messages, their structs, their fields."""

import dataclasses
import re

# The name of a type in Rust and the bytes one takes on the wire, for types of fixed size.
FIXED = {
    "bool": ("bool", 1), "int8": ("i8", 1), "int16": ("i16", 2), "uint16": ("u16", 2), "int32": ("i32", 4),
    "uint32": ("u32", 4), "int64": ("i64", 8), "float64": ("f64", 8), "uuid": ("Uuid", 16),
}
BLOBS = ("string", "bytes", "records")
END = 32767  # of an open range of versions


@dataclasses.dataclass
class Field:
    name: str
    type: str  # without []
    is_array: bool
    versions: tuple  # first and last, or None
    nullable: tuple
    tag: int  # or None
    tagged: tuple
    default: str
    fields: list  # of the struct that `type` names

    @property
    def is_struct(self):
        return self.type not in FIXED and self.type not in BLOBS


@dataclasses.dataclass
class Schema:
    name: str
    kind: str
    api_key: int
    versions: tuple
    flexible: tuple
    fields: list


def read_schemas(path):
    schemas, paths = {}, {}
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#") or line.startswith("schema\t"):
            continue
        columns = (line.split("\t") + [""] * 13)[:13]
        name, kind, key, valid, flexible, dotted, type_, versions, nullable, tagged, default, _entity, _note = columns
        schema = schemas.get(name)
        if schema is None:
            schema = Schema(name, kind, int(key) if key else None, span(valid), span(flexible), [])
            schemas[name] = schema
            paths[name] = {}
        if not dotted:  # a message without fields
            continue
        field = read_field(dotted.split(".")[-1], type_, versions, nullable, tagged, default)
        parent = dotted.rpartition(".")[0]
        siblings = paths[name][parent].fields if parent else schema.fields
        siblings.append(field)
        paths[name][dotted] = field
    for schema in schemas.values():
        check(schema, schema.fields)
    return list(schemas.values())


def read_field(name, type_, versions, nullable, tagged, default):
    is_array = type_.startswith("[]")
    tag, tag_versions = None, None
    if tagged:
        _, number, range_ = tagged.split(" ")
        tag, tag_versions = int(number), span(range_)
    # A tagged field without versions of its own exists wherever it may be tagged.
    return Field(name, type_[2:] if is_array else type_, is_array, span(versions) or tag_versions, span(nullable), tag,
                 tag_versions, default, [])


def span(text):
    """`0-4`, `3+`, `1`, and none."""
    if text in ("", "none"):
        return None
    if text.endswith("+"):
        return int(text[:-1]), END
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def within(inner, outer):
    """The part of `inner` that lies in `outer`; None if there is none."""
    if inner is None or outer is None:
        return None
    first, last = max(inner[0], outer[0]), min(inner[1], outer[1])
    return (first, last) if first <= last else None


def check(schema, fields):
    for field in fields:
        where = f"{schema.name}.{field.name}"
        if field.is_struct and not field.fields:
            raise SystemExit(f"{where}: struct {field.type} has no fields")
        if field.tag is not None and within(field.versions, schema.versions) != within(field.tagged, schema.versions):
            raise SystemExit(f"{where}: tagged in some of its versions only, which no generator here can do")
        check(schema, field.fields)


def snake(name):
    name = name.replace("KRaft", "Kraft")
    name = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name)
    name = re.sub(r"(?<=[A-Z])([A-Z][a-z])", r"_\1", name).lower()
    return f"r#{name}" if name in ("type", "match", "ref", "move") else name
