//! Points in time and lengths of time as Kafka's tools take and print them: ISO 8601.

/// `2026-01-02T03:04:05.678`, with or without a zone (`Z`, `+01:00`, `+0100`); without one it is UTC.
pub fn date_time(text: &str) -> Result<i64, String> {
    let missing =
        "java.text.ParseException: Error parsing timestamp. It does not contain a 'T' according to ISO8601 format";
    let (date, time) = text.split_once('T').ok_or_else(|| missing.to_owned())?;
    let bad = || format!("java.text.ParseException: Unparseable date: \"{text}\"");
    let (time, zone_ms) = split_zone(time).ok_or_else(bad)?;
    let date: Vec<i64> = date.split('-').map(|part| part.parse().map_err(|_| bad())).collect::<Result<_, _>>()?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let clock: Vec<i64> = clock.split(':').map(|part| part.parse().map_err(|_| bad())).collect::<Result<_, _>>()?;
    let millis: i64 = format!("{fraction:0<3}").get(..3).and_then(|three| three.parse().ok()).ok_or_else(bad)?;
    let ([year, month, day], [hour, minute, second]) = (date.as_slice(), clock.as_slice()) else { return Err(bad()) };
    if !(1..=12).contains(month) || !(1..=31).contains(day) || !(0..=9999).contains(year) {
        return Err(bad());
    }
    let seconds = days(*year, *month, *day) * 86_400 + hour * 3600 + minute * 60 + second;
    Ok(seconds * 1000 + millis - zone_ms)
}

fn split_zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0)) };
    let digits: String = time[at + 1..].chars().filter(|letter| *letter != ':').collect();
    let number: i64 = digits.parse().ok()?;
    let minutes = if digits.len() <= 2 { number * 60 } else { number / 100 * 60 + number % 100 };
    let sign = if time[at..].starts_with('-') { -1 } else { 1 };
    Some((&time[..at], sign * minutes * 60_000))
}

/// Days since 1970-01-01, by counting from March so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// `P1DT2H3M4.5S` in milliseconds.
pub fn duration(text: &str) -> Result<i64, String> {
    let bad = || "java.time.format.DateTimeParseException: Text cannot be parsed to a Duration".to_owned();
    let body = text.trim().strip_prefix(['P', 'p']).ok_or_else(bad)?;
    let (days, clock) = body.split_once(['T', 't']).unwrap_or((body, ""));
    let mut seconds = 0.0;
    for (part, units) in [(days, &[('D', 86_400.0)][..]), (clock, &[('H', 3600.0), ('M', 60.0), ('S', 1.0)][..])] {
        let mut rest = part;
        for (unit, factor) in units {
            if let Some((number, behind)) = rest.split_once([*unit, unit.to_ascii_lowercase()]) {
                seconds += number.parse::<f64>().map_err(|_| bad())? * factor;
                rest = behind;
            }
        }
        if !rest.is_empty() {
            return Err(bad());
        }
    }
    Ok((seconds * 1000.0) as i64)
}

/// `2026-01-02 03:04:05:678`, as the consumer's perf test prints it, in UTC.
pub fn print(ms: i64) -> String {
    let (days, rest) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}:{:03}", rest % 1000)
}

fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_are_read_and_printed() {
        assert_eq!(date_time("1970-01-01T00:00:00.000").unwrap(), 0);
        assert_eq!(date_time("2000-02-29T12:00:00.5Z").unwrap(), 951_825_600_500);
        assert_eq!(date_time("2026-11-25T22:00:00.000+01:30").unwrap(), date_time("2026-11-25T20:30:00.000").unwrap());
        assert_eq!(print(951_825_600_500), "2000-02-29 12:00:00:500");
        assert!(date_time("2026-11-25").unwrap_err().contains("does not contain a 'T'"));
        assert!(date_time("2026-13-25T00:00:00.000").is_err());
    }

    #[test]
    fn lengths_of_time_are_read() {
        assert_eq!(duration("PT1H").unwrap(), 3_600_000);
        assert_eq!(duration("P1DT2H3M4.5S").unwrap(), 93_784_500);
        assert!(duration("1h").is_err() && duration("PT1X").is_err());
    }
}
