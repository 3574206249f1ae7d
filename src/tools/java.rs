//! Ways of Java that show in the output of Kafka's tools, and so in what scripts compare.

use std::collections::BTreeMap;

/// The order in which a `HashMap` hands its keys out after they were put in, in the order of `names`: Kafka's tools print
/// topics and settings like that.
pub fn hash_order<T>(items: Vec<T>, name: impl Fn(&T) -> &str) -> Vec<T> {
    hash_order_by(items, |item| hash_code(name(item)))
}

/// The same of a map that was made for so many keys, as that of described topics is: it has fewer places.
pub fn sized_hash_order<T>(items: Vec<T>, name: impl Fn(&T) -> &str) -> Vec<T> {
    let begin = u32::try_from(items.len()).unwrap_or(1 << 30).clamp(1, 1 << 30).next_power_of_two();
    in_buckets(items, begin, |item| hash_code(name(item)))
}

/// The same for keys of any kind, by their hash.
pub fn hash_order_by<T>(items: Vec<T>, hash: impl Fn(&T) -> u32) -> Vec<T> {
    in_buckets(items, 16, hash)
}

fn in_buckets<T>(items: Vec<T>, begin: u32, hash: impl Fn(&T) -> u32) -> Vec<T> {
    let capacity = table_size(items.len(), begin);
    let mut buckets: BTreeMap<u32, Vec<T>> = BTreeMap::new();
    for item in items {
        let hash = hash(&item);
        buckets.entry((hash ^ (hash >> 16)) & (capacity - 1)).or_default().push(item);
    }
    buckets.into_values().flatten().collect()
}

/// A map starts with so many places, 16 if nothing is said, and doubles when it is more than three quarters full.
fn table_size(count: usize, begin: u32) -> u32 {
    let mut size = begin;
    while count * 4 > (size as usize) * 3 && size < 1 << 30 {
        size *= 2;
    }
    size
}

/// `String.hashCode`, over UTF-16 units.
fn hash_code(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

/// `TopicPartition.hashCode`.
pub fn partition_hash(topic: &str, partition: i32) -> u32 {
    (31u32.wrapping_add(partition.cast_unsigned())).wrapping_mul(31).wrapping_add(hash_code(topic))
}

/// A number as `Double.toString` writes it, for the sizes that quotas have.
pub fn double(value: f64) -> String {
    let plain = format!("{value:?}");
    if value.abs() >= 1e7 {
        let scientific = format!("{value:E}");
        return match scientific.split_once('E') {
            Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
            _ => scientific,
        };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_in_the_order_of_a_java_map() {
        let order = sized_hash_order(vec!["assigned", "my.topic_x"], |name| name);
        assert_eq!(order, ["my.topic_x", "assigned"], "as kafka-topics --describe of Kafka 4.3.1 printed them");
        let order = sized_hash_order(vec!["tool-a", "tool-assigned", "tool-b", "tool.with_both"], |name| name);
        assert_eq!(order, ["tool-assigned", "tool-a", "tool.with_both", "tool-b"], "the same tool, other topics");
        assert_eq!(hash_code("Aa"), hash_code("BB"));
    }

    #[test]
    fn doubles_look_like_javas() {
        for (value, text) in [(1024.0, "1024.0"), (10_485_760.0, "1.048576E7"), (1e7, "1.0E7"), (0.5, "0.5")] {
            assert_eq!(double(value), text);
        }
    }
}
