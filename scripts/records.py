"""The codecs of what is kept in logs: an owned struct a record, with encode and decode."""

import re

from schema import FIXED, snake, within

HEAD = """//! {what}
//!
//! Made by scripts/generate.py from scripts/schemas/record-schemas.tsv; never edited by hand. A field that a version does
//! not have is left out when writing and takes its default when reading; tagged fields are written when they differ from
//! their default. `Default` gives the schema's defaults: a field that may be null is null only where the schema says so.
{more}
use std::ops::RangeInclusive;

use uuid::Uuid;

use crate::wire::{{self, DecodeError, Reader, Reason}};
"""


def coordinator_file(what, schemas):
    text = HEAD.format(
        what=what,
        more="""//!
//! ```text
//! key    i16 kind | body, always in version 0
//! value  i16 version | body            (no value: a tombstone)
//! ```
""")
    keys = [s for s in schemas if s.kind == "coordinator-key"]
    keys.sort(key=lambda s: s.api_key)
    text += coordinator_key(keys)
    for schema in sorted(schemas, key=lambda s: (s.api_key is None, s.api_key, s.kind)):
        text += message(schema)
        text += framing(schema)
    return text if "Uuid" in text.replace("use uuid::Uuid;", "") else text.replace("use uuid::Uuid;\n", "")


def metadata_file(schemas, control):
    text = HEAD.format(
        what="The records of the cluster metadata log, and of the control batches in it and its snapshots.",
        more="""//!
//! ```text
//! record value  varint frame version (1) | varint kind | varint version | body
//! ```
//! Control records carry no frame; their kind is in the record key.
""")
    text += metadata_record(schemas)
    for schema in schemas + control:
        text += message(schema)
    return text


def framing(schema):
    name = schema.name
    if schema.kind == "coordinator-key":
        return f"""
        impl {name} {{
            /// The kind in front of the key.
            pub const KIND: i16 = {schema.api_key};

            /// The whole record key.
            pub fn encode_framed(&self, out: &mut Vec<u8>) {{
                wire::put_i16(out, Self::KIND);
                self.write(0, out);
            }}
        }}
        """
    if schema.kind == "coordinator-value":
        return f"""
        impl {name} {{
            /// The whole record value.
            pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {{
                wire::put_i16(out, version);
                self.encode(version, out);
            }}

            pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {{
                let mut r = Reader::new(bytes);
                let version = r.i16()?;
                Self::decode_from(version, r)
            }}
        }}
        """
    return f"""
    impl {name} {{
        /// With the version in front, as members exchange it.
        pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {{
            wire::put_i16(out, version);
            self.encode(version, out);
        }}

        /// A newer version is read as far as the newest one known; what it has behind that is left alone.
        pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {{
            let mut r = Reader::new(bytes);
            let version = r.i16()?;
            if version < *Self::VERSIONS.start() {{
                return r.fail(Reason::UnsupportedVersion(version));
            }}
            Self::read(version.min(*Self::VERSIONS.end()), &mut r)
        }}
    }}
    """


def coordinator_key(keys):
    variant = lambda schema: schema.name.removesuffix("Key")
    variants = "".join(f"{variant(s)}({s.name})," for s in keys)
    kinds = "".join(f"CoordinatorKey::{variant(s)}(_) => {s.name}::KIND," for s in keys)
    writes = "".join(f"CoordinatorKey::{variant(s)}(key) => key.write(0, out)," for s in keys)
    reads = "".join(f"{s.name}::KIND => CoordinatorKey::{variant(s)}({s.name}::decode_from(0, r)?)," for s in keys)
    return f"""
    /// The key of any record in the log.
    #[derive(Clone, Debug, PartialEq)]
    pub enum CoordinatorKey {{
        {variants}
        /// A kind that is not in this table; its record is to be passed over.
        Unknown(i16),
    }}

    impl CoordinatorKey {{
        pub fn kind(&self) -> i16 {{
            match self {{ {kinds} CoordinatorKey::Unknown(kind) => *kind, }}
        }}

        /// The whole record key; of an unknown one only its kind.
        pub fn encode_framed(&self, out: &mut Vec<u8>) {{
            wire::put_i16(out, self.kind());
            match self {{ {writes} CoordinatorKey::Unknown(_) => {{}} }}
        }}

        pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {{
            let mut r = Reader::new(bytes);
            let key = match r.i16()? {{ {reads} kind => CoordinatorKey::Unknown(kind), }};
            Ok(key)
        }}
    }}
    """


def metadata_record(schemas):
    variant = lambda schema: schema.name.removesuffix("Record")
    variants = "".join(f"{variant(s)}({s.name})," for s in schemas)
    kinds = "".join(f"MetadataRecord::{variant(s)}(_) => {s.api_key}," for s in schemas)
    names = "".join(f'MetadataRecord::{variant(s)}(_) => "{s.name}",' for s in schemas)
    versions = "".join(f"MetadataRecord::{variant(s)}(_) => {s.name}::VERSIONS," for s in schemas)
    writes = "".join(f"MetadataRecord::{variant(s)}(record) => record.encode(version, out)," for s in schemas)
    reads = "".join(
        f"{s.api_key} => MetadataRecord::{variant(s)}({s.name}::decode_from(version, r)?)," for s in schemas)
    froms = "".join(f"""
    impl From<{s.name}> for MetadataRecord {{
        fn from(record: {s.name}) -> Self {{
            MetadataRecord::{variant(s)}(record)
        }}
    }}
    """ for s in schemas)
    return f"""
    /// The only way in which a record of the metadata log has been framed since Kafka 3.0.
    const FRAME_VERSION: u32 = 1;

    /// Any record of the metadata log.
    #[derive(Clone, Debug, PartialEq)]
    pub enum MetadataRecord {{ {variants} }}

    impl MetadataRecord {{
        /// The number of its kind.
        pub fn kind(&self) -> i16 {{
            match self {{ {kinds} }}
        }}

        /// Kafka's name for its kind.
        pub fn name(&self) -> &'static str {{
            match self {{ {names} }}
        }}

        /// The versions in which it can be written.
        pub fn versions(&self) -> RangeInclusive<i16> {{
            match self {{ {versions} }}
        }}

        /// The whole record value. `version` must be one of [`MetadataRecord::versions`]; which one the log may hold is
        /// for `metadata.version` to say.
        pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {{
            wire::put_unsigned_varint(out, FRAME_VERSION);
            wire::put_unsigned_varint(out, self.kind() as u32);
            wire::put_unsigned_varint(out, version as u32);
            match self {{ {writes} }}
        }}

        /// Reads a whole record value; also tells its version.
        pub fn decode_framed(bytes: &[u8]) -> Result<(Self, i16), DecodeError> {{
            let mut r = Reader::new(bytes);
            match r.unsigned_varint()? {{
                FRAME_VERSION => {{}}
                other => return r.fail(Reason::UnsupportedFrame(other)),
            }}
            let kind = i16::try_from(r.unsigned_varint()?).unwrap_or(i16::MAX);
            let version = i16::try_from(r.unsigned_varint()?).unwrap_or(i16::MAX);
            let record = match kind {{ {reads} _ => return r.fail(Reason::UnknownKind(kind)), }};
            Ok((record, version))
        }}
    }}

    {froms}
    """


class Struct:
    def __init__(self, name, fields, versions, flexible):
        self.name, self.versions, self.flexible = name, versions, flexible
        self.fields = [f for f in fields if within(f.versions, versions)]
        self.tagged = sorted((f for f in self.fields if f.tag is not None), key=lambda f: f.tag)


def message(schema):
    """The struct of a message and those inside it. Names of structs are local to their message (two messages give one
    name to different things), so the message's name goes in front."""
    prefix = re.sub(r"(Value|Record)$", "", schema.name)
    found = {}

    def visit(name, fields):
        struct = Struct(name, fields, schema.versions, schema.flexible)
        same = found.get(name)
        if same is not None:
            if same.fields != struct.fields:
                raise SystemExit(f"{schema.name}: two structs called {name}")
            return
        found[name] = struct
        for field in struct.fields:
            if field.is_struct:
                visit(prefix + field.type, field.fields)

    visit(schema.name, schema.fields)
    return "".join(struct_text(s, prefix) for s in found.values()) + entry(schema)


def entry(schema):
    first, last = schema.versions
    return f"""
    impl {schema.name} {{
        pub const VERSIONS: RangeInclusive<i16> = {first}..={last};

        /// Writes the body. `version` must be one of [`Self::VERSIONS`].
        pub fn encode(&self, version: i16, out: &mut Vec<u8>) {{
            debug_assert!(Self::VERSIONS.contains(&version), "{schema.name} has no version {{version}}");
            self.write(version, out);
        }}

        /// Reads a body, which must fill `bytes`.
        pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {{
            Self::decode_from(version, Reader::new(bytes))
        }}

        fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {{
            if !Self::VERSIONS.contains(&version) {{
                return r.fail(Reason::UnsupportedVersion(version));
            }}
            let value = Self::read(version, &mut r)?;
            r.finish()?;
            Ok(value)
        }}
    }}
    """


def struct_text(struct, prefix):
    fields = "".join(f"pub {snake(f.name)}: {rust_type(f, prefix)}," for f in struct.fields)
    writes = "".join(write_field(struct, f, prefix) for f in struct.fields if f.tag is None) + write_tags(struct, prefix)
    reads = "".join(read_field(struct, f, prefix) for f in struct.fields if f.tag is None) + read_tags(struct, prefix)
    names = "".join(f"{snake(f.name)}," for f in struct.fields)
    if "flexible" in writes:
        writes = f"let flexible = {condition(struct.flexible, struct.versions)};" + writes
        reads = f"let flexible = {condition(struct.flexible, struct.versions)};" + reads
    eq = ", Eq" if not has_float(struct.fields) else ""
    if all(is_zero_default(f, struct) for f in struct.fields):
        derive, default = ", Default", ""
    else:
        values = "".join(f"{snake(f.name)}: {default_value(f, struct, prefix)}," for f in struct.fields)
        derive, default = "", f"""
        impl Default for {struct.name} {{
            fn default() -> Self {{
                {struct.name} {{ {values} }}
            }}
        }}
        """
    return f"""
    #[derive(Clone, Debug, PartialEq{eq}{derive})]
    pub struct {struct.name} {{ {fields} }}
    {default}
    impl {struct.name} {{
        fn write(&self, {used("body_version", writes)}: i16, {used("out", writes)}: &mut Vec<u8>) {{
            {writes}
        }}

        fn read({used("body_version", reads)}: i16, {used("r", reads)}: &mut Reader<'_>) -> Result<Self, DecodeError> {{
            {reads}
            Ok({struct.name} {{ {names} }})
        }}
    }}
    """


def used(name, text):
    return name if re.search(rf"\b{name}\b", text) else f"_{name}"


def has_float(fields):
    return any(f.type == "float64" or has_float(f.fields) for f in fields)


def condition(span, valid):
    """When `body_version` is in `span`, knowing that it is in `valid`: `true`, `false` or a comparison."""
    part = within(span, valid)
    if part is None:
        return "false"
    first, last = part
    tests = []
    if first > valid[0]:
        tests.append(f"body_version >= {first}")
    if last < valid[1]:
        tests.append(f"body_version <= {last}")
    if first == last and len(tests) == 2:
        return f"body_version == {first}"
    return " && ".join(tests) or "true"


def flexible_word(struct):
    text = condition(struct.flexible, struct.versions)
    return text if text in ("true", "false") else "flexible"


def is_nullable(field, struct):
    return within(field.nullable, struct.versions) is not None


def base_type(field, prefix):
    if field.type in FIXED:
        return FIXED[field.type][0]
    return {"string": "String", "bytes": "Vec<u8>"}.get(field.type, prefix + field.type)


def rust_type(field, prefix):
    text = base_type(field, prefix)
    if field.is_array:
        text = f"Vec<{text}>"
    optional = field.nullable is not None
    return f"Option<{text}>" if optional else text


def default_value(field, struct, prefix):
    value = plain_default(field, prefix)
    if is_nullable(field, struct):
        return "None" if field.default == "null" else f"Some({value})"
    return value


def plain_default(field, prefix):
    """The default, leaving null aside. Where the table says `None` the schema says nothing that Kafka heeds: an empty
    array, a struct of defaults."""
    if field.is_array:
        return "Vec::new()"
    if field.is_struct:
        return f"{prefix + field.type}::default()"
    text = "" if field.default in ("null", "None") else field.default
    if field.type == "bool":
        return text or "false"
    if field.type == "string":
        return f'String::from("{text}")' if text else "String::new()"
    if field.type == "bytes":
        return "Vec::new()"
    if field.type == "uuid":
        assert text == "", field
        return "Uuid::nil()"
    if field.type == "float64":
        return f"{float(text or 0)}"
    return str(int(text or "0", 0))


def is_zero_default(field, struct):
    if is_nullable(field, struct):
        return field.default == "null"
    return plain_default(field, "") in ("0", "0.0", "false", "String::new()", "Vec::new()", "Uuid::nil()") or (
        field.is_struct and not field.is_array)


def put(field, expression, is_reference, flexible, nullable, prefix):
    """Statements that write one value, not an array."""
    if field.type in FIXED:
        deref = "*" if is_reference else ""
        return f"wire::put_{FIXED[field.type][0].lower()}(out, {deref}{expression});"
    if field.type in ("string", "bytes"):
        if nullable:
            return f"wire::put_nullable_{field.type}(out, {expression}.as_deref(), {flexible});"
        ref = "" if is_reference else "&"
        return f"wire::put_{field.type}(out, {ref}{expression}, {flexible});"
    if nullable:
        # A byte tells whether a struct follows; inside a tagged field it is a varint, and null another number.
        some, none = "i8(out, 1)", "i8(out, -1)"
        if field.tag is not None:
            some, none = "unsigned_varint(out, 1)", "unsigned_varint(out, 0)"
        return f"""match &{expression} {{
            Some(value) => {{ wire::put_{some}; value.write(body_version, out); }}
            None => wire::put_{none},
        }}"""
    return f"{expression}.write(body_version, out);"


def write_value(struct, field, prefix):
    name = f"self.{snake(field.name)}"
    flexible = flexible_word(struct)
    nullable = condition(field.nullable, struct.versions) if field.nullable else "false"
    optional = field.nullable is not None
    if field.is_array:
        element = put(field, "element", True, flexible, False, prefix)
        if not optional:
            return f"wire::put_length(out, Some({name}.len()), {flexible}); for element in &{name} {{ {element} }}"
        length = f"{name}.as_ref().map(Vec::len)"
        if nullable != "true":
            length = f"{name}.as_ref().map(Vec::len).or(if {nullable} {{ None }} else {{ Some(0) }})"
        return f"wire::put_length(out, {length}, {flexible}); for element in {name}.iter().flatten() {{ {element} }}"
    if not optional:
        return put(field, name, False, flexible, False, prefix)
    if nullable == "true":
        return put(field, name, False, flexible, True, prefix)
    plain = f"{name}.clone().unwrap_or_default()" if field.is_struct else f"{name}.as_deref().unwrap_or_default()"
    never_null = put(field, plain, True, flexible, False, prefix)
    if nullable == "false":
        return never_null
    return f"if {nullable} {{ {put(field, name, False, flexible, True, prefix)} }} else {{ {never_null} }}"


def write_field(struct, field, prefix):
    text = write_value(struct, field, prefix)
    when = condition(field.versions, struct.versions)
    return text if when == "true" else f"if {when} {{ {text} }}"


def differs(struct, field, prefix):
    name = f"self.{snake(field.name)}"
    if is_nullable(field, struct):
        if field.default == "null":
            return f"{name}.is_some()"
        if field.is_array or field.type in ("string", "bytes"):
            return f"{name}.as_ref().is_none_or(|value| !value.is_empty())"
        return f"{name}.as_ref().is_none_or(|value| *value != {plain_default(field, prefix)})"
    if field.is_array or (field.type in ("string", "bytes") and field.default in ("", "null")):
        return f"!{name}.is_empty()"
    if field.type == "uuid":
        return f"!{name}.is_nil()"
    if field.type == "bool":
        return f"!{name}" if field.default == "true" else name
    return f"{name} != {plain_default(field, prefix)}"


def write_tags(struct, prefix):
    when = condition(struct.flexible, struct.versions)
    if when == "false":
        return ""
    if not struct.tagged:
        text = "wire::put_unsigned_varint(out, 0);"
    else:
        text, count = "", []
        for field in struct.tagged:
            flag = f"has_{snake(field.name).removeprefix('r#')}"
            version = condition(field.versions, (within(struct.versions, struct.flexible)))
            test = differs(struct, field, prefix)
            text += f"let {flag} = {test if version == 'true' else f'{version} && {test}'};"
            count.append(f"u32::from({flag})")
        text += f"wire::put_unsigned_varint(out, {' + '.join(count)});"
        for field in struct.tagged:
            flag = f"has_{snake(field.name).removeprefix('r#')}"
            body = write_value(struct, field, prefix)
            text += f"if {flag} {{ wire::put_tagged(out, {field.tag}, |out| {{ {body} }}); }}"
    return text if when == "true" else f"if flexible {{ {text} }}"


def get(field, flexible, prefix):
    """An expression that reads one value, not an array, as a Result."""
    if field.type in FIXED:
        return f"r.{FIXED[field.type][0].lower()}()"
    if field.type in ("string", "bytes"):
        owned = {"string": "String::from", "bytes": "<[u8]>::to_vec"}[field.type]
        return f"r.{field.type}({flexible}).map({owned})"
    read = f"{prefix + field.type}::read(body_version, r)"
    return read


def read_value(struct, field, prefix):
    """An expression of the field's own type; leaves the function with `?`."""
    flexible = flexible_word(struct)
    nullable = condition(field.nullable, struct.versions) if field.nullable else "false"

    def read(nullable):
        if not field.is_array:
            if nullable and field.is_struct:
                present = "r.unsigned_varint()? > 0" if field.tag is not None else "r.is_present()?"
                return f"if {present} {{ Some({prefix + field.type}::read(body_version, r)?) }} else {{ None }}"
            if nullable and field.type in ("string", "bytes"):
                owned = {"string": "String::from", "bytes": "<[u8]>::to_vec"}[field.type]
                return f"r.nullable_{field.type}({flexible})?.map({owned})"
            if field.type == "string":
                return f"r.string({flexible})?.to_owned()"
            if field.type == "bytes":
                return f"r.bytes({flexible})?.to_vec()"
            return get(field, flexible, prefix) + "?"
        element = get(field, flexible, prefix)
        if element.endswith("()") and element.startswith("r."):
            element = f"Reader::{element[2:-2]}"
        else:
            element = f"|r| {element}"
        return f"r.{'nullable_array' if nullable else 'array_of'}({flexible}, {element})?"

    if field.nullable is None:
        return read(False)
    if nullable == "true":
        return read(True)
    if nullable == "false":
        return f"Some({read(False)})"
    return f"if {nullable} {{ {read(True)} }} else {{ Some({read(False)}) }}"


def read_field(struct, field, prefix):
    text = read_value(struct, field, prefix)
    when = condition(field.versions, struct.versions)
    if when != "true":
        text = f"if {when} {{ {text} }} else {{ {default_value(field, struct, prefix)} }}"
    return f"let {snake(field.name)} = {text};"


def read_tags(struct, prefix):
    when = condition(struct.flexible, struct.versions)
    if when == "false":
        return ""
    if not struct.tagged:
        text = "r.skip_tagged_fields()?;"
        return text if when == "true" else f"if flexible {{ {text} }}"
    declared = "".join(f"let mut {snake(f.name)} = {default_value(f, struct, prefix)};" for f in struct.tagged)
    arms = ""
    for field in struct.tagged:
        version = condition(field.versions, within(struct.versions, struct.flexible))
        guard = "" if version == "true" else f" if {version}"
        arms += f"{field.tag}{guard} => {snake(field.name)} = {read_value(struct, field, prefix)},"
    text = f"r.tagged_fields(|tag, r| {{ match tag {{ {arms} _ => return Ok(false), }} Ok(true) }})?;"
    return declared + (text if when == "true" else f"if flexible {{ {text} }}")
