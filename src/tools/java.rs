//! Ways of Java that show in the output of Kafka's tools, and so in what scripts compare.

use std::collections::BTreeMap;

/// The order in which a `HashMap` hands its keys out after they were put in, in the order of `names`: Kafka's tools print
/// topics and settings like that.
pub fn hash_order<T>(items: Vec<T>, name: impl Fn(&T) -> &str) -> Vec<T> {
    let capacity = table_size(items.len());
    let mut buckets: BTreeMap<u32, Vec<T>> = BTreeMap::new();
    for item in items {
        let hash = hash_code(name(&item));
        buckets.entry((hash ^ (hash >> 16)) & (capacity - 1)).or_default().push(item);
    }
    buckets.into_values().flatten().collect()
}

/// A map starts with 16 places and doubles when it is three quarters full.
fn table_size(count: usize) -> u32 {
    let mut size = 16;
    while count > (size as usize) / 4 * 3 && size < 1 << 30 {
        size *= 2;
    }
    size
}

/// `String.hashCode`, over UTF-16 units.
fn hash_code(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
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
        let order = hash_order(vec!["assigned", "my.topic_x"], |name| name);
        assert_eq!(order, ["my.topic_x", "assigned"], "as kafka-topics --describe of Kafka 4.3.1 printed them");
        assert_eq!(hash_code("Aa"), hash_code("BB"));
    }

    #[test]
    fn doubles_look_like_javas() {
        for (value, text) in [(1024.0, "1024.0"), (10_485_760.0, "1.048576E7"), (1e7, "1.0E7"), (0.5, "0.5")] {
            assert_eq!(double(value), text);
        }
    }
}
