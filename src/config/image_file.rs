//! The settings file of an image: the first that is there, of the places that people mount one at.
//!
//! | file | of | with the environment |
//! |---|---|---|
//! | `/bitnami/kafka/config/server.properties`, or in `KAFKA_MOUNTED_CONF_DIR` | Bitnami | which then says nothing, but for the cluster id |
//! | `/mnt/shared/config/server.properties` | apache/kafka | which wins |
//! | `/opt/bitnami/kafka/config/server.properties` | Bitnami | which wins |
//! | `/kafka/config/server.properties` | Debezium | which wins |
//! | `/opt/kafka/config/server.properties` | apache/kafka, wurstmeister | which wins; the image has one without settings |

use std::path::{Path, PathBuf};

use super::environment::DIALECT;

const WITH_ENVIRONMENT: [&str; 4] = [
    "/mnt/shared/config/server.properties",
    "/opt/bitnami/kafka/config/server.properties",
    "/kafka/config/server.properties",
    "/opt/kafka/config/server.properties",
];

/// A file to be read, and whether it is instead of the environment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mounted {
    pub path: PathBuf,
    pub is_all: bool,
}

/// Looks below `root`, which is `/` but in tests. Nothing outside of an image.
pub(super) fn find(root: &Path, environment: &[(String, String)]) -> Result<Option<Mounted>, String> {
    let value = |wanted: &str| environment.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    if value(DIALECT).is_none() {
        return Ok(None);
    }
    let bitnami = value("KAFKA_MOUNTED_CONF_DIR").filter(|dir| !dir.is_empty()).unwrap_or("/bitnami/kafka/config");
    let candidates = std::iter::once((format!("{}/server.properties", bitnami.trim_end_matches('/')), true))
        .chain(WITH_ENVIRONMENT.into_iter().map(|path| (path.to_owned(), false)));
    for (name, is_all) in candidates {
        let path = root.join(name.trim_start_matches('/'));
        if path.is_dir() {
            // What Docker makes where the file to be mounted is missing.
            return Err(format!(
                "{name} is a directory: the file that should be mounted there is not on the host; correct its path"
            ));
        }
        if path.exists() {
            return Ok(Some(Mounted { path, is_all }));
        }
    }
    Ok(None)
}

/// The environment beside a file that stands for all settings, and a remark if something is passed over.
pub(super) fn without_settings(
    environment: Vec<(String, String)>,
    path: &Path,
) -> (Vec<(String, String)>, Option<String>) {
    let is_kept = |name: &str| !name.starts_with("KAFKA_") || name.ends_with("CLUSTER_ID");
    let (kept, dropped): (Vec<_>, Vec<_>) = environment.into_iter().partition(|(name, _)| is_kept(name));
    let remark = (!dropped.is_empty()).then(|| {
        let count = dropped.len();
        format!(
            "{} is mounted, so {count} KAFKA_ variables have no effect; settings belong into that file",
            path.display()
        )
    });
    (kept, remark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn put(root: &Path, name: &str) {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "num.partitions=2").unwrap();
    }

    #[test]
    fn the_file_that_is_mounted_is_found() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let in_image = variables(&[(DIALECT, "auto")]);
        let found = |environment: &[(String, String)]| {
            find(root, environment)
                .unwrap()
                .map(|found| (found.path.strip_prefix(root).unwrap().to_path_buf(), found.is_all))
        };
        assert_eq!(found(&in_image), None);
        for (name, is_all) in [
            ("opt/kafka/config/server.properties", false),
            ("mnt/shared/config/server.properties", false),
            ("bitnami/kafka/config/server.properties", true),
        ] {
            put(root, name);
            assert_eq!(found(&in_image), Some((name.into(), is_all)));
        }
        assert_eq!(found(&[]), None, "outside of an image");
        put(root, "elsewhere/server.properties");
        let elsewhere = variables(&[(DIALECT, "auto"), ("KAFKA_MOUNTED_CONF_DIR", "/elsewhere/")]);
        assert_eq!(found(&elsewhere), Some(("elsewhere/server.properties".into(), true)));
    }

    #[test]
    fn a_directory_in_place_of_the_file_is_told() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("mnt/shared/config/server.properties")).unwrap();
        let told = find(root.path(), &variables(&[(DIALECT, "auto")])).unwrap_err();
        assert!(told.starts_with("/mnt/shared/config/server.properties is a directory"), "{told}");
    }

    #[test]
    fn a_file_that_stands_for_all_leaves_the_cluster_id() {
        let all = [(DIALECT, "auto"), ("KAFKA_CFG_NODE_ID", "3"), ("KAFKA_KRAFT_CLUSTER_ID", "x"), ("PATH", "/bin")];
        let (kept, remark) = without_settings(variables(&all), Path::new("f"));
        assert_eq!(kept, variables(&[(DIALECT, "auto"), ("KAFKA_KRAFT_CLUSTER_ID", "x"), ("PATH", "/bin")]));
        assert!(remark.unwrap().contains("1 KAFKA_ variables have no effect"));
        assert_eq!(without_settings(variables(&[("PATH", "/bin")]), Path::new("f")).1, None);
    }
}
